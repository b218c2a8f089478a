/*
 * Heads that are one table of finished boxes with a score for each class: YOLOv8, v9, 11, 12
 * ("yolov8") and RT-DETR. A row: centre x, centre y, width, height, a score for each class, then mask
 * coefficients, key points or the angle of a rotated box. Detectors of the YOLO family write rows side
 * by side [1, row, anchors], some tools turn them [1, anchors, row].
 */
#include <stdlib.h>
#include "inference/post/family.h"
#include "inference/post/table.h"

enum { BOX = 4, LANES = 16, RTDETR_QUERIES = 300 };

/* The output that holds mask prototypes, or -1. */
static int find_prototypes(const struct head_facts *f)
{
    for (size_t i = 1; i < f->noutputs; i++)
        if (fact_is(f, i, 4))
            return (int)i;
    return -1;
}

bool table_task(const struct head_facts *f, size_t before, size_t columns, struct head *ret,
                size_t *ret_extra)
{
    const int prototypes = find_prototypes(f);
    size_t extra = 0;

    ret->task = f->task_known ? f->task : prototypes > 0 ? TASK_SEGMENT : TASK_DETECT;
    if (ret->task == TASK_CLASSIFY)
        return false;
    if (ret->task == TASK_SEGMENT) {
        if (prototypes < 0)
            return false;
        ret->prototypes = prototypes;
        ret->nmasks = extra = (size_t)f->outputs[prototypes].v.dims[1];
    } else if (ret->task == TASK_POSE) {
        ret->keypoint_dims = f->keypoints ? (size_t)f->keypoint_dims : 3;
        extra = f->keypoints                 ? (size_t)f->keypoints * ret->keypoint_dims
                : before && columns > before ? columns - before
                                             : 0;
        if (extra == 0 || ret->keypoint_dims < 2 || extra % ret->keypoint_dims != 0)
            return false;
        ret->nkeypoints = extra / ret->keypoint_dims;
    } else if (ret->task == TASK_OBB) {
        extra = 1;
    }
    *ret_extra = extra;
    return true;
}

void table_layout(const struct value *v, bool by_row, struct head *ret)
{
    ret->n = (size_t)v->dims[by_row ? 1 : 2];
    ret->row = by_row ? (size_t)v->dims[2] : 1;
    ret->column = by_row ? 1 : (size_t)v->dims[2];
}

/* Whether a side of so many columns is such a row; nclasses of the file, or what is left. */
static bool is_row(const struct head_facts *f, size_t columns, struct head *ret)
{
    size_t extra;

    if (!table_task(f, f->nclasses ? BOX + f->nclasses : 0, columns, ret, &extra) ||
        columns <= BOX + extra || (f->nclasses && columns != BOX + f->nclasses + extra))
        return false;
    ret->nclasses = columns - BOX - extra;
    ret->extra_at = BOX + ret->nclasses;
    return true;
}

/*
 * Whether neighbouring scales have so many cells in all. Without class names nothing else tells
 * detectors from other networks with one table, such as readers of text.
 */
static bool is_grid(const struct head_facts *f, size_t rows)
{
    static const int strides[] = { 4, 8, 16, 32, 64 };
    enum { N = sizeof strides / sizeof strides[0] };

    for (int first = 0; first < N; first++)
        for (int n = 1; first + n <= N; n++) {
            struct head h = { .input_width = f->input_width, .input_height = f->input_height };
            if (head_grid(&h, strides + first, n) == rows)
                return true;
        }
    return false;
}

static bool recognise_yolov8(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;

    for (int by_row = 0; by_row < 2; by_row++) {
        const size_t columns = (size_t)v->dims[1 + by_row], rows = (size_t)v->dims[2 - by_row];
        if (fact_is(f, 0, 3) && (f->nclasses || is_grid(f, rows)) && is_row(f, columns, ret)) {
            table_layout(v, by_row, ret);
            return true;
        }
    }
    return false;
}

/* As the Ultralytics package writes it; the authors' own export is in kept.c. */
static bool recognise_rtdetr(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;

    if (!fact_is(f, 0, 3) || f->noutputs != 1 || v->dims[1] != RTDETR_QUERIES || !f->nclasses ||
        !is_row(f, (size_t)v->dims[2], ret) || ret->task != TASK_DETECT)
        return false;
    table_layout(v, true, ret);
    return true;
}

/* The best class of a row above conf; ties: the lower. False: none. */
static bool best_class(const struct head *h, const float *table, size_t i, float conf,
                       struct candidate *ret)
{
    ret->label = -1;
    ret->score = conf;
    for (size_t c = 0; c < h->nclasses; c++) {
        const float score = head_element(h, table, i, BOX + c);
        if (score > ret->score) {
            ret->score = score;
            ret->label = (int)c;
        }
    }
    return ret->label >= 0;
}

static void add_row(const struct head *h, const float *table, size_t i, float conf, float scale_x,
                    float scale_y, struct candidates *ret)
{
    struct candidate best, c;

    if (!best_class(h, table, i, conf, &best))
        return;
    c = candidate_centred(head_element(h, table, i, 0) * scale_x, head_element(h, table, i, 1) * scale_y,
                          head_element(h, table, i, 2) * scale_x,
                          head_element(h, table, i, 3) * scale_y);
    c.label = best.label;
    c.score = best.score;
    c.row = (uint32_t)i;
    c.angle = h->task == TASK_OBB ? head_element(h, table, i, h->extra_at) : 0;
    candidates_add(ret, c);
}

/* Whether one of LANES neighbouring rows has a score above conf: most have none, and this loop is what
 * decoding costs. */
static bool any_above(const struct head *h, const float *scores, float conf)
{
    float best[LANES];
    int above = 0;

    for (int k = 0; k < LANES; k++)
        best[k] = scores[k];
    for (size_t c = 1; c < h->nclasses; c++) {
        const float *s = scores + c * h->column;
        for (int k = 0; k < LANES; k++)
            best[k] = s[k] > best[k] ? s[k] : best[k];
    }
    for (int k = 0; k < LANES; k++)
        above |= !(best[k] <= conf); /* a NaN in the first class must not hide the others */
    return above;
}

static void decode_yolov8(const struct head *h, const struct value out[], float conf,
                          struct candidates *ret)
{
    const float *table = out[0].data;

    for (size_t i = 0; i < h->n; i += LANES) {
        const size_t end = i + LANES < h->n ? i + LANES : h->n;
        if (h->row == 1 && end - i == LANES && !any_above(h, table + BOX * h->column + i, conf))
            continue;
        for (size_t k = i; k < end; k++)
            add_row(h, table, k, conf, 1, 1, ret);
    }
}

/* Boxes in parts of the input; each query is a thing of its own. */
static void decode_rtdetr(const struct head *h, const struct value out[], float conf,
                          struct candidates *ret)
{
    for (size_t i = 0; i < h->n; i++)
        add_row(h, out[0].data, i, conf, (float)h->input_width, (float)h->input_height, ret);
}

const struct family family_yolov8 = {
    .name = "yolov8",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_yolo,
    .recognise = recognise_yolov8,
    .decode = decode_yolov8,
};

const struct family family_rtdetr = {
    .name = "rtdetr",
    .suppression = SUPPRESS_NONE,
    .preprocess = &preprocess_stretched,
    .recognise = recognise_rtdetr,
    .decode = decode_rtdetr,
};
