/*
 * Dense arrays: sizes, shapes, broadcasting. See value.h.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/arena.h"
#include "inference/graph/value.h"

static const struct {
    const char *name;
    size_t size;
} dtypes[DTYPE__COUNT] = {
    [DTYPE_F32] = { "float32", 4 },   [DTYPE_I64] = { "int64", 8 }, [DTYPE_BOOL] = { "bool", 1 },
    [DTYPE_U8] = { "uint8", 1 },      [DTYPE_I8] = { "int8", 1 },   [DTYPE_F16] = { "float16", 2 },
    [DTYPE_BF16] = { "bfloat16", 2 },
};

size_t dtype_size(enum dtype t)
{
    return dtypes[t].size;
}

const char *dtype_name(enum dtype t)
{
    return dtypes[t].name;
}

bool value_count(const struct value *v, size_t *ret)
{
    size_t n = 1;
    bool empty = false;

    /* Zero dims are left out of the product so that a later huge dim is still refused. */
    for (int i = 0; i < v->rank; i++) {
        if (v->dims[i] < 0)
            return false;
        if (v->dims[i] == 0)
            empty = true;
        else if (!size_mul(n, (size_t)v->dims[i], &n) || n > LIMIT_TENSOR_ELEMENTS)
            return false;
    }
    *ret = empty ? 0 : n;
    return true;
}

size_t value_elements(const struct value *v)
{
    return value_span(v, 0, v->rank);
}

size_t value_bytes(const struct value *v)
{
    return value_elements(v) * dtype_size(v->type);
}

size_t value_span(const struct value *v, int from, int to)
{
    size_t n = 1;

    for (int i = from; i < to; i++)
        n *= (size_t)v->dims[i];
    return n;
}

bool value_same_shape(const struct value *a, const struct value *b)
{
    return a->rank == b->rank && memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) == 0;
}

const char *value_shape_text(const struct value *v, char *text, size_t size)
{
    size_t at = 0;

    snprintf(text, size, "scalar");
    for (int i = 0; i < v->rank && at < size; i++)
        at += (size_t)snprintf(text + at, size - at, "%s%lld", i ? "x" : "", (long long)v->dims[i]);
    return text;
}

static int64_t saturate(double d)
{
    if (!(d == d))
        return 0;
    if (d >= 9.2233720368547748e18)
        return INT64_MAX;
    if (d <= -9.2233720368547748e18)
        return INT64_MIN;
    return (int64_t)d;
}

int64_t value_get_i64(const struct value *v, size_t i)
{
    switch (v->type) {
    case DTYPE_F32:
        return saturate((double)value_f32(v)[i]);
    case DTYPE_I64:
        return value_i64(v)[i];
    case DTYPE_I8:
        return ((const int8_t *)v->data)[i];
    default:
        return value_u8(v)[i];
    }
}

double value_get_f64(const struct value *v, size_t i)
{
    return v->type == DTYPE_F32 ? (double)value_f32(v)[i] : (double)value_get_i64(v, i);
}

bool shape_broadcast(const struct value *a, const struct value *b, struct value *ret)
{
    const int rank = a->rank > b->rank ? a->rank : b->rank;
    int64_t dims[LIMIT_TENSOR_RANK] = { 0 };

    for (int i = 1; i <= rank; i++) {
        const int64_t da = i <= a->rank ? a->dims[a->rank - i] : 1;
        const int64_t db = i <= b->rank ? b->dims[b->rank - i] : 1;
        if (da != db && da != 1 && db != 1)
            return false;
        dims[rank - i] = da == 1 ? db : da;
    }
    ret->rank = rank;
    memcpy(ret->dims, dims, sizeof dims);
    return true;
}

void broadcast_strides(const struct value *in, const struct value *out,
                       int64_t strides[LIMIT_TENSOR_RANK])
{
    int64_t stride = 1;

    for (int i = out->rank - 1; i >= 0; i--) {
        const int k = i - (out->rank - in->rank);
        strides[i] = k >= 0 && in->dims[k] != 1 ? stride : 0;
        if (k >= 0)
            stride *= in->dims[k];
    }
}

bool walk_step(struct walk *w)
{
    for (int i = w->rank - 1; i >= 0; i--) {
        for (int k = 0; k < w->noffsets; k++)
            w->offset[k] += w->strides[k][i];
        if (++w->index[i] < w->dims[i])
            return true;
        for (int k = 0; k < w->noffsets; k++)
            w->offset[k] -= w->strides[k][i] * w->dims[i];
        w->index[i] = 0;
    }
    return false;
}
