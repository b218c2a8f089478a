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
#include "inference/kernels/vector.h"

#include <math.h>
#include "inference/kernels/conv_kernel.h"
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
    return s->ci >= 16 && s->co >= 16; /* fewer are not worth the transforms */
}

/* G x for three vectors. */
INLINE_VECTOR void transform_weight(const VECTOR g[3], VECTOR u[IN])
{
    const VECTOR third = vec_set1(1.0f / 3), sixth = vec_set1(1.0f / 6);
    const VECTOR a = vec_fmadd(vec_set1(0.5f), g[2], g[0]);
    const VECTOR b = vec_fmadd(vec_set1(2), g[2], g[0]);
    const VECTOR c = vec_mul(vec_set1((float)M_SQRT1_2), g[1]);
    const VECTOR d = vec_mul(vec_set1((float)M_SQRT2), g[1]);
    const VECTOR minus = vec_mul(third, vec_set1(-2));

    u[0] = g[0];
    u[1] = vec_mul(minus, vec_add(a, c));
    u[2] = vec_mul(minus, vec_sub(a, c));
    u[3] = vec_mul(sixth, vec_add(b, d));
    u[4] = vec_mul(sixth, vec_sub(b, d));
    u[5] = g[2];
}

/* G g G' for a vector of outputs of one input channel; those that are not there stay 0. */
INLINE_VECTOR void transform_kernels(const struct conv_shape *s, const float *weights, size_t output,
                                     size_t channel, VECTOR u[POINTS])
{
    const size_t ci = (size_t)s->ci, co = (size_t)s->co;
    VECTOR half[IN][3];
    _Alignas(64) float g[9][LANES] = { { 0 } };

    for (size_t o = 0; channel < ci && o < LANES && output + o < co; o++)
        for (size_t t = 0; t < 9; t++)
            g[t][o] = weights[((output + o) * ci + channel) * 9 + t];
    for (int x = 0; x < 3; x++) {
        const VECTOR column[3] = { vec_load(g[x]), vec_load(g[3 + x]), vec_load(g[6 + x]) };
        VECTOR t[IN];
        transform_weight(column, t);
        UNROLL
        for (int i = 0; i < IN; i++)
            half[i][x] = t[i];
    }
    for (int i = 0; i < IN; i++)
        transform_weight(half[i], u + i * IN);
}

/* A vector of outputs of a pair of channels: to `at` of every point, in elements. */
static TARGET_VECTOR void pack_pair(struct conv_kernel *k, const float *weights, size_t output,
                                    size_t channel, size_t at, size_t next)
{
    const size_t point = (size_t)(k->out_blocks * k->in_blocks) * LANES * LANES;
    VECTOR first[POINTS], second[POINTS];

    transform_kernels(&k->shape, weights, output, channel, first);
    transform_kernels(&k->shape, weights, output, channel + 1, second);
    for (size_t p = 0; p < POINTS; p++) {
        if (k->shape.x_type != DTYPE_F32) {
            vec_write_pairs((uint16_t *)k->weights + p * point + at, first[p], second[p],
                            k->shape.x_type);
        } else {
            vec_store((float *)k->weights + p * point + at, first[p]);
            vec_store((float *)k->weights + p * point + next, second[p]);
        }
    }
}

/* As conv_weight_place, for vectors of any width. */
static size_t place(enum dtype type, size_t k, size_t o, size_t groups)
{
    return type == DTYPE_F32 ? k * LANES * groups + o : conv_weight_place(type, k, o, groups);
}

/* [36][runs of groups][in blocks] as tiles want them */
bool winograd_pack(struct conv_kernel *k, const float *weights)
{
    const size_t per_group = (size_t)k->in_blocks * LANES * LANES;
    const enum dtype type = k->shape.x_type;

    k->weight_bytes = POINTS * (size_t)k->out_blocks * per_group * vec_bytes(type) / LANES;
    if (!(k->weights = conv_zeros(k->weight_bytes)))
        return false;
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        groups = tile_groups(k->out_blocks - g);
        for (size_t o = 0; o < (size_t)groups * LANES; o += LANES)
            for (size_t c = 0; c < (size_t)k->in_blocks * LANES; c += 2) {
                const size_t block = (size_t)g * per_group + c / LANES * LANES * LANES * (size_t)groups;
                pack_pair(k, weights, (size_t)g * LANES + o, c,
                          block + place(type, c % LANES, o, (size_t)groups),
                          block + place(type, c % LANES + 1, o, (size_t)groups));
            }
    }
    return true;
}

/* Bytes of one tile: transformed inputs, in the type of the products, and sums. */
static size_t tile_bytes(const struct conv_kernel *k)
{
    return POINTS * ((size_t)k->in_blocks * vec_bytes(k->shape.x_type) +
                     (size_t)k->out_blocks * LANES * sizeof(float));
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
INLINE_VECTOR void transform_in(const VECTOR d[IN], VECTOR v[IN])
{
    const VECTOR two = vec_set1(2), half = vec_set1(0.5f), middle = vec_set1(2.5f);
    const VECTOR p = vec_set1((float)M_SQRT1_2), q = vec_set1((float)M_SQRT2);
    const VECTOR a = vec_fnmadd(two, d[2], d[4]), b = vec_fnmadd(two, d[1], d[3]);
    const VECTOR c = vec_fnmadd(half, d[2], d[4]), e = vec_fnmadd(half, d[1], d[3]);

    v[0] = vec_fnmadd(middle, d[2], vec_add(d[0], d[4]));
    v[1] = vec_fmadd(p, b, a);
    v[2] = vec_fnmadd(p, b, a);
    v[3] = vec_fmadd(q, e, c);
    v[4] = vec_fnmadd(q, e, c);
    v[5] = vec_fnmadd(middle, d[3], vec_add(d[1], d[5]));
}

/* A' x for six vectors. */
INLINE_VECTOR void transform_out(const VECTOR m[IN], VECTOR y[OUT])
{
    const VECTOR two = vec_set1(2), half = vec_set1(0.5f);
    const VECTOR a = vec_add(m[1], m[2]), c = vec_add(m[3], m[4]);
    const VECTOR b = vec_mul(vec_set1((float)M_SQRT1_2), vec_sub(m[1], m[2]));
    const VECTOR d = vec_mul(vec_set1((float)M_SQRT2), vec_sub(m[3], m[4]));

    y[0] = vec_add(m[0], vec_add(a, c));
    y[1] = vec_add(b, d);
    y[2] = vec_fmadd(half, a, vec_mul(two, c));
    y[3] = vec_fmadd(half, b, vec_fmadd(two, d, m[5]));
}

/* One tile of one block of channels: 6x6 inputs at (y, x), which may lie outside, to v[36], `apart`
 * bytes from each other. */
INLINE_VECTOR void read_tile(const struct window *w, const char *block, int y, int x, char *v,
                             size_t apart, const enum dtype type)
{
    const ptrdiff_t pixel = (ptrdiff_t)vec_bytes(type);
    VECTOR between[IN][IN];

    for (int c = 0; c < IN; c++) {
        const bool inside = x + c >= 0 && x + c < w->in[1];
        VECTOR d[IN], t[IN];
        UNROLL
        for (int r = 0; r < IN; r++)
            d[r] = inside && y + r >= 0 && y + r < w->in[0]
                       ? vec_read(block + ((ptrdiff_t)(y + r) * w->in[1] + x + c) * pixel, type)
                       : vec_zero();
        transform_in(d, t);
        UNROLL
        for (int r = 0; r < IN; r++)
            between[r][c] = t[r];
    }
    for (int r = 0; r < IN; r++) {
        VECTOR t[IN];
        transform_in(between[r], t);
        UNROLL
        for (int c = 0; c < IN; c++)
            vec_write(v + (size_t)(r * IN + c) * apart, t[c], type);
    }
}

/* m[36] `apart` floats from each other to 4x4 outputs with bias. */
static TARGET_VECTOR void sum_tile(const float *m, size_t apart, const float *bias,
                                   float out[OUT * OUT * LANES])
{
    const VECTOR b = vec_load(bias);
    VECTOR half[OUT][IN];

    for (int c = 0; c < IN; c++) {
        VECTOR d[IN], t[OUT];
        UNROLL
        for (int r = 0; r < IN; r++)
            d[r] = vec_load(m + (size_t)(r * IN + c) * apart);
        transform_out(d, t);
        UNROLL
        for (int r = 0; r < OUT; r++)
            half[r][c] = t[r];
    }
    for (int r = 0; r < OUT; r++) {
        VECTOR t[OUT];
        transform_out(half[r], t);
        UNROLL
        for (int c = 0; c < OUT; c++)
            vec_store(out + (r * OUT + c) * LANES, vec_add(t[c], b));
    }
}

/* What a block of tiles is about. */
struct block {
    int first, count, across; /* tiles; in a row of them */
    char *v;                  /* [36][in blocks][count][LANES] in the type of the products */
    float *m;                 /* [36][out blocks][count][LANES] */
};

static TARGET_VECTOR void read_block(const struct conv_job *j, const struct block *b)
{
    const struct window *w = &j->k->shape.w;
    const size_t pixel = vec_bytes(j->k->shape.x_type), row = (size_t)b->count * pixel;
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
                           .blocks = k->in_blocks,
                           .chain = HALF_CHAIN,
                           .y_plane = (size_t)b->count * LANES,
                           .pixels = b->count };

    for (size_t p = 0; p < POINTS; p++)
        for (int g = 0, groups; g < k->out_blocks; g += groups) {
            groups = tile_groups(k->out_blocks - g);
            t.x = b->v + p * (size_t)(k->in_blocks * b->count) * vec_bytes(k->shape.x_type);
            t.weight = (p * (size_t)k->out_blocks + (size_t)g) * (size_t)k->in_blocks * LANES * LANES;
            t.y = b->m + (p * (size_t)k->out_blocks + (size_t)g) * t.y_plane;
            conv_tile_run(k, &t, groups);
        }
}

/* 4x4 sums to their place in an output block, finished; those beyond the edge fall away. */
static void write_tile(const struct conv_job *j, int block, int y, int x,
                       const float out[OUT * OUT * LANES])
{
    const struct window *w = &j->k->shape.w;
    const int height = (int)w->out[0], width = (int)w->out[1];
    const size_t n = (size_t)(width - x < OUT ? width - x : OUT);
    const size_t pixel = pixel_bytes_out(&j->k->shape);

    for (int r = 0; r < OUT && y + r < height; r++) {
        const size_t at =
            (((size_t)block * (size_t)height + (size_t)(y + r)) * (size_t)width + (size_t)x) * pixel;
        conv_finish(&j->k->shape, block, out + r * OUT * LANES, j->residual ? j->residual + at : NULL,
                    j->y + at, n);
    }
}

static void write_block(const struct conv_job *j, const struct block *b)
{
    const struct conv_kernel *k = j->k;
    const size_t apart = (size_t)k->out_blocks * (size_t)b->count * LANES;
    _Alignas(64) float out[OUT * OUT * LANES];

    for (int o = 0; o < k->out_blocks; o++)
        for (int i = 0; i < b->count; i++) {
            const int y = (b->first + i) / b->across * OUT, x = (b->first + i) % b->across * OUT;
            sum_tile(b->m + ((size_t)o * (size_t)b->count + (size_t)i) * LANES, apart,
                     k->bias + o * LANES, out);
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
                                                  vec_bytes(k->shape.x_type));
        read_block(j, &block);
        multiply_block(j, &block);
        write_block(j, &block);
    }
}
