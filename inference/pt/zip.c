/* Records of a stored ZIP archive: see zip.h. Every number from the file is compared with the bytes that
 * are there. */
#include "inference/pt/zip.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include "base/limits.h"

enum {
    END_BYTES = 22,
    END_COMMENT_BYTES = 65535,
    LOCATOR64_BYTES = 20,
    END64_BYTES = 56,
    CENTRAL_BYTES = 46,
    LOCAL_BYTES = 30,
    FLAG_ENCRYPTED = 1,
    FLAG_MASKED = 1 << 13, /* the central directory is encrypted */
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
};

struct archive {
    const unsigned char *p;
    size_t n;
    struct fault *fault;
};

/* Where the central directory says it is. */
struct directory {
    uint64_t offset, size, records;
};

static uint32_t u16(const unsigned char *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

static uint32_t u32(const unsigned char *p)
{
    return u16(p) | u16(p + 2) << 16;
}

static uint64_t u64(const unsigned char *p)
{
    return u32(p) | (uint64_t)u32(p + 4) << 32;
}

static enum status damaged(const struct archive *z, uint64_t at, const char *what)
{
    fault_at(z->fault, ST_INVALID, "model", (int64_t)at, "the ZIP archive is damaged: %s at byte %llu",
             what, (unsigned long long)at);
    return ST_INVALID;
}

/* The end record closes the file, behind it only its own comment; the last that fits is meant. */
static enum status find_end(const struct archive *z, size_t *ret)
{
    for (size_t back = END_BYTES; back <= z->n && back <= END_BYTES + END_COMMENT_BYTES; back++) {
        const unsigned char *p = z->p + z->n - back;

        if (memcmp(p, "PK\5\6", 4) == 0 && u16(p + 20) == back - END_BYTES) {
            *ret = z->n - back;
            return ST_OK;
        }
    }
    return fault_set(z->fault, ST_UNSUPPORTED, "model",
                     "no ZIP archive, or a truncated one: its end record is missing");
}

/* Replaces what the end record can't hold by the values of the ZIP64 end record in front of it. */
static enum status read_end64(const struct archive *z, size_t end, struct directory *d, size_t *limit)
{
    const unsigned char *locator, *p;
    uint64_t at;

    if (end < LOCATOR64_BYTES || memcmp(z->p + end - LOCATOR64_BYTES, "PK\6\7", 4) != 0)
        return ST_OK;
    locator = z->p + end - LOCATOR64_BYTES;
    at = u64(locator + 8);
    if (end - LOCATOR64_BYTES < END64_BYTES || at > end - LOCATOR64_BYTES - END64_BYTES)
        return damaged(z, end - LOCATOR64_BYTES, "the ZIP64 end record is out of bounds");
    p = z->p + at;
    if (memcmp(p, "PK\6\6", 4) != 0 || u32(p + 16) != 0 || u32(p + 20) != 0 ||
        u64(p + 24) != u64(p + 32))
        return damaged(z, at, "the ZIP64 end record is none");
    if ((d->records != 0xFFFF && d->records != u64(p + 32)) ||
        (d->size != 0xFFFFFFFF && d->size != u64(p + 40)) ||
        (d->offset != 0xFFFFFFFF && d->offset != u64(p + 48)))
        return damaged(z, at, "the two end records disagree");
    *d = (struct directory){ .records = u64(p + 32), .size = u64(p + 40), .offset = u64(p + 48) };
    *limit = (size_t)at;
    return ST_OK;
}

static enum status find_directory(const struct archive *z, struct directory *ret)
{
    struct directory d;
    size_t end = 0, limit;
    enum status st;

    if ((st = find_end(z, &end)) != ST_OK)
        return st;
    if (u16(z->p + end + 4) != 0 || u16(z->p + end + 6) != 0 ||
        u16(z->p + end + 8) != u16(z->p + end + 10))
        return fault_set(z->fault, ST_UNSUPPORTED, "model", "the ZIP archive spans several files");
    d = (struct directory){ .records = u16(z->p + end + 10),
                            .size = u32(z->p + end + 12),
                            .offset = u32(z->p + end + 16) };
    limit = end;
    if ((st = read_end64(z, end, &d, &limit)) != ST_OK)
        return st;
    if (d.offset > limit || d.size != limit - d.offset)
        return damaged(z, end, "the central directory is out of bounds");
    if (d.records > LIMIT_ZIP_RECORDS)
        return fault_set(z->fault, ST_TOO_LARGE, "model", "the ZIP archive has more than %d records",
                         LIMIT_ZIP_RECORDS);
    if (d.records > d.size / CENTRAL_BYTES)
        return damaged(z, d.offset, "the central directory is too short");
    *ret = d;
    return ST_OK;
}

/* What a record of the central directory says; values that need 64 bits come from its extra field 1. */
struct entry {
    struct slice name;
    uint64_t compressed, size, offset;
    uint32_t method;
};

/* Takes 8 bytes of the ZIP64 field where *value is saturated. */
static bool widen(uint64_t *value, const unsigned char **p, const unsigned char *end)
{
    if (*value != 0xFFFFFFFF)
        return true;
    if (end - *p < 8)
        return false;
    *value = u64(*p);
    *p += 8;
    return true;
}

static bool widen_entry(struct entry *e, const unsigned char *extra, size_t n)
{
    const unsigned char *end = extra + n;

    while (end - extra >= 4) {
        const uint32_t id = u16(extra), size = u16(extra + 2);
        const unsigned char *field = extra + 4;

        if (size > (size_t)(end - field))
            return false;
        extra = field + size;
        if (id == 1)
            return widen(&e->size, &field, extra) && widen(&e->compressed, &field, extra) &&
                   widen(&e->offset, &field, extra);
    }
    return e->size != 0xFFFFFFFF && e->compressed != 0xFFFFFFFF && e->offset != 0xFFFFFFFF;
}

/* The record whose local header is at e->offset; its bytes end before the directory. */
static enum status locate(const struct archive *z, const struct entry *e, uint64_t limit,
                          struct zip_record *ret)
{
    const unsigned char *p;
    uint64_t room, head;

    if (e->offset > limit || limit - e->offset < LOCAL_BYTES)
        return damaged(z, e->offset, "a record is out of bounds");
    p = z->p + e->offset;
    room = limit - e->offset;
    if (memcmp(p, "PK\3\4", 4) != 0)
        return damaged(z, e->offset, "a record does not begin where the directory says");
    head = (uint64_t)LOCAL_BYTES + u16(p + 26) + u16(p + 28);
    if (head > room || e->compressed > room - head)
        return damaged(z, e->offset, "a record is longer than the file");
    if (u16(p + 26) != e->name.n || memcmp(p + LOCAL_BYTES, e->name.p, e->name.n) != 0 ||
        u16(p + 8) != e->method)
        return damaged(z, e->offset, "a record differs from the directory");
    ret->name = e->name;
    ret->bytes = (struct slice){ (const char *)p + head, (size_t)e->compressed };
    ret->deflated = e->method == METHOD_DEFLATED;
    ret->size = (size_t)e->size;
    return ST_OK;
}

/* Reads the directory's record at *at and moves behind it. */
static enum status read_record(const struct archive *z, const struct directory *d, uint64_t *at,
                               struct zip_record *ret)
{
    const unsigned char *p = z->p + *at;
    const uint64_t room = d->offset + d->size - *at;
    struct entry e;
    uint64_t whole;

    if (room < CENTRAL_BYTES || memcmp(p, "PK\1\2", 4) != 0)
        return damaged(z, *at, "a record of the directory is none");
    whole = (uint64_t)CENTRAL_BYTES + u16(p + 28) + u16(p + 30) + u16(p + 32);
    if (whole > room)
        return damaged(z, *at, "a record of the directory is cut off");
    if (u16(p + 8) & (FLAG_ENCRYPTED | FLAG_MASKED))
        return fault_set(z->fault, ST_UNSUPPORTED, "model", "the ZIP archive is encrypted");
    if (u16(p + 10) != METHOD_STORED && u16(p + 10) != METHOD_DEFLATED)
        return fault_set(z->fault, ST_UNSUPPORTED, "model",
                         "the ZIP archive is compressed by method %u; PyTorch stores its records as "
                         "they are: save the "
                         "file again with torch.save",
                         (unsigned)u16(p + 10));
    e = (struct entry){ .name = { (const char *)p + CENTRAL_BYTES, u16(p + 28) },
                        .compressed = u32(p + 20),
                        .size = u32(p + 24),
                        .offset = u32(p + 42),
                        .method = u16(p + 10) };
    if (!widen_entry(&e, p + CENTRAL_BYTES + u16(p + 28), u16(p + 30)) ||
        (e.method == METHOD_STORED && e.compressed != e.size) || !e.name.n)
        return damaged(z, *at, "a record's sizes contradict each other");
    *at += whole;
    return locate(z, &e, d->offset, ret);
}

static int compare_slices(struct slice a, struct slice b)
{
    const int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_name(const void *a, const void *b)
{
    return compare_slices(((const struct zip_record *)a)->name, ((const struct zip_record *)b)->name);
}

static int by_place(const void *a, const void *b)
{
    const struct zip_record *x = a, *y = b;

    return (x->bytes.p > y->bytes.p) - (x->bytes.p < y->bytes.p);
}

/* Records and the headers in front of them must not share a byte; an empty record still has its header.
 */
static enum status check_apart(const struct archive *z, struct zip_record *records, size_t n)
{
    if (n)
        qsort(records, n, sizeof *records, by_place);
    for (size_t i = 1; i < n; i++) {
        const struct zip_record *before = &records[i - 1], *r = &records[i];
        const size_t least = LOCAL_BYTES + r->name.n;

        if ((size_t)(r->bytes.p - before->bytes.p) < before->bytes.n + least)
            return damaged(z, (uint64_t)((const unsigned char *)r->bytes.p - z->p),
                           "two records overlap");
    }
    if (n)
        qsort(records, n, sizeof *records, by_name);
    for (size_t i = 1; i < n; i++)
        if (by_name(&records[i - 1], &records[i]) == 0)
            return damaged(z, (uint64_t)((const unsigned char *)records[i].bytes.p - z->p),
                           "two records have the same name");
    return ST_OK;
}

enum status zip_read(const void *bytes, size_t n, struct arena *a, struct zip *ret, struct fault *f)
{
    const struct archive z = { bytes, n, f };
    struct directory d = { 0 };
    struct zip_record *records;
    uint64_t at;
    enum status st;

    if ((st = find_directory(&z, &d)) != ST_OK)
        return st;
    if (!(records = arena_array(a, (size_t)d.records + 1, sizeof *records)))
        return fault_set(f, ST_TOO_LARGE, "model",
                         "the ZIP archive's directory needs more memory than is allowed");
    at = d.offset;
    for (size_t i = 0; i < d.records; i++)
        if ((st = read_record(&z, &d, &at, &records[i])) != ST_OK)
            return st;
    if (at != d.offset + d.size)
        return damaged(&z, at, "the directory has more than its records");
    if ((st = check_apart(&z, records, (size_t)d.records)) != ST_OK)
        return st;
    *ret = (struct zip){ records, (size_t)d.records };
    return ST_OK;
}

const struct zip_record *zip_find(const struct zip *z, struct slice name)
{
    const struct zip_record key = { .name = name };

    return z->n ? bsearch(&key, z->records, z->n, sizeof key, by_name) : NULL;
}

/* Raw deflate of one record; exactly r->size bytes must come out, and nothing be left over. */
static enum status inflate_record(struct zip_record *r, struct arena *a, struct fault *f)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)r->bytes.p, .avail_in = (uInt)r->bytes.n };
    char *out = arena_alloc(a, r->size + 1);
    int end;

    if (!out || inflateInit2(&z, -MAX_WBITS) != Z_OK)
        return fault_set(f, ST_UNAVAILABLE, "model", "out of memory");
    z.next_out = (Bytef *)out;
    z.avail_out = (uInt)r->size + 1; /* one more shows a record that goes on */
    end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    if (end != Z_STREAM_END || z.total_out != r->size || z.avail_in != 0)
        return fault_set(f, ST_INVALID, "model",
                         "the ZIP archive is damaged: a deflated record is not what it claims to be");
    r->bytes = (struct slice){ out, r->size };
    r->deflated = false;
    return ST_OK;
}

enum status zip_inflate(struct zip *z, size_t file_bytes, struct arena **ret_arena, struct fault *f)
{
    struct arena *a = NULL;
    enum status st = ST_OK;
    size_t total = 0, most = 0;

    for (size_t i = 0; i < z->n; i++) {
        const struct zip_record *r = &z->records[i];
        if (!r->deflated)
            continue;
        if (!size_add(total, r->size, &total) || !size_mul(file_bytes, LIMIT_ZIP_RATIO, &most) ||
            total > most || total > (size_t)LIMIT_MODEL_BYTES)
            return fault_set(f, ST_TOO_LARGE, "model",
                             "the ZIP archive unpacks to more than %d times its size", LIMIT_ZIP_RATIO);
    }
    if (total == 0 || !(a = arena_create(2 * total + z->n * 64 + (4 << 20))))
        return total == 0 ? ST_OK : fault_set(f, ST_UNAVAILABLE, "model", "out of memory");
    for (size_t i = 0; i < z->n && st == ST_OK; i++)
        if (z->records[i].deflated)
            st = inflate_record(&z->records[i], a, f);
    *ret_arena = a;
    return st;
}
