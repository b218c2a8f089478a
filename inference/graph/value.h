/*
 * Dense arrays: the one kind of data that operators see.
 *
 * A value is row-major without gaps. Files hold more element types; readers widen them to these five
 * (float16, bfloat16 and double become float32, 16/32-bit integers become int64), so that an operator
 * has few cases.
 */
#ifndef INFERENCE_GRAPH_VALUE_H
#define INFERENCE_GRAPH_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/limits.h"

enum dtype {
    DTYPE_F32,
    DTYPE_I64,
    DTYPE_BOOL,
    DTYPE_U8,
    DTYPE_I8,
    DTYPE_F16, /* only what a plan stores between its steps: no operator sees them */
    DTYPE_BF16,
    DTYPE__COUNT
};

struct value {
    enum dtype type;
    int rank;
    int64_t dims[LIMIT_TENSOR_RANK]; /* >= 0; -1 in a graph input that is not bound yet */
    void *data;                      /* NULL: not known (at load) or not placed (at run) */
};

size_t dtype_size(enum dtype t);
const char *dtype_name(enum dtype t);

/* Product of the dims; false when a dim is negative or the product passes LIMIT_TENSOR_ELEMENTS. */
bool value_count(const struct value *v, size_t *ret);
/* The same where infer has already checked it. */
size_t value_elements(const struct value *v);
size_t value_bytes(const struct value *v);
bool value_same_shape(const struct value *a, const struct value *b);
/* "1x3x640x640" into text, cut when it does not fit; returns text. */
const char *value_shape_text(const struct value *v, char *text, size_t size);

/* Elements from dim `from` up to but not including `to`. */
size_t value_span(const struct value *v, int from, int to);

static inline float *value_f32(const struct value *v)
{
    return v->data;
}
static inline int64_t *value_i64(const struct value *v)
{
    return v->data;
}
static inline uint8_t *value_u8(const struct value *v)
{
    return v->data;
}

/* Element i of an integer, bool or float value as int64; floats are truncated, out of range saturates.
 */
int64_t value_get_i64(const struct value *v, size_t i);
double value_get_f64(const struct value *v, size_t i);

/* NumPy broadcasting, right-aligned. False when the shapes do not agree. ret: type untouched. */
bool shape_broadcast(const struct value *a, const struct value *b, struct value *ret);

/* Element strides of `in` when it is walked with the dims of `out`: 0 where it is broadcast. */
void broadcast_strides(const struct value *in, const struct value *out,
                       int64_t strides[LIMIT_TENSOR_RANK]);

/*
 * Walks an index over dims in row-major order, keeping up to three linear offsets up to date.
 * Zero-initialise index and offset; step returns false after the last position.
 */
struct walk {
    int rank, noffsets;
    const int64_t *dims;
    const int64_t *strides[3];
    int64_t index[LIMIT_TENSOR_RANK];
    int64_t offset[3];
};
bool walk_step(struct walk *w);

#endif
