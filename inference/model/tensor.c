/*
 * Tensors of an ONNX file: dims, then elements from raw_data or from one of the typed fields. Every
 * length is compared with the product of the dims before anything is allocated. Narrow types are widened
 * (value.h).
 */
#include <string.h>
#include "inference/model/tensor.h"

enum {
    FILE_F32 = 1,
    FILE_U8,
    FILE_I8,
    FILE_U16,
    FILE_I16,
    FILE_I32,
    FILE_I64,
    FILE_STRING,
    FILE_BOOL,
    FILE_F16,
    FILE_F64,
    FILE_U32,
    FILE_U64,
    FILE_BF16 = 16
};

/* Which typed field of the message carries this element type when raw_data is absent. */
enum carrier { IN_FLOAT, IN_INT32, IN_INT64, IN_DOUBLE };

static const struct file_type {
    int32_t data_type;
    enum dtype dtype;
    size_t size;
    enum carrier carrier;
} file_types[] = {
    { FILE_F32, DTYPE_F32, 4, IN_FLOAT },  { FILE_U8, DTYPE_U8, 1, IN_INT32 },
    { FILE_I8, DTYPE_I8, 1, IN_INT32 },    { FILE_I32, DTYPE_I64, 4, IN_INT32 },
    { FILE_I64, DTYPE_I64, 8, IN_INT64 },  { FILE_BOOL, DTYPE_BOOL, 1, IN_INT32 },
    { FILE_F16, DTYPE_F32, 2, IN_INT32 },  { FILE_F64, DTYPE_F32, 8, IN_DOUBLE },
    { FILE_BF16, DTYPE_F32, 2, IN_INT32 },
};

static const struct file_type *file_type(int32_t data_type)
{
    for (size_t i = 0; i < sizeof file_types / sizeof file_types[0]; i++)
        if (file_types[i].data_type == data_type)
            return &file_types[i];
    return NULL;
}

bool tensor_dtype(int32_t data_type, enum dtype *ret)
{
    const struct file_type *ft = file_type(data_type);

    if (ft)
        *ret = ft->dtype;
    return ft != NULL;
}

static float from_bits(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

/* IEEE 754 binary16: subnormals are scaled, all-ones exponents are infinities and NaN. */
static float from_half(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16, exponent = (h >> 10) & 31,
                   fraction = h & 0x3ffu;
    const float tiny = (float)fraction * 0x1p-24f;

    if (exponent == 0)
        return sign ? -tiny : tiny;
    if (exponent == 31)
        return from_bits(sign | 0x7f800000u | fraction << 13);
    return from_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

static void store_raw(const struct file_type *ft, const uint8_t *p, size_t i, void *data)
{
    uint64_t bits = 0;
    double wide;

    for (size_t b = 0; b < ft->size; b++)
        bits |= (uint64_t)p[i * ft->size + b] << (8 * b);
    switch (ft->data_type) {
    case FILE_F32:
        ((float *)data)[i] = from_bits((uint32_t)bits);
        break;
    case FILE_F16:
        ((float *)data)[i] = from_half((uint16_t)bits);
        break;
    case FILE_BF16:
        ((float *)data)[i] = from_bits((uint32_t)bits << 16);
        break;
    case FILE_F64:
        memcpy(&wide, &bits, sizeof wide);
        ((float *)data)[i] = (float)wide;
        break;
    case FILE_I32:
        ((int64_t *)data)[i] = (int32_t)bits;
        break;
    case FILE_I64:
        ((int64_t *)data)[i] = (int64_t)bits;
        break;
    case FILE_BOOL:
        ((uint8_t *)data)[i] = bits != 0;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)bits;
    }
}

static void store_int32(const struct file_type *ft, int32_t x, size_t i, void *data)
{
    switch (ft->data_type) {
    case FILE_F16:
        ((float *)data)[i] = from_half((uint16_t)x);
        break;
    case FILE_BF16:
        ((float *)data)[i] = from_bits((uint32_t)(uint16_t)x << 16);
        break;
    case FILE_I32:
        ((int64_t *)data)[i] = x;
        break;
    case FILE_BOOL:
        ((uint8_t *)data)[i] = x != 0;
        break;
    default:
        ((uint8_t *)data)[i] = (uint8_t)x;
    }
}

static size_t typed_count(const struct file_type *ft, const Onnxfile__Tensor *t)
{
    switch (ft->carrier) {
    case IN_FLOAT:
        return t->n_float_data;
    case IN_INT32:
        return t->n_int32_data;
    case IN_INT64:
        return t->n_int64_data;
    default:
        return t->n_double_data;
    }
}

static void store_typed(const struct file_type *ft, const Onnxfile__Tensor *t, size_t n, void *data)
{
    for (size_t i = 0; i < n; i++)
        switch (ft->carrier) {
        case IN_FLOAT:
            ((float *)data)[i] = t->float_data[i];
            break;
        case IN_INT32:
            store_int32(ft, t->int32_data[i], i, data);
            break;
        case IN_INT64:
            ((int64_t *)data)[i] = t->int64_data[i];
            break;
        default:
            ((float *)data)[i] = (float)t->double_data[i];
        }
}

static enum status read_dims(const Onnxfile__Tensor *t, const char *what, struct value *v,
                             size_t *ret_count, struct fault *f)
{
    if (t->n_dims > LIMIT_TENSOR_RANK)
        return fault_set(f, ST_TOO_LARGE, "model", "tensor \"%s\": rank %zu is over the limit of %d",
                         what, t->n_dims, LIMIT_TENSOR_RANK);
    v->rank = (int)t->n_dims;
    for (size_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] < 0)
            return fault_set(f, ST_INVALID, "model", "tensor \"%s\" has a negative dimension", what);
        v->dims[i] = t->dims[i];
    }
    if (!value_count(v, ret_count))
        return fault_set(f, ST_TOO_LARGE, "model", "tensor \"%s\": its dimensions overflow the limit",
                         what);
    return ST_OK;
}

struct raw {
    const uint8_t *p;
    size_t n;
    bool in_file; /* and there to stay; else in the message */
};

/* False: given twice, long and short (slim.h), so that which came last is lost. */
static bool find_raw(const struct tensor_place *place, const Onnxfile__Tensor *t, struct raw *ret)
{
    if (t->has_raw_bytes &&
        (t->has_raw_data || t->raw_bytes > place->n || t->raw_at > place->n - t->raw_bytes))
        return false;
    if (t->has_raw_bytes)
        *ret = (struct raw){ place->file + t->raw_at, (size_t)t->raw_bytes, true };
    else
        *ret = (struct raw){ t->raw_data.data, t->has_raw_data ? t->raw_data.len : 0, false };
    return true;
}

/* The type in the file is the type of the value, bit for bit. */
static bool same_bits(const struct file_type *ft)
{
    return ft->data_type == FILE_F32 || ft->data_type == FILE_I64 || ft->data_type == FILE_U8 ||
           ft->data_type == FILE_I8;
}

/* A value of floats that no evaluation will look at: its shape is all that is wanted. */
static bool only_outlined(const struct tensor_place *place, const struct value *v, size_t count)
{
    return place->weights == ONNX_WEIGHTS_OUTLINED && v->type == DTYPE_F32 &&
           count > GRAPH_FOLD_ELEMENTS;
}

static enum status read_raw(const struct tensor_place *place, const struct file_type *ft,
                            const struct raw *raw, size_t count, struct value *v, struct fault *f)
{
    const bool aligned = (uintptr_t)raw->p % dtype_size(v->type) == 0;

    if (raw->in_file && (only_outlined(place, v, count) ||
                         (place->weights != ONNX_WEIGHTS_COPIED && same_bits(ft) && aligned))) {
        v->data = (void *)(uintptr_t)raw->p; /* constants are only ever read */
        return ST_OK;
    }
    if (!(v->data = arena_array(place->arena, count + 1, dtype_size(v->type))))
        return fault_set(f, ST_TOO_LARGE, "model", "the tensors of the model are too large");
    if (same_bits(ft) && raw->n)
        memcpy(v->data, raw->p, raw->n);
    for (size_t i = 0; !same_bits(ft) && i < count; i++)
        store_raw(ft, raw->p, i, v->data);
    return ST_OK;
}

static enum status read_typed(const struct tensor_place *place, const struct file_type *ft,
                              const Onnxfile__Tensor *t, const char *what, size_t count, struct value *v,
                              struct fault *f)
{
    if (typed_count(ft, t) != count)
        return fault_set(f, ST_INVALID, "model",
                         "tensor \"%s\" should have %zu elements, the file has %zu", what, count,
                         typed_count(ft, t));
    if (!(v->data = arena_array(place->arena, count + 1, dtype_size(v->type))))
        return fault_set(f, ST_TOO_LARGE, "model", "the tensors of the model are too large");
    store_typed(ft, t, count, v->data);
    return ST_OK;
}

enum status tensor_read(const struct tensor_place *place, const Onnxfile__Tensor *t, const char *what,
                        struct value *ret, struct fault *f)
{
    const struct file_type *ft = file_type(t->data_type);
    struct raw raw;
    struct value v = { 0 };
    size_t count, bytes;
    enum status st;

    if (t->n_external_data || t->data_location == 1)
        return fault_set(f, ST_UNSUPPORTED, "model",
                         "tensor \"%s\" keeps its data in another file: save the model as one file",
                         what);
    if (!ft)
        return fault_set(f, ST_UNSUPPORTED, "model",
                         "tensor \"%s\" has element type %d, which is not supported", what,
                         t->data_type);
    if (!find_raw(place, t, &raw))
        return fault_set(f, ST_INVALID, "model", "tensor \"%s\" has its data twice", what);
    if ((st = read_dims(t, what, &v, &count, f)) != ST_OK)
        return st;
    v.type = ft->dtype;
    if (!t->has_raw_data && !t->has_raw_bytes) {
        st = read_typed(place, ft, t, what, count, &v, f);
    } else if (!size_mul(count, ft->size, &bytes) || raw.n != bytes) {
        st = fault_set(f, ST_INVALID, "model", "tensor \"%s\" should have %zu bytes, the file has %zu",
                       what, bytes, raw.n);
    } else {
        st = read_raw(place, ft, &raw, count, &v, f);
    }
    if (st == ST_OK)
        *ret = v;
    return st;
}
