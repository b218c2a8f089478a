/*
 * Transpose (ONNX, opsets 1 to 22): dimensions permuted by perm, reversed without it.
 */
#include <string.h>
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

static void permutation(const struct call *c, int perm[LIMIT_TENSOR_RANK])
{
    const struct attribute *a = node_attribute(c->node, "perm");
    const int rank = c->in[0]->rank;

    for (int i = 0; i < rank; i++)
        perm[i] = a ? (int)(a->ints[i] < 0 ? a->ints[i] + rank : a->ints[i]) : rank - 1 - i;
}

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    const struct attribute *a = node_attribute(c->node, "perm");
    bool seen[LIMIT_TENSOR_RANK] = { false };
    int64_t dims[LIMIT_TENSOR_RANK];
    int perm[LIMIT_TENSOR_RANK], axis;
    enum status st;

    if (a && a->n != (size_t)x->rank)
        return op_refuse(c, f, "perm has %zu entries for rank %d", a->n, x->rank);
    for (int i = 0; a && i < x->rank; i++) {
        if ((st = call_axis(c, a->ints[i], x->rank, &axis, f)) != ST_OK)
            return st;
        if (seen[axis])
            return op_refuse(c, f, "perm names dimension %d twice", axis);
        seen[axis] = true;
    }
    permutation(c, perm);
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[perm[i]];
    call_set_shape(c, 0, x->type, x->rank, dims);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0];
    const size_t size = dtype_size(x->type);
    int64_t own[LIMIT_TENSOR_RANK] = { 0 }, strides[LIMIT_TENSOR_RANK], stride = 1;
    const int last = y->rank - 1;
    struct walk w = {
        .rank = last < 0 ? 0 : last, .noffsets = 1, .dims = y->dims, .strides = { strides }
    };
    int perm[LIMIT_TENSOR_RANK] = { 0 };
    char *to = y->data;

    if (value_elements(y) == 0)
        return;
    for (int i = last; i >= 0; i--) {
        own[i] = stride;
        stride *= x->dims[i];
    }
    permutation(c, perm);
    for (int i = 0; i <= last; i++)
        strides[i] = own[perm[i]];
    do {
        const char *from = (const char *)x->data + (size_t)w.offset[0] * size;
        const int64_t n = last < 0 ? 1 : y->dims[last], step = last < 0 ? 1 : strides[last];
        if (size == sizeof(float))
            for (int64_t i = 0; i < n; i++)
                ((float *)to)[i] = ((const float *)from)[i * step];
        else
            for (int64_t i = 0; i < n; i++)
                memcpy(to + (size_t)i * size, from + i * step * (int64_t)size, size);
        to += (size_t)n * size;
    } while (walk_step(&w));
}

const struct op ops_transpose[] = {
    { .name = "Transpose",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "I:perm",
      .infer = infer,
      .reference = reference,
      .lower = lower_transpose },
    { 0 },
};
