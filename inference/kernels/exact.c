/* See exact.h, and tile.c, whose shapes these are. */
#include "inference/kernels/exact.h"
#include "inference/kernels/activate.h"
#include "inference/kernels/simd.h"

enum { CHAIN_TAPS = 3 }; /* of 16 channels each */

/* Taps `first` to `last` - 1 of one block, added to what y holds, or to the bias. */
INLINE_AVX512 void run_chain(const struct tile *t, const int block, int first, int last,
                             const int groups, const int pixels)
{
    const float *w = t->w + (ptrdiff_t)(block * t->ntaps + first) * 256 * groups;
    __m512 sum[28];

    UNROLL
    for (int i = 0; i < groups * pixels; i++)
        sum[i] = _mm512_setzero_ps();
    for (int tap = first; tap < last; tap++) {
        const float *x = t->x + (size_t)block * t->x_plane + t->taps[tap];
        for (int k = 0; k < 16; k++, w += 16 * groups) {
            __m512 weights[TILE_GROUPS];
            UNROLL
            for (int o = 0; o < groups; o++)
                weights[o] = _mm512_load_ps(w + 16 * o);
            UNROLL
            for (int p = 0; p < pixels; p++) {
                const __m512 in = _mm512_set1_ps(x[p * 16 + k]);
                UNROLL
                for (int o = 0; o < groups; o++)
                    sum[o * pixels + p] = _mm512_fmadd_ps(in, weights[o], sum[o * pixels + p]);
            }
        }
    }
    UNROLL
    for (int o = 0; o < groups; o++)
        UNROLL
    for (int p = 0; p < pixels; p++) {
        float *y = t->y + (size_t)o * t->y_plane + 16 * p;
        const __m512 before = block || first || t->more ? _mm512_load_ps(y)
                              : t->bias                 ? _mm512_loadu_ps(t->bias + 16 * o)
                                                        : _mm512_setzero_ps();
        _mm512_store_ps(y, _mm512_add_ps(before, sum[o * pixels + p]));
    }
}

INLINE_AVX512 void run(const struct tile *t, const int groups, const int pixels)
{
    for (int c = 0; c < t->blocks; c++)
        for (int tap = 0, end; tap < t->ntaps; tap = end) {
            end = tap + CHAIN_TAPS < t->ntaps ? tap + CHAIN_TAPS : t->ntaps;
            run_chain(t, c, tap, end, groups, pixels);
        }
}

#define SHAPE(groups, pixels)                                                                           \
    static TARGET_AVX512 void run_##groups##_##pixels(const struct tile *t)                             \
    {                                                                                                   \
        run(t, groups, pixels);                                                                         \
    }
#define TILE tile
#include "inference/kernels/tile_shapes.h"

void exact_row(const struct tile *t, int groups, int pixels)
{
    run_row(t, groups, pixels, 16);
}

/* Its bound keeps the exponential finite; beyond, x / (1 + exp(-x)) is x or nearly 0 all the same. */
INLINE_AVX512 __m512 bounded(__m512 x)
{
    return _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-87)), _mm512_set1_ps(87));
}

/*
 * exp(x) within 1.5e-7 for |x| at most 87 (beyond, that of the bound): 2^n exp(r), where n log(2) is
 * taken from x in two parts so that r is exact, and exp(r) is its Taylor polynomial of degree 7 on
 * [-log(2) / 2, log(2) / 2].
 */
INLINE_AVX512 __m512 exp_exact(__m512 x)
{
    static const float factors[] = { 1.0f / 5040, 1.0f / 720, 1.0f / 120, 1.0f / 24,
                                     1.0f / 6,    1.0f / 2,   1,          1 };
    const __m512 e = bounded(x);
/* Without optimisation it is a macro of gcc's header, which converts a constant of its own. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(e, _mm512_set1_ps(1.44269504f)),
                                          _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#pragma GCC diagnostic pop
    const __m512 high = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.62ep-1f), e);
    const __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0x1.0bfbe8p-15f), high);
    __m512 p = _mm512_set1_ps(factors[0]);

    UNROLL
    for (int i = 1; i < 8; i++)
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(factors[i]));
    return _mm512_scalef_ps(p, n);
}

INLINE_AVX512 __m512 activate_exact(const enum activation act, __m512 x, __m512 alpha, __m512 beta)
{
    const __m512 one = _mm512_set1_ps(1);

    if (act == ACT_SILU || act == ACT_SIGMOID)
        return _mm512_div_ps(act == ACT_SILU ? x : one,
                             _mm512_add_ps(one, exp_exact(_mm512_sub_ps(_mm512_setzero_ps(), x))));
    return activate(act, x, alpha, beta);
}

INLINE_AVX512 void finish(const struct fusion *f, const enum activation act, const float *x,
                          const float *residual, float *y, size_t n)
{
    const __m512 alpha = _mm512_set1_ps(f->alpha), beta = _mm512_set1_ps(f->beta);

    for (size_t i = 0; i < n; i++) {
        const __m512 v = activate_exact(act, _mm512_load_ps(x + 16 * i), alpha, beta);
        _mm512_store_ps(y + 16 * i, residual ? _mm512_add_ps(v, _mm512_load_ps(residual + 16 * i)) : v);
    }
}

TARGET_AVX512
void exact_finish(const struct fusion *f, const float *x, const float *residual, float *y, size_t n)
{
#define FINISH(act) finish(f, act, x, residual, y, n)
    ACTIVATION_CHOOSE(f->act, FINISH);
#undef FINISH
}
