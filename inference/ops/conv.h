/*
 * Convolution, shared by the operator's row and the passes and planner that know it.
 */
#ifndef INFERENCE_OPS_CONV_H
#define INFERENCE_OPS_CONV_H

#include "inference/ops/window.h"

/* x [N, C, H, W], weights [M, C/groups, kH, kW], bias [M] or NULL, residual of the output's shape or
 * NULL. */
struct conv {
    struct window w;
    int64_t batch, ci, co, groups;
    const struct value *x, *weights, *bias, *residual;
};
enum status conv_read(const struct call *c, struct conv *ret, struct fault *f) MUST_USE;

/* y = act(x), as conv, unary operators and the planner agree on it. */
float activation_apply(const struct fusion *f, float x);

#endif
