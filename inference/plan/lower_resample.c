/*
 * Resize of the planes of a blocked tensor, linear or nearest, to any size: each output pixel is made of
 * at most two rows and two columns, found when the plan is made.
 */
#include <string.h>
#include "inference/kernels/team.h"
#include "inference/ops/resize.h"
#include "inference/plan/lower.h"

enum { LANES = 8 }; /* blocks are multiples */

/* y = a + (b - a) * weight over the channels of a pixel; weights of 0 take a alone. */
static void mix(const float *a, const float *b, float weight, float *y, size_t block)
{
    const float rest = 1 - weight;

    for (size_t i = 0; i < block; i += LANES)
        for (size_t k = i; k < i + LANES; k++)
            y[k] = a[k] * rest + b[k] * weight;
}

/* One row of the output between two of the input. row: room for a row of the input. */
static void mix_row(const float *low, const float *high, const struct resize_tap *down,
                    const struct resize_tap *across, size_t in_w, size_t out_w, size_t block, float *row,
                    float *y)
{
    const float *from = low;

    if (down->weight != 0) {
        for (size_t i = 0; i < in_w; i++)
            mix(low + i * block, high + i * block, down->weight, row + i * block, block);
        from = row;
    }
    for (size_t i = 0; i < out_w; i++) {
        const struct resize_tap *t = &across[i];
        if (t->weight == 0)
            memcpy(y + i * block, from + (size_t)t->low * block, block * sizeof *y);
        else
            mix(from + (size_t)t->low * block, from + (size_t)t->high * block, t->weight, y + i * block,
                block);
    }
}

/* in: x [N, C/B, H, W, B], the taps of rows and of columns as bytes, room for a row of each thread. */
static void resample_part(const void *context, int part, int parts)
{
    const struct call *c = context;
    const struct value *x = c->in[0], *y = c->out[0], *room = c->in[3];
    const struct resize_tap *down = c->in[1]->data, *across = c->in[2]->data;
    const size_t planes = value_span(x, 0, 2), block = (size_t)x->dims[4];
    const size_t in_w = (size_t)x->dims[3], out_h = (size_t)y->dims[2], out_w = (size_t)y->dims[3];
    const size_t plane = value_span(x, 2, 5), rows = planes * out_h;
    const size_t first = rows * (size_t)part / (size_t)parts,
                 end = rows * (size_t)(part + 1) / (size_t)parts;
    float *row = value_f32(room) + (size_t)part * in_w * block;

    for (size_t i = first; i < end; i++) {
        const struct resize_tap *t = &down[i % out_h];
        const float *from = value_f32(x) + i / out_h * plane;
        mix_row(from + (size_t)t->low * in_w * block, from + (size_t)t->high * in_w * block, t, across,
                in_w, out_w, block, row, value_f32(y) + i * out_w * block);
    }
}

static void resample(const struct call *c)
{
    const int room = (int)c->in[3]->dims[0], team = team_size();

    team_run(team < room ? team : room, resample_part, c);
}

/* The taps of one axis as a constant. */
static int taps_slot(struct lowering *l, const struct call *call, int axis)
{
    const size_t n = (size_t)call->out[0]->dims[axis];
    struct resize_tap *taps = arena_array(l->graph->arena, n + 1, sizeof *taps);
    const struct value v = {
        .type = DTYPE_U8, .rank = 1, .dims = { (int64_t)(n * sizeof *taps) }, .data = taps
    };

    if (!taps)
        return GRAPH_NONE;
    resize_taps(call, axis, taps);
    return lower_slot(l, &v);
}

bool lower_resample(struct lowering *l, const struct node *n)
{
    const struct value *in[4];
    struct value *out[1];
    const struct call call = lower_call(l, n, in, out);
    const int threads = l->plan->threads;
    struct value room = { .type = DTYPE_F32, .rank = 3 };
    int slots[5];

    if (!lower_is_blocked(l, n->inputs[0]) || !lower_can_block(l, n->outputs[0]) ||
        !resize_is_of_planes(&call) || (slots[1] = taps_slot(l, &call, 2)) == GRAPH_NONE ||
        (slots[2] = taps_slot(l, &call, 3)) == GRAPH_NONE)
        return false;
    memcpy(room.dims, (const int64_t[]){ threads, in[0]->dims[3], l->block }, 3 * sizeof room.dims[0]);
    slots[0] = lower_blocked(l, n->inputs[0]);
    slots[3] = lower_slot(l, &room);
    slots[4] = lower_blocked_output(l, n->outputs[0]);
    lower_native(l, n, resample, 4, 1, slots);
    return true;
}
