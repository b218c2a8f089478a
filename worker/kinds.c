/* Every kind of job. A new one is a file kind_*.c that defines `enum status NAME_run(...)`, and a row
 * here. */
#include "worker/kinds.h"

enum { HOUR_S = 3600, DAY_S = 24 * HOUR_S };

const struct job_kind job_kinds[] = {
    { "purge_trash", HOUR_S, purge_trash_run },
    { "sweep_blobs", 6 * HOUR_S, sweep_blobs_run },
    { "sweep_spool", HOUR_S, sweep_spool_run },
    { "expire_idempotency", HOUR_S, expire_idempotency_run },
    { "expire_uploads", HOUR_S, expire_uploads_run },
    { "expire_usage", DAY_S, expire_usage_run },
    { "forget_jobs", DAY_S, forget_jobs_run },
    { "gate_model", 0, gate_model_run },
    { "gate_models", 6 * HOUR_S, gate_models_run },
};

const size_t njob_kinds = sizeof job_kinds / sizeof *job_kinds;
