/* See tile_half.h and tile.c, whose shapes these are. */
#include "inference/kernels/simd.h"
#include "inference/kernels/tile.h"
#include "inference/kernels/tile_half.h"

/* The sum of each pair of lanes in float32. */
INLINE_AVX512 __m512 widen(__m512i sum)
{
    const __m512i second = _mm512_srli_epi32(sum, 16);

    return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(half_add(sum, second)));
}

/* Blocks `first` to `last` - 1, added to what y holds, or to the bias. */
INLINE_AVX512 void run_chain(const struct tile_half *t, const uint16_t *w, int first, int last,
                             const int groups, const int pixels)
{
    __m512i sum[28];

    UNROLL
    for (int i = 0; i < groups * pixels; i++)
        sum[i] = _mm512_setzero_si512();
    for (int c = first; c < last; c++)
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
                        sum[o * pixels + p] = half_fma(in, weights[o], sum[o * pixels + p]);
                }
            }
        }
    UNROLL
    for (int o = 0; o < groups; o++)
        UNROLL
    for (int p = 0; p < pixels; p++) {
        float *y = t->y + (size_t)o * t->y_plane + 16 * p;
        const __m512 before = first || t->more ? _mm512_load_ps(y)
                              : t->bias        ? _mm512_loadu_ps(t->bias + 16 * o)
                                               : _mm512_setzero_ps();
        _mm512_store_ps(y, _mm512_add_ps(before, widen(sum[o * pixels + p])));
    }
}

INLINE_AVX512 void run(const struct tile_half *t, const int groups, const int pixels)
{
    const int fit = t->chain / (8 * t->ntaps), chain = fit > 0 ? fit : 1;
    const size_t block = (size_t)t->ntaps * 256 * (size_t)groups;

    for (int c = 0; c < t->blocks; c += chain)
        run_chain(t, t->w + (size_t)c * block, c, c + chain < t->blocks ? c + chain : t->blocks, groups,
                  pixels);
}

#define SHAPE(groups, pixels)                                                                           \
    static TARGET_AVX512 void run_##groups##_##pixels(const struct tile_half *t)                        \
    {                                                                                                   \
        run(t, groups, pixels);                                                                         \
    }
#define TILE tile_half
#include "inference/kernels/tile_shapes.h"

void tile_half_row(const struct tile_half *t, int groups, int pixels)
{
    run_row(t, groups, pixels, 16);
}
