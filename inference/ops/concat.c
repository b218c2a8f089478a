/*
 * Concat (ONNX, opsets 4 to 22): values of equal shape but along one axis, one after the other.
 */
#include <string.h>
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

static enum status infer(const struct call *c, struct fault *f)
{
    struct value y;
    enum status st;
    int axis;

    if (!c->in[0] || !node_attribute(c->node, "axis"))
        return op_refuse(c, f, "axis or input 1 is missing");
    y = *c->in[0];
    if ((st = call_axis(c, node_int(c->node, "axis", 0), y.rank, &axis, f)) != ST_OK)
        return st;
    for (int i = 1; i < c->nin; i++) {
        const struct value *x = c->in[i];
        if (!x || x->type != y.type || x->rank != y.rank)
            return op_refuse(c, f, "input %d is missing, or of another type or rank", i + 1);
        for (int d = 0; d < y.rank; d++)
            if (d != axis && x->dims[d] != y.dims[d])
                return op_refuse(c, f, "input %d differs in dimension %d", i + 1, d);
        y.dims[axis] += x->dims[axis];
    }
    call_set_like(c, 0, &y);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct value *out = c->out[0];
    const int64_t named = node_int(c->node, "axis", 0);
    const int axis = (int)(named < 0 ? named + out->rank : named);
    const size_t size = dtype_size(out->type), outer = value_span(out, 0, axis);
    const size_t row = value_span(out, axis, out->rank) * size;
    size_t at = 0;

    for (int i = 0; i < c->nin; i++) {
        const size_t part = value_span(c->in[i], axis, out->rank) * size;
        for (size_t o = 0; part && o < outer; o++)
            memcpy((char *)out->data + o * row + at, (const char *)c->in[i]->data + o * part, part);
        at += part;
    }
}

const struct op ops_concat[] = {
    { .name = "Concat",
      .since = 4,
      .min_in = 1,
      .max_in = OP_ANY,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:axis",
      .infer = infer,
      .reference = reference,
      .lower = lower_concat },
    { 0 },
};
