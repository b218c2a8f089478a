/*
 * A check of the kernels that a model would be run with in float32, layer by layer (plan/check.h), on
 * this processor. In a process of its own (child.h). What is wrong is avoided from then on by who runs
 * the model: the gate writes it down (sql/domain/58_precision.sql), serving reads it.
 */
#ifndef DOMAIN_PLAN_TRIAL_H
#define DOMAIN_PLAN_TRIAL_H

#include "domain/admin.h"
#include "inference/plan/check.h"
#include "media/store.h"

struct plan_trial {
    struct plan_check found;        /* layers 0: there was no check */
    char reason[PLAN_CHECK_REASON]; /* the first layer that was wrong, or why there was no check; or
                                       empty */
};

/* As trial_run: LIMIT_TRIAL_S at most, and ST_OK whatever became of the child. Labels are UTF-8. */
enum status plan_trial_run(struct store *store, const struct digest *weights, const struct stepper *step,
                           struct plan_trial *ret, bool *ret_ended, struct fault *f) MUST_USE;

#endif
