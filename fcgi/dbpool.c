/* See dbpool.h. */
#include "fcgi/dbpool.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#include "fcgi/context.h"

struct dbpool {
    pthread_mutex_t lock;
    pthread_cond_t returned;
    struct db *idle[DBPOOL_CONNECTIONS];
    int nidle;
};

struct dbpool *dbpool_create(const char *conninfo, int n)
{
    struct dbpool *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->returned, NULL);
    while (p->nidle < n && p->nidle < DBPOOL_CONNECTIONS) {
        if (!(p->idle[p->nidle] = db_create(conninfo))) {
            dbpool_free(p);
            return NULL;
        }
        p->nidle++;
    }
    return p;
}

void dbpool_free(struct dbpool *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->nidle; i++)
        db_free(p->idle[i]);
    pthread_cond_destroy(&p->returned);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

enum status request_db_lease(struct request *rq, struct fault *f)
{
    struct dbpool *p = rq->ctx->dbpool;
    struct timespec until;
    int waited = 0;

    if (rq->db || !p)
        return ST_OK;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += DBPOOL_WAIT_MS / 1000;
    pthread_mutex_lock(&p->lock);
    while (p->nidle == 0 && waited == 0)
        waited = pthread_cond_timedwait(&p->returned, &p->lock, &until);
    if (p->nidle > 0)
        rq->db = p->idle[--p->nidle]; /* the last one used is the warmest */
    pthread_mutex_unlock(&p->lock);
    if (rq->db)
        return ST_OK;
    (void)fault_set(f, ST_UNAVAILABLE, NULL,
                    "too many requests are waiting for the database, try again");
    f->retry_after_s = 1;
    return ST_UNAVAILABLE;
}

void request_db_release(struct request *rq)
{
    struct dbpool *p = rq->ctx->dbpool;

    if (!p || !rq->db)
        return;
    pthread_mutex_lock(&p->lock);
    p->idle[p->nidle++] = rq->db;
    pthread_cond_signal(&p->returned);
    pthread_mutex_unlock(&p->lock);
    rq->db = NULL;
}
