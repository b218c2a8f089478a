/* One node at a time: what graph_infer and the late part of a graph (late.h) share. */
#ifndef INFERENCE_GRAPH_INFER_H
#define INFERENCE_GRAPH_INFER_H

#include "inference/ops/op.h"

/* The operator's infer, and the limits on what it says: rank, elements, the graph's memory. */
enum status infer_call(const struct graph *g, const struct call *c, struct fault *f) MUST_USE;

/* Multiplications of an inferred call, about: what bounds the time of a run. */
double call_work(const struct call *c);

#endif
