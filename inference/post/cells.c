/*
 * Heads whose numbers are relative to a cell.
 *
 * YOLOX: [1, cells, 5 + classes]; cell units: x, y from the cell's corner, logarithms of the sides, then
 * objectness and class scores between 0 and 1. Exports that finish the boxes in the graph hold
 * exponentials. Source: Ge et al., "YOLOX: Exceeding YOLO Series in 2021".
 *
 * FastestDet: [1, 5 + classes, h, w], one cell for every 16 pixels: objectness; tanh of the centre from
 * the cell's corner; logits of the sides in parts of the input; class probabilities. The score is
 * objectness^0.6 * class^0.4.
 */
#include <math.h>
#include "inference/post/family.h"
#include "inference/post/table.h"

enum { OBJECTNESS = 4, CLASSES = 5, FASTEST_STRIDE = 16 };

static const int strides[] = { 8, 16, 32, 64 };

/* ---- YOLOX ---- */

static bool recognise_yolox(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;

    if (!fact_is(f, 0, 3) || !f->focus || f->noutputs != 1 || v->dims[2] <= CLASSES ||
        (f->nclasses && (size_t)v->dims[2] != CLASSES + f->nclasses) ||
        (f->task_known && f->task != TASK_DETECT))
        return false;
    table_layout(v, true, ret);
    ret->nclasses = (size_t)v->dims[2] - CLASSES;
    ret->logits = !f->exponential; /* of the sides */
    return ret->n == head_grid(ret, strides, 3) || ret->n == head_grid(ret, strides, 4);
}

static struct candidate yolox_box(const struct head *h, const float *r, size_t i)
{
    int level = 0, x = 0, y = 0;
    float stride;

    if (!h->logits || !head_cell(h, i, &level, &x, &y))
        return candidate_centred(r[0], r[1], r[2], r[3]);
    stride = (float)h->levels[level].stride;
    return candidate_centred((r[0] + (float)x) * stride, (r[1] + (float)y) * stride, expf(r[2]) * stride,
                             expf(r[3]) * stride);
}

static void decode_yolox(const struct head *h, const struct value out[], float conf,
                         struct candidates *ret)
{
    for (size_t i = 0; i < h->n; i++) {
        const float *r = (const float *)out[0].data + i * h->row;
        float best = conf;
        int label = -1;
        struct candidate c;

        for (size_t k = 0; r[OBJECTNESS] > conf && k < h->nclasses; k++)
            if (r[OBJECTNESS] * r[CLASSES + k] > best) {
                best = r[OBJECTNESS] * r[CLASSES + k];
                label = (int)k;
            }
        if (label < 0)
            continue;
        c = yolox_box(h, r, i);
        c.label = label;
        c.score = best;
        candidates_add(ret, c);
    }
}

/* ---- FastestDet ---- */

static bool recognise_fastestdet(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;
    static const int stride = FASTEST_STRIDE;

    if (!fact_is(f, 0, 4) || f->noutputs != 1 || v->dims[1] <= CLASSES ||
        (f->nclasses && (size_t)v->dims[1] != CLASSES + f->nclasses))
        return false;
    ret->n = head_grid(ret, &stride, 1);
    ret->column = ret->n;
    ret->row = 1;
    ret->nclasses = (size_t)v->dims[1] - CLASSES;
    ret->task = TASK_DETECT;
    return v->dims[2] == ret->levels[0].height && v->dims[3] == ret->levels[0].width;
}

static struct candidate fastest_box(const struct head *h, const float *table, size_t i)
{
    const struct level *l = &h->levels[0];
    const size_t row = i / (size_t)l->width;
    const float x = (float)(i % (size_t)l->width), y = (float)row;
    const float cell_x = (float)h->input_width / (float)l->width,
                cell_y = (float)h->input_height / (float)l->height;

    return candidate_centred((tanhf(head_element(h, table, i, 1)) + x) * cell_x,
                             (tanhf(head_element(h, table, i, 2)) + y) * cell_y,
                             squash(head_element(h, table, i, 3)) * (float)h->input_width,
                             squash(head_element(h, table, i, 4)) * (float)h->input_height);
}

static void decode_fastestdet(const struct head *h, const struct value out[], float conf,
                              struct candidates *ret)
{
    const float *table = out[0].data;
    const float least = powf(conf, 1 / 0.6f); /* of the objectness, were the class certain */

    for (size_t i = 0; i < h->n; i++) {
        const float object = head_element(h, table, i, 0);
        float best = 0, score;
        int label = -1;
        struct candidate c;

        for (size_t k = 0; object > least && k < h->nclasses; k++)
            if (head_element(h, table, i, CLASSES + k) > best) {
                best = head_element(h, table, i, CLASSES + k);
                label = (int)k;
            }
        score = label < 0 ? 0 : powf(object, 0.6f) * powf(best, 0.4f);
        if (label < 0 || !(score > conf))
            continue;
        c = fastest_box(h, table, i);
        c.label = label;
        c.score = score;
        candidates_add(ret, c);
    }
}

const struct family family_yolox = {
    .name = "yolox",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_yolox,
    .recognise = recognise_yolox,
    .decode = decode_yolox,
};

const struct family family_fastestdet = {
    .name = "fastestdet",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_fastestdet,
    .recognise = recognise_fastestdet,
    .decode = decode_fastestdet,
};
