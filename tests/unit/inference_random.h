/*
 * Deterministic numbers for tests: the same seed gives the same shapes and data, so a failure that
 * prints its seed can be repeated.
 */
#ifndef TESTS_UNIT_INFERENCE_RANDOM_H
#define TESTS_UNIT_INFERENCE_RANDOM_H

#include <stdint.h>
#include <stdlib.h>

/* In [-1, 1). */
static inline float random_float(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)((double)(*state >> 40) / (1 << 23) - 1);
}

/* From low to high, both among them. */
static inline int random_int(uint64_t *state, int low, int high)
{
    return low + (int)(((double)random_float(state) + 1) / 2 * (high - low + 1));
}

/* Fresh memory at a multiple of 64, as kernels want it, with 64 bytes more than n elements. */
static inline float *random_floats(uint64_t *state, size_t n)
{
    float *x = aligned_alloc(64, (n * sizeof *x + 127) / 64 * 64);

    for (size_t i = 0; i < n; i++)
        x[i] = random_float(state);
    return x;
}

static inline uint8_t *random_bytes(uint64_t *state, size_t n)
{
    uint8_t *x = aligned_alloc(64, (n + 127) / 64 * 64);

    for (size_t i = 0; i < n; i++)
        x[i] = (uint8_t)random_int(state, 0, 255);
    return x;
}

#endif
