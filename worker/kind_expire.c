/* Kinds that are one statement: rows whose time is over. All may be run at any time and any number of
 * times. */
#include <inttypes.h>

#include "base/config.h"
#include "worker/kinds.h"

enum { PURGE_LOT = 20, UPLOAD_LOT = 1000, FORGET_DAYS = 7, USAGE_DAYS = 400 };

enum status run_counting(struct job *job, const char *sql, int64_t parameter, int64_t lot,
                         const char *noun, struct buffer *result, struct fault *f)
{
    char text[24] = "";
    const struct param param = p_text(text);
    const struct db_call call = { sql, &param, 1 };
    int64_t total = 0, n = 0;
    enum status st = ST_OK;

    snprintf(text, sizeof text, "%" PRId64, parameter);
    do {
        PGresult *r = NULL;

        if ((st = db_write(job->worker->db, &call, 1, &r, f)) != ST_OK)
            return st;
        n = row_i64(r, 0, 0);
        total += n;
        PQclear(r);
    } while (lot && n >= lot && job_step(job, 0));
    buffer_printf(result, "{\"%s\":%" PRId64 "}", noun, total);
    return ST_OK;
}

/* In lots, so that one transaction is short however much is due. */
enum status purge_trash_run(struct job *job, struct buffer *result, struct fault *f)
{
    return run_counting(job, "SELECT domain.purge_due(20, make_interval(days => $1::integer))",
                        config_i64("trash.days"), PURGE_LOT, "purged", result, f);
}

enum status expire_idempotency_run(struct job *job, struct buffer *result, struct fault *f)
{
    return run_counting(job, "SELECT domain.idempotency_expire(make_interval(hours => $1::integer))",
                        config_i64("idempotency.hours"), 0, "expired", result, f);
}

/* The files are those of the sweeper, as soon as no session refers to them. */
enum status expire_uploads_run(struct job *job, struct buffer *result, struct fault *f)
{
    return run_counting(job, "SELECT domain.upload_expire($1)", UPLOAD_LOT, UPLOAD_LOT, "expired",
                        result, f);
}

enum status expire_usage_run(struct job *job, struct buffer *result, struct fault *f)
{
    return run_counting(job, "SELECT domain.usage_expire(current_date - $1::integer)", USAGE_DAYS, 0,
                        "expired", result, f);
}

enum status forget_jobs_run(struct job *job, struct buffer *result, struct fault *f)
{
    return run_counting(job, "SELECT domain.job_forget(make_interval(days => $1::integer))", FORGET_DAYS,
                        0, "forgotten", result, f);
}
