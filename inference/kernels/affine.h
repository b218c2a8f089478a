/*
 * One multiplication, one sum and an activation for each number of a map, by channel: what the operator
 * Affine means. In blocks of 16 channels, AVX-512, in float32 or floats of 16 bits.
 */
#ifndef INFERENCE_KERNELS_AFFINE_H
#define INFERENCE_KERNELS_AFFINE_H

#include "inference/graph/graph.h"

struct affine_map {
    const void *x; /* [blocks][plane][16] */
    void *y;       /* the same; may be x */
    enum dtype type;
    size_t blocks, plane;
    const float *scale, *shift; /* [blocks * 16] */
    const float *slopes;        /* the same, or NULL */
    struct fusion fused;
};

void affine_run(const struct affine_map *m, int threads);

#endif
