/*
 * Cast and CastLike: between the element types of values. Float to integer truncates and saturates; to
 * bool is "not zero". The types of the file are widened as constants are (value.h).
 */
#include "inference/ops/op.h"

/* ONNX element types that a Cast may name. */
static bool target(int64_t to, enum dtype *ret)
{
    switch (to) {
    case 1:  /* float */
    case 10: /* float16 */
    case 11: /* double */
    case 16: /* bfloat16 */
        *ret = DTYPE_F32;
        return true;
    case 6: /* int32 */
    case 7: /* int64 */
        *ret = DTYPE_I64;
        return true;
    case 2:
        *ret = DTYPE_U8;
        return true;
    case 3:
        *ret = DTYPE_I8;
        return true;
    case 9:
        *ret = DTYPE_BOOL;
        return true;
    default:
        return false;
    }
}

static enum status infer(const struct call *c, struct fault *f)
{
    enum dtype type;

    if (!target(node_int(c->node, "to", 0), &type))
        return op_unsupported(c, f, "element type %lld", (long long)node_int(c->node, "to", 0));
    call_set_shape(c, 0, type, c->in[0]->rank, c->in[0]->dims);
    return ST_OK;
}

static enum status infer_like(const struct call *c, struct fault *f)
{
    (void)f;
    call_set_shape(c, 0, c->in[1]->type, c->in[0]->rank, c->in[0]->dims);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0];
    const size_t n = value_elements(x);

    for (size_t i = 0; i < n; i++)
        switch (y->type) {
        case DTYPE_F32:
            value_f32(y)[i] = x->type == DTYPE_F32 ? value_f32(x)[i] : (float)value_get_i64(x, i);
            break;
        case DTYPE_I64:
            value_i64(y)[i] = value_get_i64(x, i);
            break;
        case DTYPE_BOOL:
            value_u8(y)[i] = x->type == DTYPE_F32 ? value_f32(x)[i] != 0 : value_get_i64(x, i) != 0;
            break;
        default: { /* 8-bit targets saturate */
            const int64_t low = y->type == DTYPE_I8 ? -128 : 0, high = y->type == DTYPE_I8 ? 127 : 255;
            const int64_t v = value_get_i64(x, i);
            value_u8(y)[i] = (uint8_t)(v < low ? low : v > high ? high : v);
        }
        }
}

const struct op ops_cast[] = {
    { .name = "Cast",
      .since = 6,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:to i:saturate",
      .infer = infer,
      .reference = reference },
    { .name = "CastLike",
      .since = 15,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:saturate",
      .infer = infer_like,
      .reference = reference },
    { 0 },
};
