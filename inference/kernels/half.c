/* See half.h. */
#include <math.h>
#include "inference/kernels/half.h"
#include "inference/kernels/simd.h"

TARGET_AVX512 void half_narrow(const float *x, uint16_t *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16)
        store_pixel(y + i, _mm512_load_ps(x + i), true);
}

TARGET_AVX512 void half_widen(const uint16_t *x, float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16)
        _mm512_store_ps(y + i, load_pixel(x + i, true));
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

INLINE_AVX512 __m512 largest(const struct window *w, const uint16_t *x, int64_t oy, int64_t ox)
{
    __m512 most = _mm512_set1_ps(-INFINITY);
    int64_t top, bottom, left, right;

    clip(w, 0, oy, &top, &bottom);
    clip(w, 1, ox, &left, &right);
    for (int64_t y = top; y <= bottom; y += w->dilation[0])
        for (int64_t i = left; i <= right; i += w->dilation[1])
            most = _mm512_max_ps(load_pixel(x + (y * w->in[1] + i) * 16, true), most);
    return most;
}

TARGET_AVX512 void half_max_pool(const struct window *w, const uint16_t *x, uint16_t *y, size_t planes)
{
    for (size_t p = 0; p < planes; p++, x += w->in[0] * w->in[1] * 16)
        for (int64_t oy = 0; oy < w->out[0]; oy++)
            for (int64_t ox = 0; ox < w->out[1]; ox++, y += 16)
                store_pixel(y, largest(w, x, oy, ox), true);
}
