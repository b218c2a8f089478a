/*
 * Activations kept in unsigned bytes: value = scale * (byte - zero), with a scale and a zero for each
 * channel; and what runs on them, in blocks of 16 channels, where convolutions multiply bytes. AVX-512.
 *
 * A scale for each channel costs a reader nothing: a convolution multiplies its weights by them before
 * these become bytes themselves, what moves values about moves bytes.
 */
#ifndef INFERENCE_KERNELS_BYTES_H
#define INFERENCE_KERNELS_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "inference/ops/window.h"

/* Of one channel. */
struct quantum {
    float scale;  /* > 0, finite */
    uint8_t zero; /* the byte that means 0 */
};

/* The quantum for values from low to high; 0 is always among them and exact. */
struct quantum quantum_of_range(float low, float high);

/* Of a tensor; arrays for its channels in whole blocks of 16, kept by whoever made them. */
struct quanta {
    const float *scale; /* NULL: not in bytes */
    const uint8_t *zero;
    const float *mean; /* what each channel is on average; or NULL: not known */
};

static inline bool quanta_used(const struct quanta *q)
{
    return q->scale != NULL;
}

/* Those from the 16 channels of a block on. */
static inline struct quanta quanta_of_block(const struct quanta *q, int block)
{
    return (struct quanta){ q->scale + block * 16, q->zero + block * 16,
                            q->mean ? q->mean + block * 16 : NULL };
}

/*
 * n pixels of the first 16 channels of q. The nearest byte, half to even, at the ends of the range the
 * end; NaN becomes byte 0. x is 64-byte aligned, y 16; of bytes_widen the other way.
 */
void bytes_narrow(const struct quanta *q, const float *x, uint8_t *y, size_t n);
void bytes_widen(const struct quanta *q, const uint8_t *x, float *y, size_t n);

/* The largest of each window that lies in the picture; x [planes][in H][in W][16]. */
void bytes_max_pool(const struct window *w, const uint8_t *x, uint8_t *y, size_t planes);

#endif
