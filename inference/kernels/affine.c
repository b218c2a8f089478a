/* See affine.h. */
#include "inference/kernels/affine.h"
#include "inference/kernels/activate.h"
#include "inference/kernels/team.h"

/* Pixels first to last of a block. */
INLINE_AVX512 void run_pixels(const struct affine_map *m, size_t block, size_t first, size_t last,
                              const enum dtype type, const enum activation act, const bool slopes)
{
    const __m512 scale = _mm512_loadu_ps(m->scale + block * 16),
                 shift = _mm512_loadu_ps(m->shift + block * 16),
                 slope = slopes ? _mm512_loadu_ps(m->slopes + block * 16) : scale;
    const __m512 alpha = _mm512_set1_ps(m->fused.alpha), beta = _mm512_set1_ps(m->fused.beta);
    const size_t size = pixel_bytes(type);
    const char *x = (const char *)m->x + (block * m->plane + first) * size;
    char *y = (char *)m->y + (block * m->plane + first) * size;

    for (size_t i = first; i < last; i++, x += size, y += size) {
        __m512 v = _mm512_fmadd_ps(load_pixel(x, type), scale, shift);
        if (slopes)
            v = _mm512_mask_mul_ps(v, _mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_LT_OQ), v, slope);
        store_pixel(y, activate(act, v, alpha, beta), type);
    }
}

INLINE_AVX512 void run_act(const struct affine_map *m, size_t block, size_t first, size_t last,
                           const enum dtype type)
{
#define RUN(act) run_pixels(m, block, first, last, type, act, false)
    if (m->slopes)
        run_pixels(m, block, first, last, type, ACT_NONE, true);
    else
        ACTIVATION_CHOOSE(m->fused.act, RUN)
#undef RUN
}

/* Pixels counted through all blocks. */
static TARGET_AVX512 void run_part(const void *context, int part, int parts)
{
    const struct affine_map *m = context;
    const size_t all = m->blocks * m->plane, end = all * ((size_t)part + 1) / (size_t)parts;

    for (size_t at = all * (size_t)part / (size_t)parts; at < end;) {
        const size_t block = at / m->plane, first = at % m->plane;
        const size_t last = end - at < m->plane - first ? first + (end - at) : m->plane;
#define RUN(type) run_act(m, block, first, last, type)
        FLOATS_CHOOSE(m->type, RUN);
#undef RUN
        at += last - first;
    }
}

void affine_run(const struct affine_map *m, int threads)
{
    team_run(threads, run_part, m);
}
