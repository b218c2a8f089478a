/*
 * The predictor: a model compiled for one or a few input sizes, and the way of a picture through it. See
 * predictor.h.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "inference/card.h"
#include "inference/compare.h"
#include "inference/kernels/team.h"
#include "inference/post/finish.h"
#include "inference/session.h"

enum { SIZES_MAX = 4, NO_SIZE = -1 };

/* One compiled input size. The last one used longest ago makes room, unless a run is using it. */
struct compiled {
    struct session *session;
    struct head head;
    int height, width;
    enum precision precision;
    bool exact;
    int users;
    uint64_t used;
};

struct predictor {
    struct opened_model source; /* `bound` has moved into sizes[0] */
    struct compile_options compile;
    struct avoided avoid; /* that compile points to */
    bool views;           /* weights lie in the caller's bytes */
    pthread_mutex_t
        *lock; /* of what follows; behind a pointer so that a run may take a const predictor */
    struct compiled *sizes; /* [SIZES_MAX] */
    uint64_t *clock;
};

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

void predictor_free(struct predictor *d)
{
    if (!d)
        return;
    for (int i = 0; d->sizes && i < SIZES_MAX; i++)
        session_free(d->sizes[i].session);
    if (d->lock)
        pthread_mutex_destroy(d->lock);
    free(d->lock);
    free(d->sizes);
    free(d->clock);
    opened_model_free(&d->source);
    free(d);
}

const struct model_card *predictor_card(const struct predictor *d)
{
    return d->source.card;
}

size_t predictor_memory_bytes(const struct predictor *d)
{
    size_t n = d->views ? 0 : (size_t)d->source.model->parameters * sizeof(float);

    pthread_mutex_lock(d->lock);
    for (int i = 0; i < SIZES_MAX; i++)
        n += d->sizes[i].session ? session_memory_bytes(d->sizes[i].session) : 0;
    pthread_mutex_unlock(d->lock);
    return n;
}

/* Automatic that nobody has settled is float32; so is exact. */
static enum precision precision_of(enum precision asked, enum precision of_load, bool exact)
{
    const enum precision p = asked == PRECISION_AUTO ? of_load : asked;

    return p == PRECISION_AUTO || exact ? PRECISION_F32 : p;
}

static enum status compile_own_size(struct predictor *d, struct fault *f)
{
    struct graph *g = d->source.bound;

    d->source.bound = NULL; /* session_create takes it over */
    d->sizes[0] = (struct compiled){ .head = d->source.head,
                                     .height = d->source.height,
                                     .width = d->source.width,
                                     .precision = d->compile.precision,
                                     .exact = d->compile.exact };
    return session_create(g, &d->compile, &d->sizes[0].session, f);
}

enum status predictor_load(const void *bytes, size_t n, const struct load_options *o,
                           struct predictor **ret, struct fault *f)
{
    struct predictor *d = calloc(1, sizeof *d);
    enum status st;

    if (!d || !(d->lock = calloc(1, sizeof(pthread_mutex_t))) ||
        !(d->sizes = calloc(SIZES_MAX, sizeof *d->sizes)) || !(d->clock = calloc(1, sizeof *d->clock))) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        goto out;
    }
    pthread_mutex_init(d->lock, NULL);
    d->compile = o ? o->compile : (struct compile_options){ 0 };
    d->compile.precision = precision_of(PRECISION_AUTO, d->compile.precision, d->compile.exact);
    if (d->compile.avoid) {
        d->avoid = *d->compile.avoid;
        d->compile.avoid = &d->avoid;
    }
    d->views = o && o->bytes_stay;
    if (d->compile.calibration && (st = calibration_check(d->compile.calibration, bytes, n, f)) != ST_OK)
        goto out;
    if ((st = opened_model_read_as(bytes, n, d->views ? ONNX_WEIGHTS_VIEWED : ONNX_WEIGHTS_COPIED,
                                   o ? o->family : NULL, &d->source, f)) != ST_OK)
        goto out;
    if (!d->source.bound || (o && o->family && !d->source.card->runnable)) {
        st = fault_set(f, ST_UNSUPPORTED, "model", "the model cannot be run: %s",
                       d->source.card->why_not);
        goto out;
    }
    st = compile_own_size(d, f);
out:
    if (st == ST_OK)
        *ret = d;
    else
        predictor_free(d);
    return st;
}

/* Index of the place for a new size: an empty one, or that unused for longest. NO_SIZE: all are busy. */
static int place_for_size(const struct predictor *d)
{
    int best = NO_SIZE;

    for (int i = 0; i < SIZES_MAX; i++) {
        if (!d->sizes[i].session)
            return i;
        if (!d->sizes[i].users && (best == NO_SIZE || d->sizes[i].used < d->sizes[best].used))
            best = i;
    }
    return best;
}

/* Under the lock: other runs wait the tens of milliseconds that compiling takes. */
static enum status compile_size(const struct predictor *d, const struct compiled *wanted, int *ret,
                                struct fault *f)
{
    const int at = place_for_size(d);
    struct compile_options how = d->compile;
    struct compiled c = *wanted;
    struct graph *g;
    enum status st;

    how.precision = wanted->precision;
    how.exact = wanted->exact;
    if (at == NO_SIZE)
        return fault_set(f, ST_UNAVAILABLE, "imgsz", "too many input sizes are in use at once");
    if ((st = model_bind(d->source.model, c.height, c.width, &g, f)) != ST_OK)
        return st;
    if (d->source.head.family && !opened_model_head(&d->source, g, c.height, c.width, &c.head)) {
        graph_free(g);
        return fault_set(f, ST_INVALID, "imgsz", "the model does not work at this size");
    }
    if ((st = session_create(g, &how, &c.session, f)) != ST_OK)
        return st;
    session_free(d->sizes[at].session);
    d->sizes[at] = c;
    *ret = at;
    return ST_OK;
}

static struct compiled wanted_size(const struct predictor *d, const struct predict_options *o)
{
    const int stride = d->source.stride, side = (o->imgsz + stride - 1) / stride * stride;
    const bool own = o->imgsz == 0 || !d->source.dynamic, exact = o->exact || d->compile.exact;

    return (struct compiled){
        .height = own ? d->source.height : side,
        .width = own ? d->source.width : side,
        .precision = precision_of(o->precision, d->compile.precision, exact),
        .exact = exact,
    };
}

/* The wanted size compiled and marked as in use. */
static enum status take_size(const struct predictor *d, const struct predict_options *o, int *ret,
                             struct fault *f)
{
    const struct compiled wanted = wanted_size(d, o);
    int at = NO_SIZE;
    enum status st = ST_OK;

    pthread_mutex_lock(d->lock);
    for (int i = 0; i < SIZES_MAX && at == NO_SIZE; i++) {
        const struct compiled *c = &d->sizes[i];
        if (c->session && c->height == wanted.height && c->width == wanted.width &&
            c->precision == wanted.precision && c->exact == wanted.exact)
            at = i;
    }
    if (at == NO_SIZE)
        st = compile_size(d, &wanted, &at, f);
    if (st == ST_OK) {
        d->sizes[at].users++;
        d->sizes[at].used = ++*d->clock;
        *ret = at;
    }
    pthread_mutex_unlock(d->lock);
    return st;
}

static void give_size(const struct predictor *d, int at)
{
    pthread_mutex_lock(d->lock);
    d->sizes[at].users--;
    pthread_mutex_unlock(d->lock);
}

static enum status check_options(const struct predict_options *o, int width, int height, struct fault *f)
{
    if (!(o->conf >= 0 && o->conf <= 1))
        return fault_set(f, ST_INVALID, "conf", "must be between 0 and 1, got %g", (double)o->conf);
    if (!(o->iou >= 0 && o->iou <= 1))
        return fault_set(f, ST_INVALID, "iou", "must be between 0 and 1, got %g", (double)o->iou);
    if (o->imgsz < 0 || o->imgsz > LIMIT_MODEL_INPUT_PX)
        return fault_set(f, ST_INVALID, "imgsz", "must be between 0 and %d, got %d",
                         LIMIT_MODEL_INPUT_PX, o->imgsz);
    if (o->top < 0 || o->top > LIMIT_DETECTIONS)
        return fault_set(f, ST_INVALID, "top", "must be between 0 and %d, got %d", LIMIT_DETECTIONS,
                         o->top);
    if (o->max_detections < 1 || o->max_detections > LIMIT_DETECTIONS)
        return fault_set(f, ST_INVALID, "max_detections", "must be between 1 and %d, got %d",
                         LIMIT_DETECTIONS, o->max_detections);
    if (width < 1 || height < 1 || width > LIMIT_IMAGE_SIDE_PX || height > LIMIT_IMAGE_SIDE_PX ||
        o->width < 0 || o->height < 0 || o->width > LIMIT_IMAGE_SIDE_PX ||
        o->height > LIMIT_IMAGE_SIDE_PX || (o->width == 0) != (o->height == 0))
        return fault_set(f, ST_INVALID, "image", "has no usable size");
    return ST_OK;
}

/* What the context holds, to a prediction. */
static enum status finish(const struct predictor *d, const struct compiled *c,
                          const struct context *context, const struct letterbox *l,
                          const struct predict_options *o, struct prediction *p, struct fault *f)
{
    const struct graph *g = d->source.model->graph;
    const size_t n = (size_t)g->noutputs < HEAD_OUTPUTS ? (size_t)g->noutputs : HEAD_OUTPUTS;
    struct value out[HEAD_OUTPUTS] = { 0 };
    const char *names[HEAD_OUTPUTS] = { 0 };

    if (!(p->arena = arena_create(LIMIT_PREDICTION_BYTES)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (size_t i = 0; i < n; i++) {
        out[i] = context_output(context, (int)i);
        names[i] = g->tensors[g->outputs[i]].name;
    }
    return c->head.family ? prediction_finish(&c->head, out, l, o, p, f)
                          : prediction_copy(out, names, n, p, f);
}

/* l: of the picture; drawn: the same place in the input for the pixels at hand. */
static enum status run(const struct predictor *d, struct compiled *c, const uint8_t *rgb,
                       const struct letterbox *l, const struct letterbox *drawn,
                       const struct predict_options *o, struct prediction *ret, struct fault *f)
{
    struct prediction p = { .precision = c->precision };
    struct context *context = NULL;
    double start = now_ms(), then;
    enum status st = session_take(c->session, &context, f);

    if (st != ST_OK)
        return st;
    if (!preprocess_draw(&d->source.preprocess, drawn, rgb, d->source.planes,
                         context_input(context, 0).data))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    then = now_ms();
    p.preprocess_ms = then - start;
    if (st == ST_OK)
        st = context_run(context, f);
    start = now_ms();
    p.inference_ms = start - then;
    if (st == ST_OK)
        st = finish(d, c, context, l, o, &p, f);
    p.postprocess_ms = now_ms() - start;
    session_give(c->session, context);
    if (st == ST_OK)
        *ret = p;
    else
        prediction_free(&p);
    return st;
}

/* Where the picture lies in the input of that size. */
static struct letterbox fit(const struct predictor *d, const struct predict_options *o, int width,
                            int height, int input_width, int input_height)
{
    const struct preprocess *p = &d->source.preprocess;

    return letterbox_fit(p->fit, p->keep, o->width ? o->width : width, o->height ? o->height : height,
                         input_width, input_height);
}

enum status predictor_run(const struct predictor *d, const uint8_t *rgb, int width, int height,
                          const struct predict_options *o, struct prediction *ret, struct fault *f)
{
    struct letterbox l, drawn;
    enum status st;
    int at;

    if ((st = check_options(o, width, height, f)) != ST_OK || (st = take_size(d, o, &at, f)) != ST_OK)
        return st;
    l = drawn = fit(d, o, width, height, d->sizes[at].width, d->sizes[at].height);
    drawn.width = width;
    drawn.height = height;
    team_serial(o->single);
    st = run(d, &d->sizes[at], rgb, &l, &drawn, o, ret, f);
    team_serial(false);
    give_size(d, at);
    return st;
}

enum status predictor_check(const struct predictor *d, enum precision p,
                            const struct plan_watcher *watcher, struct plan_check *ret, struct fault *f)
{
    struct compile_options how = d->compile;
    struct graph *g = NULL;
    struct value in;
    enum status st;

    how.threads = 1;
    how.precision = precision_of(p, d->compile.precision, d->compile.exact);
    if ((st = model_bind(d->source.model, d->source.height, d->source.width, &g, f)) != ST_OK)
        return st;
    in = g->tensors[g->inputs[0]].v;
    if ((in.data = malloc(value_bytes(&in) + 1))) {
        value_fill(&in, 1);
        st = graph_check(g, &how, &in, watcher, ret, f);
    } else {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    free(in.data);
    graph_free(g);
    return st;
}

void predictor_scaled_size(const struct predictor *d, const struct predict_options *o, int width,
                           int height, int *ret_width, int *ret_height)
{
    const struct compiled wanted = wanted_size(d, o);
    const struct letterbox l = fit(d, o, width, height, wanted.width, wanted.height);

    *ret_width = l.scaled_width;
    *ret_height = l.scaled_height;
}

void prediction_free(struct prediction *p)
{
    arena_free(p->arena);
    *p = (struct prediction){ 0 };
}
