/*
 * Pad: constant, reflect or edge. Attributes pads and value before opset 11, inputs since; axes
 * since 18. Negative padding is not supported.
 */
#include <string.h>
#include "inference/ops/op.h"

enum pad_mode { PAD_CONSTANT, PAD_REFLECT, PAD_EDGE };

struct pad {
    enum pad_mode mode;
    int64_t before[LIMIT_TENSOR_RANK], after[LIMIT_TENSOR_RANK];
};

static enum status read_mode(const struct call *c, struct pad *p, struct fault *f)
{
    static const char *const modes[] = { "constant", "reflect", "edge" };
    const char *mode = node_string(c->node, "mode", "constant");

    for (int i = 0; i < 3; i++)
        if (strcmp(mode, modes[i]) == 0) {
            p->mode = (enum pad_mode)i;
            return ST_OK;
        }
    return op_unsupported(c, f, "the padding mode");
}

static enum status pad_read(const struct call *c, struct pad *ret, struct fault *f)
{
    const struct value *x = c->in[0], *fill = call_in(c, 2);
    struct int_list pads, axes;
    struct pad p = { 0 };
    enum status st;
    int axis;

    if ((st = read_mode(c, &p, f)) != ST_OK || (st = call_list(c, "pads", 1, &pads, f)) != ST_OK ||
        (st = call_list(c, NULL, 3, &axes, f)) != ST_OK)
        return st;
    if (pads.n != 2 * (axes.n >= 0 ? axes.n : x->rank))
        return op_refuse(c, f, "%d pads do not fit rank %d", pads.n, x->rank);
    if (fill && (fill->type != x->type || value_elements(fill) != 1))
        return op_refuse(c, f, "the fill value is not a scalar of the input's type");
    for (int i = 0; i < pads.n / 2; i++) {
        const int64_t before = pads.v[i], after = pads.v[pads.n / 2 + i];
        if ((st = call_axis(c, axes.n >= 0 ? axes.v[i] : i, x->rank, &axis, f)) != ST_OK)
            return st;
        if (before < 0 || after < 0 || before > INT32_MAX || after > INT32_MAX)
            return op_unsupported(c, f, "padding %lld", (long long)(before < 0 ? before : after));
        if ((before || after) && p.mode != PAD_CONSTANT && x->dims[axis] < 1)
            return op_refuse(c, f, "an empty dimension has no edge");
        if (p.mode == PAD_REFLECT && (before >= x->dims[axis] || after >= x->dims[axis]) &&
            (before || after))
            return op_refuse(c, f, "reflection is wider than the input");
        p.before[axis] = before;
        p.after[axis] = after;
    }
    *ret = p;
    return ST_OK;
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct value y = *c->in[0];
    struct pad p;
    enum status st = pad_read(c, &p, f);

    if (st != ST_OK)
        return st;
    for (int i = 0; i < y.rank; i++)
        y.dims[i] += p.before[i] + p.after[i];
    call_set_like(c, 0, &y);
    return ST_OK;
}

/* Input index along a dimension for output index i, or -1 for the fill value. */
static int64_t source(const struct pad *p, int axis, int64_t i, int64_t dim)
{
    const int64_t k = i - p->before[axis];

    if (k >= 0 && k < dim)
        return k;
    if (p->mode == PAD_CONSTANT)
        return -1;
    if (p->mode == PAD_EDGE)
        return k < 0 ? 0 : dim - 1;
    return k < 0 ? -k : 2 * (dim - 1) - k;
}

static void fill_elements(char *to, const void *filler, size_t size, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(to + (size_t)i * size, filler, size);
}

/* One row of the output; from: the input's row, or NULL where all is filled. */
static void pad_row(const struct pad *p, int axis, const char *from, int64_t dim, char *to, int64_t n,
                    const void *filler, size_t size)
{
    const int64_t before = p->before[axis];

    if (!from) {
        fill_elements(to, filler, size, n);
        return;
    }
    fill_elements(to, filler, size, before);
    memcpy(to + (size_t)before * size, from, (size_t)dim * size);
    fill_elements(to + (size_t)(before + dim) * size, filler, size, n - before - dim);
}

/* Row by row; modes other than a constant choose each element of the row. */
static void pad_rows(const struct pad *p, const struct value *x, const struct value *y,
                     const void *filler)
{
    const int last = y->rank - 1;
    const int64_t n = y->dims[last], dim = x->dims[last];
    const size_t size = dtype_size(x->type);
    struct walk w = { .rank = last, .dims = y->dims };
    char *to = y->data;

    do {
        const char *row = x->data;
        int64_t from = 0;
        for (int i = 0; i < last && from >= 0; i++) {
            const int64_t k = source(p, i, w.index[i], x->dims[i]);
            from = k < 0 ? -1 : from * x->dims[i] + k;
        }
        row = from < 0 ? NULL : row + (size_t)(from * dim) * size;
        if (p->mode == PAD_CONSTANT)
            pad_row(p, last, row, dim, to, n, filler, size);
        for (int64_t i = 0; p->mode != PAD_CONSTANT && i < n; i++)
            memcpy(to + (size_t)i * size, row + (size_t)source(p, last, i, dim) * size, size);
        to += (size_t)n * size;
    } while (walk_step(&w));
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0], *fill = call_in(c, 2);
    const float value = node_float(c->node, "value", 0);
    const size_t size = dtype_size(x->type);
    const uint64_t zero = 0;
    const void *filler = fill                   ? fill->data
                         : x->type == DTYPE_F32 ? (const void *)&value
                                                : (const void *)&zero;
    struct pad p = { 0 };
    const enum status st = pad_read(c, &p, NULL);

    (void)st; /* infer has seen ST_OK for the same call */
    if (value_elements(y) == 0)
        return;
    if (y->rank > 0)
        pad_rows(&p, x, y, filler);
    else
        memcpy(y->data, x->data, size);
}

const struct op ops_pad[] = {
    { .name = "Pad",
      .since = 2,
      .min_in = 1,
      .max_in = 4,
      .min_out = 1,
      .max_out = 1,
      .attributes = "s:mode I:pads f:value",
      .infer = infer,
      .reference = reference },
    { 0 },
};
