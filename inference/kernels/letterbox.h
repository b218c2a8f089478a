/*
 * The arithmetic of a letterbox (inference/letterbox.h): pixels of three bytes, red, green and blue, to
 * rows of three planes. All levels give the same bits: each product and each sum is rounded to float32,
 * in the order told here.
 */
#ifndef INFERENCE_KERNELS_LETTERBOX_H
#define INFERENCE_KERNELS_LETTERBOX_H

#include <stddef.h>
#include <stdint.h>
#include "inference/kernels/cpu.h"

/*
 * Columns of the target, each made of two source pixels side by side: left * the one that begins at byte
 * `at` of its row, + right * the next. Both lie in the row, so that 6 bytes from `at` on can be read.
 */
struct letterbox_pairs {
    const int32_t *at;
    const float *left, *right;
    int n;
};

/* Two source rows and their weights. */
struct letterbox_rows {
    const uint8_t *upper, *lower;
    float above, below;
};

/* A column of the target made of any number of source pixels: n >= 1 from pixel `low` on. */
struct letterbox_tap {
    int low, n;
    size_t weights; /* where the tap's begin in an array of all */
};

/* What becomes of a number v of 0..255: (v - mean) * scale; for red, green and blue. */
struct letterbox_scale {
    float mean[3], scale[3];
};

struct letterbox_kernels {
    /*
     * A target row: `above` * upper + `below` * lower first, then left and right of that, + 0.5, without
     * its fraction, scaled. ret: rows of n numbers, unaligned. NULL at CPU_PLAIN, where it is cheaper to
     * sum whole rows first.
     */
    void (*pairs)(const struct letterbox_pairs *columns, const struct letterbox_rows *rows,
                  const struct letterbox_scale *scale, float *const ret[3]);
    /* The sum of `rows` >= 1 rows of n bytes, one each `stride` bytes, times their weights, from the
     * first on. */
    void (*sum)(const uint8_t *from, size_t stride, const float *weights, int rows, size_t n,
                float *ret);
    /*
     * The n columns of a target row from a summed one: its numbers times the weights, from the first on,
     * two as in `pairs`, any others on top of the 0.5. One number after those of the last pixel is read.
     */
    void (*columns)(const struct letterbox_tap *taps, const float *weights, int n, const float *row,
                    const struct letterbox_scale *scale, float *const ret[3]);
};

/* Those of a level that this CPU has: cpu_isa() or below. Constant. */
const struct letterbox_kernels *letterbox_kernels(enum cpu_isa isa);

/* letterbox_vector.c, for each of the two vectors. */
extern const struct letterbox_kernels letterbox_avx512, letterbox_avx2;

#endif
