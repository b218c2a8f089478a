/*
 * Winograd's F(4x4, 3x3): 4x4 outputs of a 3x3 convolution with stride 1 from 6x6 inputs by 36
 * multiplications instead of 144. Per block of tiles: inputs are transformed (B' d B), 36 matrix
 * products over channels follow, and their results are transformed back (A' m A) with bias, activation
 * and residual.
 *
 * Sources: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; Barabasz et
 * al., "Error Analysis and Improving the Accuracy of Winograd Convolution", 2020. The points of
 * interpolation are 0, the square roots of 1/2 and 2 with both signs, and infinity: against the usual 1
 * and 2 they cut the error to 2/5, which 16-bit products need.
 */
#include <math.h>
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/simd.h"
#include "inference/kernels/tile.h"

enum {
    OUT = 4, /* side of a tile of outputs */
    IN = 6,  /* side of its inputs */
    POINTS = IN * IN,
    BLOCK_BYTES = 1000 << 10, /* of transformed inputs and products: half of a second-level cache */
    HALF_CHAIN = 32,          /* differences of large sums need short ones */
};

bool winograd_suits(const struct conv_shape *s)
{
    const struct window *w = &s->w;

    for (int i = 0; i < 2; i++)
        if (w->kernel[i] != 3 || w->stride[i] != 1 || w->dilation[i] != 1)
            return false;
    return s->ci >= 16 && s->co >= 16;
}

/* G x for three vectors. */
INLINE_AVX512 void transform_weight(const __m512 g[3], __m512 u[IN])
{
    const __m512 third = _mm512_set1_ps(1.0f / 3), sixth = _mm512_set1_ps(1.0f / 6);
    const __m512 a = _mm512_fmadd_ps(_mm512_set1_ps(0.5f), g[2], g[0]);
    const __m512 b = _mm512_fmadd_ps(_mm512_set1_ps(2), g[2], g[0]);
    const __m512 c = _mm512_mul_ps(_mm512_set1_ps((float)M_SQRT1_2), g[1]);
    const __m512 d = _mm512_mul_ps(_mm512_set1_ps((float)M_SQRT2), g[1]);
    const __m512 minus = _mm512_mul_ps(third, _mm512_set1_ps(-2));

    u[0] = g[0];
    u[1] = _mm512_mul_ps(minus, _mm512_add_ps(a, c));
    u[2] = _mm512_mul_ps(minus, _mm512_sub_ps(a, c));
    u[3] = _mm512_mul_ps(sixth, _mm512_add_ps(b, d));
    u[4] = _mm512_mul_ps(sixth, _mm512_sub_ps(b, d));
    u[5] = g[2];
}

/* G g G' for 16 outputs of one input channel; those that are not there stay 0. */
INLINE_AVX512 void transform_kernels(const struct conv_shape *s, const float *weights, size_t output,
                                     size_t channel, __m512 u[POINTS])
{
    const size_t ci = (size_t)s->ci, co = (size_t)s->co;
    __m512 half[IN][3];
    _Alignas(64) float g[9][16] = { { 0 } };

    for (size_t o = 0; channel < ci && o < 16 && output + o < co; o++)
        for (size_t t = 0; t < 9; t++)
            g[t][o] = weights[((output + o) * ci + channel) * 9 + t];
    for (int x = 0; x < 3; x++) {
        const __m512 column[3] = { _mm512_load_ps(g[x]), _mm512_load_ps(g[3 + x]),
                                   _mm512_load_ps(g[6 + x]) };
        __m512 t[IN];
        transform_weight(column, t);
        UNROLL
        for (int i = 0; i < IN; i++)
            half[i][x] = t[i];
    }
    for (int i = 0; i < IN; i++)
        transform_weight(half[i], u + i * IN);
}

/* Two channels next to each other in 16 bits. */
INLINE_AVX512 __m512i interleave(__m512 first, __m512 second, enum dtype type)
{
    const bool half = type == DTYPE_F16;
    const __m256i a = half ? _mm512_cvtps_ph(first, _MM_FROUND_TO_NEAREST_INT) : bfloat_of(first);
    const __m256i b = half ? _mm512_cvtps_ph(second, _MM_FROUND_TO_NEAREST_INT) : bfloat_of(second);

    return _mm512_or_si512(_mm512_cvtepu16_epi32(a), _mm512_slli_epi32(_mm512_cvtepu16_epi32(b), 16));
}

/* 16 outputs of a pair of channels: to `at` of every point, in elements. */
static TARGET_AVX512 void pack_pair(struct conv_kernel *k, const float *weights, size_t output,
                                    size_t channel, size_t at, size_t next)
{
    const size_t point = (size_t)(k->out_blocks * k->in_blocks) * 256;
    __m512 first[POINTS], second[POINTS];

    transform_kernels(&k->shape, weights, output, channel, first);
    transform_kernels(&k->shape, weights, output, channel + 1, second);
    for (size_t p = 0; p < POINTS; p++) {
        if (k->shape.x_type != DTYPE_F32) {
            _mm512_store_si512((uint16_t *)k->weights + p * point + at,
                               interleave(first[p], second[p], k->shape.x_type));
        } else {
            _mm512_store_ps((float *)k->weights + p * point + at, first[p]);
            _mm512_store_ps((float *)k->weights + p * point + next, second[p]);
        }
    }
}

/* [36][runs of groups][in blocks] as tiles want them */
bool winograd_pack(struct conv_kernel *k, const float *weights)
{
    const size_t per_group = (size_t)k->in_blocks * 256;
    const enum dtype type = k->shape.x_type;

    k->weight_bytes = POINTS * (size_t)k->out_blocks * per_group * pixel_bytes(type) / 16;
    if (!(k->weights = conv_zeros(k->weight_bytes)))
        return false;
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        groups = tile_groups(k->out_blocks - g);
        for (size_t o = 0; o < (size_t)groups * 16; o += 16)
            for (size_t c = 0; c < (size_t)k->in_blocks * 16; c += 2) {
                const size_t block = (size_t)g * per_group + c / 16 * 256 * (size_t)groups;
                pack_pair(k, weights, (size_t)g * 16 + o, c,
                          block + conv_weight_place(type, c % 16, o, (size_t)groups),
                          block + conv_weight_place(type, c % 16 + 1, o, (size_t)groups));
            }
    }
    return true;
}

/* Bytes of one tile: transformed inputs, in the type of the products, and sums. */
static size_t tile_bytes(const struct conv_kernel *k)
{
    return POINTS * ((size_t)k->in_blocks * pixel_bytes(k->shape.x_type) + (size_t)k->out_blocks * 64);
}

/* Tiles that are worked on at once. */
static int block_tiles(const struct conv_kernel *k)
{
    const int n = (int)(BLOCK_BYTES / tile_bytes(k));
    const int all = (int)((k->shape.w.out[0] + OUT - 1) / OUT * ((k->shape.w.out[1] + OUT - 1) / OUT));

    return n < 12 ? (all < 12 ? all : 12) : n < all ? n : all;
}

size_t winograd_scratch_bytes(const struct conv_kernel *k)
{
    return (size_t)block_tiles(k) * tile_bytes(k);
}

/* B' x for six vectors. */
INLINE_AVX512 void transform_in(const __m512 d[IN], __m512 v[IN])
{
    const __m512 two = _mm512_set1_ps(2), half = _mm512_set1_ps(0.5f), middle = _mm512_set1_ps(2.5f);
    const __m512 p = _mm512_set1_ps((float)M_SQRT1_2), q = _mm512_set1_ps((float)M_SQRT2);
    const __m512 a = _mm512_fnmadd_ps(two, d[2], d[4]), b = _mm512_fnmadd_ps(two, d[1], d[3]);
    const __m512 c = _mm512_fnmadd_ps(half, d[2], d[4]), e = _mm512_fnmadd_ps(half, d[1], d[3]);

    v[0] = _mm512_fnmadd_ps(middle, d[2], _mm512_add_ps(d[0], d[4]));
    v[1] = _mm512_fmadd_ps(p, b, a);
    v[2] = _mm512_fnmadd_ps(p, b, a);
    v[3] = _mm512_fmadd_ps(q, e, c);
    v[4] = _mm512_fnmadd_ps(q, e, c);
    v[5] = _mm512_fnmadd_ps(middle, d[3], _mm512_add_ps(d[1], d[5]));
}

/* A' x for six vectors. */
INLINE_AVX512 void transform_out(const __m512 m[IN], __m512 y[OUT])
{
    const __m512 two = _mm512_set1_ps(2), half = _mm512_set1_ps(0.5f);
    const __m512 a = _mm512_add_ps(m[1], m[2]), c = _mm512_add_ps(m[3], m[4]);
    const __m512 b = _mm512_mul_ps(_mm512_set1_ps((float)M_SQRT1_2), _mm512_sub_ps(m[1], m[2]));
    const __m512 d = _mm512_mul_ps(_mm512_set1_ps((float)M_SQRT2), _mm512_sub_ps(m[3], m[4]));

    y[0] = _mm512_add_ps(m[0], _mm512_add_ps(a, c));
    y[1] = _mm512_add_ps(b, d);
    y[2] = _mm512_fmadd_ps(half, a, _mm512_mul_ps(two, c));
    y[3] = _mm512_fmadd_ps(half, b, _mm512_fmadd_ps(two, d, m[5]));
}

/* One tile of one block of channels: 6x6 inputs at (y, x), which may lie outside, to v[36], `apart`
 * bytes from each other. */
INLINE_AVX512 void read_tile(const struct window *w, const char *block, int y, int x, char *v,
                             size_t apart, const enum dtype type)
{
    const ptrdiff_t pixel = (ptrdiff_t)pixel_bytes(type);
    __m512 between[IN][IN];

    for (int c = 0; c < IN; c++) {
        const bool inside = x + c >= 0 && x + c < w->in[1];
        __m512 d[IN], t[IN];
        UNROLL
        for (int r = 0; r < IN; r++)
            d[r] = inside && y + r >= 0 && y + r < w->in[0]
                       ? load_pixel(block + ((ptrdiff_t)(y + r) * w->in[1] + x + c) * pixel, type)
                       : _mm512_setzero_ps();
        transform_in(d, t);
        UNROLL
        for (int r = 0; r < IN; r++)
            between[r][c] = t[r];
    }
    for (int r = 0; r < IN; r++) {
        __m512 t[IN];
        transform_in(between[r], t);
        UNROLL
        for (int c = 0; c < IN; c++)
            store_pixel(v + (size_t)(r * IN + c) * apart, t[c], type);
    }
}

/* m[36] `apart` floats from each other to 4x4 outputs with bias. */
static TARGET_AVX512 void sum_tile(const float *m, size_t apart, const float *bias, float out[256])
{
    const __m512 b = _mm512_load_ps(bias);
    __m512 half[OUT][IN];

    for (int c = 0; c < IN; c++) {
        __m512 d[IN], t[OUT];
        UNROLL
        for (int r = 0; r < IN; r++)
            d[r] = _mm512_load_ps(m + (size_t)(r * IN + c) * apart);
        transform_out(d, t);
        UNROLL
        for (int r = 0; r < OUT; r++)
            half[r][c] = t[r];
    }
    for (int r = 0; r < OUT; r++) {
        __m512 t[OUT];
        transform_out(half[r], t);
        UNROLL
        for (int c = 0; c < OUT; c++)
            _mm512_store_ps(out + (r * OUT + c) * 16, _mm512_add_ps(t[c], b));
    }
}

/* What a block of tiles is about. */
struct block {
    int first, count, across; /* tiles; in a row of them */
    char *v;                  /* [36][in blocks][count][16] in the type of the products */
    float *m;                 /* [36][out blocks][count][16] */
};

static TARGET_AVX512 void read_block(const struct conv_job *j, const struct block *b)
{
    const struct window *w = &j->k->shape.w;
    const size_t pixel = pixel_bytes(j->k->shape.x_type), row = (size_t)b->count * pixel;
    const size_t plane = (size_t)(w->in[0] * w->in[1]) * pixel, apart = (size_t)j->k->in_blocks * row;

    for (int c = 0; c < j->k->in_blocks; c++)
        for (int i = 0; i < b->count; i++) {
            const int y = (b->first + i) / b->across * OUT - (int)w->before[0];
            const int x = (b->first + i) % b->across * OUT - (int)w->before[1];
            const char *block = j->x + (size_t)c * plane;
            char *v = b->v + (size_t)c * row + (size_t)i * pixel;
#define READ(type) read_tile(w, block, y, x, v, apart, type)
            FLOATS_CHOOSE(j->k->shape.x_type, READ);
#undef READ
        }
}

static void multiply_block(const struct conv_job *j, const struct block *b)
{
    const struct conv_kernel *k = j->k;
    const ptrdiff_t tap = 0;
    struct conv_tile t = { .x_plane = (size_t)b->count,
                           .taps = &tap,
                           .ntaps = 1,
                           .chain = HALF_CHAIN,
                           .y_plane = (size_t)b->count * 16,
                           .pixels = b->count };

    for (size_t p = 0; p < POINTS; p++)
        for (int g = 0, groups; g < k->out_blocks; g += groups) {
            groups = tile_groups(k->out_blocks - g);
            t.x = b->v + p * (size_t)(k->in_blocks * b->count) * pixel_bytes(k->shape.x_type);
            t.weight = (p * (size_t)k->out_blocks + (size_t)g) * (size_t)k->in_blocks * 256;
            t.y = b->m + (p * (size_t)k->out_blocks + (size_t)g) * t.y_plane;
            conv_tile_run(k, &t, groups);
        }
}

/* 4x4 sums to their place in an output block, finished; those beyond the edge fall away. */
static void write_tile(const struct conv_job *j, int block, int y, int x, const float out[256])
{
    const struct window *w = &j->k->shape.w;
    const int height = (int)w->out[0], width = (int)w->out[1];
    const size_t n = (size_t)(width - x < OUT ? width - x : OUT);
    const size_t pixel = pixel_bytes_out(&j->k->shape);

    for (int r = 0; r < OUT && y + r < height; r++) {
        const size_t at =
            (((size_t)block * (size_t)height + (size_t)(y + r)) * (size_t)width + (size_t)x) * pixel;
        conv_finish(&j->k->shape, block, out + r * OUT * 16, j->residual ? j->residual + at : NULL,
                    j->y + at, n);
    }
}

static void write_block(const struct conv_job *j, const struct block *b)
{
    const struct conv_kernel *k = j->k;
    const size_t apart = (size_t)k->out_blocks * (size_t)b->count * 16;
    _Alignas(64) float out[256];

    for (int o = 0; o < k->out_blocks; o++)
        for (int i = 0; i < b->count; i++) {
            const int y = (b->first + i) / b->across * OUT, x = (b->first + i) % b->across * OUT;
            sum_tile(b->m + ((size_t)o * (size_t)b->count + (size_t)i) * 16, apart, k->bias + o * 16,
                     out);
            write_tile(j, o, y, x, out);
        }
}

void winograd_work(const void *job, int i, int n)
{
    const struct conv_job *j = job;
    const struct conv_kernel *k = j->k;
    const struct window *w = &k->shape.w;
    const int across = (int)((w->out[1] + OUT - 1) / OUT), down = (int)((w->out[0] + OUT - 1) / OUT);
    const int all = across * down, most = block_tiles(k);
    const int first = all * i / n, count = all * (i + 1) / n - first, blocks = (count + most - 1) / most;

    for (int b = 0; b < blocks; b++) {
        const int begin = first + count * b / blocks, end = first + count * (b + 1) / blocks;
        struct block block = { .first = begin,
                               .count = end - begin,
                               .across = across,
                               .v = j->scratch + (size_t)i * j->scratch_bytes };
        block.m = (float *)(void *)(block.v + (size_t)(POINTS * k->in_blocks * block.count) *
                                                  pixel_bytes(k->shape.x_type));
        read_block(j, &block);
        multiply_block(j, &block);
        write_block(j, &block);
    }
}
