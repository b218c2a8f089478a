/* See watchdog.h. */
#include "domain/watchdog.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/db.h"
#include "base/log.h"

enum { STEP_MS = 100, RECORD_STEPS = 10, FAREWELL_MS = 500, ANSWER_MS = 50, VERDICTS = 16 };

struct watchdog {
    struct blackbox *box;
    struct gate *runs;
    struct db *db; /* NULL: verdicts stay in the box */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t stop_called;
    bool stop;
};

static void pause_ms(int64_t ms)
{
    const struct timespec t = { (time_t)(ms / 1000), (long)(ms % 1000 * 1000000) };

    nanosleep(&t, NULL);
}

/* True: the thread shall end. */
static bool wait_step(struct watchdog *w)
{
    const struct timespec until = deadline_after(STEP_MS);
    bool stop;

    pthread_mutex_lock(&w->lock);
    while (!w->stop && pthread_cond_timedwait(&w->stop_called, &w->lock, &until) != ETIMEDOUT)
        ;
    stop = w->stop;
    pthread_mutex_unlock(&w->lock);
    return stop;
}

/* Lets the others finish, then ends the process by the one signal that nothing can hold up. */
static void end_process(struct watchdog *w, size_t guilty, const struct digest *weights)
{
    char hex[DIGEST_HEX + 1];

    digest_to_hex(weights, hex);
    log_event(LOG_LEVEL_ERROR, "model_hangs", "weights", hex, NULL);
    gate_close(w->runs);
    for (int ms = 0; ms < FAREWELL_MS && gate_taken(w->runs) > (int64_t)guilty; ms += 10)
        pause_ms(10);
    pause_ms(ANSWER_MS);
    kill(getpid(), SIGKILL);
}

static enum status record(struct db *db, const struct verdict *v, struct fault *f)
{
    const struct param params[] = { p_bytes(v->weights.bytes, DIGEST_BYTES), p_text(v->reason) };
    const struct db_call call = { "SELECT domain.weights_condemn($1, $2)", params, 2 };
    PGresult *r = NULL;
    const enum status st = db_write(db, &call, 1, &r, f);

    if (st == ST_OK)
        PQclear(r);
    return st;
}

/* A database that is away is tried again a second later; until then the box itself refuses the model. */
static void record_verdicts(struct watchdog *w)
{
    struct verdict found[VERDICTS];
    const size_t n = blackbox_verdicts(w->box, found, VERDICTS);

    for (size_t i = 0; i < n; i++) {
        struct fault f = FAULT_INIT;
        char hex[DIGEST_HEX + 1];

        if (record(w->db, &found[i], &f) != ST_OK)
            return;
        blackbox_settle(w->box, &found[i].weights);
        digest_to_hex(&found[i].weights, hex);
        log_event(LOG_LEVEL_ERROR, "model_condemned", "weights", hex, "detail", found[i].reason, NULL);
    }
}

static void *watch(void *arg)
{
    struct watchdog *w = arg;
    struct digest weights;

    for (int step = 0; !wait_step(w); step = (step + 1) % RECORD_STEPS) {
        const size_t guilty = blackbox_overdue(w->box, STEP_MS, &weights);

        if (guilty)
            end_process(w, guilty, &weights);
        if (w->db && step == 0)
            record_verdicts(w);
    }
    return NULL;
}

struct watchdog *watchdog_start(struct blackbox *b, struct gate *runs, const char *dsn)
{
    struct watchdog *w = calloc(1, sizeof *w);

    if (!w)
        return NULL;
    w->box = b;
    w->runs = runs;
    w->db = dsn ? db_create(dsn) : NULL;
    pthread_mutex_init(&w->lock, NULL);
    deadline_cond_init(&w->stop_called);
    if ((!dsn || w->db) && pthread_create(&w->thread, NULL, watch, w) == 0)
        return w;
    pthread_cond_destroy(&w->stop_called);
    pthread_mutex_destroy(&w->lock);
    db_free(w->db);
    free(w);
    return NULL;
}

void watchdog_stop(struct watchdog *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    pthread_cond_signal(&w->stop_called);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->stop_called);
    pthread_mutex_destroy(&w->lock);
    db_free(w->db);
    free(w);
}
