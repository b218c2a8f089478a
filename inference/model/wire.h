/*
 * The wire format of an ONNX file, as far as the way to its tensors: for those who copy a file and
 * change something on the way. Keys, lengths and wire types are read exactly as the generated parser
 * reads them, else the two could differ on what is a tensor.
 */
#ifndef INFERENCE_MODEL_WIRE_H
#define INFERENCE_MODEL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/text.h"

enum wire { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };

/* Messages that lead to tensors. Field numbers: onnx.proto. */
enum message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, MESSAGES };

/* Fields of a tensor. */
enum { TENSOR_RAW_DATA = 9, TENSOR_EXTERNAL_DATA = 13, TENSOR_DATA_LOCATION = 14 };

struct field {
    uint32_t number;
    unsigned wire;
    const uint8_t *key, *length, *payload, *end; /* length: WIRE_BYTES only */
};

/* The field that begins at p; false when it is none, or reaches over the end of its message. */
bool wire_field(const uint8_t *p, const uint8_t *end, struct field *ret);

/* A varint of at most `most` bytes; NULL when it is longer or cut off. */
const uint8_t *wire_varint(const uint8_t *p, const uint8_t *end, int most, uint64_t *ret);
size_t wire_put_varint(uint64_t x, uint8_t ret[10]); /* how many bytes it took */

/* Whether a field of message `in` is one of those messages itself. */
bool wire_enters(enum message in, const struct field *field, enum message *ret);

/* How many of each a file may hold, and what they are called. */
struct wire_limit {
    size_t most;
    const char *plural;
};
extern const struct wire_limit wire_limits[MESSAGES];

#endif
