/* Heads of detectors: see head.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "inference/post/head.h"

enum { ROWS_MAX = 1000, ROW = 6, BOX = 4 };

struct head head_detect(const struct value *output, size_t nclasses, bool end_to_end, char *why,
                        size_t size)
{
    const size_t a = output->rank == 3 ? (size_t)output->dims[1] : 0,
                 b = output->rank == 3 ? (size_t)output->dims[2] : 0;
    const struct head none = { .kind = HEAD_NONE };
    char shape[64];

    if (a == 0 || b == 0 || output->dims[0] != 1 || output->type != DTYPE_F32) {
        snprintf(why, size, "its output (%s) is not that of a detector this release can read",
                 value_shape_text(output, shape, sizeof shape));
        return none;
    }
    if (b == ROW && a <= ROWS_MAX && (end_to_end || nclasses != ROW - BOX))
        return (struct head){ .kind = HEAD_ROWS, .nclasses = nclasses, .n = a };
    if (nclasses ? a == BOX + nclasses : a > BOX && b > a)
        return (struct head){ .kind = HEAD_ANCHORS, .nclasses = a - BOX, .n = b };
    if (nclasses && b == BOX + nclasses)
        return (struct head){ .kind = HEAD_ANCHORS, .by_anchor = true, .nclasses = nclasses, .n = a };
    if (nclasses && b == BOX + 1 + nclasses)
        snprintf(
            why, size,
            "its output (%s) has an objectness column (YOLOv5 style), which this release cannot decode",
            value_shape_text(output, shape, sizeof shape));
    else if (nclasses)
        snprintf(why, size, "its output (%s) does not fit its %zu class names",
                 value_shape_text(output, shape, sizeof shape), nclasses);
    else
        snprintf(why, size, "its output (%s) is not that of a detector this release can read",
                 value_shape_text(output, shape, sizeof shape));
    return none;
}

static bool finite_box(const struct detection *d)
{
    return isfinite(d->x0) && isfinite(d->y0) && isfinite(d->x1) && isfinite(d->y1);
}

/* Element k of anchor i. */
static float element(const struct head *h, const float *output, size_t k, size_t i)
{
    return h->by_anchor ? output[i * (BOX + h->nclasses) + k] : output[k * h->n + i];
}

static struct detection anchor_box(const struct head *h, const float *output, size_t i)
{
    const float x = element(h, output, 0, i), y = element(h, output, 1, i);
    const float w = fabsf(element(h, output, 2, i)) / 2, t = fabsf(element(h, output, 3, i)) / 2;

    return (struct detection){ .x0 = x - w, .y0 = y - t, .x1 = x + w, .y1 = y + t };
}

static size_t from_anchors(const struct head *h, const float *output, float conf, struct detection *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++) {
        struct detection d;
        float best = conf;
        int label = -1;
        for (size_t c = 0; c < h->nclasses; c++) {
            const float score = element(h, output, BOX + c, i);
            if (score > best) {
                best = score;
                label = (int)c;
            }
        }
        if (label < 0)
            continue;
        d = anchor_box(h, output, i);
        d.score = best > 1 ? 1 : best;
        d.label = label;
        if (finite_box(&d))
            ret[n++] = d;
    }
    return n;
}

static size_t from_rows(const struct head *h, const float *output, float conf, struct detection *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < h->n; i++) {
        const float *r = output + i * ROW;
        const struct detection d = { .x0 = fminf(r[0], r[2]),
                                     .y0 = fminf(r[1], r[3]),
                                     .x1 = fmaxf(r[0], r[2]),
                                     .y1 = fmaxf(r[1], r[3]),
                                     .score = r[4] > 1 ? 1 : r[4],
                                     .label = r[5] >= 0 && r[5] < LIMIT_MODEL_CLASSES ? (int)r[5] : -1 };
        if (r[4] > conf && finite_box(&d) && d.label >= 0 &&
            (h->nclasses == 0 || d.label < (int)h->nclasses))
            ret[n++] = d;
    }
    return n;
}

size_t head_candidates(const struct head *h, const float *output, float conf, struct detection *ret)
{
    return h->kind == HEAD_ROWS ? from_rows(h, output, conf, ret) : from_anchors(h, output, conf, ret);
}
