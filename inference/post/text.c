/*
 * DBNet text detectors (as in PP-OCR): one map [1, 1, h, w] of the probability that a pixel belongs to
 * the shrunken middle of a line of text. Spots above 0.3 become the least rectangle around them, widened
 * by as much as the training shrank it: by area * 1.5 / perimeter on each side. The score is the mean
 * probability of the spot. Source: Liao et al., "Real-time Scene Text Detection with Differentiable
 * Binarization", AAAI 2020.
 */
#include <stdlib.h>
#include "base/limits.h"
#include "inference/post/family.h"
#include "inference/post/region.h"

static const float inside = 0.3f, widening = 1.5f, least_side = 3;
static const char *const text_labels[] = { "text", NULL };

static bool recognise(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;

    ret->task = TASK_OBB;
    ret->nclasses = 1;
    ret->n = fact_is(f, 0, 4) ? (size_t)(v->dims[2] * v->dims[3]) : 0;
    return f->noutputs == 1 && ret->n && v->dims[1] == 1 && v->dims[2] == f->input_height &&
           v->dims[3] == f->input_width && !f->task_known;
}

/* The outer corners of the first and last pixel of each row of the region. */
static size_t edge_points(const struct bitmap *b, const struct region *r, struct point *ret)
{
    size_t n = 0;

    for (int y = r->y0; y < r->y1; y++) {
        const uint8_t *row = b->bits + (size_t)y * (size_t)b->width;
        int x0 = r->x0, x1 = r->x1;
        while (x0 < r->x1 && row[x0] != r->mark)
            x0++;
        while (x1 > x0 && row[x1 - 1] != r->mark)
            x1--;
        for (int k = 0; k < 4; k++)
            ret[n++] = (struct point){ (float)(k & 1 ? x1 : x0), (float)(y + (k >> 1)) };
    }
    return n;
}

static float mean_probability(const float *map, const struct bitmap *b, const struct region *r)
{
    double sum = 0;

    for (int y = r->y0; y < r->y1; y++)
        for (int x = r->x0; x < r->x1; x++) {
            const size_t at = (size_t)y * (size_t)b->width + (size_t)x;
            sum += b->bits[at] == r->mark ? (double)map[at] : 0;
        }
    return (float)(sum / (double)r->area);
}

static void add_region(const float *map, const struct bitmap *b, const struct region *r, float conf,
                       struct point *points, struct candidates *ret)
{
    const float score = mean_probability(map, b, r);
    struct rotated_box box;
    struct candidate c;
    float wider;

    if (!(score > conf))
        return;
    if (!points_rectangle(points, edge_points(b, r, points), &box)) {
        ret->failed = true;
        return;
    }
    if (box.width < least_side || box.height < least_side)
        return;
    wider = box.width * box.height * widening / (box.width + box.height); /* both sides together */
    c = candidate_centred(box.x, box.y, box.width + wider, box.height + wider);
    c.angle = box.angle;
    c.score = score;
    candidates_add(ret, c);
}

static void decode(const struct head *h, const struct value out[], float conf, struct candidates *ret)
{
    const float *map = out[0].data;
    struct bitmap b = { h->input_width, h->input_height, calloc(h->n, 1) };
    int *stack = calloc(region_stack(&b), sizeof *stack), at = 0;
    struct point *points = calloc((size_t)h->input_height * 4 + 1, sizeof *points);
    struct region r;

    ret->failed = !b.bits || !stack || !points;
    for (size_t i = 0; !ret->failed && i < h->n; i++)
        b.bits[i] = map[i] > inside;
    for (int k = 0; !ret->failed && k < LIMIT_TEXT_REGIONS && region_next(&b, &at, 2, stack, &r); k++) {
        add_region(map, &b, &r, conf, points, ret);
        region_erase(&b, &r);
    }
    free(b.bits);
    free(stack);
    free(points);
}

const struct family family_dbnet = {
    .name = "dbnet",
    .suppression = SUPPRESS_NONE,
    .preprocess = &preprocess_imagenet_fit,
    .labels = text_labels,
    .recognise = recognise,
    .decode = decode,
};
