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

/* G g G' of one 3x3 kernel. */
static void transform_weights(const float g[9], double u[POINTS])
{
    static const double rows[IN][3] = { { 1, 0, 0 },
                                        { -2.0 / 3, -2.0 / 3 * M_SQRT1_2, -1.0 / 3 },
                                        { -2.0 / 3, 2.0 / 3 * M_SQRT1_2, -1.0 / 3 },
                                        { 1.0 / 6, 1.0 / 6 * M_SQRT2, 1.0 / 3 },
                                        { 1.0 / 6, -1.0 / 6 * M_SQRT2, 1.0 / 3 },
                                        { 0, 0, 1 } };
    double half[IN][3];

    for (int i = 0; i < IN; i++)
        for (int x = 0; x < 3; x++)
            half[i][x] = rows[i][0] * g[x] + rows[i][1] * g[3 + x] + rows[i][2] * g[6 + x];
    for (int i = 0; i < IN; i++)
        for (int k = 0; k < IN; k++)
            u[i * IN + k] = half[i][0] * rows[k][0] + half[i][1] * rows[k][1] + half[i][2] * rows[k][2];
}

/* [36][runs of groups][in blocks] as tiles want them */
bool winograd_pack(struct conv_kernel *k, const float *weights)
{
    const size_t ci = (size_t)k->shape.ci, per_group = (size_t)k->in_blocks * 256;
    const size_t point = (size_t)k->out_blocks * per_group;
    const bool half = k->shape.half;

    k->weight_bytes = POINTS * point * pixel_bytes(half) / 16;
    if (!(k->weights = conv_zeros(k->weight_bytes)))
        return false;
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        const size_t first = (size_t)g * 16;
        groups = tile_groups(k->out_blocks - g);
        for (size_t o = first; o < first + (size_t)groups * 16 && o < (size_t)k->shape.co; o++)
            for (size_t c = 0; c < ci; c++) {
                const size_t at = (size_t)g * per_group + c / 16 * 256 * (size_t)groups +
                                  conv_weight_place(half, c % 16, o - first, (size_t)groups);
                double u[POINTS];
                transform_weights(weights + (o * ci + c) * 9, u);
                for (size_t p = 0; p < POINTS; p++)
                    conv_store_weight(k, at + p * point, (float)u[p]);
            }
    }
    return true;
}

/* Bytes of one tile: transformed inputs, in the type of the products, and sums. */
static size_t tile_bytes(const struct conv_kernel *k)
{
    return POINTS * ((size_t)k->in_blocks * pixel_bytes(k->shape.half) + (size_t)k->out_blocks * 64);
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

INLINE_AVX512 __m512 read_pixel(const char *x, const bool half)
{
    return half ? _mm512_cvtph_ps(_mm256_load_si256((const __m256i *)(const void *)x))
                : _mm512_load_ps(x);
}

INLINE_AVX512 void write_pixel(char *y, __m512 v, const bool half)
{
    if (half)
        _mm256_store_si256((__m256i *)(void *)y, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
    else
        _mm512_store_ps(y, v);
}

/* One tile of one block of channels: 6x6 inputs at (y, x), which may lie outside, to v[36], `apart`
 * bytes from each other. */
INLINE_AVX512 void read_tile(const struct window *w, const char *block, int y, int x, char *v,
                             size_t apart, const bool half)
{
    const ptrdiff_t pixel = half ? 32 : 64;
    __m512 between[IN][IN];

    for (int c = 0; c < IN; c++) {
        const bool inside = x + c >= 0 && x + c < w->in[1];
        __m512 d[IN], t[IN];
        UNROLL
        for (int r = 0; r < IN; r++)
            d[r] = inside && y + r >= 0 && y + r < w->in[0]
                       ? read_pixel(block + ((ptrdiff_t)(y + r) * w->in[1] + x + c) * pixel, half)
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
            write_pixel(v + (size_t)(r * IN + c) * apart, t[c], half);
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
    const size_t pixel = pixel_bytes(j->k->shape.half), row = (size_t)b->count * pixel;
    const size_t plane = (size_t)(w->in[0] * w->in[1]) * pixel, apart = (size_t)j->k->in_blocks * row;

    for (int c = 0; c < j->k->in_blocks; c++)
        for (int i = 0; i < b->count; i++) {
            const int y = (b->first + i) / b->across * OUT - (int)w->before[0];
            const int x = (b->first + i) % b->across * OUT - (int)w->before[1];
            const char *block = j->x + (size_t)c * plane;
            char *v = b->v + (size_t)c * row + (size_t)i * pixel;
            if (j->k->shape.half)
                read_tile(w, block, y, x, v, apart, true);
            else
                read_tile(w, block, y, x, v, apart, false);
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
            t.x = b->v + p * (size_t)(k->in_blocks * b->count) * pixel_bytes(k->shape.half);
            t.weight = (p * (size_t)k->out_blocks + (size_t)g) * (size_t)k->in_blocks * 256;
            t.y = b->m + (p * (size_t)k->out_blocks + (size_t)g) * t.y_plane;
            conv_tile_run(k, &t, groups);
        }
}

/* 4x4 sums to their place, finished; those beyond the edge fall away. `plane`: its first pixel. */
static void write_tile(const struct conv_job *j, size_t plane, int y, int x, const float out[256])
{
    const struct window *w = &j->k->shape.w;
    const int height = (int)w->out[0], width = (int)w->out[1];
    const size_t n = (size_t)(width - x < OUT ? width - x : OUT);
    const size_t pixel = pixel_bytes(j->k->shape.half_out);

    for (int r = 0; r < OUT && y + r < height; r++) {
        const size_t at = (plane + (size_t)(y + r) * (size_t)width + (size_t)x) * pixel;
        conv_finish(&j->k->shape, out + r * OUT * 16, j->residual ? j->residual + at : NULL, j->y + at,
                    n);
    }
}

static void write_block(const struct conv_job *j, const struct block *b)
{
    const struct conv_kernel *k = j->k;
    const size_t plane = (size_t)(k->shape.w.out[0] * k->shape.w.out[1]);
    const size_t apart = (size_t)k->out_blocks * (size_t)b->count * 16;
    _Alignas(64) float out[256];

    for (int o = 0; o < k->out_blocks; o++)
        for (int i = 0; i < b->count; i++) {
            const int y = (b->first + i) / b->across * OUT, x = (b->first + i) % b->across * OUT;
            sum_tile(b->m + ((size_t)o * (size_t)b->count + (size_t)i) * 16, apart, k->bias + o * 16,
                     out);
            write_tile(j, (size_t)o * plane, y, x, out);
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
                                                  pixel_bytes(k->shape.half));
        read_block(j, &block);
        multiply_block(j, &block);
        write_block(j, &block);
    }
}
