/* See plan_trial.h. What the child says is its struct plan_trial. */
#include "domain/plan_trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "base/text.h"
#include "domain/child.h"
#include "inference/predictor.h"

struct checker {
    struct store *store;
    const struct digest *weights;
    struct plan_trial trial;
};

static enum status check(struct checker *c, struct fault *f)
{
    const struct load_options how = { .compile = { .threads = 1, .precision = PRECISION_F32 },
                                      .bytes_stay = true };
    const struct plan_watcher w = { .see = plan_check_reason, .who = c->trial.reason };
    struct predictor *p = NULL;
    const void *bytes = NULL;
    size_t n = 0;
    enum status st = store_map(c->store, c->weights, &bytes, &n, f);

    if (st == ST_OK && (st = predictor_load(bytes, n, &how, &p, f)) == ST_OK)
        st = predictor_check(p, PRECISION_F32, &w, &c->trial.found, f);
    predictor_free(p);
    if (bytes)
        store_unmap(bytes, n);
    return st;
}

static void run_check(void *arg, struct buffer *say)
{
    struct checker *c = arg;
    struct fault f = FAULT_INIT;

    if (check(c, &f) != ST_OK) {
        c->trial.found = (struct plan_check){ .layers = 0 };
        snprintf(c->trial.reason, sizeof c->trial.reason, "%.*s", (int)sizeof c->trial.reason - 1,
                 f.detail);
    }
    child_clean(c->trial.reason);
    child_clean(c->trial.found.worst_label);
    buffer_bytes(say, &c->trial, sizeof c->trial);
}

static struct plan_trial hear(const struct child_work *w, const struct child_outcome *o)
{
    struct plan_trial t = { .reason = "" };

    if (o->end == CHILD_SPOKE && o->said.n == sizeof t)
        memcpy(&t, o->said.p, sizeof t);
    else
        child_explain(o, w, "the check", t.reason, sizeof t.reason);
    return t;
}

enum status plan_trial_run(struct store *store, const struct digest *weights, const struct stepper *step,
                           struct plan_trial *ret, bool *ret_ended, struct fault *f)
{
    struct checker *c = calloc(1, sizeof *c);
    const struct child_work w = { run_check, c, sizeof *ret, LIMIT_TRIAL_S };
    struct child_outcome o;
    enum status st;

    if (!c)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    c->store = store;
    c->weights = weights;
    st = child_run(&w, step, &o, f);
    free(c);
    if (st != ST_OK)
        return st;
    *ret_ended = o.end != CHILD_STOPPED;
    if (*ret_ended)
        *ret = hear(&w, &o);
    buffer_free(&o.said);
    return ST_OK;
}
