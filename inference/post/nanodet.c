/*
 * NanoDet: class scores and, for each side of the box, a distribution over eight distances whose mean
 * counts, in units of the stride. The first version has two outputs for each of three strides,
 * [1, cells, classes] and [1, cells, 32], and measures from the cell's centre; NanoDet-Plus has one
 * table [1, cells, classes + 32] over four strides and measures from the cell's corner.
 * Source: Li et al., "Generalized Focal Loss", 2020, for the distribution.
 */
#include <math.h>
#include "inference/post/family.h"
#include "inference/post/table.h"

enum { BINS = 8, SIDES = 4, DISTANCES = BINS * SIDES };

static const int strides[] = { 8, 16, 32, 64 };

/* The output of `cells` rows and of `width` columns, or of any other than DISTANCES when width is 0. */
static int find_output(const struct head_facts *f, size_t cells, size_t width, int but)
{
    for (size_t i = 0; i < f->noutputs; i++) {
        const struct value *v = &f->outputs[i].v;
        if (fact_is(f, i, 3) && (int)i != but && (size_t)v->dims[1] == cells &&
            (width == 0 || (size_t)v->dims[2] == width))
            return (int)i;
    }
    return -1;
}

static bool is_squashed(const char *made_by)
{
    return made_by[0] == 'S'; /* Sigmoid or Softmax */
}

/* Scores stand before distances where both have 32 columns. */
static bool recognise_nanodet(const struct head_facts *f, struct head *ret)
{
    ret->n = head_grid(ret, strides, 3);
    if (f->noutputs != 6)
        return false;
    for (int i = 0; i < 3; i++) {
        struct level *l = &ret->levels[i];
        const size_t cells = (size_t)l->width * (size_t)l->height;
        const int first = find_output(f, cells, 0, -1);

        l->boxes = find_output(f, cells, DISTANCES, first);
        l->scores = first;
        if (l->boxes < 0) { /* the distances came first */
            l->boxes = find_output(f, cells, DISTANCES, -1);
            l->scores = find_output(f, cells, 0, l->boxes);
        }
        if (l->boxes < 0 || l->scores < 0)
            return false;
        ret->nclasses = (size_t)f->outputs[l->scores].v.dims[2];
        if ((size_t)f->outputs[ret->levels[0].scores].v.dims[2] != ret->nclasses)
            return false;
    }
    ret->logits = !is_squashed(f->outputs[ret->levels[0].scores].made_by);
    ret->task = TASK_DETECT;
    return !f->nclasses || f->nclasses == ret->nclasses;
}

static bool recognise_plus(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;

    if (!fact_is(f, 0, 3) || f->noutputs != 1 || v->dims[2] <= DISTANCES ||
        (f->nclasses && (size_t)v->dims[2] != DISTANCES + f->nclasses))
        return false;
    table_layout(v, true, ret);
    ret->nclasses = (size_t)v->dims[2] - DISTANCES;
    ret->logits = !is_squashed(f->outputs[0].made_by);
    ret->task = TASK_DETECT;
    return ret->n == head_grid(ret, strides, 4);
}

/* Mean of the distribution that the logits stand for. */
static float mean_distance(const float *logits)
{
    float most = logits[0], sum = 0, mean = 0;

    for (int k = 1; k < BINS; k++)
        most = fmaxf(most, logits[k]);
    for (int k = 0; k < BINS; k++) {
        const float e = expf(logits[k] - most);
        sum += e;
        mean += e * (float)k;
    }
    return mean / sum;
}

/* One cell: x, y in pixels. */
static void add_cell(const struct head *h, const float *scores, const float *distances, float x, float y,
                     float stride, float least, struct candidates *ret)
{
    float best = least, side[SIDES];
    int label = -1;

    for (size_t k = 0; k < h->nclasses; k++)
        if (scores[k] > best) {
            best = scores[k];
            label = (int)k;
        }
    if (label < 0)
        return;
    for (int k = 0; k < SIDES; k++)
        side[k] = mean_distance(distances + k * BINS) * stride;
    candidates_add(ret, (struct candidate){ .label = label,
                                            .score = h->logits ? squash(best) : best,
                                            .x0 = x - side[0],
                                            .y0 = y - side[1],
                                            .x1 = x + side[2],
                                            .y1 = y + side[3] });
}

static void decode_nanodet(const struct head *h, const struct value out[], float conf,
                           struct candidates *ret)
{
    const float least = h->logits ? unsquash(conf) : conf;

    for (int i = 0; i < h->nlevels; i++) {
        const struct level *l = &h->levels[i];
        const float *scores = out[l->scores].data, *distances = out[l->boxes].data;
        const float stride = (float)l->stride;
        for (int y = 0; y < l->height; y++)
            for (int x = 0; x < l->width; x++, scores += h->nclasses, distances += DISTANCES)
                add_cell(h, scores, distances, ((float)x + 0.5f) * stride, ((float)y + 0.5f) * stride,
                         stride, least, ret);
    }
}

static void decode_plus(const struct head *h, const struct value out[], float conf,
                        struct candidates *ret)
{
    const float least = h->logits ? unsquash(conf) : conf;
    const float *row = out[0].data;

    for (int i = 0; i < h->nlevels; i++) {
        const struct level *l = &h->levels[i];
        const float stride = (float)l->stride;
        for (int y = 0; y < l->height; y++)
            for (int x = 0; x < l->width; x++, row += h->row)
                add_cell(h, row, row + h->nclasses, (float)x * stride, (float)y * stride, stride, least,
                         ret);
    }
}

const struct family family_nanodet = {
    .name = "nanodet",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_nanodet,
    .recognise = recognise_nanodet,
    .decode = decode_nanodet,
};

const struct family family_nanodet_plus = {
    .name = "nanodet-plus",
    .suppression = SUPPRESS_GREEDY,
    .preprocess = &preprocess_nanodet,
    .recognise = recognise_plus,
    .decode = decode_plus,
};
