/* What passes that rewrite nodes share. */
#ifndef INFERENCE_GRAPH_EDIT_H
#define INFERENCE_GRAPH_EDIT_H

#include <string.h>
#include "inference/graph/passes.h"
#include "inference/ops/op.h"

/* A live node of this type; n may be NULL. */
static inline bool node_is(const struct node *n, const char *type)
{
    return n && !n->dead && strcmp(n->type, type) == 0;
}

/* The node that makes tensor t, or NULL. */
static inline struct node *node_producer(struct graph *g, int t)
{
    return t == GRAPH_NONE || g->tensors[t].producer == GRAPH_NONE ? NULL
                                                                   : &g->nodes[g->tensors[t].producer];
}

/* Input i where it is a constant, or NULL. */
static inline const struct value *node_constant(const struct graph *g, const struct node *n, int i)
{
    const struct value *v =
        i < n->ninputs && n->inputs[i] != GRAPH_NONE ? &g->tensors[n->inputs[i]].v : NULL;

    return v && v->data ? v : NULL;
}

/* Node `at` becomes what `n` is, with its own outputs; n dies. The fused node stands where the last of
 * its parts stood, so that the order of nodes stays valid. */
static inline struct node *node_move_into(struct graph *g, struct node *n, struct node *at)
{
    struct node moved = *n;

    moved.outputs = at->outputs;
    moved.noutputs = at->noutputs;
    *at = moved;
    n->dead = true;
    for (int i = 0; i < at->noutputs; i++)
        if (at->outputs[i] != GRAPH_NONE)
            g->tensors[at->outputs[i]].producer = (int)(at - g->nodes);
    return at;
}

/*
 * The node that makes t, when only one node reads that, and when it may take in what comes behind: a
 * Conv, a ConvTranspose or an Affine without slopes, nothing added to it; else NULL.
 */
static inline struct node *node_lone_sum(struct graph *g, const struct readers *r, int t)
{
    struct node *n = node_producer(g, t);
    const bool sum = node_is(n, "ConvTranspose") || (node_is(n, "Conv") && !n->fused.residual) ||
                     (node_is(n, "Affine") && n->ninputs == 3);

    return sum && r->count[t] == 1 ? n : NULL;
}

#endif
