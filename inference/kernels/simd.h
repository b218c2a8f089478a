/*
 * What the vector kernels share. Functions carry their instruction set as an attribute; cpu_isa decides
 * at run time which are called.
 */
#ifndef INFERENCE_KERNELS_SIMD_H
#define INFERENCE_KERNELS_SIMD_H

#include <immintrin.h>
#include <stddef.h>
#include <string.h>
#include "inference/graph/value.h"

#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma,f16c")))
#define INLINE_AVX512 static inline __attribute__((always_inline)) TARGET_AVX512
/* Arrays of registers exist only when the loops over them are unrolled. */
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 32")
#endif

/*
 * Arithmetic on 32 floats of 16 bits. clang 14 shows its intrinsics only where a whole file may use
 * them, so these are the instructions themselves. CPU_AVX512_FP16 only.
 */
INLINE_AVX512 __m512i half_fma(__m512i a, __m512i b, __m512i sum)
{
    __asm__("vfmadd231ph %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}
INLINE_AVX512 __m512i half_add(__m512i a, __m512i b)
{
    __m512i sum;

    __asm__("vaddph %2, %1, %0" : "=v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* The same of bfloat16, cpu_has_bf16 only: numbers rounded to nearest even, subnormal ones to 0. */
INLINE_AVX512 __m256i bfloat_of(__m512 x)
{
    __m256i y;

    __asm__("vcvtneps2bf16 %1, %0" : "=v"(y) : "v"(x));
    return y;
}
/* sum, in float32, of it and the products of each pair of lanes */
INLINE_AVX512 __m512 bfloat_dot(__m512i a, __m512i b, __m512 sum)
{
    __asm__("vdpbf16ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
    return sum;
}

/* Two channels of one pixel, of 16 bits each, in every pair of lanes. */
INLINE_AVX512 __m512i both_channels(const uint16_t *x)
{
    int pair;

    memcpy(&pair, x, sizeof pair);
    return _mm512_set1_epi32(pair);
}

/* 2^r for r from 0 to 1, within 8e-8, the highest power first. */
enum { EXP2_TERMS = 6 };
static const float exp2_terms[EXP2_TERMS] = { 1.87757667e-3f, 8.98934009e-3f, 5.58263181e-2f,
                                              2.40153617e-1f, 6.93153073e-1f, 0.999999925f };

/* t in [-100, 100]: powers of two beyond lead to infinity or to denormal numbers, and one of either
 * costs as much as a hundred others. NaN counts as 100. */
INLINE_AVX512 __m512 exponent_512(__m512 t)
{
    enum { LESSER_SIZE_SIGN_OF_FIRST = 2 };
/* Without optimisation it is a macro of gcc's header, which converts a constant of its own. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
    return _mm512_range_ps(t, _mm512_set1_ps(100), LESSER_SIZE_SIGN_OF_FIRST);
#pragma GCC diagnostic pop
}

/* What t has above the integer below it: in [0, 1). */
INLINE_AVX512 __m512 fraction_512(__m512 t)
{
    enum { FROM_INTEGER_BELOW = 1 };
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wsign-conversion"
    return _mm512_reduce_ps(t, FROM_INTEGER_BELOW);
#pragma GCC diagnostic pop
}

/*
 * 2^t for |t| at most 100 (beyond, that of the bound), within 2e-7: a polynomial of degree 5 on [0, 1),
 * which scalef multiplies by 2^(integer below t).
 */
INLINE_AVX512 __m512 exp2_512(__m512 t)
{
    const __m512 e = exponent_512(t), r = fraction_512(e);
    __m512 p = _mm512_set1_ps(exp2_terms[0]);

    UNROLL
    for (int i = 1; i < EXP2_TERMS; i++)
        p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(exp2_terms[i]));
    return _mm512_scalef_ps(p, e);
}

/* 1 + exp(-x) */
INLINE_AVX512 __m512 sigmoid_divisor(__m512 x)
{
    return _mm512_add_ps(exp2_512(_mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f))), _mm512_set1_ps(1));
}

/* Within 3e-7; of NaN a number. Dividing takes less than an estimate, a step of Newton's and a product.
 */
INLINE_AVX512 __m512 sigmoid_512(__m512 x)
{
    return _mm512_div_ps(_mm512_set1_ps(1), sigmoid_divisor(x));
}

/* NaN stays NaN. */
INLINE_AVX512 __m512 silu_512(__m512 x)
{
    return _mm512_div_ps(x, sigmoid_divisor(x));
}

/* The same within 1.4e-4 of it, for results that are rounded to 16 bits: a polynomial of degree 3 and
 * the processor's estimate of a reciprocal. */
INLINE_AVX512 __m512 silu_coarse_512(__m512 x)
{
    const __m512 t = exponent_512(_mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f)));
    const __m512 r = fraction_512(t);
    __m512 p = _mm512_set1_ps(0.0780245227f);

    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.226067155f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.695833541f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.999925219f));
    p = _mm512_add_ps(_mm512_scalef_ps(p, t), _mm512_set1_ps(1));
    return _mm512_mul_ps(x, _mm512_rcp14_ps(p));
}

/* Bytes of 16 channels of one pixel. */
static inline size_t pixel_bytes(const enum dtype type)
{
    return type == DTYPE_F32 ? 64 : 32;
}

/* 16 channels of one pixel, aligned to their size; numbers too large for the type become infinity. */
INLINE_AVX512 __m512 load_pixel(const void *x, const enum dtype type)
{
    if (type == DTYPE_F16)
        return _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)x));
    if (type == DTYPE_BF16)
        return _mm512_castsi512_ps(
            _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_load_si256((const __m256i *)x)), 16));
    return _mm512_load_ps(x);
}

INLINE_AVX512 void store_pixel(void *y, __m512 v, const enum dtype type)
{
    if (type == DTYPE_F16)
        _mm256_store_si256((__m256i *)y, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    else if (type == DTYPE_BF16)
        _mm256_store_si256((__m256i *)y, bfloat_of(v));
    else
        _mm512_store_ps(y, v);
}

/* RUN(type) with the type known where it is compiled: the choice is made once, outside of the loop. */
#define FLOATS_CHOOSE(type, RUN)                                                                        \
    do {                                                                                                \
        if ((type) == DTYPE_F16)                                                                        \
            RUN(DTYPE_F16);                                                                             \
        else if ((type) == DTYPE_BF16)                                                                  \
            RUN(DTYPE_BF16);                                                                            \
        else                                                                                            \
            RUN(DTYPE_F32);                                                                             \
    } while (0)

#endif
