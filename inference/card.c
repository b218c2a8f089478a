/*
 * Model cards: what a file says of itself in its metadata, where it has some, and what its shapes say.
 * See predictor.h and card.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inference/card.h"

#include "inference/coco_names.h"
#include "inference/notes.h"
#include "inference/picture.h"
#include "inference/pt/pt.h"

enum { DEFAULT_SIDE = 640, DEFAULT_STRIDE = 32 };

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

enum status model_bind(const struct model *m, int height, int width, struct graph **ret, struct fault *f)
{
    struct graph *g = graph_clone(m->graph);
    struct picture_layout layout = { 0 };
    char why[160];
    enum status st;

    if (!g)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (!picture_layout_read(g, &layout, why, sizeof why))
        st = fault_set(f, ST_UNSUPPORTED, "model", "the model cannot be run: %s", why);
    else if ((st = picture_bind(g, &layout, height, width, f)) == ST_OK)
        st = graph_infer(g, f);
    if (st != ST_OK) {
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
    struct picture_layout in = { 0 };

    if (!picture_layout_read(o->model->graph, &in, o->card->why_not, sizeof o->card->why_not))
        return ST_OK;
    o->dynamic = in.height == -1 && in.width == -1;
    o->height = side(in.height, n->height);
    o->width = side(in.width, n->width);
    o->planes = in.planes;
    o->bytes = in.bytes;
    o->sized = in.sized;
    o->stride = n->stride > 0 && n->stride <= 1024 ? (int)n->stride : DEFAULT_STRIDE;
    if (o->height > LIMIT_MODEL_INPUT_PX || o->width > LIMIT_MODEL_INPUT_PX)
        return fault_set(f, ST_TOO_LARGE, "model", "the model's input is larger than %d pixels a side",
                         LIMIT_MODEL_INPUT_PX);
    o->card->input_height = o->dynamic && !n->height ? 0 : o->height;
    o->card->input_width = o->dynamic && !n->width ? 0 : o->width;
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

/* What the metadata says for the head; what it does not say is left to the shapes. */
static void read_facts(struct opened_model *o, const struct notes *n)
{
    o->facts = (struct head_facts){
        .nclasses = n->nnames,
        .end_to_end = n->end_to_end,
        .keypoints = n->keypoints,
        .keypoint_dims = n->keypoint_dims,
        .from_yolo = n->from_yolo,
        .sized = o->sized,
    };
    for (int t = 0; n->task && t < TASK__COUNT; t++)
        if (strcmp(n->task, task_names[t]) == 0) {
            o->facts.task = (enum model_task)t;
            o->facts.task_known = true;
        }
}

static bool find_head(const struct opened_model *o, const struct graph *g, int height, int width,
                      const char *family, struct head *ret, char *why, size_t size)
{
    struct head_facts facts = o->facts;

    facts.input_height = height;
    facts.input_width = width;
    head_read_graph(g, &facts);
    return head_recognise(&facts, family, ret, why, size);
}

bool opened_model_head(const struct opened_model *o, const struct graph *g, int height, int width,
                       struct head *ret)
{
    char why[160];

    return find_head(o, g, height, width, head_name(&o->head), ret, why, sizeof why) &&
           ret->task == o->head.task && ret->nclasses == o->head.nclasses;
}

/* The family's, unless the file has its own scale of pixels, or takes them as they are. */
static void read_preprocess(struct opened_model *o, const struct notes *n)
{
    struct preprocess *p = &o->preprocess;

    *p = o->head.family ? *o->head.family->preprocess : preprocess_yolo;
    for (int c = 0; n->normalized && c < 3; c++) {
        const int from = p->bgr ? 2 - c : c;
        p->mean[c] = 255 * n->mean[from];
        p->scale[c] = 1 / (255 * n->deviation[from]);
    }
    for (int c = 0; o->bytes && c < 3; c++) {
        p->mean[c] = 0;
        p->scale[c] = 1;
    }
}

/* Head and task; sets card->runnable, or why_not. */
static void judge(struct opened_model *o, const struct notes *n, const char *family)
{
    struct model_card *c = o->card;

    c->task = o->facts.task;
    c->task_known = o->facts.task_known;
    if (!o->bound)
        return; /* why_not says what is wrong with the input */
    c->flops = 2 * o->bound->work;
    if (n->task && !o->facts.task_known)
        snprintf(c->why_not, sizeof c->why_not, "its task, %.32s, is not one that is answered here",
                 n->task);
    else
        c->runnable = find_head(o, o->bound, o->height, o->width, family ? family : n->family, &o->head,
                                c->why_not, sizeof c->why_not);
    if (c->runnable) {
        c->task = o->head.task;
        c->task_known = true;
    }
    snprintf(c->family, sizeof c->family, "%s", head_name(&o->head));
}

/* A class's name: from the file, else the family's, else COCO's for detectors of eighty, else "class7".
 */
static const char *class_name(const struct opened_model *o, const struct notes *n, size_t nclasses,
                              size_t i, char *text, size_t size)
{
    const char *const *labels = o->head.family ? o->head.family->labels : NULL;

    if (i < n->nnames)
        return n->names[i];
    if (labels && labels[0] && nclasses == 1)
        return labels[0];
    if (n->nnames == 0 && nclasses == COCO_CLASSES && o->head.task != TASK_CLASSIFY)
        return coco_names[i];
    snprintf(text, size, "class%zu", i);
    return text;
}

static enum status copy_names(const struct opened_model *o, const struct notes *n, struct fault *f)
{
    const size_t nclasses = n->nnames ? n->nnames : o->head.nclasses;
    struct model_card *c = o->card;
    char fallback[24];

    if (nclasses > LIMIT_MODEL_CLASSES)
        return fault_set(f, ST_TOO_LARGE, "model", "the model has more than %d classes",
                         LIMIT_MODEL_CLASSES);
    if (nclasses && !(c->class_names = calloc(nclasses, sizeof *c->class_names)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (size_t i = 0; i < nclasses; i++) {
        c->class_names[i] = strdup(class_name(o, n, nclasses, i, fallback, sizeof fallback));
        if (!c->class_names[i])
            return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        c->nclasses = (int)i + 1;
    }
    return ST_OK;
}

static enum status read_file(const void *bytes, size_t n, enum onnx_weights weights, struct model **ret,
                             struct fault *f)
{
    return pt_is_checkpoint(bytes, n) ? pt_read_as(bytes, n, weights, ret, f)
                                      : onnx_read_as(bytes, n, weights, ret, f);
}

enum status opened_model_read_as(const void *bytes, size_t n, enum onnx_weights weights,
                                 const char *family, struct opened_model *ret, struct fault *f)
{
    struct opened_model o = { .card = calloc(1, sizeof *o.card) };
    struct notes notes = { 0 };
    enum status st;

    if (!o.card)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = read_file(bytes, n, weights, &o.model, f)) != ST_OK ||
        (st = graph_verify(o.model->graph, f)) != ST_OK ||
        (st = notes_read(o.model, &notes, f)) != ST_OK || (st = bind_own_size(&o, &notes, f)) != ST_OK)
        goto out;
    o.card->format = pt_is_checkpoint(bytes, n) ? MODEL_PT : MODEL_ONNX;
    o.card->parameters = o.model->parameters;
    read_origin(o.model, o.card);
    read_facts(&o, &notes);
    judge(&o, &notes, family);
    read_preprocess(&o, &notes);
    st = copy_names(&o, &notes, f);
out:
    notes_free(&notes);
    if (st == ST_OK)
        *ret = o;
    else
        opened_model_free(&o);
    return st;
}

enum status opened_model_read(const void *bytes, size_t n, struct opened_model *ret, struct fault *f)
{
    return opened_model_read_as(bytes, n, ONNX_WEIGHTS_COPIED, NULL, ret, f);
}

void opened_model_free(struct opened_model *o)
{
    graph_free(o->bound);
    model_free(o->model);
    model_card_free(o->card);
    *o = (struct opened_model){ 0 };
}

/* A checkpoint with layers that this build has not is kept all the same: its card says which. */
static enum status read_unrunnable(const void *bytes, size_t n, struct fault *why,
                                   struct model_card **ret)
{
    struct fault f = FAULT_INIT;

    if (pt_card_read(bytes, n, ret, &f) != ST_OK)
        return ST_UNSUPPORTED;
    snprintf((*ret)->why_not, sizeof(*ret)->why_not, "%.*s", (int)sizeof(*ret)->why_not - 1,
             why->detail);
    return ST_OK;
}

enum status model_card_read(const void *bytes, size_t n, struct model_card **ret, struct fault *f)
{
    struct fault why = FAULT_INIT;
    struct opened_model o = { 0 };
    enum status st = opened_model_read_as(bytes, n, ONNX_WEIGHTS_OUTLINED, NULL, &o, &why);

    if (st == ST_UNSUPPORTED && pt_is_checkpoint(bytes, n))
        st = read_unrunnable(bytes, n, &why, ret);
    if (st != ST_OK && f)
        *f = why;
    if (st != ST_OK || !o.card)
        return st;
    *ret = o.card;
    o.card = NULL;
    opened_model_free(&o);
    return ST_OK;
}
