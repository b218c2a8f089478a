/*
 * The inner loop of every convolution of ours: a small matrix of output pixels and output channels that
 * stays in registers while it runs over all taps and input channels.
 *
 *   y[o][p][16] = sum over block c, tap t, channel k of  x[c][tap t + p][k] * w[c][t][k][o][16]  (+
 * bias)
 *
 *   x       [blocks][..][16], blocks x_plane floats apart; pixel p lies 16 p floats on
 *   taps    [ntaps] where each tap's pixels begin, in floats from x
 *   w       packed in the order of use: [blocks][ntaps][16][groups][16], 64-byte aligned
 *   bias    [groups][16], or NULL
 *   y       [groups][pixels][16], groups y_plane floats apart; 64-byte aligned
 *
 * With one tap it is a matrix product, which is what Winograd's method needs. AVX-512; the functions
 * whose names end in _avx2 are the same for AVX2, with 8 for every 16 here.
 */
#ifndef INFERENCE_KERNELS_TILE_H
#define INFERENCE_KERNELS_TILE_H

#include <stdbool.h>
#include <stddef.h>

struct tile {
    const float *x;
    size_t x_plane;
    int blocks;
    const ptrdiff_t *taps;
    int ntaps;
    const float *w, *bias;
    float *y;
    size_t y_plane;
    bool more; /* added to what y holds, and not to the bias */
};

enum { TILE_GROUPS = 5, TILE_PIXELS = 14 };

/* Pixels that a tile of so many groups of 16 channels has at most; groups is 1 to TILE_GROUPS. */
int tile_pixels(int groups);
/* How many groups, 1 to TILE_GROUPS, the next tiles should take of those left. */
int tile_groups(int left);

/* `pixels` is 1 to tile_pixels(groups). */
void tile_run(const struct tile *t, int groups, int pixels);
/* A row of any number of pixels as tiles of about equal size. */
void tile_row(const struct tile *t, int groups, int pixels);

int tile_groups_avx2(int left);
void tile_row_avx2(const struct tile *t, int groups, int pixels);

#endif
