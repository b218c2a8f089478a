/*
 * Conv and the pools. A convolution has up to three candidate layouts; the first for which oneDNN has a
 * fast kernel is taken: blocked to blocked   channels rounded up to whole blocks, the weights zero there
 * (a blocked input of few real channels would otherwise be taken for a network's first layer and fall to
 * slow reference code) row-major to blocked a first layer: fewer channels than a block row-major groups
 * that do not fill blocks, one spatial dimension
 */
#include <stdlib.h>
#include <string.h>
#include "inference/kernels/floats.h"
#include "inference/kernels/team.h"
#include "inference/ops/conv.h"
#include "inference/plan/lower.h"

/*
 * Weights [co, ci / groups, kH, kW] with room for more channels, the rest zero. Depthwise (co == ci ==
 * groups): only the groups grow. NULL: out of memory.
 */
static float *pad_weights(const struct conv *c, int64_t co, int64_t ci_of_group, bool depthwise)
{
    const size_t plane = (size_t)(c->w.kernel[0] * c->w.kernel[1]), have = (size_t)c->weights->dims[1];
    const size_t want = depthwise ? 1 : (size_t)ci_of_group;
    float *w = calloc((size_t)co * want * plane + 1, sizeof *w);

    for (size_t m = 0; w && m < (size_t)c->co; m++)
        memcpy(w + m * want * plane, value_f32(c->weights) + m * have * plane, have * plane * sizeof *w);
    return w;
}

static float *pad_bias(const struct conv *c, int64_t co)
{
    float *b = calloc((size_t)co + 1, sizeof *b);

    if (b && c->bias)
        memcpy(b, value_f32(c->bias), (size_t)c->co * sizeof *b);
    return b;
}

struct candidate {
    bool x_blocked, y_blocked;
};

static struct layout four_dims(struct layout l)
{
    if (l.rank == 3) { /* [N, C, W] */
        l.dims[3] = l.dims[2];
        l.dims[2] = 1;
        l.rank = 4;
    }
    return l;
}

static struct kernel *try_conv(struct lowering *l, const struct node *n, const struct conv *c,
                               struct candidate k)
{
    struct conv_spec s = { .x = four_dims(lower_layout(l, n->inputs[0], k.x_blocked)),
                           .y = four_dims(lower_layout(l, n->outputs[0], k.y_blocked)),
                           .w = c->w,
                           .groups = c->groups,
                           .fused = n->fused };
    const bool depthwise = c->groups > 1 && c->groups == c->ci && c->groups == c->co;
    struct kernel *kernel = NULL;
    float *weights, *bias;

    if (depthwise)
        s.groups = s.x.dims[1];
    weights = pad_weights(c, s.y.dims[1], s.x.dims[1] / s.groups, depthwise);
    bias = pad_bias(c, s.y.dims[1]);
    s.weights = weights;
    s.bias = c->bias ? bias : NULL;
    if (weights && bias)
        kernel = kernel_conv(l->plan->engine, &s);
    free(weights);
    free(bias);
    return kernel;
}

/* Which candidates make sense, best first; returns how many. */
static int candidates(const struct lowering *l, const struct node *n, const struct conv *c,
                      struct candidate ret[3])
{
    const bool depthwise = c->groups > 1 && c->groups == c->ci && c->groups == c->co;
    const bool fills = c->groups == 1 || depthwise ||
                       (c->ci / c->groups % l->block == 0 && c->co / c->groups % l->block == 0);
    int count = 0;

    if (lower_can_block(l, n->inputs[0]) && lower_can_block(l, n->outputs[0]) && fills) {
        const struct candidate blocked = { true, true }, first = { false, true };
        const bool few = c->ci < l->block && c->groups == 1 && !lower_is_blocked(l, n->inputs[0]);
        if (few)
            ret[count++] = first;
        ret[count++] = blocked;
    }
    ret[count++] = (struct candidate){ false, false };
    return count;
}

/* The first candidate with a fast kernel, else the first with any. */
static struct kernel *best_conv(struct lowering *l, const struct node *n, const struct conv *c,
                                struct candidate *ret)
{
    struct candidate all[3];
    struct kernel *slow = NULL, *k;
    const int count = candidates(l, n, c, all);

    for (int i = 0; i < count; i++) {
        if (!(k = try_conv(l, n, c, all[i])))
            continue;
        if (!kernel_is_slow(k)) {
            kernel_free(slow);
            *ret = all[i];
            return k;
        }
        if (slow) {
            kernel_free(k);
        } else {
            slow = k;
            *ret = all[i];
        }
    }
    return slow;
}

/*
 * Winograd's method computes whole tiles of 4x4, which should not be mostly beyond the edge, and its
 * transforms want channels to be worth their while: in 16 bits more than two blocks of 16 together. Then
 * it is 1.2 to 2.2 times as fast as direct convolution, on all layers of the YOLO family
 * (docs/decisions). A rule and not a measurement at load, so that a model gives the same numbers each
 * time.
 */
static bool winograd_pays(const struct conv_shape *s)
{
    const struct window *w = &s->w;
    const int64_t computed = (w->out[0] + 3) / 4 * 4 * ((w->out[1] + 3) / 4 * 4);

    return computed <= 2 * w->out[0] * w->out[1] && (s->x_type == DTYPE_F32 || s->ci + s->co >= 64);
}

/* A result is bytes when it is wanted so and what is added to it is. */
static bool writes_bytes(const struct lowering *l, const struct node *n)
{
    return lower_wants_bytes(l, n->outputs[0]) &&
           (!n->fused.residual || lower_wants_bytes(l, n->inputs[3]));
}

/* Our own kernels, for one group of channels or as many as channels; few that lie row-major are read so.
 */
static struct conv_kernel *own_conv(const struct lowering *l, const struct node *n, const struct conv *c)
{
    static const struct quanta floats = { 0 };
    const bool first = c->groups == 1 && c->ci < 16 && !lower_is_blocked(l, n->inputs[0]);
    const bool bytes = l->byte_convs[n - l->graph->nodes] && lower_wants_bytes(l, n->inputs[0]),
               bytes_out = writes_bytes(l, n);
    const struct conv_shape s = { .ci = c->ci,
                                  .co = c->co,
                                  .w = c->w,
                                  .fused = n->fused,
                                  .exact = l->exact,
                                  .x_type = first || bytes ? DTYPE_F32 : l->narrow_type,
                                  .y_type = bytes_out ? DTYPE_F32 : lower_float_type(l, n->outputs[0]),
                                  .x_bytes = bytes ? l->quanta[n->inputs[0]] : floats,
                                  .residual_bytes =
                                      bytes_out && n->fused.residual ? l->quanta[n->inputs[3]] : floats,
                                  .y_bytes = bytes_out ? l->quanta[n->outputs[0]] : floats };
    const bool depthwise = c->groups > 1 && c->groups == c->ci && c->groups == c->co;
    const enum conv_method m = depthwise ? CONV_DEPTHWISE
                               : first   ? CONV_FIRST
                               : bytes   ? CONV_DIRECT
                               : !l->exact && winograd_pays(&s) && conv_kernel_suits(&s, CONV_WINOGRAD)
                                   ? CONV_WINOGRAD
                                   : CONV_DIRECT;

    if (l->avoid_own || (c->groups != 1 && !depthwise) || !lower_can_block(l, n->inputs[0]) ||
        !lower_can_block(l, n->outputs[0]) || !conv_kernel_suits(&s, m))
        return NULL;
    return conv_kernel_create(&s, m, value_f32(c->weights), c->bias ? value_f32(c->bias) : NULL);
}

static void lower_own(struct lowering *l, const struct node *n, struct conv_kernel *k)
{
    const bool bytes_out = writes_bytes(l, n), narrow_out = l->wants_narrow[n->outputs[0]];
    int slots[3], at = 0;

    slots[at++] = conv_kernel_method(k) == CONV_FIRST ? lower_plain(l, n->inputs[0])
                  : conv_kernel_takes_bytes(k)        ? lower_bytes(l, n->inputs[0])
                  : l->narrow_type != DTYPE_F32       ? lower_narrow(l, n->inputs[0])
                                                      : lower_blocked(l, n->inputs[0]);
    if (n->fused.residual)
        slots[at++] = bytes_out    ? lower_bytes(l, n->inputs[3])
                      : narrow_out ? lower_narrow(l, n->inputs[3])
                                   : lower_blocked(l, n->inputs[3]);
    slots[at] = bytes_out    ? lower_bytes_output(l, n->outputs[0])
                : narrow_out ? lower_narrow_output(l, n->outputs[0])
                             : lower_blocked_output(l, n->outputs[0]);
    lower_own_conv(l, n, k, slots);
}

void lower_conv(struct lowering *l, const struct node *n)
{
    const struct value *in[4];
    struct value *out[1];
    const struct call call = lower_call(l, n, in, out);
    struct candidate chosen = { false, false };
    struct conv_kernel *own = NULL;
    struct kernel *k = NULL;
    struct conv c;
    int slots[3], at = 0;

    if (conv_read(&call, &c, NULL) == ST_OK && c.weights->data && (!c.bias || c.bias->data) &&
        value_elements(c.x) > 0) {
        if (!(own = own_conv(l, n, &c)))
            k = best_conv(l, n, &c, &chosen);
    }
    if (!own && !k) {
        lower_reference(l, n);
        return;
    }
    if (own) {
        lower_own(l, n, own);
        return;
    }
    slots[at++] = chosen.x_blocked ? lower_blocked(l, n->inputs[0]) : lower_plain(l, n->inputs[0]);
    if (n->fused.residual)
        slots[at++] = chosen.y_blocked ? lower_blocked(l, n->inputs[3]) : lower_plain(l, n->inputs[3]);
    slots[at] =
        chosen.y_blocked ? lower_blocked_output(l, n->outputs[0]) : lower_plain_output(l, n->outputs[0]);
    lower_kernel(l, n, k, slots);
}

static bool pool_kind_of(const struct node *n, const struct window *w, enum pool_kind *ret)
{
    const bool average = n->type[0] == 'A', padded = node_int(n, "count_include_pad", 0) != 0;

    *ret = !average ? POOL_MAX : padded ? POOL_AVERAGE_PADDED : POOL_AVERAGE;
    for (int i = 0; average && i < 2; i++)
        if ((w->out[i] - 1) * w->stride[i] + (w->kernel[i] - 1) * w->dilation[i] + 1 >
            w->in[i] + w->before[i] + w->after[i])
            return false; /* a window over the edge of the padding: only the reference counts it right */
    return true;
}

static void run_native_pool_part(const void *context, int part, int parts)
{
    const struct call *c = context;
    const struct value *x = c->in[0], *y = c->out[0];
    struct window w = { .in = { x->dims[2], x->dims[3] }, .out = { y->dims[2], y->dims[3] } };
    const int64_t *const kernel = node_attribute(c->node, "kernel_shape")->ints;
    const struct attribute *strides = node_attribute(c->node, "strides"),
                           *pads = node_attribute(c->node, "pads"),
                           *dilations = node_attribute(c->node, "dilations");
    char *from = x->data, *to = y->data;
    size_t first, last;

    for (int i = 0; i < 2; i++) {
        w.kernel[i] = kernel[i];
        w.stride[i] = strides ? strides->ints[i] : 1;
        w.dilation[i] = dilations ? dilations->ints[i] : 1;
        w.before[i] = pads ? pads->ints[i] : 0;
    }
    first = value_span(x, 0, 2) * (size_t)part / (size_t)parts;
    last = value_span(x, 0, 2) * ((size_t)part + 1) / (size_t)parts;
    from += first * value_span(x, 2, 5) * dtype_size(x->type);
    to += first * value_span(y, 2, 5) * dtype_size(y->type);
    if (x->type == DTYPE_U8)
        bytes_max_pool(&w, (const uint8_t *)from, (uint8_t *)to, last - first);
    else
        floats_max_pool(&w, from, to, last - first, x->type);
}

static void run_native_pool(const struct call *c)
{
    team_run(team_size(), run_native_pool_part, c);
}

/* MaxPool of bytes or 16-bit floats; automatic padding goes the other way. */
static bool lower_native_pool(struct lowering *l, const struct node *n)
{
    const bool bytes = lower_wants_bytes(l, n->outputs[0]);
    int slots[2];

    if (strcmp(n->type, "MaxPool") != 0 || !(bytes || lower_is_narrow(l, n->inputs[0])) ||
        strcmp(node_string(n, "auto_pad", "NOTSET"), "NOTSET") != 0)
        return false;
    slots[0] = bytes ? lower_bytes(l, n->inputs[0]) : lower_narrow(l, n->inputs[0]);
    slots[1] = bytes ? lower_bytes_output(l, n->outputs[0]) : lower_narrow_output(l, n->outputs[0]);
    lower_native(l, n, run_native_pool, 1, 1, slots);
    return true;
}

void lower_pool(struct lowering *l, const struct node *n)
{
    const struct value *in[1];
    struct value *out[1];
    const struct call call = lower_call(l, n, in, out);
    const bool blocked = lower_can_block(l, n->inputs[0]) && lower_can_block(l, n->outputs[0]) &&
                         (lower_is_blocked(l, n->inputs[0]) || in[0]->dims[1] >= l->block);
    const struct layout x = four_dims(lower_layout(l, n->inputs[0], blocked));
    const struct layout y = four_dims(lower_layout(l, n->outputs[0], blocked));
    struct kernel *k = NULL;
    enum pool_kind kind;
    struct window w;
    int slots[2];

    if (lower_native_pool(l, n))
        return;
    if (window_read(&call, NULL, true, &w, NULL) == ST_OK && pool_kind_of(n, &w, &kind) &&
        value_elements(in[0]) > 0)
        k = kernel_pool(l->plan->engine, kind, &x, &y, &w);
    if (!k) {
        lower_reference(l, n);
        return;
    }
    slots[0] = blocked ? lower_blocked(l, n->inputs[0]) : lower_plain(l, n->inputs[0]);
    slots[1] = blocked ? lower_blocked_output(l, n->outputs[0]) : lower_plain_output(l, n->outputs[0]);
    lower_kernel(l, n, k, slots);
}
