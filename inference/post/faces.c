/*
 * Face detectors, and boxes with scores beside them.
 *
 * YuNet: for each of the strides 8, 16, 32 scores [1, cells, 1] of "a face" and of "an object", boxes
 * [1, cells, 4] as in YOLOX and five points [1, cells, 10] from the cell's corner: eyes, nose, corners
 * of the mouth. The score is the root of the product. Source: Wu et al., "YuNet: A Tiny
 * Millisecond-level Face Detector", 2023.
 *
 * UltraFace and SSD-style: scores [1, n, classes] and corners [1, n, 4] in parts of the input. With a
 * softmax over the classes, class 0 is the background: it is left out and the others count from 0. An
 * UltraFace that ends in convolutions gives offsets from its prior boxes instead, in the usual SSD
 * coding. Source: Liu et al., "SSD: Single Shot MultiBox Detector", ECCV 2016.
 */
#include <math.h>
#include <string.h>
#include "inference/post/family.h"
#include "inference/post/table.h"

enum { YUNET_POINTS = 5 };

static const int strides[] = { 8, 16, 32 };
static const char *const face_labels[] = { "face", NULL };

/* ---- YuNet ---- */

/* The nth output of this many rows and columns, or -1. */
static int find_output(const struct head_facts *f, const struct level *l, int64_t columns, int nth)
{
    for (size_t i = 0; i < f->noutputs; i++) {
        const struct value *v = &f->outputs[i].v;
        if (fact_is(f, i, 3) && v->dims[1] == (int64_t)l->width * l->height && v->dims[2] == columns &&
            nth-- == 0)
            return (int)i;
    }
    return -1;
}

static bool recognise_yunet(const struct head_facts *f, struct head *ret)
{
    ret->n = head_grid(ret, strides, 3);
    if (f->noutputs != 12)
        return false;
    for (int i = 0; i < ret->nlevels; i++) {
        struct level *l = &ret->levels[i];
        l->scores = find_output(f, l, 1, 0);
        l->objectness = find_output(f, l, 1, 1); /* in whichever order: they are multiplied */
        l->boxes = find_output(f, l, 4, 0);
        l->points = find_output(f, l, 2 * YUNET_POINTS, 0);
        if (l->scores < 0 || l->objectness < 0 || l->boxes < 0 || l->points < 0)
            return false;
    }
    ret->task = TASK_POSE;
    ret->nclasses = 1;
    ret->nkeypoints = YUNET_POINTS;
    return true;
}

static float unit(float x)
{
    return x > 0 ? fminf(x, 1) : 0;
}

static void decode_yunet(const struct head *h, const struct value out[], float conf,
                         struct candidates *ret)
{
    for (size_t i = 0, row = 0; i < (size_t)h->nlevels; i++) {
        const struct level *l = &h->levels[i];
        const float *score = out[l->scores].data, *object = out[l->objectness].data;
        const float *box = out[l->boxes].data, stride = (float)l->stride;
        for (int k = 0; k < l->width * l->height; k++, row++, box += 4) {
            const float both = sqrtf(unit(score[k]) * unit(object[k]));
            const int x = k % l->width, y = k / l->width;
            struct candidate c;
            if (!(both > conf))
                continue;
            c = candidate_centred(((float)x + box[0]) * stride, ((float)y + box[1]) * stride,
                                  expf(box[2]) * stride, expf(box[3]) * stride);
            c.score = both;
            c.row = (uint32_t)row;
            candidates_add(ret, c);
        }
    }
}

static void yunet_keypoints(const struct head *h, const struct value out[], const struct candidate *c,
                            struct keypoint ret[])
{
    int level, x, y;
    const float *p;

    if (!head_cell(h, c->row, &level, &x, &y))
        return;
    p = out[h->levels[level].points].data;
    p += ((size_t)y * (size_t)h->levels[level].width + (size_t)x) * 2 * YUNET_POINTS;
    for (int k = 0; k < YUNET_POINTS; k++)
        ret[k] = (struct keypoint){ (p[2 * k] + (float)x) * (float)h->levels[level].stride,
                                    (p[2 * k + 1] + (float)y) * (float)h->levels[level].stride, 1 };
}

/* ---- boxes and scores ---- */

/* Sides of UltraFace's square priors by stride, in pixels; 0: no more. */
static const int prior_strides[] = { 8, 16, 32, 64 };
static const float prior_sides[][3] = { { 10, 16, 24 }, { 32, 48 }, { 64, 96 }, { 128, 192, 256 } };
enum { PRIOR_LEVELS = 4, PRIORS_MAX = 3 };

static size_t priors_of(int level)
{
    size_t n = 0;

    while (n < PRIORS_MAX && prior_sides[level][n] > 0)
        n++;
    return n;
}

static size_t count_priors(struct head *h)
{
    size_t n = 0;

    head_grid(h, prior_strides, PRIOR_LEVELS);
    for (int i = 0; i < PRIOR_LEVELS; i++)
        n += (size_t)h->levels[i].width * (size_t)h->levels[i].height * priors_of(i);
    return n;
}

/* Sets all but levels; roles of the two outputs in level 0. */
static bool recognise_pair(const struct head_facts *f, struct head *ret, bool *ret_offsets)
{
    struct level *l = &ret->levels[0];
    const struct value *scores, *boxes;

    if (f->noutputs != 2 || !fact_is(f, 0, 3) || !fact_is(f, 1, 3))
        return false;
    l->boxes = f->outputs[1].v.dims[2] == 4 ? 1 : 0;
    l->scores = 1 - l->boxes;
    scores = &f->outputs[l->scores].v;
    boxes = &f->outputs[l->boxes].v;
    ret->background = strcmp(f->outputs[l->scores].made_by, "Softmax") == 0;
    ret->n = (size_t)boxes->dims[1];
    ret->nclasses = (size_t)scores->dims[2] - ret->background;
    ret->task = TASK_DETECT;
    *ret_offsets = strcmp(f->outputs[l->boxes].made_by, "Conv") == 0;
    return boxes->dims[2] == 4 && scores->dims[1] == boxes->dims[1] && ret->nclasses > 0 &&
           (!f->nclasses || f->nclasses == ret->nclasses);
}

static bool recognise_ssd(const struct head_facts *f, struct head *ret)
{
    bool offsets;

    return recognise_pair(f, ret, &offsets) && !offsets;
}

/* logits: the boxes are offsets from priors. */
static bool recognise_ultraface(const struct head_facts *f, struct head *ret)
{
    return recognise_pair(f, ret, &ret->logits) && ret->background && ret->nclasses == 1 &&
           (!ret->logits || count_priors(ret) == ret->n);
}

/* Corners in parts of the input to pixels. */
static struct candidate corner_box(const struct head *h, const float *box)
{
    const float w = (float)h->input_width, t = (float)h->input_height;

    return (struct candidate){ .x0 = fminf(box[0], box[2]) * w,
                               .y0 = fminf(box[1], box[3]) * t,
                               .x1 = fmaxf(box[0], box[2]) * w,
                               .y1 = fmaxf(box[1], box[3]) * t };
}

/* Prior i, moved and scaled: priors stand cell by cell, one after the other in each. */
static struct candidate prior_box(const struct head *h, const float *box, size_t i)
{
    for (int k = 0; k < h->nlevels; k++) {
        const struct level *l = &h->levels[k];
        const size_t each = priors_of(k), n = each * (size_t)l->width * (size_t)l->height;
        if (i < n) {
            const float side = prior_sides[k][i % each], stride = (float)l->stride;
            const size_t column = i / each % (size_t)l->width, row = i / each / (size_t)l->width;
            const float x = ((float)column + 0.5f) * stride, y = ((float)row + 0.5f) * stride;
            return candidate_centred(x + box[0] * 0.1f * side, y + box[1] * 0.1f * side,
                                     expf(box[2] * 0.2f) * side, expf(box[3] * 0.2f) * side);
        }
        i -= n;
    }
    return (struct candidate){ 0 };
}

static void decode_boxes(const struct head *h, const struct value out[], float conf,
                         struct candidates *ret)
{
    const size_t columns = h->nclasses + h->background;
    const float *scores = out[h->levels[0].scores].data, *box = out[h->levels[0].boxes].data;

    for (size_t i = 0; i < h->n; i++, scores += columns, box += 4) {
        struct candidate c;
        float best = conf;
        int label = -1;

        for (size_t k = h->background; k < columns; k++)
            if (scores[k] > best) {
                best = scores[k];
                label = (int)(k - h->background);
            }
        if (label < 0 || !(isfinite(box[0]) && isfinite(box[1]) && isfinite(box[2]) && isfinite(box[3])))
            continue;
        c = h->logits ? prior_box(h, box, i) : corner_box(h, box);
        c.label = label;
        c.score = best;
        candidates_add(ret, c);
    }
}

const struct family family_yunet = {
    .name = "yunet",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_yunet,
    .labels = face_labels,
    .recognise = recognise_yunet,
    .decode = decode_yunet,
    .keypoints = yunet_keypoints,
};

const struct family family_ultraface = {
    .name = "ultraface",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_ultraface,
    .labels = face_labels,
    .recognise = recognise_ultraface,
    .decode = decode_boxes,
};

const struct family family_ssd = {
    .name = "ssd",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_ultraface,
    .recognise = recognise_ssd,
    .decode = decode_boxes,
};
