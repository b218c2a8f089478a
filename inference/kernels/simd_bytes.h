/* Vectors of 16 floats, one for each channel of a block, from and to bytes; see bytes.h. */
#ifndef INFERENCE_KERNELS_SIMD_BYTES_H
#define INFERENCE_KERNELS_SIMD_BYTES_H

#include <stdint.h>
#include "inference/kernels/bytes.h"
#include "inference/kernels/simd.h"

/* simd.h's functions inside a function of this target are inlined. */
#define TARGET_VNNI __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,fma,f16c")))
#define INLINE_VNNI static inline __attribute__((always_inline)) TARGET_VNNI

/* The quanta of a block as vectors. */
struct byte_form {
    __m512 scale, per_step, zero; /* per_step: 1 / scale */
};

INLINE_AVX512 struct byte_form byte_form(const struct quanta *q)
{
    const __m512 scale = _mm512_loadu_ps(q->scale);
    const __m128i zero = _mm_loadu_si128((const __m128i *)(const void *)q->zero);

    return (struct byte_form){ .scale = scale,
                               .per_step = _mm512_div_ps(_mm512_set1_ps(1), scale),
                               .zero = _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(zero)) };
}

/* The nearest whole number of each, counted from byte 0; still to be cut to 0..255. NaN: negative. */
INLINE_AVX512 __m512i to_steps(__m512 x, const struct byte_form *f)
{
    const __m512 steps = _mm512_fmadd_ps(x, f->per_step, f->zero);

    /* what 32 bits don't hold becomes negative: large ones must not; of NaN min gives the second */
    return _mm512_cvtps_epi32(_mm512_min_ps(_mm512_set1_ps(255), steps));
}

INLINE_AVX512 void store_bytes(uint8_t *y, __m512 x, const struct byte_form *f)
{
    const __m512i steps = _mm512_max_epi32(to_steps(x, f), _mm512_setzero_si512());

    _mm_storeu_si128((__m128i *)(void *)y, _mm512_cvtepi32_epi8(steps));
}

/* Four pixels of 16 channels as bytes, one after the other. */
INLINE_AVX512 __m512i four_pixels(const __m512i steps[4])
{
    const __m512i lanes = _mm512_packus_epi16(_mm512_packs_epi32(steps[0], steps[1]),
                                              _mm512_packs_epi32(steps[2], steps[3]));

    /* each quarter holds four channels of all four pixels */
    return _mm512_permutexvar_epi32(
        _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), lanes);
}

INLINE_AVX512 __m512 load_bytes(const uint8_t *x, const struct byte_form *f)
{
    const __m512i whole = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)x));

    return _mm512_mul_ps(_mm512_sub_ps(_mm512_cvtepi32_ps(whole), f->zero), f->scale);
}

#endif
