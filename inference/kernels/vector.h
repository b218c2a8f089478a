/*
 * The vectors that a source is written in which is compiled twice: one holds a block's channels of one
 * pixel, 16 of them with AVX-512, 8 in a file that defines VECTOR_AVX2 and then includes that source.
 * Such a file defines the names at the end of this one; include this header first.
 */
#ifndef INFERENCE_KERNELS_VECTOR_H
#define INFERENCE_KERNELS_VECTOR_H

#include "inference/kernels/simd.h"

#ifndef VECTOR_AVX2

enum { LANES = 16 };
#define TARGET_VECTOR TARGET_AVX512
#define INLINE_VECTOR INLINE_AVX512
#define VECTOR        __m512

#define vec_load    _mm512_load_ps
#define vec_loadu   _mm512_loadu_ps
#define vec_store   _mm512_store_ps
#define vec_set1    _mm512_set1_ps
#define vec_zero    _mm512_setzero_ps
#define vec_add     _mm512_add_ps
#define vec_sub     _mm512_sub_ps
#define vec_mul     _mm512_mul_ps
#define vec_min     _mm512_min_ps
#define vec_max     _mm512_max_ps
#define vec_fmadd   _mm512_fmadd_ps
#define vec_fnmadd  _mm512_fnmadd_ps
#define vec_sigmoid sigmoid_512
#define vec_silu    silu_512
/* for results that are rounded to a narrower type */
#define vec_silu_coarse silu_coarse_512

/* x, or x a where it is below 0 */
INLINE_VECTOR VECTOR vec_scale_negative(VECTOR x, VECTOR a)
{
    return _mm512_mask_mul_ps(x, _mm512_cmp_ps_mask(x, vec_zero(), _CMP_LT_OQ), x, a);
}

/* Bytes of one vector of a type, and vectors of it in memory, aligned to their size. */
#define vec_bytes pixel_bytes
#define vec_read  load_pixel
#define vec_write store_pixel

/* Each number beside the other vector's, in 16 bits. */
INLINE_VECTOR void vec_write_pairs(void *to, VECTOR first, VECTOR second, enum dtype type)
{
    const bool half = type == DTYPE_F16;
    const __m256i a = half ? _mm512_cvtps_ph(first, _MM_FROUND_TO_NEAREST_INT) : bfloat_of(first);
    const __m256i b = half ? _mm512_cvtps_ph(second, _MM_FROUND_TO_NEAREST_INT) : bfloat_of(second);

    _mm512_store_si512(
        to, _mm512_or_si512(_mm512_cvtepu16_epi32(a), _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16)));
}

#else

enum { LANES = 8 };
#define TARGET_VECTOR __attribute__((target("avx2,fma")))
#define INLINE_VECTOR static inline __attribute__((always_inline)) TARGET_VECTOR
#define VECTOR        __m256

#define vec_load               _mm256_load_ps
#define vec_loadu              _mm256_loadu_ps
#define vec_store              _mm256_store_ps
#define vec_set1               _mm256_set1_ps
#define vec_zero               _mm256_setzero_ps
#define vec_add                _mm256_add_ps
#define vec_sub                _mm256_sub_ps
#define vec_mul                _mm256_mul_ps
#define vec_min                _mm256_min_ps
#define vec_max                _mm256_max_ps
#define vec_fmadd              _mm256_fmadd_ps
#define vec_fnmadd             _mm256_fnmadd_ps

INLINE_VECTOR VECTOR vec_scale_negative(VECTOR x, VECTOR a)
{
    return _mm256_blendv_ps(x, vec_mul(x, a), _mm256_cmp_ps(x, vec_zero(), _CMP_LT_OQ));
}

/* As exp2_512. */
INLINE_VECTOR VECTOR vec_exp2(VECTOR t)
{
    const VECTOR e = vec_min(vec_max(t, vec_set1(-100)), vec_set1(100));
    const VECTOR n = _mm256_round_ps(e, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const __m256i power = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    VECTOR p = vec_set1(exp2_terms[0]);

    UNROLL
    for (int i = 1; i < EXP2_TERMS; i++)
        p = vec_fmadd(p, vec_sub(e, n), vec_set1(exp2_terms[i]));
    return vec_mul(p, _mm256_castsi256_ps(_mm256_slli_epi32(power, 23)));
}

INLINE_VECTOR VECTOR vec_sigmoid(VECTOR x)
{
    const VECTOR one = vec_set1(1);

    return _mm256_div_ps(one, vec_add(one, vec_exp2(vec_mul(x, vec_set1(-1.44269504f)))));
}

/* NaN stays NaN here; vec_sigmoid makes a number of it. */
INLINE_VECTOR VECTOR vec_silu(VECTOR x)
{
    return vec_mul(x, vec_sigmoid(x));
}
#define vec_silu_coarse        vec_silu

/* float32 only: there is no arithmetic on anything narrower. */
static inline size_t vec_bytes(const enum dtype type)
{
    (void)type;
    return LANES * sizeof(float);
}

INLINE_VECTOR VECTOR vec_read(const void *x, const enum dtype type)
{
    (void)type;
    return vec_load(x);
}

INLINE_VECTOR void vec_write(void *y, VECTOR v, const enum dtype type)
{
    (void)type;
    vec_store(y, v);
}

INLINE_VECTOR void vec_write_pairs(void *to, VECTOR first, VECTOR second, enum dtype type)
{
    (void)to, (void)first, (void)second, (void)type;
}

/* Of what conv_kernel.h says in bytes. */
#define pixel_bytes            vec_bytes

/* What such files define. */
#define tile_groups            tile_groups_avx2
#define tile_pixels            tile_pixels_avx2
#define tile_run               tile_run_avx2
#define tile_row               tile_row_avx2
#define conv_finish            conv_finish_avx2
#define winograd_suits         winograd_suits_avx2
#define winograd_pack          winograd_pack_avx2
#define winograd_scratch_bytes winograd_scratch_bytes_avx2
#define winograd_work          winograd_work_avx2

#endif

#endif
