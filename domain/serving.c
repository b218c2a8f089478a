/* See serving.h. One lock; loading and running happen outside it. */
#include "domain/serving.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/limits.h"
#include "base/text.h"

enum { MODELS_MAX = 64 };

struct served_model {
    struct digest weights;
    struct predictor *predictor;
    size_t memory;
    uint64_t used;
    int users;
    bool loading;
};

struct serving {
    struct store *store;
    pthread_mutex_t lock;
    pthread_cond_t loaded, slot_free;
    struct served_model *models[MODELS_MAX];
    size_t nmodels, memory;
    uint64_t clock;
    int slots, running, waiting, queue;
};

enum status serving_create(struct store *store, struct serving **ret, struct fault *f)
{
    struct serving *s = calloc(1, sizeof *s);

    if (!s)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    s->store = store;
    s->slots = (int)config_i64("predict.threads");
    if (s->slots == 0)
        s->slots = (int)sysconf(_SC_NPROCESSORS_ONLN);
    s->queue = (int)config_i64("predict.queue");
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->loaded, NULL);
    pthread_cond_init(&s->slot_free, NULL);
    *ret = s;
    return ST_OK;
}

void serving_free(struct serving *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->nmodels; i++) {
        predictor_free(s->models[i]->predictor);
        free(s->models[i]);
    }
    pthread_cond_destroy(&s->slot_free);
    pthread_cond_destroy(&s->loaded);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct served_model *find(struct serving *s, const struct digest *weights)
{
    for (size_t i = 0; i < s->nmodels; i++)
        if (memcmp(s->models[i]->weights.bytes, weights->bytes, DIGEST_BYTES) == 0)
            return s->models[i];
    return NULL;
}

static void forget(struct serving *s, struct served_model *m)
{
    for (size_t i = 0; i < s->nmodels; i++) {
        if (s->models[i] != m)
            continue;
        s->models[i] = s->models[--s->nmodels];
        s->memory -= m->memory;
        predictor_free(m->predictor);
        free(m);
        return;
    }
}

/* Drops idle models until the budget holds and a place is free. Under the lock. */
static void make_room(struct serving *s)
{
    while (s->nmodels == MODELS_MAX || s->memory > (size_t)LIMIT_MODEL_MEMORY_BYTES) {
        struct served_model *oldest = NULL;

        for (size_t i = 0; i < s->nmodels; i++)
            if (s->models[i]->users == 0 && (!oldest || s->models[i]->used < oldest->used))
                oldest = s->models[i];
        if (!oldest)
            return;
        forget(s, oldest);
    }
}

static enum status load(struct serving *s, const struct digest *weights, struct predictor **ret,
                        struct fault *f)
{
    const void *bytes;
    size_t n;
    enum status st = store_map(s->store, weights, &bytes, &n, f);

    if (st != ST_OK)
        return st;
    st = predictor_load(bytes, n, NULL, ret, f);
    store_unmap(bytes, n);
    return st;
}

static enum status add(struct serving *s, const struct digest *weights, struct served_model **ret,
                       struct fault *f)
{
    struct served_model *m;

    make_room(s);
    if (s->nmodels == MODELS_MAX || !(m = calloc(1, sizeof *m))) {
        fault_set(f, ST_UNAVAILABLE, NULL, "too many models are in use");
        f->retry_after_s = 1;
        return ST_UNAVAILABLE;
    }
    m->weights = *weights;
    m->loading = true;
    m->users = 1;
    s->models[s->nmodels++] = m;
    *ret = m;
    return ST_OK;
}

enum status serving_get(struct serving *s, const struct digest *weights, struct served_model **ret,
                        struct fault *f)
{
    struct served_model *m;
    enum status st = ST_OK;

    pthread_mutex_lock(&s->lock);
    while ((m = find(s, weights)) && m->loading)
        pthread_cond_wait(&s->loaded, &s->lock); /* look again: a failed load has removed it */
    if (m) {
        m->users++;
    } else if ((st = add(s, weights, &m, f)) == ST_OK) {
        pthread_mutex_unlock(&s->lock);
        st = load(s, weights, &m->predictor, f);
        pthread_mutex_lock(&s->lock);
        m->loading = false;
        if (st == ST_OK) {
            m->memory = predictor_memory_bytes(m->predictor);
            s->memory += m->memory;
        } else {
            forget(s, m);
            m = NULL;
        }
        pthread_cond_broadcast(&s->loaded);
    }
    if (st == ST_OK) {
        m->used = ++s->clock;
        *ret = m;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

void serving_put(struct serving *s, struct served_model *m)
{
    if (!m)
        return;
    pthread_mutex_lock(&s->lock);
    m->users--;
    make_room(s);
    pthread_mutex_unlock(&s->lock);
}

const struct predictor *served_predictor(const struct served_model *m)
{
    return m->predictor;
}

static enum status slot_take(struct serving *s, struct fault *f)
{
    enum status st = ST_OK;

    pthread_mutex_lock(&s->lock);
    if (s->running >= s->slots && s->waiting >= s->queue) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "too many predictions are waiting, try again");
        if (f)
            f->retry_after_s = 1;
    } else {
        s->waiting++;
        while (s->running >= s->slots)
            pthread_cond_wait(&s->slot_free, &s->lock);
        s->waiting--;
        s->running++;
    }
    pthread_mutex_unlock(&s->lock);
    return st;
}

static void slot_give(struct serving *s)
{
    pthread_mutex_lock(&s->lock);
    s->running--;
    pthread_cond_signal(&s->slot_free);
    pthread_mutex_unlock(&s->lock);
}

enum status serving_run(struct serving *s, struct served_model *m, const uint8_t *rgb, int width,
                        int height, const struct predict_options *o, struct prediction *ret,
                        struct fault *f)
{
    enum status st = slot_take(s, f);

    if (st != ST_OK)
        return st;
    st = predictor_run(m->predictor, rgb, width, height, o, ret, f);
    slot_give(s);
    return st;
}
