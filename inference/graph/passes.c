/*
 * The passes that only rewire: dead code, identities, and the driver. Those that know convolutions are
 * in fuse.c.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/graph/passes.h"
#include "inference/ops/op.h"

/* Passes add tensors: the lists are made anew each time. */
static bool find_readers(const struct graph *g, struct readers *r)
{
    free(r->count);
    free(r->node);
    r->count = calloc((size_t)g->ntensors + 1, sizeof *r->count);
    r->node = calloc((size_t)g->ntensors + 1, sizeof *r->node);
    if (!r->count || !r->node)
        return false;
    graph_count_uses(g, r->count);
    for (int i = 0; i < g->ntensors; i++)
        r->node[i] = GRAPH_NONE;
    for (int i = 0; i < g->nnodes; i++)
        for (int k = 0; !g->nodes[i].dead && k < g->nodes[i].ninputs; k++)
            if (g->nodes[i].inputs[k] != GRAPH_NONE)
                r->node[g->nodes[i].inputs[k]] = i;
    return true;
}

/* Until nothing changes. False: out of memory. */
static bool settle(struct graph *g, struct readers *r)
{
    static bool (*const passes[])(struct graph *, const struct readers *) = {
        pass_dead_code,     pass_identity, pass_dequantise,      pass_attention,
        pass_affine_behind, pass_silu,     pass_hard_swish,      pass_activation,
        pass_branches,      pass_residual, pass_affine_in_front,
    };
    bool ok = true, changed = true;

    while (ok && changed) {
        changed = false;
        for (size_t i = 0; ok && i < sizeof passes / sizeof passes[0]; i++)
            if ((ok = find_readers(g, r)))
                changed |= passes[i](g, r);
    }
    return ok;
}

enum status graph_optimise(struct graph *g, struct fault *f)
{
    struct readers r = { 0 };
    bool ok = settle(g, &r);

    if (ok && pass_tail(g, &r)) {
        pass_rows(g, &r);
        ok = settle(g, &r);
    }
    if (ok && find_readers(g, &r) && pass_affine(g, &r))
        ok = settle(g, &r);
    free(r.count);
    free(r.node);
    return ok ? ST_OK : fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
}

/* Backwards, so that a chain of unread nodes dies in one go. */
bool pass_dead_code(struct graph *g, const struct readers *r)
{
    bool changed = false;

    for (int i = g->nnodes - 1; i >= 0; i--) {
        struct node *n = &g->nodes[i];
        bool read = false;
        for (int k = 0; k < n->noutputs; k++)
            read |= n->outputs[k] != GRAPH_NONE && r->count[n->outputs[k]] > 0;
        if (n->dead || read)
            continue;
        n->dead = changed = true;
        for (int k = 0; k < n->ninputs; k++)
            if (n->inputs[k] != GRAPH_NONE)
                r->count[n->inputs[k]]--;
    }
    return changed;
}

static bool is_output(const struct graph *g, int t)
{
    for (int i = 0; i < g->noutputs; i++)
        if (g->outputs[i] == t)
            return true;
    return false;
}

/* One sweep forward: whoever reads an identity's output reads its input instead. */
bool pass_identity(struct graph *g, const struct readers *r)
{
    int *same = malloc(((size_t)g->ntensors + 1) * sizeof *same);
    bool changed = false;

    (void)r;
    for (int i = 0; same && i < g->ntensors; i++)
        same[i] = i;
    for (int i = 0; same && i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        for (int k = 0; k < n->ninputs; k++)
            if (n->inputs[k] != GRAPH_NONE)
                n->inputs[k] = same[n->inputs[k]];
        if (n->dead || (strcmp(n->type, "Identity") != 0 && strcmp(n->type, "Dropout") != 0) ||
            n->outputs[0] == GRAPH_NONE || is_output(g, n->outputs[0]))
            continue;
        same[n->outputs[0]] = n->inputs[0];
        n->dead = changed = true;
    }
    free(same);
    return changed;
}
