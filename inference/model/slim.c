/*
 * One walk over the wire format of an untrusted file: see slim.h. Field numbers: onnx.proto,
 * wire.h.
 */
#include "inference/model/slim.h"

#include "inference/model/wire.h"

/* A reference is two keys of two bytes and two varints of at most five: shorter than what it stands for.
 */
enum { RAW_AT = 1000, RAW_BYTES = 1001, REFERRED_BYTES = 16 };

struct walk_state {
    const uint8_t *file;
    struct buffer *out;
    size_t count[MESSAGES];
    struct fault *fault;
};

static enum status damaged(struct fault *f)
{
    return fault_set(f, ST_INVALID, "model", "not an ONNX file, or a damaged one");
}

static void put_varint(struct buffer *out, uint64_t x)
{
    uint8_t bytes[10];

    buffer_bytes(out, bytes, wire_put_varint(x, bytes));
}

static void put_number(struct buffer *out, uint32_t field, uint64_t x)
{
    put_varint(out, (uint64_t)field << 3 | WIRE_VARINT);
    put_varint(out, x);
}

static enum status walk(struct walk_state *w, enum message m, const uint8_t *p, const uint8_t *end);

/* A message within one: as long as before or shorter, so that its length fits in the bytes it had. */
static enum status walk_into(struct walk_state *w, enum message to, const struct field *field)
{
    const size_t width = (size_t)(field->payload - field->length);
    size_t at, n;
    enum status st;

    if (++w->count[to] > wire_limits[to].most)
        return fault_set(w->fault, ST_TOO_LARGE, "model", "the graph has more than %zu %s",
                         wire_limits[to].most, wire_limits[to].plural);
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
    if (field->number == TENSOR_RAW_DATA && field->wire == WIRE_BYTES && n >= REFERRED_BYTES) {
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
        enum message to;

        if (!wire_field(p, end, &field))
            return damaged(w->fault);
        if (wire_enters(m, &field, &to))
            st = walk_into(w, to, &field);
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
