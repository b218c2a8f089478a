/* Sessions: see session.h. */
#include <pthread.h>
#include <stdlib.h>
#include "inference/graph/passes.h"
#include "inference/session.h"

struct idle {
    struct context *context;
    struct idle *next;
};

struct session {
    struct plan *plan;
    pthread_mutex_t lock;
    struct idle *idle;
    size_t contexts;
};

enum status session_create(struct graph *g, const struct compile_options *o, struct session **ret,
                           struct fault *f)
{
    struct session *s = calloc(1, sizeof *s);
    enum status st;

    if (!s) {
        graph_free(g);
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    if ((st = graph_optimise(g, f)) != ST_OK)
        graph_free(g);
    else
        st = plan_create(g, o, &s->plan, f);
    if (st != ST_OK) {
        free(s);
        return st;
    }
    pthread_mutex_init(&s->lock, NULL);
    *ret = s;
    return ST_OK;
}

void session_free(struct session *s)
{
    if (!s)
        return;
    while (s->idle) {
        struct idle *i = s->idle;
        s->idle = i->next;
        context_free(i->context);
        free(i);
    }
    pthread_mutex_destroy(&s->lock);
    plan_free(s->plan);
    free(s);
}

enum status session_take(struct session *s, struct context **ret, struct fault *f)
{
    struct idle *i;
    enum status st;

    pthread_mutex_lock(&s->lock);
    if ((i = s->idle))
        s->idle = i->next;
    pthread_mutex_unlock(&s->lock);
    if (i) {
        *ret = i->context;
        free(i);
        return ST_OK;
    }
    if ((st = context_create(s->plan, ret, f)) == ST_OK) {
        pthread_mutex_lock(&s->lock);
        s->contexts++;
        pthread_mutex_unlock(&s->lock);
    }
    return st;
}

void session_give(struct session *s, struct context *c)
{
    struct idle *i = c ? malloc(sizeof *i) : NULL;

    if (!i)
        context_free(c);
    pthread_mutex_lock(&s->lock);
    if (i) {
        *i = (struct idle){ c, s->idle };
        s->idle = i;
    } else if (c) {
        s->contexts--;
    }
    pthread_mutex_unlock(&s->lock);
}

size_t session_memory_bytes(struct session *s)
{
    size_t n;

    pthread_mutex_lock(&s->lock);
    n = s->contexts * (s->plan->memory_bytes + s->plan->scratch_bytes) + s->plan->weight_bytes;
    pthread_mutex_unlock(&s->lock);
    return n;
}
