/* See gate.h. A list of waiting threads, each with a condition of its own: units go to the first of
 * them before anybody who comes later. */
#include "domain/gate.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct waiter {
    struct waiter *next;
    pthread_cond_t called;
    int64_t units;
    bool served;
};

struct gate {
    pthread_mutex_t lock;
    struct waiter *first, **end;
    int64_t capacity, taken;
    int waiting, queue;
    bool closed;
};

struct gate *gate_create(int64_t capacity, int queue)
{
    struct gate *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->capacity = capacity;
    g->queue = queue;
    g->end = &g->first;
    pthread_mutex_init(&g->lock, NULL);
    return g;
}

void gate_free(struct gate *g)
{
    if (!g)
        return;
    pthread_mutex_destroy(&g->lock);
    free(g);
}

struct timespec deadline_after(int64_t ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += (time_t)(ms / 1000);
    t.tv_nsec += (long)(ms % 1000 * 1000000);
    if (t.tv_nsec >= 1000000000) {
        t.tv_nsec -= 1000000000;
        t.tv_sec++;
    }
    return t;
}

void deadline_cond_init(pthread_cond_t *c)
{
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(c, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

static void leave_queue(struct gate *g, struct waiter *w)
{
    struct waiter **at = &g->first;

    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (g->end == &w->next)
        g->end = at;
    g->waiting--;
}

/* Serves the first ones as far as it reaches. Under the lock. */
static void serve(struct gate *g)
{
    while (g->first && !g->closed && g->capacity - g->taken >= g->first->units) {
        struct waiter *w = g->first;

        leave_queue(g, w);
        g->taken += w->units;
        w->served = true;
        pthread_cond_signal(&w->called);
    }
}

/* Under the lock, which is given up meanwhile. */
static bool wait_for_turn(struct gate *g, int64_t units, int64_t wait_ms)
{
    const struct timespec until = deadline_after(wait_ms);
    struct waiter w = { .units = units };
    int error = 0;

    deadline_cond_init(&w.called);
    *g->end = &w;
    g->end = &w.next;
    g->waiting++;
    while (!w.served && !g->closed && error != ETIMEDOUT)
        error = pthread_cond_timedwait(&w.called, &g->lock, &until);
    if (!w.served) {
        leave_queue(g, &w);
        serve(g); /* who came behind may want less */
    }
    pthread_cond_destroy(&w.called);
    return w.served;
}

enum status gate_take(struct gate *g, int64_t units, int64_t wait_ms, const char *what,
                      int64_t *ret_free, struct fault *f)
{
    bool in = false, full = false;

    if (units > g->capacity)
        units = g->capacity;
    pthread_mutex_lock(&g->lock);
    if (!g->first && !g->closed && g->capacity - g->taken >= units) {
        g->taken += units;
        in = true;
    } else if (g->waiting >= g->queue) {
        full = true;
    } else if (!g->closed) {
        in = wait_for_turn(g, units, wait_ms);
    }
    if (in && ret_free)
        *ret_free = g->first ? 0 : g->capacity - g->taken;
    pthread_mutex_unlock(&g->lock);
    if (in)
        return ST_OK;
    fault_set(f, ST_UNAVAILABLE, NULL,
              full ? "too many requests wait for %s, try again"
                   : "%s was not to be had in time, try again",
              what);
    if (f)
        f->retry_after_s = 1;
    return ST_UNAVAILABLE;
}

void gate_give(struct gate *g, int64_t units)
{
    pthread_mutex_lock(&g->lock);
    g->taken -= units > g->capacity ? g->capacity : units;
    serve(g);
    pthread_mutex_unlock(&g->lock);
}

void gate_close(struct gate *g)
{
    pthread_mutex_lock(&g->lock);
    g->closed = true;
    for (struct waiter *w = g->first; w; w = w->next)
        pthread_cond_signal(&w->called);
    pthread_mutex_unlock(&g->lock);
}

int64_t gate_taken(struct gate *g)
{
    int64_t taken;

    pthread_mutex_lock(&g->lock);
    taken = g->taken;
    pthread_mutex_unlock(&g->lock);
    return taken;
}
