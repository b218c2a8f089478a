/*
 * The push parser of multipart/form-data bodies: see multipart.h. Reading header values is
 * multipart_header.c.
 *
 * A delimiter is CRLF "--" boundary; the body is taken to begin behind a CRLF. A boundary holds no CR,
 * so a CR begins a delimiter or nothing: when a match breaks off, the bytes held back are known (they
 * are the beginning of the delimiter itself) and the search starts anew at the byte that broke it. So
 * nothing is ever kept but a count.
 */
#include "fcgi/multipart.h"

#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "fcgi/multipart_header.h"

enum state {
    IN_PREAMBLE,  /* before the first delimiter: ignored */
    IN_BODY,      /* of a part */
    IN_DELIMITER, /* behind "--boundary": blanks and CRLF, or "--" */
    IN_HEADERS,
    IN_EPILOGUE, /* behind the closing delimiter: ignored */
    FAILED
};

struct multipart {
    struct multipart_sink sink;
    enum state state;
    char delimiter[4 + 70 + 1];
    size_t ndelimiter;
    size_t matched;  /* bytes of the delimiter seen and held back */
    size_t borrowed; /* of these, how many are no part of the body: the CRLF that ended the headers */
    char tail[2];    /* IN_DELIMITER: what followed the boundary, blanks left out */
    size_t ntail;
    char headers[LIMIT_MULTIPART_HEADER_BYTES];
    size_t nheaders;
    struct multipart_part part;
    struct buffer text; /* of a part that is no file */
    int parts;
    int64_t offset; /* in the whole body, of the byte that comes next */
};

enum status multipart_create(const char *content_type, const struct multipart_sink *sink,
                             struct multipart **ret, struct fault *f)
{
    char boundary[71];
    struct multipart *m;
    enum status st;

    if ((st = header_boundary(content_type, boundary, f)) != ST_OK)
        return st;
    if (!(m = calloc(1, sizeof *m)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    m->sink = *sink;
    m->text.max = LIMIT_MULTIPART_TEXT_BYTES;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, strlen(boundary));
    m->ndelimiter = 4 + strlen(boundary);
    m->matched = m->borrowed = 2;
    *ret = m;
    return ST_OK;
}

void multipart_free(struct multipart *m)
{
    if (!m)
        return;
    buffer_free(&m->text);
    free(m);
}

static enum status put_bytes(struct multipart *m, const char *p, size_t n, struct fault *f)
{
    if (n == 0 || m->state != IN_BODY)
        return ST_OK;
    if (m->part.is_file)
        return m->sink.file_bytes(m->sink.arg, p, n, f);
    if (n > LIMIT_MULTIPART_TEXT_BYTES - m->text.n)
        return fault_at(f, ST_TOO_LARGE, NULL, m->offset, "a text part is larger than %d bytes",
                        LIMIT_MULTIPART_TEXT_BYTES);
    buffer_bytes(&m->text, p, n);
    return m->text.failed ? fault_set(f, ST_UNAVAILABLE, NULL, "out of memory") : ST_OK;
}

static enum status end_part(struct multipart *m, struct fault *f)
{
    enum status st;

    if (m->state != IN_BODY)
        return ST_OK;
    if (m->part.is_file)
        return m->sink.file_end(m->sink.arg, f);
    st = m->sink.text(m->sink.arg, &m->part, buffer_terminate(&m->text), m->text.n, f);
    buffer_clear(&m->text);
    return st;
}

/*
 * How many of n bytes belong to no delimiter, neither a whole one nor one that n cuts off. Weights hold
 * a CR every 256 bytes: to stop at each would make as many writes.
 */
static size_t plain_run(const struct multipart *m, const char *p, size_t n)
{
    const char *const whole = memmem(p, n, m->delimiter, m->ndelimiter), *cr;
    size_t i = n < m->ndelimiter ? 0 : n - m->ndelimiter + 1;

    if (whole)
        return (size_t)(whole - p);
    for (; (cr = memchr(p + i, '\r', n - i)); i++) {
        i = (size_t)(cr - p);
        if (memcmp(cr, m->delimiter, n - i) == 0)
            return i;
    }
    return n;
}

/* In preamble or body: hands on bytes up to a delimiter. Returns how many of n were used. */
static enum status take_body(struct multipart *m, const char *p, size_t n, size_t *used, struct fault *f)
{
    enum status st = ST_OK;
    size_t i = 0;

    while (i < n && st == ST_OK && m->matched < m->ndelimiter) {
        if (p[i] == m->delimiter[m->matched]) {
            m->matched++;
            i++;
        } else if (m->matched) {
            st = put_bytes(m, m->delimiter + m->borrowed, m->matched - m->borrowed, f);
            m->matched = m->borrowed = 0;
        } else {
            const size_t run = plain_run(m, p + i, n - i);

            st = put_bytes(m, p + i, run, f);
            i += run;
        }
    }
    *used = i;
    if (st == ST_OK && m->matched == m->ndelimiter) {
        st = end_part(m, f);
        m->matched = m->ntail = 0;
        m->state = IN_DELIMITER;
    }
    return st;
}

static enum status take_after_delimiter(struct multipart *m, char c, struct fault *f)
{
    if ((c == ' ' || c == '\t') && m->ntail == 0) /* padding that gateways may add */
        return ST_OK;
    m->tail[m->ntail++] = c;
    if (m->tail[0] != '\r' && m->tail[0] != '-')
        return fault_at(f, ST_INVALID, NULL, m->offset,
                        "a boundary is followed by other text on its line");
    if (m->ntail < 2)
        return ST_OK;
    if (memcmp(m->tail, "--", 2) == 0) {
        m->state = IN_EPILOGUE;
        return ST_OK;
    }
    if (memcmp(m->tail, "\r\n", 2) != 0)
        return fault_at(f, ST_INVALID, NULL, m->offset,
                        "a boundary is not followed by the end of its line");
    if (++m->parts > LIMIT_MULTIPART_PARTS)
        return fault_at(f, ST_TOO_LARGE, NULL, m->offset, "more than %d parts", LIMIT_MULTIPART_PARTS);
    m->nheaders = 0;
    m->state = IN_HEADERS;
    return ST_OK;
}

/* Collects up to the empty line, then begins the part. */
static enum status take_header_byte(struct multipart *m, char c, struct fault *f)
{
    enum status st;

    if (m->nheaders == sizeof m->headers)
        return fault_at(f, ST_TOO_LARGE, NULL, m->offset,
                        "the headers of a part are longer than %d bytes", LIMIT_MULTIPART_HEADER_BYTES);
    m->headers[m->nheaders++] = c;
    if (c != '\n' || m->nheaders < 2 || memcmp(m->headers + m->nheaders - 2, "\r\n", 2) != 0)
        return ST_OK;
    if (m->nheaders > 2 && (m->nheaders < 4 || memcmp(m->headers + m->nheaders - 4, "\r\n", 2) != 0))
        return ST_OK;
    if ((st = header_part(m->headers, m->nheaders - 2, &m->part, f)) != ST_OK) {
        if (f)
            f->offset = m->offset;
        return st;
    }
    m->state = IN_BODY;
    m->matched = m->borrowed = 2; /* of the empty line: "--boundary" may follow at once */
    return m->part.is_file ? m->sink.file_begin(m->sink.arg, &m->part, f) : ST_OK;
}

static enum status take(struct multipart *m, const char *p, size_t n, size_t *used, struct fault *f)
{
    *used = 1;
    switch (m->state) {
    case IN_PREAMBLE:
    case IN_BODY:
        return take_body(m, p, n, used, f);
    case IN_DELIMITER:
        return take_after_delimiter(m, *p, f);
    case IN_HEADERS:
        return take_header_byte(m, *p, f);
    case IN_EPILOGUE:
        *used = n;
        return ST_OK;
    case FAILED:
        break;
    }
    return fault_at(f, ST_INVALID, NULL, m->offset, "the body was refused before");
}

enum status multipart_feed(struct multipart *m, const void *bytes, size_t n, struct fault *f)
{
    const char *p = bytes;
    const char *const end = p + n;
    enum status st = ST_OK;

    while (p < end && st == ST_OK) {
        size_t used;

        st = take(m, p, (size_t)(end - p), &used, f);
        p += used;
        m->offset += (int64_t)used;
    }
    if (st != ST_OK)
        m->state = FAILED;
    return st;
}

enum status multipart_finish(struct multipart *m, struct fault *f)
{
    if (m->state == IN_EPILOGUE)
        return ST_OK;
    return fault_at(f, ST_INVALID, NULL, m->offset, "the body ends before its closing boundary");
}
