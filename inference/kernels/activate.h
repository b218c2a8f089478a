/* Activations of a vector of floats; act is known where it is compiled. What each means:
 * activation_apply. */
#ifndef INFERENCE_KERNELS_ACTIVATE_H
#define INFERENCE_KERNELS_ACTIVATE_H

#include "inference/graph/graph.h"
#include "inference/kernels/vector.h"

INLINE_VECTOR VECTOR activate(const enum activation act, VECTOR x, VECTOR alpha, VECTOR beta)
{
    const VECTOR zero = vec_zero();

    switch (act) {
    case ACT_RELU:
        return vec_scale_negative(x, alpha);
    case ACT_SILU:
        return vec_silu(x);
    case ACT_CLIP:
        return vec_min(vec_max(x, alpha), beta);
    case ACT_HARDSWISH: /* x * clip(x / 6 + 1/2, 0, 1) */
        return vec_mul(
            x, vec_min(vec_max(vec_fmadd(x, vec_set1(1.0f / 6), vec_set1(0.5f)), zero), vec_set1(1)));
    case ACT_SIGMOID:
        return vec_sigmoid(x);
    case ACT_NONE:
        break;
    }
    return x;
}

/* RUN(act) with the activation known where it is compiled: the choice is made once, outside of the loop.
 */
#define ACTIVATION_CHOOSE(act, RUN)                                                                     \
    switch (act) {                                                                                      \
    case ACT_NONE:                                                                                      \
        RUN(ACT_NONE);                                                                                  \
        break;                                                                                          \
    case ACT_RELU:                                                                                      \
        RUN(ACT_RELU);                                                                                  \
        break;                                                                                          \
    case ACT_SILU:                                                                                      \
        RUN(ACT_SILU);                                                                                  \
        break;                                                                                          \
    case ACT_SIGMOID:                                                                                   \
        RUN(ACT_SIGMOID);                                                                               \
        break;                                                                                          \
    case ACT_CLIP:                                                                                      \
        RUN(ACT_CLIP);                                                                                  \
        break;                                                                                          \
    case ACT_HARDSWISH:                                                                                 \
        RUN(ACT_HARDSWISH);                                                                             \
        break;                                                                                          \
    }

#endif
