/*
 * QuantizeLinear, DequantizeLinear and DynamicQuantizeLinear (ONNX, opsets 10 to 22): float32 to 8-bit
 * integers and back, with one scale and zero point for the tensor or one for each index of an axis. Not
 * supported: blocks (opset 21), 16-bit and 4-bit targets.
 */
#include <math.h>
#include "inference/ops/op.h"
#include "inference/ops/quantize.h"

int64_t quantize(double x, int64_t zero, enum dtype type)
{
    const double low = type == DTYPE_I8 ? -128 : 0, high = type == DTYPE_I8 ? 127 : 255;
    const double q = nearbyint(x) + (double)zero;

    return (int64_t)(q > low ? q < high ? q : high : low); /* NaN becomes the lowest */
}

enum status quantize_check(const struct call *c, const struct value *scale, const struct value *zero,
                           enum dtype type, int64_t channels, struct fault *f)
{
    const size_t n = value_elements(scale);

    if (scale->type != DTYPE_F32 || scale->rank > 1 || (n != 1 && n != (size_t)channels))
        return op_refuse(c, f, "a scale is neither one number nor one for each of %lld channels",
                         (long long)channels);
    if (zero && (zero->type != type || value_elements(zero) != n))
        return op_refuse(c, f, "a zero point does not fit its scale or its tensor");
    return ST_OK;
}

/* Scales and zero points of a tensor [outer, channels, inner]; one pair when channels is 1. */
struct scaling {
    const struct value *scale, *zero;
    size_t outer, channels, inner;
};

static struct scaling scaling_read(const struct call *c)
{
    const struct value *x = c->in[0];
    struct scaling s = { c->in[1], call_in(c, 2), 1, 1, value_elements(x) };
    const int64_t named = node_int(c->node, "axis", 1);
    const int axis = (int)(named < 0 ? named + x->rank : named);

    if (value_elements(s.scale) != 1) {
        s.outer = value_span(x, 0, axis);
        s.channels = (size_t)x->dims[axis];
        s.inner = value_span(x, axis + 1, x->rank);
    }
    return s;
}

static enum status check_scaling(const struct call *c, enum dtype type, struct fault *f)
{
    const struct value *x = c->in[0], *scale = c->in[1];
    int64_t channels = 1;
    enum status st;
    int axis;

    if (node_int(c->node, "block_size", 0) != 0 || scale->rank > 1)
        return op_unsupported(c, f, "scales for blocks; one for the tensor or one a channel will do");
    if (value_elements(scale) != 1) {
        if ((st = call_axis(c, node_int(c->node, "axis", 1), x->rank, &axis, f)) != ST_OK)
            return st;
        channels = x->dims[axis];
    }
    return quantize_check(c, scale, call_in(c, 2), type, channels, f);
}

static enum status infer_quantize(const struct call *c, struct fault *f)
{
    const struct value *zero = call_in(c, 2);
    const int64_t named = node_int(c->node, "output_dtype", 0);
    const enum dtype type = zero ? zero->type : named == 3 ? DTYPE_I8 : DTYPE_U8;
    enum status st;

    if (c->in[0]->type != DTYPE_F32 || (type != DTYPE_U8 && type != DTYPE_I8) ||
        (named != 0 && named != 2 && named != 3))
        return op_unsupported(c, f, "only float32 to 8 bits is supported");
    if ((st = check_scaling(c, type, f)) != ST_OK)
        return st;
    call_set_shape(c, 0, type, c->in[0]->rank, c->in[0]->dims);
    return ST_OK;
}

static void run_quantize(const struct call *c)
{
    const struct scaling s = scaling_read(c);
    const struct value *y = c->out[0];

    for (size_t o = 0; o < s.outer; o++)
        for (size_t m = 0; m < s.channels; m++) {
            const double scale = (double)value_f32(s.scale)[m];
            const int64_t zero = s.zero ? value_get_i64(s.zero, m) : 0;
            for (size_t i = 0; i < s.inner; i++) {
                const size_t at = (o * s.channels + m) * s.inner + i;
                value_u8(y)[at] =
                    (uint8_t)quantize((double)value_f32(c->in[0])[at] / scale, zero, y->type);
            }
        }
}

static enum status infer_dequantize(const struct call *c, struct fault *f)
{
    enum status st;

    if (c->in[0]->type == DTYPE_F32 || c->in[0]->type == DTYPE_BOOL)
        return op_refuse(c, f, "the input is not quantised but %s", dtype_name(c->in[0]->type));
    if ((st = check_scaling(c, c->in[0]->type, f)) != ST_OK)
        return st;
    call_set_shape(c, 0, DTYPE_F32, c->in[0]->rank, c->in[0]->dims);
    return ST_OK;
}

static void run_dequantize(const struct call *c)
{
    const struct scaling s = scaling_read(c);

    for (size_t o = 0; o < s.outer; o++)
        for (size_t m = 0; m < s.channels; m++) {
            const float scale = value_f32(s.scale)[m];
            const int64_t zero = s.zero ? value_get_i64(s.zero, m) : 0;
            for (size_t i = 0; i < s.inner; i++) {
                const size_t at = (o * s.channels + m) * s.inner + i;
                value_f32(c->out[0])[at] =
                    (float)(int64_t)((uint64_t)value_get_i64(c->in[0], at) - (uint64_t)zero) * scale;
            }
        }
}

static enum status infer_dynamic(const struct call *c, struct fault *f)
{
    if (c->in[0]->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    call_set_shape(c, 0, DTYPE_U8, c->in[0]->rank, c->in[0]->dims);
    call_set_shape(c, 1, DTYPE_F32, 0, NULL);
    call_set_shape(c, 2, DTYPE_U8, 0, NULL);
    return ST_OK;
}

/* The range always holds 0, so that zeros of padding stay exact. */
static void run_dynamic(const struct call *c)
{
    const float *x = value_f32(c->in[0]);
    const size_t n = value_elements(c->in[0]);
    float low = 0, high = 0, scale;
    int64_t zero;

    for (size_t i = 0; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    scale = high > low ? (high - low) / 255 : 1;
    zero = quantize((double)(-low / scale), 0, DTYPE_U8);
    if (c->out[0])
        for (size_t i = 0; i < n; i++)
            value_u8(c->out[0])[i] = (uint8_t)quantize((double)(x[i] / scale), zero, DTYPE_U8);
    if (call_out(c, 1))
        value_f32(c->out[1])[0] = scale;
    if (call_out(c, 2))
        value_u8(c->out[2])[0] = (uint8_t)zero;
}

const struct op ops_quantize[] = {
    { .name = "QuantizeLinear",
      .since = 10,
      .min_in = 2,
      .max_in = 3,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:axis i:saturate i:block_size i:output_dtype",
      .infer = infer_quantize,
      .reference = run_quantize },
    { .name = "DequantizeLinear",
      .since = 10,
      .min_in = 2,
      .max_in = 3,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:axis i:block_size",
      .infer = infer_dequantize,
      .reference = run_dequantize },
    { .name = "DynamicQuantizeLinear",
      .since = 11,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 3,
      .infer = infer_dynamic,
      .reference = run_dynamic },
    { 0 },
};
