/*
 * Direct convolution. The input rows of a band of output rows are copied into scratch with their
 * padding, columns sorted by their remainder modulo the stride: then each tap of a row of output pixels
 * is one contiguous row. The copy costs a hundredth of the sums. Without a window (1x1, stride 1) pixels
 * are read where they are.
 */
#include <string.h>
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/tile.h"

enum {
    BAND_BYTES = 512 << 10, /* of copied input: half of a second-level cache */
    ROW_PIXELS = 60,        /* of a convolution without window; divides into tiles of 5, 6 and 12 */
};

bool direct_suits(const struct conv_shape *s)
{
    return s->ci > 0 && s->co > 0;
}

bool direct_pack(struct conv_kernel *k, const float *weights)
{
    const size_t ntaps = (size_t)(k->shape.w.kernel[0] * k->shape.w.kernel[1]);
    const size_t ci = (size_t)k->shape.ci, per_group = (size_t)k->in_blocks * ntaps * 256;
    const size_t floats = (size_t)k->out_blocks * per_group;

    if (!(k->weights = conv_zeros(floats)))
        return false;
    k->weight_bytes = floats * sizeof(float);
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        float *run = k->weights + (size_t)g * per_group;
        groups = tile_groups(k->out_blocks - g);
        for (size_t o = (size_t)g * 16; o < (size_t)(g + groups) * 16 && o < (size_t)k->shape.co; o++)
            for (size_t c = 0; c < ci; c++)
                for (size_t t = 0; t < ntaps; t++)
                    run[((c / 16 * ntaps + t) * 16 + c % 16) * 16 * (size_t)groups + o -
                        (size_t)g * 16] = weights[(o * ci + c) * ntaps + t];
    }
    return true;
}

/* Rows of output pixels whose inputs lie ready. */
struct band {
    const float *x;
    size_t x_plane, row_pitch; /* floats from block to block, from output row to output row */
    int rows, width;
    size_t first; /* output pixel */
};

static void run_band(const struct conv_job *j, const struct band *b, const ptrdiff_t *taps, int ntaps)
{
    const struct conv_kernel *k = j->k;
    const size_t plane = (size_t)(k->shape.w.out[0] * k->shape.w.out[1]) * 16;
    struct tile t = {
        .x_plane = b->x_plane, .blocks = k->in_blocks, .taps = taps, .ntaps = ntaps, .y_plane = plane
    };

    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        groups = tile_groups(k->out_blocks - g);
        t.w = k->weights + (size_t)g * (size_t)k->in_blocks * (size_t)ntaps * 256;
        t.bias = k->bias + g * 16;
        for (int r = 0; r < b->rows; r++) {
            const size_t at = (size_t)g * plane + (b->first + (size_t)r * (size_t)b->width) * 16;
            t.x = b->x + (size_t)r * b->row_pitch;
            t.y = j->y + at;
            tile_row(&t, groups, b->width);
            for (size_t o = 0; o < (size_t)groups; o++)
                conv_finish(&k->shape.fused, t.y + o * plane,
                            j->residual ? j->residual + at + o * plane : NULL, t.y + o * plane,
                            (size_t)b->width);
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
    const size_t pixels = (size_t)(j->k->shape.w.in[0] * j->k->shape.w.in[1]);
    const size_t chunk =
        BAND_BYTES / 64 / (size_t)j->k->in_blocks / ROW_PIXELS * ROW_PIXELS + ROW_PIXELS;
    const ptrdiff_t tap = 0;

    for (size_t at = first, n; at < last; at += n) {
        const size_t left = last - at < chunk ? last - at : chunk;
        const bool rows = left >= ROW_PIXELS;
        const struct band b = { .x = j->x + at * 16,
                                .x_plane = pixels * 16,
                                .row_pitch = (size_t)ROW_PIXELS * 16,
                                .rows = rows ? (int)(left / ROW_PIXELS) : 1,
                                .width = rows ? ROW_PIXELS : (int)left,
                                .first = at };
        run_band(j, &b, &tap, 1);
        n = (size_t)b.rows * (size_t)b.width;
    }
}

/* How the copied input of a band lies: [blocks][rows][stride across][columns][16]. */
struct copied {
    int columns, pitch;    /* of one remainder; floats of a row */
    int out_rows, in_rows; /* of a whole band */
    ptrdiff_t taps[CONV_TAPS];
    int ntaps;
};

static int rows_between(const struct window *w, int out_rows)
{
    return (int)((out_rows - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1);
}

static struct copied lay_out(const struct conv_kernel *k)
{
    const struct window *w = &k->shape.w;
    const int s = (int)w->stride[1];
    const int across = (int)((w->out[1] - 1) * s + (w->kernel[1] - 1) * w->dilation[1] + 1);
    struct copied c = { .columns = (across + s - 1) / s, .out_rows = (int)w->out[0] };

    c.pitch = s * c.columns * 16;
    while (c.out_rows > 1 &&
           (size_t)rows_between(w, c.out_rows) * (size_t)c.pitch * sizeof(float) * (size_t)k->in_blocks >
               BAND_BYTES)
        c.out_rows = (c.out_rows + 1) / 2;
    c.in_rows = rows_between(w, c.out_rows);
    for (int y = 0; y < w->kernel[0]; y++)
        for (int x = 0; x < w->kernel[1]; x++) {
            const int column = x * (int)w->dilation[1];
            c.taps[c.ntaps++] = (ptrdiff_t)(y * w->dilation[0]) * c.pitch +
                                (ptrdiff_t)(column % s * c.columns + column / s) * 16;
        }
    return c;
}

size_t direct_scratch_bytes(const struct conv_kernel *k)
{
    if (is_pointwise(&k->shape.w))
        return 0;
    const struct copied c = lay_out(k);

    return (size_t)k->in_blocks * (size_t)c.in_rows * (size_t)c.pitch * sizeof(float);
}

/* One input row of one block; from NULL: padding. */
static void copy_row(const struct window *w, const struct copied *c, const float *from, float *to)
{
    const int s = (int)w->stride[1], left = (int)w->before[1], width = (int)w->in[1];

    if (!from) {
        memset(to, 0, (size_t)c->pitch * sizeof *to);
        return;
    }
    for (int part = 0; part < s; part++)
        for (int i = 0; i < c->columns; i++) {
            const int x = i * s + part - left;
            float *at = to + (part * c->columns + i) * 16;
            if (s == 1 && x == 0) { /* the middle in one go */
                const int n = width < c->columns - i ? width : c->columns - i;
                memcpy(at, from, (size_t)n * 16 * sizeof *to);
                i += n - 1;
            } else if (x < 0 || x >= width) {
                memset(at, 0, 16 * sizeof *to);
            } else {
                memcpy(at, from + (ptrdiff_t)x * 16, 16 * sizeof *to);
            }
        }
}

/* The input of output rows first..last-1. */
static void copy_band(const struct conv_job *j, const struct copied *c, int first, int last, float *to)
{
    const struct window *w = &j->k->shape.w;
    const int rows = rows_between(w, last - first), top = first * (int)w->stride[0] - (int)w->before[0];

    for (int b = 0; b < j->k->in_blocks; b++)
        for (int r = 0; r < rows; r++) {
            const int y = top + r;
            const float *row = j->x + ((ptrdiff_t)b * w->in[0] + y) * w->in[1] * 16;
            copy_row(w, c, y >= 0 && y < w->in[0] ? row : NULL,
                     to + ((size_t)b * (size_t)c->in_rows + (size_t)r) * (size_t)c->pitch);
        }
}

void direct_work(const void *job, int i, int n)
{
    const struct conv_job *j = job;
    const struct window *w = &j->k->shape.w;
    const size_t pixels = (size_t)(w->out[0] * w->out[1]);
    float *scratch = (float *)(void *)(j->scratch + (size_t)i * j->scratch_bytes);
    const int first = (int)(w->out[0] * i / n), last = (int)(w->out[0] * (i + 1) / n);

    if (is_pointwise(w)) {
        run_pixels(j, pixels * (size_t)i / (size_t)n, pixels * (size_t)(i + 1) / (size_t)n);
        return;
    }
    const struct copied c = lay_out(j->k);
    for (int y = first; y < last; y += c.out_rows) {
        const int end = y + c.out_rows < last ? y + c.out_rows : last;
        const struct band b = { .x = scratch,
                                .x_plane = (size_t)c.in_rows * (size_t)c.pitch,
                                .row_pitch = (size_t)w->stride[0] * (size_t)c.pitch,
                                .rows = end - y,
                                .width = (int)w->out[1],
                                .first = (size_t)y * (size_t)w->out[1] };
        copy_band(j, &c, y, end, scratch);
        run_band(j, &b, c.taps, c.ntaps);
    }
}
