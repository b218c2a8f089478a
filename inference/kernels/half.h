/* Copies between float32 and 16-bit floats, and what else runs on these in blocks of 16 channels.
 * AVX-512. */
#ifndef INFERENCE_KERNELS_HALF_H
#define INFERENCE_KERNELS_HALF_H

#include <stddef.h>
#include <stdint.h>
#include "inference/ops/window.h"

/* n is a multiple of 16, both ends 64-byte aligned (32 for halves). Beyond 65504: infinity. */
void half_narrow(const float *x, uint16_t *y, size_t n);
void half_widen(const uint16_t *x, float *y, size_t n);

/* The largest of each window that lies in the picture; x [planes][in H][in W][16]. */
void half_max_pool(const struct window *w, const uint16_t *x, uint16_t *y, size_t planes);

#endif
