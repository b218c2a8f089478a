/*
 * Threads, libfcgi and the way from one to the other. A thread waits in its own epoll set for the socket
 * or the stop signal and accepts only when there is something to accept, so that stopping needs no
 * signals: libfcgi's reads do not survive them (no EINTR retry). Without fastcgi_keep_conn a connection
 * is one request.
 */
#include "fcgi/server.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "fcgi/dbpool.h"
#include "fcgi/metrics.h"
#include "fcgi/router.h"

struct worker {
    struct context *ctx;
    struct db *db;
    struct arena *arena;
    pthread_t thread;
    int listen_fd, stop_fd, epoll_fd;
};

static const char *fcgi_param(void *arg, const char *name)
{
    return FCGX_GetParam(name, ((FCGX_Request *)arg)->envp);
}

static size_t fcgi_read(void *arg, char *p, size_t n)
{
    const int got = FCGX_GetStr(p, n > 1 << 20 ? 1 << 20 : (int)n, ((FCGX_Request *)arg)->in);

    return got > 0 ? (size_t)got : 0;
}

static bool fcgi_write(void *arg, const char *p, size_t n)
{
    FCGX_Request *r = arg;

    if (failpoint_planned("response_half_sent")) {
        (void)!FCGX_PutStr(p, (int)(n / 2), r->out);
        (void)!FCGX_FFlush(r->out);
        (void)failpoint("response_half_sent");
        p += n / 2;
        n -= n / 2;
    }
    while (n) {
        const int piece = n > 1 << 20 ? 1 << 20 : (int)n;

        if (FCGX_PutStr(p, piece, r->out) < 0)
            return false;
        p += piece;
        n -= (size_t)piece;
    }
    return true;
}

static void serve_one(struct worker *w, FCGX_Request *fcgi, struct buffer *headers, struct buffer *body)
{
    const struct transport transport = { fcgi, fcgi_param, fcgi_read, fcgi_write };
    struct request rq = { .ctx = w->ctx, .db = w->db, .arena = w->arena, .transport = &transport };
    struct response rs = { .headers = *headers, .body = *body };
    const int64_t begun = clock_wall_us();

    serve_request(&rq, &rs);
    response_send(&rq, &rs);
    request_db_release(&rq);
    metrics_request(w->ctx->metrics,
                    rq.route ? router_index(w->ctx->router, rq.route) : router_count(w->ctx->router),
                    rs.status, clock_wall_us() - begun);
    *headers = rs.headers; /* the memory is kept for the next request */
    *body = rs.body;
    buffer_clear(headers);
    buffer_clear(body);
    if (body->cap > 1 << 20)
        buffer_free(body);
    arena_reset(w->arena);
}

/*
 * libfcgi closes a connection by waiting for nginx to close it first, which costs as much as the rest of
 * a short request. The wait is for a body that we did not read: without one, nginx has all it needs in
 * the answer.
 */
static bool owes_body(const FCGX_Request *fcgi)
{
    const char *length = FCGX_GetParam("CONTENT_LENGTH", fcgi->envp);
    const char *file = FCGX_GetParam("FOVEA_BODY_FILE", fcgi->envp);

    return length && *length && strcmp(length, "0") != 0 && !(file && *file);
}

static bool should_stop(const struct epoll_event *events, int n, int stop_fd)
{
    for (int i = 0; i < n; i++)
        if (events[i].data.fd == stop_fd)
            return true;
    return false;
}

static void *worker_loop(void *arg)
{
    struct worker *w = arg;
    struct buffer headers = { 0 }, body = { 0 };
    FCGX_Request fcgi;

    FCGX_InitRequest(&fcgi, w->listen_fd, FCGI_FAIL_ACCEPT_ON_INTR);
    for (;;) {
        struct epoll_event events[2];
        const int n = epoll_wait(w->epoll_fd, events, 2, -1);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || should_stop(events, n, w->stop_fd))
            break;
        if (FCGX_Accept_r(&fcgi) < 0) /* another thread took it */
            continue;
        fcgi.keepConnection =
            0; /* nginx asks for it only to see the end record: see nginx/fastcgi.conf */
        serve_one(w, &fcgi, &headers, &body);
        if (!owes_body(&fcgi))
            FCGX_Detach(&fcgi);
        FCGX_Finish_r(&fcgi);
    }
    buffer_free(&headers);
    buffer_free(&body);
    return NULL;
}

static bool worker_start(struct worker *w, struct context *ctx, int listen_fd, int stop_fd)
{
    struct epoll_event listen_event = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = listen_fd };
    struct epoll_event stop_event = { .events = EPOLLIN, .data.fd = stop_fd };

    *w = (struct worker){ .ctx = ctx, .listen_fd = listen_fd, .stop_fd = stop_fd };
    w->db = ctx->dbpool ? NULL : db_create(ctx->dsn);
    w->arena = arena_create(LIMIT_REQUEST_ARENA_BYTES);
    w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return (w->db || ctx->dbpool) && w->arena && w->epoll_fd >= 0 &&
           epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, listen_fd, &listen_event) == 0 &&
           epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, stop_fd, &stop_event) == 0 &&
           pthread_create(&w->thread, NULL, worker_loop, w) == 0;
}

static void worker_release(struct worker *w)
{
    db_free(w->db);
    arena_free(w->arena);
    if (w->epoll_fd >= 0)
        close(w->epoll_fd);
}

int server_run(struct context *ctx, int listen_fd, int stop_fd, int nthreads)
{
    struct worker *workers = calloc((size_t)nthreads, sizeof *workers);
    int started = 0;

    if (!workers || FCGX_Init() != 0 || fcntl(listen_fd, F_SETFL, O_NONBLOCK) != 0) {
        log_event(LOG_LEVEL_ERROR, "server_start_failed", "detail", strerror(errno), NULL);
        free(workers);
        return 1;
    }
    while (started < nthreads && worker_start(&workers[started], ctx, listen_fd, stop_fd))
        started++;
    if (started < nthreads) /* told to stop already, when the socket is let go of, or out of something */
        worker_release(&workers[started]);
    if (started == 0 && !ctx->draining)
        log_event(LOG_LEVEL_ERROR, "server_start_failed", "detail", strerror(errno), NULL);
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        worker_release(&workers[i]);
    }
    free(workers);
    return started || ctx->draining ? 0 : 1;
}
