/* See upload.h. */
#include "fcgi/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "fcgi/context.h"
#include "fcgi/multipart.h"

enum {
    PIECE_BYTES = 256 << 10, /* stays in the second-level cache from read to search, hash and write */
    RELEASE_BYTES = 4 << 20
};

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

/* Where the body comes from: the file that nginx spooled, or the pipe (fd -1). */
struct source {
    const struct request *rq;
    int fd;
    off_t read, released;
    bool releases;
};

/*
 * A form is copied out of its spooled body. To give back what has been read keeps the two together at
 * the size of one, in memory as on the disk: the copy goes into the very pages that the body leaves.
 * Only of a POST, which nginx never sends to a second process.
 */
static bool source_open(const struct request *rq, bool once, struct source *ret)
{
    const bool releases = once && rq->body_file && strcmp(rq->method, "POST") == 0;

    *ret = (struct source){ .rq = rq, .fd = -1, .releases = releases };
    if (!rq->body_file)
        return true;
    ret->fd = open(rq->body_file, (releases ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW);
    return ret->fd >= 0;
}

static ssize_t source_read(struct source *s, char *piece)
{
    ssize_t n;

    if (s->fd < 0)
        return (ssize_t)s->rq->transport->read(s->rq->transport->arg, piece, PIECE_BYTES);
    do
        n = read(s->fd, piece, PIECE_BYTES);
    while (n < 0 && errno == EINTR);
    s->read += n > 0 ? n : 0;
    /* A file system that cannot give back a part keeps the whole. */
    if (s->releases && s->read - s->released > RELEASE_BYTES) {
        s->releases = fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, s->released,
                                RELEASE_BYTES) == 0;
        s->released += RELEASE_BYTES;
    }
    return n;
}

/* Pumps the body into the parser. once: nobody will want to read it again. */
static enum status pump(const struct request *rq, bool once, struct multipart *m, struct fault *f)
{
    char *piece = malloc(PIECE_BYTES);
    struct source source = { .fd = -1 };
    enum status st = ST_OK;
    ssize_t n = 1;

    if (!piece || !source_open(rq, once, &source)) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the body could not be read");
        goto out;
    }
    while (st == ST_OK && n > 0)
        if ((n = source_read(&source, piece)) > 0)
            st = multipart_feed(m, piece, (size_t)n, f);
    if (n < 0)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the body could not be read");
    if (st == ST_OK)
        st = multipart_finish(m, f);
out:
    if (source.fd >= 0)
        close(source.fd);
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
        st = pump(r->rq, !r->in_memory, m, f);
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
