/*
 * See tile.h. One function is compiled for each shape of the matrix, so that its accumulators have
 * names: at most 28 of the 32 registers, the rest hold weights and a broadcast input.
 */
#include "inference/kernels/simd.h"
#include "inference/kernels/tile.h"

static const int most_pixels[TILE_GROUPS + 1] = { 0, 14, 12, 8, 6, 5 };

INLINE_AVX512 void run(const struct tile *t, const int groups, const int pixels)
{
    __m512 sum[28];
    const float *w = t->w;

    UNROLL
    for (int i = 0; i < groups * pixels; i++)
        sum[i] = t->bias ? _mm512_loadu_ps(t->bias + 16 * (i / pixels)) : _mm512_setzero_ps();
    for (int c = 0; c < t->blocks; c++)
        for (int tap = 0; tap < t->ntaps; tap++) {
            const float *x = t->x + (size_t)c * t->x_plane + t->taps[tap];
            for (int k = 0; k < 16; k++, w += 16 * groups) {
                __m512 weights[TILE_GROUPS];
                UNROLL
                for (int o = 0; o < groups; o++)
                    weights[o] = _mm512_load_ps(w + 16 * o);
                UNROLL
                for (int p = 0; p < pixels; p++) {
                    const __m512 in = _mm512_set1_ps(x[p * 16 + k]);
                    UNROLL
                    for (int o = 0; o < groups; o++)
                        sum[o * pixels + p] = _mm512_fmadd_ps(in, weights[o], sum[o * pixels + p]);
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
    static TARGET_AVX512 void run_##groups##_##pixels(const struct tile *t)                             \
    {                                                                                                   \
        run(t, groups, pixels);                                                                         \
    }
#define TILE tile
#include "inference/kernels/tile_shapes.h"

int tile_pixels(int groups)
{
    return most_pixels[groups];
}

/* Wide tiles need fewer loads; 6 are better halved than cut into 5 and 1. */
int tile_groups(int left)
{
    if (left <= TILE_GROUPS)
        return left;
    return left == 6 || left == 9 ? 3 : left % 5 == 0 ? 5 : 4;
}

void tile_run(const struct tile *t, int groups, int pixels)
{
    shapes[groups][pixels](t);
}

void tile_row(const struct tile *t, int groups, int pixels)
{
    run_row(t, groups, pixels, 16);
}
