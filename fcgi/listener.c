/* See listener.h. */
#include "fcgi/listener.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "fcgi/keycache.h"
#include "fcgi/links.h"

enum { FLUSH_MS = 1000 };

struct listener {
    struct context *ctx;
    struct db *db;
    pthread_t thread;
    int stop_fd;
    int backend; /* the process of the server that LISTENs for us; 0: none */
};

static bool listen_again(struct listener *l)
{
    struct fault f = FAULT_INIT;

    /* By the backend, not by the connection's state: a write of links_flush may have opened a new one.
     */
    if (db_connection(l->db) && PQstatus(db_connection(l->db)) == CONNECTION_OK &&
        PQbackendPID(db_connection(l->db)) == l->backend)
        return true;
    keycache_listening(l->ctx->keys, false);
    if (db_command(l->db, "LISTEN fovea_key", &f) != ST_OK)
        return false;
    l->backend = PQbackendPID(db_connection(l->db));
    (void)!db_facts_load(l->db, &f);
    keycache_listening(l->ctx->keys, true);
    return true;
}

static void hear(struct listener *l)
{
    PGconn *conn = db_connection(l->db);
    PGnotify *n;

    if (!PQconsumeInput(conn))
        return; /* the next turn finds the connection bad */
    while ((n = PQnotifies(conn))) {
        keycache_invalidate(l->ctx->keys);
        PQfreemem(n);
    }
}

static void *listen_loop(void *arg)
{
    struct listener *l = arg;
    int64_t flush_at = clock_monotonic_ms() + FLUSH_MS;

    log_set_request("", "", "");
    for (;;) {
        struct pollfd fds[2] = { { .fd = l->stop_fd, .events = POLLIN },
                                 { .fd = -1, .events = POLLIN } };

        if (listen_again(l))
            fds[1].fd = PQsocket(db_connection(l->db));
        if (poll(fds, 2, FLUSH_MS / 2) < 0)
            continue;
        if (fds[1].revents)
            hear(l);
        if (fds[0].revents || clock_monotonic_ms() >= flush_at) {
            links_flush(l->db);
            flush_at = clock_monotonic_ms() + FLUSH_MS;
        }
        if (fds[0].revents)
            return NULL;
    }
}

struct listener *listener_start(struct context *ctx)
{
    struct listener *l = calloc(1, sizeof *l);

    if (!l)
        return NULL;
    l->ctx = ctx;
    l->db = db_create(ctx->dsn);
    l->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (!l->db || l->stop_fd < 0 || pthread_create(&l->thread, NULL, listen_loop, l) != 0) {
        db_free(l->db);
        free(l);
        return NULL;
    }
    return l;
}

void listener_stop(struct listener *l)
{
    const uint64_t one = 1;

    if (!l)
        return;
    (void)!write(l->stop_fd, &one, sizeof one);
    pthread_join(l->thread, NULL);
    close(l->stop_fd);
    db_free(l->db);
    free(l);
}
