/* See bytes.h. */
#include <math.h>
#include "inference/kernels/bytes.h"
#include "inference/kernels/simd_bytes.h"

struct quantum quantum_of_range(float low, float high)
{
    const float least = fminf(low, 0), most = fmaxf(high, 0);
    const float scale = (most - least) / 255;

    if (!(scale > 0) || !isfinite(scale))
        return (struct quantum){ .scale = 1, .zero = 0 };
    return (struct quantum){ .scale = scale, .zero = (uint8_t)lrintf(-least / scale) };
}

TARGET_AVX512 void bytes_narrow(const struct quanta *q, const float *x, uint8_t *y, size_t n)
{
    const struct byte_form form = byte_form(q);

    for (size_t i = 0; i < n; i++)
        store_bytes(y + i * 16, _mm512_load_ps(x + i * 16), &form);
}

TARGET_AVX512 void bytes_widen(const struct quanta *q, const uint8_t *x, float *y, size_t n)
{
    const struct byte_form form = byte_form(q);

    for (size_t i = 0; i < n; i++)
        _mm512_store_ps(y + i * 16, load_bytes(x + i * 16, &form));
}

/* The part of a window that lies in 0..size-1. */
static void clip(const struct window *w, int axis, int64_t out, int64_t *first, int64_t *last)
{
    *first = out * w->stride[axis] - w->before[axis];
    *last = *first + (w->kernel[axis] - 1) * w->dilation[axis];
    while (*first < 0)
        *first += w->dilation[axis];
    while (*last >= w->in[axis])
        *last -= w->dilation[axis];
}

INLINE_AVX512 __m128i largest(const struct window *w, const uint8_t *x, int64_t oy, int64_t ox)
{
    __m128i most = _mm_setzero_si128();
    int64_t top, bottom, left, right;

    clip(w, 0, oy, &top, &bottom);
    clip(w, 1, ox, &left, &right);
    for (int64_t y = top; y <= bottom; y += w->dilation[0])
        for (int64_t i = left; i <= right; i += w->dilation[1])
            most = _mm_max_epu8(
                most, _mm_load_si128((const __m128i *)(const void *)(x + (y * w->in[1] + i) * 16)));
    return most;
}

TARGET_AVX512 void bytes_max_pool(const struct window *w, const uint8_t *x, uint8_t *y, size_t planes)
{
    for (size_t p = 0; p < planes; p++, x += w->in[0] * w->in[1] * 16)
        for (int64_t oy = 0; oy < w->out[0]; oy++)
            for (int64_t ox = 0; ox < w->out[1]; ox++, y += 16)
                _mm_store_si128((__m128i *)(void *)y, largest(w, x, oy, ox));
}
