/* Taking jobs, keeping their lease, writing down how they ended: the C side of sql/domain/85_job.sql. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "worker/worker.h"

enum { FIRST_WAIT_S = 5, MOST_WAIT_S = 600, NUMBERS = 5 };

/* Parameters of one call: numbers printed into a place of their own. */
struct numbers {
    char text[NUMBERS][32];
    int n;
};

static struct param number(struct numbers *p, int64_t v)
{
    char *const text = p->text[p->n++];

    snprintf(text, sizeof p->text[0], "%" PRId64, v);
    return p_text(text);
}

static const struct job_kind *find_kind(const char *name)
{
    for (size_t i = 0; i < njob_kinds; i++)
        if (strcmp(job_kinds[i].name, name) == 0)
            return &job_kinds[i];
    return NULL;
}

enum status queue_take(struct worker *w, struct job *ret, bool *ret_found, struct fault *f)
{
    struct numbers numbers = { .n = 0 };
    struct buffer kinds = { .n = 0 };
    struct param params[3];
    const struct db_call call = {
        "SELECT t.id, t.kind, t.parameters, t.fence, t.attempt, t.last_attempt"
        " FROM domain.job_take($1, $2::text[], make_interval(secs => $3::integer)) AS t",
        params, 3
    };
    PGresult *r = NULL;
    enum status st;

    for (size_t i = 0; i < njob_kinds; i++)
        buffer_printf(&kinds, "%c%s", i ? ',' : '{', job_kinds[i].name);
    buffer_char(&kinds, '}');
    params[0] = p_text(w->owner);
    params[1] = p_text(buffer_terminate(&kinds));
    params[2] = number(&numbers, w->lease_s);
    st = db_write(w->db, &call, 1, &r, f);
    buffer_free(&kinds);
    if (st != ST_OK)
        return st;
    *ret_found = PQntuples(r) == 1;
    if (*ret_found) {
        *ret = (struct job){ .worker = w,
                             .kind = find_kind(row_text(r, 0, 1)),
                             .id = row_i64(r, 0, 0),
                             .fence = row_i64(r, 0, 3),
                             .attempt = (int)row_i64(r, 0, 4),
                             .last_attempt = row_bool(r, 0, 5),
                             .beaten_ms = clock_monotonic_ms() };
        ret->parameters = strdup(row_text(r, 0, 2));
    }
    PQclear(r);
    if (*ret_found)
        (void)failpoint("job_leased");
    if (*ret_found && !ret->parameters)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory"); /* its lease will run out */
    return ST_OK;
}

void job_release(struct job *job)
{
    free(job->parameters);
    job->parameters = NULL;
}

/* ---- while it runs
 * --------------------------------------------------------------------------------------------- */

static void beat(struct job *job, double progress)
{
    struct numbers numbers = { .n = 0 };
    char percent[32];
    const struct param params[] = { number(&numbers, job->id), number(&numbers, job->fence),
                                    number(&numbers, job->worker->lease_s), p_text(percent) };
    const struct db_call call = {
        "SELECT domain.job_beat($1, $2, make_interval(secs => $3::integer), $4::real)", params, 4
    };
    struct fault f = FAULT_INIT;
    PGresult *r = NULL;

    snprintf(percent, sizeof percent, "%.2f", progress < 0 ? 0 : progress > 100 ? 100 : progress);
    if (db_write(job->worker->db, &call, 1, &r, &f) != ST_OK)
        return; /* tried again at the next step; if it lasts, the fence settles whose job it is */
    job->beaten_ms = clock_monotonic_ms();
    if (strcmp(row_text(r, 0, 0), "cancel") == 0)
        job->stop = JOB_CANCELLED;
    else if (strcmp(row_text(r, 0, 0), "lost") == 0)
        job->stop = JOB_LOST;
    PQclear(r);
}

bool job_step(struct job *job, double progress)
{
    worker_alive(job->worker);
    if (job->stop == JOB_GO_ON && *job->worker->stopping)
        job->stop = JOB_WORKER_STOPS;
    if (job->stop == JOB_GO_ON &&
        clock_monotonic_ms() - job->beaten_ms > job->worker->lease_s * 1000 / 3)
        beat(job, progress);
    return job->stop == JOB_GO_ON;
}

/* ---- how it ended
 * ---------------------------------------------------------------------------------------------- */

static void end(struct job *job, const char *state, const char *result, const char *error)
{
    struct numbers numbers = { .n = 0 };
    const struct param params[] = { number(&numbers, job->id), number(&numbers, job->fence),
                                    p_text(state), p_text(result), p_text(error) };
    const struct db_call call = { "SELECT domain.job_end($1, $2, $3, $4::jsonb, $5::jsonb)", params, 5 };
    struct fault f = FAULT_INIT;
    PGresult *r = NULL;

    if (db_write(job->worker->db, &call, 1, &r, &f) != ST_OK)
        log_event(LOG_LEVEL_WARNING, "job_end_not_stored", "kind", job->kind->name, "detail", f.detail,
                  NULL);
    else if (!row_bool(r, 0, 0))
        log_event(LOG_LEVEL_WARNING, "job_lost", "kind", job->kind->name, NULL);
    PQclear(r);
}

static void give_back(struct job *job, int wait_s, bool counts, const char *error)
{
    struct numbers numbers = { .n = 0 };
    const struct param params[] = { number(&numbers, job->id), number(&numbers, job->fence),
                                    number(&numbers, wait_s), p_bool(counts), p_text(error) };
    const struct db_call call = {
        "SELECT domain.job_return($1, $2, make_interval(secs => $3::integer), $4, $5::jsonb)", params, 5
    };
    struct fault f = FAULT_INIT;
    PGresult *r = NULL;

    if (db_write(job->worker->db, &call, 1, &r, &f) != ST_OK)
        log_event(LOG_LEVEL_WARNING, "job_return_not_stored", "kind", job->kind->name, "detail",
                  f.detail, NULL);
    PQclear(r);
}

/* What another attempt may mend. */
static bool is_passing(enum status st)
{
    return st == ST_UNAVAILABLE || st == ST_INTERNAL || st == ST_RATE_LIMITED || st == ST_CONFLICT;
}

static int wait_before(int attempt)
{
    int wait_s = FIRST_WAIT_S;

    while (--attempt > 0 && wait_s < MOST_WAIT_S)
        wait_s *= 4;
    return wait_s < MOST_WAIT_S ? wait_s : MOST_WAIT_S;
}

static void fail(struct job *job, enum status st, const struct fault *f)
{
    struct buffer error = { .n = 0 };
    const bool again = is_passing(st) && !job->last_attempt;

    log_event(again ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR, "job_failed", "kind", job->kind->name,
              "status", status_name(st), "detail", f->detail, "again", again ? "yes" : "no", NULL);
    buffer_printf(&error, "{\"status\":\"%s\",\"message\":", status_name(st));
    json_write_string(&error, f->detail, strlen(f->detail));
    buffer_char(&error, '}');
    if (again)
        give_back(job, wait_before(job->attempt), true, buffer_terminate(&error));
    else
        end(job, "failed", NULL, buffer_terminate(&error));
    buffer_free(&error);
}

void queue_run(struct job *job)
{
    struct buffer result = { .n = 0 };
    struct fault f = FAULT_INIT;
    const int64_t begin_ms = clock_monotonic_ms();
    char took[32];
    enum status st;

    st = job->kind->run(job, &result, &f);
    (void)failpoint("job_run");
    snprintf(took, sizeof took, "%" PRId64, clock_monotonic_ms() - begin_ms);
    if (job->stop == JOB_LOST) {
        log_event(LOG_LEVEL_WARNING, "job_lost", "kind", job->kind->name, NULL);
    } else if (st != ST_OK) {
        fail(job, st, &f);
    } else if (job->stop == JOB_WORKER_STOPS) {
        give_back(job, 0, false, NULL);
        log_event(LOG_LEVEL_INFO, "job_returned", "kind", job->kind->name, NULL);
    } else if (job->stop == JOB_CANCELLED) {
        end(job, "cancelled", NULL, NULL);
        log_event(LOG_LEVEL_INFO, "job_cancelled", "kind", job->kind->name, NULL);
    } else {
        end(job, "done", result.n ? buffer_terminate(&result) : NULL, NULL);
        log_event(LOG_LEVEL_INFO, "job_done", "kind", job->kind->name, "result",
                  result.n ? buffer_terminate(&result) : "", "ms", took, NULL);
    }
    buffer_free(&result);
}
