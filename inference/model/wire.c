/* See wire.h. */
#include "inference/model/wire.h"

#include <limits.h>
#include "base/limits.h"

enum { KEY_BYTES = 5, LENGTH_BYTES = 5, VARINT_BYTES = 10 };

static const struct step {
    enum message in;
    uint32_t field;
    enum message to;
} steps[] = {
    { MODEL, 7, GRAPH },    { GRAPH, 1, NODE },       { GRAPH, 5, TENSOR },
    { NODE, 5, ATTRIBUTE }, { ATTRIBUTE, 5, TENSOR },
};

const struct wire_limit wire_limits[MESSAGES] = {
    [GRAPH] = { LIMIT_ONNX_PARTS, "parts" },
    [NODE] = { LIMIT_ONNX_NODES, "nodes" },
    [ATTRIBUTE] = { LIMIT_ONNX_ATTRIBUTES, "attributes" },
    [TENSOR] = { LIMIT_ONNX_TENSORS, "tensors" },
};

const uint8_t *wire_varint(const uint8_t *p, const uint8_t *end, int most, uint64_t *ret)
{
    uint64_t x = 0;

    for (int i = 0; i < most && p < end; i++, p++) {
        x |= (uint64_t)(*p & 0x7f) << (7 * i);
        if (*p < 0x80) {
            *ret = x;
            return p + 1;
        }
    }
    return NULL;
}

size_t wire_put_varint(uint64_t x, uint8_t ret[10])
{
    size_t n = 0;

    for (; x >= 128; x >>= 7)
        ret[n++] = (uint8_t)(x | 128);
    ret[n++] = (uint8_t)x;
    return n;
}

bool wire_field(const uint8_t *p, const uint8_t *end, struct field *ret)
{
    uint64_t key, n = 0;

    ret->key = p;
    if (!(p = wire_varint(p, end, KEY_BYTES, &key)))
        return false;
    ret->number = (uint32_t)(key >> 3);
    ret->wire = (unsigned)(key & 7);
    ret->length = ret->payload = p;
    switch (ret->wire) {
    case WIRE_VARINT:
        ret->end = wire_varint(p, end, VARINT_BYTES, &n);
        return ret->end != NULL;
    case WIRE_BYTES:
        if (!(ret->payload = wire_varint(p, end, LENGTH_BYTES, &n)) || n > INT_MAX)
            return false;
        break;
    case WIRE_64:
        n = 8;
        break;
    case WIRE_32:
        n = 4;
        break;
    default:
        return false; /* groups */
    }
    if (n > (size_t)(end - ret->payload))
        return false;
    ret->end = ret->payload + n;
    return true;
}

bool wire_enters(enum message in, const struct field *field, enum message *ret)
{
    for (size_t i = 0; field->wire == WIRE_BYTES && i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i].in == in && steps[i].field == field->number) {
            *ret = steps[i].to;
            return true;
        }
    return false;
}
