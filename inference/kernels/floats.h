/*
 * Copies between float32 and floats of fewer bits, and what else runs on these in blocks of 16 channels.
 * Types are DTYPE_F32, DTYPE_F16 and DTYPE_BF16. AVX-512.
 */
#ifndef INFERENCE_KERNELS_FLOATS_H
#define INFERENCE_KERNELS_FLOATS_H

#include <stddef.h>
#include "inference/graph/value.h"
#include "inference/ops/window.h"

/* The type has kernels on this CPU. Thread-safe. */
bool floats_available(enum dtype type);

/* One number; subnormal numbers become 0 in bfloat16, as in what the CPU does. */
uint16_t floats_half_of(float x);
uint16_t floats_bfloat_of(float x);

/* n is a multiple of 16, both ends aligned to 16 numbers. Nearest even; beyond the largest: infinity. */
void floats_narrow(const float *x, void *y, size_t n, enum dtype y_type);
void floats_widen(const void *x, float *y, size_t n, enum dtype x_type);

/* The largest of each window that lies in the picture; x [planes][in H][in W][16]. */
void floats_max_pool(const struct window *w, const void *x, void *y, size_t planes, enum dtype type);

#endif
