/*
 * A network's first convolution: few channels, row-major in float32 (the picture's planes). Each tap of
 * each channel is one step of the sums, so nothing is spent on channels that are not there. Rows are
 * copied with their padding, columns sorted by their remainder modulo the stride, as in conv_direct.c.
 */
#include <string.h>
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/simd.h"
#include "inference/kernels/tile.h"

enum {
    CHANNELS_MAX = 8,
    BAND_ROWS = 8, /* of output */
};

/* One row of output pixels: pixel p of tap t is x[taps[t] + p]; w [ntaps][groups][16]. */
struct first_tile {
    const float *x;
    const ptrdiff_t *taps;
    int ntaps;
    const float *w, *bias;
    float *y;
    size_t y_plane;
};

INLINE_AVX512 void run(const struct first_tile *t, const int groups, const int pixels)
{
    const float *w = t->w;
    __m512 sum[28];

    UNROLL
    for (int i = 0; i < groups * pixels; i++)
        sum[i] = _mm512_load_ps(t->bias + 16 * (i / pixels));
    for (int tap = 0; tap < t->ntaps; tap++, w += 16 * groups) {
        const float *x = t->x + t->taps[tap];
        __m512 weights[TILE_GROUPS];
        UNROLL
        for (int o = 0; o < groups; o++)
            weights[o] = _mm512_load_ps(w + 16 * o);
        UNROLL
        for (int p = 0; p < pixels; p++) {
            const __m512 in = _mm512_set1_ps(x[p]);
            UNROLL
            for (int o = 0; o < groups; o++)
                sum[o * pixels + p] = _mm512_fmadd_ps(in, weights[o], sum[o * pixels + p]);
        }
    }
    UNROLL
    for (int o = 0; o < groups; o++)
        UNROLL
    for (int p = 0; p < pixels; p++)
        _mm512_store_ps(t->y + (size_t)o * t->y_plane + 16 * p, sum[o * pixels + p]);
}

#define SHAPE(groups, pixels)                                                                           \
    static TARGET_AVX512 void run_##groups##_##pixels(const struct first_tile *t)                       \
    {                                                                                                   \
        run(t, groups, pixels);                                                                         \
    }
#define TILE first_tile
#include "inference/kernels/tile_shapes.h"

bool first_suits(const struct conv_shape *s)
{
    return s->ci <= CHANNELS_MAX && s->x_type == DTYPE_F32 && s->w.stride[1] <= 2;
}

static size_t count_taps(const struct conv_kernel *k)
{
    return (size_t)(k->shape.ci * k->shape.w.kernel[0] * k->shape.w.kernel[1]);
}

/* [runs of groups][channels, taps][groups][16] */
bool first_pack(struct conv_kernel *k, const float *weights)
{
    const size_t ntaps = count_taps(k);

    k->weight_bytes = (size_t)k->out_blocks * ntaps * 64;
    if (!(k->weights = conv_zeros(k->weight_bytes)))
        return false;
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        const size_t first = (size_t)g * 16;
        groups = tile_groups(k->out_blocks - g);
        for (size_t o = first; o < first + (size_t)groups * 16 && o < (size_t)k->shape.co; o++)
            for (size_t t = 0; t < ntaps; t++)
                conv_store_weight(k, first * ntaps + t * 16 * (size_t)groups + o - first,
                                  weights[o * ntaps + t]);
    }
    return true;
}

/* How a band lies, in floats: [channels][rows][stride across][columns]. */
struct copied {
    int columns, pitch, rows;
    ptrdiff_t taps[CONV_TAPS * CHANNELS_MAX];
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
    struct copied c = { .columns = (across + s - 1) / s, .rows = rows_between(w, BAND_ROWS) };
    int n = 0;

    c.pitch = s * c.columns;
    for (int i = 0; i < k->shape.ci; i++)
        for (int y = 0; y < w->kernel[0]; y++)
            for (int x = 0; x < w->kernel[1]; x++) {
                const int column = x * (int)w->dilation[1];
                c.taps[n++] = (ptrdiff_t)(i * c.rows + y * w->dilation[0]) * c.pitch +
                              column % s * c.columns + column / s;
            }
    return c;
}

static size_t band_floats(const struct conv_kernel *k)
{
    const struct window *w = &k->shape.w;
    const size_t columns =
        (size_t)((w->out[1] - 1) * w->stride[1] + (w->kernel[1] - 1) * w->dilation[1] + 2);

    return ((size_t)(k->shape.ci * rows_between(w, BAND_ROWS)) * columns + 63) / 64 * 64;
}

size_t first_scratch_bytes(const struct conv_kernel *k)
{
    return (band_floats(k) + TILE_GROUPS * (size_t)k->shape.w.out[1] * 16) * sizeof(float);
}

/* Every `step`th of n numbers. */
static TARGET_AVX512 void gather(const float *from, float *to, int n, int step)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    int i = 0;

    if (step == 1) {
        memcpy(to, from, (size_t)n * sizeof *to);
        return;
    }
    for (; i + 16 < n; i += 16) /* the last may end before a second vector would */
        _mm512_storeu_ps(to + i, _mm512_permutex2var_ps(_mm512_loadu_ps(from + 2 * i), even,
                                                        _mm512_loadu_ps(from + 2 * i + 16)));
    for (; i < n; i++)
        to[i] = from[i * step];
}

/* One input row; from NULL: padding. */
static void copy_row(const struct window *w, const struct copied *c, const float *from, float *to)
{
    const int s = (int)w->stride[1], left = (int)w->before[1], width = (int)w->in[1];

    for (int part = 0; part < s; part++, to += c->columns) {
        const int skip = left > part ? (left - part + s - 1) / s : 0;
        const int begin = skip < c->columns ? skip : c->columns, x = begin * s + part - left;
        const int fit = from && x < width ? (width - x + s - 1) / s : 0;
        const int n = fit < c->columns - begin ? fit : c->columns - begin;
        memset(to, 0, (size_t)c->columns * sizeof *to);
        if (n > 0)
            gather(from + x, to + begin, n, s);
    }
}

static void copy_band(const struct conv_job *j, const struct copied *c, int first, int last, float *to)
{
    const struct window *w = &j->k->shape.w;
    const int rows = rows_between(w, last - first), top = first * (int)w->stride[0] - (int)w->before[0];
    const float *planes = (const float *)(const void *)j->x;

    for (int i = 0; i < j->k->shape.ci; i++)
        for (int r = 0; r < rows; r++) {
            const int y = top + r;
            const bool inside = y >= 0 && y < w->in[0];
            copy_row(w, c, inside ? planes + (i * w->in[0] + y) * w->in[1] : NULL,
                     to + (ptrdiff_t)(i * c->rows + r) * c->pitch);
        }
}

static void run_band(const struct conv_job *j, const struct copied *c, int first, int last,
                     const float *band, float *sums)
{
    const struct conv_kernel *k = j->k;
    const struct window *w = &k->shape.w;
    const size_t plane = (size_t)(w->out[0] * w->out[1]), width = (size_t)w->out[1];
    const size_t pixel = pixel_bytes_out(&k->shape);
    struct first_tile t = {
        .taps = c->taps, .ntaps = (int)count_taps(k), .y = sums, .y_plane = width * 16
    };

    for (int y = first; y < last; y++)
        for (int g = 0, groups; g < k->out_blocks; g += groups) {
            groups = tile_groups(k->out_blocks - g);
            t.x = band + (ptrdiff_t)(y - first) * w->stride[0] * c->pitch;
            t.w = (const float *)k->weights + (ptrdiff_t)g * 16 * t.ntaps;
            t.bias = k->bias + g * 16;
            run_row(&t, groups, (int)width, 1);
            for (size_t o = 0; o < (size_t)groups; o++) {
                const size_t at = (((size_t)g + o) * plane + (size_t)y * width) * pixel;
                conv_finish(&k->shape, g + (int)o, sums + o * width * 16,
                            j->residual ? j->residual + at : NULL, j->y + at, width);
            }
        }
}

void first_work(const void *job, int i, int n)
{
    const struct conv_job *j = job;
    const int height = (int)j->k->shape.w.out[0];
    const struct copied c = lay_out(j->k);
    float *band = (float *)(void *)(j->scratch + (size_t)i * j->scratch_bytes);
    float *sums = band + band_floats(j->k);

    for (int y = height * i / n, last = height * (i + 1) / n; y < last; y += BAND_ROWS) {
        const int end = y + BAND_ROWS < last ? y + BAND_ROWS : last;
        copy_band(j, &c, y, end, band);
        run_band(j, &c, y, end, band, sums);
    }
}
