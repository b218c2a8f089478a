/*
 * The worker: takes jobs from the queue of data.job, one at a time, and does the work that recurs.
 *
 * A job is leased. While its kind's function runs it calls job_step between steps, which renews the
 * lease, feeds the watchdog and tells when to stop. A step must therefore be much shorter than the
 * setting worker.lease_s. Every job may be run twice (a worker dies, a lease runs out), so every kind is
 * idempotent; what a worker that was thought dead still says about its job is refused by the fence.
 */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include "base/db.h"
#include "base/status.h"
#include "base/text.h"
#include "media/store.h"

struct worker {
    struct db *db;
    struct store *store;
    char owner[96]; /* "host:pid", in the row of a leased job */
    int lease_s, poll_s;
    int64_t watchdog_ms; /* longest time between two signs of life; 0: nobody watches */
    const volatile sig_atomic_t *stopping; /* set by TERM and INT */
};

/* Why a job should stop before its end. */
enum job_stop { JOB_GO_ON, JOB_WORKER_STOPS, JOB_CANCELLED, JOB_LOST };

struct job_kind;

struct job {
    struct worker *worker;
    const struct job_kind *kind;
    int64_t id, fence;
    char *parameters; /* JSON text */
    int attempt;
    bool last_attempt;
    int64_t beaten_ms; /* when the lease was last renewed, by the monotonic clock */
    enum job_stop stop;
};

/*
 * One sort of work, in a file of its own (kind_*.c), listed in kinds.c. run returns ST_OK when the work
 * is done or when job_step told it to stop; `result` is JSON text for the job's row. period_s: made anew
 * for each such slot of time, by whichever worker comes first; 0: only on demand.
 */
struct job_kind {
    const char *name;
    int period_s;
    enum status (*run)(struct job *job, struct buffer *result, struct fault *f);
};

extern const struct job_kind job_kinds[];
extern const size_t njob_kinds;

/* Between two steps; progress 0..100. False: return soon. */
bool job_step(struct job *job, double progress);

/* sd_notify: alive. Called by the loop and by job_step. */
void worker_alive(struct worker *w);

/* ---- queue.c: the functions of sql/domain/85_job.sql
 * ------------------------------------------------------------ */

/* The next job; *ret_found: there is one. Caller releases with job_release. */
enum status queue_take(struct worker *w, struct job *ret, bool *ret_found, struct fault *f) MUST_USE;
void job_release(struct job *job);
/* Runs it and writes down how it ended. Failures are the job's, logged and stored. */
void queue_run(struct job *job);

/* ---- schedule.c
 * ------------------------------------------------------------------------------------------------- */

struct schedule {
    int64_t slot[16]; /* per kind: the last slot that this process has asked for */
};
/* Puts the recurring kinds of this slot of time into the queue, unless somebody did. */
enum status schedule_due(struct schedule *s, struct worker *w, struct fault *f) MUST_USE;

#endif
