/* See upload.h. */
#include "fcgi/upload.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "fcgi/context.h"
#include "fcgi/multipart.h"

enum { PIECE_BYTES = 256 << 10 };

struct receiver {
    struct request *rq;
    struct upload *up;
    const char *part;
    int64_t max_bytes;
    bool in_memory;
};

bool upload_is_multipart(const struct request *rq)
{
    return rq->content_type && strncasecmp(rq->content_type, "multipart/form-data", 19) == 0;
}

void upload_free(struct upload *u)
{
    spool_free(u->spool);
    buffer_free(&u->bytes);
    *u = (struct upload){ 0 };
}

enum status upload_settle(void *spool, struct fault *f)
{
    return spool_settle(spool, f);
}

static enum status too_large(const struct receiver *r, struct fault *f)
{
    return fault_set(f, ST_TOO_LARGE, r->part, "the file is larger than %" PRId64 " bytes",
                     r->max_bytes);
}

static enum status file_begin(void *arg, const struct multipart_part *part, struct fault *f)
{
    struct receiver *r = arg;

    if (strcmp(part->name, r->part) != 0)
        return fault_set(f, ST_INVALID, text_intern(r->part),
                         "a file was sent as '%.60s'; send it as '%s'", part->name, r->part);
    if (r->up->has_file)
        return fault_set(f, ST_INVALID, r->part, "only one file can be sent");
    r->up->has_file = true;
    memcpy(r->up->filename, part->filename, sizeof r->up->filename);
    return r->in_memory ? ST_OK : spool_create(r->rq->ctx->store, r->max_bytes, &r->up->spool, f);
}

static enum status file_bytes(void *arg, const void *p, size_t n, struct fault *f)
{
    struct receiver *r = arg;

    if (!r->in_memory) {
        const enum status st = spool_write(r->up->spool, p, n, f);

        return st == ST_TOO_LARGE ? too_large(r, f) : st;
    }
    buffer_bytes(&r->up->bytes, p, n);
    return r->up->bytes.failed ? too_large(r, f) : ST_OK;
}

static enum status file_end(void *arg, struct fault *f)
{
    (void)arg;
    (void)f;
    return ST_OK;
}

static enum status form_text(void *arg, const struct multipart_part *part, const char *value, size_t n,
                             struct fault *f)
{
    struct receiver *r = arg;
    struct request *rq = r->rq;

    if (rq->nform == LIMIT_MULTIPART_PARTS)
        return fault_set(f, ST_TOO_LARGE, NULL, "the form has too many fields");
    if (memchr(value, '\0', n) || !text_is_utf8(value, n))
        return fault_set(f, ST_INVALID, text_intern(part->name), "must be text without NUL in UTF-8");
    rq->form[rq->nform].name = arena_strdup(rq->arena, part->name);
    rq->form[rq->nform].value = arena_strndup(rq->arena, value, n);
    if (arena_failed(rq->arena))
        return fault_set(f, ST_TOO_LARGE, NULL, "the form is too large");
    rq->nform++;
    return ST_OK;
}

/* Pumps the body, from the spooled file or the pipe, into the parser. */
static enum status pump(struct request *rq, struct multipart *m, struct fault *f)
{
    char *piece = malloc(PIECE_BYTES);
    int fd = -1;
    enum status st = ST_OK;

    if (!piece || (rq->body_file && (fd = open(rq->body_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)) < 0)) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the body could not be read");
        goto out;
    }
    for (;;) {
        ssize_t n = fd >= 0 ? read(fd, piece, PIECE_BYTES)
                            : (ssize_t)rq->transport->read(rq->transport->arg, piece, PIECE_BYTES);

        if (n < 0)
            st = fault_set(f, ST_UNAVAILABLE, NULL, "the body could not be read");
        else if (n > 0)
            st = multipart_feed(m, piece, (size_t)n, f);
        if (n <= 0 || st != ST_OK)
            break;
    }
    if (st == ST_OK)
        st = multipart_finish(m, f);
out:
    if (fd >= 0)
        close(fd);
    free(piece);
    return st;
}

static enum status receive(struct receiver *r, struct fault *f)
{
    const struct multipart_sink sink = { r, file_begin, file_bytes, file_end, form_text };
    struct multipart *m = NULL;
    enum status st;

    *r->up = (struct upload){ .bytes.max = (size_t)r->max_bytes };
    r->rq->form = arena_array(r->rq->arena, LIMIT_MULTIPART_PARTS, sizeof *r->rq->form);
    if (!r->rq->form)
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    if ((st = multipart_create(r->rq->content_type, &sink, &m, f)) == ST_OK)
        st = pump(r->rq, m, f);
    multipart_free(m);
    if (st != ST_OK)
        upload_free(r->up);
    return st;
}

enum status upload_to_store(struct request *rq, const char *part, int64_t max_bytes, struct upload *ret,
                            struct fault *f)
{
    struct receiver r = { .rq = rq, .up = ret, .part = part, .max_bytes = max_bytes };

    return receive(&r, f);
}

enum status upload_to_memory(struct request *rq, const char *part, int64_t max_bytes, struct upload *ret,
                             struct fault *f)
{
    struct receiver r = { .rq = rq, .up = ret, .part = part, .max_bytes = max_bytes, .in_memory = true };

    return receive(&r, f);
}
