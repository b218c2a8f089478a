/*
 * Nodes by their references, one after another, on the values of one run: what the interpreter and the
 * late part of a graph (late.h) are made of. Memory of a tensor is taken when it is made, and given back
 * after its last reader. One thread at a time.
 */
#ifndef INFERENCE_GRAPH_EVALUATE_H
#define INFERENCE_GRAPH_EVALUATE_H

#include "inference/graph/graph.h"

struct evaluation {
    const struct graph *g;
    struct value *values; /* [ntensors] the graph's own, then with the data and shapes of this run */
    bool *made;           /* [ntensors] the data was allocated here */
    int *left;            /* [ntensors] readers still to come; the graph's outputs count */
    const struct value **in;
    struct value **out;
    size_t bytes; /* of what was made and is still there */
    double work;  /* that late nodes may still do: call_work */
};

/* ST_UNAVAILABLE: out of memory. Release with evaluation_free, also after a failure. */
enum status evaluation_create(struct evaluation *e, const struct graph *g, struct fault *f) MUST_USE;
void evaluation_free(struct evaluation *e); /* accepts a zeroed one */

/* Forgets what was made, for another run. */
void evaluation_begin(struct evaluation *e);

/* The reference, on outputs of the shapes that the values have. ST_TOO_LARGE: an operator gave up. */
enum status evaluation_run(struct evaluation *e, const struct node *n, struct fault *f) MUST_USE;

/* Shapes of a late node's outputs from the values of this run; ret_work: what running it costs. */
enum status evaluation_infer(struct evaluation *e, const struct node *n, double *ret_work,
                             struct fault *f) MUST_USE;

/* Both, within the limits on memory and work. */
enum status evaluation_run_late(struct evaluation *e, const struct node *n, struct fault *f) MUST_USE;

#endif
