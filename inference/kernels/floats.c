/* See floats.h. */
#include <math.h>
#include <string.h>
#include "inference/kernels/cpu.h"
#include "inference/kernels/floats.h"
#include "inference/kernels/simd.h"

bool floats_available(enum dtype type)
{
    return type == DTYPE_F16    ? cpu_isa() >= CPU_AVX512_FP16
           : type == DTYPE_BF16 ? cpu_has_bf16()
                                : type == DTYPE_F32 && cpu_isa() >= CPU_AVX512;
}

TARGET_AVX512 uint16_t floats_half_of(float x)
{
    return (uint16_t)_mm_extract_epi16(_mm_cvtps_ph(_mm_set_ss(x), _MM_FROUND_TO_NEAREST_INT), 0);
}

uint16_t floats_bfloat_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    switch (fpclassify(x)) {
    case FP_NAN: /* quiet, or its last bits might have been all there was */
        return (uint16_t)(bits >> 16 | 0x40);
    case FP_SUBNORMAL:
        return (uint16_t)(bits >> 16 & 0x8000);
    default: /* a carry into the exponent is right, up to infinity */
        return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

INLINE_AVX512 void narrow(const float *x, char *y, size_t n, const enum dtype type)
{
    for (size_t i = 0; i < n; i += 16, y += pixel_bytes(type))
        store_pixel(y, _mm512_load_ps(x + i), type);
}

TARGET_AVX512 void floats_narrow(const float *x, void *y, size_t n, enum dtype y_type)
{
#define NARROW(type) narrow(x, y, n, type)
    FLOATS_CHOOSE(y_type, NARROW);
#undef NARROW
}

INLINE_AVX512 void widen(const char *x, float *y, size_t n, const enum dtype type)
{
    for (size_t i = 0; i < n; i += 16, x += pixel_bytes(type))
        _mm512_store_ps(y + i, load_pixel(x, type));
}

TARGET_AVX512 void floats_widen(const void *x, float *y, size_t n, enum dtype x_type)
{
#define WIDEN(type) widen(x, y, n, type)
    FLOATS_CHOOSE(x_type, WIDEN);
#undef WIDEN
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

INLINE_AVX512 __m512 largest(const struct window *w, const char *x, int64_t oy, int64_t ox,
                             const enum dtype type)
{
    __m512 most = _mm512_set1_ps(-INFINITY);
    int64_t top, bottom, left, right;

    clip(w, 0, oy, &top, &bottom);
    clip(w, 1, ox, &left, &right);
    for (int64_t y = top; y <= bottom; y += w->dilation[0])
        for (int64_t i = left; i <= right; i += w->dilation[1])
            most = _mm512_max_ps(load_pixel(x + (size_t)(y * w->in[1] + i) * pixel_bytes(type), type),
                                 most);
    return most;
}

INLINE_AVX512 void max_pool(const struct window *w, const char *x, char *y, size_t planes,
                            const enum dtype type)
{
    for (size_t p = 0; p < planes; p++, x += (size_t)(w->in[0] * w->in[1]) * pixel_bytes(type))
        for (int64_t oy = 0; oy < w->out[0]; oy++)
            for (int64_t ox = 0; ox < w->out[1]; ox++, y += pixel_bytes(type))
                store_pixel(y, largest(w, x, oy, ox, type), type);
}

TARGET_AVX512
void floats_max_pool(const struct window *w, const void *x, void *y, size_t planes, enum dtype type)
{
#define POOL(type) max_pool(w, x, y, planes, type)
    FLOATS_CHOOSE(type, POOL);
#undef POOL
}
