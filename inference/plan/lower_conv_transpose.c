/*
 * ConvTranspose by convolution: outputs whose coordinates leave the same rest by the stride are one
 * ordinary convolution of the input each, with the taps that meet them. All of them together are one
 * convolution of stride 1 with stride * stride times the channels, whose maps are interleaved behind it.
 * In one dimension, with k the tap and o the output:
 *
 *   o + before = stride * q + r,   dilation * k = stride * t + r,   y[o] = sum of x[q - t] * w[k]
 *
 * Groups, and what neither our kernels nor oneDNN's take, run by the reference.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/ops/conv_transpose.h"
#include "inference/plan/lower.h"

enum { STRIDE_MAX = 8, SPAN_MAX = 16 };

/* The convolution in front of the interleaving. */
struct phases {
    struct window w;
    int64_t co, whole; /* channels; rounded up to blocks: phase p begins at channel p * whole */
    int64_t count;     /* stride * stride */
};

static struct phases plan_phases(const struct conv_transpose *t, int block)
{
    struct phases p = { .co = t->co, .whole = (t->co + block - 1) / block * block, .count = 1 };

    p.w.spatial = 2;
    for (int i = 0; i < 2; i++) {
        p.w.in[i] = t->w.in[i];
        p.w.kernel[i] = (t->w.kernel[i] - 1) * t->w.dilation[i] / t->w.stride[i] + 1;
        p.w.stride[i] = p.w.dilation[i] = 1;
        p.w.before[i] = p.w.kernel[i] - 1;
        p.w.out[i] = (t->w.out[i] - 1 + t->w.before[i]) / t->w.stride[i] + 1;
        p.w.after[i] = p.w.out[i] > p.w.in[i] ? p.w.out[i] - p.w.in[i] : 0;
        p.count *= t->w.stride[i];
    }
    return p;
}

/* Larger ones would be convolutions with zeros for the most part. */
static bool is_common(const struct window *w)
{
    for (int i = 0; i < 2; i++)
        if (w->stride[i] > STRIDE_MAX || w->before[i] > (w->kernel[i] - 1) * w->dilation[i] ||
            w->dilation[i] * w->kernel[i] > SPAN_MAX)
            return false;
    return true;
}

/* [phases * whole, ci, kernel], zero where no tap meets. NULL: out of memory or too large. */
static float *phase_weights(const struct conv_transpose *t, const struct phases *p, int64_t ci)
{
    const struct window *w = &t->w;
    const size_t kh = (size_t)p->w.kernel[0], kw = (size_t)p->w.kernel[1];
    const size_t channels = (size_t)(p->count * p->whole);
    const float *from = value_f32(t->weights);
    size_t n;
    float *y;

    if (!size_mul(channels, (size_t)ci, &n) || !size_mul(n, kh * kw, &n) || n > LIMIT_TENSOR_ELEMENTS ||
        !(y = calloc(n + 1, sizeof *y)))
        return NULL;
    for (size_t c = 0; c < (size_t)t->ci; c++)
        for (size_t m = 0; m < (size_t)t->co; m++)
            for (int64_t ky = 0; ky < w->kernel[0]; ky++)
                for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
                    const int64_t down = ky * w->dilation[0], across = kx * w->dilation[1];
                    const size_t phase =
                        (size_t)(down % w->stride[0] * w->stride[1] + across % w->stride[1]);
                    const size_t row = kh - 1 - (size_t)(down / w->stride[0]),
                                 column = kw - 1 - (size_t)(across / w->stride[1]);
                    y[((phase * (size_t)p->whole + m) * (size_t)ci + c) * kh * kw + row * kw + column] =
                        *from++;
                }
    return y;
}

/* The bias of every phase. NULL: out of memory. */
static float *phase_bias(const struct conv_transpose *t, const struct phases *p)
{
    float *b = calloc((size_t)(p->count * p->whole) + 1, sizeof *b);

    for (int64_t i = 0; b && t->bias && i < p->count; i++)
        memcpy(b + i * p->whole, value_f32(t->bias), (size_t)t->co * sizeof *b);
    return b;
}

/* in: [N, phases * blocks, Q, R, B]; out: [N, blocks, H, W, B]. */
static void interleave(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0];
    const struct attribute *strides = node_attribute(c->node, "strides"),
                           *pads = node_attribute(c->node, "pads");
    const size_t down = strides && strides->n ? (size_t)strides->ints[0] : 1,
                 across = strides && strides->n ? (size_t)strides->ints[1] : 1;
    const size_t top = pads && pads->n ? (size_t)pads->ints[0] : 0,
                 left = pads && pads->n ? (size_t)pads->ints[1] : 0;
    const size_t blocks = (size_t)y->dims[1], h = (size_t)y->dims[2], w = (size_t)y->dims[3];
    const size_t q = (size_t)x->dims[2], r = (size_t)x->dims[3];
    const size_t pixel = (size_t)x->dims[4] * dtype_size(x->type);

    for (size_t row = 0; row < (size_t)y->dims[0] * blocks * h; row++) {
        const size_t n = row / (blocks * h), b = row / h % blocks, at = row % h + top;
        char *to = (char *)y->data + row * w * pixel;
        for (size_t rest = 0; rest < across; rest++) {
            const size_t phase = at % down * across + rest;
            const char *from = (const char *)x->data +
                               (((n * down * across + phase) * blocks + b) * q + at / down) * r * pixel;
            size_t i = (rest + across - left % across) % across;
            for (; i < w; i += across)
                memcpy(to + i * pixel, from + (i + left) / across * pixel, pixel);
        }
    }
}

/* Steps: the convolution into memory of its own, then the interleaving. */
static void add_steps(struct lowering *l, const struct node *n, const struct phases *p,
                      struct conv_kernel *own, struct kernel *k)
{
    const bool narrow_out = own && l->wants_narrow[n->outputs[0]];
    const struct value maps = { .type = narrow_out ? l->narrow_type : DTYPE_F32,
                                .rank = 5,
                                .dims = { lower_value(l, n->inputs[0])->dims[0],
                                          p->count * p->whole / l->block, p->w.out[0], p->w.out[1],
                                          l->block } };
    int slots[2];

    slots[0] = own && l->narrow_type != DTYPE_F32 ? lower_narrow(l, n->inputs[0])
                                                  : lower_blocked(l, n->inputs[0]);
    slots[1] = lower_slot(l, &maps);
    if (own)
        lower_own_conv(l, n, own, slots);
    else
        lower_kernel(l, n, k, slots);
    slots[0] = slots[1];
    slots[1] =
        narrow_out ? lower_narrow_output(l, n->outputs[0]) : lower_blocked_output(l, n->outputs[0]);
    lower_native(l, n, interleave, 1, 1, slots);
}

static struct conv_kernel *own_kernel(const struct lowering *l, const struct node *n,
                                      const struct conv_transpose *t, const struct phases *p)
{
    const struct conv_shape s = { .ci = t->ci,
                                  .co = p->count * p->whole,
                                  .w = p->w,
                                  .fused = n->fused,
                                  .exact = l->exact,
                                  .x_type = l->narrow_type,
                                  .y_type = lower_float_type(l, n->outputs[0]) };
    struct conv_kernel *k = NULL;
    float *weights, *bias;

    if (l->block != 16 || !conv_kernel_suits(&s, CONV_DIRECT))
        return NULL;
    weights = phase_weights(t, p, t->ci);
    bias = phase_bias(t, p);
    if (weights && bias)
        k = conv_kernel_create(&s, CONV_DIRECT, weights, bias);
    free(weights);
    free(bias);
    return k;
}

/* oneDNN wants whole blocks of input channels. */
static struct kernel *onednn_kernel(struct lowering *l, const struct node *n,
                                    const struct conv_transpose *t, const struct phases *p)
{
    struct conv_spec s = { .x = lower_layout(l, n->inputs[0], true),
                           .y = lower_layout(l, n->outputs[0], true),
                           .w = p->w,
                           .groups = 1,
                           .fused = n->fused };
    float *weights = phase_weights(t, p, s.x.dims[1]), *bias = phase_bias(t, p);
    struct kernel *k = NULL;

    s.y.dims[1] = p->count * p->whole;
    s.y.dims[2] = p->w.out[0];
    s.y.dims[3] = p->w.out[1];
    s.weights = weights;
    s.bias = bias;
    if (weights && bias && (k = kernel_conv(l->plan->engine, &s)) && kernel_is_slow(k)) {
        kernel_free(k);
        k = NULL;
    }
    free(weights);
    free(bias);
    return k;
}

void lower_conv_transpose(struct lowering *l, const struct node *n)
{
    const struct value *in[3];
    struct value *out[1];
    const struct call call = lower_call(l, n, in, out);
    struct conv_kernel *own = NULL;
    struct kernel *k = NULL;
    struct conv_transpose t;
    struct phases p;

    if (!lower_can_block(l, n->inputs[0]) || !lower_can_block(l, n->outputs[0]) ||
        conv_transpose_read(&call, &t, NULL) != ST_OK || t.groups != 1 || !is_common(&t.w) ||
        !t.weights->data || (t.bias && !t.bias->data)) {
        lower_reference(l, n);
        return;
    }
    p = plan_phases(&t, l->block);
    if (!(own = own_kernel(l, n, &t, &p)))
        k = onednn_kernel(l, n, &t, &p);
    if (own || k)
        add_steps(l, n, &p, own, k);
    else
        lower_reference(l, n);
}
