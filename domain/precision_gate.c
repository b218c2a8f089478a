/* See precision_gate.h. */
#include "domain/precision_gate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/version.h"
#include "domain/calibration.h"
#include "domain/plan_trial.h"

enum { ARENA_BYTES = 1 << 20 };

struct subject {
    struct calibration_subject model;
    struct digest pictures[LIMIT_TRIAL_PICTURES];
    struct trial_subject trial;
    struct avoided avoided; /* that trial points to */
};

static enum status read_subject(struct db *db, struct arena *a, struct subject *s, struct fault *f)
{
    const struct param file = p_i64(a, s->model.file);
    PGresult *r = NULL;
    enum status st =
        db_read(db, "SELECT s.digest, s.held FROM domain.precision_subject($1) AS s", &file, 1, &r, f);

    if (st == ST_OK && (PQntuples(r) == 0 || !row_bytes(r, 0, 0, s->model.weights.bytes, DIGEST_BYTES)))
        st = fault_set(f, ST_NOT_FOUND, "model", "has no weights that could be run");
    if (st == ST_OK) {
        s->model.held = row_i64(r, 0, 1);
        s->trial.weights = s->model.weights;
    }
    PQclear(r);
    return st;
}

static enum status read_pictures(struct db *db, struct arena *a, struct subject *s, struct fault *f)
{
    const struct param params[] = { p_i64(a, s->model.file), p_i64(a, LIMIT_TRIAL_PICTURES) };
    PGresult *r = NULL;
    enum status st =
        db_read(db, "SELECT p.digest FROM domain.precision_pictures($1, $2) AS p", params, 2, &r, f);

    for (int i = 0; st == ST_OK && i < PQntuples(r) && i < LIMIT_TRIAL_PICTURES; i++)
        if (row_bytes(r, i, 0, s->pictures[s->trial.npictures].bytes, DIGEST_BYTES))
            s->trial.npictures++;
    s->trial.pictures = s->pictures;
    PQclear(r);
    return st;
}

/* What was not measured is NULL. */
static struct param measured(struct arena *a, const struct trial *t, double x)
{
    return t->seen.pictures ? p_f64(a, x) : p_null();
}

/* calibration: that int8 was tried with, or NULL. */
static enum status write_verdict(struct db *db, struct arena *a, const struct subject *s,
                                 enum precision p, const struct trial *t,
                                 const struct digest *calibration, struct fault *f)
{
    char cpu[PRECISION_CPU];
    const struct param params[] = {
        p_i64(a, s->model.file),
        p_text(precision_cpu(cpu)),
        p_text(precision_name(p)),
        p_text(FOVEA_VERSION),
        p_text(agreement_verdict_name(t->verdict)),
        p_text(t->reason[0] ? t->reason : NULL),
        p_text(t->bundled ? "bundled" : "dataset"),
        p_i64(a, t->seen.pictures),
        p_i64(a, t->seen.findings),
        p_i64(a, t->seen.agreeing),
        measured(a, t, t->seen.worst_likeness),
        measured(a, t, t->seen.worst_difference),
        measured(a, t, t->f32_ms),
        measured(a, t, t->candidate_ms),
        p_i64(a, s->model.held),
        calibration ? p_bytes(calibration->bytes, DIGEST_BYTES) : p_null(),
    };
    const struct db_call call = { "SELECT domain.precision_verdict_set($1, $2, $3, $4, $5, $6, $7,"
                                  " $8::integer, $9::integer, $10::integer, $11, $12, $13, $14, "
                                  "$15::integer, $16)",
                                  params, sizeof params / sizeof *params };
    PGresult *r = NULL;
    enum status st = db_write(db, &call, 1, &r, f);

    if (st == ST_OK)
        log_event(LOG_LEVEL_INFO, "precision_tried", "precision", precision_name(p), "verdict",
                  agreement_verdict_name(t->verdict), "reason", t->reason, NULL);
    PQclear(r);
    return st;
}

/* What was not compared is NULL. */
static enum status write_check(struct db *db, struct arena *a, const struct subject *s,
                               const struct plan_trial *t, struct fault *f)
{
    const struct plan_check *c = &t->found;
    char cpu[PRECISION_CPU], avoided[AVOIDED_TEXT];
    const struct param params[] = {
        p_i64(a, s->model.file),
        p_text(precision_cpu(cpu)),
        p_text(FOVEA_VERSION),
        p_i64(a, c->layers),
        p_i64(a, c->wrong),
        p_text(c->layers ? c->worst_label : NULL),
        c->layers ? p_f64(a, c->worst) : p_null(),
        c->layers ? p_f64(a, c->slow_work) : p_null(),
        p_text(avoided_text(&c->avoided, avoided)),
        p_text(t->reason[0] ? t->reason : NULL),
    };
    const struct db_call call = {
        "SELECT domain.plan_check_set($1, $2, $3, $4::integer, $5::integer, $6, $7, $8, $9, $10)",
        params, sizeof params / sizeof *params
    };
    PGresult *r = NULL;
    enum status st = db_write(db, &call, 1, &r, f);

    if (st == ST_OK && t->reason[0])
        log_event(LOG_LEVEL_WARNING, "plan_checked", "avoided", avoided, "reason", t->reason, NULL);
    PQclear(r);
    return st;
}

/* The kernels of float32; the trials then do without those that are wrong. */
static enum status check_kernels(struct db *db, struct arena *a, struct subject *s,
                                 const struct stepper *step, bool *ret_ended, struct fault *f)
{
    struct plan_trial t;
    enum status st = plan_trial_run(s->trial.store, &s->trial.weights, step, &t, ret_ended, f);

    if (st != ST_OK || !*ret_ended)
        return st;
    s->avoided = t.found.avoided;
    s->trial.avoid = &s->avoided;
    return write_check(db, a, s, &t, f);
}

/* int8 needs a calibration, which is made first; without one there is nothing to try. */
static enum status try_int8(struct db *db, struct arena *a, const struct subject *s,
                            const struct stepper *step, bool *ret_ended, struct fault *f)
{
    struct trial_subject subject = s->trial;
    struct trial t = { .verdict = AGREEMENT_UNPROVEN, .bundled = true };
    struct calibration_state c;
    enum status st = model_calibration_ensure(db, subject.store, &s->model, step, &c, ret_ended, f);

    if (st != ST_OK || !*ret_ended)
        return st;
    if (!c.there) {
        snprintf(t.reason, sizeof t.reason, "%s", c.why_not);
        return write_verdict(db, a, s, PRECISION_INT8, &t, NULL, f);
    }
    subject.calibration = &c.digest;
    if ((st = trial_run(&subject, PRECISION_INT8, step, &t, ret_ended, f)) != ST_OK || !*ret_ended)
        return st;
    return write_verdict(db, a, s, PRECISION_INT8, &t, &c.digest, f);
}

static enum status try_one(struct db *db, struct arena *a, const struct subject *s, enum precision p,
                           const struct stepper *step, bool *ret_ended, struct fault *f)
{
    struct trial t;
    enum status st;

    if (p == PRECISION_INT8)
        return try_int8(db, a, s, step, ret_ended, f);
    if ((st = trial_run(&s->trial, p, step, &t, ret_ended, f)) != ST_OK || !*ret_ended)
        return st;
    return write_verdict(db, a, s, p, &t, NULL, f);
}

static enum status try_all(struct db *db, struct arena *a, const struct subject *s,
                           const struct stepper *step, int *ret_tried, struct fault *f)
{
    enum status st = ST_OK;

    for (const enum precision *p = precision_candidates; *p != PRECISION_AUTO; p++) {
        bool ended = true;

        if (!precision_available(*p))
            continue;
        if ((st = try_one(db, a, s, *p, step, &ended, f)) != ST_OK || !ended)
            break;
        ++*ret_tried;
    }
    return st;
}

enum status precision_gate(struct db *db, struct store *store, int64_t file, const struct stepper *step,
                           int *ret_tried, struct fault *f)
{
    struct subject s = { .model.file = file, .trial.store = store };
    struct arena *a = arena_create(ARENA_BYTES);
    bool ended = false;
    int tried = 0;
    enum status st;

    if (!a)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = read_subject(db, a, &s, f)) == ST_OK && (st = read_pictures(db, a, &s, f)) == ST_OK &&
        (st = check_kernels(db, a, &s, step, &ended, f)) == ST_OK && ended)
        st = try_all(db, a, &s, step, &tried, f);
    arena_free(a);
    if (st == ST_OK)
        *ret_tried = tried;
    return st;
}

static enum status queue_due(struct db *db, struct arena *a, struct param precisions, int at_most,
                             PGresult **ret, struct fault *f)
{
    char cpu[PRECISION_CPU];
    const struct param params[] = {
        p_text(precision_cpu(cpu)),   p_text(FOVEA_VERSION), precisions,
        p_i64(a, AGREEMENT_PICTURES), p_i64(a, at_most),     p_i64(a, CALIBRATION_PICTURES)
    };
    const struct db_call call = {
        "SELECT domain.precision_queue($1, $2, $3::text[], $4::integer, $5::integer, $6::integer)",
        params, sizeof params / sizeof *params
    };

    return db_write(db, &call, 1, ret, f);
}

enum status precision_queue(struct db *db, int at_most, int64_t *ret, struct fault *f)
{
    struct arena *a = arena_create(ARENA_BYTES);
    const char *names[8];
    size_t n = 0;
    PGresult *r = NULL;
    enum status st;

    if (!a)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (const enum precision *p = precision_candidates; *p != PRECISION_AUTO; p++)
        if (precision_available(*p))
            names[n++] = precision_name(*p);
    if ((st = queue_due(db, a, p_texts(a, names, n), at_most, &r, f)) == ST_OK)
        *ret = row_i64(r, 0, 0);
    PQclear(r);
    arena_free(a);
    return st;
}

/* The rest of this processor's and release's element of an array of texts as PostgreSQL prints it,
 * {"cpu release rest",...}; none of the three holds a quote or a comma. NULL: there is none. */
static const char *find_here(const char *rows, size_t *ret_n)
{
    char wanted[PRECISION_CPU + 40], cpu[PRECISION_CPU];
    const char *at;

    snprintf(wanted, sizeof wanted, "\"%s " FOVEA_VERSION " ", precision_cpu(cpu));
    if (!rows || !(at = strstr(rows, wanted)))
        return NULL;
    at += strlen(wanted);
    *ret_n = strcspn(at, "\",");
    return at;
}

enum precision precision_chosen(const char *choices)
{
    enum precision p = PRECISION_F32;
    char name[16] = "";
    size_t n;
    const char *at = find_here(choices, &n);

    if (!at)
        return PRECISION_F32;
    snprintf(name, sizeof name, "%.*s", (int)n, at);
    return precision_find(name, &p) && p != PRECISION_AUTO && precision_available(p) ? p : PRECISION_F32;
}

struct avoided plan_avoided(const char *rows)
{
    struct avoided a = { .n = 0 };
    char text[AVOIDED_TEXT];
    size_t n;
    const char *at = find_here(rows, &n);

    if (at && n < sizeof text) {
        memcpy(text, at, n);
        text[n] = '\0';
        if (!avoided_read(text, &a))
            a.n = 0;
    }
    return a;
}
