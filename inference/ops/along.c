/*
 * What follows an axis: CumSum (running sums), and Trilu (a triangle of each matrix).
 */
#include <string.h>
#include "inference/ops/op.h"

/* The axis of CumSum is a constant input. */
static enum status infer_cumsum(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    struct int_list axis;
    enum status st = call_list(c, NULL, 1, &axis, f);
    int unused;

    if (st != ST_OK)
        return st;
    if (x->type != DTYPE_F32 && x->type != DTYPE_I64)
        return op_unsupported(c, f, "%s is not supported", dtype_name(x->type));
    if (axis.n != 1)
        return op_refuse(c, f, "the axis is not one number");
    if ((st = call_axis(c, axis.v[0], x->rank, &unused, f)) != ST_OK)
        return st;
    call_set_like(c, 0, x);
    return ST_OK;
}

/* One line of n elements, `step` apart. */
static void sum_line(const struct value *x, const struct value *y, size_t start, size_t n, size_t step,
                     bool exclusive, bool reverse)
{
    double real = 0;
    uint64_t whole = 0;

    for (size_t i = 0; i < n; i++) {
        const size_t at = start + (reverse ? n - 1 - i : i) * step;
        const double real_before = real;
        const uint64_t whole_before = whole;
        if (x->type == DTYPE_F32) {
            real += (double)value_f32(x)[at];
            value_f32(y)[at] = (float)(exclusive ? real_before : real);
        } else {
            whole += (uint64_t)value_i64(x)[at];
            value_i64(y)[at] = (int64_t)(exclusive ? whole_before : whole);
        }
    }
}

static void run_cumsum(const struct call *c)
{
    const struct value *x = c->in[0];
    const int64_t named = value_get_i64(c->in[1], 0);
    const int axis = (int)(named < 0 ? named + x->rank : named);
    const size_t outer = value_span(x, 0, axis), inner = value_span(x, axis + 1, x->rank);
    const size_t n = (size_t)x->dims[axis];

    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < inner; k++)
            sum_line(x, c->out[0], o * n * inner + k, n, inner, node_int(c->node, "exclusive", 0) != 0,
                     node_int(c->node, "reverse", 0) != 0);
}

static enum status infer_trilu(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    struct int_list k;
    enum status st = call_list(c, NULL, 1, &k, f);

    if (st != ST_OK)
        return st;
    if (x->rank < 2 || k.n > 1)
        return op_refuse(c, f, "the input is no matrix, or the diagonal not one number");
    call_set_like(c, 0, x);
    return ST_OK;
}

static void run_trilu(const struct call *c)
{
    const struct value *x = c->in[0];
    const size_t size = dtype_size(x->type), columns = (size_t)x->dims[x->rank - 1],
                 rows = (size_t)x->dims[x->rank - 2];
    const bool upper = node_int(c->node, "upper", 1) != 0;
    const int64_t named = call_in(c, 1) ? value_get_i64(c->in[1], 0) : 0, far = (int64_t)1 << 40;
    const int64_t k = named < -far ? -far : named > far ? far : named;

    for (size_t i = 0; i < value_elements(x); i++) {
        const int64_t beside = (int64_t)(i % columns) - (int64_t)(i / columns % rows);
        char *to = (char *)c->out[0]->data + i * size;
        if (upper ? beside >= k : beside <= k)
            memcpy(to, (const char *)x->data + i * size, size);
        else
            memset(to, 0, size);
    }
}

const struct op ops_along[] = {
    { .name = "CumSum",
      .since = 11,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:exclusive i:reverse",
      .infer = infer_cumsum,
      .reference = run_cumsum },
    { .name = "Trilu",
      .since = 14,
      .min_in = 1,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:upper",
      .infer = infer_trilu,
      .reference = run_trilu },
    { 0 },
};
