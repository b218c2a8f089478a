/*
 * BatchNormalization at inference: y = (x - mean) / sqrt(var + epsilon) * scale + bias, per channel. A
 * pass folds it into the convolution before it where there is one.
 */
#include <math.h>
#include "inference/ops/op.h"

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];

    if (x->type != DTYPE_F32 || x->rank < 2)
        return op_refuse(c, f, "the input must be float32 of rank 2 or more");
    if (node_int(c->node, "training_mode", 0) || (c->nout > 1 && c->out[1]))
        return op_unsupported(c, f, "training mode");
    for (int i = 1; i < 5; i++)
        if (c->in[i]->type != DTYPE_F32 || c->in[i]->rank != 1 || c->in[i]->dims[0] != x->dims[1])
            return op_refuse(c, f, "input %d does not have one entry for each of %lld channels", i + 1,
                             (long long)x->dims[1]);
    call_set_like(c, 0, x);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0];
    const float epsilon = node_float(c->node, "epsilon", 1e-5f);
    const size_t channels = (size_t)x->dims[1], plane = value_span(x, 2, x->rank);

    for (size_t n = 0; n < (size_t)x->dims[0]; n++)
        for (size_t m = 0; m < channels; m++) {
            const float scale = value_f32(c->in[1])[m] / sqrtf(value_f32(c->in[4])[m] + epsilon);
            const float *from = value_f32(x) + (n * channels + m) * plane;
            float *to = value_f32(c->out[0]) + (n * channels + m) * plane;
            for (size_t i = 0; i < plane; i++)
                to[i] = (from[i] - value_f32(c->in[3])[m]) * scale + value_f32(c->in[2])[m];
        }
}

const struct op ops_norm[] = {
    { .name = "BatchNormalization",
      .since = 7,
      .min_in = 5,
      .max_in = 5,
      .min_out = 1,
      .max_out = 5,
      .attributes = "f:epsilon f:momentum i:training_mode",
      .infer = infer,
      .reference = reference },
    { 0 },
};
