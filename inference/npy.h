/*
 * NPY: one array a file, as NumPy writes it (format versions 1 to 3). A magic word, the length of a
 * header, the header (a Python dict of element type, order and shape, padded), then the elements.
 *
 * Read: little-endian float32, int64, uint8 and bool in C order, and float64, int32 and int8, which are
 * widened or kept as values hold them. Refused with the reason: other types, Fortran order, objects.
 * Written: version 1.0, the five types of values.
 */
#ifndef INFERENCE_NPY_H
#define INFERENCE_NPY_H

#include "base/text.h"
#include "inference/graph/value.h"
#include "base/status.h"

/*
 * The array in bytes [n], untrusted. ret->data is fresh memory, released with free(). ST_INVALID: not
 * NPY, damaged, or more or fewer bytes than the shape says; ST_UNSUPPORTED; ST_TOO_LARGE:
 * LIMIT_NPY_BYTES, LIMIT_TENSOR_RANK.
 */
enum status npy_read(const void *bytes, size_t n, struct value *ret, struct fault *f) MUST_USE;

/* Appends the whole file to b; check b->failed. */
void npy_write(const struct value *v, struct buffer *b);

#endif
