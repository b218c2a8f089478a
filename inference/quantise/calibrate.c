/* See calibrate.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "inference/card.h"
#include "inference/graph/passes.h"
#include "inference/plan/context.h"
#include "inference/quantise/calibrate.h"
#include "inference/quantise/range.h"

/* The narrowest range of a channel, in those of the widest of its tensor: finer steps would cost
 * precision of the weights behind, which are multiplied by them. */
#define LEAST_RANGE 0.1f

struct calibrator {
    struct opened_model source;
    struct plan *plan;
    struct context *context;
    struct range **seen; /* [ntensors] of the plan's graph: [channels]; NULL: not seen yet */
    int pictures;
    bool no_memory;
    uint8_t model[CALIBRATION_DIGEST];
};

void calibrator_free(struct calibrator *c)
{
    if (!c)
        return;
    for (int i = 0; c->seen && i < c->plan->graph->ntensors; i++)
        free(c->seen[i]);
    free(c->seen);
    context_free(c->context);
    plan_free(c->plan);
    opened_model_free(&c->source);
    free(c);
}

static enum status compile(struct calibrator *c, int threads, struct fault *f)
{
    const struct compile_options o = { .threads = threads, .precision = PRECISION_F32 };
    struct graph *g = c->source.bound;
    enum status st;

    c->source.bound = NULL;
    if ((st = graph_optimise(g, f)) != ST_OK) {
        graph_free(g);
        return st;
    }
    if ((st = plan_create(g, &o, &c->plan, f)) != ST_OK)
        return st;
    return context_create(c->plan, &c->context, f);
}

enum status calibrator_create(const void *model, size_t n, const char *family, int threads,
                              struct calibrator **ret, struct fault *f)
{
    struct calibrator *c = calloc(1, sizeof *c);
    enum status st;

    if (!c)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    calibration_digest(model, n, c->model);
    if ((st = opened_model_read_as(model, n, ONNX_WEIGHTS_VIEWED, family, &c->source, f)) != ST_OK)
        goto out;
    if (!c->source.bound || c->source.bound->ninputs != 1) {
        st = fault_set(f, ST_UNSUPPORTED, "model", "a calibration needs a network of one picture: %s",
                       c->source.card->why_not);
        goto out;
    }
    if ((st = compile(c, threads, f)) == ST_OK &&
        !(c->seen = calloc((size_t)c->plan->graph->ntensors + 1, sizeof *c->seen)))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
out:
    if (st == ST_OK)
        *ret = c;
    else
        calibrator_free(c);
    return st;
}

/* The values of one tensor: channels that only fill the last block are left out. */
static void count(struct range ranges[], const struct value *tensor, const struct value *v)
{
    const size_t channels = (size_t)tensor->dims[1], images = (size_t)tensor->dims[0],
                 plane = value_span(tensor, 2, 4), step = v->rank == 5 ? (size_t)v->dims[4] : 1,
                 whole = v->rank == 5 ? (size_t)v->dims[1] * step : channels;

    for (size_t i = 0; i < images; i++)
        for (size_t c = 0; c < channels; c++)
            range_add(&ranges[c],
                      value_f32(v) + (i * whole + c / step * step) * plane + (step > 1 ? c % step : 0),
                      plane, step);
}

/* A whole tensor, and not the part of one that a copy writes. */
static bool is_tensor(const struct value *tensor, const struct value *v)
{
    if (v->type != DTYPE_F32 || tensor->rank != 4 || value_elements(v) == 0)
        return false;
    if (v->rank == 5)
        return v->dims[0] == tensor->dims[0] && v->dims[2] == tensor->dims[2] &&
               v->dims[3] == tensor->dims[3] &&
               v->dims[1] == (tensor->dims[1] + v->dims[4] - 1) / v->dims[4];
    return value_same_shape(tensor, v);
}

static void see(void *who, const struct step *s, int output, const struct value *v)
{
    struct calibrator *c = who;
    const int t = s->node && output < s->node->noutputs ? s->node->outputs[output] : GRAPH_NONE;
    const struct tensor *tensor = t == GRAPH_NONE ? NULL : &c->plan->graph->tensors[t];

    if (!tensor || !tensor->name || !calibration_name_fits(tensor->name) || !is_tensor(&tensor->v, v))
        return;
    if (!c->seen[t] && !(c->seen[t] = calloc((size_t)tensor->v.dims[1], sizeof *c->seen[t]))) {
        c->no_memory = true;
        return;
    }
    count(c->seen[t], &tensor->v, v);
}

enum status calibrator_add(struct calibrator *c, const uint8_t *rgb, int width, int height,
                           struct fault *f)
{
    const struct preprocess *p = &c->source.preprocess;
    const struct letterbox l =
        letterbox_fit(p->fit, p->keep, width, height, c->source.width, c->source.height);
    enum status st;

    if (c->pictures == LIMIT_CALIBRATION_PICTURES)
        return fault_set(f, ST_TOO_LARGE, "calibration", "has %d pictures already", c->pictures);
    if (!preprocess_draw(p, &l, rgb, c->source.planes, context_input(c->context, 0).data))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = context_observe(c->context, see, c, f)) != ST_OK)
        return st;
    if (c->no_memory)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    c->pictures++;
    return ST_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct calibrated *)a)->name, ((const struct calibrated *)b)->name);
}

static void set_channels(const struct range ranges[], struct channel_range r[], int n)
{
    float widest = 0;

    for (int i = 0; i < n; i++) {
        range_ends(&ranges[i], &r[i].low, &r[i].high);
        r[i].mean = range_mean(&ranges[i]);
        widest = fmaxf(widest, r[i].high - r[i].low);
    }
    for (int i = 0; i < n; i++)
        r[i].high = fmaxf(r[i].high, r[i].low + LEAST_RANGE * widest);
}

/* Copies the name of tensor t to *at, which moves on. */
static void set_item(const struct calibrator *c, int t, struct calibrated *item, char **at)
{
    const struct tensor *tensor = &c->plan->graph->tensors[t];
    const size_t n = strlen(tensor->name) + 1;

    memcpy(*at, tensor->name, n);
    item->name = *at;
    item->nchannels = (int)tensor->v.dims[1];
    *at += n;
    set_channels(c->seen[t], item->channels, item->nchannels);
}

enum status calibrator_finish(const struct calibrator *c, struct calibration **ret, struct fault *f)
{
    struct calibration *made = calloc(1, sizeof *made);
    const struct graph *g = c->plan->graph;
    size_t bytes = 1;
    int n = 0, channels = 0;
    char *at;

    if (c->pictures < CALIBRATION_PICTURES) {
        free(made);
        return fault_set(f, ST_INVALID, "calibration", "needs at least %d pictures, got %d",
                         CALIBRATION_PICTURES, c->pictures);
    }
    for (int t = 0; t < g->ntensors; t++)
        if (c->seen[t]) {
            bytes += strlen(g->tensors[t].name) + 1;
            channels += (int)g->tensors[t].v.dims[1];
            n++;
        }
    if (!made || !(made->names = malloc(bytes)) ||
        !(made->items = calloc((size_t)n + 1, sizeof *made->items)) ||
        !(made->channels = calloc((size_t)channels + 1, sizeof *made->channels))) {
        calibration_free(made);
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    memcpy(made->model, c->model, sizeof made->model);
    made->pictures = c->pictures;
    at = made->names;
    for (int t = 0; t < g->ntensors; t++)
        if (c->seen[t]) {
            made->items[made->n].channels = made->channels + made->nchannels;
            set_item(c, t, &made->items[made->n], &at);
            made->nchannels += made->items[made->n++].nchannels;
        }
    qsort(made->items, (size_t)n, sizeof *made->items, by_name);
    *ret = made;
    return ST_OK;
}
