/*
 * Convolution for who wants float32 to its last digits: sums in short chains and exponentials without
 * shortcuts. One long chain of additions (tile.h) rounds thousands of times near the final size of a
 * sum, and is off by twice to three times of what mathematical libraries are, which sum in parts. These
 * are as near to the true value as those, and somewhat slower. AVX-512 only.
 */
#ifndef INFERENCE_KERNELS_EXACT_H
#define INFERENCE_KERNELS_EXACT_H

#include "inference/graph/graph.h"
#include "inference/kernels/tile.h"

/* As tile_row. At most 48 products are summed from zero before they are added to y. */
void exact_row(const struct tile *t, int groups, int pixels);

/* y = act(x) + residual over n pixels of 16 channels, 64-byte aligned; the exponential of an activation
 * within 1.5e-7. y may be x or the residual, which may be NULL. */
void exact_finish(const struct fusion *f, const float *x, const float *residual, float *y, size_t n);

#endif
