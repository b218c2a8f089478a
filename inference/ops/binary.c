/*
 * Operators of two values with NumPy broadcasting: arithmetic, comparison, logic; and Min, Max, Sum,
 * Mean, which take any number. Integer division truncates towards zero and by zero gives 0; integer
 * overflow wraps.
 */
#include <math.h>
#include <string.h>
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

struct pair {
    float (*f)(float a, float b);
    int64_t (*i)(int64_t a, int64_t b);
};

#define PAIR(id, float_expression, int_expression)                                                      \
    static float id##_f(float a, float b)                                                               \
    {                                                                                                   \
        return (float_expression);                                                                      \
    }                                                                                                   \
    static int64_t id##_i(int64_t a, int64_t b)                                                         \
    {                                                                                                   \
        return (int_expression);                                                                        \
    }                                                                                                   \
    static const struct pair id = { id##_f, id##_i };

static int64_t divide(int64_t a, int64_t b)
{
    if (b == 0)
        return 0;
    return b == -1 ? (int64_t)(0 - (uint64_t)a) : a / b;
}

/* The sign of the divisor, as Python has it. */
static int64_t modulo(int64_t a, int64_t b)
{
    const int64_t r = b == 0 || b == -1 ? 0 : a % b;

    return r && (r < 0) != (b < 0) ? r + b : r;
}

static int64_t power(int64_t a, int64_t b)
{
    uint64_t result = 1, base = (uint64_t)a;

    for (; b > 0; b >>= 1, base *= base)
        if (b & 1)
            result *= base;
    return b < 0 ? 0 : (int64_t)result;
}

PAIR(add, a + b, (int64_t)((uint64_t)a + (uint64_t)b))
PAIR(sub, a - b, (int64_t)((uint64_t)a - (uint64_t)b))
PAIR(mul, a *b, (int64_t)((uint64_t)a *(uint64_t)b))
PAIR(div_, a / b, divide(a, b))
PAIR(pow_, powf(a, b), power(a, b))
PAIR(mod_, fmodf(a, b), modulo(a, b))
PAIR(fmod_, fmodf(a, b), b == 0 || b == -1 ? 0 : a % b)
PAIR(least, a < b ? a : b, a < b ? a : b)
PAIR(most, a > b ? a : b, a > b ? a : b)
PAIR(equal, (float)(a == b), a == b)
PAIR(less, (float)(a < b), a < b)
PAIR(greater, (float)(a > b), a > b)
PAIR(less_equal, (float)(a <= b), a <= b)
PAIR(greater_equal, (float)(a >= b), a >= b)
PAIR(and_, (float)(a != 0 && b != 0), a != 0 && b != 0)
PAIR(or_, (float)(a != 0 || b != 0), a != 0 || b != 0)
PAIR(xor_, (float)((a != 0) != (b != 0)), (a != 0) != (b != 0))

/* One inner run along the last dimension. */
static void apply_run(const struct pair *p, const struct value *a, const struct value *b,
                      struct value *y, const int64_t at[3], int64_t n, int64_t step_a, int64_t step_b)
{
    if (a->type == DTYPE_F32) {
        const float *pa = value_f32(a) + at[0], *pb = value_f32(b) + at[1];
        for (int64_t i = 0; i < n; i++) {
            const float r = p->f(pa[i * step_a], pb[i * step_b]);
            if (y->type == DTYPE_F32)
                value_f32(y)[at[2] + i] = r;
            else
                value_u8(y)[at[2] + i] = r != 0;
        }
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        const int64_t r = p->i(value_get_i64(a, (size_t)(at[0] + i * step_a)),
                               value_get_i64(b, (size_t)(at[1] + i * step_b)));
        if (y->type == DTYPE_I64)
            value_i64(y)[at[2] + i] = r;
        else
            value_u8(y)[at[2] + i] = (uint8_t)r;
    }
}

static void apply(const struct pair *p, const struct value *a, const struct value *b, struct value *y)
{
    int64_t sa[LIMIT_TENSOR_RANK] = { 0 }, sb[LIMIT_TENSOR_RANK] = { 0 }, sy[LIMIT_TENSOR_RANK] = { 0 };
    const int last = y->rank - 1;
    struct walk w = {
        .rank = last < 0 ? 0 : last, .noffsets = 3, .dims = y->dims, .strides = { sa, sb, sy }
    };

    if (value_elements(y) == 0)
        return;
    broadcast_strides(a, y, sa);
    broadcast_strides(b, y, sb);
    broadcast_strides(y, y, sy);
    do
        apply_run(p, a, b, y, w.offset, last < 0 ? 1 : y->dims[last], last < 0 ? 0 : sa[last],
                  last < 0 ? 0 : sb[last]);
    while (walk_step(&w));
}

static enum status infer_pair(const struct call *c, enum dtype type, struct fault *f)
{
    struct value y = { .type = type };
    char a[64], b[64];

    if (c->in[0]->type != c->in[1]->type)
        return op_refuse(c, f, "operands of types %s and %s", dtype_name(c->in[0]->type),
                         dtype_name(c->in[1]->type));
    if (!shape_broadcast(c->in[0], c->in[1], &y))
        return op_refuse(c, f, "shapes %s and %s do not broadcast",
                         value_shape_text(c->in[0], a, sizeof a),
                         value_shape_text(c->in[1], b, sizeof b));
    call_set_like(c, 0, &y);
    return ST_OK;
}

static enum status infer_arithmetic(const struct call *c, struct fault *f)
{
    if (c->in[0]->type != DTYPE_F32 && c->in[0]->type != DTYPE_I64)
        return op_unsupported(c, f, "%s is not supported", dtype_name(c->in[0]->type));
    return infer_pair(c, c->in[0]->type, f);
}

static enum status infer_comparison(const struct call *c, struct fault *f)
{
    return infer_pair(c, DTYPE_BOOL, f);
}

static enum status infer_logic(const struct call *c, struct fault *f)
{
    if (c->in[0]->type != DTYPE_BOOL)
        return op_refuse(c, f, "the operands are not bool");
    return infer_pair(c, DTYPE_BOOL, f);
}

static enum status infer_many(const struct call *c, struct fault *f)
{
    struct value y = { 0 };

    for (int i = 0; i < c->nin; i++) {
        if (!c->in[i] || c->in[i]->type != c->in[0]->type ||
            (c->in[i]->type != DTYPE_F32 && c->in[i]->type != DTYPE_I64))
            return op_refuse(c, f, "input %d is missing or of another type", i + 1);
        if (i == 0)
            y = *c->in[0];
        else if (!shape_broadcast(&y, c->in[i], &y))
            return op_refuse(c, f, "the shape of input %d does not broadcast", i + 1);
    }
    call_set_shape(c, 0, c->in[0]->type, y.rank, y.dims);
    return ST_OK;
}

/* y = in[0], then y = p(y, in[i]): the output serves as the left operand, element by element. */
static void fold_many(const struct pair *p, const struct call *c)
{
    const struct value zero = { .type = c->in[0]->type, .data = (int64_t[]){ 0 } };

    apply(&add, c->in[0], &zero, c->out[0]);
    for (int i = 1; i < c->nin; i++)
        apply(p, c->out[0], c->in[i], c->out[0]);
}

static void run_mean(const struct call *c)
{
    fold_many(&add, c);
    for (size_t i = 0; i < value_elements(c->out[0]); i++)
        if (c->out[0]->type == DTYPE_F32)
            value_f32(c->out[0])[i] /= (float)c->nin;
        else
            value_i64(c->out[0])[i] /= c->nin;
}

#define RUN_PAIR(id)                                                                                    \
    static void run_##id(const struct call *c)                                                          \
    {                                                                                                   \
        apply(&id, c->in[0], c->in[1], c->out[0]);                                                      \
    }
#define RUN_MANY(id)                                                                                    \
    static void run_##id(const struct call *c)                                                          \
    {                                                                                                   \
        fold_many(&id, c);                                                                              \
    }
RUN_PAIR(add)
RUN_PAIR(sub)
RUN_PAIR(mul)
RUN_PAIR(div_)
RUN_PAIR(pow_)
RUN_PAIR(equal)
RUN_PAIR(less)
RUN_PAIR(greater)
RUN_PAIR(less_equal)
RUN_PAIR(greater_equal)
RUN_PAIR(and_)
RUN_PAIR(or_)
RUN_PAIR(xor_)
RUN_MANY(least)
RUN_MANY(most)

static void run_sum(const struct call *c)
{
    fold_many(&add, c);
}

static void run_mod(const struct call *c)
{
    apply(node_int(c->node, "fmod", 0) ? &fmod_ : &mod_, c->in[0], c->in[1], c->out[0]);
}

#define BINARY(title, first_opset, infer_with, run, lower_with, attrs)                                  \
    {                                                                                                   \
        .name = title, .since = first_opset, .min_in = 2, .max_in = 2, .min_out = 1, .max_out = 1,      \
        .attributes = attrs, .infer = infer_with, .reference = run, .lower = lower_with                 \
    }
#define MANY(title, run)                                                                                \
    {                                                                                                   \
        .name = title, .since = 6, .min_in = 1, .max_in = OP_ANY, .min_out = 1, .max_out = 1,           \
        .infer = infer_many, .reference = run                                                           \
    }

const struct op ops_binary[] = {
    BINARY("Add", 7, infer_arithmetic, run_add, lower_binary, ""),
    BINARY("Sub", 7, infer_arithmetic, run_sub, lower_binary, ""),
    BINARY("Mul", 7, infer_arithmetic, run_mul, lower_binary, ""),
    BINARY("Div", 7, infer_arithmetic, run_div_, lower_binary, ""),
    BINARY("Pow", 7, infer_arithmetic, run_pow_, NULL, ""),
    BINARY("Mod", 10, infer_arithmetic, run_mod, NULL, "i:fmod"),
    BINARY("Equal", 7, infer_comparison, run_equal, NULL, ""),
    BINARY("Less", 7, infer_comparison, run_less, NULL, ""),
    BINARY("Greater", 7, infer_comparison, run_greater, NULL, ""),
    BINARY("LessOrEqual", 12, infer_comparison, run_less_equal, NULL, ""),
    BINARY("GreaterOrEqual", 12, infer_comparison, run_greater_equal, NULL, ""),
    BINARY("And", 7, infer_logic, run_and_, NULL, ""),
    BINARY("Or", 7, infer_logic, run_or_, NULL, ""),
    BINARY("Xor", 7, infer_logic, run_xor_, NULL, ""),
    MANY("Min", run_least),
    MANY("Max", run_most),
    MANY("Sum", run_sum),
    MANY("Mean", run_mean),
    { 0 },
};
