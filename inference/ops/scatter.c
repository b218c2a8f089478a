/*
 * Elements and slices by lists of coordinates: GatherND, ScatterND, ScatterElements, and NonZero, which
 * makes such lists. Negative indices count from the end; those that are known at load are checked there,
 * others are clamped into their dimension. Of coordinates that appear twice the last one wins, or all
 * are joined as `reduction` says.
 */
#include <string.h>
#include "inference/ops/op.h"

static size_t wrap(int64_t index, int64_t dim)
{
    index = index < 0 ? index + dim : index;
    return (size_t)(index < 0 ? 0 : index >= dim ? dim - 1 : index);
}

/* Coordinates of `depth` numbers into dims; refuses those outside where they are known. */
static enum status check_coordinates(const struct call *c, const struct value *indices, size_t depth,
                                     const int64_t dims[], struct fault *f)
{
    const size_t n = value_elements(indices);

    if (indices->type != DTYPE_I64)
        return op_refuse(c, f, "the indices are not integers");
    for (size_t k = 0; n && k < depth; k++)
        if (dims[k] == 0)
            return op_refuse(c, f, "an indexed dimension is empty");
    for (size_t i = 0; indices->data && i < n; i++) {
        const int64_t at = value_i64(indices)[i], dim = dims[i % depth];
        if (at < -dim || at >= dim)
            return op_refuse(c, f, "index %lld is outside a dimension of %lld", (long long)at,
                             (long long)dim);
    }
    return ST_OK;
}

/* The linear place of one coordinate. */
static size_t place(const int64_t *coordinate, size_t depth, const int64_t dims[])
{
    size_t at = 0;

    for (size_t k = 0; k < depth; k++)
        at = at * (size_t)dims[k] + wrap(coordinate[k], dims[k]);
    return at;
}

/* GatherND: x [batch.., dims.., slice..], indices [batch.., list.., depth]. */
static enum status infer_gather(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    const int64_t batch = node_int(c->node, "batch_dims", 0);
    int64_t dims[LIMIT_TENSOR_RANK * 2], depth;
    enum status st;
    int rank = 0;

    if (batch < 0 || batch >= x->rank || batch >= indices->rank)
        return op_refuse(c, f, "batch_dims %lld does not fit", (long long)batch);
    depth = indices->dims[indices->rank - 1];
    if (depth < 1 || depth > x->rank - batch)
        return op_refuse(c, f, "coordinates of %lld numbers for rank %d", (long long)depth, x->rank);
    for (int i = 0; i < batch; i++)
        if (x->dims[i] != indices->dims[i])
            return op_refuse(c, f, "batch dimension %d differs", i);
    if ((st = check_coordinates(c, indices, (size_t)depth, x->dims + batch, f)) != ST_OK)
        return st;
    for (int i = 0; i < indices->rank - 1; i++)
        dims[rank++] = indices->dims[i];
    for (int i = (int)(batch + depth); i < x->rank; i++)
        dims[rank++] = x->dims[i];
    if (rank > LIMIT_TENSOR_RANK)
        return op_refuse(c, f, "the output's rank is over %d", LIMIT_TENSOR_RANK);
    call_set_shape(c, 0, x->type, rank, dims);
    return ST_OK;
}

static void run_gather(const struct call *c)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    const int batch = (int)node_int(c->node, "batch_dims", 0);
    const size_t depth = (size_t)indices->dims[indices->rank - 1];
    const size_t outer = value_span(x, 0, batch), of = value_span(x, batch, batch + (int)depth);
    const size_t lists = value_span(indices, batch, indices->rank - 1);
    const size_t part = value_span(x, batch + (int)depth, x->rank) * dtype_size(x->type);

    for (size_t i = 0; part && i < outer * lists; i++) {
        const size_t at = place(value_i64(indices) + i * depth, depth, x->dims + batch);
        memcpy((char *)c->out[0]->data + i * part, (const char *)x->data + (i / lists * of + at) * part,
               part);
    }
}

enum join { JOIN_NONE, JOIN_ADD, JOIN_MUL, JOIN_MIN, JOIN_MAX };

/* false: the file names no way that is known. */
static bool read_join(const struct call *c, enum join *ret)
{
    static const char *const names[] = { "none", "add", "mul", "min", "max" };
    const char *named = node_string(c->node, "reduction", "none");

    for (int i = 0; i < 5; i++)
        if (strcmp(named, names[i]) == 0) {
            *ret = (enum join)i;
            return true;
        }
    return false;
}

static double joined(enum join how, double old, double new)
{
    switch (how) {
    case JOIN_ADD:
        return old + new;
    case JOIN_MUL:
        return old * new;
    case JOIN_MIN:
        return new < old ? new : old;
    default:
        return new > old ? new : old;
    }
}

static int64_t joined_integer(enum join how, int64_t old, int64_t new)
{
    switch (how) {
    case JOIN_ADD:
        return (int64_t)((uint64_t)old + (uint64_t) new);
    case JOIN_MUL:
        return (int64_t)((uint64_t)old * (uint64_t) new);
    case JOIN_MIN:
        return new < old ? new : old;
    default:
        return new > old ? new : old;
    }
}

/* n elements of `from` (at index i) into those of y (at index k). */
static void put(enum join how, const struct value *y, size_t k, const struct value *from, size_t i,
                size_t n)
{
    const size_t size = dtype_size(y->type);

    if (how == JOIN_NONE && n)
        memcpy((char *)y->data + k * size, (const char *)from->data + i * size, n * size);
    for (size_t e = 0; how != JOIN_NONE && e < n; e++)
        if (y->type == DTYPE_F32)
            value_f32(y)[k + e] =
                (float)joined(how, (double)value_f32(y)[k + e], (double)value_f32(from)[i + e]);
        else
            value_i64(y)[k + e] = joined_integer(how, value_i64(y)[k + e], value_i64(from)[i + e]);
}

static enum status check_join(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    enum join how;

    if (!read_join(c, &how))
        return op_unsupported(c, f, "this reduction");
    if (how != JOIN_NONE && x->type != DTYPE_F32 && x->type != DTYPE_I64)
        return op_unsupported(c, f, "a reduction of %s", dtype_name(x->type));
    if (c->in[2]->type != x->type)
        return op_refuse(c, f, "the updates are of another type");
    return ST_OK;
}

static enum status infer_scatter(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0], *indices = c->in[1], *updates = c->in[2];
    enum status st = check_join(c, f);
    int64_t depth;

    if (st != ST_OK)
        return st;
    if (indices->rank < 1 || (depth = indices->dims[indices->rank - 1]) < 1 || depth > x->rank ||
        updates->rank != indices->rank - 1 + x->rank - (int)depth)
        return op_refuse(c, f, "indices, updates and data do not fit");
    for (int i = 0; i < updates->rank; i++)
        if (updates->dims[i] !=
            (i < indices->rank - 1 ? indices->dims[i] : x->dims[i - indices->rank + 1 + (int)depth]))
            return op_refuse(c, f, "dimension %d of the updates does not fit", i);
    if ((st = check_coordinates(c, indices, (size_t)depth, x->dims, f)) != ST_OK)
        return st;
    call_set_like(c, 0, x);
    return ST_OK;
}

static void copy_data(const struct call *c)
{
    const size_t bytes = value_bytes(c->in[0]);

    if (bytes)
        memcpy(c->out[0]->data, c->in[0]->data, bytes);
}

static void run_scatter(const struct call *c)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    const size_t depth = (size_t)indices->dims[indices->rank - 1];
    const size_t lists = value_span(indices, 0, indices->rank - 1);
    const size_t part = value_span(x, (int)depth, x->rank);
    enum join how = JOIN_NONE;

    (void)read_join(c, &how);
    copy_data(c);
    for (size_t i = 0; i < lists; i++)
        put(how, c->out[0], place(value_i64(indices) + i * depth, depth, x->dims) * part, c->in[2],
            i * part, part);
}

static enum status infer_elements(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    enum status st = check_join(c, f);
    int axis;

    if (st != ST_OK || (st = call_axis(c, node_int(c->node, "axis", 0), x->rank, &axis, f)) != ST_OK)
        return st;
    if (x->rank != indices->rank || !value_same_shape(indices, c->in[2]))
        return op_refuse(c, f, "indices, updates and data do not fit");
    for (int i = 0; i < x->rank; i++)
        if (i != axis && indices->dims[i] > x->dims[i])
            return op_refuse(c, f, "dimension %d of the indices is larger than that of the data", i);
    if ((st = check_coordinates(c, indices, 1, x->dims + axis, f)) != ST_OK)
        return st;
    call_set_like(c, 0, x);
    return ST_OK;
}

static void run_elements(const struct call *c)
{
    const struct value *x = c->in[0], *indices = c->in[1];
    const int64_t named = node_int(c->node, "axis", 0);
    const int axis = (int)(named < 0 ? named + x->rank : named);
    struct walk w = { .rank = indices->rank, .dims = indices->dims };
    enum join how = JOIN_NONE;
    size_t i = 0;

    (void)read_join(c, &how);
    copy_data(c);
    if (value_elements(indices) == 0)
        return;
    do {
        size_t at = 0;
        for (int k = 0; k < x->rank; k++)
            at = at * (size_t)x->dims[k] +
                 (k == axis ? wrap(value_i64(indices)[i], x->dims[k]) : (size_t)w.index[k]);
        put(how, c->out[0], at, c->in[2], i, 1);
        i++;
    } while (walk_step(&w));
}

static bool is_nonzero(const struct value *x, size_t i)
{
    return x->type == DTYPE_F32 ? value_f32(x)[i] != 0 : value_get_i64(x, i) != 0;
}

static enum status infer_nonzero(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    const int64_t dims[2] = { x->rank, (int64_t)value_elements(x) };

    (void)f;
    call_set_shape(c, 0, DTYPE_I64, 2, dims);
    return ST_OK;
}

static void run_nonzero(const struct call *c)
{
    const struct value *x = c->in[0];
    struct walk w = { .rank = x->rank, .dims = x->dims };
    size_t n = 0, at = 0, i = 0;

    for (size_t k = 0; k < value_elements(x); k++)
        n += is_nonzero(x, k);
    c->out[0]->dims[1] = (int64_t)n;
    if (n == 0)
        return;
    do {
        if (is_nonzero(x, i++)) {
            for (size_t k = 0; k < (size_t)x->rank; k++)
                value_i64(c->out[0])[k * n + at] = w.index[k];
            at++;
        }
    } while (walk_step(&w));
}

#define ROW(title, first_opset, n_in, attrs, infer_with, run)                                           \
    {                                                                                                   \
        .name = title, .since = first_opset, .min_in = n_in, .max_in = n_in, .min_out = 1,              \
        .max_out = 1, .attributes = attrs, .infer = infer_with, .reference = run                        \
    }

const struct op ops_scatter[] = {
    ROW("GatherND", 11, 2, "i:batch_dims", infer_gather, run_gather),
    ROW("ScatterND", 11, 3, "s:reduction", infer_scatter, run_scatter),
    ROW("ScatterElements", 11, 3, "i:axis s:reduction", infer_elements, run_elements),
    ROW("Scatter", 9, 3, "i:axis", infer_elements, run_elements),
    { .name = "NonZero",
      .since = 9,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_nonzero,
      .reference = run_nonzero,
      .shrinks = true },
    { 0 },
};
