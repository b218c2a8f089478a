/*
 * The late part of a graph: nodes whose shapes only a run tells. NonMaxSuppression and NonZero give as
 * many rows as they find, and all that reads them, or what follows from them, is late as well. The rest
 * has fixed shapes and is planned; late nodes are inferred again and run by their references in every
 * run, on the values of that run.
 *
 * At load they are inferred from the most that can be found, so that the graph's tensors have types and
 * upper bounds for their shapes, and what could never run is refused. A shape of a late tensor is known
 * then as an upper bound too: padding to a fixed number of rows comes out right.
 */
#ifndef INFERENCE_GRAPH_LATE_H
#define INFERENCE_GRAPH_LATE_H

#include "inference/graph/evaluate.h"

struct late_part {
    int nnodes, ninputs;
    int *nodes;    /* [nnodes], in order; none is dead */
    int *inputs;   /* [ninputs] tensors that they read and others make in a run */
    bool *tensors; /* [ntensors] of g, that they make */
};

/* The array lives in the graph's arena. ST_TOO_LARGE: it has no room. */
enum status late_find(struct graph *g, struct late_part *ret, struct fault *f) MUST_USE;

/* Whether n reads a tensor that is marked. */
bool late_reads(const struct node *n, const bool tensors[]);
/* Marks what n makes if it is late, n being live; tells whether it is. */
bool late_mark(const struct node *n, bool tensors[]);

/*
 * Upper bounds for the shapes of late tensors; for graph_infer. ST_UNSUPPORTED: a shape that depends on
 * what is found, not only on how much.
 */
enum status late_infer(struct graph *g, struct fault *f) MUST_USE;

/* The late nodes of one run. The values of the part's inputs have data; afterwards those of its outputs
 * have, until the next run. */
enum status late_run(struct evaluation *e, const struct late_part *p, struct fault *f) MUST_USE;

#endif
