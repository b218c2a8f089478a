/* ZIP archives written as a stream: see zip.h. */
#include "media/zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <locale.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/limits.h"
#include "base/text.h"

enum { PIECE_BYTES = 64 << 10 };

struct zip_writer {
    struct archive *archive;
    struct archive_entry *entry;
    locale_t utf8; /* libarchive takes names to be in the thread's character set, and marks UTF-8 */
    struct zip_sink sink;
    enum status sink_status; /* why the sink refused */
    struct fault sink_fault;
    bool broken;
    bool abandoned; /* write nothing more */
    uint8_t piece[PIECE_BYTES];
};

/* ---- libarchive ---- */

/* Never tells libarchive of a failure: it would give up without releasing its own memory. The rest is
 * swallowed. */
static la_ssize_t on_write(struct archive *archive, void *arg, const void *p, size_t n)
{
    struct zip_writer *z = arg;

    (void)archive;
    for (size_t at = 0; at < n && z->sink_status == ST_OK && !z->abandoned; at += PIECE_BYTES)
        z->sink_status = z->sink.write(z->sink.arg, (const uint8_t *)p + at,
                                       n - at < PIECE_BYTES ? n - at : PIECE_BYTES, &z->sink_fault);
    return (la_ssize_t)n;
}

static enum status broken(struct zip_writer *z, struct fault *f)
{
    z->broken = true;
    if (z->sink_status != ST_OK) {
        if (f)
            *f = z->sink_fault;
        return z->sink_status;
    }
    return fault_set(f, ST_INTERNAL, NULL, "the archive cannot be written: %.120s",
                     archive_error_string(z->archive) ? archive_error_string(z->archive)
                                                      : "out of memory");
}

/* A warning of libarchive (a name that it could not spell) is a failure here. */
static bool done(const struct zip_writer *z, int result)
{
    return result == ARCHIVE_OK && z->sink_status == ST_OK;
}

enum status zip_create(const struct zip_sink *sink, struct zip_writer **ret, struct fault *f)
{
    struct zip_writer *z = calloc(1, sizeof *z);
    enum status st;

    if (!z)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    z->sink = *sink;
    z->utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    z->archive = archive_write_new();
    z->entry = archive_entry_new();
    if (!z->utf8 || !z->archive || !z->entry) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    } else if (!done(z, archive_write_set_format_zip(z->archive)) ||
               !done(z, archive_write_set_bytes_per_block(z->archive, PIECE_BYTES)) ||
               !done(z, archive_write_set_bytes_in_last_block(z->archive, 1)) || /* no padding */
               !done(z, archive_write_open(z->archive, z, NULL, on_write, NULL))) {
        st = broken(z, f);
    } else {
        *ret = z;
        return ST_OK;
    }
    zip_free(z);
    return st;
}

void zip_free(struct zip_writer *z)
{
    if (!z)
        return;
    z->abandoned = true; /* freeing writes the end, too */
    archive_write_free(z->archive);
    archive_entry_free(z->entry);
    if (z->utf8)
        freelocale(z->utf8);
    free(z);
}

/* ---- names ---- */

/* Unpacked anywhere, on any system, the entry must land below the folder it is unpacked into. */
static bool name_is_safe(const char *name)
{
    const size_t n = strlen(name);
    const char *segment = name;

    if (n == 0 || n > LIMIT_ZIP_NAME_BYTES || !text_is_utf8(name, n) || (n > 1 && name[1] == ':'))
        return false;
    for (const char *c = name;; c++) {
        if ((*c && (unsigned char)*c < 0x20) || *c == 0x7F || *c == '\\')
            return false;
        if (*c && *c != '/')
            continue;
        if (c == segment || (c - segment == 1 && segment[0] == '.') ||
            (c - segment == 2 && memcmp(segment, "..", 2) == 0))
            return false;
        if (!*c)
            return true;
        segment = c + 1;
    }
}

/* ---- entries ---- */

static enum status begin_entry(struct zip_writer *z, const struct zip_entry *e, int64_t size,
                               struct fault *f)
{
    locale_t before;
    int result;

    if (z->broken)
        return fault_set(f, ST_INTERNAL, NULL, "the archive is broken");
    if (!name_is_safe(e->name))
        return fault_set(f, ST_INVALID, "name", "this name cannot be used in an archive");
    archive_entry_clear(z->entry);
    archive_entry_set_filetype(z->entry, AE_IFREG);
    archive_entry_set_perm(z->entry, 0644);
    archive_entry_set_size(z->entry, size);
    archive_entry_set_mtime(z->entry, (time_t)e->mtime_s, 0);
    result = e->deflate ? archive_write_zip_set_compression_deflate(z->archive)
                        : archive_write_zip_set_compression_store(z->archive);
    if (!done(z, result))
        return broken(z, f);
    before = uselocale(z->utf8);
    archive_entry_set_pathname(z->entry, e->name);
    result = archive_write_header(z->archive, z->entry);
    uselocale(before);
    return done(z, result) ? ST_OK : broken(z, f);
}

static enum status put(struct zip_writer *z, const void *p, size_t n, struct fault *f)
{
    const uint8_t *from = p;

    while (n) {
        const la_ssize_t done_bytes = archive_write_data(z->archive, from, n);

        if (done_bytes <= 0 || z->sink_status != ST_OK)
            return broken(z, f);
        from += done_bytes;
        n -= (size_t)done_bytes;
    }
    return ST_OK;
}

static enum status end_entry(struct zip_writer *z, struct fault *f)
{
    return done(z, archive_write_finish_entry(z->archive)) ? ST_OK : broken(z, f);
}

enum status zip_entry_bytes(struct zip_writer *z, const struct zip_entry *e, const void *p, size_t n,
                            struct fault *f)
{
    enum status st;

    if ((st = begin_entry(z, e, (int64_t)n, f)) != ST_OK || (st = put(z, p, n, f)) != ST_OK)
        return st;
    return end_entry(z, f);
}

/* Copies the file and hashes it in the same pass. */
static enum status put_file(struct zip_writer *z, int fd, int64_t offset, int64_t size, EVP_MD_CTX *hash,
                            struct fault *f)
{
    enum status st = ST_OK;

    for (int64_t at = 0; at < size && st == ST_OK;) {
        const size_t want = size - at < PIECE_BYTES ? (size_t)(size - at) : PIECE_BYTES;
        const ssize_t n = pread(fd, z->piece, want, offset + at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            z->broken = true; /* its size has been promised already */
            return fault_set(f, ST_INTERNAL, NULL, "a file of the archive %s",
                             n < 0 ? "cannot be read" : "is shorter than expected");
        }
        if (EVP_DigestUpdate(hash, z->piece, (size_t)n) != 1) {
            z->broken = true;
            return fault_set(f, ST_INTERNAL, NULL, "hashing failed");
        }
        st = put(z, z->piece, (size_t)n, f);
        at += n;
    }
    return st;
}

enum status zip_entry_file(struct zip_writer *z, const struct zip_entry *e, int fd, int64_t offset,
                           int64_t size, struct digest *ret_digest, struct fault *f)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    struct digest digest;
    enum status st;

    if (!hash || EVP_DigestInit_ex(hash, EVP_sha256(), NULL) != 1) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        goto out;
    }
    if ((st = begin_entry(z, e, size, f)) != ST_OK ||
        (st = put_file(z, fd, offset, size, hash, f)) != ST_OK || (st = end_entry(z, f)) != ST_OK)
        goto out;
    if (EVP_DigestFinal_ex(hash, digest.bytes, NULL) != 1)
        st = fault_set(f, ST_INTERNAL, NULL, "hashing failed");
    else if (ret_digest)
        *ret_digest = digest;
out:
    EVP_MD_CTX_free(hash);
    return st;
}

enum status zip_finish(struct zip_writer *z, struct fault *f)
{
    if (z->broken)
        return fault_set(f, ST_INTERNAL, NULL, "the archive is broken");
    if (!done(z, archive_write_close(z->archive)))
        return broken(z, f);
    z->broken = true; /* nothing may follow */
    return ST_OK;
}
