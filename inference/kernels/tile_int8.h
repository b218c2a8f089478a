/*
 * The inner loop of tile.h on bytes: four products a lane and instruction, summed exactly in 32 bits.
 *
 *   x       [blocks][..][16] bytes
 *   taps    in bytes from x
 *   w       [blocks][ntaps][4 quads][groups][16][4] signed bytes, 64-byte aligned
 *   start   [groups][16] what the integer sums begin with
 *   scale   [groups][16] float32
 *   bias    [groups][16] float32
 *   y       float32, as in tile.h: scale * sum + bias
 *
 * AVX-512 VNNI only (cpu_has_vnni). At most 66000 products a sum: then none overflows.
 */
#ifndef INFERENCE_KERNELS_TILE_INT8_H
#define INFERENCE_KERNELS_TILE_INT8_H

#include <stddef.h>
#include <stdint.h>

enum { TILE_INT8_PRODUCTS = 66000 };

struct tile_int8 {
    const uint8_t *x;
    size_t x_plane;
    int blocks;
    const ptrdiff_t *taps;
    int ntaps;
    const int8_t *w;
    const int32_t *start;
    const float *scale, *bias;
    float *y;
    size_t y_plane;
};

/* As tile_row; groups as tile_groups says. */
void tile_int8_row(const struct tile_int8 *t, int groups, int pixels);

#endif
