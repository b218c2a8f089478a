/*
 * Slice: a strided part along some axes. Attributes starts, ends, axes before opset 10; inputs starts,
 * ends, axes, steps since. Negative indices count from the end, what lies outside is clamped.
 */
#include <string.h>
#include "inference/ops/op.h"

struct slice {
    int64_t start[LIMIT_TENSOR_RANK], step[LIMIT_TENSOR_RANK], size[LIMIT_TENSOR_RANK];
};

static int64_t clamp(int64_t x, int64_t low, int64_t high)
{
    return x < low ? low : x > high ? high : x;
}

static void set_axis(struct slice *s, int axis, int64_t dim, int64_t start, int64_t end, int64_t step)
{
    const int64_t low = step > 0 ? 0 : -1;

    start = clamp(start < 0 ? start + dim : start, 0, step > 0 ? dim : dim - 1);
    end = clamp(end < 0 ? (end < -dim - 1 ? -1 : end + dim) : end, low, step > 0 ? dim : dim - 1);
    s->start[axis] = start;
    s->step[axis] = step;
    if (step > 0)
        s->size[axis] = end > start ? (end - start - 1) / step + 1 : 0;
    else
        s->size[axis] = start > end ? (start - end - 1) / -step + 1 : 0;
}

static enum status slice_read(const struct call *c, struct slice *ret, struct fault *f)
{
    const struct value *x = c->in[0];
    struct int_list starts, ends, axes, steps;
    enum status st;

    if ((st = call_list(c, "starts", 1, &starts, f)) != ST_OK ||
        (st = call_list(c, "ends", 2, &ends, f)) != ST_OK ||
        (st = call_list(c, "axes", 3, &axes, f)) != ST_OK ||
        (st = call_list(c, NULL, 4, &steps, f)) != ST_OK)
        return st;
    if (starts.n < 0 || starts.n != ends.n || (axes.n >= 0 && axes.n != starts.n) ||
        (steps.n >= 0 && steps.n != starts.n) || starts.n > x->rank)
        return op_refuse(c, f, "starts, ends, axes and steps do not agree");
    for (int i = 0; i < x->rank; i++)
        set_axis(ret, i, x->dims[i], 0, x->dims[i], 1);
    for (int i = 0; i < starts.n; i++) {
        /* Steps beyond any dimension mean "the first only"; the bound keeps the arithmetic safe. */
        const int64_t step =
            steps.n >= 0 ? clamp(steps.v[i], -LIMIT_TENSOR_ELEMENTS, LIMIT_TENSOR_ELEMENTS) : 1;
        int axis;
        if ((st = call_axis(c, axes.n >= 0 ? axes.v[i] : i, x->rank, &axis, f)) != ST_OK)
            return st;
        if (step == 0)
            return op_refuse(c, f, "a step of 0");
        set_axis(ret, axis, x->dims[axis], starts.v[i], ends.v[i], step);
    }
    return ST_OK;
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct slice s;
    enum status st = slice_read(c, &s, f);

    if (st == ST_OK)
        call_set_shape(c, 0, c->in[0]->type, c->in[0]->rank, s.size);
    return st;
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0];
    struct value *y = c->out[0];
    const size_t size = dtype_size(x->type);
    struct slice s = { 0 };
    const enum status st = slice_read(c, &s, NULL);
    int64_t strides[LIMIT_TENSOR_RANK], stride = 1, base = 0;
    const int last = x->rank - 1;
    struct walk w = {
        .rank = last < 0 ? 0 : last, .noffsets = 1, .dims = y->dims, .strides = { strides }
    };
    char *to = y->data;

    (void)st; /* infer has seen ST_OK for the same call */
    if (value_elements(y) == 0)
        return;
    for (int i = last; i >= 0; i--) {
        strides[i] = stride * s.step[i];
        base += stride * s.start[i];
        stride *= x->dims[i];
    }
    do {
        const char *from = (const char *)x->data + (size_t)(base + w.offset[0]) * size;
        const int64_t n = last < 0 ? 1 : y->dims[last];
        if (last < 0 || s.step[last] == 1)
            memcpy(to, from, (size_t)n * size);
        else if (size == sizeof(float))
            for (int64_t i = 0; i < n; i++)
                ((float *)to)[i] = ((const float *)from)[i * s.step[last]];
        else
            for (int64_t i = 0; i < n; i++)
                memcpy(to + (size_t)i * size, from + i * s.step[last] * (int64_t)size, size);
        to += (size_t)n * size;
    } while (walk_step(&w));
}

const struct op ops_slice[] = {
    { .name = "Slice",
      .since = 1,
      .min_in = 1,
      .max_in = 5,
      .min_out = 1,
      .max_out = 1,
      .attributes = "I:starts I:ends I:axes",
      .infer = infer,
      .reference = reference },
    { 0 },
};
