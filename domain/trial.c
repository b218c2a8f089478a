/* See trial.h. What the child says is its struct trial. */
#include "domain/trial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/text.h"
#include "domain/calibration.h"
#include "domain/child.h"
#include "domain/pictures.h"
#include "media/image.h"

enum { VIEWS = 4, MOST = LIMIT_TRIAL_PICTURES + BUNDLED_PICTURES * VIEWS };

/* ---- in the child ---- */

struct runner {
    const struct trial_subject *subject;
    enum precision candidate;
    struct predictor *predictor;
    struct calibration *calibration;
    struct trial trial;
    double f32_ms[MOST], candidate_ms[MOST];
    int64_t until_ms;
};

static enum status run_in(struct runner *r, enum precision p, const struct image *im,
                          struct prediction *ret, struct fault *f)
{
    const struct predict_options o = {
        .conf = AGREEMENT_CONF, .iou = 0.7f, .max_detections = LIMIT_DETECTIONS, .precision = p
    };

    return predictor_run(r->predictor, im->rgb, im->width, im->height, &o, ret, f);
}

/* One picture through both. A failure of the candidate alone is its verdict; what it lacks, such as a
 * calibration, is none. */
static enum status compare(struct runner *r, const struct image *im, struct fault *f)
{
    struct prediction reference = { 0 }, candidate = { 0 };
    const int at = r->trial.seen.pictures;
    enum status st = run_in(r, PRECISION_F32, im, &reference, f);

    if (st == ST_OK && (st = run_in(r, r->candidate, im, &candidate, f)) != ST_OK)
        r->trial.verdict = st == ST_UNSUPPORTED ? AGREEMENT_UNPROVEN : AGREEMENT_FAILED;
    if (st == ST_OK) {
        agreement_add(&r->trial.seen, &reference, &candidate);
        r->f32_ms[at] = reference.inference_ms;
        r->candidate_ms[at] = candidate.inference_ms;
    }
    prediction_free(&reference);
    prediction_free(&candidate);
    return st;
}

/* Enough is seen, and time is short. */
static bool hurry(const struct runner *r)
{
    return r->trial.seen.pictures >= AGREEMENT_PICTURES && clock_monotonic_ms() > r->until_ms;
}

/* What can't be read is no evidence. */
static enum status compare_stored(struct runner *r, const struct digest *d, struct fault *f)
{
    struct fault ignored = FAULT_INIT;
    struct image im = { 0 };
    const void *bytes;
    size_t n;
    enum status st = ST_OK;

    if (store_map(r->subject->store, d, &bytes, &n, &ignored) != ST_OK)
        return ST_OK;
    if (image_decode(bytes, n, &im, &ignored) == ST_OK)
        st = compare(r, &im, f);
    image_free(&im);
    store_unmap(bytes, n);
    return st;
}

/* View 0: the whole; 1: mirrored; 2: the upper left three quarters; 3: the lower right ones, mirrored.
 */
static bool make_view(const struct image *im, int view, struct image *ret)
{
    const int width = view < 2 ? im->width : im->width * 3 / 4,
              height = view < 2 ? im->height : im->height * 3 / 4,
              left = view == 3 ? im->width - width : 0, top = view == 3 ? im->height - height : 0;
    const bool mirrored = view % 2 == 1;

    *ret = (struct image){ width, height, malloc((size_t)width * (size_t)height * 3) };
    for (int y = 0; ret->rgb && y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(ret->rgb + 3 * ((size_t)y * (size_t)width + (size_t)x),
                   im->rgb + 3 * ((size_t)(top + y) * (size_t)im->width +
                                  (size_t)(left + (mirrored ? width - 1 - x : x))),
                   3);
    return ret->rgb != NULL;
}

static enum status compare_bundled(struct runner *r, const struct bundled_picture *p, struct fault *f)
{
    struct image im = { 0 };
    enum status st = image_decode(p->bytes, (size_t)(p->end - p->bytes), &im, f);

    for (int view = 0; view < VIEWS && st == ST_OK && !hurry(r); view++) {
        struct image seen;

        if (!make_view(&im, view, &seen))
            st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        else
            st = compare(r, &seen, f);
        image_free(&seen);
    }
    image_free(&im);
    return st;
}

static enum status compare_all(struct runner *r, struct fault *f)
{
    const struct trial_subject *s = r->subject;
    enum status st = ST_OK;

    for (size_t i = 0; i < s->npictures && i < LIMIT_TRIAL_PICTURES && st == ST_OK && !hurry(r); i++)
        st = compare_stored(r, &s->pictures[i], f);
    r->trial.bundled = r->trial.seen.pictures < AGREEMENT_PICTURES;
    for (size_t i = 0; r->trial.bundled && i < BUNDLED_PICTURES && st == ST_OK; i++)
        st = compare_bundled(r, &bundled_pictures[i], f);
    return st;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n ? x[n / 2] : 0;
}

static void explain(struct trial *t)
{
    const struct agreement *a = &t->seen;

    if (t->verdict == AGREEMENT_UNPROVEN)
        snprintf(t->reason, sizeof t->reason, "found only %d things in %d pictures", a->findings,
                 a->pictures);
    else if (t->verdict == AGREEMENT_FAILED)
        snprintf(t->reason, sizeof t->reason, "%d of %d findings differ", a->findings - a->agreeing,
                 a->findings);
}

/* A candidate whose kernels are wrong on this processor need not be compared. Bytes clip what no picture
 * of the calibration held, so that layers differ there on anything but pictures: only findings count. */
static enum status check_layers(struct runner *r, struct fault *f)
{
    const struct plan_watcher w = { .see = plan_check_reason, .who = r->trial.reason };
    struct plan_check found;
    enum status st;

    if (r->candidate == PRECISION_INT8)
        return ST_OK;
    st = predictor_check(r->predictor, r->candidate, &w, &found, f);
    if (st == ST_OK && (found.plans > 1 || found.wrong)) {
        r->trial.verdict = AGREEMENT_FAILED;
        st = fault_set(f, ST_CONFLICT, NULL, "%s", r->trial.reason);
    }
    return st;
}

static enum status try(struct runner *r, struct fault *f)
{
    struct load_options how = {
        .compile = { .threads = 1, .precision = PRECISION_F32, .avoid = r->subject->avoid },
        .bytes_stay = true
    };
    const struct digest *calibration = r->subject->calibration;
    struct trial *t = &r->trial;
    const struct model_card *card;
    const void *bytes;
    size_t n;
    enum status st;

    if (calibration && (st = model_calibration_read(r->subject->store, &r->subject->weights, calibration,
                                                    &r->calibration, f)) != ST_OK)
        return st;
    how.compile.calibration = r->calibration;
    if ((st = store_map(r->subject->store, &r->subject->weights, &bytes, &n, f)) != ST_OK ||
        (st = predictor_load(bytes, n, &how, &r->predictor, f)) != ST_OK)
        return st;
    card = predictor_card(r->predictor);
    if (!card->runnable)
        return fault_set(f, ST_INVALID, NULL, "the model cannot be run here: %s", card->why_not);
    t->seen.task = card->task;
    if ((st = check_layers(r, f)) != ST_OK || (st = compare_all(r, f)) != ST_OK)
        return st;
    t->f32_ms = median(r->f32_ms, t->seen.pictures);
    t->candidate_ms = median(r->candidate_ms, t->seen.pictures);
    t->verdict = agreement_verdict(&t->seen);
    explain(t);
    return ST_OK;
}

static void run_trial(void *arg, struct buffer *say)
{
    struct runner *r = arg;
    struct fault f = FAULT_INIT;

    (void)failpoint("trial_run");
    r->until_ms = clock_monotonic_ms() + LIMIT_TRIAL_S * 500;
    if (try(r, &f) != ST_OK)
        snprintf(r->trial.reason, sizeof r->trial.reason, "%.*s", (int)sizeof r->trial.reason - 1,
                 f.detail);
    child_clean(r->trial.reason);
    buffer_bytes(say, &r->trial, sizeof r->trial);
}

/* ---- in the parent ---- */

static struct trial hear(const struct child_work *w, const struct child_outcome *o)
{
    struct trial t = { .verdict = o->end == CHILD_LATE ? AGREEMENT_UNPROVEN : AGREEMENT_FAILED,
                       .bundled = true };

    if (o->end == CHILD_SPOKE && o->said.n == sizeof t)
        memcpy(&t, o->said.p, sizeof t);
    else
        child_explain(o, w, "the trial", t.reason, sizeof t.reason);
    return t;
}

enum status trial_run(const struct trial_subject *s, enum precision candidate,
                      const struct stepper *step, struct trial *ret, bool *ret_ended, struct fault *f)
{
    struct runner *r = calloc(1, sizeof *r);
    const struct child_work w = { run_trial, r, sizeof *ret, LIMIT_TRIAL_S };
    struct child_outcome o;
    enum status st;

    if (!r)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    *r = (struct runner){ .subject = s, .candidate = candidate, .trial.verdict = AGREEMENT_UNPROVEN };
    st = child_run(&w, step, &o, f);
    free(r);
    if (st != ST_OK)
        return st;
    *ret_ended = o.end != CHILD_STOPPED;
    if (*ret_ended)
        *ret = hear(&w, &o);
    buffer_free(&o.said);
    return ST_OK;
}
