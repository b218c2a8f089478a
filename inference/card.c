/*
 * Model cards: what an ONNX file says of itself (Ultralytics' metadata, where it has some) and what its
 * shapes say. See predictor.h and card.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inference/card.h"

#include "inference/coco_names.h"
#include "inference/literal.h"
#include "inference/pt/pt.h"

enum { DEFAULT_SIDE = 640, DEFAULT_STRIDE = 32, NOTES_MEMORY_BYTES = 64 << 20 };

static const char *const task_names[TASK__COUNT] = { "detect", "segment", "classify", "pose", "obb" };

const char *model_task_name(enum model_task t)
{
    return (unsigned)t < TASK__COUNT ? task_names[t] : "unknown";
}

void model_card_free(struct model_card *c)
{
    if (!c)
        return;
    for (int i = 0; c->class_names && i < c->nclasses; i++)
        free(c->class_names[i]);
    free(c->class_names);
    free(c);
}

/* The metadata that matters, as numbers. */
struct notes {
    struct arena *arena;
    char **names; /* in the arena */
    size_t nnames;
    int64_t imgsz[2]; /* height, width; 0: unknown */
    int64_t stride;
    bool end_to_end, nms_inside;
};

static const struct literal *note_literal(const struct model *m, struct arena *a, const char *key)
{
    const char *text = model_note(m, key);
    const struct literal *l = NULL;

    if (!text || literal_read((struct slice){ text, strlen(text) }, a, &l, NULL) != ST_OK)
        return NULL;
    return l;
}

static enum status read_notes(const struct model *m, struct notes *n, struct fault *f)
{
    const struct literal *names, *args, *flag;
    int64_t size[2];
    size_t count = 0;
    enum status st;

    if (!(n->arena = arena_create(NOTES_MEMORY_BYTES)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (model_note(m, "names")) {
        if (!(names = note_literal(m, n->arena, "names")))
            return fault_set(f, ST_INVALID, "model",
                             "the metadata \"names\" is not a list of class names");
        if ((st = literal_names(names, n->arena, &n->names, &n->nnames, f)) != ST_OK)
            return st;
    }
    if (literal_ints(note_literal(m, n->arena, "imgsz"), size, 2, &count) && count > 0) {
        n->imgsz[0] = size[0];
        n->imgsz[1] = size[count - 1];
    }
    if (literal_ints(note_literal(m, n->arena, "stride"), size, 1, &count) && count == 1)
        n->stride = size[0];
    flag = note_literal(m, n->arena, "end2end");
    n->end_to_end = flag && flag->kind == LITERAL_BOOL && flag->boolean;
    args = note_literal(m, n->arena, "args");
    flag = literal_get(args, "nms");
    n->nms_inside = flag && flag->kind == LITERAL_BOOL && flag->boolean;
    return ST_OK;
}

/* One float32 picture of three planes? Otherwise a reason. */
static const struct value *picture_input(const struct graph *g, char *why, size_t size)
{
    const struct value *v = g->ninputs == 1 ? &g->tensors[g->inputs[0]].v : NULL;
    char shape[64];

    if (!v)
        snprintf(why, size, "it has %d inputs; this release runs models with one", g->ninputs);
    else if (v->type != DTYPE_F32 || v->rank != 4 || v->dims[0] > 1 ||
             (v->dims[1] != 3 && v->dims[1] != -1))
        snprintf(why, size, "its input (%s %s) is not one picture of three planes", dtype_name(v->type),
                 value_shape_text(v, shape, sizeof shape));
    else
        return v;
    return NULL;
}

enum status model_bind(const struct model *m, int height, int width, struct graph **ret, struct fault *f)
{
    struct graph *g = graph_clone(m->graph);
    const int64_t dims[4] = { 1, 3, height, width };
    enum status st;

    if (!g)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (int i = 0; i < 4; i++)
        if (g->tensors[g->inputs[0]].v.dims[i] == -1)
            g->tensors[g->inputs[0]].v.dims[i] = dims[i];
    if ((st = graph_infer(g, f)) != ST_OK) {
        graph_free(g);
        return st;
    }
    *ret = g;
    return ST_OK;
}

/* The side that the file fixes, else that of the metadata, else the usual one. */
static int side(int64_t fixed, int64_t noted)
{
    if (fixed > 0)
        return fixed <= LIMIT_MODEL_INPUT_PX ? (int)fixed : LIMIT_MODEL_INPUT_PX + 1;
    return noted > 0 && noted <= LIMIT_MODEL_INPUT_PX ? (int)noted : DEFAULT_SIDE;
}

static enum status bind_own_size(struct opened_model *o, const struct notes *n, struct fault *f)
{
    const struct value *in = picture_input(o->model->graph, o->card->why_not, sizeof o->card->why_not);

    if (!in)
        return ST_OK;
    o->dynamic = in->dims[2] == -1 && in->dims[3] == -1;
    o->height = side(in->dims[2], n->imgsz[0]);
    o->width = side(in->dims[3], n->imgsz[1]);
    o->stride = n->stride > 0 && n->stride <= 1024 ? (int)n->stride : DEFAULT_STRIDE;
    if (o->height > LIMIT_MODEL_INPUT_PX || o->width > LIMIT_MODEL_INPUT_PX)
        return fault_set(f, ST_TOO_LARGE, "model", "the model's input is larger than %d pixels a side",
                         LIMIT_MODEL_INPUT_PX);
    o->card->input_height = o->dynamic && !n->imgsz[0] ? 0 : o->height;
    o->card->input_width = o->dynamic && !n->imgsz[1] ? 0 : o->width;
    return model_bind(o->model, o->height, o->width, &o->bound, f);
}

/* Copies printable ASCII up to the end of a word. */
static void copy_word(const char *s, bool to_space, char *ret, size_t size)
{
    char text[64];
    size_t n;

    text_printable(s ? s : "", text, sizeof text);
    n = to_space ? strcspn(text, " ") : strlen(text);
    snprintf(ret, size, "%.*s", (int)n, text);
}

/* "Ultralytics YOLOv8n model trained on ..." names the architecture second. */
static void read_origin(const struct model *m, struct model_card *c)
{
    const char *description = model_note(m, "description"), *version = model_note(m, "version");
    static const char vendor[] = "Ultralytics ";

    if (description && strncmp(description, vendor, sizeof vendor - 1) == 0)
        copy_word(description + sizeof vendor - 1, true, c->architecture, sizeof c->architecture);
    else
        copy_word(m->producer, false, c->architecture, sizeof c->architecture);
    copy_word(version ? version : m->producer_version, false, c->version, sizeof c->version);
}

static const struct value *output(const struct graph *g, int i)
{
    return i < g->noutputs ? &g->tensors[g->outputs[i]].v : NULL;
}

/* By the metadata, else by shapes: [1, n] classifies, mask prototypes at a quarter of the input segment.
 */
static void find_task(const struct opened_model *o, struct model_card *c)
{
    const char *named = model_note(o->model, "task");
    const struct value *first = o->bound ? output(o->bound, 0) : NULL,
                       *second = o->bound ? output(o->bound, 1) : NULL;

    for (int t = 0; named && t < TASK__COUNT; t++)
        if (strcmp(named, task_names[t]) == 0) {
            c->task = (enum model_task)t;
            c->task_known = true;
        }
    if (named || !first)
        return;
    c->task_known = true;
    if (first->rank == 2 && first->dims[0] == 1)
        c->task = TASK_CLASSIFY;
    else if (first->rank == 3 && second && second->rank == 4 && second->dims[2] * 4 == o->height &&
             second->dims[3] * 4 == o->width)
        c->task = TASK_SEGMENT;
    else if (first->rank == 3)
        c->task = TASK_DETECT;
    else
        c->task_known = false;
}

static enum status copy_names(const struct notes *n, size_t nclasses, struct model_card *c,
                              struct fault *f)
{
    const bool coco = n->nnames == 0 && nclasses == COCO_CLASSES && c->task == TASK_DETECT;
    char fallback[24];

    if (nclasses > LIMIT_MODEL_CLASSES)
        return fault_set(f, ST_TOO_LARGE, "model", "the model has more than %d classes",
                         LIMIT_MODEL_CLASSES);
    if (nclasses && !(c->class_names = calloc(nclasses, sizeof *c->class_names)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (size_t i = 0; i < nclasses; i++) {
        snprintf(fallback, sizeof fallback, "class%zu", i);
        if (!(c->class_names[i] = strdup(i < n->nnames ? n->names[i] : coco ? coco_names[i] : fallback)))
            return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        c->nclasses = (int)i + 1;
    }
    return ST_OK;
}

/* Sets card->runnable, or why_not. */
static void judge(struct opened_model *o, const struct notes *n)
{
    struct model_card *c = o->card;
    struct head head;

    if (!o->bound)
        return; /* why_not says what is wrong with the input */
    if (!c->task_known) {
        snprintf(c->why_not, sizeof c->why_not, "its task is not known");
    } else if (c->task != TASK_DETECT) {
        snprintf(c->why_not, sizeof c->why_not, "its task is %s; this release runs detectors",
                 model_task_name(c->task));
    } else {
        head = head_detect(output(o->bound, 0), n->nnames, n->end_to_end || n->nms_inside, c->why_not,
                           sizeof c->why_not);
        c->runnable = head.kind != HEAD_NONE;
        o->head = head;
    }
}

static size_t count_classes(const struct opened_model *o, const struct notes *n)
{
    const struct value *first = o->bound ? output(o->bound, 0) : NULL;

    if (n->nnames)
        return n->nnames;
    if (o->card->task_known && o->card->task == TASK_CLASSIFY && first)
        return (size_t)first->dims[1];
    return o->head.nclasses;
}

enum status opened_model_read_as(const void *bytes, size_t n, enum onnx_weights weights,
                                 struct opened_model *ret, struct fault *f)
{
    struct opened_model o = { .card = calloc(1, sizeof *o.card) };
    struct notes notes = { 0 };
    enum status st;

    if (!o.card)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = onnx_read_as(bytes, n, weights, &o.model, f)) != ST_OK ||
        (st = graph_verify(o.model->graph, f)) != ST_OK ||
        (st = read_notes(o.model, &notes, f)) != ST_OK || (st = bind_own_size(&o, &notes, f)) != ST_OK)
        goto out;
    o.card->format = MODEL_ONNX;
    o.card->parameters = o.model->parameters;
    read_origin(o.model, o.card);
    find_task(&o, o.card);
    judge(&o, &notes);
    st = copy_names(&notes, count_classes(&o, &notes), o.card, f);
out:
    arena_free(notes.arena);
    if (st == ST_OK)
        *ret = o;
    else
        opened_model_free(&o);
    return st;
}

enum status opened_model_read(const void *bytes, size_t n, struct opened_model *ret, struct fault *f)
{
    return opened_model_read_as(bytes, n, ONNX_WEIGHTS_COPIED, ret, f);
}

void opened_model_free(struct opened_model *o)
{
    graph_free(o->bound);
    model_free(o->model);
    model_card_free(o->card);
    *o = (struct opened_model){ 0 };
}

enum status model_card_read(const void *bytes, size_t n, struct model_card **ret, struct fault *f)
{
    struct opened_model o;
    enum status st;

    if (n >= 4 && memcmp(bytes, "PK\3\4", 4) == 0)
        return pt_card_read(bytes, n, ret, f);
    if ((st = opened_model_read_as(bytes, n, ONNX_WEIGHTS_OUTLINED, &o, f)) != ST_OK)
        return st;
    *ret = o.card;
    o.card = NULL;
    opened_model_free(&o);
    return ST_OK;
}
