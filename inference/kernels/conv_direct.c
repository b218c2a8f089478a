/*
 * Direct convolution. The input rows of a band of output rows are copied into scratch with their
 * padding, columns sorted by their remainder modulo the stride: then each tap of a row of output pixels
 * is one contiguous row. The copy costs a hundredth of the sums. Without a window (1x1, stride 1) pixels
 * are read where they are.
 */
#include <string.h>
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/simd.h"
#include "inference/kernels/tile.h"

enum {
    BAND_BYTES = 512 << 10, /* of copied input: half of a second-level cache */
    HALF_CHAIN = 80,        /* one block of a 3x3 kernel */
    ROW_PIXELS = 60,        /* of a convolution without window; divides into tiles of 5, 6 and 12 */
    STAGE_BYTES = 32 << 10, /* of weights: two thirds of a first-level cache */
    STAGE_PIXELS = 400,
};

bool direct_suits(const struct conv_shape *s)
{
    return s->ci > 0 && s->co > 0;
}

/*
 * On small maps most of what is read is weights. Row by row, each tile would fetch all of them from the
 * second-level cache or beyond; in stages all tiles use those of as many input blocks as the first-level
 * cache holds, while the next ones are prefetched. Time row by row / in stages, medians: 3x3 with stride
 * 2 to 7x7 1.26 (float16 1.08); 1x1 on 7x7 1.06 to 1.1; 20x20 1.0 to 1.05; 14x14 1.0; larger maps 0.95
 * to 1.
 */
static bool in_stages(const struct conv_kernel *k)
{
    const struct window *w = &k->shape.w;

    return !quanta_used(&k->shape.x_bytes) && !k->shape.exact && k->weight_bytes > STAGE_BYTES &&
           w->out[0] * w->out[1] <= STAGE_PIXELS;
}

/* Bytes of one input block's weights for a group of outputs. */
static size_t block_bytes(const struct conv_kernel *k)
{
    return (size_t)(k->shape.w.kernel[0] * k->shape.w.kernel[1]) * 16 * pixel_bytes(k->shape.x_type);
}

/* Groups of the next tiles; in stages no more than one block's weights leave room for. */
static int next_groups(const struct conv_kernel *k, int left)
{
    const int most = (int)(STAGE_BYTES / block_bytes(k)), groups = tile_groups(left);

    if (!in_stages(k) || groups <= most || most < 1)
        return groups;
    return left > most && left < 2 * most ? (left + 1) / 2 : most;
}

/* Input blocks of a stage. */
static int stage_blocks(const struct conv_kernel *k, int groups)
{
    const int fit = (int)(STAGE_BYTES / block_bytes(k)) / groups;
    const int stages = fit > 0 ? (k->in_blocks + fit - 1) / fit : k->in_blocks;

    return in_stages(k) ? (k->in_blocks + stages - 1) / stages : k->in_blocks;
}

bool direct_pack(struct conv_kernel *k, const float *weights)
{
    const size_t ntaps = (size_t)(k->shape.w.kernel[0] * k->shape.w.kernel[1]);
    const size_t ci = (size_t)k->shape.ci, per_group = (size_t)k->in_blocks * ntaps * 256;
    const enum dtype type = k->shape.x_type;

    if (quanta_used(&k->shape.x_bytes))
        return bytes_pack(k, weights);
    k->weight_bytes = (size_t)k->out_blocks * per_group * pixel_bytes(type) / 16;
    if (!(k->weights = conv_zeros(k->weight_bytes)))
        return false;
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        const size_t first = (size_t)g * 16, run = (size_t)g * per_group;
        groups = next_groups(k, k->out_blocks - g);
        for (size_t c = 0; c < ci; c++)
            for (size_t t = 0; t < ntaps; t++) {
                const size_t at = run + (c / 16 * ntaps + t) * 256 * (size_t)groups;
                for (size_t o = first; o < first + (size_t)groups * 16 && o < (size_t)k->shape.co; o++)
                    conv_store_weight(k, at + conv_weight_place(type, c % 16, o - first, (size_t)groups),
                                      weights[(o * ci + c) * ntaps + t]);
            }
    }
    return true;
}

/* Rows of output pixels whose inputs lie ready. */
struct band {
    const char *x;
    size_t x_plane, row_pitch; /* pixels from block to block, from output row to output row */
    int rows, width;
    size_t first;          /* output pixel */
    const ptrdiff_t *taps; /* elements */
    int ntaps;
    float
        *sums; /* of a row (in stages: all rows) of a run of groups, unless they are written in place */
};

static bool in_place(const struct conv_kernel *k)
{
    return pixel_bytes_in(&k->shape) == 64 && pixel_bytes_out(&k->shape) == 64;
}

/* What is summed at once: input blocks first .. first + count - 1 for the groups from `group` on. */
struct stage {
    int group, groups, first, count;
};

/* Part i of n of the weights that follow those of a stage. Inline: gcc 12 takes a function that only
 * prefetches for one without effect. */
INLINE_AVX512 void prefetch_next(const struct conv_kernel *k, const struct stage *s, int i, int n)
{
    const size_t block = block_bytes(k) * (size_t)s->groups, bytes = block * (size_t)s->count;
    const size_t at =
        block_bytes(k) * (size_t)(s->group * k->in_blocks) + block * (size_t)s->first + bytes;
    const char *next = (const char *)k->weights + at, *end = next + bytes * (size_t)(i + 1) / (size_t)n;

    if (at + bytes <= k->weight_bytes)
        for (const char *p = next + bytes * (size_t)i / (size_t)n; p < end; p += 64)
            __builtin_prefetch(p, 0, 2);
}

/* A row of a band, in parts as wide as a tile where weights are prefetched between them. */
static TARGET_AVX512 void sum_row(const struct conv_kernel *k, const struct band *b,
                                  const struct stage *s, int row, float *sums, size_t apart)
{
    const bool staged = in_stages(k);
    const int most = tile_pixels(s->groups), n = staged ? (b->width + most - 1) / most : 1;
    struct conv_tile t = {
        .x_plane = b->x_plane,
        .taps = b->taps,
        .ntaps = b->ntaps,
        .blocks = s->count,
        .more = s->first > 0,
        .chain = HALF_CHAIN,
        .weight = (size_t)((s->group * k->in_blocks + s->first * s->groups) * b->ntaps) * 256,
        .bias = k->bias + s->group * 16,
        .y_plane = apart * 16
    };

    for (int i = 0; i < n; i++) {
        const int from = b->width * i / n;
        t.pixels = b->width * (i + 1) / n - from;
        t.x = b->x + ((size_t)s->first * b->x_plane + (size_t)row * b->row_pitch + (size_t)from) *
                         pixel_bytes_in(&k->shape);
        t.y = sums + (ptrdiff_t)from * 16;
        conv_tile_run(k, &t, s->groups);
        if (staged)
            prefetch_next(k, s, row * n + i, b->rows * n);
    }
}

static void run_stage(const struct conv_job *j, const struct band *b, const struct stage *s)
{
    const struct conv_kernel *k = j->k;
    const size_t plane = (size_t)(k->shape.w.out[0] * k->shape.w.out[1]), width = (size_t)b->width;
    const size_t pixel = pixel_bytes_out(&k->shape);
    const size_t kept = in_stages(k) ? width : 0; /* of sums, from row to row */
    const size_t apart = in_place(k) ? plane : kept ? width * (size_t)b->rows : width;

    for (int r = 0; r < b->rows; r++) {
        const size_t at = (size_t)s->group * plane + b->first + (size_t)r * width;
        char *y = j->y + at * pixel;
        float *sums = in_place(k) ? (float *)(void *)y : b->sums + (size_t)r * kept * 16;
        sum_row(k, b, s, r, sums, apart);
        if (s->first + s->count < k->in_blocks)
            continue;
        for (size_t o = 0; o < (size_t)s->groups; o++)
            conv_finish(&k->shape, s->group + (int)o, sums + o * apart * 16,
                        j->residual ? j->residual + (at + o * plane) * pixel : NULL,
                        y + o * plane * pixel, width);
    }
}

static void run_band(const struct conv_job *j, const struct band *b)
{
    const struct conv_kernel *k = j->k;

    for (struct stage s = { .group = 0 }; s.group < k->out_blocks; s.group += s.groups) {
        int blocks;
        s.groups = next_groups(k, k->out_blocks - s.group);
        blocks = stage_blocks(k, s.groups);
        for (s.first = 0; s.first < k->in_blocks; s.first += s.count) {
            s.count = s.first + blocks < k->in_blocks ? blocks : k->in_blocks - s.first;
            run_stage(j, b, &s);
        }
    }
}

static bool is_pointwise(const struct window *w)
{
    return w->kernel[0] * w->kernel[1] == 1 && w->stride[0] * w->stride[1] == 1 &&
           w->in[0] == w->out[0] && w->in[1] == w->out[1] && !w->before[0] && !w->before[1];
}

static void run_pixels(const struct conv_job *j, size_t first, size_t last)
{
    const struct conv_kernel *k = j->k;
    const size_t pixels = (size_t)(k->shape.w.in[0] * k->shape.w.in[1]),
                 pixel = pixel_bytes_in(&k->shape);
    const size_t chunk = (BAND_BYTES / pixel / (size_t)k->in_blocks / ROW_PIXELS + 1) * ROW_PIXELS;
    const ptrdiff_t tap = 0;

    for (size_t at = first, n; at < last; at += n) {
        const size_t left = last - at < chunk ? last - at : chunk;
        const bool rows = left >= ROW_PIXELS;
        const struct band b = { .x = j->x + at * pixel,
                                .x_plane = pixels,
                                .row_pitch = ROW_PIXELS,
                                .rows = rows ? (int)(left / ROW_PIXELS) : 1,
                                .width = rows ? ROW_PIXELS : (int)left,
                                .first = at,
                                .taps = &tap,
                                .ntaps = 1,
                                .sums = (float *)(void *)j->scratch };
        run_band(j, &b);
        n = (size_t)b.rows * (size_t)b.width;
    }
}

/* How the copied input of a band lies, in pixels: [blocks][rows][stride across][columns]. */
struct copied {
    int columns, pitch;    /* of one remainder; of a row */
    int out_rows, in_rows; /* of a whole band */
    ptrdiff_t taps[CONV_TAPS];
    int ntaps;
};

static int rows_between(const struct window *w, int out_rows)
{
    return (int)((out_rows - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1);
}

static size_t band_bytes(const struct conv_kernel *k, const struct copied *c, int out_rows)
{
    return (size_t)k->in_blocks * (size_t)rows_between(&k->shape.w, out_rows) * (size_t)c->pitch *
           pixel_bytes_in(&k->shape);
}

static struct copied lay_out(const struct conv_kernel *k)
{
    const struct window *w = &k->shape.w;
    const int s = (int)w->stride[1];
    const int across = (int)((w->out[1] - 1) * s + (w->kernel[1] - 1) * w->dilation[1] + 1);
    struct copied c = { .columns = (across + s - 1) / s, .out_rows = (int)w->out[0] };

    c.pitch = s * c.columns;
    while (c.out_rows > 1 && band_bytes(k, &c, c.out_rows) > BAND_BYTES)
        c.out_rows = (c.out_rows + 1) / 2;
    c.in_rows = rows_between(w, c.out_rows);
    for (int y = 0; y < w->kernel[0]; y++)
        for (int x = 0; x < w->kernel[1]; x++) {
            const int column = x * (int)w->dilation[1];
            c.taps[c.ntaps++] =
                ((ptrdiff_t)(y * w->dilation[0]) * c.pitch + column % s * c.columns + column / s) * 16;
        }
    return c;
}

/* Pixels of sums that a band keeps of one group. */
static size_t kept_pixels(const struct conv_kernel *k)
{
    const struct window *w = &k->shape.w;

    return in_place(k)       ? 0
           : in_stages(k)    ? (size_t)(w->out[0] * w->out[1])
           : is_pointwise(w) ? ROW_PIXELS
                             : (size_t)w->out[1];
}

size_t direct_scratch_bytes(const struct conv_kernel *k)
{
    const size_t sums = TILE_GROUPS * kept_pixels(k) * 64;
    struct copied c;

    if (is_pointwise(&k->shape.w))
        return sums;
    c = lay_out(k);
    return sums + band_bytes(k, &c, c.out_rows);
}

/* n pixels that lie `step` pixels apart, next to each other. */
INLINE_AVX512 void gather(const char *from, char *to, int n, int step, const int pixel)
{
    for (int i = 0; i < n; i++) {
        if (pixel == 16)
            _mm_store_si128((__m128i *)(void *)to + i,
                            _mm_load_si128((const __m128i *)(const void *)from + (ptrdiff_t)i * step));
        else if (pixel == 32)
            _mm256_store_si256(
                (__m256i *)(void *)to + i,
                _mm256_load_si256((const __m256i *)(const void *)from + (ptrdiff_t)i * step));
        else
            _mm512_store_ps(to + (ptrdiff_t)i * 64, _mm512_load_ps(from + (ptrdiff_t)i * step * 64));
    }
}

/* n pixels of padding: 0, in bytes that of each channel. */
static void pad(const struct conv_shape *s, int block, char *to, size_t n)
{
    if (!quanta_used(&s->x_bytes))
        memset(to, 0, n * pixel_bytes_in(s));
    for (size_t i = 0; quanta_used(&s->x_bytes) && i < n; i++)
        memcpy(to + i * 16, s->x_bytes.zero + block * 16, 16);
}

/* One input row of one block; from NULL: padding. */
static TARGET_AVX512 void copy_row(const struct conv_shape *shape, int block, const struct copied *c,
                                   const char *from, char *to)
{
    const size_t pixel = pixel_bytes_in(shape);
    const int s = (int)shape->w.stride[1], left = (int)shape->w.before[1], width = (int)shape->w.in[1];

    if (!from) {
        pad(shape, block, to, (size_t)c->pitch);
        return;
    }
    for (int part = 0; part < s; part++, to += (size_t)c->columns * pixel) {
        const char *from_x;
        /* column i is pixel i * s + part - left */
        const int skip = left > part ? (left - part + s - 1) / s : 0,
                  begin = skip < c->columns ? skip : c->columns;
        const int x = begin * s + part - left, fit = x < width ? (width - x + s - 1) / s : 0;
        const int n = fit < c->columns - begin ? fit : c->columns - begin;
        pad(shape, block, to, (size_t)begin);
        from_x = from + (ptrdiff_t)x * (ptrdiff_t)pixel;
        switch (pixel) {
        case 16:
            gather(from_x, to + (size_t)begin * 16, n, s, 16);
            break;
        case 32:
            gather(from_x, to + (size_t)begin * 32, n, s, 32);
            break;
        default:
            gather(from_x, to + (size_t)begin * 64, n, s, 64);
        }
        pad(shape, block, to + (size_t)(begin + n) * pixel, (size_t)(c->columns - begin - n));
    }
}

/* The input of output rows first..last-1. */
static void copy_band(const struct conv_job *j, const struct copied *c, int first, int last, char *to)
{
    const struct window *w = &j->k->shape.w;
    const size_t pixel = pixel_bytes_in(&j->k->shape);
    const int rows = rows_between(w, last - first), top = first * (int)w->stride[0] - (int)w->before[0];

    for (int b = 0; b < j->k->in_blocks; b++)
        for (int r = 0; r < rows; r++) {
            const int y = top + r;
            const bool inside = y >= 0 && y < w->in[0];
            const char *row = inside ? j->x + (size_t)((b * w->in[0] + y) * w->in[1]) * pixel : NULL;
            copy_row(&j->k->shape, b, c, row,
                     to + ((size_t)b * (size_t)c->in_rows + (size_t)r) * (size_t)c->pitch * pixel);
        }
}

void direct_work(const void *job, int i, int n)
{
    struct conv_job j = *(const struct conv_job *)job;
    const struct window *w = &j.k->shape.w;
    const size_t pixels = (size_t)(w->out[0] * w->out[1]);
    const int first = (int)(w->out[0] * i / n), last = (int)(w->out[0] * (i + 1) / n);
    struct copied c;

    j.scratch += (size_t)i * j.scratch_bytes;
    if (is_pointwise(w)) {
        run_pixels(&j, pixels * (size_t)i / (size_t)n, pixels * (size_t)(i + 1) / (size_t)n);
        return;
    }
    c = lay_out(j.k);
    for (int y = first; y < last; y += c.out_rows) {
        const int end = y + c.out_rows < last ? y + c.out_rows : last;
        char *copy = j.scratch + TILE_GROUPS * kept_pixels(j.k) * 64;
        const struct band b = { .x = copy,
                                .x_plane = (size_t)c.in_rows * (size_t)c.pitch,
                                .row_pitch = (size_t)w->stride[0] * (size_t)c.pitch,
                                .rows = end - y,
                                .width = (int)w->out[1],
                                .first = (size_t)y * (size_t)w->out[1],
                                .taps = c.taps,
                                .ntaps = c.ntaps,
                                .sums = (float *)(void *)j.scratch };
        copy_band(&j, &c, y, end, copy);
        run_band(&j, &b);
    }
}
