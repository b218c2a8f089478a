/*
 * Letterbox in vectors of as many target pixels as these have lanes; compiled once more by
 * letterbox_avx2.c (see vector.h).
 *
 * The six bytes of a pair of pixels are two words of 4 bytes, gathered: red, green, blue and the next
 * red; and from the third byte on blue, red, green, blue. Nothing is read that is not needed, so that
 * the end of a picture is no special case; and where pictures shrink, source pixels between are not
 * touched.
 */
#include <string.h>
#include "inference/kernels/letterbox.h"
#include "inference/kernels/vector.h"

#ifndef VECTOR_AVX2
#define letterbox_vector      letterbox_avx512
#define WORDS                 __m512i
#define words_loadu           _mm512_loadu_si512
#define words_and             _mm512_and_si512
#define words_set1            _mm512_set1_epi32
#define words_shift           _mm512_srlv_epi32
#define words_gather(at, row) _mm512_i32gather_epi32((at), (row), 1)
#define words_of_bytes(p)     _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(p)))
#define vec_of_words          _mm512_cvtepi32_ps
#define vec_truncate          _mm512_cvttps_epi32
#define vec_storeu            _mm512_storeu_ps
#else
#define letterbox_vector      letterbox_avx2
#define WORDS                 __m256i
#define words_loadu(p)        _mm256_loadu_si256((const __m256i *)(const void *)(p))
#define words_and             _mm256_and_si256
#define words_set1            _mm256_set1_epi32
#define words_shift           _mm256_srlv_epi32
#define words_gather(at, row) _mm256_i32gather_epi32((const int *)(const void *)(row), (at), 1)
#define words_of_bytes(p)     _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(p)))
#define vec_of_words          _mm256_cvtepi32_ps
#define vec_truncate          _mm256_cvttps_epi32
#define vec_storeu            _mm256_storeu_ps
#endif

/* Byte k of each word. */
INLINE_VECTOR VECTOR byte_of(WORDS words, const int k)
{
    const WORDS low = k ? words_shift(words, words_set1(k * 8)) : words;

    return vec_of_words(k == 3 ? low : words_and(low, words_set1(255)));
}

/* Never contracted to one rounding: plain code has two. */
INLINE_VECTOR VECTOR weighted(VECTOR a, VECTOR weight_a, VECTOR b, VECTOR weight_b)
{
    return vec_add(vec_mul(a, weight_a), vec_mul(b, weight_b));
}

/* Target columns i .. i + LANES - 1 of three planes. */
INLINE_VECTOR void blend(const struct letterbox_pairs *columns, const struct letterbox_rows *rows,
                         const struct letterbox_scale *scale, const int i, float *const ret[3])
{
    const WORDS at = words_loadu(columns->at + i);
    const WORDS upper[2] = { words_gather(at, rows->upper), words_gather(at, rows->upper + 2) };
    const WORDS lower[2] = { words_gather(at, rows->lower), words_gather(at, rows->lower + 2) };
    const VECTOR above = vec_set1(rows->above), below = vec_set1(rows->below);
    const VECTOR left = vec_loadu(columns->left + i), right = vec_loadu(columns->right + i);

    UNROLL
    for (int c = 0; c < 3; c++) {
        const VECTOR one = weighted(byte_of(upper[0], c), above, byte_of(lower[0], c), below);
        const VECTOR two = weighted(byte_of(upper[1], c + 1), above, byte_of(lower[1], c + 1), below);
        const VECTOR sum = vec_add(weighted(one, left, two, right), vec_set1(0.5f));
        const VECTOR whole = vec_of_words(vec_truncate(sum));
        vec_storeu(ret[c], vec_mul(vec_sub(whole, vec_set1(scale->mean[c])), vec_set1(scale->scale[c])));
    }
}

static TARGET_VECTOR void pairs(const struct letterbox_pairs *columns, const struct letterbox_rows *rows,
                                const struct letterbox_scale *scale, float *const ret[3])
{
    const int whole = columns->n / LANES * LANES, rest = columns->n - whole;
    float last[3][LANES];

    for (int i = 0; i < whole; i += LANES)
        blend(columns, rows, scale, i, (float *const[3]){ ret[0] + i, ret[1] + i, ret[2] + i });
    if (rest == 0)
        return;
    blend(columns, rows, scale, whole, (float *const[3]){ last[0], last[1], last[2] });
    for (int c = 0; c < 3; c++)
        memcpy(ret[c] + whole, last[c], (size_t)rest * sizeof(float));
}

/* Bytes of a row added up at once. */
enum { SPAN = 4 * LANES };

INLINE_VECTOR void sum_span(const uint8_t *from, size_t stride, const float *weights, int rows,
                            float *ret)
{
    VECTOR total[SPAN / LANES];

    UNROLL
    for (int j = 0; j < SPAN / LANES; j++)
        total[j] = vec_zero();
    for (int k = 0; k < rows; k++, from += stride) {
        const VECTOR weight = vec_set1(weights[k]);
        UNROLL
        for (int j = 0; j < SPAN / LANES; j++) {
            const VECTOR v = vec_mul(vec_of_words(words_of_bytes(from + j * LANES)), weight);
            total[j] = vec_add(total[j], v);
        }
    }
    UNROLL
    for (int j = 0; j < SPAN / LANES; j++)
        vec_storeu(ret + j * LANES, total[j]);
}

/* Fewer than SPAN bytes, each row continued to SPAN. */
static TARGET_VECTOR void sum_rest(const uint8_t *from, size_t stride, const float *weights, int rows,
                                   size_t n, float *ret)
{
    uint8_t row[SPAN] = { 0 };
    float product[SPAN];

    memset(ret, 0, n * sizeof *ret);
    for (int k = 0; k < rows; k++, from += stride) {
        memcpy(row, from, n);
        sum_span(row, SPAN, &weights[k], 1, product);
        for (size_t i = 0; i < n; i++)
            ret[i] += product[i];
    }
}

static TARGET_VECTOR void sum(const uint8_t *from, size_t stride, const float *weights, int rows,
                              size_t n, float *ret)
{
    size_t i = 0;

    for (; i + SPAN <= n; i += SPAN)
        sum_span(from + i, stride, weights, rows, ret + i);
    if (i < n)
        sum_rest(from + i, stride, weights, rows, n - i, ret + i);
}

/* A pixel of a summed row, and the number after it. */
INLINE_VECTOR __m128 times(const float *pixel, float weight)
{
    return _mm_mul_ps(_mm_loadu_ps(pixel), _mm_set1_ps(weight));
}

/* One target pixel at a time: its own sources lie side by side, those of its neighbour do not. */
static TARGET_VECTOR void columns(const struct letterbox_tap *taps, const float *weights, int n,
                                  const float *row, const struct letterbox_scale *scale,
                                  float *const ret[3])
{
    const __m128 mean = _mm_setr_ps(scale->mean[0], scale->mean[1], scale->mean[2], 0);
    const __m128 factor = _mm_setr_ps(scale->scale[0], scale->scale[1], scale->scale[2], 0);
    const __m128 half = _mm_set1_ps(0.5f);

    for (int x = 0; x < n; x++) {
        const struct letterbox_tap *t = &taps[x];
        const float *p = row + (size_t)t->low * 3, *w = weights + t->weights;
        __m128 v = half;

        if (t->n == 2)
            v = _mm_add_ps(_mm_add_ps(times(p, w[0]), times(p + 3, w[1])), half);
        else
            for (int k = 0; k < t->n; k++)
                v = _mm_add_ps(v, times(p + k * 3, w[k]));
        v = _mm_mul_ps(_mm_sub_ps(_mm_cvtepi32_ps(_mm_cvttps_epi32(v)), mean), factor);
        _mm_store_ss(&ret[0][x], v);
        _mm_store_ss(&ret[1][x], _mm_movehdup_ps(v));
        _mm_store_ss(&ret[2][x], _mm_movehl_ps(v, v));
    }
}

const struct letterbox_kernels letterbox_vector = { .pairs = pairs, .sum = sum, .columns = columns };
