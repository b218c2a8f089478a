/*
 * Reductions over axes (mean, sum, product, largest, smallest, norms, logarithms of sums), ArgMax and
 * ArgMin. The axes are an attribute before opset 18 (ReduceSum: 13) and an input since.
 */
#include <math.h>
#include <string.h>
#include "inference/plan/lower.h"

static enum status reduced_dims(const struct call *c, bool reduced[LIMIT_TENSOR_RANK], struct fault *f)
{
    const int rank = c->in[0]->rank;
    struct int_list axes;
    enum status st = call_list(c, "axes", 1, &axes, f);
    int axis;

    if (st != ST_OK)
        return st;
    for (int i = 0; i < rank; i++)
        reduced[i] = axes.n <= 0 && !node_int(c->node, "noop_with_empty_axes", 0);
    for (int i = 0; i < axes.n; i++) {
        if ((st = call_axis(c, axes.v[i], rank, &axis, f)) != ST_OK)
            return st;
        reduced[axis] = true;
    }
    return ST_OK;
}

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    const bool keep = node_int(c->node, "keepdims", 1) != 0;
    bool reduced[LIMIT_TENSOR_RANK];
    int64_t dims[LIMIT_TENSOR_RANK];
    enum status st = reduced_dims(c, reduced, f);
    int rank = 0;

    if (st != ST_OK)
        return st;
    if (x->type != DTYPE_F32 && x->type != DTYPE_I64)
        return op_unsupported(c, f, "%s is not supported", dtype_name(x->type));
    for (int i = 0; i < x->rank; i++) {
        if (reduced[i] && x->dims[i] == 0)
            return op_refuse(c, f, "dimension %d is empty", i);
        if (keep || !reduced[i])
            dims[rank++] = reduced[i] ? 1 : x->dims[i];
    }
    call_set_shape(c, 0, x->type, rank, dims);
    return ST_OK;
}

enum reduction {
    REDUCE_MEAN,
    REDUCE_SUM,
    REDUCE_PROD,
    REDUCE_MAX,
    REDUCE_MIN,
    REDUCE_L1,
    REDUCE_L2,
    REDUCE_SUM_SQUARE,
    REDUCE_LOG_SUM,
    REDUCE_LOG_SUM_EXP
};

/* Folds one element into the running value. */
static double fold(enum reduction r, double have, double x, bool first)
{
    switch (r) {
    case REDUCE_MAX:
        return first || x > have ? x : have;
    case REDUCE_MIN:
        return first || x < have ? x : have;
    case REDUCE_PROD:
        return first ? x : have * x;
    case REDUCE_L1:
        return have + fabs(x);
    case REDUCE_L2:
    case REDUCE_SUM_SQUARE:
        return have + x * x;
    case REDUCE_LOG_SUM_EXP:
        return first ? x : fmax(have, x) + log1p(exp(-fabs(have - x))); /* never overflows */
    default:
        return have + x;
    }
}

static double finish(enum reduction r, double have, size_t n)
{
    switch (r) {
    case REDUCE_MEAN:
        return have / (double)n;
    case REDUCE_L2:
        return sqrt(have);
    case REDUCE_LOG_SUM:
        return log(have);
    default:
        return have;
    }
}

static int64_t to_integer(double x)
{
    return !(x == x) ? 0 : x >= 9.2e18 ? INT64_MAX : x <= -9.2e18 ? INT64_MIN : (int64_t)x;
}

/*
 * Two walks: over the kept dims (one output element each), and inside over the reduced ones. Dims that a
 * walk leaves out have size 1 there.
 */
static void run(const struct call *c, enum reduction r)
{
    const struct value *x = c->in[0];
    bool reduced[LIMIT_TENSOR_RANK] = { false };
    const enum status st = reduced_dims(c, reduced, NULL);
    int64_t strides[LIMIT_TENSOR_RANK], kept[LIMIT_TENSOR_RANK], folded[LIMIT_TENSOR_RANK];
    struct walk outer = { .rank = x->rank, .noffsets = 1, .dims = kept, .strides = { strides } };
    size_t at = 0;

    (void)st; /* infer has seen ST_OK for the same call */
    if (value_elements(x) == 0)
        return;
    broadcast_strides(x, x, strides);
    for (int i = 0; i < x->rank; i++) {
        kept[i] = reduced[i] ? 1 : x->dims[i];
        folded[i] = reduced[i] ? x->dims[i] : 1;
    }
    do {
        struct walk inner = { .rank = x->rank, .noffsets = 1, .dims = folded, .strides = { strides } };
        double have = 0;
        size_t n = 0;
        do {
            have = fold(r, have, value_get_f64(x, (size_t)(outer.offset[0] + inner.offset[0])), n == 0);
            n++;
        } while (walk_step(&inner));
        have = finish(r, have, n);
        if (x->type == DTYPE_F32)
            value_f32(c->out[0])[at++] = (float)have;
        else /* as a value of its own: NaN becomes 0, what is too large saturates */
            value_i64(c->out[0])[at++] = to_integer(have);
    } while (walk_step(&outer));
}

#define RUN(id, reduction)                                                                              \
    static void run_##id(const struct call *c)                                                          \
    {                                                                                                   \
        run(c, reduction);                                                                              \
    }
RUN(mean, REDUCE_MEAN)
RUN(sum, REDUCE_SUM)
RUN(prod, REDUCE_PROD)
RUN(max, REDUCE_MAX)
RUN(min, REDUCE_MIN)
RUN(l1, REDUCE_L1)
RUN(l2, REDUCE_L2)
RUN(sum_square, REDUCE_SUM_SQUARE)
RUN(log_sum, REDUCE_LOG_SUM)
RUN(log_sum_exp, REDUCE_LOG_SUM_EXP)

static enum status infer_arg(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    int64_t dims[LIMIT_TENSOR_RANK];
    enum status st;
    int axis, rank = 0;

    if ((st = call_axis(c, node_int(c->node, "axis", 0), x->rank, &axis, f)) != ST_OK)
        return st;
    if (x->dims[axis] == 0)
        return op_refuse(c, f, "dimension %d is empty", axis);
    for (int i = 0; i < x->rank; i++)
        if (i != axis || node_int(c->node, "keepdims", 1))
            dims[rank++] = i == axis ? 1 : x->dims[i];
    call_set_shape(c, 0, DTYPE_I64, rank, dims);
    return ST_OK;
}

static void run_arg(const struct call *c, bool largest)
{
    const struct value *x = c->in[0];
    const int64_t named = node_int(c->node, "axis", 0);
    const int axis = (int)(named < 0 ? named + x->rank : named);
    const bool last = node_int(c->node, "select_last_index", 0) != 0;
    const size_t outer = value_span(x, 0, axis), inner = value_span(x, axis + 1, x->rank);
    const size_t n = (size_t)x->dims[axis];

    for (size_t o = 0; o < outer; o++)
        for (size_t k = 0; k < inner; k++) {
            size_t best = 0;
            for (size_t i = 1; i < n; i++) {
                const double a = value_get_f64(x, (o * n + i) * inner + k);
                const double b = value_get_f64(x, (o * n + best) * inner + k);
                if ((largest ? a > b : a < b) || (last && a == b))
                    best = i;
            }
            value_i64(c->out[0])[o * inner + k] = (int64_t)best;
        }
}

/* What detectors ask: the best class of each row of floats. */
static void argmax_of_rows(const float *x, size_t rows, size_t n, int64_t *ret)
{
    for (size_t r = 0; r < rows; r++, x += n) {
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            best = x[i] > x[best] ? i : best;
        ret[r] = (int64_t)best;
    }
}

static void run_argmax(const struct call *c)
{
    const struct value *x = c->in[0];
    const int64_t axis = node_int(c->node, "axis", 0);
    const bool rows = x->type == DTYPE_F32 && (axis == -1 || axis == x->rank - 1) &&
                      !node_int(c->node, "select_last_index", 0);

    if (rows)
        argmax_of_rows(value_f32(x), value_span(x, 0, x->rank - 1), (size_t)x->dims[x->rank - 1],
                       value_i64(c->out[0]));
    else
        run_arg(c, true);
}

static void run_argmin(const struct call *c)
{
    run_arg(c, false);
}

#define REDUCE(title, run_with, lower_with)                                                             \
    {                                                                                                   \
        .name = title, .since = 1, .min_in = 1, .max_in = 2, .min_out = 1, .max_out = 1,                \
        .attributes = "I:axes i:keepdims i:noop_with_empty_axes", .infer = infer,                       \
        .reference = run_with, .lower = lower_with, .slow = 16                                          \
    }

#define ARG(title, run_with)                                                                            \
    {                                                                                                   \
        .name = title, .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,                \
        .attributes = "i:axis i:keepdims i:select_last_index", .infer = infer_arg,                      \
        .reference = run_with, .slow = 16                                                               \
    }

const struct op ops_reduce[] = {
    REDUCE("ReduceMean", run_mean, lower_reduce_mean),
    REDUCE("ReduceSum", run_sum, NULL),
    REDUCE("ReduceMax", run_max, lower_reduce_max),
    REDUCE("ReduceMin", run_min, NULL),
    REDUCE("ReduceL2", run_l2, NULL),
    REDUCE("ReduceProd", run_prod, NULL),
    REDUCE("ReduceL1", run_l1, NULL),
    REDUCE("ReduceSumSquare", run_sum_square, NULL),
    REDUCE("ReduceLogSum", run_log_sum, NULL),
    REDUCE("ReduceLogSumExp", run_log_sum_exp, NULL),
    ARG("ArgMax", run_argmax),
    ARG("ArgMin", run_argmin),
    { 0 },
};
