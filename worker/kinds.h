/* What the files kind_*.c hold; the table is in kinds.c. */
#ifndef WORKER_KINDS_H
#define WORKER_KINDS_H

#include "worker/worker.h"

/* Erases what has been in the trash for trash.days. */
enum status purge_trash_run(struct job *job, struct buffer *result, struct fault *f);
/* Removes files that nothing refers to any more. */
enum status sweep_blobs_run(struct job *job, struct buffer *result, struct fault *f);
/* Removes temporary files that a crash left behind. */
enum status sweep_spool_run(struct job *job, struct buffer *result, struct fault *f);
/* Forgets requests that can no longer be replayed. */
enum status expire_idempotency_run(struct job *job, struct buffer *result, struct fault *f);
/* Forgets upload sessions that are over, and so lets go of their files. */
enum status expire_uploads_run(struct job *job, struct buffer *result, struct fault *f);
/* Forgets what accounts used more than a year ago. */
enum status expire_usage_run(struct job *job, struct buffer *result, struct fault *f);
/* Forgets ended jobs of the site itself. */
enum status forget_jobs_run(struct job *job, struct buffer *result, struct fault *f);
/* Tries cheaper precisions on one model's weights. */
enum status gate_model_run(struct job *job, struct buffer *result, struct fault *f);
/* Queues such trials for what no verdict holds for. */
enum status gate_models_run(struct job *job, struct buffer *result, struct fault *f);

/*
 * For kinds that are one SQL function that returns how many rows went, given one whole number: called
 * until it returns less than `lot` (0: once). The count is the result, under `noun`.
 */
enum status run_counting(struct job *job, const char *sql, int64_t parameter, int64_t lot,
                         const char *noun, struct buffer *result, struct fault *f);

#endif
