/* See tile_int8.h and tile.c, whose shapes these are. */
#include <string.h>
#include "inference/kernels/simd_bytes.h"
#include "inference/kernels/tile.h"
#include "inference/kernels/tile_int8.h"

/* Four channels of one pixel in every lane. */
INLINE_AVX512 __m512i four_channels(const uint8_t *x)
{
    int four;

    memcpy(&four, x, sizeof four);
    return _mm512_set1_epi32(four);
}

/* _mm512_dpbusd_epi32, of which gcc 12 keeps a copy in memory for every sum. */
INLINE_VNNI __m512i dot_bytes(__m512i sum, __m512i x, __m512i w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
}

INLINE_VNNI void run(const struct tile_int8 *t, const int groups, const int pixels)
{
    const int8_t *w = t->w;
    __m512i sum[28];

    UNROLL
    for (int i = 0; i < groups * pixels; i++)
        sum[i] = _mm512_loadu_si512(t->start + 16 * (i / pixels));
    for (int c = 0; c < t->blocks; c++)
        for (int tap = 0; tap < t->ntaps; tap++) {
            const uint8_t *x = t->x + (size_t)c * t->x_plane + t->taps[tap];
            for (int k = 0; k < 16; k += 4, w += 64 * groups) {
                __m512i weights[TILE_GROUPS];
                UNROLL
                for (int o = 0; o < groups; o++)
                    weights[o] = _mm512_load_si512(w + 64 * o);
                UNROLL
                for (int p = 0; p < pixels; p++) {
                    const __m512i in = four_channels(x + p * 16 + k);
                    UNROLL
                    for (int o = 0; o < groups; o++)
                        sum[o * pixels + p] = dot_bytes(sum[o * pixels + p], in, weights[o]);
                }
            }
        }
    UNROLL
    for (int o = 0; o < groups; o++) {
        const __m512 scale = _mm512_loadu_ps(t->scale + 16 * o),
                     bias = _mm512_loadu_ps(t->bias + 16 * o);
        UNROLL
        for (int p = 0; p < pixels; p++)
            _mm512_store_ps(t->y + (size_t)o * t->y_plane + 16 * p,
                            _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum[o * pixels + p]), scale, bias));
    }
}

#define SHAPE(groups, pixels)                                                                           \
    static TARGET_VNNI void run_##groups##_##pixels(const struct tile_int8 *t)                          \
    {                                                                                                   \
        run(t, groups, pixels);                                                                         \
    }
#define TILE tile_int8
#include "inference/kernels/tile_shapes.h"

void tile_int8_row(const struct tile_int8 *t, int groups, int pixels)
{
    run_row(t, groups, pixels, 16);
}
