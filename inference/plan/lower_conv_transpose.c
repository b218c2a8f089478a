/*
 * ConvTranspose by convolution: outputs whose coordinates leave the same rest by the stride are one
 * ordinary convolution of the input each, with the taps that meet them. All of them together are one
 * convolution of stride 1 with stride * stride times the channels, whose maps are interleaved behind it.
 * In one dimension, with k the tap and o the output:
 *
 *   o + before = stride * q + r,   dilation * k = stride * t + r,   y[o] = sum of x[q - t] * w[k]
 *
 * Groups are filled up with zeros to one: few networks have them, and many zeros are still faster than
 * the reference, by which runs what neither our kernels nor oneDNN's take.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/kernels/team.h"
#include "inference/ops/conv_transpose.h"
#include "inference/plan/lower.h"

enum {
    STRIDE_MAX = 8,
    SPAN_MAX = 16,
    DENSE_MAX = 1 << 18, /* weights of a tap that groups may be filled up to with zeros */
    FEW = 4              /* channels that are not worth a block in every phase */
};

/* The convolution in front of the interleaving. */
struct phases {
    struct window w;
    int64_t co, whole; /* channels; phase p begins at channel p * whole: at a block, or, */
    bool few;          /* for few of them, anywhere: the output is row-major then */
    int64_t count;     /* stride * stride */
    int64_t channels;  /* of all phases, in whole blocks */
};

static struct phases plan_phases(const struct conv_transpose *t, int block)
{
    struct phases p = { .co = t->co, .few = t->co <= FEW, .count = 1 };

    p.whole = p.few ? t->co : (t->co + block - 1) / block * block;
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
    p.channels = (p.count * p.whole + block - 1) / block * block;
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

/* Of the group of input channel c. */
static size_t first_output(const struct conv_transpose *t, size_t c)
{
    return c / (size_t)(t->ci / t->groups) * (size_t)(t->co / t->groups);
}

/* [channels, ci, kernel], zero where no tap meets. NULL: out of memory or too large. */
static float *phase_weights(const struct conv_transpose *t, const struct phases *p, int64_t ci)
{
    const struct window *w = &t->w;
    const size_t kh = (size_t)p->w.kernel[0], kw = (size_t)p->w.kernel[1];
    const size_t channels = (size_t)p->channels;
    const float *from = value_f32(t->weights);
    size_t n;
    float *y;

    if (!size_mul(channels, (size_t)ci, &n) || !size_mul(n, kh * kw, &n) || n > LIMIT_TENSOR_ELEMENTS ||
        !(y = calloc(n + 1, sizeof *y)))
        return NULL;
    for (size_t c = 0; c < (size_t)t->ci; c++)
        for (size_t m = first_output(t, c); m < first_output(t, c) + (size_t)(t->co / t->groups); m++)
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
    float *b = calloc((size_t)p->channels + 1, sizeof *b);

    for (int64_t i = 0; b && t->bias && i < p->count; i++)
        memcpy(b + i * p->whole, value_f32(t->bias), (size_t)t->co * sizeof *b);
    return b;
}

/* How the maps are laid apart. */
struct spread {
    const struct call *c;
    size_t down, across, top, left;
};

static struct spread read_spread(const struct call *c)
{
    const struct attribute *strides = node_attribute(c->node, "strides"),
                           *pads = node_attribute(c->node, "pads");

    return (struct spread){ .c = c,
                            .down = strides && strides->n ? (size_t)strides->ints[0] : 1,
                            .across = strides && strides->n ? (size_t)strides->ints[1] : 1,
                            .top = pads && pads->n ? (size_t)pads->ints[0] : 0,
                            .left = pads && pads->n ? (size_t)pads->ints[1] : 0 };
}

/* n pixels to places that lie `gap` pixels apart. Known sizes become moves of vectors. */
static void spread_pixels(char *to, const char *from, size_t n, size_t gap, size_t pixel)
{
    if (pixel == 64)
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * gap * 64, from + i * 64, 64);
    else if (pixel == 32)
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * gap * 32, from + i * 32, 32);
    else
        for (size_t i = 0; i < n; i++)
            memcpy(to + i * gap * pixel, from + i * pixel, pixel);
}

/* in: [N, phases * blocks, Q, R, B]; out: [N, blocks, H, W, B], some of its rows. */
static void interleave_part(const void *context, int part, int parts)
{
    const struct spread *s = context;
    const struct value *x = s->c->in[0], *y = s->c->out[0];
    const size_t blocks = (size_t)y->dims[1], h = (size_t)y->dims[2], w = (size_t)y->dims[3];
    const size_t q = (size_t)x->dims[2], r = (size_t)x->dims[3];
    const size_t pixel = (size_t)x->dims[4] * dtype_size(x->type);
    const size_t rows = (size_t)y->dims[0] * blocks * h,
                 last = rows * ((size_t)part + 1) / (size_t)parts;

    for (size_t row = rows * (size_t)part / (size_t)parts; row < last; row++) {
        const size_t n = row / (blocks * h), b = row / h % blocks, at = row % h + s->top;
        char *to = (char *)y->data + row * w * pixel;
        for (size_t rest = 0; rest < s->across; rest++) {
            const size_t phase = at % s->down * s->across + rest;
            const size_t map = (n * s->down * s->across + phase) * blocks + b;
            const char *from = (const char *)x->data + (map * q + at / s->down) * r * pixel;
            const size_t i = (rest + s->across - s->left % s->across) % s->across;
            if (i < w)
                spread_pixels(to + i * pixel, from + (i + s->left) / s->across * pixel,
                              (w - i + s->across - 1) / s->across, s->across, pixel);
        }
    }
}

static void interleave(const struct call *c)
{
    const struct spread s = read_spread(c);

    team_run(team_size(), interleave_part, &s);
}

/* in: [N, blocks, Q, R, B] with the phases' channels one after the other; out: [N, co, H, W]. */
static void interleave_few_part(const void *context, int part, int parts)
{
    const struct spread *s = context;
    const struct value *x = s->c->in[0], *y = s->c->out[0];
    const size_t co = (size_t)y->dims[1], h = (size_t)y->dims[2], w = (size_t)y->dims[3];
    const size_t q = (size_t)x->dims[2], r = (size_t)x->dims[3], lanes = (size_t)x->dims[4];
    const size_t rows = (size_t)y->dims[0] * co * h, last = rows * ((size_t)part + 1) / (size_t)parts;

    for (size_t row = rows * (size_t)part / (size_t)parts; row < last; row++) {
        const size_t n = row / (co * h), m = row / h % co, at = row % h + s->top;
        float *to = value_f32(y) + row * w;
        for (size_t rest = 0; rest < s->across; rest++) {
            const size_t channel = (at % s->down * s->across + rest) * co + m;
            const size_t map = n * (size_t)x->dims[1] + channel / lanes;
            const float *from = value_f32(x) + (map * q + at / s->down) * r * lanes + channel % lanes;
            for (size_t i = (rest + s->across - s->left % s->across) % s->across; i < w; i += s->across)
                to[i] = from[(i + s->left) / s->across * lanes];
        }
    }
}

static void interleave_few(const struct call *c)
{
    const struct spread s = read_spread(c);

    team_run(team_size(), interleave_few_part, &s);
}

/* Steps: the convolution into memory of its own, then the interleaving. */
static void add_steps(struct lowering *l, const struct node *n, const struct phases *p,
                      struct conv_kernel *own, struct kernel *k)
{
    const bool narrow_out = own && !p->few && l->wants_narrow[n->outputs[0]];
    const struct value maps = { .type = narrow_out ? l->narrow_type : DTYPE_F32,
                                .rank = 5,
                                .dims = { lower_value(l, n->inputs[0])->dims[0], p->channels / l->block,
                                          p->w.out[0], p->w.out[1], l->block } };
    int slots[2];

    slots[0] = own && l->narrow_type != DTYPE_F32 ? lower_narrow(l, n->inputs[0])
                                                  : lower_blocked(l, n->inputs[0]);
    slots[1] = lower_slot(l, &maps);
    if (own)
        lower_own_conv(l, n, own, slots);
    else
        lower_kernel(l, n, k, slots);
    slots[0] = slots[1];
    slots[1] = p->few       ? lower_plain_output(l, n->outputs[0])
               : narrow_out ? lower_narrow_output(l, n->outputs[0])
                            : lower_blocked_output(l, n->outputs[0]);
    lower_native(l, n, p->few ? interleave_few : interleave, 1, 1, slots);
}

static struct conv_kernel *own_kernel(const struct lowering *l, const struct node *n,
                                      const struct conv_transpose *t, const struct phases *p)
{
    const struct conv_shape s = { .ci = t->ci,
                                  .co = p->channels,
                                  .w = p->w,
                                  .fused = n->fused,
                                  .exact = l->exact,
                                  .x_type = l->narrow_type,
                                  .y_type = p->few ? DTYPE_F32 : lower_float_type(l, n->outputs[0]) };
    struct conv_kernel *k = NULL;
    float *weights, *bias;

    if (l->avoid_own || l->block != 16 || !conv_kernel_suits(&s, CONV_DIRECT))
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

    s.y.dims[1] = p->channels;
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
        conv_transpose_read(&call, &t, NULL) != ST_OK ||
        t.ci * t.co > (t.groups > 1 ? DENSE_MAX : INT64_MAX) || !is_common(&t.w) || !t.weights->data ||
        (t.bias && !t.bias->data)) {
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
