/*
 * See tile.h. One function is compiled for each shape of the matrix, so that its accumulators have
 * names: at most 28 of 32 registers, or 12 of 16; the rest hold weights and a broadcast input.
 */
#include "inference/kernels/vector.h"

#include "inference/kernels/tile.h"

#ifndef VECTOR_AVX2
static const int most_pixels[TILE_GROUPS + 1] = { 0, 14, 12, 8, 6, 5 };
#else
static const int most_pixels[TILE_GROUPS + 1] = { 0, 12, 6, 4 };
#endif

INLINE_VECTOR void run(const struct tile *t, const int groups, const int pixels)
{
    VECTOR sum[28];
    const float *w = t->w;

    if (t->more) {
        UNROLL
        for (int i = 0; i < groups * pixels; i++)
            sum[i] = vec_load(t->y + (size_t)(i / pixels) * t->y_plane + LANES * (i % pixels));
    } else {
        UNROLL
        for (int i = 0; i < groups * pixels; i++)
            sum[i] = t->bias ? vec_loadu(t->bias + LANES * (i / pixels)) : vec_zero();
    }
    for (int c = 0; c < t->blocks; c++)
        for (int tap = 0; tap < t->ntaps; tap++) {
            const float *x = t->x + (size_t)c * t->x_plane + t->taps[tap];
            for (int k = 0; k < LANES; k++, w += LANES * groups) {
                VECTOR weights[TILE_GROUPS];
                UNROLL
                for (int o = 0; o < groups; o++)
                    weights[o] = vec_load(w + LANES * o);
                UNROLL
                for (int p = 0; p < pixels; p++) {
                    const VECTOR in = vec_set1(x[p * LANES + k]);
                    UNROLL
                    for (int o = 0; o < groups; o++)
                        sum[o * pixels + p] = vec_fmadd(in, weights[o], sum[o * pixels + p]);
                }
            }
        }
    UNROLL
    for (int o = 0; o < groups; o++)
        UNROLL
    for (int p = 0; p < pixels; p++)
        vec_store(t->y + (size_t)o * t->y_plane + LANES * p, sum[o * pixels + p]);
}

#define SHAPE(groups, pixels)                                                                           \
    static TARGET_VECTOR void run_##groups##_##pixels(const struct tile *t)                             \
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
#ifdef VECTOR_AVX2
    return left == 4 ? 2 : left < 3 ? left : 3;
#else
    if (left <= TILE_GROUPS)
        return left;
    return left == 6 || left == 9 ? 3 : left % 5 == 0 ? 5 : 4;
#endif
}

void tile_run(const struct tile *t, int groups, int pixels)
{
    shapes[groups][pixels](t);
}

void tile_row(const struct tile *t, int groups, int pixels)
{
    run_row(t, groups, pixels, LANES);
}
