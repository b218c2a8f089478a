/*
 * Direct convolution of bytes: how weights are rounded to bytes and packed, and how results become
 * bytes. The walk over the picture is that of conv_direct.c.
 *
 * With x = s (q - z) and, for each output channel, w = t v, the sum over w x is s t (sum of v q - z sum
 * of v): the second term is what the integer sums start with. Padding is filled with z.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inference/kernels/activate.h"
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/cpu.h"
#include "inference/kernels/simd_bytes.h"
#include "inference/kernels/tile.h"
#include "inference/kernels/tile_int8.h"

bool bytes_suit(const struct conv_shape *s)
{
    return cpu_has_vnni() && s->ci * s->w.kernel[0] * s->w.kernel[1] <= TILE_INT8_PRODUCTS;
}

/* The step of n weights as signed bytes. */
static float weight_step(const float *w, size_t n)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(w[i]));
    return most > 0 && isfinite(most) ? most / 127 : 1;
}

static int8_t weight_byte(float w, float step)
{
    return (int8_t)lrintf(fminf(fmaxf(w / step, -127), 127));
}

/* Weights of output channel o, which stands at place `at` of a run of groups; returns their sum. */
static int32_t pack_channel(struct conv_kernel *k, const float *w, float step, int8_t *run, size_t at,
                            size_t groups)
{
    const size_t ntaps = (size_t)(k->shape.w.kernel[0] * k->shape.w.kernel[1]);
    int32_t sum = 0;

    for (size_t c = 0; c < (size_t)k->shape.ci; c++)
        for (size_t t = 0; t < ntaps; t++) {
            const int8_t v = weight_byte(w[c * ntaps + t], step);
            run[((c / 16 * ntaps + t) * 4 + c % 16 / 4) * 64 * groups + at * 4 + c % 4] = v;
            sum += v;
        }
    return sum;
}

bool bytes_pack(struct conv_kernel *k, const float *weights)
{
    const size_t each = (size_t)(k->shape.ci * k->shape.w.kernel[0] * k->shape.w.kernel[1]);
    const size_t per_group = (size_t)(k->in_blocks * k->shape.w.kernel[0] * k->shape.w.kernel[1]) * 256;
    int8_t *packed;

    k->weight_bytes = (size_t)k->out_blocks * (per_group + 128);
    k->scales = conv_zeros((size_t)k->out_blocks * 64);
    k->starts = conv_zeros((size_t)k->out_blocks * 64);
    if (!(packed = k->weights = conv_zeros((size_t)k->out_blocks * per_group)) || !k->scales ||
        !k->starts)
        return false;
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        const size_t first = (size_t)g * 16;
        groups = tile_groups(k->out_blocks - g);
        for (size_t o = first; o < first + (size_t)groups * 16 && o < (size_t)k->shape.co; o++) {
            const float step = weight_step(weights + o * each, each);
            k->scales[o] = step * k->shape.x_bytes.scale;
            k->starts[o] = -k->shape.x_bytes.zero * pack_channel(k, weights + o * each, step,
                                                                 packed + (size_t)g * per_group,
                                                                 o - first, (size_t)groups);
        }
    }
    return true;
}

/* SiLU where the result is rounded to a byte: within 4e-4 of it. Beyond 80 the exponential is that of
 * 80: smaller ones would be denormal, which costs a hundred times as much. */
INLINE_AVX512 __m512 silu_coarse(__m512 x)
{
    enum { LESSER_SIZE_SIGN_OF_FIRST = 2, FRACTION_OF_NEAREST = 0 };
/* Without optimisation these are macros of gcc's header, which convert constants of their own. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
    const __m512 within = _mm512_range_ps(x, _mm512_set1_ps(80), LESSER_SIZE_SIGN_OF_FIRST);
    const __m512 t = _mm512_mul_ps(within, _mm512_set1_ps(-1.44269504f));
    const __m512 r = _mm512_reduce_ps(t, FRACTION_OF_NEAREST);
#pragma GCC diagnostic pop
    __m512 p = _mm512_set1_ps(0.0555041f);

    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.2402265f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.6931472f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1));
    p = _mm512_scalef_ps(p, _mm512_sub_ps(t, r));
    return _mm512_mul_ps(x, _mm512_rcp14_ps(_mm512_add_ps(p, _mm512_set1_ps(1))));
}

INLINE_AVX512 void finish(const struct conv_shape *s, const enum activation act, const float *x,
                          const uint8_t *residual, uint8_t *y, size_t n)
{
    const __m512 alpha = _mm512_set1_ps(s->fused.alpha), beta = _mm512_set1_ps(s->fused.beta);
    const struct byte_form out = byte_form(&s->y_bytes), added = byte_form(&s->residual_bytes);

    for (size_t i = 0; i < n; i++) {
        const __m512 in = _mm512_load_ps(x + 16 * i);
        __m512 v = act == ACT_SILU ? silu_coarse(in) : activate(act, in, alpha, beta);
        if (residual)
            v = _mm512_add_ps(v, load_bytes(residual + 16 * i, &added));
        store_bytes(y + 16 * i, v, &out);
    }
}

TARGET_AVX512 void conv_finish_bytes(const struct conv_shape *s, const float *x, const uint8_t *residual,
                                     uint8_t *y, size_t n)
{
#define FINISH(act) finish(s, act, x, residual, y, n)
    ACTIVATION_CHOOSE(s->fused.act, FINISH);
#undef FINISH
}
