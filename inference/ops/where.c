/*
 * Where: elements of the second or third input, by a bool condition; all three broadcast.
 */
#include <string.h>
#include "inference/ops/op.h"

static enum status infer(const struct call *c, struct fault *f)
{
    struct value y = { 0 };

    if (c->in[0]->type != DTYPE_BOOL || c->in[1]->type != c->in[2]->type)
        return op_refuse(c, f, "the condition must be bool and both choices of one type");
    if (!shape_broadcast(c->in[1], c->in[2], &y) || !shape_broadcast(c->in[0], &y, &y))
        return op_refuse(c, f, "the shapes do not broadcast");
    call_set_shape(c, 0, c->in[1]->type, y.rank, y.dims);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct value *y = c->out[0];
    const size_t size = dtype_size(y->type);
    int64_t strides[3][LIMIT_TENSOR_RANK];
    struct walk w = { .rank = y->rank,
                      .noffsets = 3,
                      .dims = y->dims,
                      .strides = { strides[0], strides[1], strides[2] } };
    char *to = y->data;

    if (value_elements(y) == 0)
        return;
    for (int i = 0; i < 3; i++)
        broadcast_strides(c->in[i], y, strides[i]);
    do {
        const int pick = value_u8(c->in[0])[w.offset[0]] ? 1 : 2;
        memcpy(to, (const char *)c->in[pick]->data + (size_t)w.offset[pick] * size, size);
        to += size;
    } while (walk_step(&w));
}

const struct op ops_where[] = {
    { .name = "Where",
      .since = 9,
      .min_in = 3,
      .max_in = 3,
      .min_out = 1,
      .max_out = 1,
      .infer = infer,
      .reference = reference },
    { 0 },
};
