/* Vectors of 16 floats from and to bytes; see bytes.h. */
#ifndef INFERENCE_KERNELS_SIMD_BYTES_H
#define INFERENCE_KERNELS_SIMD_BYTES_H

#include <stdint.h>
#include "inference/kernels/bytes.h"
#include "inference/kernels/simd.h"

/* simd.h's functions inside a function of this target are inlined. */
#define TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")))
#define INLINE_VNNI static inline __attribute__((always_inline)) TARGET_VNNI

/* A quantum as vectors. */
struct byte_form {
    __m512 scale, per_step, low; /* per_step: 1 / scale; low: the value of byte 0 in steps */
    __m512i zero;
};

INLINE_AVX512 struct byte_form byte_form(const struct quantum *q)
{
    return (struct byte_form){ .scale = _mm512_set1_ps(q->scale),
                               .per_step = _mm512_set1_ps(1 / q->scale),
                               .low = _mm512_set1_ps((float)-q->zero),
                               .zero = _mm512_set1_epi32(q->zero) };
}

/* NaN becomes byte 0. x counts steps from here on. */
INLINE_AVX512 void store_bytes(uint8_t *y, __m512 x, const struct byte_form *f)
{
    const __m512 steps = _mm512_max_ps(_mm512_mul_ps(x, f->per_step), f->low);
    const __m512i whole = _mm512_add_epi32(_mm512_cvtps_epi32(steps), f->zero);

    _mm_storeu_si128((__m128i *)(void *)y, _mm512_cvtusepi32_epi8(whole));
}

INLINE_AVX512 __m512 load_bytes(const uint8_t *x, const struct byte_form *f)
{
    const __m512i whole = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)x));

    return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_sub_epi32(whole, f->zero)), f->scale);
}

#endif
