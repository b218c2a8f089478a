/*
 * Threads, libfcgi and the way from one to the other. One thread of a process at a time, the leader,
 * waits in epoll for the socket or the stop event; it accepts, hands the lead on and serves. When every
 * thread waited for itself, a connection woke several and two thirds of all accepts found nothing.
 * Stopping needs no signals: libfcgi's reads do not survive them (no EINTR retry). A connection is one
 * request.
 */
#include "fcgi/server.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "fcgi/dbpool.h"
#include "fcgi/metrics.h"
#include "fcgi/router.h"

enum { ACCEPT_PAUSE_US = 10000 };

/* What the threads of a process share to take turns. */
struct lead {
    pthread_mutex_t lock;
    int listen_fd, stop_fd, epoll_fd;
};

struct worker {
    struct context *ctx;
    struct lead *lead;
    struct db *db;
    struct arena *arena;
    pthread_t thread;
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

/* The next connection, or -1: somebody else took it. False: it is time to stop. */
static bool next_connection(struct lead *lead, int *ret_fd)
{
    struct epoll_event events[2];
    bool go_on;
    int n;

    *ret_fd = -1;
    pthread_mutex_lock(&lead->lock);
    n = epoll_wait(lead->epoll_fd, events, 2, -1);
    go_on = n >= 0 ? !should_stop(events, n, lead->stop_fd) : errno == EINTR;
    if (go_on && n > 0)
        *ret_fd = accept4(lead->listen_fd, NULL, NULL, SOCK_CLOEXEC);
    pthread_mutex_unlock(&lead->lock);
    if (go_on && *ret_fd < 0 && errno != EAGAIN && errno != EINTR)
        usleep(ACCEPT_PAUSE_US); /* out of descriptors: the socket stays readable, do not spin */
    return go_on;
}

static void *worker_loop(void *arg)
{
    struct worker *w = arg;
    struct buffer headers = { 0 }, body = { 0 };
    FCGX_Request fcgi;
    int fd;

    FCGX_InitRequest(&fcgi, w->lead->listen_fd, FCGI_FAIL_ACCEPT_ON_INTR);
    while (next_connection(w->lead, &fd)) {
        if (fd < 0)
            continue;
        fcgi.ipcFd = fd;         /* libfcgi goes on with a connection that is there, */
        fcgi.keepConnection = 1; /* and must not take it for the end of the last one */
        if (FCGX_Accept_r(&fcgi) < 0)
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

static bool worker_start(struct worker *w, struct context *ctx, struct lead *lead)
{
    *w = (struct worker){ .ctx = ctx, .lead = lead };
    w->db = ctx->dbpool ? NULL : db_create(ctx->dsn);
    w->arena = arena_create(LIMIT_REQUEST_ARENA_BYTES);
    return (w->db || ctx->dbpool) && w->arena && pthread_create(&w->thread, NULL, worker_loop, w) == 0;
}

static void worker_release(struct worker *w)
{
    db_free(w->db);
    arena_free(w->arena);
}

static bool lead_open(struct lead *lead)
{
    struct epoll_event listen_event = { .events = EPOLLIN | EPOLLEXCLUSIVE, .data.fd = lead->listen_fd };
    struct epoll_event stop_event = { .events = EPOLLIN, .data.fd = lead->stop_fd };

    lead->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return lead->epoll_fd >= 0 && fcntl(lead->listen_fd, F_SETFL, O_NONBLOCK) == 0 &&
           epoll_ctl(lead->epoll_fd, EPOLL_CTL_ADD, lead->listen_fd, &listen_event) == 0 &&
           epoll_ctl(lead->epoll_fd, EPOLL_CTL_ADD, lead->stop_fd, &stop_event) == 0;
}

int server_run(struct context *ctx, int listen_fd, int stop_fd, int nthreads)
{
    struct worker *workers = calloc((size_t)nthreads, sizeof *workers);
    struct lead lead = { .lock = PTHREAD_MUTEX_INITIALIZER, .listen_fd = listen_fd, .stop_fd = stop_fd };
    int started = 0;

    if (!workers || FCGX_Init() != 0 || !lead_open(&lead)) {
        log_event(LOG_LEVEL_ERROR, "server_start_failed", "detail", strerror(errno), NULL);
        free(workers);
        return 1;
    }
    while (started < nthreads && worker_start(&workers[started], ctx, &lead))
        started++;
    if (started < nthreads) /* told to stop already, when the socket is let go of, or out of something */
        worker_release(&workers[started]);
    if (started == 0 && !ctx->draining)
        log_event(LOG_LEVEL_ERROR, "server_start_failed", "detail", strerror(errno), NULL);
    for (int i = 0; i < started; i++) {
        pthread_join(workers[i].thread, NULL);
        worker_release(&workers[i]);
    }
    close(lead.epoll_fd);
    free(workers);
    return started || ctx->draining ? 0 : 1;
}
