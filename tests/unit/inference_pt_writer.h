/*
 * Writers for tests of the checkpoint reader: a stored ZIP archive, and pickles by their operations. The
 * archive writer can lie in every number, which is what the hostile cases are made of.
 */
#ifndef TESTS_UNIT_INFERENCE_PT_WRITER_H
#define TESTS_UNIT_INFERENCE_PT_WRITER_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/text.h"

static inline void put_number(struct buffer *b, uint64_t v, int width)
{
    for (int i = 0; i < width; i++)
        buffer_char(b, (char)(i < 8 ? v >> 8 * i & 0xFF : 0)); /* wider: zeros follow */
}

#define PUT(b, literal) buffer_bytes((b), (literal), sizeof(literal) - 1) /* NULs included */

#define BYTES(literal)                                                                                  \
    {                                                                                                   \
        (literal), sizeof(literal) - 1                                                                  \
    } /* a slice, as an initializer */

/* ZIP */

struct record {
    const char *name;
    struct slice bytes;
    /* Lies; 0: the truth. */
    const char *local_name;
    uint32_t size, local_offset, method, flags;
};

static inline void put_local(struct buffer *b, const struct record *r)
{
    const char *name = r->local_name ? r->local_name : r->name;

    PUT(b, "PK\3\4");
    put_number(b, 20, 2);
    put_number(b, r->flags, 2);
    put_number(b, r->method, 2);
    put_number(b, 0, 8); /* time, check sum */
    put_number(b, r->bytes.n, 4);
    put_number(b, r->bytes.n, 4);
    put_number(b, strlen(name), 2);
    put_number(b, 0, 2);
    buffer_text(b, name);
    buffer_bytes(b, r->bytes.p, r->bytes.n);
}

static inline void put_central(struct buffer *b, const struct record *r, size_t offset)
{
    const uint64_t size = r->size ? r->size : r->bytes.n;

    PUT(b, "PK\1\2");
    put_number(b, 20, 2);
    put_number(b, 20, 2);
    put_number(b, r->flags, 2);
    put_number(b, r->method, 2);
    put_number(b, 0, 8);
    put_number(b, r->method ? r->bytes.n : size, 4);
    put_number(b, size, 4);
    put_number(b, strlen(r->name), 2);
    put_number(b, 0, 12); /* extra, comment, disk, attributes */
    put_number(b, r->local_offset ? r->local_offset : offset, 4);
    buffer_text(b, r->name);
}

static inline void put_end(struct buffer *b, size_t records, size_t size, size_t offset)
{
    PUT(b, "PK\5\6");
    put_number(b, 0, 4);
    put_number(b, records, 2);
    put_number(b, records, 2);
    put_number(b, size, 4);
    put_number(b, offset, 4);
    put_number(b, 0, 2);
}

/* At most 16 records. */
static inline void put_zip(struct buffer *b, const struct record *records, size_t n)
{
    size_t offsets[16], start;

    for (size_t i = 0; i < n; i++) {
        offsets[i] = b->n;
        put_local(b, &records[i]);
    }
    start = b->n;
    for (size_t i = 0; i < n; i++)
        put_central(b, &records[i], offsets[i]);
    put_end(b, n, b->n - start, start);
}

/* As method 8 of an archive has it. */
static inline void put_deflated(struct buffer *b, const void *bytes, size_t n)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)bytes, .avail_in = (uInt)n };
    unsigned char *out;

    if (deflateInit2(&z, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        abort();
    z.avail_out = (uInt)deflateBound(&z, n);
    z.next_out = out = malloc(z.avail_out);
    if (!out || deflate(&z, Z_FINISH) != Z_STREAM_END)
        abort();
    buffer_bytes(b, out, z.total_out);
    free(out);
    deflateEnd(&z);
}

/* Pickle, protocol 2 */

static inline void put_str(struct buffer *b, const char *s)
{
    buffer_char(b, 'X');
    put_number(b, strlen(s), 4);
    buffer_text(b, s);
}

static inline void put_int(struct buffer *b, int64_t v)
{
    PUT(b, "\x8a\x08");
    put_number(b, (uint64_t)v, 8);
}

/* What the form before 1.6 begins with; the pickle and its storages follow. little: an operation. */
static inline void put_legacy_head(struct buffer *b, int64_t version, const char *little)
{
    PUT(b, "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02");
    put_int(b, version);
    PUT(b, ".\x80\x02}");
    put_str(b, "little_endian");
    buffer_text(b, little);
    PUT(b, "s.");
}

static inline void put_global(struct buffer *b, const char *module, const char *name)
{
    buffer_printf(b, "c%s\n%s\n", module, name);
}

/* The storage data/<key> of count elements; a tensor over it of this size. */
static inline void put_storage(struct buffer *b, const char *type, const char *key, int64_t count)
{
    buffer_char(b, '(');
    put_str(b, "storage");
    put_global(b, "torch", type);
    put_str(b, key);
    put_str(b, "cpu");
    put_int(b, count);
    PUT(b, "tQ");
}

static inline void put_numbers(struct buffer *b, const int64_t v[], size_t n)
{
    buffer_char(b, '(');
    for (size_t i = 0; i < n; i++)
        put_int(b, v[i]);
    buffer_char(b, 't');
}

struct view {
    const char *type, *key;
    int64_t count, offset;
    size_t rank;
    int64_t size[9], stride[9];
};

static inline void put_tensor(struct buffer *b, const struct view *v)
{
    put_global(b, "torch._utils", "_rebuild_tensor_v2");
    buffer_char(b, '(');
    put_storage(b, v->type, v->key, v->count);
    put_int(b, v->offset);
    put_numbers(b, v->size, v->rank);
    put_numbers(b, v->stride, v->rank);
    PUT(b, "\x89}tR");
}

#endif
