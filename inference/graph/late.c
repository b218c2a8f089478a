/* The late part of a graph: see late.h. */
#include <string.h>
#include "inference/graph/late.h"
#include "inference/ops/op.h"

bool late_reads(const struct node *n, const bool tensors[])
{
    for (int i = 0; i < n->ninputs; i++)
        if (n->inputs[i] != GRAPH_NONE && tensors[n->inputs[i]])
            return true;
    return false;
}

bool late_mark(const struct node *n, bool tensors[])
{
    if (!n->op->shrinks && !late_reads(n, tensors))
        return false;
    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE)
            tensors[n->outputs[i]] = true;
    return true;
}

/* seen[ntensors]: inputs of the part so far. */
static void add_inputs(const struct graph *g, const struct node *n, bool seen[], struct late_part *p)
{
    for (int i = 0; i < n->ninputs; i++) {
        const int t = n->inputs[i];
        if (t == GRAPH_NONE || p->tensors[t] || g->tensors[t].v.data || seen[t])
            continue;
        seen[t] = true;
        p->inputs[p->ninputs++] = t;
    }
}

enum status late_find(struct graph *g, struct late_part *ret, struct fault *f)
{
    const size_t ntensors = (size_t)g->ntensors + 1;
    struct late_part p = {
        .nodes = arena_array(g->arena, (size_t)g->nnodes + 1, sizeof *p.nodes),
        .inputs = arena_array(g->arena, ntensors, sizeof *p.inputs),
        .tensors = arena_array(g->arena, ntensors, sizeof *p.tensors),
    };
    bool *seen = arena_array(g->arena, ntensors, sizeof *seen);

    if (!p.nodes || !p.inputs || !p.tensors || !seen)
        return fault_set(f, ST_TOO_LARGE, "model", "the graph is too large");
    for (int i = 0; i < g->nnodes; i++)
        if (!g->nodes[i].dead && late_mark(&g->nodes[i], p.tensors)) {
            p.nodes[p.nnodes++] = i;
            add_inputs(g, &g->nodes[i], seen, &p);
        }
    *ret = p;
    return ST_OK;
}

/* Whether the outputs follow from shapes and constants alone: what is known before anything is found. */
static bool is_known(const struct evaluation *e, const struct node *n)
{
    if (n->op->heavy || n->op->shrinks)
        return false;
    for (int i = 0; i < n->ninputs && !n->op->shape_only; i++) {
        const struct value *v = n->inputs[i] == GRAPH_NONE ? NULL : &e->values[n->inputs[i]];
        if (v && (!v->data || value_elements(v) > GRAPH_FOLD_ELEMENTS))
            return false;
    }
    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE &&
            value_elements(&e->values[n->outputs[i]]) > GRAPH_FOLD_ELEMENTS)
            return false;
    return true;
}

static enum status infer_bounds(struct evaluation *e, const struct node *n, struct fault *f)
{
    double work;
    enum status st = evaluation_infer(e, n, &work, f);

    if (st != ST_OK || !is_known(e, n) || (e->work -= work) < 0)
        return st;
    return evaluation_run(e, n, f);
}

enum status late_infer(struct graph *g, struct fault *f)
{
    struct evaluation e = { 0 };
    struct late_part p;
    enum status st = late_find(g, &p, f);

    if (st != ST_OK || p.nnodes == 0)
        return st;
    st = evaluation_create(&e, g, f);
    e.work = (double)g->fold_budget;
    for (int i = 0; st == ST_OK && i < p.nnodes; i++)
        st = infer_bounds(&e, &g->nodes[p.nodes[i]], f);
    for (int t = 0; st == ST_OK && t < g->ntensors; t++)
        if (p.tensors[t]) {
            g->tensors[t].v = e.values[t];
            g->tensors[t].v.data = NULL;
        }
    evaluation_free(&e);
    return st;
}

enum status late_run(struct evaluation *e, const struct late_part *p, struct fault *f)
{
    enum status st = ST_OK;

    evaluation_begin(e);
    for (int i = 0; st == ST_OK && i < p->nnodes; i++)
        st = evaluation_run_late(e, &e->g->nodes[p->nodes[i]], f);
    return st;
}
