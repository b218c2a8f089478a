/*
 * ConvTranspose (ONNX, opsets 1 to 22): the gradient of Conv with respect to its input; mask heads and
 * text detectors use it with kernel 2, stride 2 to enlarge. weights [C, M/groups, kH, kW]. output_shape
 * is not supported.
 */
#include "inference/ops/conv.h"
#include "inference/ops/conv_transpose.h"
#include "inference/plan/lower.h"

enum status conv_transpose_read(const struct call *c, struct conv_transpose *ret, struct fault *f)
{
    const struct value *x = c->in[0], *weights = c->in[1], *bias = call_in(c, 2);
    const struct attribute *extra = node_attribute(c->node, "output_padding");
    const char *auto_pad = node_string(c->node, "auto_pad", "NOTSET");
    struct conv_transpose t = {
        .x = x, .weights = weights, .bias = bias, .groups = node_int(c->node, "group", 1)
    };
    struct call roomy = *c;
    struct value wide = *x;
    const struct value *in[1] = { &wide };
    enum status st;

    if (x->type != DTYPE_F32 || weights->type != DTYPE_F32 || (bias && bias->type != DTYPE_F32))
        return op_unsupported(c, f, "only float32 is supported");
    if (node_attribute(c->node, "output_shape") || (auto_pad[0] && auto_pad[0] != 'N'))
        return op_unsupported(c, f, "output_shape and auto_pad");
    /* window_read checks a forward convolution: an input that any kernel fits keeps it from refusing
     * small ones. */
    roomy.in = in;
    roomy.nin = 1;
    for (int i = 2; i < wide.rank; i++)
        wide.dims[i] = (int64_t)1 << 40;
    if ((st = window_read(&roomy, weights, false, &t.w, f)) != ST_OK)
        return st;
    if (extra && extra->n && extra->n != (size_t)t.w.spatial)
        return op_refuse(c, f, "output_padding has %zu entries", extra->n);
    t.ci = x->dims[1];
    t.co = weights->dims[1] * t.groups;
    if (t.groups < 1 || t.groups > x->dims[1] || weights->dims[0] != x->dims[1] ||
        x->dims[1] % t.groups || t.co < 1 || (bias && (bias->rank != 1 || bias->dims[0] != t.co)))
        return op_refuse(c, f, "channels, groups and weights do not fit");
    for (int i = 0; i < 2; i++) {
        const int k = i - (2 - t.w.spatial);
        const int64_t more = k >= 0 && extra && extra->n ? extra->ints[k] : 0;
        t.w.in[i] = k >= 0 ? x->dims[2 + k] : 1;
        if (more < 0 || more >= t.w.stride[i] + t.w.dilation[i])
            return op_refuse(c, f, "output_padding %lld is out of range", (long long)more);
        t.w.out[i] = (t.w.in[i] - 1) * t.w.stride[i] - t.w.before[i] - t.w.after[i] +
                     (t.w.kernel[i] - 1) * t.w.dilation[i] + 1 + more;
        if (t.w.out[i] < 1)
            return op_refuse(c, f, "the padding leaves no output");
    }
    *ret = t;
    return ST_OK;
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct conv_transpose t;
    enum status st = conv_transpose_read(c, &t, f);

    if (st == ST_OK)
        window_set_output(c, &t.w, t.co);
    return st;
}

/* Adds one input plane, through one kernel, to one output plane. */
static void spread(const struct window *w, const float *x, const float *kernel, float *y)
{
    for (int64_t iy = 0; iy < w->in[0]; iy++)
        for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
            const int64_t oy = iy * w->stride[0] + ky * w->dilation[0] - w->before[0];
            if (oy < 0 || oy >= w->out[0])
                continue;
            for (int64_t ix = 0; ix < w->in[1]; ix++)
                for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
                    const int64_t ox = ix * w->stride[1] + kx * w->dilation[1] - w->before[1];
                    if (ox >= 0 && ox < w->out[1])
                        y[oy * w->out[1] + ox] += x[iy * w->in[1] + ix] * kernel[ky * w->kernel[1] + kx];
                }
        }
}

static void reference(const struct call *c)
{
    struct conv_transpose t = { 0 };
    const enum status st = conv_transpose_read(c, &t, NULL);
    const struct value *bias = call_in(c, 2);
    const int64_t ci = c->in[0]->dims[1], group_in = t.groups ? ci / t.groups : 1,
                  group_out = t.groups ? t.co / t.groups : 1;
    const int64_t in = t.w.in[0] * t.w.in[1], out = t.w.out[0] * t.w.out[1],
                  k = t.w.kernel[0] * t.w.kernel[1];

    (void)st; /* infer has seen ST_OK for the same call */
    for (int64_t n = 0; n < c->in[0]->dims[0]; n++)
        for (int64_t m = 0; m < t.co; m++) {
            float *y = value_f32(c->out[0]) + (n * t.co + m) * out;
            const int64_t first = m / group_out * group_in;
            for (int64_t i = 0; i < out; i++)
                y[i] = bias ? value_f32(bias)[m] : 0;
            for (int64_t i = first; i < first + group_in; i++)
                spread(&t.w, value_f32(c->in[0]) + (n * ci + i) * in,
                       value_f32(c->in[1]) + (i * group_out + m % group_out) * k, y);
            for (int64_t i = 0; i < out; i++)
                y[i] = activation_apply(&c->node->fused, y[i]);
        }
}

const struct op ops_conv_transpose[] = {
    { .name = "ConvTranspose",
      .since = 1,
      .min_in = 2,
      .max_in = 3,
      .min_out = 1,
      .max_out = 1,
      .attributes = "s:auto_pad I:dilations i:group I:kernel_shape I:output_padding I:output_shape "
                    "I:pads I:strides",
      .infer = infer,
      .reference = reference,
      .lower = lower_conv_transpose,
      .heavy = true },
    { 0 },
};
