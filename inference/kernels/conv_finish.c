/* The last pass over a row of sums: activation and residual, in the type of the result. Compiled for
 * AVX-512, and by conv_finish_avx2.c. */
#include "inference/kernels/vector.h"

#include "inference/kernels/activate.h"
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/exact.h"

INLINE_VECTOR void finish(const struct fusion *f, const enum activation act, const float *x,
                          const void *residual, void *y, size_t n, const enum dtype type)
{
    const VECTOR alpha = vec_set1(f->alpha), beta = vec_set1(f->beta);

    for (size_t i = 0; i < n; i++) {
        const VECTOR in = vec_load(x + (size_t)LANES * i);
        VECTOR v =
            act == ACT_SILU && type != DTYPE_F32 ? vec_silu_coarse(in) : activate(act, in, alpha, beta);
        if (residual)
            v = vec_add(v, vec_read((const char *)residual + i * vec_bytes(type), type));
        vec_write((char *)y + i * vec_bytes(type), v, type);
    }
}

/* One loop for each activation, so that the choice is made outside. */
INLINE_VECTOR void finish_as(const struct fusion *f, const float *x, const void *residual, void *y,
                             size_t n, const enum dtype type)
{
#define FINISH(act) finish(f, act, x, residual, y, n, type)
    ACTIVATION_CHOOSE(f->act, FINISH);
#undef FINISH
}

/* Results that only AVX-512 makes; false: not one of them. */
#ifndef VECTOR_AVX2
static TARGET_VECTOR bool finish_specially(const struct conv_shape *s, int block, const float *x,
                                           const void *residual, void *y, size_t n)
{
    if (quanta_used(&s->y_bytes))
        conv_finish_bytes(s, block, x, residual, y, n);
    else if (s->y_type == DTYPE_F16)
        finish_as(&s->fused, x, residual, y, n, DTYPE_F16);
    else if (s->y_type == DTYPE_BF16)
        finish_as(&s->fused, x, residual, y, n, DTYPE_BF16);
    else if (s->exact)
        exact_finish(&s->fused, x, residual, y, n);
    else
        return false;
    return true;
}
#else
#define finish_specially(s, block, x, residual, y, n) false
#endif

TARGET_VECTOR
void conv_finish(const struct conv_shape *s, int block, const float *x, const void *residual, void *y,
                 size_t n)
{
    (void)block; /* without bytes */
    if (finish_specially(s, block, x, residual, y, n))
        return;
    if (s->fused.act != ACT_NONE || residual || x != y)
        finish_as(&s->fused, x, residual, y, n, DTYPE_F32);
}
