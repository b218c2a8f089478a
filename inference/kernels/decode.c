/* See decode.h: 16 cells at a time, one in each lane. */
#include <math.h>
#include "inference/kernels/decode.h"
#include "inference/kernels/simd.h"
#include "inference/kernels/team.h"
#include "inference/ops/topk.h"

/* 16 cells of 16 channels to 16 channels of 16 cells; cells from n on are 0. */
INLINE_AVX512 void read_cells(const float *x, size_t n, __m512 r[16])
{
    __m512 a[16], b[16];

    UNROLL
    for (size_t i = 0; i < 16; i++)
        a[i] = i < n ? _mm512_load_ps(x + 16 * i) : _mm512_setzero_ps();
    UNROLL
    for (int i = 0; i < 16; i += 2) { /* pairs of rows, within quarters */
        b[i] = _mm512_unpacklo_ps(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_ps(a[i], a[i + 1]);
    }
    UNROLL
    for (int i = 0; i < 16; i += 4)
        UNROLL
    for (int k = 0; k < 2; k++) {
        const __m512d low = _mm512_castps_pd(b[i + k]), high = _mm512_castps_pd(b[i + k + 2]);
        a[i + 2 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
        a[i + 2 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
    }
    UNROLL
    for (int k = 0; k < 4; k++) { /* quarters: a[4 i + k] holds channels k, k + 4, .. of cells 4 i.. */
        b[k] = _mm512_shuffle_f32x4(a[k], a[4 + k], 0x88);
        b[4 + k] = _mm512_shuffle_f32x4(a[k], a[4 + k], 0xdd);
        b[8 + k] = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0x88);
        b[12 + k] = _mm512_shuffle_f32x4(a[8 + k], a[12 + k], 0xdd);
    }
    UNROLL
    for (int k = 0; k < 4; k++) {
        r[k] = _mm512_shuffle_f32x4(b[k], b[8 + k], 0x88);
        r[8 + k] = _mm512_shuffle_f32x4(b[k], b[8 + k], 0xdd);
        r[4 + k] = _mm512_shuffle_f32x4(b[4 + k], b[12 + k], 0x88);
        r[12 + k] = _mm512_shuffle_f32x4(b[4 + k], b[12 + k], 0xdd);
    }
}

/* The mean of 0..15 under the softmax of x. */
INLINE_AVX512 __m512 mean_bin(const __m512 x[16])
{
    __m512 most = x[0], sum = _mm512_setzero_ps(), weighted = sum;

    UNROLL
    for (int i = 1; i < 16; i++)
        most = _mm512_max_ps(most, x[i]);
    UNROLL
    for (int i = 0; i < 16; i++) {
        const __m512 e = exp2_512(_mm512_mul_ps(_mm512_sub_ps(x[i], most), _mm512_set1_ps(1.44269504f)));
        sum = _mm512_add_ps(sum, e);
        weighted = _mm512_fmadd_ps(e, _mm512_set1_ps((float)i), weighted);
    }
    return _mm512_div_ps(weighted, sum);
}

/* Distances to the left, upper, right and lower side, in cells. */
INLINE_AVX512 void read_sides(const struct decode *d, const struct decode_level *l, size_t at, size_t n,
                              __m512 side[4])
{
    __m512 x[16];

    if (d->bins == 1) {
        read_cells(l->boxes + at * 16, n, x);
        for (int i = 0; i < 4; i++)
            side[i] = x[i];
        return;
    }
    for (size_t i = 0; i < 4; i++) {
        read_cells(l->boxes + (i * l->plane + at) * 16, n, x);
        side[i] = mean_bin(x);
    }
}

INLINE_AVX512 __m512 angle_of(const struct decode *d, __m512 x)
{
    const __m512 turns = _mm512_sub_ps(sigmoid_512(x), _mm512_set1_ps(0.25f));

    return d->extra == DECODE_ANGLE ? _mm512_mul_ps(turns, _mm512_set1_ps((float)M_PI)) : x;
}

/* The offset of 16 boxes' centres from their anchors, turned by their angles. */
INLINE_AVX512 void turn(const struct decode *d, const struct decode_level *l, size_t at, size_t n,
                        __m512 *x, __m512 *y)
{
    _Alignas(64) float sine[16], cosine[16];
    const __m512 u = *x, v = *y;
    __m512 extras[16], s, c;

    read_cells(l->extras + at * 16, n, extras);
    _mm512_store_ps(sine, angle_of(d, extras[0]));
    for (size_t i = 0; i < 16; i++) {
        cosine[i] = cosf(sine[i]);
        sine[i] = sinf(sine[i]);
    }
    s = _mm512_load_ps(sine);
    c = _mm512_load_ps(cosine);
    *x = _mm512_fmsub_ps(u, c, _mm512_mul_ps(v, s));
    *y = _mm512_fmadd_ps(u, s, _mm512_mul_ps(v, c));
}

/* Where the anchors of 16 cells from `at` on are, in cells. */
INLINE_AVX512 void find_anchors(const struct decode_level *l, size_t at, __m512 *x, __m512 *y)
{
    _Alignas(64) float across[16], down[16];

    for (size_t i = 0; i < 16; i++) {
        const size_t row = (at + i) / l->width, column = (at + i) % l->width;
        across[i] = (float)column + 0.5f;
        down[i] = (float)row + 0.5f;
    }
    *x = _mm512_load_ps(across);
    *y = _mm512_load_ps(down);
}

INLINE_AVX512 void decode_boxes(const struct decode *d, const struct decode_level *l, size_t at,
                                size_t n, float *rows)
{
    const __mmask16 real = (__mmask16)((1u << n) - 1);
    const __m512 stride = _mm512_set1_ps(l->stride), half = _mm512_set1_ps(0.5f);
    __m512 side[4], box[4], x, y;

    read_sides(d, l, at, n, side);
    find_anchors(l, at, &x, &y);
    if (d->boxes == DECODE_CORNERS) {
        box[0] = _mm512_sub_ps(x, side[0]);
        box[1] = _mm512_sub_ps(y, side[1]);
        box[2] = _mm512_add_ps(x, side[2]);
        box[3] = _mm512_add_ps(y, side[3]);
    } else {
        box[0] = _mm512_mul_ps(_mm512_sub_ps(side[2], side[0]), half);
        box[1] = _mm512_mul_ps(_mm512_sub_ps(side[3], side[1]), half);
        if (d->boxes == DECODE_ROTATED)
            turn(d, l, at, n, &box[0], &box[1]);
        box[0] = _mm512_add_ps(box[0], x);
        box[1] = _mm512_add_ps(box[1], y);
        box[2] = _mm512_add_ps(side[0], side[2]);
        box[3] = _mm512_add_ps(side[1], side[3]);
    }
    for (size_t i = 0; i < 4; i++)
        _mm512_mask_storeu_ps(rows + i * d->anchors, real, _mm512_mul_ps(box[i], stride));
}

/* One block of channels of one group of cells. */
INLINE_AVX512 void decode_scores(const struct decode *d, const struct decode_level *l, size_t k,
                                 size_t at, size_t n, float *rows)
{
    const __mmask16 real = (__mmask16)((1u << n) - 1);
    const size_t channels = d->classes - k < 16 ? d->classes - k : 16;
    __m512 x[16];

    read_cells(l->scores + (k * l->plane / 16 + at) * 16, n, x);
    for (size_t i = 0; i < channels; i++)
        _mm512_mask_storeu_ps(rows + i * d->anchors, real, sigmoid_512(x[i]));
}

/* Values of points: v, or 2 v, cells from the anchor, or half a cell before it; in pixels. */
INLINE_AVX512 __m512 point_of(const struct decode *d, const struct decode_level *l, __m512 v,
                              __m512 anchor)
{
    if (d->extra == DECODE_POINTS)
        v = _mm512_add_ps(_mm512_add_ps(v, v), _mm512_sub_ps(anchor, _mm512_set1_ps(0.5f)));
    else
        v = _mm512_add_ps(v, anchor);
    return _mm512_mul_ps(v, _mm512_set1_ps(l->stride));
}

/* As decode_scores. */
INLINE_AVX512 void decode_extras(const struct decode *d, const struct decode_level *l, size_t k,
                                 size_t at, size_t n, float *rows)
{
    const __mmask16 real = (__mmask16)((1u << n) - 1);
    const size_t channels = d->extras - k < 16 ? d->extras - k : 16;
    __m512 x[16], across, down;

    read_cells(l->extras + (k * l->plane / 16 + at) * 16, n, x);
    find_anchors(l, at, &across, &down);
    for (size_t i = 0; i < channels; i++) {
        const size_t axis = (k + i) % d->dims;
        __m512 v = x[i];
        if (d->extra == DECODE_ANGLE || d->extra == DECODE_PLAIN_ANGLE)
            v = angle_of(d, v);
        else if (d->extra != DECODE_RAW)
            v = axis == 2 ? sigmoid_512(v) : point_of(d, l, v, axis ? down : across);
        _mm512_mask_storeu_ps(rows + i * d->anchors, real, v);
    }
}

/* Block by block, so that few rows are written at a time. */
static TARGET_AVX512 void decode_part(const void *context, int part, int parts)
{
    const struct decode *d = context;
    float *rows = d->rows;

    for (int i = 0; i < d->nlevels; i++) {
        const struct decode_level *l = &d->levels[i];
        const size_t groups = (l->plane + 15) / 16;
        const size_t first = groups * (size_t)part / (size_t)parts * 16,
                     end = groups * (size_t)(part + 1) / (size_t)parts * 16;
        const size_t last = end < l->plane ? end : l->plane;
        for (size_t at = first; at < last; at += 16)
            decode_boxes(d, l, at, last - at < 16 ? last - at : 16, rows + at);
        for (size_t k = 0; k < d->classes; k += 16)
            for (size_t at = first; at < last; at += 16)
                decode_scores(d, l, k, at, last - at < 16 ? last - at : 16,
                              rows + (4 + k) * d->anchors + at);
        for (size_t k = 0; k < d->extras; k += 16)
            for (size_t at = first; at < last; at += 16)
                decode_extras(d, l, k, at, last - at < 16 ? last - at : 16,
                              rows + (4 + d->classes + k) * d->anchors + at);
        rows += l->plane;
    }
}

void decode_run(const struct decode *d, int threads)
{
    team_run(threads, decode_part, d);
}

/* The score of the likeliest class of each of n cells. */
INLINE_AVX512 void find_best(const struct decode *d, const struct decode_level *l, size_t at, size_t n,
                             float *best)
{
    _Alignas(64) float likeliest[16 * 16];
    const size_t last = (d->classes - 1) / 16;
    const __mmask16 real = (__mmask16)((1u << (d->classes - last * 16)) - 1);
    const __m512 least = _mm512_set1_ps(-INFINITY);
    __m512 x[16], most;

    for (size_t i = 0; i < n; i++) {
        const float *cell = l->scores + (at + i) * 16;
        most = _mm512_mask_mov_ps(least, real, _mm512_load_ps(cell + last * l->plane * 16));
        for (size_t k = 0; k < last; k++)
            most = _mm512_max_ps(most, _mm512_load_ps(cell + k * l->plane * 16));
        _mm512_store_ps(likeliest + 16 * i, most);
    }
    read_cells(likeliest, n, x);
    most = x[0];
    for (int i = 1; i < 16; i++)
        most = _mm512_max_ps(most, x[i]);
    _mm512_mask_storeu_ps(best, (__mmask16)((1u << n) - 1), sigmoid_512(most));
}

struct best {
    const struct decode *d;
    float *best;
};

static TARGET_AVX512 void find_best_part(const void *context, int part, int parts)
{
    const struct best *b = context;
    float *best = b->best;

    for (int i = 0; i < b->d->nlevels; i++) {
        const struct decode_level *l = &b->d->levels[i];
        const size_t groups = (l->plane + 15) / 16, end = groups * (size_t)(part + 1) / (size_t)parts;
        for (size_t g = groups * (size_t)part / (size_t)parts; g < end; g++)
            find_best(b->d, l, g * 16, l->plane - g * 16 < 16 ? l->plane - g * 16 : 16, best + g * 16);
        best += l->plane;
    }
}

/* The level of an anchor, which becomes a cell of it. */
static const struct decode_level *level_of(const struct decode *d, size_t *at)
{
    const struct decode_level *l = d->levels;

    for (; *at >= l->plane; l++)
        *at -= l->plane;
    return l;
}

/* All scores of one anchor; `one` has anchors set to 1, which puts rows next to each other. */
static TARGET_AVX512 void write_scores(const struct decode *one, size_t anchor, float *scores)
{
    const struct decode_level *l = level_of(one, &anchor);

    for (size_t k = 0; k < one->classes; k += 16) {
        const size_t n = one->classes - k < 16 ? one->classes - k : 16;
        const __m512 x = _mm512_load_ps(l->scores + (k * l->plane / 16 + anchor) * 16);
        _mm512_mask_storeu_ps(scores + k, (__mmask16)((1u << n) - 1), sigmoid_512(x));
    }
}

static TARGET_AVX512 void write_row(const struct decode *one, size_t anchor, float score, size_t class,
                                    float *y)
{
    const struct decode_level *l = level_of(one, &anchor);

    decode_boxes(one, l, anchor, 1, y);
    y[4] = score;
    y[5] = (float)class;
    for (size_t k = 0; k < one->extras; k += 16)
        decode_extras(one, l, k, anchor, 1, y + 6 + k);
}

void decode_best(const struct decode *d, const struct decode_room *room, size_t k, float *y, int threads)
{
    struct decode one = *d;

    one.anchors = 1;
    team_run(threads, find_best_part, &(const struct best){ d, room->best });
    topk_select(room->best, 1, d->anchors, room->anchors, k, 1);
    for (size_t i = 0; i < k; i++)
        write_scores(&one, (size_t)room->anchors[i], room->scores + i * d->classes);
    topk_select(room->scores, 1, k * d->classes, room->picked, k, 1);
    for (size_t i = 0; i < k; i++, y += 6 + d->extras) {
        const size_t at = (size_t)room->picked[i];
        write_row(&one, (size_t)room->anchors[at / d->classes], room->scores[at], at % d->classes, y);
    }
}
