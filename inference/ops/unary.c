/*
 * Operators of one value, element by element, and Clip. A row of the table is a name, its C expression
 * in x (and the two parameters a and b) and, where oneDNN has it, the algorithm that the planner uses.
 */
#include <math.h>
#include "inference/ops/conv.h"
#include "inference/plan/lower.h"

static enum status infer_float(const struct call *c, struct fault *f)
{
    if (c->in[0]->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported, not %s", dtype_name(c->in[0]->type));
    call_set_like(c, 0, c->in[0]);
    return ST_OK;
}

static enum status infer_signed(const struct call *c, struct fault *f)
{
    if (c->in[0]->type != DTYPE_F32 && c->in[0]->type != DTYPE_I64)
        return op_unsupported(c, f, "%s is not supported", dtype_name(c->in[0]->type));
    call_set_like(c, 0, c->in[0]);
    return ST_OK;
}

static enum status infer_bool(const struct call *c, struct fault *f)
{
    if (c->in[0]->type != DTYPE_BOOL)
        return op_refuse(c, f, "the input is not bool");
    call_set_like(c, 0, c->in[0]);
    return ST_OK;
}

static enum status infer_to_bool(const struct call *c, struct fault *f)
{
    if (c->in[0]->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    call_set_shape(c, 0, DTYPE_BOOL, c->in[0]->rank, c->in[0]->dims);
    return ST_OK;
}

/* Error function's Gaussian: exact form, and the tanh form that Gelu's attribute may ask for. */
static float gelu(float x, bool tanh_form)
{
    if (tanh_form)
        return 0.5f * x * (1 + tanhf(0.797884561f * (x + 0.044715f * x * x * x)));
    return 0.5f * x * (1 + erff(x * 0.707106781f));
}

static float softplus(float x)
{
    return x > 20 ? x : log1pf(expf(x));
}

/* A reference over floats: expression in x, with a and b from two attributes. */
#define FLOAT_REFERENCE(id, first, first_absent, second, second_absent, expression)                     \
    static void id(const struct call *c)                                                                \
    {                                                                                                   \
        const float *in = value_f32(c->in[0]);                                                          \
        const float a = node_float(c->node, first, first_absent);                                       \
        const float b = node_float(c->node, second, second_absent);                                     \
        float *out = value_f32(c->out[0]);                                                              \
        const size_t n = value_elements(c->in[0]);                                                      \
        (void)a;                                                                                        \
        (void)b;                                                                                        \
        for (size_t i = 0; i < n; i++) {                                                                \
            const float x = in[i];                                                                      \
            out[i] = (expression);                                                                      \
        }                                                                                               \
    }
#define PLAIN_REFERENCE(id, expression) FLOAT_REFERENCE(id, "", 0, "", 0, expression)

PLAIN_REFERENCE(relu, x > 0 ? x : 0)
FLOAT_REFERENCE(leaky_relu, "alpha", 0.01f, "", 0, x > 0 ? x : a * x)
FLOAT_REFERENCE(elu, "alpha", 1, "", 0, x > 0 ? x : a * expm1f(x))
FLOAT_REFERENCE(hard_sigmoid, "alpha", 0.2f, "beta", 0.5f, fminf(fmaxf(a *x + b, 0), 1))
PLAIN_REFERENCE(hard_swish, x *fminf(fmaxf(x / 6 + 0.5f, 0), 1))
PLAIN_REFERENCE(sigmoid, 1 / (1 + expf(-x)))
PLAIN_REFERENCE(silu, x / (1 + expf(-x)))
PLAIN_REFERENCE(tanh_, tanhf(x))
PLAIN_REFERENCE(softplus_, softplus(x))
PLAIN_REFERENCE(softsign, x / (1 + fabsf(x)))
PLAIN_REFERENCE(mish, x *tanhf(softplus(x)))
PLAIN_REFERENCE(erf_, erff(x))
PLAIN_REFERENCE(exp_, expf(x))
PLAIN_REFERENCE(log_, logf(x))
PLAIN_REFERENCE(sqrt_, sqrtf(x))
PLAIN_REFERENCE(reciprocal, 1 / x)
PLAIN_REFERENCE(floor_, floorf(x))
PLAIN_REFERENCE(ceil_, ceilf(x))
PLAIN_REFERENCE(round_, nearbyintf(x))
PLAIN_REFERENCE(sin_, sinf(x))
PLAIN_REFERENCE(cos_, cosf(x))
PLAIN_REFERENCE(tan_, tanf(x))
PLAIN_REFERENCE(asin_, asinf(x))
PLAIN_REFERENCE(acos_, acosf(x))
PLAIN_REFERENCE(atan_, atanf(x))
PLAIN_REFERENCE(sinh_, sinhf(x))
PLAIN_REFERENCE(cosh_, coshf(x))
PLAIN_REFERENCE(sign, x > 0 ? 1 : x < 0 ? -1 : 0)
FLOAT_REFERENCE(selu, "alpha", 1.67326319f, "gamma", 1.05070102f, x > 0 ? b * x : b * a * expm1f(x))
FLOAT_REFERENCE(celu, "alpha", 1, "", 0, x > 0 ? x : a * expm1f(x / a))
FLOAT_REFERENCE(thresholded_relu, "alpha", 1, "", 0, x > a ? x : 0)
FLOAT_REFERENCE(shrink, "lambd", 0.5f, "bias", 0, x<-a ? x + b : x> a ? x - b : 0)

static void gelu_(const struct call *c)
{
    const bool tanh_form = node_string(c->node, "approximate", "none")[0] == 't';

    for (size_t i = 0; i < value_elements(c->in[0]); i++)
        value_f32(c->out[0])[i] = gelu(value_f32(c->in[0])[i], tanh_form);
}

static void negate(const struct call *c)
{
    for (size_t i = 0; i < value_elements(c->in[0]); i++)
        if (c->in[0]->type == DTYPE_F32)
            value_f32(c->out[0])[i] = -value_f32(c->in[0])[i];
        else
            value_i64(c->out[0])[i] = (int64_t)(0 - (uint64_t)value_i64(c->in[0])[i]);
}

static void absolute(const struct call *c)
{
    for (size_t i = 0; i < value_elements(c->in[0]); i++)
        if (c->in[0]->type == DTYPE_F32)
            value_f32(c->out[0])[i] = fabsf(value_f32(c->in[0])[i]);
        else if (value_i64(c->in[0])[i] < 0)
            value_i64(c->out[0])[i] = (int64_t)(0 - (uint64_t)value_i64(c->in[0])[i]);
        else
            value_i64(c->out[0])[i] = value_i64(c->in[0])[i];
}

static void not_(const struct call *c)
{
    for (size_t i = 0; i < value_elements(c->in[0]); i++)
        value_u8(c->out[0])[i] = !value_u8(c->in[0])[i];
}

static void is_nan(const struct call *c)
{
    for (size_t i = 0; i < value_elements(c->in[0]); i++) {
        const float x = value_f32(c->in[0])[i];
        value_u8(c->out[0])[i] = x != x;
    }
}

/* Clip: the bounds were attributes before opset 11 and are optional scalar inputs since. */
static enum status infer_clip(const struct call *c, struct fault *f)
{
    for (int i = 1; i < c->nin; i++)
        if (c->in[i] && (c->in[i]->type != c->in[0]->type || value_elements(c->in[i]) != 1))
            return op_refuse(c, f, "a bound is not a scalar of the input's type");
    return infer_signed(c, f);
}

static void clip(const struct call *c)
{
    const struct value *low = call_in(c, 1), *high = call_in(c, 2);

    if (c->in[0]->type == DTYPE_F32) {
        const float a = low ? value_f32(low)[0] : node_float(c->node, "min", -INFINITY);
        const float b = high ? value_f32(high)[0] : node_float(c->node, "max", INFINITY);
        for (size_t i = 0; i < value_elements(c->in[0]); i++)
            value_f32(c->out[0])[i] = fminf(fmaxf(value_f32(c->in[0])[i], a), b);
    } else {
        const int64_t a = low ? value_i64(low)[0] : INT64_MIN, b = high ? value_i64(high)[0] : INT64_MAX;
        for (size_t i = 0; i < value_elements(c->in[0]); i++) {
            const int64_t x = value_i64(c->in[0])[i] < a ? a : value_i64(c->in[0])[i];
            value_i64(c->out[0])[i] = x > b ? b : x;
        }
    }
}

/* PRelu: a slope for each channel, or any shape that broadcasts to the input. */
static enum status infer_prelu(const struct call *c, struct fault *f)
{
    struct value joined = { 0 };

    if (c->in[0]->type != DTYPE_F32 || c->in[1]->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    if (!shape_broadcast(c->in[0], c->in[1], &joined) || !value_same_shape(&joined, c->in[0]))
        return op_refuse(c, f, "the slope does not broadcast to the input");
    call_set_like(c, 0, c->in[0]);
    return ST_OK;
}

static void prelu(const struct call *c)
{
    int64_t strides[LIMIT_TENSOR_RANK];
    struct walk w = {
        .rank = c->in[0]->rank, .noffsets = 1, .dims = c->in[0]->dims, .strides = { strides }
    };
    size_t i = 0;

    if (value_elements(c->in[0]) == 0)
        return;
    broadcast_strides(c->in[1], c->in[0], strides);
    do {
        const float x = value_f32(c->in[0])[i];
        value_f32(c->out[0])[i++] = x > 0 ? x : x * value_f32(c->in[1])[w.offset[0]];
    } while (walk_step(&w));
}

#define UNARY(title, first_opset, infer_with, run, attrs)                                               \
    {                                                                                                   \
        .name = title, .since = first_opset, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,      \
        .attributes = attrs, .infer = infer_with, .reference = run, .lower = lower_eltwise              \
    }

const struct op ops_unary[] = {
    UNARY("Relu", 1, infer_float, relu, ""),
    UNARY("LeakyRelu", 1, infer_float, leaky_relu, "f:alpha"),
    UNARY("Elu", 1, infer_float, elu, "f:alpha"),
    UNARY("HardSigmoid", 1, infer_float, hard_sigmoid, "f:alpha f:beta"),
    UNARY("HardSwish", 14, infer_float, hard_swish, ""),
    UNARY("Sigmoid", 1, infer_float, sigmoid, ""),
    UNARY("Tanh", 1, infer_float, tanh_, ""),
    UNARY("Softplus", 1, infer_float, softplus_, ""),
    UNARY("Softsign", 1, infer_float, softsign, ""),
    UNARY("Mish", 18, infer_float, mish, ""),
    UNARY("Gelu", 20, infer_float, gelu_, "s:approximate"),
    UNARY("Erf", 9, infer_float, erf_, ""),
    UNARY("Exp", 1, infer_float, exp_, ""),
    UNARY("Log", 1, infer_float, log_, ""),
    UNARY("Sqrt", 1, infer_float, sqrt_, ""),
    UNARY("Reciprocal", 1, infer_float, reciprocal, ""),
    UNARY("Floor", 1, infer_float, floor_, ""),
    UNARY("Ceil", 1, infer_float, ceil_, ""),
    UNARY("Round", 11, infer_float, round_, ""),
    UNARY("Sin", 7, infer_float, sin_, ""),
    UNARY("Cos", 7, infer_float, cos_, ""),
    UNARY("Tan", 7, infer_float, tan_, ""),
    UNARY("Asin", 7, infer_float, asin_, ""),
    UNARY("Acos", 7, infer_float, acos_, ""),
    UNARY("Atan", 7, infer_float, atan_, ""),
    UNARY("Sinh", 9, infer_float, sinh_, ""),
    UNARY("Cosh", 9, infer_float, cosh_, ""),
    UNARY("Sign", 9, infer_float, sign, ""),
    UNARY("Selu", 1, infer_float, selu, "f:alpha f:gamma"),
    UNARY("Celu", 12, infer_float, celu, "f:alpha"),
    UNARY("ThresholdedRelu", 10, infer_float, thresholded_relu, "f:alpha"),
    UNARY("Shrink", 9, infer_float, shrink, "f:lambd f:bias"),
    UNARY("IsNaN", 9, infer_to_bool, is_nan, ""),
    UNARY("Neg", 1, infer_signed, negate, ""),
    UNARY("Abs", 1, infer_signed, absolute, ""),
    UNARY("Not", 1, infer_bool, not_, ""),
    { .name = "Clip",
      .since = 1,
      .min_in = 1,
      .max_in = 3,
      .min_out = 1,
      .max_out = 1,
      .attributes = "f:min f:max",
      .infer = infer_clip,
      .reference = clip,
      .lower = lower_eltwise },
    { .name = "PRelu",
      .since = 1,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_prelu,
      .reference = prelu },
    { .name = "SiLU",
      .since = 0,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_float,
      .reference = silu,
      .lower = lower_eltwise,
      .internal = true },
    { 0 },
};
