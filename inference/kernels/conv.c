/* What the methods of convolution share. See conv.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/failpoint.h"
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/cpu.h"
#include "inference/kernels/exact.h"
#include "inference/kernels/floats.h"
#include "inference/kernels/team.h"
#include "inference/kernels/tile.h"
#include "inference/kernels/tile_half.h"
#include "inference/kernels/tile_int8.h"

struct method {
    const char *names[3]; /* in float32, float16, bfloat16 */
    bool (*suits)(const struct conv_shape *s);
    bool (*pack)(struct conv_kernel *k, const float *weights);
    size_t (*scratch_bytes)(const struct conv_kernel *k);
    void (*work)(const void *job, int i, int n);
};

static const struct method methods[] = {
    [CONV_DIRECT] = { { "direct:avx512", "direct:avx512_fp16", "direct:avx512_bf16" },
                      direct_suits,
                      direct_pack,
                      direct_scratch_bytes,
                      direct_work },
    [CONV_WINOGRAD] = { { "winograd:avx512", "winograd:avx512_fp16", "winograd:avx512_bf16" },
                        winograd_suits,
                        winograd_pack,
                        winograd_scratch_bytes,
                        winograd_work },
    [CONV_DEPTHWISE] = { { "depthwise:avx512", "depthwise:avx512_fp16", "depthwise:avx512_bf16" },
                         depthwise_suits,
                         depthwise_pack,
                         depthwise_scratch_bytes,
                         depthwise_work },
    [CONV_FIRST] = { { "first:avx512" }, first_suits, first_pack, first_scratch_bytes, first_work },
};

static const struct method avx2_methods[] = {
    [CONV_DIRECT] = { .suits = NULL },
    [CONV_WINOGRAD] = { { "winograd:avx2" },
                        winograd_suits_avx2,
                        winograd_pack_avx2,
                        winograd_scratch_bytes_avx2,
                        winograd_work_avx2 },
    [CONV_DEPTHWISE] = { .suits = NULL },
    [CONV_FIRST] = { .suits = NULL },
};

int conv_block(void)
{
    return cpu_isa() >= CPU_AVX512 ? 16 : 8;
}

static const struct method *method_of(enum conv_method m)
{
    return &(cpu_isa() >= CPU_AVX512 ? methods : avx2_methods)[m];
}

bool conv_method_offered(enum conv_method m, enum dtype x_type, enum dtype y_type)
{
    if (cpu_isa() == CPU_AVX2)
        return avx2_methods[m].suits && x_type == DTYPE_F32 && y_type == DTYPE_F32;
    return floats_available(x_type) && floats_available(y_type);
}

bool conv_kernel_suits(const struct conv_shape *s, enum conv_method m)
{
    return (!quanta_used(&s->x_bytes) || (m == CONV_DIRECT && bytes_suit(s))) &&
           (!s->exact || cpu_isa() >= CPU_AVX512) && conv_method_offered(m, s->x_type, s->y_type) &&
           s->w.kernel[0] * s->w.kernel[1] <= CONV_TAPS && method_of(m)->suits(s) &&
           conv_method_works(m, s->x_type);
}

void *conv_zeros(size_t bytes)
{
    const size_t whole = (bytes + 63) / 64 * 64 + 64;
    void *p = aligned_alloc(64, whole);

    if (p)
        memset(p, 0, whole);
    return p;
}

struct conv_kernel *conv_kernel_create(const struct conv_shape *s, enum conv_method m,
                                       const float *weights, const float *bias)
{
    struct conv_kernel *k = calloc(1, sizeof *k);

    if (!k)
        return NULL;
    k->shape = *s;
    k->method = m;
    k->block = conv_block();
    k->in_blocks = (int)((s->ci + k->block - 1) / k->block);
    k->out_blocks = (int)((s->co + k->block - 1) / k->block);
    if (!(k->bias = conv_zeros((size_t)(k->out_blocks * k->block) * sizeof(float))))
        goto out;
    if (bias)
        memcpy(k->bias, bias, (size_t)s->co * sizeof *bias);
    if (failpoint("conv_kernel")) /* as if it were wrong on this processor */
        k->bias[0] += 100;
    if (method_of(m)->pack(k, weights))
        return k;
out:
    conv_kernel_free(k);
    return NULL;
}

void conv_kernel_free(struct conv_kernel *k)
{
    if (!k)
        return;
    free(k->weights);
    free(k->bias);
    free(k->scales);
    free(k->starts);
    free(k);
}

enum conv_method conv_kernel_method(const struct conv_kernel *k)
{
    return k->method;
}

bool conv_kernel_takes_bytes(const struct conv_kernel *k)
{
    return quanta_used(&k->shape.x_bytes);
}

const char *conv_kernel_name(const struct conv_kernel *k)
{
    const struct method *m = method_of(k->method);

    return quanta_used(&k->shape.x_bytes) ? "direct:avx512_vnni"
                                          : m->names[k->shape.x_type == DTYPE_F16    ? 1
                                                     : k->shape.x_type == DTYPE_BF16 ? 2
                                                                                     : 0];
}

size_t conv_kernel_weight_bytes(const struct conv_kernel *k)
{
    return k->weight_bytes;
}

size_t conv_kernel_scratch_bytes(const struct conv_kernel *k, int threads)
{
    return (size_t)threads * ((method_of(k->method)->scratch_bytes(k) + 4095) / 4096 * 4096);
}

void conv_kernel_run(const struct conv_kernel *k, const void *x, const void *residual, void *y,
                     void *scratch, int threads)
{
    const struct conv_job j = { k, x, residual, y, scratch, conv_kernel_scratch_bytes(k, 1) };

    team_run(threads, method_of(k->method)->work, &j);
}

size_t conv_weight_place(enum dtype type, size_t k, size_t o, size_t groups)
{
    return type != DTYPE_F32 ? (k / 2 * 16 * groups + o) * 2 + k % 2 : k * 16 * groups + o;
}

void conv_store_weight(struct conv_kernel *k, size_t at, float w)
{
    if (k->shape.x_type == DTYPE_F16)
        ((uint16_t *)k->weights)[at] = floats_half_of(w);
    else if (k->shape.x_type == DTYPE_BF16)
        ((uint16_t *)k->weights)[at] = floats_bfloat_of(w);
    else
        ((float *)k->weights)[at] = w;
}

void conv_tile_run(const struct conv_kernel *k, const struct conv_tile *t, int groups)
{
    if (quanta_used(&k->shape.x_bytes)) {
        const struct tile_int8 b = { .x = (const uint8_t *)t->x,
                                     .x_plane = t->x_plane * 16,
                                     .blocks = t->blocks,
                                     .taps = t->taps,
                                     .ntaps = t->ntaps,
                                     .w = (const int8_t *)k->weights + t->weight,
                                     .start = k->starts + (t->bias - k->bias),
                                     .scale = k->scales + (t->bias - k->bias),
                                     .bias = t->bias,
                                     .y = t->y,
                                     .y_plane = t->y_plane };
        tile_int8_row(&b, groups, t->pixels);
    } else if (k->shape.x_type != DTYPE_F32) {
        const struct tile_half h = { .x = (const uint16_t *)(const void *)t->x,
                                     .x_plane = t->x_plane * 16,
                                     .blocks = t->blocks,
                                     .taps = t->taps,
                                     .ntaps = t->ntaps,
                                     .chain = t->chain,
                                     .w = (const uint16_t *)k->weights + t->weight,
                                     .bias = t->bias,
                                     .y = t->y,
                                     .y_plane = t->y_plane,
                                     .more = t->more };
        if (k->shape.x_type == DTYPE_F16)
            tile_half_row(&h, groups, t->pixels);
        else
            tile_bfloat_row(&h, groups, t->pixels);
    } else {
        const struct tile f = { .x = (const float *)(const void *)t->x,
                                .x_plane = t->x_plane * (size_t)k->block,
                                .blocks = t->blocks,
                                .taps = t->taps,
                                .ntaps = t->ntaps,
                                .w = (const float *)k->weights + t->weight,
                                .bias = t->bias,
                                .y = t->y,
                                .y_plane = t->y_plane,
                                .more = t->more };
        (k->block == 8 ? tile_row_avx2 : k->shape.exact ? exact_row : tile_row)(&f, groups, t->pixels);
    }
}
