/*
 * Heads that score "something is here" apart from "it is a ...": YOLOv5 and v7 ("yolov5": three anchor
 * shapes in each cell), YOLOv6 (one). [1, n, columns] with a row of centre x, centre y, width, height
 * in input pixels, objectness, a score for each class, then mask coefficients. The score is the product.
 */
#include "inference/post/family.h"
#include "inference/post/table.h"

enum { OBJECTNESS = 4, CLASSES = 5, ANCHORS_PER_CELL = 3 };

static const int strides[] = { 8, 16, 32, 64 };

/* Cells of three scales, or of four. */
static bool has_cells(struct head *h, size_t n, size_t each)
{
    return n == each * head_grid(h, strides, 3) || n == each * head_grid(h, strides, 4);
}

static bool is_table(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;
    size_t extra, columns;

    if (!fact_is(f, 0, 3))
        return false;
    columns = (size_t)v->dims[2];
    if (!table_task(f, f->nclasses ? CLASSES + f->nclasses : 0, columns, ret, &extra) ||
        columns <= CLASSES + extra || (f->nclasses && columns != CLASSES + f->nclasses + extra))
        return false;
    table_layout(v, true, ret);
    ret->nclasses = columns - CLASSES - extra;
    ret->extra_at = CLASSES + ret->nclasses;
    return true;
}

/* With class names in the file the columns tell; without, the number of rows has to. */
static bool recognise_yolov5(const struct head_facts *f, struct head *ret)
{
    return is_table(f, ret) && (f->nclasses || has_cells(ret, ret->n, ANCHORS_PER_CELL));
}

/* 84 columns without names are 80 classes and no objectness, turned: family "yolov8". */
static bool recognise_yolov6(const struct head_facts *f, struct head *ret)
{
    return is_table(f, ret) && !f->focus && has_cells(ret, ret->n, 1) &&
           (f->nclasses || ret->nclasses != 79);
}

static void add_row(const struct head *h, const float *r, size_t i, float conf, struct candidates *ret)
{
    float best = conf;
    int label = -1;
    struct candidate c;

    for (size_t k = 0; k < h->nclasses; k++) {
        const float score = r[OBJECTNESS] * r[CLASSES + k];
        if (score > best) {
            best = score;
            label = (int)k;
        }
    }
    if (label < 0)
        return;
    c = candidate_centred(r[0], r[1], r[2], r[3]);
    c.label = label;
    c.score = best;
    c.row = (uint32_t)i;
    candidates_add(ret, c);
}

static void decode(const struct head *h, const struct value out[], float conf, struct candidates *ret)
{
    for (size_t i = 0; i < h->n; i++) {
        const float *r = (const float *)out[0].data + i * h->row;
        if (r[OBJECTNESS] > conf) /* no class scores above 1 */
            add_row(h, r, i, conf, ret);
    }
}

const struct family family_yolov5 = {
    .name = "yolov5",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_yolo,
    .recognise = recognise_yolov5,
    .decode = decode,
};

const struct family family_yolov6 = {
    .name = "yolov6",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_yolo,
    .recognise = recognise_yolov6,
    .decode = decode,
};
