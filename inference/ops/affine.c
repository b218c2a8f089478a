/*
 * Affine: y = act(x * scale + shift) with one scale and one shift a channel; with slopes, negative
 * results are multiplied by that of their channel (PRelu). Internal: passes make it of arithmetic and of
 * batch normalisation that no convolution takes in.
 *
 * Inputs: x [N, C, H, W], scale [C], shift [C], slopes [C] or none. Output like x. A fused activation
 * comes last.
 */
#include "inference/ops/conv.h"
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];

    if (x->type != DTYPE_F32 || x->rank != 4)
        return op_refuse(c, f, "the input must be float32 of rank 4");
    for (int i = 1; i < c->nin; i++)
        if (!c->in[i] || c->in[i]->type != DTYPE_F32 || c->in[i]->rank != 1 ||
            c->in[i]->dims[0] != x->dims[1])
            return op_refuse(c, f, "input %d has the wrong number of entries", i + 1);
    call_set_like(c, 0, x);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0], *slopes = call_in(c, 3);
    const size_t channels = (size_t)x->dims[1], plane = value_span(x, 2, 4);

    for (size_t i = 0; i < (size_t)x->dims[0] * channels; i++) {
        const size_t m = i % channels;
        const float scale = value_f32(c->in[1])[m], shift = value_f32(c->in[2])[m],
                    slope = slopes ? value_f32(slopes)[m] : 1;
        for (size_t k = i * plane; k < (i + 1) * plane; k++) {
            const float v = value_f32(x)[k] * scale + shift;
            value_f32(c->out[0])[k] = activation_apply(&c->node->fused, v < 0 ? v * slope : v);
        }
    }
}

const struct op ops_affine[] = {
    { .name = "Affine",
      .min_in = 3,
      .max_in = 4,
      .min_out = 1,
      .max_out = 1,
      .attributes = "",
      .infer = infer,
      .reference = reference,
      .lower = lower_affine,
      .internal = true },
    { 0 },
};
