/* NPY arrays: see npy.h. */
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/limits.h"
#include "inference/literal.h"
#include "inference/npy.h"

static const char magic[] = { '\x93', 'N', 'U', 'M', 'P', 'Y' };

/* How a file names an element type, and what becomes of it. */
static const struct npy_type {
    const char *name;
    enum dtype type;
    size_t size; /* in the file */
} types[] = {
    { "<f4", DTYPE_F32, 4 }, { "<i8", DTYPE_I64, 8 }, { "|b1", DTYPE_BOOL, 1 },
    { "|u1", DTYPE_U8, 1 },  { "|i1", DTYPE_I8, 1 },  { "<f8", DTYPE_F32, 8 },
    { "<i4", DTYPE_I64, 4 }, { "<u1", DTYPE_U8, 1 },  { "<i1", DTYPE_I8, 1 },
};
enum { NTYPES = sizeof types / sizeof *types };

/* The header's dict; *ret_offset: where the elements begin. */
static enum status read_header(const uint8_t *p, size_t n, struct slice *ret, size_t *ret_offset,
                               struct fault *f)
{
    size_t length, start;

    if (n < 10 || memcmp(p, magic, sizeof magic) != 0)
        return fault_set(f, ST_INVALID, "file", "is not an NPY array");
    if (p[6] < 1 || p[6] > 3)
        return fault_set(f, ST_UNSUPPORTED, "file", "NPY version %d is not known", p[6]);
    start = p[6] == 1 ? 10 : 12;
    length = p[8] + ((size_t)p[9] << 8);
    if (p[6] > 1) {
        if (n < start)
            return fault_set(f, ST_INVALID, "file", "the header of the array is cut off");
        length += ((size_t)p[10] << 16) + ((size_t)p[11] << 24);
    }
    if (length > LIMIT_NPY_HEADER_BYTES)
        return fault_set(f, ST_TOO_LARGE, "file", "the header of the array is over %d bytes",
                         LIMIT_NPY_HEADER_BYTES);
    if (length > n - start)
        return fault_set(f, ST_INVALID, "file", "the header of the array is cut off");
    *ret = (struct slice){ (const char *)p + start, length };
    *ret_offset = start + length;
    return ST_OK;
}

static enum status read_shape(const struct literal *shape, struct value *v, struct fault *f)
{
    int64_t dims[LIMIT_TENSOR_RANK];
    size_t rank = 0, count;

    if (!shape || (shape->kind != LITERAL_TUPLE && shape->kind != LITERAL_LIST))
        return fault_set(f, ST_INVALID, "file", "the header of the array has no shape");
    if (shape->items.n > LIMIT_TENSOR_RANK)
        return fault_set(f, ST_TOO_LARGE, "file", "the array has more than %d dimensions",
                         LIMIT_TENSOR_RANK);
    if (shape->items.n > 0 &&
        (!literal_ints(shape, dims, LIMIT_TENSOR_RANK, &rank) || rank != shape->items.n))
        return fault_set(f, ST_INVALID, "file", "the shape of the array is not a list of integers");
    v->rank = (int)rank;
    memcpy(v->dims, dims, rank * sizeof dims[0]);
    if (!value_count(v, &count))
        return fault_set(f, ST_TOO_LARGE, "file", "the array is too large");
    return ST_OK;
}

static enum status read_type(const struct literal *name, const struct npy_type **ret, struct fault *f)
{
    if (!name || name->kind != LITERAL_STRING)
        return fault_set(f, ST_INVALID, "file", "the header of the array names no element type");
    for (int i = 0; i < NTYPES; i++)
        if (name->text.n == strlen(types[i].name) &&
            memcmp(name->text.p, types[i].name, name->text.n) == 0) {
            *ret = &types[i];
            return ST_OK;
        }
    return fault_set(f, ST_UNSUPPORTED, "file",
                     "the elements of the array are neither float32, int64, uint8 nor bool");
}

static enum status read_description(struct slice header, struct arena *a, struct value *v,
                                    const struct npy_type **ret, struct fault *f)
{
    const struct literal *dict = NULL, *order;
    enum status st;

    if (literal_read(header, a, &dict, NULL) != ST_OK || dict->kind != LITERAL_DICT)
        return fault_set(f, ST_INVALID, "file", "the header of the array cannot be read");
    order = literal_get(dict, "fortran_order");
    if (!order || order->kind != LITERAL_BOOL)
        return fault_set(f, ST_INVALID, "file", "the header of the array names no order");
    if (order->boolean)
        return fault_set(f, ST_UNSUPPORTED, "file",
                         "the array is in Fortran order; save it with numpy.ascontiguousarray");
    if ((st = read_type(literal_get(dict, "descr"), ret, f)) != ST_OK ||
        (st = read_shape(literal_get(dict, "shape"), v, f)) != ST_OK)
        return st;
    v->type = (*ret)->type;
    return ST_OK;
}

static void widen(const struct npy_type *t, const uint8_t *from, size_t n, void *to)
{
    for (size_t i = 0; i < n; i++) {
        if (t->type == DTYPE_F32) {
            double x;
            memcpy(&x, from + i * sizeof x, sizeof x);
            ((float *)to)[i] = (float)x;
        } else {
            int32_t x;
            memcpy(&x, from + i * sizeof x, sizeof x);
            ((int64_t *)to)[i] = x;
        }
    }
}

static void read_elements(const struct npy_type *t, const uint8_t *from, size_t n, struct value *v)
{
    if (t->size != dtype_size(t->type))
        widen(t, from, n, v->data);
    else if (t->type == DTYPE_BOOL)
        for (size_t i = 0; i < n; i++)
            value_u8(v)[i] = from[i] != 0;
    else if (n)
        memcpy(v->data, from, n * t->size);
}

enum status npy_read(const void *bytes, size_t n, struct value *ret, struct fault *f)
{
    const uint8_t *p = bytes;
    const struct npy_type *type = NULL;
    struct slice header;
    struct value v = { 0 };
    struct arena *a = NULL;
    size_t offset, count, size;
    enum status st;

    if (n > LIMIT_NPY_BYTES)
        return fault_set(f, ST_TOO_LARGE, "file", "the array is over %lld bytes",
                         (long long)LIMIT_NPY_BYTES);
    if ((st = read_header(p, n, &header, &offset, f)) != ST_OK)
        return st;
    if (!(a = arena_create(1 << 20)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = read_description(header, a, &v, &type, f)) != ST_OK)
        goto out;
    count = value_elements(&v);
    if (!size_mul(count, type->size, &size) || size != n - offset)
        st = fault_set(f, ST_INVALID, "file", "the array has %zu bytes of elements, its shape wants %zu",
                       n - offset, size);
    else if (!(v.data = malloc(value_bytes(&v) + 1)))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (st != ST_OK)
        goto out;
    read_elements(type, p + offset, count, &v);
    *ret = v;
out:
    arena_free(a);
    return st;
}

void npy_write(const struct value *v, struct buffer *b)
{
    enum { ALIGNMENT = 64, PREFIX = 10 };
    struct buffer header = { .n = 0 };
    const char *name = "";
    size_t padding;

    for (int i = NTYPES - 1; i >= 0; i--)
        if (types[i].type == v->type && types[i].size == dtype_size(v->type))
            name = types[i].name;
    buffer_printf(&header, "{'descr': '%s', 'fortran_order': False, 'shape': (", name);
    for (int i = 0; i < v->rank; i++)
        buffer_printf(&header, "%lld%s", (long long)v->dims[i],
                      v->rank == 1      ? ","
                      : i + 1 < v->rank ? ", "
                                        : "");
    buffer_text(&header, "), }");
    padding = ALIGNMENT - (PREFIX + header.n + 1) % ALIGNMENT;
    for (size_t i = 0; i < padding; i++)
        buffer_char(&header, ' ');
    buffer_char(&header, '\n');
    buffer_bytes(b, magic, sizeof magic);
    buffer_bytes(b, "\1", 2);
    buffer_char(b, (char)(header.n & 255));
    buffer_char(b, (char)(header.n >> 8));
    buffer_bytes(b, header.p, header.n);
    buffer_bytes(b, v->data, value_bytes(v));
    b->failed |= header.failed;
    buffer_free(&header);
}
