/*
 * The event loop. All threads of a process wait in one epoll set: for the socket, for connections, for
 * the word to stop. What is ready is served in the order in which it became so, new connections and kept
 * ones alike, and the thread that waited last is woken first: under load none of them sleeps. A request
 * that is not whole yet waits in its connection, not in a thread.
 *
 * A thread accepts a few connections a turn and puts the socket back at the end of every queue: of its
 * own set, and of the processes that wait for it, which else would get what the first of them leaves.
 *
 * The main thread of the process looks after what no event tells (server_tick, server_stop).
 */
#include "fcgi/server.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/limits.h"
#include "base/log.h"
#include "fcgi/dbpool.h"
#include "fcgi/metrics.h"
#include "fcgi/router.h"
#include "fcgi/slots.h"

enum {
    ACCEPT_PAUSE_US = 10000,
    ACCEPTS_A_TURN = 16,
    INPUT_BYTES = 32 << 10,
    LEAVE_MS =
        5000, /* peers that were asked to leave have this long, when nothing of theirs is under way */
    STOP_POLL_US = 2000,
};

struct worker {
    struct server *server;
    struct db *db;
    struct arena *arena;
    struct buffer headers, body; /* of answers: the memory is kept */
    char *input;
    pthread_t thread;
};

struct server {
    struct context *ctx;
    struct slots slots;
    int listen_fd, stop_fd, epoll_fd;
    pthread_mutex_t lock; /* of what epoll is told of the socket */
    bool listening;       /* epoll watches it */
    struct worker *workers;
    int nworkers;
};

/* ---- one request */

static void serve_one(struct worker *w, struct connection *c, bool *ret_close)
{
    const struct transport transport = connection_transport(c);
    struct context *ctx = w->server->ctx;
    struct request rq = { .ctx = ctx, .db = w->db, .arena = w->arena, .transport = &transport };
    struct response rs = { .headers = w->headers, .body = w->body };
    const int64_t begun = clock_wall_us();

    c->ended = c->gone = c->told = false;
    c->body_at = 0;
    serve_request(&rq, &rs);
    response_send(&rq, &rs);
    *ret_close = !connection_end(c) || !c->fastcgi.keep || rs.handed_over;
    request_db_release(&rq);
    metrics_request(ctx->metrics,
                    rq.route ? router_index(ctx->router, rq.route) : router_count(ctx->router),
                    rs.status, clock_wall_us() - begun);
    w->headers = rs.headers;
    w->body = rs.body;
    buffer_clear(&w->headers);
    buffer_clear(&w->body);
    if (w->body.cap > 1 << 20)
        buffer_free(&w->body);
    arena_reset(w->arena);
    fastcgi_reset(&c->fastcgi);
}

/* ---- one connection */

/* False: the connection is to be closed. */
static bool take_input(struct worker *w, struct connection *c, const char *p, size_t n)
{
    while (n) {
        size_t used;
        const enum fastcgi_result result = fastcgi_feed(&c->fastcgi, p, n, &used);
        bool close_it = result == FASTCGI_CLOSE;

        p += used;
        n -= used;
        if (c->fastcgi.why) {
            log_set_request("", "", "");
            log_event(LOG_LEVEL_WARNING, "fastcgi_refused", "detail", c->fastcgi.why, NULL);
        }
        if (!connection_reply(c))
            return false;
        if (result == FASTCGI_REQUEST)
            serve_one(w, c, &close_it);
        if (close_it)
            return false;
    }
    return true;
}

static void note_half(struct connection *c)
{
    if (fastcgi_is_idle(&c->fastcgi))
        c->half_since_ms = 0;
    else if (!c->half_since_ms)
        c->half_since_ms = clock_monotonic_ms();
}

/* Reads and serves until nothing is left to read. The caller holds the slot. */
static void serve_slot(struct worker *w, struct slot *slot)
{
    struct connection *c = &slot->connection;

    do {
        ssize_t got;

        do {
            got = recv(c->fd, w->input, INPUT_BYTES, MSG_DONTWAIT);
            if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR) ||
                (got > 0 && !take_input(w, c, w->input, (size_t)got))) {
                slots_give(&w->server->slots, slot);
                return;
            }
        } while (got == INPUT_BYTES || (got < 0 && errno == EINTR));
        note_half(c);
    } while (!slot_release(slot));
}

/* ---- connections that nobody holds */

/* Gives a slot back; what came while it was held is reported again. */
static void release_and_report(struct server *s, struct slot *slot)
{
    struct epoll_event event = { .events = EPOLLIN | EPOLLET, .data.ptr = slot };
    const int fd = slot->connection.fd;

    while (!slot_release(slot))
        (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_MOD, fd, &event);
}

/* What becomes of connections that are idle. */
enum idle { IDLE_STAYS, IDLE_IS_ASKED_TO_LEAVE, IDLE_IS_CLOSED };

static bool is_over(const struct connection *c, int64_t now, enum idle idle)
{
    if (c->half_since_ms)
        return now - c->half_since_ms > CONNECTION_HALF_S * 1000;
    return idle == IDLE_IS_CLOSED;
}

/* Looks at each connection that nobody holds. */
static void look_after(struct server *s, enum idle idle)
{
    const int64_t now = clock_monotonic_ms();
    size_t used;

    pthread_mutex_lock(&s->slots.lock);
    used = s->slots.used;
    pthread_mutex_unlock(&s->slots.lock);
    for (size_t i = 0; i < used; i++) {
        struct slot *slot = &s->slots.all[i];
        struct connection *c = &slot->connection;

        if (!slot_try_hold(slot))
            continue;
        if (is_over(c, now, idle)) {
            slots_give(&s->slots, slot);
            continue;
        }
        if (idle == IDLE_IS_ASKED_TO_LEAVE && !c->told && !c->half_since_ms)
            (void)connection_goodbye(c);
        release_and_report(s, slot);
    }
}

/* ---- the socket */

static bool watch(struct server *s, int fd, uint32_t events, void *what)
{
    struct epoll_event event = { .events = events, .data.ptr = what };

    return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Back to the end of the queue; what has come meanwhile is reported again. */
static void listen_again(struct server *s)
{
    pthread_mutex_lock(&s->lock);
    if (s->listening) {
        (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->listen_fd, NULL);
        (void)watch(s, s->listen_fd, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, s);
    }
    pthread_mutex_unlock(&s->lock);
}

/* NULL: there is none, or no room for one. */
static struct slot *accept_one(struct server *s)
{
    struct slot *slot = slots_take(&s->slots);
    const int fd = slot ? accept4(s->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    const bool pause = fd < 0 && (!slot || (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED));

    if (slot) {
        slot->connection.fd = fd;
        slot->connection.leaving = &s->ctx->draining;
        slot->connection.half_since_ms = 0;
        slot->connection.told = false;
    }
    if (fd >= 0)
        return slot;
    if (slot)
        slots_give(&s->slots, slot);
    if (pause && !s->ctx->draining) { /* out of descriptors or slots: do not spin */
        look_after(s, IDLE_IS_ASKED_TO_LEAVE);
        usleep(ACCEPT_PAUSE_US);
    }
    return NULL;
}

/* Epoll reports the connection from now on; what it brought along already, too. */
static bool slot_watch(struct server *s, struct slot *slot)
{
    const bool ok = watch(s, slot->connection.fd, EPOLLIN | EPOLLET, slot);

    if (!ok)
        slots_give(&s->slots, slot);
    return ok;
}

/*
 * Serves the first that it accepts; the others queue behind the connections that are ready already. One
 * alone a turn would let a crowd wait for as many rounds of all kept connections (seconds, measured).
 */
static void accept_turn(struct worker *w)
{
    struct server *s = w->server;
    struct slot *first = accept_one(s), *slot;

    for (int i = 1; i < ACCEPTS_A_TURN && first && (slot = accept_one(s)); i++)
        if (slot_watch(s, slot))
            release_and_report(s, slot);
    listen_again(s);
    if (first && slot_watch(s, first))
        serve_slot(w, first);
}

static void *worker_loop(void *arg)
{
    struct worker *w = arg;
    struct server *s = w->server;
    struct epoll_event event;

    for (;;) {
        const int n = epoll_wait(s->epoll_fd, &event, 1, -1);

        if (n <= 0)
            continue; /* a debugger */
        if (event.data.ptr == &s->stop_fd)
            return NULL;
        if (event.data.ptr == s)
            accept_turn(w);
        else if (slot_hold(event.data.ptr))
            serve_slot(w, event.data.ptr);
    }
}

/* ---- what the main thread does */

void server_tick(struct server *s)
{
    look_after(s, IDLE_STAYS);
}

/* What stands in the socket's queue was sent to us: nobody else may have been told of it. */
static void let_go_of_socket(struct server *s)
{
    const int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct slot *slot;

    pthread_mutex_lock(&s->lock);
    s->listening = false;
    (void)epoll_ctl(s->epoll_fd, EPOLL_CTL_DEL, s->listen_fd, NULL);
    while ((slot = accept_one(s))) {
        if (slot_watch(s, slot))
            release_and_report(s, slot);
    }
    if (null_fd >= 0)
        dup2(null_fd, s->listen_fd);
    pthread_mutex_unlock(&s->lock);
    if (null_fd >= 0)
        close(null_fd);
}

static void worker_release(struct worker *w)
{
    db_free(w->db);
    arena_free(w->arena);
    buffer_free(&w->headers);
    buffer_free(&w->body);
    free(w->input);
}

static void server_free(struct server *s)
{
    for (int i = 0; i < s->nworkers; i++)
        worker_release(&s->workers[i]);
    if (s->epoll_fd >= 0)
        close(s->epoll_fd);
    if (s->stop_fd >= 0)
        close(s->stop_fd);
    slots_destroy(&s->slots);
    pthread_mutex_destroy(&s->lock);
    free(s->workers);
    free(s);
}

void server_stop(struct server *s)
{
    const int64_t asked = clock_monotonic_ms();
    const uint64_t one = 1;

    let_go_of_socket(s);
    while (atomic_load(&s->slots.open)) {
        look_after(s, clock_monotonic_ms() - asked > LEAVE_MS ? IDLE_IS_CLOSED : IDLE_IS_ASKED_TO_LEAVE);
        usleep(STOP_POLL_US);
    }
    (void)!write(s->stop_fd, &one, sizeof one);
    for (int i = 0; i < s->nworkers; i++)
        pthread_join(s->workers[i].thread, NULL);
    server_free(s);
}

/* ---- start */

static bool worker_start(struct worker *w, struct server *s)
{
    *w = (struct worker){ .server = s };
    w->db = s->ctx->dbpool ? NULL : db_create(s->ctx->dsn);
    w->arena = arena_create(LIMIT_REQUEST_ARENA_BYTES);
    w->input = malloc(INPUT_BYTES);
    if ((w->db || s->ctx->dbpool) && w->arena && w->input &&
        pthread_create(&w->thread, NULL, worker_loop, w) == 0)
        return true;
    worker_release(w);
    return false;
}

static bool server_open(struct server *s)
{
    s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    s->stop_fd = eventfd(0, EFD_CLOEXEC);
    s->listening = true;
    return s->epoll_fd >= 0 && s->stop_fd >= 0 && s->slots.all &&
           fcntl(s->listen_fd, F_SETFL, O_NONBLOCK) == 0 && watch(s, s->stop_fd, EPOLLIN, &s->stop_fd) &&
           watch(s, s->listen_fd, EPOLLIN | EPOLLET | EPOLLEXCLUSIVE, s);
}

struct server *server_start(struct context *ctx, int listen_fd, int nthreads)
{
    struct server *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    *s = (struct server){ .ctx = ctx, .listen_fd = listen_fd, .epoll_fd = -1, .stop_fd = -1 };
    pthread_mutex_init(&s->lock, NULL);
    s->workers = calloc((size_t)nthreads, sizeof *s->workers);
    if (slots_init(&s->slots) && s->workers && server_open(s))
        while (s->nworkers < nthreads && worker_start(&s->workers[s->nworkers], s))
            s->nworkers++;
    if (s->nworkers > 0)
        return s; /* fewer than wanted still serve */
    log_event(LOG_LEVEL_ERROR, "server_start_failed", "detail", strerror(errno), NULL);
    server_free(s);
    return NULL;
}
