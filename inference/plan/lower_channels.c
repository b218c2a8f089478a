/*
 * What treats each channel of a blocked tensor as one: the mean of its plane, and arithmetic with one
 * number a channel. The gates of squeeze-and-excitation are made of both.
 */
#include <string.h>
#include "inference/plan/lower.h"

enum { LANES = 8, RUN = 64 }; /* blocks are multiples of LANES; pixels summed in float at a time */

/* LANES channels, `block` floats from pixel to pixel. */
static void mean_of_lanes(const float *x, size_t block, size_t plane, float *mean)
{
    double sum[LANES] = { 0 };

    for (size_t i = 0; i < plane; i += RUN) {
        const size_t end = plane - i < RUN ? plane : i + RUN;
        float part[LANES] = { 0 };
        for (size_t p = i; p < end; p++)
            for (size_t k = 0; k < LANES; k++)
                part[k] += x[p * block + k];
        for (size_t k = 0; k < LANES; k++)
            sum[k] += (double)part[k];
    }
    for (size_t k = 0; k < LANES; k++)
        mean[k] = (float)(sum[k] / (double)plane);
}

/* x [N, C/B, H, W, B]; y the same with planes of one pixel. */
static void mean_of_planes(const struct call *c)
{
    const struct value *x = c->in[0];
    const size_t plane = value_span(x, 2, 4), block = (size_t)x->dims[4];
    const float *from = value_f32(x);
    float *to = value_f32(c->out[0]);

    for (size_t i = 0; i < value_span(x, 0, 2); i++, from += plane * block, to += block)
        for (size_t k = 0; k < block; k += LANES)
            mean_of_lanes(from + k, block, plane, to + k);
}

void lower_global_average(struct lowering *l, const struct node *n)
{
    int slots[2];

    if (!lower_is_blocked(l, n->inputs[0]) || !lower_can_block(l, n->outputs[0])) {
        lower_reference(l, n);
        return;
    }
    slots[0] = lower_blocked(l, n->inputs[0]);
    slots[1] = lower_blocked_output(l, n->outputs[0]);
    lower_native(l, n, mean_of_planes, 1, 1, slots);
}

void lower_reduce_mean(struct lowering *l, const struct node *n)
{
    const struct value *in[2], *x = lower_value(l, n->inputs[0]);
    struct value *out[1];
    const struct call call = lower_call(l, n, in, out);
    struct int_list axes;
    bool planes = x->rank == 4 && node_int(n, "keepdims", 1) != 0 &&
                  call_list(&call, "axes", 1, &axes, NULL) == ST_OK && axes.n == 2;
    int seen = 0;

    for (int i = 0; planes && i < 2; i++) {
        const int64_t axis = axes.v[i] < 0 ? axes.v[i] + 4 : axes.v[i];
        planes = axis == 2 || axis == 3;
        seen |= planes ? 1 << axis : 0;
    }
    if (planes && seen == (1 << 2 | 1 << 3))
        lower_global_average(l, n);
    else
        lower_reference(l, n);
}

/* One number a channel, or one for all, seen from a tensor [N, C, H, W]. */
static bool is_per_channel(const struct value *v, const struct value *x)
{
    const int channel = v->rank - 3;

    for (int i = 0; i < v->rank; i++)
        if (v->dims[i] != 1 && (i != channel || v->dims[i] != x->dims[1]))
            return false;
    return v->type == DTYPE_F32 && v->rank <= 4;
}

/* A constant of that kind in blocks [1, C/B, 1, 1, B]; 1 in channels that fill a block: Div may follow.
 */
static int blocked_constant(struct lowering *l, const struct value *v, const struct layout *b)
{
    const size_t n = value_elements(v), whole = (size_t)b->dims[1];
    struct value y = { .type = DTYPE_F32,
                       .rank = 5,
                       .dims = { 1, b->dims[1] / b->block, 1, 1, b->block } };
    float *data = arena_array(l->graph->arena, whole + 16, sizeof *data);

    if (!data)
        return GRAPH_NONE;
    for (size_t i = 0; i < whole; i++)
        data[i] = n == 1 ? value_f32(v)[0] : i < n ? value_f32(v)[i] : 1;
    y.data = data;
    return lower_slot(l, &y);
}

bool lower_binary_channels(struct lowering *l, const struct node *n, enum binary kind)
{
    const bool turns = kind == BINARY_ADD || kind == BINARY_MUL;
    const int at = turns && !lower_is_blocked(l, n->inputs[0]) ? 1 : 0;
    const int a = n->inputs[at], b = n->inputs[1 - at];
    const struct value *va = lower_value(l, a), *vb = lower_value(l, b);
    struct layout la, lb = { .rank = 4, .block = l->block };
    struct kernel *k;
    int slots[3];

    if (!lower_is_blocked(l, a) || !lower_can_block(l, a) || va->dims[0] != 1 ||
        !value_same_shape(va, lower_value(l, n->outputs[0])) || !is_per_channel(vb, va) ||
        (!vb->data && (vb->rank != 4 || vb->dims[1] != va->dims[1] || kind == BINARY_DIV)))
        return false;
    la = lower_layout(l, a, true);
    memcpy(lb.dims, (const int64_t[]){ 1, la.dims[1], 1, 1 }, 4 * sizeof lb.dims[0]);
    if (!(k = kernel_binary(l->plan->engine, kind, &la, &lb)) || kernel_is_slow(k)) {
        kernel_free(k);
        return false;
    }
    slots[1] = vb->data ? blocked_constant(l, vb, &lb) : lower_blocked(l, b);
    if (slots[1] == GRAPH_NONE) {
        kernel_free(k);
        return false;
    }
    slots[0] = lower_blocked(l, a);
    slots[2] = lower_blocked_output(l, n->outputs[0]);
    lower_kernel(l, n, k, slots);
    return true;
}
