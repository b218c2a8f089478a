/* Making calibrations: see calibration.h. What the child says is "+" and the calibration, or "-" and why
 * there is none. */
#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "domain/calibration.h"
#include "domain/child.h"
#include "inference/quantise/calibrate.h"
#include "media/image.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { ARENA_BYTES = 64 << 10, PICTURES = LIMIT_TRIAL_PICTURES + LIMIT_CALIBRATED_PICTURES };

struct maker {
    struct store *store;
    const struct calibration_subject *subject;
    struct digest pictures[PICTURES];
    size_t npictures;
};

/* ---- in the child ---- */

/* What can't be read is no evidence; *ret: it could. */
static enum status add_stored(struct calibrator *c, struct store *store, const struct digest *d,
                              int *ret_added, struct fault *f)
{
    struct fault ignored = FAULT_INIT;
    struct image im = { 0 };
    const void *bytes;
    size_t n;
    enum status st = ST_OK;

    if (store_map(store, d, &bytes, &n, &ignored) != ST_OK)
        return ST_OK;
    if (image_decode(bytes, n, &im, &ignored) == ST_OK &&
        (st = calibrator_add(c, im.rgb, im.width, im.height, f)) == ST_OK)
        ++*ret_added;
    image_free(&im);
    store_unmap(bytes, n);
    return st;
}

static enum status calibrate(const struct maker *m, struct calibration **ret, struct fault *f)
{
    const int64_t until_ms = clock_monotonic_ms() + LIMIT_CALIBRATION_S * 500;
    struct calibrator *c = NULL;
    const void *bytes;
    size_t n;
    int added = 0;
    enum status st;

    if ((st = store_map(m->store, &m->subject->weights, &bytes, &n, f)) != ST_OK ||
        (st = calibrator_create(bytes, n, NULL, 1, &c, f)) != ST_OK)
        return st;
    for (size_t i = 0; i < m->npictures && st == ST_OK; i++)
        if (added < CALIBRATION_PICTURES || clock_monotonic_ms() < until_ms)
            st = add_stored(c, m->store, &m->pictures[i], &added, f);
    if (st == ST_OK)
        st = calibrator_finish(c, ret, f);
    calibrator_free(c);
    return st;
}

static void run_maker(void *arg, struct buffer *say)
{
    struct buffer text = { .max = LIMIT_CALIBRATION_BYTES };
    struct calibration *made = NULL;
    struct fault f = FAULT_INIT;
    enum status st;

    (void)failpoint("calibration_run");
    if ((st = calibrate(arg, &made, &f)) == ST_OK) {
        calibration_write(made, &text);
        if (text.failed)
            st = fault_set(&f, ST_TOO_LARGE, "calibration", "is over %d bytes", LIMIT_CALIBRATION_BYTES);
    }
    if (st == ST_OK) {
        buffer_char(say, '+');
        buffer_bytes(say, text.p, text.n);
    } else {
        buffer_printf(say, "-%s%s",
                      f.field && strcmp(f.field, "calibration") == 0 ? "the calibration " : "",
                      f.detail);
    }
    buffer_free(&text);
    calibration_free(made);
}

/* ---- in the parent ---- */

/* The datasets' pictures, without those that trials look at where there are enough others. */
static enum status read_pictures(struct db *db, struct maker *m, struct fault *f)
{
    struct arena *a = arena_create(ARENA_BYTES);
    PGresult *r = NULL;
    struct param params[2];
    enum status st;
    int n, skip;

    if (!a)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    params[0] = p_i64(a, m->subject->file);
    params[1] = p_i64(a, PICTURES);
    st = db_read(db, "SELECT p.digest FROM domain.precision_pictures($1, $2::integer) AS p", params, 2,
                 &r, f);
    n = st == ST_OK ? PQntuples(r) : 0;
    skip = n >= LIMIT_TRIAL_PICTURES + CALIBRATION_PICTURES ? LIMIT_TRIAL_PICTURES : 0;
    for (int i = skip; i < n && i < PICTURES; i++)
        if (row_bytes(r, i, 0, m->pictures[m->npictures].bytes, DIGEST_BYTES))
            m->npictures++;
    PQclear(r);
    arena_free(a);
    return st;
}

/* A model ran in the child: what it says of another one, or nonsense, is not believed. */
static struct calibration *hear(const struct maker *m, const struct child_work *w,
                                const struct child_outcome *o, char *why_not, size_t size)
{
    struct calibration *c = NULL;
    struct fault f = FAULT_INIT;

    if (o->end != CHILD_SPOKE || o->said.n == 0) {
        child_explain(o, w, "calibrating", why_not, size);
        return NULL;
    }
    if (o->said.p[0] != '+') {
        snprintf(why_not, size, "%.*s", (int)o->said.n - 1, o->said.p + 1);
        return NULL;
    }
    if (calibration_read(o->said.p + 1, o->said.n - 1, &c, &f) == ST_OK &&
        memcmp(c->model, m->subject->weights.bytes, DIGEST_BYTES) == 0)
        return c;
    calibration_free(c);
    snprintf(why_not, size, "the calibration is damaged");
    return NULL;
}

static enum status make(struct db *db, struct maker *m, const struct stepper *step,
                        struct calibration_state *ret, bool *ret_ended, struct fault *f)
{
    const struct child_work w = { run_maker, m, LIMIT_CALIBRATION_BYTES + 1, LIMIT_CALIBRATION_S };
    struct calibration *c = NULL;
    struct child_outcome o;
    enum status st = child_run(&w, step, &o, f);

    if (st != ST_OK)
        return st;
    *ret_ended = o.end != CHILD_STOPPED;
    if (*ret_ended && (c = hear(m, &w, &o, ret->why_not, sizeof ret->why_not))) {
        const struct buffer bytes = { .p = o.said.p + 1, .n = o.said.n - 1 };

        st = model_calibration_keep(db, m->store, m->subject, &bytes, c->pictures, CALIBRATED_DATASET,
                                    &ret->digest, f);
        ret->there = st == ST_OK;
    }
    if (*ret_ended)
        log_event(LOG_LEVEL_INFO, ret->there ? "model_calibrated" : "model_not_calibrated", "reason",
                  ret->there ? "" : ret->why_not, NULL);
    calibration_free(c);
    buffer_free(&o.said);
    return st;
}

enum status model_calibration_renew(struct db *db, struct store *store,
                                    const struct calibration_subject *s, const struct stepper *step,
                                    struct calibration_state *ret, bool *ret_ended, struct fault *f)
{
    struct maker m = { .store = store, .subject = s };
    enum status st = read_pictures(db, &m, f);

    *ret = (struct calibration_state){ .there = false };
    *ret_ended = true;
    if (st != ST_OK)
        return st;
    if (m.npictures >= CALIBRATION_PICTURES)
        return make(db, &m, step, ret, ret_ended, f);
    snprintf(ret->why_not, sizeof ret->why_not,
             "a calibration needs %d pictures, the model's project has %zu", CALIBRATION_PICTURES,
             m.npictures);
    return ST_OK;
}

static bool holds(const struct kept_calibration *k, int64_t held)
{
    return k->source == CALIBRATED_GIVEN || (k->own_release && held < 2 * k->held);
}

enum status model_calibration_ensure(struct db *db, struct store *store,
                                     const struct calibration_subject *s, const struct stepper *step,
                                     struct calibration_state *ret, bool *ret_ended, struct fault *f)
{
    struct kept_calibration kept;
    struct calibration *c = NULL;
    struct fault ignored = FAULT_INIT;
    bool usable = false;
    enum status st = model_calibration_find(db, s->file, &kept, &usable, f);

    if (st != ST_OK)
        return st;
    usable = usable && model_calibration_read(store, &s->weights, &kept.digest, &c, &ignored) == ST_OK;
    calibration_free(c);
    *ret_ended = true;
    *ret = (struct calibration_state){ .there = usable, .digest = kept.digest };
    if (usable && holds(&kept, s->held))
        return ST_OK;
    st = model_calibration_renew(db, store, s, step, ret, ret_ended, f);
    if (st == ST_OK && usable && !ret->there)
        *ret = (struct calibration_state){ .there = true, .digest = kept.digest };
    return st;
}
