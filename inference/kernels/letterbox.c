/* Letterbox: see letterbox.h. */
#include "inference/kernels/letterbox.h"

static void sum(const uint8_t *from, size_t stride, const float *weights, int rows, size_t n, float *ret)
{
    for (size_t i = 0; i < n; i++)
        ret[i] = (float)from[i] * weights[0];
    for (int k = 1; k < rows; k++) {
        const uint8_t *row = from + (size_t)k * stride;
        for (size_t i = 0; i < n; i++)
            ret[i] += (float)row[i] * weights[k];
    }
}

const struct letterbox_kernels *letterbox_kernels(enum cpu_isa isa)
{
    static const struct letterbox_kernels plain = { .sum = sum };

    return isa >= CPU_AVX512 ? &letterbox_avx512 : isa == CPU_AVX2 ? &letterbox_avx2 : &plain;
}
