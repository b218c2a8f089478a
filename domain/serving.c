/* See serving.h. One lock for the table of models; loading and running happen outside it. */
#include "domain/serving.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "domain/calibration.h"
#include "domain/watchdog.h"

enum {
    MODELS_MAX = 64,
    RUN_DEADLINES = 3,   /* a run that takes so many deadlines hangs */
    LOAD_DEADLINES = 12, /* loading compiles, and may measure */
};

struct served_model {
    struct model_use use;
    struct predictor *predictor;
    struct calibration *calibration; /* NULL: none, or it could not be read */
    const void *file;                /* mapped as long as the predictor lives */
    size_t file_bytes, calibration_bytes, memory;
    uint64_t used;
    int users, pins;
    bool loading;
};

struct serving {
    struct store *store;
    struct gate *places, *pictures;
    struct blackbox *box; /* NULL: none */
    struct watchdog *watchdog;
    pthread_mutex_t lock;
    pthread_cond_t loaded;
    struct served_model *models[MODELS_MAX];
    size_t nmodels, memory, budget;
    uint64_t clock;
    int64_t loads;
    int slots;
    int64_t deadline_ms;
    pthread_t warmer;
    bool warming;
    atomic_bool stopping;
};

/* ---- the table: under the lock ---- */

static struct served_model *find(struct serving *s, const struct model_use *use)
{
    for (size_t i = 0; i < s->nmodels; i++)
        if (model_use_same(&s->models[i]->use, use))
            return s->models[i];
    return NULL;
}

static void model_free(struct served_model *m)
{
    predictor_free(m->predictor);
    calibration_free(m->calibration);
    if (m->file)
        store_unmap(m->file, m->file_bytes);
    free(m);
}

static void forget(struct serving *s, struct served_model *m)
{
    for (size_t i = 0; i < s->nmodels; i++) {
        if (s->models[i] != m)
            continue;
        s->models[i] = s->models[--s->nmodels];
        s->memory -= m->memory;
        blackbox_drop(s->box, &m->use);
        model_free(m);
        return;
    }
}

/* Drops idle models until the budget holds and a place is free. */
static void make_room(struct serving *s)
{
    while (s->nmodels == MODELS_MAX || s->memory > s->budget) {
        struct served_model *oldest = NULL;

        for (size_t i = 0; i < s->nmodels; i++) {
            struct served_model *m = s->models[i];

            if (!m->users && !m->pins && (!oldest || m->used < oldest->used))
                oldest = m;
        }
        if (!oldest)
            return;
        forget(s, oldest);
    }
}

static enum status add(struct serving *s, const struct model_use *use, struct served_model **ret,
                       struct fault *f)
{
    struct served_model *m;

    make_room(s);
    if (s->nmodels == MODELS_MAX || !(m = calloc(1, sizeof *m))) {
        fault_set(f, ST_UNAVAILABLE, NULL, "too many models are in use");
        f->retry_after_s = 1;
        return ST_UNAVAILABLE;
    }
    m->use = *use;
    m->loading = true;
    m->users = 1;
    s->models[s->nmodels++] = m;
    *ret = m;
    return ST_OK;
}

/* A model grows when it is run at further sizes. */
static size_t memory_of(const struct served_model *m)
{
    return predictor_memory_bytes(m->predictor) + m->calibration_bytes;
}

static void count_memory(struct serving *s, struct served_model *m, size_t memory)
{
    s->memory += memory - m->memory;
    m->memory = memory;
}

/* ---- loading ---- */

static enum status refuse_condemned(struct serving *s, const struct digest *weights, struct fault *f)
{
    struct verdict v;

    if (!blackbox_condemned(s->box, weights, &v))
        return ST_OK;
    return fault_set(f, ST_INVALID, NULL, "the model cannot be run here: %s", v.reason);
}

/* A model runs without its calibration too, if not in int8. */
static void load_calibration(struct serving *s, struct served_model *m)
{
    struct fault f = FAULT_INIT;
    const struct calibration *c;

    if (!m->use.calibrated || !precision_available(PRECISION_INT8))
        return;
    if (model_calibration_read(s->store, &m->use.weights, &m->use.calibration, &m->calibration, &f) !=
        ST_OK) {
        log_event(LOG_LEVEL_WARNING, "calibration_not_loaded", "detail", f.detail, NULL);
        return;
    }
    c = m->calibration;
    m->calibration_bytes =
        sizeof *c + (size_t)c->n * sizeof *c->items + (size_t)c->nchannels * sizeof *c->channels;
    for (int i = 0; i < c->n; i++)
        m->calibration_bytes += strlen(c->items[i].name) + 1;
}

static enum status load(struct serving *s, struct served_model *m, struct fault *f)
{
    struct load_options how = { .compile = { .threads = s->slots }, .bytes_stay = true };
    int note;
    enum status st;

    if ((st = gate_take(s->places, 1, s->deadline_ms, "a free thread", NULL, f)) != ST_OK)
        return st;
    note = blackbox_begin(s->box, &m->use.weights, BLACKBOX_LOADING, LOAD_DEADLINES * s->deadline_ms);
    load_calibration(s, m);
    how.compile.calibration = m->calibration;
    how.compile.avoid = &m->use.avoided;
    how.compile.precision = served_automatic(m, m->use.precision);
    if (failpoint("model_load"))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the model could not be loaded");
    else if ((st = store_map(s->store, &m->use.weights, &m->file, &m->file_bytes, f)) == ST_OK)
        st = predictor_load(m->file, m->file_bytes, &how, &m->predictor, f);
    blackbox_end(s->box, note);
    gate_give(s->places, 1);
    return st;
}

/* The new entry m, filled; or gone. Under the lock, which is given up meanwhile. */
static enum status fill(struct serving *s, struct served_model *m, struct fault *f)
{
    enum status st;

    pthread_mutex_unlock(&s->lock);
    st = load(s, m, f);
    pthread_mutex_lock(&s->lock);
    m->loading = false;
    s->loads++;
    if (st == ST_OK)
        count_memory(s, m, memory_of(m));
    else
        forget(s, m);
    pthread_cond_broadcast(&s->loaded);
    return st;
}

/* The model, loaded by whoever it was; *ret NULL: nobody has. Under the lock. */
static enum status await_loaded(struct serving *s, const struct model_use *use,
                                struct served_model **ret, struct fault *f)
{
    const struct timespec until = deadline_after(s->deadline_ms);
    struct served_model *m;

    while ((m = find(s, use)) && m->loading) { /* look again: a failed load has removed it */
        if (pthread_cond_timedwait(&s->loaded, &s->lock, &until) == ETIMEDOUT) {
            fault_set(f, ST_UNAVAILABLE, NULL, "the model is being loaded, try again");
            f->retry_after_s = 1;
            return ST_UNAVAILABLE;
        }
    }
    *ret = m;
    return ST_OK;
}

enum status serving_get(struct serving *s, const struct model_use *use, struct served_model **ret,
                        struct fault *f)
{
    struct served_model *m = NULL;
    enum status st = refuse_condemned(s, &use->weights, f);

    if (st != ST_OK)
        return st;
    pthread_mutex_lock(&s->lock);
    if ((st = await_loaded(s, use, &m, f)) == ST_OK) {
        if (m)
            m->users++;
        else if ((st = add(s, use, &m, f)) == ST_OK)
            st = fill(s, m, f);
    }
    if (st == ST_OK) {
        m->used = ++s->clock;
        *ret = m;
    }
    pthread_mutex_unlock(&s->lock);
    if (st == ST_OK)
        blackbox_keep(s->box, use);
    return st;
}

void serving_put(struct serving *s, struct served_model *m)
{
    size_t memory;

    if (!m)
        return;
    memory = memory_of(m); /* waits for a compilation: not under the lock */
    pthread_mutex_lock(&s->lock);
    m->users--;
    count_memory(s, m, memory);
    make_room(s);
    pthread_mutex_unlock(&s->lock);
}

const struct predictor *served_predictor(const struct served_model *m)
{
    return m->predictor;
}

bool served_calibrated(const struct served_model *m)
{
    return m->calibration != NULL;
}

enum precision served_automatic(const struct served_model *m, enum precision chosen)
{
    return chosen == PRECISION_AUTO || (chosen == PRECISION_INT8 && !m->calibration) ? PRECISION_F32
                                                                                     : chosen;
}

enum status serving_pin(struct serving *s, const struct model_use *use, struct fault *f)
{
    struct served_model *m = NULL;
    enum status st = serving_get(s, use, &m, f);

    if (st != ST_OK)
        return st;
    pthread_mutex_lock(&s->lock);
    m->pins++;
    pthread_mutex_unlock(&s->lock);
    serving_put(s, m);
    return ST_OK;
}

void serving_unpin(struct serving *s, const struct model_use *use)
{
    struct served_model *m;

    pthread_mutex_lock(&s->lock);
    if ((m = find(s, use)) && m->pins > 0)
        m->pins--;
    make_room(s);
    pthread_mutex_unlock(&s->lock);
}

struct serving_figures serving_figures(struct serving *s)
{
    struct serving_figures figures;

    pthread_mutex_lock(&s->lock);
    figures = (struct serving_figures){ s->nmodels, s->memory, s->loads };
    pthread_mutex_unlock(&s->lock);
    return figures;
}

/* ---- pictures and runs ---- */

/* Half as large again as what the network sees, so that scaling down does not alias. */
static int with_margin(int side)
{
    return side + (side + 1) / 2;
}

enum status serving_decode(struct serving *s, const struct served_model *m, const void *bytes, size_t n,
                           const struct predict_options *o, bool whole, struct served_picture *ret,
                           struct fault *f)
{
    struct served_picture p = { 0 };
    struct image_info info;
    int width = 0, height = 0;
    enum status st = image_probe(bytes, n, &info, f);

    if (st != ST_OK)
        return st;
    if (!whole && !o->exact) {
        predictor_scaled_size(m->predictor, o, info.width, info.height, &width, &height);
        width = with_margin(width);
        height = with_margin(height);
    }
    p.width = info.width;
    p.height = info.height;
    p.taken = image_decode_bytes(&info, width, height);
    if ((st = gate_take(s->pictures, p.taken, s->deadline_ms, "memory for the picture", NULL, f)) !=
        ST_OK)
        return st;
    if ((st = image_decode_at_least(bytes, n, width, height, &p.im, f)) == ST_OK)
        *ret = p;
    else
        gate_give(s->pictures, p.taken);
    return st;
}

void served_picture_free(struct serving *s, struct served_picture *p)
{
    if (p->taken)
        gate_give(s->pictures, p->taken);
    image_free(&p->im);
    *p = (struct served_picture){ 0 };
}

enum status serving_run(struct serving *s, struct served_model *m, const struct served_picture *p,
                        const struct predict_options *o, struct prediction *ret, struct fault *f)
{
    struct predict_options mine = *o;
    int64_t left = 0;
    int note;
    enum status st = gate_take(s->places, 1, s->deadline_ms, "a free thread", &left, f);

    if (st != ST_OK)
        return st;
    mine.single = left < s->slots - 1;
    mine.width = p->width;
    mine.height = p->height;
    note = blackbox_begin(s->box, &m->use.weights, BLACKBOX_RUNNING, RUN_DEADLINES * s->deadline_ms);
    if (failpoint("predict_run"))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the model could not be run");
    else
        st = predictor_run(m->predictor, p->im.rgb, p->im.width, p->im.height, &mine, ret, f);
    blackbox_end(s->box, note);
    gate_give(s->places, 1);
    return st;
}

/* ---- start and end ---- */

/* What the process before this one had loaded, in the precision that it last answered with by itself, as
 * far as the budget goes. */
static void *warm_up(void *arg)
{
    struct serving *s = arg;
    struct model_use recent[BLACKBOX_RECENT];
    const size_t n = blackbox_recent(s->box, recent, BLACKBOX_RECENT);

    for (size_t i = n; i-- > 0 && !atomic_load(&s->stopping);) { /* the last used is the last dropped */
        struct served_model *m = NULL;
        struct fault f = FAULT_INIT;

        if (serving_get(s, &recent[i], &m, &f) == ST_OK)
            serving_put(s, m);
        else
            log_event(LOG_LEVEL_WARNING, "model_not_warmed_up", "detail", f.detail, NULL);
    }
    return NULL;
}

enum status serving_create(struct store *store, const char *box, const char *dsn, struct serving **ret,
                           struct fault *f)
{
    struct serving *s = calloc(1, sizeof *s);
    enum status st = ST_OK;

    if (!s)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    pthread_mutex_init(&s->lock, NULL);
    deadline_cond_init(&s->loaded);
    s->store = store;
    s->slots = (int)config_i64("predict.threads");
    if (s->slots == 0)
        s->slots = (int)sysconf(_SC_NPROCESSORS_ONLN);
    s->deadline_ms = config_i64("predict.deadline_s") * 1000;
    s->budget = (size_t)config_i64("predict.memory");
    s->places = gate_create(s->slots, (int)config_i64("predict.queue"));
    s->pictures = gate_create(config_i64("predict.picture_memory"), (int)config_i64("predict.queue"));
    if (!s->places || !s->pictures)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (st == ST_OK && box && (st = blackbox_open(box, &s->box, f)) == ST_OK) {
        s->watchdog = watchdog_start(s->box, s->places, dsn);
        s->warming = s->watchdog && pthread_create(&s->warmer, NULL, warm_up, s) == 0;
        if (!s->warming)
            st = fault_set(f, ST_UNAVAILABLE, NULL, "no thread could be made");
    }
    if (st == ST_OK)
        *ret = s;
    else
        serving_free(s);
    return st;
}

void serving_free(struct serving *s)
{
    if (!s)
        return;
    atomic_store(&s->stopping, true);
    if (s->warming)
        pthread_join(s->warmer, NULL);
    watchdog_stop(s->watchdog);
    for (size_t i = 0; i < s->nmodels; i++)
        model_free(s->models[i]);
    blackbox_close(s->box);
    gate_free(s->places);
    gate_free(s->pictures);
    pthread_cond_destroy(&s->loaded);
    pthread_mutex_destroy(&s->lock);
    free(s);
}
