/*
 * Attention among the cells of a feature map, as YOLOv10 to 26 have it (ops/attention.c says what is
 * computed): cells of a stripe attend to each other, for each head by itself. AVX-512 only.
 */
#ifndef INFERENCE_KERNELS_ATTENTION_H
#define INFERENCE_KERNELS_ATTENTION_H

#include <stdbool.h>
#include <stddef.h>
#include "inference/graph/value.h"

struct attention {
    size_t heads, key, value; /* heads, and the channels that each has of a key and of a value */
    size_t area, cells;       /* stripes, and the cells of each */
    float scale;              /* of the products of queries and keys */
    const float *x;           /* [heads (2 key + value) / 16][area cells][16], aligned to 64 bytes */
    enum dtype type;          /* of y and values: DTYPE_F32 or DTYPE_F16 */
    void *y, *values;         /* [heads value / 16][area cells][16]; values: those read, or NULL */
    float *scratch;           /* attention_scratch() numbers for each thread, aligned to 64 bytes */
};

/* Whether this CPU has it for such heads: whole blocks of 16 channels. */
bool attention_suits(size_t key, size_t value);
size_t attention_scratch(size_t key, size_t cells);
void attention_run(const struct attention *a, int threads);

#endif
