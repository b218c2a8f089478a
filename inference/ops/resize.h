/* Resize, shared by its row and the planner. */
#ifndef INFERENCE_OPS_RESIZE_H
#define INFERENCE_OPS_RESIZE_H

#include "inference/ops/op.h"

/*
 * True when the call repeats each element of [N, C, H, W] `factor[0]` times down and `factor[1]` times
 * across: what detectors' upsampling comes to.
 */
bool resize_is_repeat(const struct call *c, int64_t factor[2]);

/* True when [N, C, H, W] keeps N and C. */
bool resize_is_of_planes(const struct call *c);

/* For each output index of an axis, taps[out]: two input indices and the weight of the second. */
struct resize_tap {
    int64_t low, high;
    float weight;
};
void resize_taps(const struct call *c, int axis, struct resize_tap taps[]);

#endif
