/*
 * The inner loop of tile.h on 16-bit floats: twice the products for each instruction. Each lane sums one
 * of a pair of channels; after `chain` products (or those of one block, if they are
 * more) it is added to a sum in float32, so that the error stays that of a few roundings to 11 bits.
 *
 *   x       [blocks][..][16] halves
 *   taps    in halves from x
 *   w       [blocks][ntaps][8 pairs][groups][16][2] halves, 64-byte aligned
 *   y       float32, as in tile.h
 *
 * CPU_AVX512_FP16 only.
 */
#ifndef INFERENCE_KERNELS_TILE_HALF_H
#define INFERENCE_KERNELS_TILE_HALF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tile_half {
    const uint16_t *x;
    size_t x_plane;
    int blocks;
    const ptrdiff_t *taps;
    int ntaps, chain;
    const uint16_t *w;
    const float *bias;
    float *y;
    size_t y_plane;
    bool more; /* as in tile.h */
};

/* As tile_row; groups as tile_groups says. */
void tile_half_row(const struct tile_half *t, int groups, int pixels);
/* The same in bfloat16: its products are summed in float32 from the start, so chain says nothing.
 * cpu_has_bf16 only. */
void tile_bfloat_row(const struct tile_half *t, int groups, int pixels);

#endif
