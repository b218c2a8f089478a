/*
 * Products of few rows with many weights, as the last layers of classifiers and recognisers are: read
 * once, the weights decide the time, so they stay as the file has them.
 *
 *   y[m][n] = alpha * sum over k of a[m][k] * b[n][k]  +  beta * c[m * c_row + n * c_column]
 *
 * Everything is float32 and row-major, of any alignment. AVX-512 only.
 */
#ifndef INFERENCE_KERNELS_PRODUCT_H
#define INFERENCE_KERNELS_PRODUCT_H

#include <stddef.h>

struct product {
    size_t m, n, k;
    const float *a, *b;
    const float *c; /* or NULL */
    size_t c_row, c_column;
    float alpha, beta;
    float *y;
};

void product_run(const struct product *p, int threads);

#endif
