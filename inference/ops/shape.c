/*
 * Operators that leave the elements and their order alone: Reshape, Flatten, Squeeze, Unsqueeze,
 * Identity, Dropout; those that make values from shapes: Shape, Size, ConstantOfShape, Range, Constant;
 * and Expand, Tile.
 */
#include <math.h>
#include <string.h>
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

static void copy_elements(const struct call *c)
{
    const size_t bytes = value_bytes(c->in[0]);

    if (bytes && c->out[0])
        memcpy(c->out[0]->data, c->in[0]->data, bytes);
}

static enum status infer_same(const struct call *c, struct fault *f)
{
    if (c->nout > 1 && c->out[1])
        return op_unsupported(c, f, "the mask output");
    call_set_like(c, 0, c->in[0]);
    return ST_OK;
}

static enum status infer_reshape(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    struct value y = { .type = x->type };
    struct int_list shape;
    enum status st = call_list(c, "shape", 1, &shape, f);
    size_t known = 1, count;
    int open = -1;

    if (st != ST_OK)
        return st;
    if (shape.n < 0 || shape.n > LIMIT_TENSOR_RANK)
        return op_refuse(c, f, "the new shape is missing or of too high a rank");
    y.rank = shape.n;
    for (int i = 0; i < shape.n; i++) {
        y.dims[i] = shape.v[i];
        if (shape.v[i] == 0 && !node_int(c->node, "allowzero", 0) && i < x->rank)
            y.dims[i] = x->dims[i];
        if (y.dims[i] == -1 && open < 0)
            open = i;
        else if (y.dims[i] < 0 || !size_mul(known, (size_t)y.dims[i], &known))
            return op_refuse(c, f, "the new shape is not valid");
    }
    if (open >= 0)
        y.dims[open] = known ? (int64_t)(value_elements(x) / known) : 0;
    if (!value_count(&y, &count) || count != value_elements(x))
        return op_refuse(c, f, "%zu elements do not fit the new shape", value_elements(x));
    call_set_like(c, 0, &y);
    return ST_OK;
}

static enum status infer_flatten(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    int64_t axis = node_int(c->node, "axis", 1), dims[2];

    if (axis < -x->rank || axis > x->rank)
        return op_refuse(c, f, "axis %lld is outside a tensor of rank %d", (long long)axis, x->rank);
    axis = axis < 0 ? axis + x->rank : axis;
    dims[0] = (int64_t)value_span(x, 0, (int)axis);
    dims[1] = (int64_t)value_span(x, (int)axis, x->rank);
    call_set_shape(c, 0, x->type, 2, dims);
    return ST_OK;
}

/* Marks the axes of a list over `rank` dims; refuses repeats. */
static enum status mark_axes(const struct call *c, const struct int_list *axes, int rank, bool marked[],
                             struct fault *f)
{
    enum status st;
    int axis;

    for (int i = 0; i < axes->n; i++) {
        if ((st = call_axis(c, axes->v[i], rank, &axis, f)) != ST_OK)
            return st;
        if (marked[axis])
            return op_refuse(c, f, "axis %d appears twice", axis);
        marked[axis] = true;
    }
    return ST_OK;
}

static enum status infer_squeeze(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    bool drop[LIMIT_TENSOR_RANK] = { false };
    int64_t dims[LIMIT_TENSOR_RANK];
    struct int_list axes;
    enum status st;
    int rank = 0;

    if ((st = call_list(c, "axes", 1, &axes, f)) != ST_OK ||
        (st = mark_axes(c, &axes, x->rank, drop, f)) != ST_OK)
        return st;
    for (int i = 0; i < x->rank; i++) {
        if (drop[i] && x->dims[i] != 1)
            return op_refuse(c, f, "dimension %d is %lld, not 1", i, (long long)x->dims[i]);
        if (!(drop[i] || (axes.n < 0 && x->dims[i] == 1)))
            dims[rank++] = x->dims[i];
    }
    call_set_shape(c, 0, x->type, rank, dims);
    return ST_OK;
}

static enum status infer_unsqueeze(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    bool added[LIMIT_TENSOR_RANK] = { false };
    int64_t dims[LIMIT_TENSOR_RANK];
    struct int_list axes;
    enum status st = call_list(c, "axes", 1, &axes, f);
    int rank;

    if (st != ST_OK)
        return st;
    if (axes.n < 0 || (rank = x->rank + axes.n) > LIMIT_TENSOR_RANK)
        return op_refuse(c, f, "axes are missing, or too many");
    if ((st = mark_axes(c, &axes, rank, added, f)) != ST_OK)
        return st;
    for (int i = 0, from = 0; i < rank; i++)
        dims[i] = added[i] ? 1 : x->dims[from++];
    call_set_shape(c, 0, x->type, rank, dims);
    return ST_OK;
}

/* Shape has start and end since opset 15. */
static void shape_range(const struct call *c, int64_t *ret_start, int64_t *ret_end)
{
    const int64_t rank = c->in[0]->rank;
    int64_t start = node_int(c->node, "start", 0), end = node_int(c->node, "end", rank);

    start = start < 0 ? (start < -rank ? 0 : start + rank) : start > rank ? rank : start;
    end = end < 0 ? (end < -rank ? 0 : end + rank) : end > rank ? rank : end;
    *ret_start = start;
    *ret_end = end < start ? start : end;
}

static enum status infer_shape(const struct call *c, struct fault *f)
{
    int64_t start, end, n;

    (void)f;
    shape_range(c, &start, &end);
    n = end - start;
    call_set_shape(c, 0, DTYPE_I64, 1, &n);
    return ST_OK;
}

static void run_shape(const struct call *c)
{
    int64_t start, end;

    shape_range(c, &start, &end);
    for (int64_t i = start; i < end; i++)
        value_i64(c->out[0])[i - start] = c->in[0]->dims[i];
}

static enum status infer_size(const struct call *c, struct fault *f)
{
    (void)f;
    call_set_shape(c, 0, DTYPE_I64, 0, NULL);
    return ST_OK;
}

static void run_size(const struct call *c)
{
    value_i64(c->out[0])[0] = (int64_t)value_elements(c->in[0]);
}

static enum status infer_filled(const struct call *c, struct fault *f)
{
    const struct attribute *a = node_attribute(c->node, "value");
    struct int_list shape;
    enum status st = call_list(c, NULL, 0, &shape, f);

    if (st != ST_OK)
        return st;
    if (shape.n < 0 || shape.n > LIMIT_TENSOR_RANK || (a && value_elements(&a->tensor) != 1))
        return op_refuse(c, f, "the shape's rank is too high, or the value is not one element");
    call_set_shape(c, 0, a ? a->tensor.type : DTYPE_F32, shape.n, shape.v);
    return ST_OK;
}

static void run_filled(const struct call *c)
{
    const struct attribute *a = node_attribute(c->node, "value");
    const size_t size = dtype_size(c->out[0]->type);
    const uint64_t zero = 0;

    for (size_t i = 0; i < value_elements(c->out[0]); i++)
        memcpy((char *)c->out[0]->data + i * size, a ? a->tensor.data : &zero, size);
}

/* Constant's value attributes: a tensor, or numbers and lists of numbers. */
static const struct attribute *constant_of(const struct call *c)
{
    static const char *const names[] = { "value", "value_int", "value_ints", "value_float",
                                         "value_floats" };
    const struct attribute *a = NULL;

    for (size_t i = 0; !a && i < sizeof names / sizeof names[0]; i++)
        a = node_attribute(c->node, names[i]);
    return a;
}

static enum status infer_constant(const struct call *c, struct fault *f)
{
    const struct attribute *a = constant_of(c);
    const bool list = a && (a->kind == ATTRIBUTE_INTS || a->kind == ATTRIBUTE_FLOATS);
    const bool real = a && (a->kind == ATTRIBUTE_FLOAT || a->kind == ATTRIBUTE_FLOATS);
    const int64_t n = a ? (int64_t)a->n : 0;

    if (!a)
        return op_unsupported(c, f, "a value that is not numeric");
    if (a->kind == ATTRIBUTE_TENSOR)
        call_set_like(c, 0, &a->tensor);
    else
        call_set_shape(c, 0, real ? DTYPE_F32 : DTYPE_I64, list, &n);
    return ST_OK;
}

static void run_constant(const struct call *c)
{
    const struct attribute *a = constant_of(c);
    const size_t bytes = value_bytes(c->out[0]);
    const void *from = a->kind == ATTRIBUTE_TENSOR  ? a->tensor.data
                       : a->kind == ATTRIBUTE_INT   ? (const void *)&a->i
                       : a->kind == ATTRIBUTE_INTS  ? (const void *)a->ints
                       : a->kind == ATTRIBUTE_FLOAT ? (const void *)&a->f
                                                    : (const void *)a->floats;

    if (bytes)
        memcpy(c->out[0]->data, from, bytes);
}

static enum status infer_range(const struct call *c, struct fault *f)
{
    double v[3], count;
    int64_t n;

    for (int i = 0; i < 3; i++) {
        if (c->in[i]->type != c->in[0]->type || value_elements(c->in[i]) != 1 ||
            c->in[i]->type > DTYPE_I64)
            return op_refuse(c, f, "start, limit and delta must be scalars of one type");
        if (!c->in[i]->data)
            return op_unsupported(c, f, "a range that depends on the picture");
        v[i] = value_get_f64(c->in[i], 0);
    }
    count = ceil((v[1] - v[0]) / v[2]);
    if (!(fabs(count) <= (double)LIMIT_TENSOR_ELEMENTS))
        return op_refuse(c, f, "a range that does not end");
    n = count > 0 ? (int64_t)count : 0;
    call_set_shape(c, 0, c->in[0]->type, 1, &n);
    return ST_OK;
}

static void run_range(const struct call *c)
{
    for (int64_t i = 0; i < c->out[0]->dims[0]; i++)
        if (c->out[0]->type == DTYPE_F32)
            value_f32(c->out[0])[i] = value_f32(c->in[0])[0] + (float)i * value_f32(c->in[2])[0];
        else
            value_i64(c->out[0])[i] = (int64_t)((uint64_t)value_i64(c->in[0])[0] +
                                                (uint64_t)i * (uint64_t)value_i64(c->in[2])[0]);
}

/* Expand: the wanted shape is an operand of a broadcast. */
static enum status infer_expand(const struct call *c, struct fault *f)
{
    struct value y = { 0 };
    struct int_list shape;
    enum status st = call_list(c, NULL, 1, &shape, f);

    if (st != ST_OK)
        return st;
    if (shape.n < 0 || shape.n > LIMIT_TENSOR_RANK)
        return op_refuse(c, f, "the shape's rank is too high");
    y.rank = shape.n;
    memcpy(y.dims, shape.v, (size_t)shape.n * sizeof y.dims[0]);
    if (!shape_broadcast(c->in[0], &y, &y))
        return op_refuse(c, f, "the input does not broadcast to the shape");
    call_set_shape(c, 0, c->in[0]->type, y.rank, y.dims);
    return ST_OK;
}

static void run_expand(const struct call *c)
{
    const size_t size = dtype_size(c->in[0]->type);
    int64_t strides[LIMIT_TENSOR_RANK];
    struct walk w = {
        .rank = c->out[0]->rank, .noffsets = 1, .dims = c->out[0]->dims, .strides = { strides }
    };
    char *to = c->out[0]->data;

    if (value_elements(c->out[0]) == 0)
        return;
    broadcast_strides(c->in[0], c->out[0], strides);
    do {
        memcpy(to, (const char *)c->in[0]->data + (size_t)w.offset[0] * size, size);
        to += size;
    } while (walk_step(&w));
}

static enum status infer_tile(const struct call *c, struct fault *f)
{
    struct value y = *c->in[0];
    struct int_list repeats;
    enum status st = call_list(c, NULL, 1, &repeats, f);

    if (st != ST_OK)
        return st;
    if (repeats.n != y.rank)
        return op_refuse(c, f, "%d repeats for rank %d", repeats.n, y.rank);
    for (int i = 0; i < y.rank; i++)
        if (repeats.v[i] < 0 || __builtin_mul_overflow(y.dims[i], repeats.v[i], &y.dims[i]))
            return op_refuse(c, f, "repeat %lld is out of range", (long long)repeats.v[i]);
    call_set_like(c, 0, &y);
    return ST_OK;
}

static void run_tile(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0];
    const size_t size = dtype_size(x->type);
    struct walk w = { .rank = y->rank, .dims = y->dims };
    char *to = y->data;

    if (value_elements(y) == 0)
        return;
    do {
        int64_t from = 0;
        for (int i = 0; i < y->rank; i++)
            from = from * x->dims[i] + w.index[i] % x->dims[i];
        memcpy(to, (const char *)x->data + (size_t)from * size, size);
        to += size;
    } while (walk_step(&w));
}

#define VIEW(title, first_opset, most_in, most_out, attrs, infer_with)                                  \
    {                                                                                                   \
        .name = title, .since = first_opset, .min_in = 1, .max_in = most_in, .min_out = 1,              \
        .max_out = most_out, .attributes = attrs, .infer = infer_with, .reference = copy_elements,      \
        .lower = lower_view_of_input                                                                    \
    }

const struct op ops_shape[] = {
    VIEW("Reshape", 1, 2, 1, "i:allowzero I:shape", infer_reshape),
    VIEW("Flatten", 1, 1, 1, "i:axis", infer_flatten),
    VIEW("Squeeze", 1, 2, 1, "I:axes", infer_squeeze),
    VIEW("Unsqueeze", 1, 2, 1, "I:axes", infer_unsqueeze),
    VIEW("Identity", 1, 1, 1, "", infer_same),
    VIEW("Dropout", 7, 3, 2, "f:ratio", infer_same),
    { .name = "Shape",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:start i:end",
      .infer = infer_shape,
      .reference = run_shape,
      .shape_only = true },
    { .name = "Size",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_size,
      .reference = run_size,
      .shape_only = true },
    { .name = "ConstantOfShape",
      .since = 9,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "t:value",
      .infer = infer_filled,
      .reference = run_filled },
    { .name = "Constant",
      .since = 1,
      .min_in = 0,
      .max_in = 0,
      .min_out = 1,
      .max_out = 1,
      .attributes = "t:value i:value_int I:value_ints f:value_float F:value_floats",
      .infer = infer_constant,
      .reference = run_constant },
    { .name = "Range",
      .since = 11,
      .min_in = 3,
      .max_in = 3,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_range,
      .reference = run_range },
    { .name = "Expand",
      .since = 8,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_expand,
      .reference = run_expand },
    { .name = "Tile",
      .since = 6,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_tile,
      .reference = run_tile },
    { 0 },
};
