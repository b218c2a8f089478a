/* Letterbox: see letterbox.h. */
#include "inference/kernels/letterbox.h"

/* Two rows at once, as most sums have no more. */
static void sum(const uint8_t *from, size_t stride, const float *weights, int rows, size_t n, float *ret)
{
    const uint8_t *second = from + (rows > 1 ? stride : 0);
    const float a = weights[0], b = rows > 1 ? weights[1] : 0;

    for (size_t i = 0; i < n; i++)
        ret[i] = (float)from[i] * a + (float)second[i] * b;
    for (int k = 2; k < rows; k++) {
        const uint8_t *row = from + (size_t)k * stride;
        for (size_t i = 0; i < n; i++)
            ret[i] += (float)row[i] * weights[k];
    }
}

/* One target pixel of any number of taps, without its fraction. */
static void column(const float *from, const float *weights, int n, float ret[3])
{
    float total[3] = { 0.5f, 0.5f, 0.5f };

    for (int k = 0; k < n; k++, from += 3)
        for (int c = 0; c < 3; c++)
            total[c] += from[c] * weights[k];
    for (int c = 0; c < 3; c++)
        ret[c] = (float)(int)total[c];
}

static void columns(const struct letterbox_tap *taps, const float *weights, int n, const float *row,
                    const struct letterbox_scale *scale, float *const ret[3])
{
    for (int x = 0; x < n; x++) {
        const struct letterbox_tap *t = &taps[x];
        const float *p = row + (size_t)t->low * 3, *w = weights + t->weights;
        float whole[3];

        if (t->n == 2)
            for (int c = 0; c < 3; c++)
                whole[c] = (float)(int)(p[c] * w[0] + p[c + 3] * w[1] + 0.5f);
        else
            column(p, w, t->n, whole);
        for (int c = 0; c < 3; c++)
            ret[c][x] = (whole[c] - scale->mean[c]) * scale->scale[c];
    }
}

const struct letterbox_kernels *letterbox_kernels(enum cpu_isa isa)
{
    static const struct letterbox_kernels plain = { .sum = sum, .columns = columns };

    return isa >= CPU_AVX512 ? &letterbox_avx512 : isa == CPU_AVX2 ? &letterbox_avx2 : &plain;
}
