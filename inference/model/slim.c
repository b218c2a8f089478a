/*
 * One walk over the wire format of an untrusted file: see slim.h. Field numbers: onnx.proto. Keys,
 * lengths and wire types are read exactly as the generated parser reads them, else the two could differ
 * on what is a tensor.
 */
#include "inference/model/slim.h"

#include <limits.h>
#include "base/limits.h"

enum wire { WIRE_VARINT, WIRE_64, WIRE_BYTES, WIRE_32 = 5 };
enum { KEY_BYTES = 5, LENGTH_BYTES = 5, VARINT_BYTES = 10 };

/* A reference is two keys of two bytes and two varints of at most five: shorter than what it stands for.
 */
enum { RAW_DATA = 9, RAW_AT = 1000, RAW_BYTES = 1001, REFERRED_BYTES = 16 };

enum message { MODEL, GRAPH, NODE, ATTRIBUTE, TENSOR, MESSAGES };

/* Messages that lead to tensors, and how many of each a file may hold. */
static const struct step {
    enum message in;
    uint32_t field;
    enum message to;
} steps[] = {
    { MODEL, 7, GRAPH },    { GRAPH, 1, NODE },       { GRAPH, 5, TENSOR },
    { NODE, 5, ATTRIBUTE }, { ATTRIBUTE, 5, TENSOR },
};

static const struct {
    size_t most;
    const char *plural;
} messages[MESSAGES] = {
    [GRAPH] = { LIMIT_ONNX_PARTS, "parts" },
    [NODE] = { LIMIT_ONNX_NODES, "nodes" },
    [ATTRIBUTE] = { LIMIT_ONNX_ATTRIBUTES, "attributes" },
    [TENSOR] = { LIMIT_ONNX_TENSORS, "tensors" },
};

struct walk_state {
    const uint8_t *file;
    struct buffer *out;
    size_t count[MESSAGES];
    struct fault *fault;
};

struct field {
    uint32_t number;
    unsigned wire;
    const uint8_t *key, *length, *payload, *end; /* length: WIRE_BYTES only */
};

static enum status damaged(struct fault *f)
{
    return fault_set(f, ST_INVALID, "model", "not an ONNX file, or a damaged one");
}

/* A varint of at most `most` bytes; NULL when it is longer or cut off. */
static const uint8_t *read_varint(const uint8_t *p, const uint8_t *end, int most, uint64_t *ret)
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

/* The field that begins at p; false when it is none, or reaches over the end of its message. */
static bool read_field(const uint8_t *p, const uint8_t *end, struct field *ret)
{
    uint64_t key, n = 0;

    ret->key = p;
    if (!(p = read_varint(p, end, KEY_BYTES, &key)))
        return false;
    ret->number = (uint32_t)(key >> 3);
    ret->wire = (unsigned)(key & 7);
    ret->length = ret->payload = p;
    switch (ret->wire) {
    case WIRE_VARINT:
        ret->end = read_varint(p, end, VARINT_BYTES, &n);
        return ret->end != NULL;
    case WIRE_BYTES:
        if (!(ret->payload = read_varint(p, end, LENGTH_BYTES, &n)) || n > INT_MAX)
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

static void put_varint(struct buffer *out, uint64_t x)
{
    for (; x >= 128; x >>= 7)
        buffer_char(out, (char)(x | 128));
    buffer_char(out, (char)x);
}

static void put_number(struct buffer *out, uint32_t field, uint64_t x)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(out, x);
}

static const struct step *step_from(enum message in, const struct field *field)
{
    for (size_t i = 0; field->wire == WIRE_BYTES && i < sizeof steps / sizeof steps[0]; i++)
        if (steps[i].in == in && steps[i].field == field->number)
            return &steps[i];
    return NULL;
}

static enum status walk(struct walk_state *w, enum message m, const uint8_t *p, const uint8_t *end);

/* A message within one: as long as before or shorter, so that its length fits in the bytes it had. */
static enum status walk_into(struct walk_state *w, enum message to, const struct field *field)
{
    const size_t width = (size_t)(field->payload - field->length);
    size_t at, n;
    enum status st;

    if (++w->count[to] > messages[to].most)
        return fault_set(w->fault, ST_TOO_LARGE, "model", "the graph has more than %zu %s",
                         messages[to].most, messages[to].plural);
    buffer_bytes(w->out, field->key, (size_t)(field->payload - field->key));
    at = w->out->n;
    if ((st = walk(w, to, field->payload, field->end)) != ST_OK || w->out->failed)
        return st;
    n = w->out->n - at;
    for (size_t i = 0; i < width; i++, n >>= 7)
        w->out->p[at - width + i] = (char)((n & 0x7f) | (i + 1 < width ? 0x80 : 0));
    return ST_OK;
}

static void put_tensor_field(struct walk_state *w, const struct field *field)
{
    const size_t n = (size_t)(field->end - field->payload);

    if (field->wire == WIRE_VARINT && (field->number == RAW_AT || field->number == RAW_BYTES))
        return; /* only we may say where weights lie */
    if (field->number == RAW_DATA && field->wire == WIRE_BYTES && n >= REFERRED_BYTES) {
        put_number(w->out, RAW_AT, (uint64_t)(field->payload - w->file));
        put_number(w->out, RAW_BYTES, n);
        return;
    }
    buffer_bytes(w->out, field->key, (size_t)(field->end - field->key));
}

static enum status walk(struct walk_state *w, enum message m, const uint8_t *p, const uint8_t *end)
{
    enum status st = ST_OK;
    struct field field;

    for (; st == ST_OK && p < end; p = field.end) {
        const struct step *step;

        if (!read_field(p, end, &field))
            return damaged(w->fault);
        step = step_from(m, &field);
        if (step)
            st = walk_into(w, step->to, &field);
        else if (m == TENSOR)
            put_tensor_field(w, &field);
        else
            buffer_bytes(w->out, field.key, (size_t)(field.end - field.key));
    }
    return st;
}

enum status onnx_slim(const void *bytes, size_t n, struct buffer *ret, struct fault *f)
{
    struct buffer out = { .max = n };
    struct walk_state w = { .file = bytes, .out = &out, .fault = f };
    enum status st = walk(&w, MODEL, w.file, w.file + n);

    if (st == ST_OK && out.failed)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (st != ST_OK) {
        buffer_free(&out);
        return st;
    }
    *ret = out;
    return ST_OK;
}
