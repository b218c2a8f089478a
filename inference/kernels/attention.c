/*
 * See attention.h. Keys are turned around once for each head, so that 16 of them meet a channel of a
 * query at a time; a few queries then go through all keys, the exponentials and all values while their
 * weights are in the first cache. Weights are never written as a matrix.
 */
#include <math.h>
#include "inference/kernels/attention.h"
#include "inference/kernels/cpu.h"
#include "inference/kernels/simd.h"
#include "inference/kernels/team.h"

enum { ROWS = 6, VECTORS = 4, LANES = 16 };

/* One head in one stripe; pointers to its first cell. */
struct head {
    size_t plane;           /* numbers from a block of channels to the next one */
    const float *q, *k, *v; /* blocks of the map */
    char *y, *values;
    size_t pixel;   /* bytes of a pixel of y and values */
    float *keys;    /* [key][padded], scaled */
    float *weights; /* [ROWS][padded] */
    size_t padded;  /* cells, in whole vectors */
};

static size_t whole(size_t cells)
{
    return (cells + LANES - 1) / LANES * LANES;
}

bool attention_suits(size_t key, size_t value)
{
    return cpu_isa() >= CPU_AVX512 && key > 0 && value > 0 && key % LANES == 0 && value % LANES == 0;
}

size_t attention_scratch(size_t key, size_t cells)
{
    return (key + ROWS) * whole(cells);
}

/* Exponentials are powers of two: the scale takes their factor in. */
static void turn_keys(const struct attention *a, const struct head *h)
{
    const float scale = a->scale * 1.44269504f;

    for (size_t c = 0; c < a->key; c++) {
        const float *from = h->k + c / LANES * h->plane + c % LANES;
        float *to = h->keys + c * h->padded;
        for (size_t j = 0; j < h->padded; j++)
            to[j] = j < a->cells ? from[j * LANES] * scale : 0;
    }
}

/* Products of queries i.. with the keys of some vectors from cell j on. */
INLINE_AVX512 void multiply_keys(const struct attention *a, const struct head *h, size_t i, size_t j,
                                 const int rows, const int vectors)
{
    __m512 sum[ROWS][VECTORS], key[VECTORS];

    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int n = 0; n < vectors; n++)
        sum[r][n] = _mm512_setzero_ps();
    for (size_t c = 0; c < a->key; c++) {
        const float *q = h->q + c / LANES * h->plane + i * LANES + c % LANES;
        UNROLL
        for (int n = 0; n < vectors; n++)
            key[n] = _mm512_load_ps(h->keys + c * h->padded + j + (size_t)n * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m512 query = _mm512_set1_ps(q[r * LANES]);
            UNROLL
            for (int n = 0; n < vectors; n++)
                sum[r][n] = _mm512_fmadd_ps(query, key[n], sum[r][n]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int n = 0; n < vectors; n++)
        _mm512_store_ps(h->weights + (size_t)r * h->padded + j + (size_t)n * LANES, sum[r][n]);
}

/* 2^(s - most) in place of every s of a row; the reciprocal of their sum. */
INLINE_AVX512 float weigh(float *s, size_t cells)
{
    const size_t last = cells % LANES ? cells / LANES * LANES : cells;
    const __mmask16 rest = (__mmask16)((1u << (cells - last)) - 1);
    __m512 most = _mm512_set1_ps(-INFINITY), sum = _mm512_setzero_ps();

    for (size_t j = 0; j < last; j += LANES)
        most = _mm512_max_ps(most, _mm512_load_ps(s + j));
    if (rest)
        most = _mm512_mask_max_ps(most, rest, most, _mm512_load_ps(s + last));
    most = _mm512_set1_ps(_mm512_reduce_max_ps(most));
    for (size_t j = 0; j < last; j += LANES) {
        const __m512 w = exp2_512(_mm512_sub_ps(_mm512_load_ps(s + j), most));
        _mm512_store_ps(s + j, w);
        sum = _mm512_add_ps(sum, w);
    }
    if (rest) {
        const __m512 w =
            _mm512_maskz_mov_ps(rest, exp2_512(_mm512_sub_ps(_mm512_load_ps(s + last), most)));
        _mm512_store_ps(s + last, w);
        sum = _mm512_add_ps(sum, w);
    }
    return 1 / _mm512_reduce_add_ps(sum);
}

/* The means of some blocks of values from block b on, by the weights of queries i.. . */
INLINE_AVX512 void multiply_values(const struct attention *a, const struct head *h, size_t i, size_t b,
                                   const float share[], const int rows, const int blocks,
                                   const enum dtype type)
{
    const float *v = h->v + b * h->plane;
    __m512 sum[ROWS][VECTORS], value[VECTORS];

    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int n = 0; n < blocks; n++)
        sum[r][n] = _mm512_setzero_ps();
    for (size_t j = 0; j < a->cells; j++) {
        UNROLL
        for (int n = 0; n < blocks; n++)
            value[n] = _mm512_load_ps(v + (size_t)n * h->plane + j * LANES);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const __m512 weight = _mm512_set1_ps(h->weights[(size_t)r * h->padded + j]);
            UNROLL
            for (int n = 0; n < blocks; n++)
                sum[r][n] = _mm512_fmadd_ps(weight, value[n], sum[r][n]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int n = 0; n < blocks; n++)
        store_pixel(h->y + ((b + (size_t)n) * (h->plane / LANES) + i + (size_t)r) * h->pixel,
                    _mm512_mul_ps(sum[r][n], _mm512_set1_ps(share[r])), type);
}

INLINE_AVX512 void attend(const struct attention *a, const struct head *h, size_t i, const int rows,
                          const enum dtype type)
{
    const size_t blocks = a->value / LANES;
    float share[ROWS];
    size_t j = 0, b = 0;

    for (; j + VECTORS * LANES <= h->padded; j += VECTORS * LANES)
        multiply_keys(a, h, i, j, rows, VECTORS);
    for (; j < h->padded; j += LANES)
        multiply_keys(a, h, i, j, rows, 1);
    for (int r = 0; r < rows; r++)
        share[r] = weigh(h->weights + (size_t)r * h->padded, a->cells);
    for (; b + VECTORS <= blocks; b += VECTORS)
        multiply_values(a, h, i, b, share, rows, VECTORS, type);
    for (; b + 2 <= blocks; b += 2)
        multiply_values(a, h, i, b, share, rows, 2, type);
    for (; b < blocks; b++)
        multiply_values(a, h, i, b, share, rows, 1, type);
}

INLINE_AVX512 void copy_values(const struct attention *a, const struct head *h, size_t i, size_t n,
                               const enum dtype type)
{
    for (size_t b = 0; h->values && b < a->value / LANES; b++)
        for (size_t p = i; p < i + n; p++)
            store_pixel(h->values + (b * (h->plane / LANES) + p) * h->pixel,
                        _mm512_load_ps(h->v + b * h->plane + p * LANES), type);
}

static struct head find_head(const struct attention *a, size_t which, float *scratch)
{
    const size_t head = which % a->heads, first = which / a->heads * a->cells;
    const size_t plane = a->area * a->cells * LANES, pixel = pixel_bytes(a->type);
    const float *x = a->x + head * (2 * a->key + a->value) / LANES * plane + first * LANES;
    const size_t y = (head * a->value / LANES * (plane / LANES) + first) * pixel;

    return (struct head){ .plane = plane,
                          .q = x,
                          .k = x + a->key / LANES * plane,
                          .v = x + 2 * a->key / LANES * plane,
                          .y = (char *)a->y + y,
                          .values = a->values ? (char *)a->values + y : NULL,
                          .pixel = pixel,
                          .keys = scratch,
                          .weights = scratch + a->key * whole(a->cells),
                          .padded = whole(a->cells) };
}

/* Groups of ROWS queries, counted through all stripes and heads. */
INLINE_AVX512 void run_groups(const struct attention *a, int part, int parts, const enum dtype type)
{
    const size_t groups = (a->cells + ROWS - 1) / ROWS, all = a->area * a->heads * groups;
    const size_t begin = all * (size_t)part / (size_t)parts,
                 end = all * ((size_t)part + 1) / (size_t)parts;
    float *scratch = a->scratch + (size_t)part * attention_scratch(a->key, a->cells);
    struct head h = { 0 };

    for (size_t g = begin; g < end; g++) {
        const size_t i = g % groups * ROWS, n = a->cells - i < ROWS ? a->cells - i : ROWS;
        if (g == begin || g % groups == 0) {
            h = find_head(a, g / groups, scratch);
            turn_keys(a, &h);
        }
        size_t k = i;
        if (n == ROWS)
            attend(a, &h, i, ROWS, type);
        else
            for (; k + 2 <= i + n; k += 2)
                attend(a, &h, k, 2, type);
        for (; n < ROWS && k < i + n; k++)
            attend(a, &h, k, 1, type);
        copy_values(a, &h, i, n, type);
    }
}

static TARGET_AVX512 void run_part(const void *context, int part, int parts)
{
    const struct attention *a = context;

#define RUN(type) run_groups(a, part, parts, type)
    FLOATS_CHOOSE(a->type, RUN);
#undef RUN
}

void attention_run(const struct attention *a, int threads)
{
    team_run(threads, run_part, a);
}
