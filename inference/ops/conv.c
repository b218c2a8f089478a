/*
 * Conv: cross-correlation with groups, strides, dilations, padding (ONNX Conv, opsets 1 to 22), one or
 * two spatial dimensions. Passes may have attached an activation and a residual (struct fusion); the
 * reference honours both.
 */
#include <math.h>
#include "inference/ops/conv.h"
#include "inference/plan/lower.h"

enum status conv_read(const struct call *c, struct conv *ret, struct fault *f)
{
    struct conv k = {
        .x = c->in[0], .weights = c->in[1], .bias = call_in(c, 2), .residual = call_in(c, 3)
    };
    enum status st;

    if (k.x->type != DTYPE_F32 || k.weights->type != DTYPE_F32 || (k.bias && k.bias->type != DTYPE_F32))
        return op_unsupported(c, f, "only float32 is supported");
    if ((st = window_read(c, k.weights, false, &k.w, f)) != ST_OK)
        return st;
    k.batch = k.x->dims[0];
    k.ci = k.x->dims[1];
    k.co = k.weights->dims[0];
    k.groups = node_int(c->node, "group", 1);
    if (k.groups < 1 || k.co < 1 || k.ci < 1 || k.ci % k.groups || k.co % k.groups ||
        k.weights->dims[1] != k.ci / k.groups)
        return op_refuse(c, f, "%lld input channels and %lld groups do not fit weights of %lldx%lld",
                         (long long)k.ci, (long long)k.groups, (long long)k.co,
                         (long long)k.weights->dims[1]);
    if (k.bias && (k.bias->rank != 1 || k.bias->dims[0] != k.co))
        return op_refuse(c, f, "the bias does not have %lld entries", (long long)k.co);
    *ret = k;
    return ST_OK;
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct conv k = { 0 };
    enum status st = conv_read(c, &k, f);

    if (st == ST_OK)
        window_set_output(c, &k.w, k.co);
    return st;
}

float activation_apply(const struct fusion *f, float x)
{
    switch (f->act) {
    case ACT_RELU:
        return x > 0 ? x : f->alpha * x;
    case ACT_SILU:
        return x / (1 + expf(-x));
    case ACT_SIGMOID:
        return 1 / (1 + expf(-x));
    case ACT_CLIP:
        return x < f->alpha ? f->alpha : x > f->beta ? f->beta : x;
    case ACT_HARDSWISH:
        return x * fminf(fmaxf(x / 6 + 0.5f, 0), 1);
    default:
        return x;
    }
}

/* Adds weight * (one input row, shifted and strided) to one output row. */
static void add_row(float *y, const float *x, float weight, const struct window *w, int64_t kx)
{
    const int64_t shift = kx * w->dilation[1] - w->before[1], stride = w->stride[1];
    int64_t from = shift < 0 ? (-shift + stride - 1) / stride : 0;
    int64_t to = shift >= w->in[1] ? 0 : (w->in[1] - 1 - shift) / stride + 1;

    to = to < w->out[1] ? to : w->out[1];
    for (int64_t i = from; i < to; i++)
        y[i] += weight * x[i * stride + shift];
}

/* One output channel of one image. x: the group's first input channel; weights: [C/groups, kH, kW]. */
static void convolve(const struct conv *k, const float *x, const float *weights, float *y)
{
    const struct window *w = &k->w;
    const int64_t channels = k->ci / k->groups;

    for (int64_t c = 0; c < channels; c++)
        for (int64_t ky = 0; ky < w->kernel[0]; ky++)
            for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
                const float weight = weights[(c * w->kernel[0] + ky) * w->kernel[1] + kx];
                for (int64_t oy = 0; oy < w->out[0]; oy++) {
                    const int64_t iy = oy * w->stride[0] + ky * w->dilation[0] - w->before[0];
                    if (iy >= 0 && iy < w->in[0])
                        add_row(y + oy * w->out[1], x + (c * w->in[0] + iy) * w->in[1], weight, w, kx);
                }
            }
}

static void reference(const struct call *c)
{
    struct conv k = { 0 };
    const enum status st = conv_read(c, &k, NULL);
    const struct window *w = &k.w;
    const int64_t plane = w->out[0] * w->out[1];

    if (st != ST_OK)
        return; /* never: infer has seen ST_OK for the same call */
    for (int64_t n = 0; n < k.batch; n++)
        for (int64_t m = 0; m < k.co; m++) {
            const int64_t first = m / (k.co / k.groups) * (k.ci / k.groups);
            const float *x = value_f32(k.x) + (n * k.ci + first) * w->in[0] * w->in[1];
            const float *r = k.residual ? value_f32(k.residual) + (n * k.co + m) * plane : NULL;
            float *y = value_f32(c->out[0]) + (n * k.co + m) * plane;
            for (int64_t i = 0; i < plane; i++)
                y[i] = k.bias ? value_f32(k.bias)[m] : 0;
            convolve(&k, x, value_f32(k.weights) + m * (k.ci / k.groups) * w->kernel[0] * w->kernel[1],
                     y);
            for (int64_t i = 0; i < plane; i++)
                y[i] = activation_apply(&c->node->fused, y[i]) + (r ? r[i] : 0);
        }
}

const struct op ops_conv[] = {
    { .name = "Conv",
      .since = 1,
      .min_in = 2,
      .max_in = 3, /* a fourth, the residual, only comes from a pass */
      .min_out = 1,
      .max_out = 1,
      .attributes = "s:auto_pad I:dilations i:group I:kernel_shape I:pads I:strides",
      .infer = infer,
      .reference = reference,
      .lower = lower_conv,
      .heavy = true },
    { 0 },
};
