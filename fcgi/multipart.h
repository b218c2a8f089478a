/*
 * multipart/form-data (RFC 7578) as a push parser: bytes in any pieces, events out; constant memory.
 * Limits of base/limits.h: parts, header bytes, size of a text part. File parts are handed on in pieces
 * as they come.
 */
#ifndef FCGI_MULTIPART_H
#define FCGI_MULTIPART_H

#include <stdbool.h>
#include "base/arena.h"
#include "base/status.h"
#include "base/text.h"

struct multipart_part {
    char name[128];
    char filename[256]; /* as sent, last path segment, UTF-8; a name only, never a path */
    bool is_file;       /* had a filename parameter */
    char type[64];      /* Content-Type of the part, lower case; informative only */
};

struct multipart_sink {
    void *arg;
    /* A file part begins, goes on, ends. Text parts are collected and given whole by `text`. */
    enum status (*file_begin)(void *arg, const struct multipart_part *part, struct fault *f);
    enum status (*file_bytes)(void *arg, const void *p, size_t n, struct fault *f);
    enum status (*file_end)(void *arg, struct fault *f);
    enum status (*text)(void *arg, const struct multipart_part *part, const char *value, size_t n,
                        struct fault *f);
};

struct multipart;

/* content_type: the request's header; ST_UNSUPPORTED when it is not multipart/form-data with a legal
 * boundary. */
enum status multipart_create(const char *content_type, const struct multipart_sink *sink,
                             struct multipart **ret, struct fault *f) MUST_USE;
enum status multipart_feed(struct multipart *m, const void *p, size_t n, struct fault *f) MUST_USE;
/* ST_INVALID unless the closing boundary was seen. */
enum status multipart_finish(struct multipart *m, struct fault *f) MUST_USE;
void multipart_free(struct multipart *m);

#endif
