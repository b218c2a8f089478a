/* See tile_half.h and tile.c, whose shapes these are. */
#include "inference/kernels/simd.h"
#include "inference/kernels/tile.h"
#include "inference/kernels/tile_half.h"

INLINE_AVX512 void run(const struct tile_half *t, const int groups, const int pixels)
{
    const uint16_t *w = t->w;
    __m512 sum[28];

    if (t->more) {
        UNROLL
        for (int i = 0; i < groups * pixels; i++)
            sum[i] = _mm512_load_ps(t->y + (size_t)(i / pixels) * t->y_plane + 16 * (i % pixels));
    } else {
        UNROLL
        for (int i = 0; i < groups * pixels; i++)
            sum[i] = t->bias ? _mm512_loadu_ps(t->bias + 16 * (i / pixels)) : _mm512_setzero_ps();
    }
    for (int c = 0; c < t->blocks; c++)
        for (int tap = 0; tap < t->ntaps; tap++) {
            const uint16_t *x = t->x + (size_t)c * t->x_plane + t->taps[tap];
            for (int k = 0; k < 16; k += 2, w += 32 * groups) {
                __m512i weights[TILE_GROUPS];
                UNROLL
                for (int o = 0; o < groups; o++)
                    weights[o] = _mm512_load_si512(w + 32 * o);
                UNROLL
                for (int p = 0; p < pixels; p++) {
                    const __m512i in = both_channels(x + p * 16 + k);
                    UNROLL
                    for (int o = 0; o < groups; o++)
                        sum[o * pixels + p] = bfloat_dot(in, weights[o], sum[o * pixels + p]);
                }
            }
        }
    UNROLL
    for (int o = 0; o < groups; o++)
        UNROLL
    for (int p = 0; p < pixels; p++)
        _mm512_store_ps(t->y + (size_t)o * t->y_plane + 16 * p, sum[o * pixels + p]);
}

#define SHAPE(groups, pixels)                                                                           \
    static TARGET_AVX512 void run_##groups##_##pixels(const struct tile_half *t)                        \
    {                                                                                                   \
        run(t, groups, pixels);                                                                         \
    }
#define TILE tile_half
#include "inference/kernels/tile_shapes.h"

void tile_bfloat_row(const struct tile_half *t, int groups, int pixels)
{
    run_row(t, groups, pixels, 16);
}
