/*
 * Attention among the cells of a map: a dozen nodes of exporters' making, which cut a convolution's
 * output into queries, keys and values by reshaping and turning it, become the operator Attention.
 *
 * Spellings differ in how they move elements, so moves are not compared but made, on the elements'
 * numbers: what arrives tells whether this is attention and of which stripes. The products and the
 * softmax in the middle are the fixed points.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/graph/evaluate.h"
#include "inference/graph/passes.h"
#include "inference/kernels/attention.h"
#include "inference/ops/op.h"

enum {
    PATH_MAX = 16,
    NUMBERS_MAX = 1 << 24 /* beyond, floats are no numbers of elements */
};

/* What has been found so far. */
struct found {
    int map;      /* [1, heads (2 key + value), H, W] */
    int products; /* node: queries times keys */
    int means;    /* tensor: weights times values, before it is moved */
    bool turned;  /* its cells come before its channels */
    int y, last;  /* [1, heads value, H, W], and the node that makes it */
    int64_t heads, key, value, area, cells;
    double scale;
};

struct search {
    struct graph *g;
    const struct readers *r;
    struct evaluation e;
    bool ready; /* e */
};

static bool is(const struct node *n, const char *type)
{
    return n && !n->dead && strcmp(n->type, type) == 0;
}

static struct node *producer(struct graph *g, int t)
{
    return t == GRAPH_NONE || g->tensors[t].producer == GRAPH_NONE ? NULL
                                                                   : &g->nodes[g->tensors[t].producer];
}

/* Only puts elements of input 0 elsewhere, where constants say. */
static bool moves(const struct graph *g, const struct node *n)
{
    static const char *const types[] = { "Reshape", "Transpose", "Split",   "Slice",
                                         "Squeeze", "Unsqueeze", "Flatten", "Gather" };
    bool known = false;

    for (size_t i = 0; n && i < sizeof types / sizeof types[0]; i++)
        known |= is(n, types[i]);
    for (int i = 1; known && i < n->ninputs; i++)
        known = n->inputs[i] == GRAPH_NONE || g->tensors[n->inputs[i]].v.data;
    return known;
}

/* The number that n multiplies its input by, and that input; GRAPH_NONE: it does something else. */
static int scaled(const struct graph *g, const struct node *n, double *scale)
{
    for (int k = 0; n && (is(n, "Mul") || is(n, "Div")) && k < 2; k++) {
        const struct value *v = &g->tensors[n->inputs[1 - k]].v;
        if (!v->data || v->type != DTYPE_F32 || value_elements(v) != 1 || (is(n, "Div") && k == 1))
            continue;
        *scale *= is(n, "Div") ? 1 / (double)value_f32(v)[0] : (double)value_f32(v)[0];
        return n->inputs[k];
    }
    return GRAPH_NONE;
}

/*
 * Numbers of the elements of root that arrive in t, which are multiplied by *scale on their way; until
 * the next call. root GRAPH_NONE: whatever the path comes from, told in *ret_root. NULL: no such path.
 */
static const float *sources(struct search *s, int t, int root, int *ret_root, double *scale)
{
    struct graph *g = s->g;
    struct fault f = FAULT_INIT;
    const struct node *path[PATH_MAX];
    struct value *v = s->e.values;
    int n = 0, at = t;
    size_t count;

    *scale = 1;
    while (at != root && n < PATH_MAX) {
        const struct node *p = producer(g, at);
        const int from = moves(g, p) ? p->inputs[0] : scaled(g, p, scale);
        if (from == GRAPH_NONE)
            break;
        path[n++] = p;
        at = from;
    }
    if ((root != GRAPH_NONE && at != root) || n == 0 || g->tensors[at].v.type != DTYPE_F32 ||
        (count = value_elements(&g->tensors[at].v)) > NUMBERS_MAX)
        return NULL;
    evaluation_begin(&s->e);
    if (!(v[at].data = malloc((count + 1) * sizeof(float))))
        return NULL;
    s->e.made[at] = true;
    s->e.bytes += value_bytes(&v[at]);
    s->e.left[at] = 1 << 20;
    for (size_t i = 0; i < count; i++)
        value_f32(&v[at])[i] = (float)i;
    *ret_root = at;
    while (n-- > 0) {
        double ignored = 1;
        const int from = scaled(g, path[n], &ignored);
        for (int k = 0; k < path[n]->noutputs; k++)
            if (path[n]->outputs[k] != GRAPH_NONE)
                s->e.left[path[n]->outputs[k]] = 1 << 20;
        if (from != GRAPH_NONE)
            v[path[n]->outputs[0]].data = v[from].data;
        else if (evaluation_run(&s->e, path[n], &f) != ST_OK)
            return NULL;
    }
    return v[t].data;
}

/* Whether `from` [stripes heads][n][cells] (turned: [cells][n]) are n channels of every head of the map,
 * from `first` on. */
static bool is_part(const struct found *a, const float *from, int64_t first, int64_t n, bool turned)
{
    const int64_t each = 2 * a->key + a->value, plane = a->area * a->cells;

    for (int64_t s = 0; s < a->area; s++)
        for (int64_t h = 0; h < a->heads; h++)
            for (int64_t c = 0; c < n; c++)
                for (int64_t i = 0; i < a->cells; i++) {
                    const int64_t at =
                        (s * a->heads + h) * n * a->cells + (turned ? i * n + c : c * a->cells + i);
                    if ((int64_t)from[at] != (h * each + first + c) * plane + s * a->cells + i)
                        return false;
                }
    return true;
}

/* Whether `from` [heads value][H W] is the map of the means [stripes heads][value][cells], or turned. */
static bool is_joined(const struct found *a, const float *from)
{
    const int64_t plane = a->area * a->cells;

    for (int64_t h = 0; h < a->heads; h++)
        for (int64_t c = 0; c < a->value; c++)
            for (int64_t i = 0; i < plane; i++) {
                const int64_t head = i / a->cells * a->heads + h, cell = i % a->cells;
                const int64_t want = a->turned ? (head * a->cells + cell) * a->value + c
                                               : (head * a->value + c) * a->cells + cell;
                if ((int64_t)from[(h * a->value + c) * plane + i] != want)
                    return false;
            }
    return true;
}

/* Sizes, from those of the weights and of the map. */
static bool find_sizes(const struct search *s, struct found *a, int weights)
{
    const struct value *w = &s->g->tensors[weights].v, *x = &s->g->tensors[a->map].v;
    const struct value *q = &s->g->tensors[s->g->nodes[a->products].inputs[0]].v;

    if (x->rank != 4 || x->dims[0] != 1 || w->rank < 3 || q->rank != w->rank || value_elements(w) == 0)
        return false;
    a->cells = w->dims[w->rank - 1];
    a->key = q->dims[w->rank - 1];
    if (w->dims[w->rank - 2] != a->cells || x->dims[2] * x->dims[3] % a->cells || a->key < 1)
        return false;
    a->area = x->dims[2] * x->dims[3] / a->cells;
    a->heads = (int64_t)value_span(w, 0, w->rank - 2) / a->area;
    if (a->heads < 1 || a->heads * a->area != (int64_t)value_span(w, 0, w->rank - 2) ||
        x->dims[1] % a->heads)
        return false;
    a->value = x->dims[1] / a->heads - 2 * a->key;
    return a->value > 0 && attention_suits((size_t)a->key, (size_t)a->value);
}

/* The part of the map that tensor t of one side of a product must be. */
static bool comes_from_map(struct search *s, struct found *a, int t, int64_t first, int64_t n,
                           bool turned, double *scale)
{
    int root;
    const float *from = sources(s, t, a->map, &root, scale);

    return from && (int64_t)value_elements(&s->g->tensors[t].v) == a->area * a->heads * n * a->cells &&
           is_part(a, from, first, n, turned);
}

/* Scale and softmax of queries times keys: sets products and scale. */
static bool find_products(struct search *s, struct found *a, const struct node *softmax)
{
    struct graph *g = s->g;
    int t = softmax->inputs[0], above;
    double scale = 1;

    a->scale = 1;
    while ((above = scaled(g, producer(g, t), &a->scale)) != GRAPH_NONE)
        t = above;
    if (!is(producer(g, t), "MatMul"))
        return false;
    a->products = g->tensors[t].producer;
    if (!sources(s, g->nodes[a->products].inputs[0], GRAPH_NONE, &a->map, &scale) ||
        !find_sizes(s, a, softmax->outputs[0]) ||
        !comes_from_map(s, a, g->nodes[a->products].inputs[0], 0, a->key, true, &scale))
        return false;
    a->scale *= scale;
    if (!comes_from_map(s, a, g->nodes[a->products].inputs[1], a->key, a->key, false, &scale))
        return false;
    a->scale *= scale;
    return true;
}

/* Swaps the last two dimensions. */
static bool turns_matrices(const struct node *n)
{
    const struct attribute *perm = is(n, "Transpose") ? node_attribute(n, "perm") : NULL;
    const int64_t rank = perm ? (int64_t)perm->n : 0;

    for (int64_t i = 0; i < rank; i++)
        if (perm->ints[i] != (i < rank - 2 ? i : 2 * rank - 3 - i))
            return false;
    return rank >= 2;
}

/* The only reader of t, or NULL. */
static struct node *reader(const struct search *s, int t)
{
    return s->r->count[t] == 1 && s->r->node[t] != GRAPH_NONE ? &s->g->nodes[s->r->node[t]] : NULL;
}

/* Weights times values: values [.., value, cells] times turned weights, or weights times [.., cells,
 * value]. */
static bool find_means(struct search *s, struct found *a, int weights)
{
    struct node *n = reader(s, weights);
    double scale;
    int values;

    a->turned = !turns_matrices(n);
    if (!a->turned)
        n = reader(s, weights = n->outputs[0]);
    if (!is(n, "MatMul") || n->inputs[a->turned ? 0 : 1] != weights)
        return false;
    values = n->inputs[a->turned ? 1 : 0];
    a->means = n->outputs[0];
    return comes_from_map(s, a, values, 2 * a->key, a->value, a->turned, &scale) && scale == 1;
}

/* The moves behind it, up to a map. */
static bool find_output(struct search *s, struct found *a)
{
    const struct value *x = &s->g->tensors[a->map].v;
    const float *from;
    double scale;
    int root;

    a->y = a->means;
    for (int i = 0; i < PATH_MAX; i++) {
        const struct value *v = &s->g->tensors[a->y].v;
        const struct node *n = reader(s, a->y);
        if (v->rank == 4 && v->dims[1] == a->heads * a->value && v->dims[2] == x->dims[2] &&
            v->dims[3] == x->dims[3])
            break;
        if (!moves(s->g, n))
            return false;
        a->y = n->outputs[0];
    }
    a->last = s->g->tensors[a->y].producer;
    from = sources(s, a->y, a->means, &root, &scale);
    return from &&
           value_elements(&s->g->tensors[a->y].v) == value_elements(&s->g->tensors[a->means].v) &&
           scale == 1 && is_joined(a, from);
}

/* A map of the values, or GRAPH_NONE. */
static int find_values(struct search *s, struct found *a)
{
    const struct value *y = &s->g->tensors[a->y].v;

    for (int i = 0; i < s->g->nnodes; i++) {
        const struct node *n = &s->g->nodes[i];
        const int t = n->dead || n->noutputs != 1 ? GRAPH_NONE : n->outputs[0];
        const struct found joined = {
            .heads = a->heads, .key = a->key, .value = a->value, .area = 1, .cells = a->area * a->cells
        };
        const float *from;
        double scale;
        int root;
        if (t == GRAPH_NONE || !moves(s->g, n) || !value_same_shape(&s->g->tensors[t].v, y) ||
            !(from = sources(s, t, a->map, &root, &scale)) || scale != 1 ||
            !is_part(&joined, from, 2 * a->key, a->value, false))
            continue;
        return t;
    }
    return GRAPH_NONE;
}

/* Node `from` stands where node `to` stood, which it must not depend on. Readers are stale then. */
static void move_up(struct graph *g, int from, int to)
{
    const struct node moved = g->nodes[from];

    memmove(g->nodes + to + 1, g->nodes + to, (size_t)(from - to) * sizeof moved);
    g->nodes[to] = moved;
    for (int i = 0; i < g->ntensors; i++) {
        int *at = &g->tensors[i].producer;
        *at = *at == from ? to : *at >= to && *at < from ? *at + 1 : *at;
    }
}

/* The node of the products becomes the operator; what led to the outputs dies unread. The values may be
 * read before the products were: the operator stands behind the map. */
static bool rewrite(struct search *s, const struct found *a, int values)
{
    struct graph *g = s->g;
    struct node *n = &g->nodes[a->products];
    struct attribute *at = arena_array(g->arena, 4, sizeof *at);
    int *inputs = arena_array(g->arena, 1, sizeof *inputs),
        *outputs = arena_array(g->arena, 2, sizeof *outputs);

    if (!at || !inputs || !outputs)
        return false;
    at[0] = (struct attribute){ .name = "heads", .kind = ATTRIBUTE_INT, .i = a->heads };
    at[1] = (struct attribute){ .name = "value", .kind = ATTRIBUTE_INT, .i = a->value };
    at[2] = (struct attribute){ .name = "area", .kind = ATTRIBUTE_INT, .i = a->area };
    at[3] = (struct attribute){ .name = "scale", .kind = ATTRIBUTE_FLOAT, .f = (float)a->scale };
    inputs[0] = a->map;
    outputs[0] = a->y;
    outputs[1] = values;
    for (int i = 0; i < 2; i++)
        if (outputs[i] != GRAPH_NONE) {
            g->nodes[g->tensors[outputs[i]].producer].dead = true;
            g->tensors[outputs[i]].producer = a->products;
        }
    g->tensors[n->outputs[0]].producer = GRAPH_NONE;
    n->type = "Attention";
    n->op = op_internal(n->type);
    n->inputs = inputs;
    n->ninputs = 1;
    n->outputs = outputs;
    n->noutputs = 2;
    n->attributes = at;
    n->nattributes = 4;
    move_up(g, a->products, g->tensors[a->map].producer + 1);
    return true;
}

bool pass_attention(struct graph *g, const struct readers *r)
{
    struct search s = { .g = g, .r = r };
    struct fault f = FAULT_INIT;
    bool changed = false;

    for (int i = 0; !changed && i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        const struct value *w = is(n, "Softmax") ? &g->tensors[n->outputs[0]].v : NULL;
        const int64_t axis = w ? node_int(n, "axis", g->opset < 13 ? 1 : -1) : 0;
        struct found a = { .map = GRAPH_NONE };
        if (!w || (axis != -1 && axis != w->rank - 1))
            continue;
        if (!s.ready && evaluation_create(&s.e, g, &f) != ST_OK)
            break;
        s.ready = true;
        if (find_products(&s, &a, n) && find_means(&s, &a, n->outputs[0]) && find_output(&s, &a))
            changed = rewrite(&s, &a, find_values(&s, &a));
    }
    if (s.ready)
        evaluation_free(&s.e);
    return changed;
}
