/*
 * GridSample (ONNX, opsets 16 to 22) of pictures: for each output pixel a grid names the place in the
 * input, -1 to 1 across it. Nearest or bilinear; outside: zeros, the border, or a reflection. Deformable
 * attention (RT-DETR) is made of it. Not supported: cubic, volumes.
 */
#include <math.h>
#include <string.h>
#include "inference/ops/op.h"

enum padding { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION, PADDING__COUNT };

struct sampling {
    const float *plane;
    int64_t size[2]; /* height, width */
    enum padding padding;
    bool nearest, align_corners;
};

static bool sampling_read(const struct call *c, struct sampling *ret)
{
    static const char *const paddings[] = { "zeros", "border", "reflection" };
    const char *mode = node_string(c->node, "mode", "linear");
    const char *padding = node_string(c->node, "padding_mode", "zeros");
    int p = 0;

    while (p < PADDING__COUNT && strcmp(padding, paddings[p]) != 0)
        p++;
    *ret = (struct sampling){ .size = { c->in[0]->dims[2], c->in[0]->dims[3] },
                              .padding = (enum padding)p,
                              .nearest = strcmp(mode, "nearest") == 0,
                              .align_corners = node_int(c->node, "align_corners", 0) != 0 };
    return p < PADDING__COUNT &&
           (ret->nearest || strcmp(mode, "linear") == 0 || strcmp(mode, "bilinear") == 0);
}

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0], *grid = c->in[1];
    struct sampling s;

    if (x->type != DTYPE_F32 || grid->type != DTYPE_F32 || x->rank != 4 || grid->rank != 4 ||
        grid->dims[0] != x->dims[0] || grid->dims[3] != 2 || x->dims[2] < 1 || x->dims[3] < 1)
        return op_refuse(c, f, "the operands are not [N, C, H, W] and [N, h, w, 2] of float32");
    if (!sampling_read(c, &s))
        return op_unsupported(c, f, "this mode; nearest and bilinear are supported");
    call_set_shape(c, 0, DTYPE_F32, 4,
                   (const int64_t[]){ x->dims[0], x->dims[1], grid->dims[1], grid->dims[2] });
    return ST_OK;
}

/* Back and forth between low and high, as a ball between walls. */
static double reflect(double x, double low, double high)
{
    const double span = high - low;
    double past;

    if (!(span > 0))
        return low;
    past = fmod(fabs(x - low), 2 * span);
    return low + (past > span ? 2 * span - past : past);
}

/* From -1..1 to pixels of a dimension. NaN becomes a place far outside. */
static double place(const struct sampling *s, double x, int64_t n)
{
    const double most = (double)(n - 1);
    double at = s->align_corners ? (x + 1) / 2 * most : ((x + 1) * (double)n - 1) / 2;

    if (!isfinite(at))
        at = -4;
    if (s->padding == PADDING_BORDER)
        return at < 0 ? 0 : at > most ? most : at;
    if (s->padding == PADDING_REFLECTION) {
        at = s->align_corners ? reflect(at, 0, most) : reflect(at, -0.5, most + 0.5);
        return at < 0 ? 0 : at > most ? most : at;
    }
    return at < -4 ? -4 : at > most + 4 ? most + 4 : at;
}

static double pixel(const struct sampling *s, double y, double x)
{
    if (y < 0 || x < 0 || y >= (double)s->size[0] || x >= (double)s->size[1])
        return 0;
    return (double)s->plane[(int64_t)y * s->size[1] + (int64_t)x];
}

static float sample(const struct sampling *s, double y, double x)
{
    const double y0 = floor(y), x0 = floor(x), fy = y - y0, fx = x - x0;

    if (s->nearest)
        return (float)pixel(s, nearbyint(y), nearbyint(x));
    return (float)((1 - fy) * ((1 - fx) * pixel(s, y0, x0) + fx * pixel(s, y0, x0 + 1)) +
                   fy * ((1 - fx) * pixel(s, y0 + 1, x0) + fx * pixel(s, y0 + 1, x0 + 1)));
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0], *grid = c->in[1];
    const size_t points = value_span(grid, 1, 3), plane = value_span(x, 2, 4);
    const size_t channels = (size_t)x->dims[1];
    struct sampling s;

    if (!sampling_read(c, &s))
        return; /* never: infer has accepted the call */
    for (size_t m = 0; m < (size_t)x->dims[0] * channels; m++) {
        s.plane = value_f32(x) + m * plane;
        for (size_t i = 0; i < points; i++) {
            const float *at = value_f32(grid) + (m / channels * points + i) * 2;
            value_f32(c->out[0])[m * points + i] =
                sample(&s, place(&s, (double)at[1], s.size[0]), place(&s, (double)at[0], s.size[1]));
        }
    }
}

const struct op ops_grid_sample[] = {
    { .name = "GridSample",
      .since = 16,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:align_corners s:mode s:padding_mode",
      .infer = infer,
      .reference = reference,
      .heavy = true },
    { 0 },
};
