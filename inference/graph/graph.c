/*
 * The neutral graph: building, copying, attributes, labels. See graph.h.
 */
#include <stdio.h>
#include <string.h>
#include "inference/graph/graph.h"

size_t graph_memory_limit(size_t file_bytes)
{
    const size_t most = (size_t)LIMIT_MODEL_MEMORY_BYTES;
    size_t bytes;

    if (!size_mul(file_bytes, 32, &bytes) || !size_add(bytes, (size_t)128 << 20, &bytes) || bytes > most)
        return most;
    return bytes;
}

static struct graph *create_limited(size_t memory_limit)
{
    struct arena *a = arena_create(memory_limit);
    struct graph *g = a ? arena_alloc(a, sizeof *g) : NULL;

    if (!g) {
        arena_free(a);
        return NULL;
    }
    g->arena = a;
    g->memory_limit = memory_limit;
    g->fold_budget = 100 << 20;
    return g;
}

struct graph *graph_create(size_t file_bytes)
{
    return create_limited(graph_memory_limit(file_bytes));
}

void graph_free(struct graph *g)
{
    if (g)
        arena_free(g->arena);
}

/* Room for one more element; the old array stays in the arena, which doubling bounds to as much again.
 */
static bool grow(struct arena *a, void **array, int n, int *cap, size_t size)
{
    const int more = *cap ? *cap * 2 : 64;
    void *p;

    if (n < *cap)
        return true;
    if (!(p = arena_array(a, (size_t)more, size)))
        return false;
    if (n)
        memcpy(p, *array, (size_t)n * size);
    *array = p;
    *cap = more;
    return true;
}

int graph_add_tensor(struct graph *g, const char *name, const struct value *v)
{
    void *array = g->tensors;
    struct tensor *t;

    if (g->ntensors >= LIMIT_ONNX_TENSORS ||
        !grow(g->arena, &array, g->ntensors, &g->tensors_cap, sizeof *t))
        return GRAPH_NONE;
    g->tensors = array;
    t = &g->tensors[g->ntensors];
    *t = (struct tensor){ .name = arena_strdup(g->arena, name), .v = *v, .producer = GRAPH_NONE };
    return t->name ? g->ntensors++ : GRAPH_NONE;
}

int graph_add_node(struct graph *g, const char *type, const char *name, int ninputs, int noutputs,
                   int nattributes)
{
    void *array = g->nodes;
    struct node *n;

    if (g->nnodes >= LIMIT_ONNX_NODES || !grow(g->arena, &array, g->nnodes, &g->nodes_cap, sizeof *n))
        return GRAPH_NONE;
    g->nodes = array;
    n = &g->nodes[g->nnodes];
    *n = (struct node){
        .type = arena_strdup(g->arena, type),
        .name = arena_strdup(g->arena, name),
        .ninputs = ninputs,
        .noutputs = noutputs,
        .nattributes = nattributes,
        .inputs = arena_array(g->arena, (size_t)ninputs + 1, sizeof(int)),
        .outputs = arena_array(g->arena, (size_t)noutputs + 1, sizeof(int)),
        .attributes = arena_array(g->arena, (size_t)nattributes + 1, sizeof *n->attributes),
    };
    if (!n->type || !n->name || !n->inputs || !n->outputs || !n->attributes)
        return GRAPH_NONE;
    for (int i = 0; i < ninputs; i++)
        n->inputs[i] = GRAPH_NONE;
    for (int i = 0; i < noutputs; i++)
        n->outputs[i] = GRAPH_NONE;
    return g->nnodes++;
}

static void *copy(struct arena *a, const void *p, size_t n, size_t size)
{
    void *q = arena_array(a, n + 1, size);

    if (q && n)
        memcpy(q, p, n * size);
    return q;
}

struct graph *graph_clone(const struct graph *g)
{
    const size_t taken = arena_bytes(g->arena);
    struct graph *c = create_limited(g->memory_limit > taken ? g->memory_limit - taken : 0);
    struct arena *a = c ? c->arena : NULL;

    if (!c)
        return NULL;
    *c = *g;
    c->arena = a;
    c->inputs = copy(a, g->inputs, (size_t)g->ninputs, sizeof *g->inputs);
    c->outputs = copy(a, g->outputs, (size_t)g->noutputs, sizeof *g->outputs);
    c->tensors = copy(a, g->tensors, (size_t)g->ntensors, sizeof *g->tensors);
    c->nodes = copy(a, g->nodes, (size_t)g->nnodes, sizeof *g->nodes);
    c->tensors_cap = c->ntensors;
    c->nodes_cap = c->nnodes;
    for (int i = 0; c->nodes && i < c->nnodes; i++) {
        struct node *n = &c->nodes[i];
        n->inputs = copy(a, n->inputs, (size_t)n->ninputs, sizeof *n->inputs);
        n->outputs = copy(a, n->outputs, (size_t)n->noutputs, sizeof *n->outputs);
    }
    if (arena_failed(a)) {
        arena_free(a);
        return NULL;
    }
    return c;
}

const char *text_printable(const char *s, char *text, size_t size)
{
    size_t i;

    for (i = 0; s && s[i] && i + 1 < size; i++)
        text[i] = s[i] >= ' ' && s[i] <= '~' && s[i] != '"' && s[i] != '\\' ? s[i] : '?';
    text[i] = '\0';
    return text;
}

const char *node_label(const struct graph *g, const struct node *n, char *text, size_t size)
{
    char type[40], name[64];

    snprintf(text, size, "%s node \"%s\" (number %d)", text_printable(n->type, type, sizeof type),
             text_printable(n->name, name, sizeof name), (int)(n - g->nodes));
    return text;
}

const struct attribute *node_attribute(const struct node *n, const char *name)
{
    for (int i = 0; i < n->nattributes; i++)
        if (strcmp(n->attributes[i].name, name) == 0)
            return &n->attributes[i];
    return NULL;
}

int64_t node_int(const struct node *n, const char *name, int64_t absent)
{
    const struct attribute *a = node_attribute(n, name);

    return a ? a->i : absent;
}

float node_float(const struct node *n, const char *name, float absent)
{
    const struct attribute *a = node_attribute(n, name);

    return a ? a->f : absent;
}

const char *node_string(const struct node *n, const char *name, const char *absent)
{
    const struct attribute *a = node_attribute(n, name);

    return a ? a->s : absent;
}

void graph_count_uses(const struct graph *g, int uses[])
{
    memset(uses, 0, (size_t)g->ntensors * sizeof uses[0]);
    for (int i = 0; i < g->nnodes; i++)
        for (int k = 0; !g->nodes[i].dead && k < g->nodes[i].ninputs; k++)
            if (g->nodes[i].inputs[k] != GRAPH_NONE)
                uses[g->nodes[i].inputs[k]]++;
    for (int i = 0; i < g->noutputs; i++)
        uses[g->outputs[i]]++;
}
