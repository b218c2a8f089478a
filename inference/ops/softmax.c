/*
 * Softmax and LogSoftmax. Since opset 13 the axis (default -1) acts alone; before, everything from the
 * axis (default 1) on is one vector.
 */
#include <math.h>
#include <string.h>
#include "inference/ops/softmax.h"
#include "inference/plan/lower.h"

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    enum status st;
    int axis;

    if (x->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    if ((st = call_axis(c, node_int(c->node, "axis", c->opset < 13 ? 1 : -1), x->rank, &axis, f)) !=
        ST_OK)
        return st;
    call_set_like(c, 0, x);
    return ST_OK;
}

struct softmax_shape softmax_shape(const struct node *n, int opset, const struct value *x)
{
    const int64_t named = node_int(n, "axis", opset < 13 ? 1 : -1);
    const int axis = (int)(named < 0 ? named + x->rank : named);

    return (struct softmax_shape){
        .outer = value_span(x, 0, axis),
        .n = value_span(x, axis, opset < 13 ? x->rank : axis + 1),
        .inner = opset < 13 ? 1 : value_span(x, axis + 1, x->rank),
    };
}

static void run(const struct call *c, bool logarithm)
{
    const struct softmax_shape s = softmax_shape(c->node, c->opset, c->in[0]);

    for (size_t o = 0; o < s.outer; o++)
        for (size_t k = 0; k < s.inner; k++) {
            const float *x = value_f32(c->in[0]) + o * s.n * s.inner + k;
            float *y = value_f32(c->out[0]) + o * s.n * s.inner + k;
            float most = -INFINITY, sum = 0;
            for (size_t i = 0; i < s.n; i++)
                most = fmaxf(most, x[i * s.inner]);
            for (size_t i = 0; i < s.n; i++)
                sum += y[i * s.inner] = expf(x[i * s.inner] - most);
            for (size_t i = 0; i < s.n; i++)
                y[i * s.inner] = logarithm ? x[i * s.inner] - most - logf(sum) : y[i * s.inner] / sum;
        }
}

static void run_softmax(const struct call *c)
{
    run(c, false);
}

static void run_log_softmax(const struct call *c)
{
    run(c, true);
}

const struct op ops_softmax[] = {
    { .name = "Softmax",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:axis",
      .infer = infer,
      .reference = run_softmax,
      .lower = lower_softmax },
    { .name = "LogSoftmax",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:axis",
      .infer = infer,
      .reference = run_log_softmax },
    { 0 },
};
