/*
 * Two walks over the wire format: the first measures, because a message's length stands before it, and
 * the second writes. A message is measured once for each that holds it, at most five deep. See bundle.h.
 */
#include "inference/model/bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include "base/limits.h"
#include "inference/graph/graph.h"
#include "inference/model/wire.h"

enum { NAME_BYTES = LIMIT_ZIP_NAME_BYTES * 2, EXTERNAL = 1, ENTRY_KEY = 1, ENTRY_VALUE = 2 };

struct packer {
    const struct bundle_file *files;
    size_t nfiles;
    struct slice folder; /* of the model, with its '/' */
    const struct bundle_sink *sink;
    size_t count[MESSAGES];
    struct fault *fault;
};

static bool is_onnx(const char *name)
{
    const char *const slash = strrchr(name, '/'), *const last = slash ? slash + 1 : name;
    const size_t n = strlen(last);

    return n > 5 && strcasecmp(last + n - 5, ".onnx") == 0 && last[0] != '.'; /* "._best.onnx": macOS */
}

enum status bundle_model(const struct bundle_file *files, size_t nfiles, const struct bundle_file **ret,
                         struct fault *f)
{
    const struct bundle_file *found = NULL;

    for (size_t i = 0; i < nfiles; i++)
        if (is_onnx(files[i].name)) {
            if (found)
                return fault_set(f, ST_INVALID, "file", "the archive holds more than one .onnx file");
            found = &files[i];
        }
    if (!found)
        return fault_set(f, ST_INVALID, "file", "the archive holds no .onnx file");
    *ret = found;
    return ST_OK;
}

static enum status damaged(const struct packer *w)
{
    return fault_set(w->fault, ST_INVALID, "model", "not an ONNX file, or a damaged one");
}

/* ---- where a tensor's data lies */

struct external {
    bool used;
    struct slice location, offset, length;
};

static struct slice payload(const struct field *field)
{
    return (struct slice){ (const char *)field->payload, (size_t)(field->end - field->payload) };
}

static bool same(struct slice s, const char *word)
{
    return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

/* One entry: a key and a value. Others than these three (a check sum, a base path) change nothing. */
static bool read_entry(const struct field *entry, struct external *ret)
{
    struct slice key = { 0 }, value = { 0 };
    struct field field;

    for (const uint8_t *p = entry->payload; p < entry->end; p = field.end) {
        if (!wire_field(p, entry->end, &field))
            return false;
        if (field.wire == WIRE_BYTES && field.number == ENTRY_KEY)
            key = payload(&field);
        else if (field.wire == WIRE_BYTES && field.number == ENTRY_VALUE)
            value = payload(&field);
    }
    if (same(key, "location"))
        ret->location = value;
    else if (same(key, "offset"))
        ret->offset = value;
    else if (same(key, "length"))
        ret->length = value;
    return true;
}

static bool read_external(const uint8_t *p, const uint8_t *end, struct external *ret)
{
    struct field field;
    uint64_t x;

    *ret = (struct external){ 0 };
    for (; p < end; p = field.end) {
        if (!wire_field(p, end, &field))
            return false;
        if (field.number == TENSOR_DATA_LOCATION && field.wire == WIRE_VARINT)
            ret->used = wire_varint(field.payload, field.end, 10, &x) && x == EXTERNAL;
        else if (field.number == TENSOR_EXTERNAL_DATA && field.wire == WIRE_BYTES &&
                 !read_entry(&field, ret))
            return false;
    }
    return true;
}

/* Absent means something too. */
static bool read_number(struct slice s, size_t absent, size_t *ret)
{
    int64_t x = 0;

    if (s.n && (!text_i64(s.p, s.n, &x) || x < 0))
        return false;
    *ret = s.n ? (size_t)x : absent;
    return true;
}

static int compare_name(const void *name, const void *file)
{
    return strcmp(name, ((const struct bundle_file *)file)->name);
}

/* "./weights.bin" beside "model/best.onnx" is "model/weights.bin". No name of a file has a segment "..",
 * so a location that has one finds nothing. */
static const struct bundle_file *find_file(const struct packer *w, struct slice location)
{
    char name[NAME_BYTES];

    while (location.n >= 2 && memcmp(location.p, "./", 2) == 0) {
        location.p += 2;
        location.n -= 2;
    }
    if (!location.n || memchr(location.p, 0, location.n) || w->folder.n + location.n >= sizeof name)
        return NULL;
    if (w->folder.n)
        memcpy(name, w->folder.p, w->folder.n);
    memcpy(name + w->folder.n, location.p, location.n);
    name[w->folder.n + location.n] = 0;
    return bsearch(name, w->files, w->nfiles, sizeof *w->files, compare_name);
}

static enum status find_data(const struct packer *w, const struct external *e, struct slice *ret)
{
    const struct bundle_file *const file = find_file(w, e->location);
    char shown[80], text[80];
    size_t offset, length;

    snprintf(text, sizeof text, "%.*s", (int)(e->location.n < sizeof text ? e->location.n : sizeof text),
             e->location.n ? e->location.p : "");
    text_printable(text, shown, sizeof shown);
    if (!file)
        return fault_set(w->fault, ST_INVALID, "file",
                         "the model keeps weights in \"%s\", which is not in the archive beside it",
                         shown);
    if (!read_number(e->offset, 0, &offset) || offset > file->n ||
        !read_number(e->length, file->n - offset, &length) || length > file->n - offset)
        return fault_set(w->fault, ST_INVALID, "file",
                         "the model reads behind the end of \"%s\", or its offset is no number", shown);
    *ret = (struct slice){ (const char *)file->p + offset, length };
    return ST_OK;
}

/* ---- the walk: with `write` it writes, without it only *ret_size is told */

static enum status put(const struct packer *w, bool write, const void *p, size_t n, size_t *size)
{
    *size += n;
    if (*size > LIMIT_ONNX_BYTES)
        return fault_set(w->fault, ST_TOO_LARGE, "file", "the model has more than %d bytes",
                         LIMIT_ONNX_BYTES);
    return write && n ? w->sink->write(w->sink->arg, p, n, w->fault) : ST_OK;
}

/* Key and length of a field of bytes. */
static enum status put_head(const struct packer *w, bool write, uint32_t number, size_t n, size_t *size)
{
    uint8_t head[20];
    size_t at = wire_put_varint((uint64_t)number << 3 | WIRE_BYTES, head);

    at += wire_put_varint(n, head + at);
    return put(w, write, head, at, size);
}

static enum status pack_tensor(const struct packer *w, bool write, const uint8_t *p, const uint8_t *end,
                               size_t *ret_size)
{
    struct external e;
    struct slice data = { 0 };
    struct field field;
    enum status st = ST_OK;

    if (!read_external(p, end, &e))
        return damaged(w);
    if (!e.used)
        return put(w, write, p, (size_t)(end - p), ret_size);
    if ((st = find_data(w, &e, &data)) != ST_OK)
        return st;
    for (; st == ST_OK && p < end; p = field.end) {
        if (!wire_field(p, end, &field))
            return damaged(w);
        if (field.number == TENSOR_RAW_DATA)
            return fault_set(w->fault, ST_INVALID, "model", "a tensor has its data twice");
        if (field.number != TENSOR_EXTERNAL_DATA && field.number != TENSOR_DATA_LOCATION)
            st = put(w, write, p, (size_t)(field.end - p), ret_size);
    }
    if (st == ST_OK && (st = put_head(w, write, TENSOR_RAW_DATA, data.n, ret_size)) == ST_OK)
        st = put(w, write, data.p, data.n, ret_size);
    return st;
}

static enum status pack(struct packer *w, bool write, enum message m, const uint8_t *p,
                        const uint8_t *end, size_t *ret_size)
{
    struct field field;
    enum status st = ST_OK;

    if (m == TENSOR)
        return pack_tensor(w, write, p, end, ret_size);
    for (; st == ST_OK && p < end; p = field.end) {
        enum message to;
        size_t n = 0;

        if (!wire_field(p, end, &field))
            return damaged(w);
        if (!wire_enters(m, &field, &to)) {
            st = put(w, write, p, (size_t)(field.end - p), ret_size);
            continue;
        }
        if (write && ++w->count[to] > wire_limits[to].most)
            return fault_set(w->fault, ST_TOO_LARGE, "model", "the graph has more than %zu %s",
                             wire_limits[to].most, wire_limits[to].plural);
        if ((st = pack(w, false, to, field.payload, field.end, &n)) != ST_OK ||
            (st = put_head(w, write, field.number, n, ret_size)) != ST_OK)
            return st;
        st = write ? pack(w, true, to, field.payload, field.end, ret_size)
                   : put(w, false, NULL, n, ret_size);
    }
    return st;
}

enum status bundle_pack(const struct bundle_file *files, size_t nfiles, const struct bundle_file *model,
                        const struct bundle_sink *sink, struct fault *f)
{
    const char *const slash = strrchr(model->name, '/');
    struct packer w = { .files = files, .nfiles = nfiles, .sink = sink, .fault = f };
    const uint8_t *const end = model->p + model->n;
    size_t size = 0;
    enum status st;

    w.folder = (struct slice){ model->name, slash ? (size_t)(slash + 1 - model->name) : 0 };
    if (!model->n)
        return damaged(&w);
    if ((st = pack(&w, false, MODEL, model->p, end, &size)) != ST_OK)
        return st;
    size = 0;
    return pack(&w, true, MODEL, model->p, end, &size);
}
