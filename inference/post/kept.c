/*
 * Outputs of networks that suppress by themselves, beside the rows of Ultralytics (rows.c): as many rows
 * as a run keeps, so that shapes are upper bounds at load (graph/late.h).
 *
 * "kept-rows": one matrix [n, 6] of x0, y0, x1, y1 and score and class, or [n, 7] with the image in
 * front; YOLOv7 and YOLO-NAS differ in which of the two comes first, and the graph tells: a class was an
 * integer. "kept-parts": boxes [n, 4] or [1, n, 4], scores and classes of n elements, and perhaps how
 * many of them count: torchvision, YOLO-NAS by batches, TensorRT's names. "rtdetr-parts": the same of as
 * many rows as there are queries, of networks that see the picture stretched and ask for its size:
 * RT-DETR's own exports, and those of its descendants.
 *
 * Boxes are in pixels of the input, or in parts of it where no coordinate is above 2.
 */
#include <math.h>
#include <string.h>
#include <strings.h>
#include "inference/post/family.h"

enum { BOX = 4, WITH_IMAGE = 7 };
static const float PARTS_MOST = 2;

/* What coordinates are to be multiplied with, along x and y. */
struct scale {
    float x, y;
};

/* boxes[n], `step` numbers apart. */
static struct scale scale_of(const struct head *h, const float *boxes, size_t n, size_t step)
{
    float most = 0;

    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < BOX; k++)
            most = fmaxf(most, boxes[i * step + k]);
    return most > PARTS_MOST || most == 0
               ? (struct scale){ 1, 1 }
               : (struct scale){ (float)h->input_width, (float)h->input_height };
}

static void add_box(const struct head *h, const float *b, struct scale s, double class, float score,
                    float conf, size_t row, struct candidates *ret)
{
    if (!(score > conf) || !(class >= 0) ||
        !(class < (h->nclasses ? (double)h->nclasses : (double)LIMIT_MODEL_CLASSES)))
        return;
    for (int k = 0; k < BOX; k++)
        if (!isfinite(b[k]))
            return;
    candidates_add(ret, (struct candidate){ .label = (int)class,
                                            .score = score,
                                            .x0 = fminf(b[0], b[2]) * s.x,
                                            .y0 = fminf(b[1], b[3]) * s.y,
                                            .x1 = fmaxf(b[0], b[2]) * s.x,
                                            .y1 = fmaxf(b[1], b[3]) * s.y,
                                            .row = (uint32_t)row });
}

/* ---- one matrix ---- */

static bool recognise_rows(const struct head_facts *f, struct head *ret)
{
    const struct output_fact *o = &f->outputs[0];
    const size_t first = o->v.rank == 2 && o->v.dims[1] == WITH_IMAGE ? 1 : 0;

    if (f->noutputs != 1 || !o->late || o->v.type != DTYPE_F32 || o->v.rank != 2 || o->v.dims[0] < 1 ||
        (o->v.dims[1] != BOX + 2 && o->v.dims[1] != WITH_IMAGE) ||
        (f->task_known && f->task != TASK_DETECT))
        return false;
    ret->task = TASK_DETECT;
    ret->nclasses = f->nclasses;
    ret->n = (size_t)o->v.dims[0];
    ret->row = (size_t)o->v.dims[1];
    ret->extra_at = first + BOX; /* score and class */
    ret->class_first = o->integers >> ret->extra_at & 1;
    return true;
}

static void decode_rows(const struct head *h, const struct value out[], float conf,
                        struct candidates *ret)
{
    const bool fits = out[0].dims[1] == (int64_t)h->row;
    const size_t n = fits ? (size_t)out[0].dims[0] : 0, first = h->extra_at - BOX;
    const float *table = out[0].data;
    const struct scale s = scale_of(h, table + first, n, h->row);

    for (size_t i = 0; i < n; i++) {
        const float *r = table + i * h->row, *two = r + h->extra_at;
        add_box(h, r + first, s, (double)two[!h->class_first], two[h->class_first], conf, i, ret);
    }
}

/* ---- boxes, scores, classes ---- */

static bool name_has(const char *name, const char *word)
{
    const size_t n = strlen(word);

    for (; name && *name; name++)
        if (strncasecmp(name, word, n) == 0)
            return true;
    return false;
}

/* Boxes [n, 4] or [1, n, 4]; 0: something else. */
static size_t boxes_of(const struct value *v)
{
    const bool fits = v->type == DTYPE_F32 && (v->rank == 2 || (v->rank == 3 && v->dims[0] == 1)) &&
                      v->dims[v->rank - 1] == BOX && v->dims[v->rank - 2] > 1;

    return fits ? (size_t)v->dims[v->rank - 2] : 0;
}

/* Which of boxes, scores, classes and count the output is, as a place in the level. */
static int *role_of(const struct output_fact *o, size_t n, struct level *l)
{
    const size_t elements = value_elements(&o->v);
    const bool class = name_has(o->name, "class") || name_has(o->name, "label");

    if (boxes_of(&o->v) == n)
        return &l->boxes;
    if (elements == 1)
        return &l->points;
    if (elements != n)
        return NULL;
    return o->v.type == DTYPE_I64 || class ? &l->objectness : o->v.type == DTYPE_F32 ? &l->scores : NULL;
}

/* The level's `objectness` is the output with the classes, `points` that with the count, or -1. */
static bool recognise_parts(const struct head_facts *f, struct head *ret)
{
    struct level *l = &ret->levels[0];
    size_t boxes = 0;
    bool late = false;

    *l = (struct level){ .boxes = -1, .scores = -1, .objectness = -1, .points = -1 };
    if (f->noutputs < 3 || f->noutputs > 4 || (f->task_known && f->task != TASK_DETECT))
        return false;
    while (boxes < f->noutputs && !boxes_of(&f->outputs[boxes].v))
        boxes++;
    if (boxes == f->noutputs)
        return false;
    ret->n = boxes_of(&f->outputs[boxes].v);
    for (size_t i = 0; i < f->noutputs; i++) {
        int *role = role_of(&f->outputs[i], ret->n, l);
        if (!role || *role >= 0)
            return false;
        *role = (int)i;
        late |= f->outputs[i].late;
    }
    ret->task = TASK_DETECT;
    ret->nclasses = f->nclasses;
    return l->boxes >= 0 && l->scores >= 0 && l->objectness >= 0 &&
           (late || f->outputs[l->objectness].v.type == DTYPE_I64);
}

static bool recognise_sized_parts(const struct head_facts *f, struct head *ret)
{
    return f->sized && recognise_parts(f, ret);
}

static void decode_parts(const struct head *h, const struct value out[], float conf,
                         struct candidates *ret)
{
    const struct level *l = &h->levels[0];
    const struct value *boxes = &out[l->boxes], *scores = &out[l->scores],
                       *classes = &out[l->objectness];
    size_t n = value_elements(boxes) / BOX;
    struct scale s;

    n = value_elements(scores) < n ? value_elements(scores) : n;
    n = value_elements(classes) < n ? value_elements(classes) : n;
    if (l->points >= 0 && value_elements(&out[l->points]) == 1) {
        const int64_t count = value_get_i64(&out[l->points], 0);
        n = count < 0 ? 0 : (uint64_t)count < n ? (size_t)count : n;
    }
    s = scale_of(h, boxes->data, n, BOX);
    for (size_t i = 0; i < n; i++)
        add_box(h, (const float *)boxes->data + i * BOX, s, value_get_f64(classes, i),
                value_f32(scores)[i], conf, i, ret);
}

const struct family family_kept_rows = {
    .name = "kept-rows",
    .suppression = SUPPRESS_NONE,
    .preprocess = &preprocess_yolo,
    .variable = true,
    .recognise = recognise_rows,
    .decode = decode_rows,
};

const struct family family_kept_parts = {
    .name = "kept-parts",
    .suppression = SUPPRESS_NONE,
    .preprocess = &preprocess_yolo,
    .variable = true,
    .recognise = recognise_parts,
    .decode = decode_parts,
};

const struct family family_rtdetr_parts = {
    .name = "rtdetr-parts",
    .suppression = SUPPRESS_NONE,
    .preprocess = &preprocess_stretched,
    .variable = true,
    .recognise = recognise_sized_parts,
    .decode = decode_parts,
};
