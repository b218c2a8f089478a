/*
 * Convolution and matrix products of 8-bit integers: ConvInteger, MatMulInteger (exact sums),
 * QLinearConv and QLinearMatMul (sums scaled and quantised again). Zero points are subtracted first;
 * padding counts as the zero point. int32 sums are held as int64, as all integers are (value.h).
 *
 * These definitions are for the tests and for the rare file that keeps them: the pass in
 * inference/graph/dequantise.c turns the usual chains into float32 ones.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/ops/gemm.h"
#include "inference/ops/quantize.h"
#include "inference/ops/window.h"

/* Entry i of a zero point that may be omitted, or be one for all. */
static int32_t zero_at(const struct value *zero, size_t i)
{
    return zero ? (int32_t)value_get_i64(zero, value_elements(zero) == 1 ? 0 : i) : 0;
}

static bool is_8_bit(const struct value *v)
{
    return v->type == DTYPE_U8 || v->type == DTYPE_I8;
}

/* Refuses zero points of the wrong type or count; NULL ones are fine. */
static enum status check_zero(const struct call *c, const struct value *zero, const struct value *of,
                              int64_t channels, struct fault *f)
{
    const size_t n = zero ? value_elements(zero) : 1;

    if (zero && (zero->type != of->type || (n != 1 && n != (size_t)channels)))
        return op_refuse(c, f, "a zero point does not fit its tensor");
    return ST_OK;
}

/* ---- convolution: x [N, C, H, W], weights [M, C/groups, kH, kW] */

struct integer_conv {
    struct window w;
    const struct value *x, *weights, *x_zero, *w_zero;
    int64_t ci, co, groups;
};

static enum status conv_check(const struct call *c, struct integer_conv *k, struct fault *f)
{
    enum status st;

    if (!is_8_bit(k->x) || !is_8_bit(k->weights))
        return op_refuse(c, f, "the operands are not 8-bit integers");
    if ((st = window_read(c, k->weights, false, &k->w, f)) != ST_OK)
        return st;
    k->ci = k->x->dims[1];
    k->co = k->weights->dims[0];
    k->groups = node_int(c->node, "group", 1);
    if (k->groups < 1 || k->co < 1 || k->ci < 1 || k->ci % k->groups || k->co % k->groups ||
        k->weights->dims[1] != k->ci / k->groups)
        return op_refuse(c, f, "the channels do not fit the weights and groups");
    if ((st = check_zero(c, k->x_zero, k->x, 1, f)) != ST_OK)
        return st;
    return check_zero(c, k->w_zero, k->weights, k->co, f);
}

/* int32 sums wrap, as integer operators do; signed overflow would be undefined. */
static int32_t wrapping_sum(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

/* Adds weight * (one input row, shifted and strided) to one row of sums. */
static void add_row(int32_t *y, const int32_t *x, int32_t weight, const struct window *w, int64_t kx)
{
    const int64_t shift = kx * w->dilation[1] - w->before[1], stride = w->stride[1];
    const int64_t from = shift < 0 ? (-shift + stride - 1) / stride : 0;
    int64_t to = shift >= w->in[1] ? 0 : (w->in[1] - 1 - shift) / stride + 1;

    to = to < w->out[1] ? to : w->out[1];
    for (int64_t i = from; i < to; i++)
        y[i] = wrapping_sum(y[i], weight * x[i * stride + shift]);
}

/* Sums of output channel m over the group's input channels x. */
static void convolve(const struct integer_conv *k, const int32_t *x, int64_t m, int32_t *sums)
{
    const struct window *w = &k->w;
    const int64_t channels = k->ci / k->groups, taps = w->kernel[0] * w->kernel[1];
    const int32_t zero = zero_at(k->w_zero, (size_t)m);

    memset(sums, 0, (size_t)(w->out[0] * w->out[1]) * sizeof *sums);
    for (int64_t i = 0; i < channels * taps; i++) {
        const int64_t c = i / taps, ky = i % taps / w->kernel[1], kx = i % w->kernel[1];
        const int32_t weight =
            (int32_t)value_get_i64(k->weights, (size_t)(m * channels * taps + i)) - zero;
        for (int64_t oy = 0; oy < w->out[0]; oy++) {
            const int64_t iy = oy * w->stride[0] + ky * w->dilation[0] - w->before[0];
            if (iy >= 0 && iy < w->in[0])
                add_row(sums + oy * w->out[1], x + (c * w->in[0] + iy) * w->in[1], weight, w, kx);
        }
    }
}

/* Calls sink with the sums of each plane, in the order of the output. No memory: sums of zero. */
static void conv_run(const struct call *c, const struct integer_conv *k,
                     void (*sink)(const struct call *c, size_t plane, const int32_t *sums, size_t n))
{
    const size_t nx = value_elements(k->x), image = value_span(k->x, 1, k->x->rank);
    const size_t plane = (size_t)(k->w.out[0] * k->w.out[1]);
    int32_t *x = malloc((nx + 1) * sizeof *x), *sums = calloc(plane + 1, sizeof *sums);

    for (size_t i = 0; x && i < nx; i++)
        x[i] = (int32_t)value_get_i64(k->x, i) - zero_at(k->x_zero, 0);
    for (int64_t n = 0; sums && n < k->x->dims[0]; n++)
        for (int64_t m = 0; m < k->co; m++) {
            const int64_t first = m / (k->co / k->groups) * (k->ci / k->groups);
            if (x)
                convolve(k, x + (size_t)n * image + first * k->w.in[0] * k->w.in[1], m, sums);
            sink(c, (size_t)(n * k->co + m), sums, plane);
        }
    free(x);
    free(sums);
}

static struct integer_conv conv_operands(const struct call *c)
{
    return (struct integer_conv){
        .x = c->in[0], .weights = c->in[1], .x_zero = call_in(c, 2), .w_zero = call_in(c, 3)
    };
}

static enum status infer_conv(const struct call *c, struct fault *f)
{
    struct integer_conv k = conv_operands(c);
    enum status st = conv_check(c, &k, f);

    if (st != ST_OK)
        return st;
    window_set_output(c, &k.w, k.co);
    c->out[0]->type = DTYPE_I64;
    return ST_OK;
}

static void keep_sums(const struct call *c, size_t plane, const int32_t *sums, size_t n)
{
    for (size_t i = 0; i < n; i++)
        value_i64(c->out[0])[plane * n + i] = sums[i];
}

static void run_conv(const struct call *c)
{
    struct integer_conv k = conv_operands(c);

    if (conv_check(c, &k, NULL) == ST_OK)
        conv_run(c, &k, keep_sums);
}

/* QLinearConv: x, its scale and zero, weights with theirs, the output's, and an int32 bias. */
enum { Q_X, Q_X_SCALE, Q_X_ZERO, Q_W, Q_W_SCALE, Q_W_ZERO, Q_Y_SCALE, Q_Y_ZERO, Q_BIAS };

static struct integer_conv qlinear_operands(const struct call *c)
{
    return (struct integer_conv){
        .x = c->in[Q_X], .weights = c->in[Q_W], .x_zero = c->in[Q_X_ZERO], .w_zero = c->in[Q_W_ZERO]
    };
}

static enum status infer_qlinear_conv(const struct call *c, struct fault *f)
{
    struct integer_conv k = qlinear_operands(c);
    const struct value *bias = call_in(c, Q_BIAS), *y_zero = c->in[Q_Y_ZERO];
    enum status st;

    if ((st = conv_check(c, &k, f)) != ST_OK ||
        (st = quantize_check(c, c->in[Q_X_SCALE], NULL, DTYPE_U8, 1, f)) != ST_OK ||
        (st = quantize_check(c, c->in[Q_W_SCALE], NULL, DTYPE_U8, k.co, f)) != ST_OK ||
        (st = quantize_check(c, c->in[Q_Y_SCALE], y_zero, y_zero->type, 1, f)) != ST_OK)
        return st;
    if (!is_8_bit(y_zero) ||
        (bias && (bias->type != DTYPE_I64 || bias->rank != 1 || bias->dims[0] != k.co)))
        return op_refuse(c, f, "the bias or the output's zero point does not fit");
    window_set_output(c, &k.w, k.co);
    c->out[0]->type = y_zero->type;
    return ST_OK;
}

static void requantize_plane(const struct call *c, size_t plane, const int32_t *sums, size_t n)
{
    const size_t m = plane % (size_t)c->in[Q_W]->dims[0];
    const size_t scales = value_elements(c->in[Q_W_SCALE]);
    const double scale = (double)value_f32(c->in[Q_X_SCALE])[0] *
                         (double)value_f32(c->in[Q_W_SCALE])[scales == 1 ? 0 : m] /
                         (double)value_f32(c->in[Q_Y_SCALE])[0];
    const int64_t bias = call_in(c, Q_BIAS) ? value_i64(c->in[Q_BIAS])[m] : 0;

    for (size_t i = 0; i < n; i++)
        value_u8(c->out[0])[plane * n + i] = (uint8_t)quantize(
            ((double)bias + sums[i]) * scale, zero_at(c->in[Q_Y_ZERO], 0), c->out[0]->type);
}

static void run_qlinear_conv(const struct call *c)
{
    struct integer_conv k = qlinear_operands(c);

    if (conv_check(c, &k, NULL) == ST_OK)
        conv_run(c, &k, requantize_plane);
}

/* ---- matrix products: a [.., m, k], b [.., k, n]; zero points of b may be one a column */

static enum status product_check(const struct call *c, const struct value *a, const struct value *b,
                                 const struct value *a_zero, const struct value *b_zero, enum dtype type,
                                 struct fault *f)
{
    struct matmul p;
    struct value y;
    enum status st;

    if (!is_8_bit(a) || !is_8_bit(b))
        return op_refuse(c, f, "the operands are not 8-bit integers");
    if (!matmul_read(a, b, &p))
        return op_refuse(c, f, "the shapes do not fit a matrix product");
    if ((st = check_zero(c, a_zero, a, 1, f)) != ST_OK ||
        (st = check_zero(c, b_zero, b, p.n, f)) != ST_OK)
        return st;
    y = p.batch;
    if (a->rank > 1)
        y.dims[y.rank++] = p.m;
    if (b->rank > 1)
        y.dims[y.rank++] = p.n;
    call_set_shape(c, 0, type, y.rank, y.dims);
    return ST_OK;
}

/* One product [m, n] of each batch entry, handed out row by row as row index and sums [n]. */
static void product_run(const struct call *c, const struct value *a, const struct value *b,
                        const struct value *a_zero, const struct value *b_zero,
                        void (*sink)(const struct call *c, size_t row, const int32_t *sums, size_t n))
{
    struct matmul p;
    int64_t sa[LIMIT_TENSOR_RANK], sb[LIMIT_TENSOR_RANK];
    struct value batch_a, batch_b;
    struct walk w = { .noffsets = 2, .strides = { sa, sb } };
    int32_t *sums;
    size_t row = 0;

    if (!matmul_read(a, b, &p) || value_elements(c->out[0]) == 0 ||
        !(sums = calloc((size_t)p.n, sizeof *sums)))
        return;
    batch_a = p.a, batch_b = p.b;
    batch_a.rank -= 2, batch_b.rank -= 2;
    w.rank = p.batch.rank, w.dims = p.batch.dims;
    broadcast_strides(&batch_a, &p.batch, sa);
    broadcast_strides(&batch_b, &p.batch, sb);
    do
        for (int64_t i = 0; i < p.m; i++) {
            memset(sums, 0, (size_t)p.n * sizeof *sums);
            for (int64_t k = 0; k < p.k; k++) {
                const size_t at = (size_t)((w.offset[0] * p.m + i) * p.k + k);
                const int32_t x = (int32_t)value_get_i64(a, at) - zero_at(a_zero, 0);
                for (int64_t j = 0; j < p.n; j++)
                    sums[j] = wrapping_sum(
                        sums[j],
                        x * ((int32_t)value_get_i64(b, (size_t)((w.offset[1] * p.k + k) * p.n + j)) -
                             zero_at(b_zero, (size_t)j)));
            }
            sink(c, row++, sums, (size_t)p.n);
        }
    while (walk_step(&w));
    free(sums);
}

static enum status infer_matmul(const struct call *c, struct fault *f)
{
    return product_check(c, c->in[0], c->in[1], call_in(c, 2), call_in(c, 3), DTYPE_I64, f);
}

static void run_matmul(const struct call *c)
{
    product_run(c, c->in[0], c->in[1], call_in(c, 2), call_in(c, 3), keep_sums);
}

static enum status infer_qlinear_matmul(const struct call *c, struct fault *f)
{
    const struct value *a = c->in[0], *b = c->in[Q_W], *y_zero = c->in[Q_Y_ZERO];
    const int64_t columns = b->rank > 0 ? b->dims[b->rank - 1] : 1;
    enum status st;

    if (!is_8_bit(y_zero))
        return op_refuse(c, f, "the output is not an 8-bit integer");
    if ((st = quantize_check(c, c->in[Q_X_SCALE], NULL, DTYPE_U8, 1, f)) != ST_OK ||
        (st = quantize_check(c, c->in[Q_W_SCALE], NULL, DTYPE_U8, columns, f)) != ST_OK ||
        (st = quantize_check(c, c->in[Q_Y_SCALE], y_zero, y_zero->type, 1, f)) != ST_OK)
        return st;
    return product_check(c, a, b, c->in[Q_X_ZERO], c->in[Q_W_ZERO], y_zero->type, f);
}

static void requantize_row(const struct call *c, size_t row, const int32_t *sums, size_t n)
{
    const struct value *scales = c->in[Q_W_SCALE];

    for (size_t j = 0; j < n; j++) {
        const double scale = (double)value_f32(c->in[Q_X_SCALE])[0] *
                             (double)value_f32(scales)[value_elements(scales) == 1 ? 0 : j] /
                             (double)value_f32(c->in[Q_Y_SCALE])[0];
        value_u8(c->out[0])[row * n + j] =
            (uint8_t)quantize((double)sums[j] * scale, zero_at(c->in[Q_Y_ZERO], 0), c->out[0]->type);
    }
}

static void run_qlinear_matmul(const struct call *c)
{
    product_run(c, c->in[0], c->in[Q_W], c->in[Q_X_ZERO], c->in[Q_W_ZERO], requantize_row);
}

#define WINDOW "s:auto_pad I:dilations i:group I:kernel_shape I:pads I:strides"
#define INTEGER(title, least_in, most_in, attrs, infer_with, run)                                       \
    {                                                                                                   \
        .name = title, .since = 10, .min_in = least_in, .max_in = most_in, .min_out = 1, .max_out = 1,  \
        .attributes = attrs, .infer = infer_with, .reference = run, .heavy = true                       \
    }

const struct op ops_integer[] = {
    INTEGER("ConvInteger", 2, 4, WINDOW, infer_conv, run_conv),
    INTEGER("MatMulInteger", 2, 4, "", infer_matmul, run_matmul),
    INTEGER("QLinearConv", 8, 9, WINDOW, infer_qlinear_conv, run_qlinear_conv),
    INTEGER("QLinearMatMul", 8, 8, "", infer_qlinear_matmul, run_qlinear_matmul),
    { 0 },
};
