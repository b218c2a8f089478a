/*
 * Products and sums with one number a channel, which are also what batch normalisation comes to: into
 * the weights and the bias of the convolution in front, into those of the one behind where its border
 * allows, and what is left, any number of them in a row, into one Affine.
 */
#include <math.h>
#include <stdlib.h>
#include "inference/graph/edit.h"

/* y = x * scale + shift for every channel of tensor x; the arrays are in the graph's arena. */
struct affine {
    int x;
    size_t channels;
    float *scale, *shift;
};

/* One number a channel of a tensor like x, or one for all. */
static bool is_per_channel(const struct value *v, const struct value *x)
{
    const int channel = v->rank - (x->rank - 1);

    if (!v->data || v->type != DTYPE_F32 || v->rank > x->rank || value_elements(v) == 0)
        return false;
    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] != 1 && (i != channel || v->dims[i] != x->dims[1]))
            return false;
    return true;
}

/* The input that the node scales or shifts by a constant, or GRAPH_NONE. */
static int varying_input(const struct graph *g, const struct node *n)
{
    static const char *const types[] = { "Mul", "Add", "Sub", "Div" };
    bool known = false;

    if (node_is(n, "BatchNormalization")) {
        for (int k = 1; k < 5; k++)
            if (!node_constant(g, n, k))
                return GRAPH_NONE;
        return n->inputs[0];
    }
    for (int i = 0; i < 4; i++)
        known |= node_is(n, types[i]);
    for (int k = 0; known && k < 2; k++) {
        const struct value *x = &g->tensors[n->inputs[k]].v, *v = &g->tensors[n->inputs[1 - k]].v;
        if (!x->data && x->type == DTYPE_F32 && x->rank >= 3 && is_per_channel(v, x) &&
            value_same_shape(x, &g->tensors[n->outputs[0]].v) && !(k == 1 && node_is(n, "Div")))
            return n->inputs[k];
    }
    return GRAPH_NONE;
}

static void read_batchnorm(const struct graph *g, const struct node *n, struct affine *a)
{
    const float epsilon = node_float(n, "epsilon", 1e-5f);

    for (size_t c = 0; c < a->channels; c++) {
        a->scale[c] =
            value_f32(node_constant(g, n, 1))[c] / sqrtf(value_f32(node_constant(g, n, 4))[c] + epsilon);
        a->shift[c] =
            value_f32(node_constant(g, n, 2))[c] - value_f32(node_constant(g, n, 3))[c] * a->scale[c];
    }
}

static void read_binary(const struct graph *g, const struct node *n, struct affine *a)
{
    const int k = n->inputs[0] == a->x ? 1 : 0;
    const struct value *v = &g->tensors[n->inputs[k]].v;
    const bool one = value_elements(v) == 1;

    for (size_t c = 0; c < a->channels; c++) {
        const float b = value_f32(v)[one ? 0 : c];
        if (node_is(n, "Mul") || node_is(n, "Div")) {
            a->scale[c] = node_is(n, "Mul") ? b : 1 / b;
        } else if (node_is(n, "Sub")) {
            a->scale[c] = k == 1 ? 1 : -1;
            a->shift[c] = k == 1 ? -b : b;
        } else {
            a->scale[c] = 1;
            a->shift[c] = b;
        }
    }
}

/* The node as an affine of varying_input(); false: out of memory. */
static bool read_affine(const struct graph *g, const struct node *n, int x, struct affine *a)
{
    *a = (struct affine){ .x = x, .channels = (size_t)g->tensors[x].v.dims[1] };
    a->scale = arena_array(g->arena, a->channels + 1, sizeof *a->scale);
    a->shift = arena_array(g->arena, a->channels + 1, sizeof *a->shift);
    if (!a->scale || !a->shift)
        return false;
    if (node_is(n, "BatchNormalization"))
        read_batchnorm(g, n, a);
    else
        read_binary(g, n, a);
    return true;
}

/* Weights of a Conv lie [out][in]; of a ConvTranspose [in][out], each of whose groups has its own. */
struct weights {
    const struct value *v;
    bool transposed;
    size_t groups, out, in, part; /* channels of a group; taps */
};

static struct weights weights_of(const struct graph *g, const struct node *conv)
{
    const struct value *v = node_constant(g, conv, 1);
    const size_t groups = (size_t)node_int(conv, "group", 1);
    struct weights w = { .v = v,
                         .transposed = node_is(conv, "ConvTranspose"),
                         .groups = groups,
                         .part = value_span(v, 2, v->rank) };

    w.out = (size_t)(w.transposed ? v->dims[1] : v->dims[0] / (int64_t)groups);
    w.in = (size_t)(w.transposed ? v->dims[0] / (int64_t)groups : v->dims[1]);
    return w;
}

/* The first tap of output and input channel m and c of a group. */
static size_t tap_of(const struct weights *w, size_t group, size_t m, size_t c)
{
    return (w->transposed ? (group * w->in + c) * w->out + m : (group * w->out + m) * w->in + c) *
           w->part;
}

/* Inputs of a node that has new constants for its second and third; false: out of memory. */
static bool set_constants(struct graph *g, struct node *n, int x, const struct value *second,
                          const struct value *third)
{
    int *inputs = arena_array(g->arena, 4, sizeof *inputs);
    const int a = graph_add_tensor(g, "folded weights", second),
              b = graph_add_tensor(g, "folded bias", third);

    if (!inputs || a == GRAPH_NONE || b == GRAPH_NONE)
        return false;
    inputs[0] = x;
    inputs[1] = a;
    inputs[2] = b;
    n->inputs = inputs;
    n->ninputs = 3;
    return true;
}

/* A vector of n numbers from the arena, zero. */
static struct value vector(struct graph *g, size_t n)
{
    return (struct value){ .type = DTYPE_F32,
                           .rank = 1,
                           .dims = { (int64_t)n },
                           .data = arena_array(g->arena, n + 1, sizeof(float)) };
}

/* w * scale and bias * scale + shift, by output channel. */
static bool fold_behind(struct graph *g, struct node *conv, const struct affine *a)
{
    const struct weights w = weights_of(g, conv);
    const struct value *b = node_constant(g, conv, 2);
    struct value scaled = *w.v, bias = vector(g, a->channels);

    scaled.data = arena_array(g->arena, value_elements(w.v) + 1, sizeof(float));
    if (!scaled.data || !bias.data)
        return false;
    for (size_t group = 0; group < w.groups; group++)
        for (size_t m = 0; m < w.out; m++) {
            const size_t channel = group * w.out + m;
            for (size_t c = 0; c < w.in; c++)
                for (size_t i = tap_of(&w, group, m, c), n = 0; n < w.part; n++, i++)
                    value_f32(&scaled)[i] = value_f32(w.v)[i] * a->scale[channel];
            value_f32(&bias)[channel] =
                (b ? value_f32(b)[channel] : 0) * a->scale[channel] + a->shift[channel];
        }
    return set_constants(g, conv, conv->inputs[0], &scaled, &bias);
}

/* w * scale by input channel, and bias + sum of w * shift. */
static bool fold_in_front(struct graph *g, struct node *conv, const struct affine *a)
{
    const struct weights w = weights_of(g, conv);
    const struct value *b = node_constant(g, conv, 2);
    struct value scaled = *w.v, bias = vector(g, w.groups * w.out);

    scaled.data = arena_array(g->arena, value_elements(w.v) + 1, sizeof(float));
    if (!scaled.data || !bias.data)
        return false;
    for (size_t group = 0; group < w.groups; group++)
        for (size_t m = 0; m < w.out; m++) {
            double sum = b ? (double)value_f32(b)[group * w.out + m] : 0;
            for (size_t c = 0; c < w.in; c++)
                for (size_t i = tap_of(&w, group, m, c), n = 0; n < w.part; n++, i++) {
                    value_f32(&scaled)[i] = value_f32(w.v)[i] * a->scale[group * w.in + c];
                    sum += (double)value_f32(w.v)[i] * (double)a->shift[group * w.in + c];
                }
            value_f32(&bias)[group * w.out + m] = (float)sum;
        }
    return set_constants(g, conv, a->x, &scaled, &bias);
}

/* Two in a row. */
static bool fold_affines(struct graph *g, struct node *first, const struct affine *a)
{
    const struct value *scale = node_constant(g, first, 1), *shift = node_constant(g, first, 2);
    struct value s = vector(g, a->channels), t = vector(g, a->channels);

    if (!s.data || !t.data)
        return false;
    for (size_t c = 0; c < a->channels; c++) {
        value_f32(&s)[c] = value_f32(scale)[c] * a->scale[c];
        value_f32(&t)[c] = value_f32(shift)[c] * a->scale[c] + a->shift[c];
    }
    return set_constants(g, first, first->inputs[0], &s, &t);
}

static bool has_constants(const struct graph *g, const struct node *n)
{
    return node_constant(g, n, 1) &&
           (n->ninputs < 3 || n->inputs[2] == GRAPH_NONE || node_constant(g, n, 2));
}

bool pass_affine_behind(struct graph *g, const struct readers *r)
{
    const int ntensors = g->ntensors; /* readers knows no tensor made here */
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *n = &g->nodes[i], *sum;
        const int x = varying_input(g, n);
        struct affine a;
        if (x == GRAPH_NONE || x >= ntensors || !(sum = node_lone_sum(g, r, x)) ||
            sum->fused.act != ACT_NONE || !has_constants(g, sum))
            continue;
        if (!read_affine(g, n, x, &a) ||
            !(node_is(sum, "Affine") ? fold_affines(g, sum, &a) : fold_behind(g, sum, &a)))
            return changed;
        node_move_into(g, sum, n);
        changed = true;
    }
    return changed;
}

/* A border of zeros would have to become one of shifts. */
static bool has_border(const struct node *conv)
{
    const struct attribute *pads = node_attribute(conv, "pads");
    const char *by = node_string(conv, "auto_pad", "NOTSET");

    for (size_t i = 0; pads && i < pads->n; i++)
        if (pads->ints[i] != 0)
            return true;
    return strcmp(by, "NOTSET") != 0 && strcmp(by, "VALID") != 0;
}

static bool shifts(const struct affine *a)
{
    for (size_t c = 0; c < a->channels; c++)
        if (a->shift[c] != 0)
            return true;
    return false;
}

bool pass_affine_in_front(struct graph *g, const struct readers *r)
{
    const int ntensors = g->ntensors;
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *conv = &g->nodes[i], *n;
        struct affine a;
        int x;
        if (!node_is(conv, "Conv") || conv->inputs[0] >= ntensors || conv->fused.residual ||
            !has_constants(g, conv) || r->count[conv->inputs[0]] != 1)
            continue;
        n = node_producer(g, conv->inputs[0]);
        if (!n || (x = varying_input(g, n)) == GRAPH_NONE)
            continue;
        if (!read_affine(g, n, x, &a))
            return changed;
        if (has_border(conv) && shifts(&a))
            continue;
        if (!fold_in_front(g, conv, &a))
            return changed;
        changed = true; /* n is read by nobody now */
    }
    return changed;
}

/* The slopes of a PRelu, one a channel; 0 and false: it has others, or no memory is left. */
static bool read_slopes(struct graph *g, const struct node *n, struct value *ret)
{
    const struct value *x = &g->tensors[n->inputs[0]].v, *v = &g->tensors[n->inputs[1]].v;

    if (!is_per_channel(v, x))
        return false;
    *ret = vector(g, (size_t)x->dims[1]);
    for (size_t c = 0; ret->data && c < (size_t)x->dims[1]; c++)
        value_f32(ret)[c] = value_f32(v)[value_elements(v) == 1 ? 0 : c];
    return ret->data != NULL;
}

/* Node n becomes an Affine of x; slopes may be NULL. */
static bool make_affine(struct graph *g, struct node *n, int x, const float *scale, const float *shift,
                        const struct value *slopes)
{
    const size_t channels = (size_t)g->tensors[x].v.dims[1];
    struct value s = vector(g, channels), t = vector(g, channels);

    if (!s.data || !t.data)
        return false;
    for (size_t c = 0; c < channels; c++) {
        value_f32(&s)[c] = scale ? scale[c] : 1;
        value_f32(&t)[c] = shift ? shift[c] : 0;
    }
    if (!set_constants(g, n, x, &s, &t))
        return false;
    if (slopes && (n->inputs[3] = graph_add_tensor(g, "slopes", slopes)) == GRAPH_NONE)
        return false;
    n->ninputs = slopes ? 4 : 3;
    n->type = "Affine";
    n->op = op_internal(n->type);
    n->nattributes = 0;
    return true;
}

/* Planes of one number are too little to be worth it. */
static bool is_map(const struct value *v)
{
    return v->type == DTYPE_F32 && v->rank == 4 && !v->data && v->dims[2] * v->dims[3] > 1;
}

bool pass_affine(struct graph *g, const struct readers *r)
{
    const int ntensors = g->ntensors;
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        const int x = varying_input(g, n);
        struct value slopes;
        struct affine a;
        if (x != GRAPH_NONE && is_map(&g->tensors[x].v)) {
            if (x < ntensors && node_is(node_lone_sum(g, r, x), "Affine"))
                continue; /* which takes this one in */
            if (!read_affine(g, n, x, &a) || !make_affine(g, n, x, a.scale, a.shift, NULL))
                return changed;
            changed = true;
        } else if (node_is(n, "PRelu") && is_map(&g->tensors[n->inputs[0]].v) &&
                   read_slopes(g, n, &slopes)) {
            if (!make_affine(g, n, n->inputs[0], NULL, NULL, &slopes))
                return changed;
            changed = true;
        }
    }
    return changed;
}
