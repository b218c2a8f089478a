/* Softmax over the middle of [outer, n, inner]; shared by its row and the planner. */
#ifndef INFERENCE_OPS_SOFTMAX_H
#define INFERENCE_OPS_SOFTMAX_H

#include "inference/graph/graph.h"

struct softmax_shape {
    size_t outer, n, inner;
};
struct softmax_shape softmax_shape(const struct node *n, int opset, const struct value *x);

#endif
