/*
 * The end of an end-to-end YOLO: a ranking of rows of boxes and scores, some twenty nodes by which
 * exporters spell the operator YoloRows. Like the decoder in front of it (tail.c) it is recognised by
 * what it does: tried on random rows, it must give exactly what the nodes give.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/graph/evaluate.h"
#include "inference/graph/passes.h"
#include "inference/ops/op.h"

enum { NODES_MAX = 100 };

static bool is(const struct node *n, const char *type)
{
    return !n->dead && strcmp(n->type, type) == 0;
}

/* A Concat of rows [1, k, 6 + extras]. */
static bool may_be_rows(const struct graph *g, const struct node *n)
{
    const struct value *v = is(n, "Concat") ? &g->tensors[n->outputs[0]].v : NULL;

    return v && v->type == DTYPE_F32 && v->rank == 3 && v->dims[0] == 1 && v->dims[1] > 0 &&
           v->dims[2] >= 6;
}

/*
 * Marks the nodes between t and the decoder's output that it depends on, which is returned; GRAPH_NONE:
 * it depends on something else too, on no ranking, or on too much.
 */
static int find_decoded(const struct graph *g, int t, bool needed[])
{
    int stack[NODES_MAX], n = 0, seen = 0, decoded = GRAPH_NONE;
    bool ranked = false;

    stack[n++] = t;
    while (n > 0) {
        const int at = stack[--n], producer = g->tensors[at].producer;
        const struct node *p = producer == GRAPH_NONE ? NULL : &g->nodes[producer];
        if (g->tensors[at].v.data || (p && needed[producer]))
            continue;
        if (!p || (decoded != GRAPH_NONE && is(p, "YoloDecode") && decoded != at))
            return GRAPH_NONE;
        if (is(p, "YoloDecode")) {
            decoded = at;
            continue;
        }
        needed[producer] = true;
        ranked |= is(p, "TopK");
        if (++seen == NODES_MAX || p->op->shrinks)
            return GRAPH_NONE;
        for (int i = 0; i < p->ninputs; i++)
            if (p->inputs[i] != GRAPH_NONE) {
                if (n == NODES_MAX)
                    return GRAPH_NONE;
                stack[n++] = p->inputs[i];
            }
    }
    return ranked ? decoded : GRAPH_NONE;
}

/* Numbers from 0 to 1 that hardly ever repeat: of equal ones either could come first. */
static void fill(struct value *v)
{
    uint32_t state = 1;

    for (size_t i = 0; i < value_elements(v); i++) {
        state = state * 1664525 + 1013904223;
        value_f32(v)[i] = (float)(state >> 8) * (1.0f / (1 << 24));
    }
}

/* The nodes' rows and the operator's are the same. */
static bool agrees(const struct graph *g, const struct node *rows, int decoded, const bool needed[])
{
    struct fault f = FAULT_INIT;
    struct evaluation e = { 0 };
    struct value x = g->tensors[decoded].v, y = g->tensors[rows->outputs[0]].v;
    bool ok = evaluation_create(&e, g, &f) == ST_OK;

    x.data = malloc(value_bytes(&x) + 1);
    y.data = malloc(value_bytes(&y) + 1);
    ok = ok && x.data && y.data;
    if (ok) {
        fill(&x);
        e.values[decoded].data = x.data;
        e.left[rows->outputs[0]]++; /* kept, to be looked at */
    }
    for (int i = 0; ok && i < g->nnodes; i++)
        ok = !needed[i] || evaluation_run(&e, &g->nodes[i], &f) == ST_OK;
    if (ok) {
        const struct value *const in[] = { &x };
        struct value *const out[] = { &y };
        op_internal("YoloRows")->reference(&(const struct call){ rows, g->opset, 1, 1, in, out });
        ok = memcmp(y.data, e.values[rows->outputs[0]].data, value_bytes(&y)) == 0;
    }
    evaluation_free(&e);
    free(x.data);
    free(y.data);
    return ok;
}

/* What the node would be as the operator; false: out of memory. */
static bool as_rows(const struct graph *g, const struct node *n, int decoded, struct node *ret)
{
    const struct value *x = &g->tensors[decoded].v, *y = &g->tensors[n->outputs[0]].v;
    struct attribute *a = arena_array(g->arena, 2, sizeof *a);
    int *inputs = arena_array(g->arena, 1, sizeof *inputs);

    if (!a || !inputs)
        return false;
    inputs[0] = decoded;
    a[0] = (struct attribute){ .name = "nclasses",
                               .kind = ATTRIBUTE_INT,
                               .i = x->dims[1] - 4 - (y->dims[2] - 6) };
    a[1] = (struct attribute){ .name = "rows", .kind = ATTRIBUTE_INT, .i = y->dims[1] };
    *ret = *n;
    ret->type = "YoloRows";
    ret->op = op_internal(ret->type);
    ret->inputs = inputs;
    ret->ninputs = 1;
    ret->attributes = a;
    ret->nattributes = 2;
    return true;
}

bool pass_rows(struct graph *g, const struct readers *r)
{
    bool *needed = calloc((size_t)g->nnodes + 1, sizeof *needed), changed = false;

    (void)r;
    for (int i = 0; needed && i < g->nnodes; i++) {
        struct node *n = &g->nodes[i], rows;
        int decoded;
        if (!may_be_rows(g, n))
            continue;
        memset(needed, 0, (size_t)g->nnodes * sizeof *needed);
        if ((decoded = find_decoded(g, n->outputs[0], needed)) == GRAPH_NONE ||
            g->tensors[n->outputs[0]].v.dims[1] > g->tensors[decoded].v.dims[2] ||
            g->tensors[decoded].v.dims[0] != 1 ||
            g->tensors[n->outputs[0]].v.dims[2] - 6 >= g->tensors[decoded].v.dims[1] - 4)
            continue;
        if (!as_rows(g, n, decoded, &rows))
            break;
        if (agrees(g, &rows, decoded, needed)) {
            *n = rows;
            changed = true;
        }
    }
    free(needed);
    return changed;
}
