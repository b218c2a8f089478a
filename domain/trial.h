/*
 * A trial of a precision: a model runs over pictures in float32 and in the candidate, and what both find
 * is compared (inference/agreement.h). In a process of its own (child.h).
 */
#ifndef DOMAIN_TRIAL_H
#define DOMAIN_TRIAL_H

#include "domain/admin.h"
#include "inference/agreement.h"
#include "inference/plan/check.h"
#include "inference/precision.h"
#include "media/store.h"

/*
 * First the candidate's plan, unless it is int8, is checked layer by layer (inference/plan/check.h): a
 * kernel that is wrong on this processor fails it, and the reason names the layer.
 *
 * pictures: of the model's own project, at most LIMIT_TRIAL_PICTURES. With fewer than
 * AGREEMENT_PICTURES that can be read the bundled ones are added, each in four views.
 */
struct trial_subject {
    struct store *store;
    struct digest weights;
    const struct digest *pictures;
    size_t npictures;
    const struct digest *calibration; /* of these weights, for int8; NULL: none */
    const struct avoided *avoid;      /* layers that both are computed without; NULL: none */
};

struct trial {
    enum agreement_verdict verdict;
    bool bundled; /* pictures of our own took part */
    struct agreement seen;
    double f32_ms, candidate_ms;    /* of the network alone: medians of runs in turn, one thread */
    char reason[PLAN_CHECK_REASON]; /* why it did not pass; or empty */
};

/*
 * Takes LIMIT_TRIAL_S at most; beyond that, or when the trial's process dies, the verdict says so and
 * the status is ST_OK. *ret_ended false: step wanted to stop, nothing was found.
 */
enum status trial_run(const struct trial_subject *s, enum precision candidate,
                      const struct stepper *step, struct trial *ret, bool *ret_ended,
                      struct fault *f) MUST_USE;

#endif
