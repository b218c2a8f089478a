/*
 * Activations kept in unsigned bytes: value = scale * (byte - zero), one scale a tensor; and what runs
 * on them, in blocks of 16 channels, where convolutions multiply bytes. AVX-512.
 */
#ifndef INFERENCE_KERNELS_BYTES_H
#define INFERENCE_KERNELS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "inference/ops/window.h"

struct quantum {
    float scale; /* 0: not in bytes */
    int zero;    /* 0..255, the byte that means 0 */
};

static inline bool quantum_used(const struct quantum *q)
{
    return q->scale > 0;
}

/* The quantum for values from low to high; 0 is always among them and exact. */
struct quantum quantum_of_range(float low, float high);

/* The nearest byte, half to even, at the ends of the range the end. n is a multiple of 16, x 64-byte
 * aligned, y 16. */
void bytes_narrow(const struct quantum *q, const float *x, uint8_t *y, size_t n);
void bytes_widen(const struct quantum *q, const uint8_t *x, float *y, size_t n);

/* The largest of each window that lies in the picture; x [planes][in H][in W][16]. */
void bytes_max_pool(const struct window *w, const uint8_t *x, uint8_t *y, size_t planes);

#endif
