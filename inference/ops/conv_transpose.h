/* Transposed convolution, shared by the operator's row and the passes and planner that know it. */
#ifndef INFERENCE_OPS_CONV_TRANSPOSE_H
#define INFERENCE_OPS_CONV_TRANSPOSE_H

#include "inference/ops/window.h"

/* x [N, C, (H,) W], weights [C, M/groups, (kH,) kW], bias [M] or NULL; w.out is the output's size. */
struct conv_transpose {
    struct window w;
    int64_t ci, co, groups;
    const struct value *x, *weights, *bias;
};
enum status conv_transpose_read(const struct call *c, struct conv_transpose *ret,
                                struct fault *f) MUST_USE;

#endif
