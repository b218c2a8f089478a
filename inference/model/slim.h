/*
 * An ONNX file's messages without its weights, for the generated parser: that one copies every byte it
 * is given, and a file is weights to 99 hundredths.
 *
 * In the slim copy raw_data of a tensor (of 16 bytes or more) is replaced by two fields of our own,
 * raw_at and raw_bytes: where in the file the bytes lie. All else stays as it was, byte for byte and in
 * its order, so that repeated fields and messages in several parts mean the same; only fields of those
 * two numbers that the file itself brings are left out. What the generated parser refuses is refused
 * here, or left for it to refuse.
 *
 * Reads the keys and lengths on the way to the tensors and nothing of raw_data: a mapped file's weights
 * are not read from the disk. Time and memory are those of the rest: ret->n <= n, five levels deep.
 */
#ifndef INFERENCE_MODEL_SLIM_H
#define INFERENCE_MODEL_SLIM_H

#include <stddef.h>
#include "base/status.h"
#include "base/text.h"

/*
 * ret: the slim copy; buffer_free it. ST_INVALID: not the wire format, or cut off; ST_TOO_LARGE: more
 * nodes, tensors or attributes than base/limits.h allows; ST_UNAVAILABLE: out of memory.
 */
enum status onnx_slim(const void *bytes, size_t n, struct buffer *ret, struct fault *f) MUST_USE;

#endif
