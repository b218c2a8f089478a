/*
 * Winograd's F(4x4, 3x3): 4x4 outputs of a 3x3 convolution with stride 1 from 6x6 inputs by 36
 * multiplications instead of 144. Per block of tiles: inputs are transformed (B' d B), 36 matrix
 * products over channels follow, and their results are transformed back (A' m A) with bias, activation
 * and residual.
 *
 * Source: Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016; the points of
 * interpolation are 0, 1, -1, 2, -2 and infinity.
 */
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/simd.h"
#include "inference/kernels/tile.h"

enum {
    OUT = 4, /* side of a tile of outputs */
    IN = 6,  /* side of its inputs */
    POINTS = IN * IN,
    BLOCK_BYTES = 1000 << 10, /* of transformed inputs and products: half of a second-level cache */
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
    static const double rows[IN][3] = { { 1.0 / 4, 0, 0 },
                                        { -1.0 / 6, -1.0 / 6, -1.0 / 6 },
                                        { -1.0 / 6, 1.0 / 6, -1.0 / 6 },
                                        { 1.0 / 24, 1.0 / 12, 1.0 / 6 },
                                        { 1.0 / 24, -1.0 / 12, 1.0 / 6 },
                                        { 0, 0, 1 } };
    double half[IN][3];

    for (int i = 0; i < IN; i++)
        for (int x = 0; x < 3; x++)
            half[i][x] = rows[i][0] * g[x] + rows[i][1] * g[3 + x] + rows[i][2] * g[6 + x];
    for (int i = 0; i < IN; i++)
        for (int k = 0; k < IN; k++)
            u[i * IN + k] = half[i][0] * rows[k][0] + half[i][1] * rows[k][1] + half[i][2] * rows[k][2];
}

/* [36][runs of groups][in blocks][16][groups][16] */
bool winograd_pack(struct conv_kernel *k, const float *weights)
{
    const size_t ci = (size_t)k->shape.ci, per_group = (size_t)k->in_blocks * 256;
    const size_t point = (size_t)k->out_blocks * per_group;

    if (!(k->weights = conv_zeros(POINTS * point)))
        return false;
    k->weight_bytes = POINTS * point * sizeof(float);
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        groups = tile_groups(k->out_blocks - g);
        for (size_t o = (size_t)g * 16; o < (size_t)(g + groups) * 16 && o < (size_t)k->shape.co; o++)
            for (size_t c = 0; c < ci; c++) {
                float *at =
                    k->weights + (size_t)g * per_group + c * 16 * (size_t)groups + o - (size_t)g * 16;
                double u[POINTS];
                transform_weights(weights + (o * ci + c) * 9, u);
                for (size_t p = 0; p < POINTS; p++)
                    at[p * point] = (float)u[p];
            }
    }
    return true;
}

/* Tiles that are worked on at once. */
static int block_tiles(const struct conv_kernel *k)
{
    const int n = BLOCK_BYTES / (POINTS * 64 * (k->in_blocks + k->out_blocks));
    const int all = (int)((k->shape.w.out[0] + OUT - 1) / OUT * ((k->shape.w.out[1] + OUT - 1) / OUT));

    return n < 12 ? (all < 12 ? all : 12) : n < all ? n : all;
}

size_t winograd_scratch_bytes(const struct conv_kernel *k)
{
    return (size_t)block_tiles(k) * POINTS * 64 * (size_t)(k->in_blocks + k->out_blocks);
}

/* B' x for six vectors. */
INLINE_AVX512 void transform_in(const __m512 d[IN], __m512 v[IN])
{
    const __m512 four = _mm512_set1_ps(4), five = _mm512_set1_ps(5), two = _mm512_set1_ps(2);
    const __m512 a = _mm512_fnmadd_ps(four, d[2], d[4]), b = _mm512_fnmadd_ps(four, d[1], d[3]);
    const __m512 c = _mm512_sub_ps(d[4], d[2]), e = _mm512_sub_ps(d[3], d[1]);

    v[0] = _mm512_fmadd_ps(four, d[0], _mm512_fnmadd_ps(five, d[2], d[4]));
    v[1] = _mm512_add_ps(a, b);
    v[2] = _mm512_sub_ps(a, b);
    v[3] = _mm512_fmadd_ps(two, e, c);
    v[4] = _mm512_fnmadd_ps(two, e, c);
    v[5] = _mm512_fmadd_ps(four, d[1], _mm512_fnmadd_ps(five, d[3], d[5]));
}

/* A' x for six vectors. */
INLINE_AVX512 void transform_out(const __m512 m[IN], __m512 y[OUT])
{
    const __m512 a = _mm512_add_ps(m[1], m[2]), b = _mm512_sub_ps(m[1], m[2]);
    const __m512 c = _mm512_add_ps(m[3], m[4]), d = _mm512_sub_ps(m[3], m[4]);

    y[0] = _mm512_add_ps(m[0], _mm512_add_ps(a, c));
    y[1] = _mm512_fmadd_ps(_mm512_set1_ps(2), d, b);
    y[2] = _mm512_fmadd_ps(_mm512_set1_ps(4), c, a);
    y[3] = _mm512_fmadd_ps(_mm512_set1_ps(8), d, _mm512_add_ps(b, m[5]));
}

/* One tile of one block of channels: 6x6 inputs at (y, x), which may lie outside, to v[36], `apart`
 * floats from each other. */
static TARGET_AVX512 void read_tile(const struct window *w, const float *block, int y, int x, float *v,
                                    size_t apart)
{
    __m512 half[IN][IN];

    for (int c = 0; c < IN; c++) {
        const bool inside = x + c >= 0 && x + c < w->in[1];
        __m512 d[IN], t[IN];
        UNROLL
        for (int r = 0; r < IN; r++)
            d[r] = inside && y + r >= 0 && y + r < w->in[0]
                       ? _mm512_load_ps(block + ((ptrdiff_t)(y + r) * w->in[1] + x + c) * 16)
                       : _mm512_setzero_ps();
        transform_in(d, t);
        UNROLL
        for (int r = 0; r < IN; r++)
            half[r][c] = t[r];
    }
    for (int r = 0; r < IN; r++) {
        __m512 t[IN];
        transform_in(half[r], t);
        UNROLL
        for (int c = 0; c < IN; c++)
            _mm512_store_ps(v + (size_t)(r * IN + c) * apart, t[c]);
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
    float *v, *m;             /* [36][blocks][count][16] */
};

static void read_block(const struct conv_job *j, const struct block *b)
{
    const struct window *w = &j->k->shape.w;
    const size_t plane = (size_t)(w->in[0] * w->in[1]) * 16;
    const size_t apart = (size_t)j->k->in_blocks * (size_t)b->count * 16;

    for (int c = 0; c < j->k->in_blocks; c++)
        for (int i = 0; i < b->count; i++) {
            const int y = (b->first + i) / b->across * OUT, x = (b->first + i) % b->across * OUT;
            read_tile(w, j->x + (size_t)c * plane, y - (int)w->before[0], x - (int)w->before[1],
                      b->v + ((size_t)c * (size_t)b->count + (size_t)i) * 16, apart);
        }
}

static void multiply_block(const struct conv_job *j, const struct block *b)
{
    const struct conv_kernel *k = j->k;
    const size_t row = (size_t)b->count * 16, per_group = (size_t)k->in_blocks * 256;
    const ptrdiff_t tap = 0;
    struct tile t = { .x_plane = row, .blocks = k->in_blocks, .taps = &tap, .ntaps = 1, .y_plane = row };

    for (size_t p = 0; p < POINTS; p++) {
        t.x = b->v + p * (size_t)k->in_blocks * row;
        for (int g = 0, groups; g < k->out_blocks; g += groups) {
            groups = tile_groups(k->out_blocks - g);
            t.w = k->weights + (p * (size_t)k->out_blocks + (size_t)g) * per_group;
            t.y = b->m + (p * (size_t)k->out_blocks + (size_t)g) * row;
            tile_row(&t, groups, b->count);
        }
    }
}

/* 4x4 sums to their place, finished; those beyond the edge fall away. */
static void write_tile(const struct conv_job *j, size_t plane, int y, int x, const float out[256])
{
    const struct window *w = &j->k->shape.w;
    const int height = (int)w->out[0], width = (int)w->out[1];
    const size_t n = (size_t)(width - x < OUT ? width - x : OUT);

    for (int r = 0; r < OUT && y + r < height; r++) {
        const size_t at = plane + ((size_t)(y + r) * (size_t)width + (size_t)x) * 16;
        conv_finish(&j->k->shape.fused, out + r * OUT * 16, j->residual ? j->residual + at : NULL,
                    j->y + at, n);
    }
}

static void write_block(const struct conv_job *j, const struct block *b)
{
    const struct conv_kernel *k = j->k;
    const struct window *w = &k->shape.w;
    const size_t apart = (size_t)k->out_blocks * (size_t)b->count * 16;
    _Alignas(64) float out[256];

    for (int o = 0; o < k->out_blocks; o++)
        for (int i = 0; i < b->count; i++) {
            const int y = (b->first + i) / b->across * OUT, x = (b->first + i) % b->across * OUT;
            sum_tile(b->m + ((size_t)o * (size_t)b->count + (size_t)i) * 16, apart, k->bias + o * 16,
                     out);
            write_tile(j, (size_t)o * (size_t)(w->out[0] * w->out[1]) * 16, y, x, out);
        }
}

void winograd_work(const void *job, int i, int n)
{
    const struct conv_job *j = job;
    const struct window *w = &j->k->shape.w;
    const int across = (int)((w->out[1] + OUT - 1) / OUT), down = (int)((w->out[0] + OUT - 1) / OUT);
    const int all = across * down, most = block_tiles(j->k);
    const int first = all * i / n, last = all * (i + 1) / n, blocks = (last - first + most - 1) / most;
    float *scratch = (float *)(void *)(j->scratch + (size_t)i * j->scratch_bytes);

    for (int b = 0; b < blocks; b++) {
        const int begin = first + (last - first) * b / blocks,
                  end = first + (last - first) * (b + 1) / blocks;
        const struct block block = { .first = begin,
                                     .count = end - begin,
                                     .across = across,
                                     .v = scratch,
                                     .m = scratch + (size_t)(end - begin) * POINTS * 16 *
                                                        (size_t)j->k->in_blocks };
        read_block(j, &block);
        multiply_block(j, &block);
        write_block(j, &block);
    }
}
