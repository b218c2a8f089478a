/* Files of the media store that nothing refers to: the sweeper of domain/admin.h as a job. */
#include <inttypes.h>

#include "domain/admin.h"
#include "worker/kinds.h"

/* An upload writes its row within seconds of its file. */
enum { GRACE_S = 3600 };

static bool step(void *arg)
{
    return job_step(arg, 0);
}

enum status sweep_blobs_run(struct job *job, struct buffer *result, struct fault *f)
{
    const struct stepper stepper = { step, job };
    struct sweep_result swept = { .removed = 0 };
    const enum status st =
        sweep_blobs(job->worker->db, job->worker->store, GRACE_S, false, &stepper, &swept, f);

    if (st == ST_OK)
        buffer_printf(result,
                      "{\"removed\":%" PRId64 ",\"removedBytes\":%" PRId64 ",\"unknown\":%" PRId64 "}",
                      swept.removed, swept.removed_bytes, swept.adopted);
    return st;
}
