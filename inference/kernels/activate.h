/* Activations of 16 floats; act is known where it is compiled. What each means: activation_apply. */
#ifndef INFERENCE_KERNELS_ACTIVATE_H
#define INFERENCE_KERNELS_ACTIVATE_H

#include "inference/graph/graph.h"
#include "inference/kernels/simd.h"

INLINE_AVX512 __m512 activate(const enum activation act, __m512 x, __m512 alpha, __m512 beta)
{
    const __m512 zero = _mm512_setzero_ps();

    switch (act) {
    case ACT_RELU:
        return _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, zero, _CMP_LT_OQ), x, alpha);
    case ACT_SILU:
        return silu_512(x);
    case ACT_CLIP:
        return _mm512_min_ps(_mm512_max_ps(x, alpha), beta);
    case ACT_HARDSWISH: /* x * clip(x / 6 + 1/2, 0, 1) */
        return _mm512_mul_ps(x, _mm512_min_ps(_mm512_max_ps(_mm512_fmadd_ps(x, _mm512_set1_ps(1.0f / 6),
                                                                            _mm512_set1_ps(0.5f)),
                                                            zero),
                                              _mm512_set1_ps(1)));
    case ACT_SIGMOID:
        return sigmoid_512(x);
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
