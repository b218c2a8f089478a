/*
 * Gather and GatherElements: elements by index along an axis. Negative indices count from the end;
 * indices that are known at load are checked there, others are clamped into the dimension.
 */
#include <string.h>
#include "inference/ops/op.h"

static size_t wrap(int64_t index, int64_t dim)
{
    index = index < 0 ? index + dim : index;
    return (size_t)(index < 0 ? 0 : index >= dim ? dim - 1 : index);
}

static enum status check_indices(const struct call *c, int axis, struct fault *f)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    const size_t n = value_elements(indices);

    if (indices->type != DTYPE_I64)
        return op_refuse(c, f, "the indices are not integers");
    if (n && x->dims[axis] == 0)
        return op_refuse(c, f, "dimension %d is empty", axis);
    for (size_t i = 0; indices->data && i < n; i++)
        if (value_i64(indices)[i] < -x->dims[axis] || value_i64(indices)[i] >= x->dims[axis])
            return op_refuse(c, f, "index %lld is outside dimension %d",
                             (long long)value_i64(indices)[i], axis);
    return ST_OK;
}

static enum status infer_gather(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    int64_t dims[LIMIT_TENSOR_RANK * 2];
    enum status st;
    int axis, rank = 0;

    if ((st = call_axis(c, node_int(c->node, "axis", 0), x->rank, &axis, f)) != ST_OK ||
        (st = check_indices(c, axis, f)) != ST_OK)
        return st;
    if (x->rank - 1 + indices->rank > LIMIT_TENSOR_RANK)
        return op_refuse(c, f, "the output's rank is over %d", LIMIT_TENSOR_RANK);
    for (int i = 0; i < axis; i++)
        dims[rank++] = x->dims[i];
    for (int i = 0; i < indices->rank; i++)
        dims[rank++] = indices->dims[i];
    for (int i = axis + 1; i < x->rank; i++)
        dims[rank++] = x->dims[i];
    call_set_shape(c, 0, x->type, rank, dims);
    return ST_OK;
}

static int axis_of(const struct call *c)
{
    const int64_t named = node_int(c->node, "axis", 0);

    return (int)(named < 0 ? named + c->in[0]->rank : named);
}

static void run_gather(const struct call *c)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    const int axis = axis_of(c);
    const size_t outer = value_span(x, 0, axis), n = value_elements(indices),
                 dim = (size_t)x->dims[axis];
    const size_t part = value_span(x, axis + 1, x->rank) * dtype_size(x->type);

    for (size_t o = 0; part && o < outer; o++)
        for (size_t i = 0; i < n; i++)
            memcpy((char *)c->out[0]->data + (o * n + i) * part,
                   (const char *)x->data + (o * dim + wrap(value_i64(indices)[i], x->dims[axis])) * part,
                   part);
}

static enum status infer_elements(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    enum status st;
    int axis;

    if (x->rank != indices->rank)
        return op_refuse(c, f, "indices of rank %d for data of rank %d", indices->rank, x->rank);
    if ((st = call_axis(c, node_int(c->node, "axis", 0), x->rank, &axis, f)) != ST_OK ||
        (st = check_indices(c, axis, f)) != ST_OK)
        return st;
    for (int i = 0; i < x->rank; i++)
        if (i != axis && indices->dims[i] > x->dims[i])
            return op_refuse(c, f, "dimension %d of the indices is larger than that of the data", i);
    call_set_shape(c, 0, x->type, indices->rank, indices->dims);
    return ST_OK;
}

static void run_elements(const struct call *c)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    const int axis = axis_of(c);
    const size_t size = dtype_size(x->type);
    struct walk w = { .rank = indices->rank, .dims = indices->dims };
    size_t at = 0;

    if (value_elements(indices) == 0)
        return;
    do {
        size_t from = 0;
        for (int i = 0; i < x->rank; i++) {
            const size_t k = i == axis ? wrap(value_i64(indices)[at], x->dims[i]) : (size_t)w.index[i];
            from = from * (size_t)x->dims[i] + k;
        }
        memcpy((char *)c->out[0]->data + at * size, (const char *)x->data + from * size, size);
        at++;
    } while (walk_step(&w));
}

const struct op ops_gather[] = {
    { .name = "Gather",
      .since = 1,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:axis",
      .infer = infer_gather,
      .reference = run_gather },
    { .name = "GatherElements",
      .since = 11,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:axis",
      .infer = infer_elements,
      .reference = run_elements },
    { 0 },
};
