/* See product.h: up to 4 rows times up to 4 columns at a time, 16 products of each in a register. */
#include "inference/kernels/product.h"
#include "inference/kernels/simd.h"
#include "inference/kernels/team.h"

enum { ROWS = 4, COLUMNS = 4 };

INLINE_AVX512 void add_products(const struct product *p, size_t i, size_t j, size_t at, __mmask16 real,
                                const int rows, const int columns, __m512 sum[ROWS][COLUMNS])
{
    __m512 b[COLUMNS];

    UNROLL
    for (int c = 0; c < columns; c++)
        b[c] = _mm512_maskz_loadu_ps(real, p->b + (j + (size_t)c) * p->k + at);
    UNROLL
    for (int r = 0; r < rows; r++) {
        const __m512 a = _mm512_maskz_loadu_ps(real, p->a + (i + (size_t)r) * p->k + at);
        UNROLL
        for (int c = 0; c < columns; c++)
            sum[r][c] = _mm512_fmadd_ps(a, b[c], sum[r][c]);
    }
}

INLINE_AVX512 void multiply(const struct product *p, size_t i, size_t j, const int rows,
                            const int columns)
{
    __m512 sum[ROWS][COLUMNS];
    size_t at = 0;

    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int c = 0; c < columns; c++)
        sum[r][c] = _mm512_setzero_ps();
    for (; at + 16 <= p->k; at += 16)
        add_products(p, i, j, at, 0xffff, rows, columns, sum);
    if (at < p->k)
        add_products(p, i, j, at, (__mmask16)((1u << (p->k - at)) - 1), rows, columns, sum);
    UNROLL
    for (int r = 0; r < rows; r++)
        UNROLL
    for (int c = 0; c < columns; c++) {
        const size_t row = i + (size_t)r, column = j + (size_t)c;
        const float more = p->c ? p->beta * p->c[row * p->c_row + column * p->c_column] : 0;
        p->y[row * p->n + column] = p->alpha * _mm512_reduce_add_ps(sum[r][c]) + more;
    }
}

INLINE_AVX512 void multiply_columns(const struct product *p, size_t i, size_t j, const int rows)
{
    if (j + COLUMNS <= p->n)
        multiply(p, i, j, rows, COLUMNS);
    else
        for (; j < p->n; j++)
            multiply(p, i, j, rows, 1);
}

/* Four columns meet all rows while they are in the cache. */
static TARGET_AVX512 void run_part(const void *context, int part, int parts)
{
    const struct product *p = context;
    const size_t groups = (p->n + COLUMNS - 1) / COLUMNS;
    const size_t first = groups * (size_t)part / (size_t)parts,
                 end = groups * (size_t)(part + 1) / (size_t)parts;

    for (size_t g = first; g < end; g++) {
        size_t i = 0;
        for (; i + ROWS <= p->m; i += ROWS)
            multiply_columns(p, i, g * COLUMNS, ROWS);
        for (; i < p->m; i++)
            multiply_columns(p, i, g * COLUMNS, 1);
    }
}

void product_run(const struct product *p, int threads)
{
    team_run(threads, run_part, p);
}
