/*
 * ZIP archives written as a stream, for exports: nothing is kept but the names, so memory does not grow
 * with the bytes (about 200 bytes an entry). ZIP64 where sizes or counts need it, names in UTF-8.
 * libarchive does the format.
 *
 *     zip_create, any number of zip_entry_*, zip_finish, zip_free
 *
 * After an error the archive is broken: zip_free it; what was written so far is no archive. One owner.
 */
#ifndef MEDIA_ZIP_H
#define MEDIA_ZIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "media/store.h"

struct zip_writer;

struct zip_entry {
    const char *name; /* relative path with '/', UTF-8, at most LIMIT_ZIP_NAME_BYTES */
    int64_t mtime_s;  /* seconds since 1970 */
    bool deflate;     /* for text; pictures and models are stored as they are */
};

/* Takes the archive's bytes in order, in pieces of at most 64 KiB. Its failure ends the archive and is
 * handed on. */
struct zip_sink {
    void *arg;
    enum status (*write)(void *arg, const void *p, size_t n, struct fault *f);
};

enum status zip_create(const struct zip_sink *sink, struct zip_writer **ret, struct fault *f) MUST_USE;

/* ST_INVALID, field "name": absolute, empty, with "." or ".." segments, backslashes, control characters,
 * a drive. */
enum status zip_entry_bytes(struct zip_writer *z, const struct zip_entry *e, const void *p, size_t n,
                            struct fault *f) MUST_USE;

/* `size` bytes of an open file from `offset` on. ret_digest (may be NULL): SHA-256 of what was read.
 * ST_INTERNAL: the file is shorter. The position of fd does not matter and does not change. */
enum status zip_entry_file(struct zip_writer *z, const struct zip_entry *e, int fd, int64_t offset,
                           int64_t size, struct digest *ret_digest, struct fault *f) MUST_USE;

/* Writes the directory at the end. Without it there is no archive. */
enum status zip_finish(struct zip_writer *z, struct fault *f) MUST_USE;
void zip_free(struct zip_writer *z); /* writes nothing; accepts NULL */

#endif
