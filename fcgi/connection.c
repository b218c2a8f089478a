/* See connection.h. */
#include "fcgi/connection.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/failpoint.h"

enum { PIECES = 64, RECORDS = PIECES / 2 };

/* Records on their way out, gathered: one call sends an ordinary answer. */
struct outgoing {
    struct connection *c;
    struct iovec pieces[PIECES];
    uint8_t headers[RECORDS][FASTCGI_HEADER_BYTES], end[FASTCGI_END_BYTES];
    int npieces, nheaders;
};

/* Waits as long as the peer makes any progress within CONNECTION_SEND_S. */
static bool send_pieces(int fd, struct iovec *pieces, int n)
{
    while (n) {
        const struct msghdr message = { .msg_iov = pieces, .msg_iovlen = (size_t)n };
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno == EAGAIN) {
            struct pollfd p = { .fd = fd, .events = POLLOUT };

            if (poll(&p, 1, CONNECTION_SEND_S * 1000) <= 0)
                return false;
            continue;
        }
        if (sent < 0 && errno != EINTR)
            return false;
        for (; n && sent >= (ssize_t)pieces->iov_len; pieces++, n--)
            sent -= (ssize_t)pieces->iov_len;
        if (n && sent > 0) {
            pieces->iov_base = (char *)pieces->iov_base + sent;
            pieces->iov_len -= (size_t)sent;
        }
    }
    return true;
}

static void flush(struct outgoing *o)
{
    if (!o->c->gone && !send_pieces(o->c->fd, o->pieces, o->npieces))
        o->c->gone = true;
    o->npieces = o->nheaders = 0;
}

static void add_bytes(struct outgoing *o, const void *p, size_t n)
{
    o->pieces[o->npieces++] = (struct iovec){ .iov_base = (void *)p, .iov_len = n };
}

static void add_record(struct outgoing *o, enum fastcgi_type type, const char *p, size_t n)
{
    uint8_t *header = o->headers[o->nheaders++];

    fastcgi_frame(header, type, o->c->fastcgi.id, n);
    add_bytes(o, header, FASTCGI_HEADER_BYTES);
    if (n)
        add_bytes(o, p, n);
}

static void add_output(struct outgoing *o, const char *p, size_t n)
{
    while (n) {
        const size_t piece = n < FASTCGI_RECORD_BYTES ? n : FASTCGI_RECORD_BYTES;

        if (o->nheaders == RECORDS)
            flush(o);
        add_record(o, FASTCGI_STDOUT, p, piece);
        p += piece;
        n -= piece;
    }
}

/* The end of the output, of the request, and, when the process stops, of the acquaintance. */
static bool finish(struct outgoing *o)
{
    if (o->nheaders + 2 > RECORDS || o->npieces + 3 > PIECES)
        flush(o);
    add_record(o, FASTCGI_STDOUT, NULL, 0);
    fastcgi_frame_end(o->end, o->c->fastcgi.id, 0);
    add_bytes(o, o->end, sizeof o->end);
    if (atomic_load_explicit(o->c->leaving, memory_order_relaxed)) {
        add_record(o, FASTCGI_STDERR, NULL, 0);
        o->c->told = true;
    }
    flush(o);
    o->c->ended = true;
    return !o->c->gone;
}

bool connection_goodbye(struct connection *c)
{
    uint8_t header[FASTCGI_HEADER_BYTES];

    fastcgi_frame(header, FASTCGI_STDERR, 1, 0); /* nginx numbers every request 1 */
    c->told = send(c->fd, header, sizeof header, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)sizeof header;
    return c->told;
}

bool connection_reply(struct connection *c)
{
    struct buffer *reply = &c->fastcgi.reply;
    struct iovec piece = { .iov_base = reply->p, .iov_len = reply->n };
    const bool sent = reply->n == 0 || send_pieces(c->fd, &piece, 1);

    buffer_clear(reply);
    return sent;
}

bool connection_end(struct connection *c)
{
    struct outgoing o = { .c = c };

    return c->ended ? !c->gone : finish(&o);
}

/* ---- the transport of a request */

static const char *connection_param(void *arg, const char *name)
{
    const struct connection *c = arg;

    return fastcgi_params_find(&c->fastcgi.params, name);
}

static size_t connection_read(void *arg, char *p, size_t n)
{
    struct connection *c = arg;
    const struct buffer *body = &c->fastcgi.body;

    if (n > body->n - c->body_at)
        n = body->n - c->body_at;
    if (n)
        memcpy(p, body->p + c->body_at, n);
    c->body_at += n;
    return n;
}

static bool connection_write(void *arg, const char *p, size_t n)
{
    struct outgoing o = { .c = arg };

    add_output(&o, p, n);
    flush(&o);
    return !o.c->gone;
}

static struct slice take(struct slice *from, size_t n)
{
    const struct slice taken = { from->p, n < from->n ? n : from->n };

    *from = (struct slice){ from->n ? from->p + taken.n : NULL, from->n - taken.n };
    return taken;
}

/* For tests: a process may die with half an answer out. */
static void send_half(void *arg, struct slice *head, struct slice *body)
{
    const size_t half = (head->n + body->n) / 2;
    const struct slice first = take(head, half), rest = take(body, half - first.n);

    (void)connection_write(arg, first.p, first.n);
    (void)connection_write(arg, rest.p, rest.n);
    (void)failpoint("response_half_sent");
}

static bool connection_answer(void *arg, struct slice head, struct slice body)
{
    struct outgoing o = { .c = arg };

    if (failpoint_planned("response_half_sent"))
        send_half(arg, &head, &body);
    add_output(&o, head.p, head.n);
    add_output(&o, body.p, body.n);
    return finish(&o);
}

struct transport connection_transport(struct connection *c)
{
    return (struct transport){ c, connection_param, connection_read, connection_write,
                               connection_answer };
}
