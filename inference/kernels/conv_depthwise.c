/*
 * Depthwise convolution: each channel by itself, so 16 of them are one vector from end to end. The input
 * rows of a band are copied with their padding, in float32, columns sorted by their remainder modulo the
 * stride, as in conv_direct.c.
 */
#include <string.h>
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/simd.h"

enum {
    BAND_ROWS = 16, /* of output */
    PIXELS = 8,     /* summed at once */
};

bool depthwise_suits(const struct conv_shape *s)
{
    return s->ci == s->co;
}

/* [blocks][taps][16] */
bool depthwise_pack(struct conv_kernel *k, const float *weights)
{
    const size_t ntaps = (size_t)(k->shape.w.kernel[0] * k->shape.w.kernel[1]);

    k->weight_bytes = (size_t)k->out_blocks * ntaps * 64;
    if (!(k->weights = conv_zeros(k->weight_bytes)))
        return false;
    for (size_t c = 0; c < (size_t)k->shape.co; c++)
        for (size_t t = 0; t < ntaps; t++)
            ((float *)k->weights)[(c / 16 * ntaps + t) * 16 + c % 16] = weights[c * ntaps + t];
    return true;
}

/* How a band of one block lies, in pixels: [rows][stride across][columns]. */
struct copied {
    int columns, pitch;
    ptrdiff_t taps[CONV_TAPS]; /* floats */
};

static int rows_between(const struct window *w, int out_rows)
{
    return (int)((out_rows - 1) * w->stride[0] + (w->kernel[0] - 1) * w->dilation[0] + 1);
}

static struct copied lay_out(const struct window *w)
{
    const int s = (int)w->stride[1];
    const int across = (int)((w->out[1] - 1) * s + (w->kernel[1] - 1) * w->dilation[1] + 1);
    struct copied c = { .columns = (across + s - 1) / s };
    int n = 0;

    c.pitch = s * c.columns;
    for (int y = 0; y < w->kernel[0]; y++)
        for (int x = 0; x < w->kernel[1]; x++) {
            const int column = x * (int)w->dilation[1];
            c.taps[n++] =
                ((ptrdiff_t)(y * w->dilation[0]) * c.pitch + column % s * c.columns + column / s) * 16;
        }
    return c;
}

size_t depthwise_scratch_bytes(const struct conv_kernel *k)
{
    const struct window *w = &k->shape.w;
    const struct copied c = lay_out(w);

    return ((size_t)rows_between(w, BAND_ROWS) * (size_t)c.pitch + (size_t)w->out[1]) * 64;
}

/* One input row; from NULL: padding. */
INLINE_AVX512 void copy_row(const struct window *w, const struct copied *c, const char *from, float *to,
                            const enum dtype type)
{
    const int s = (int)w->stride[1], left = (int)w->before[1], width = (int)w->in[1];

    for (int part = 0; part < s; part++)
        for (int i = 0; i < c->columns; i++, to += 16) {
            const int x = i * s + part - left;
            _mm512_store_ps(to, !from || x < 0 || x >= width
                                    ? _mm512_setzero_ps()
                                    : load_pixel(from + (size_t)x * pixel_bytes(type), type));
        }
}

/* The input of output rows first..last-1 of one block. */
static TARGET_AVX512 void copy_band(const struct conv_job *j, const struct copied *c, int block,
                                    int first, int last, float *to)
{
    const struct window *w = &j->k->shape.w;
    const enum dtype type = j->k->shape.x_type;
    const int rows = rows_between(w, last - first), top = first * (int)w->stride[0] - (int)w->before[0];

    for (int r = 0; r < rows; r++, to += (ptrdiff_t)c->pitch * 16) {
        const int y = top + r;
        const bool inside = y >= 0 && y < w->in[0];
        const char *row =
            inside ? j->x + (size_t)((block * w->in[0] + y) * w->in[1]) * pixel_bytes(type) : NULL;
#define COPY(type) copy_row(w, c, row, to, type)
        FLOATS_CHOOSE(type, COPY);
#undef COPY
    }
}

INLINE_AVX512 void sum_pixels(const float *x, const struct copied *c, int ntaps, const float *w,
                              __m512 bias, float *y, const int pixels)
{
    __m512 sum[PIXELS];

    UNROLL
    for (int p = 0; p < pixels; p++)
        sum[p] = bias;
    for (int t = 0; t < ntaps; t++) {
        const __m512 weight = _mm512_load_ps(w + t * 16);
        UNROLL
        for (int p = 0; p < pixels; p++)
            sum[p] = _mm512_fmadd_ps(_mm512_load_ps(x + c->taps[t] + p * 16), weight, sum[p]);
    }
    UNROLL
    for (int p = 0; p < pixels; p++)
        _mm512_store_ps(y + p * 16, sum[p]);
}

static TARGET_AVX512 void sum_row(const struct conv_kernel *k, const struct copied *c, int block,
                                  const float *x, float *y)
{
    const int ntaps = (int)(k->shape.w.kernel[0] * k->shape.w.kernel[1]), n = (int)k->shape.w.out[1];
    const float *w = (const float *)k->weights + (ptrdiff_t)block * ntaps * 16;
    const __m512 bias = _mm512_load_ps(k->bias + block * 16);
    int i = 0;

    for (; i + PIXELS <= n; i += PIXELS)
        sum_pixels(x + (ptrdiff_t)i * 16, c, ntaps, w, bias, y + (ptrdiff_t)i * 16, PIXELS);
    for (; i < n; i++)
        sum_pixels(x + (ptrdiff_t)i * 16, c, ntaps, w, bias, y + (ptrdiff_t)i * 16, 1);
}

void depthwise_work(const void *job, int i, int n)
{
    const struct conv_job *j = job;
    const struct conv_kernel *k = j->k;
    const struct window *w = &k->shape.w;
    const struct copied c = lay_out(w);
    const int height = (int)w->out[0], first = height * i / n, last = height * (i + 1) / n;
    float *sums = (float *)(void *)(j->scratch + (size_t)i * j->scratch_bytes);
    float *band = sums + w->out[1] * 16;

    for (int block = 0; block < k->out_blocks; block++)
        for (int y = first; y < last; y += BAND_ROWS) {
            const int end = y + BAND_ROWS < last ? y + BAND_ROWS : last;
            copy_band(j, &c, block, y, end, band);
            for (int r = y; r < end; r++) {
                const size_t at =
                    (size_t)((block * w->out[0] + r) * w->out[1]) * pixel_bytes_out(&k->shape);
                sum_row(k, &c, block, band + (r - y) * w->stride[0] * c.pitch * 16, sums);
                conv_finish(&k->shape, block, sums, j->residual ? j->residual + at : NULL, j->y + at,
                            (size_t)w->out[1]);
            }
        }
}
