/*
 * Split: one value into parts along an axis. Sizes: attribute `split` (opset < 13), input 2 (13),
 * num_outputs (18: equal parts, the last one smaller), or equal parts.
 */
#include <string.h>
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

static enum status check_sizes(const struct call *c, const struct int_list *sizes, int64_t dim,
                               struct fault *f)
{
    int64_t sum = 0;

    if (sizes->n != c->nout)
        return op_refuse(c, f, "%d sizes for %d outputs", sizes->n, c->nout);
    for (int i = 0; i < sizes->n; i++) {
        if (sizes->v[i] < 0 || sizes->v[i] > dim)
            return op_refuse(c, f, "size %lld is out of range", (long long)sizes->v[i]);
        sum += sizes->v[i];
    }
    return sum == dim ? ST_OK
                      : op_refuse(c, f, "the sizes add up to %lld, not to %lld", (long long)sum,
                                  (long long)dim);
}

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    struct int_list sizes;
    enum status st;
    int axis;

    if ((st = call_axis(c, node_int(c->node, "axis", 0), x->rank, &axis, f)) != ST_OK ||
        (st = call_list(c, "split", 1, &sizes, f)) != ST_OK)
        return st;
    if (sizes.n >= 0 && (st = check_sizes(c, &sizes, x->dims[axis], f)) != ST_OK)
        return st;
    if (sizes.n < 0 && c->opset < 18 && x->dims[axis] % c->nout)
        return op_refuse(c, f, "%lld elements do not split into %d parts", (long long)x->dims[axis],
                         c->nout);
    for (int64_t i = 0, left = x->dims[axis]; i < c->nout; i++) {
        const int64_t equal = (x->dims[axis] + c->nout - 1) / c->nout;
        struct value y = *x;
        y.dims[axis] = sizes.n >= 0 ? sizes.v[i] : equal < left ? equal : left;
        left -= y.dims[axis];
        call_set_like(c, (int)i, &y);
    }
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0];
    const int64_t named = node_int(c->node, "axis", 0);
    const int axis = (int)(named < 0 ? named + x->rank : named);
    const size_t inner = value_span(x, axis + 1, x->rank) * dtype_size(x->type),
                 outer = value_span(x, 0, axis);
    const size_t row = inner * (size_t)x->dims[axis];
    struct int_list sizes;
    const size_t equal = ((size_t)x->dims[axis] + (size_t)c->nout - 1) / (size_t)c->nout;
    size_t at = 0;

    call_list_checked(c, "split", 1, &sizes);
    for (int i = 0; i < c->nout; i++) {
        const size_t left = (size_t)x->dims[axis] - at;
        const size_t n = sizes.n >= 0 ? (size_t)sizes.v[i] : equal < left ? equal : left;
        for (size_t o = 0; c->out[i] && n && o < outer; o++)
            memcpy((char *)c->out[i]->data + o * n * inner, (const char *)x->data + o * row + at * inner,
                   n * inner);
        at += n;
    }
}

const struct op ops_split[] = {
    { .name = "Split",
      .since = 2,
      .min_in = 1,
      .max_in = 2,
      .min_out = 1,
      .max_out = LIMIT_TENSOR_RANK * 2,
      .attributes = "i:axis I:split i:num_outputs",
      .infer = infer,
      .reference = reference,
      .lower = lower_split },
    { 0 },
};
