/* Non-maximum suppression: see nms.h. */
#include <math.h>
#include <stdlib.h>
#include "inference/post/nms.h"

struct ranked {
    struct detection d;
    size_t order;
};

static int better_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const float sx = isnan(x->d.score) ? -INFINITY : x->d.score,
                sy = isnan(y->d.score) ? -INFINITY : y->d.score;

    if (sx != sy)
        return sx < sy ? 1 : -1;
    return x->order < y->order ? -1 : x->order > y->order;
}

bool detections_sort(struct detection *d, size_t n)
{
    struct ranked *r = calloc(n + 1, sizeof *r);

    if (!r)
        return false;
    for (size_t i = 0; i < n; i++)
        r[i] = (struct ranked){ d[i], i };
    qsort(r, n, sizeof *r, better_first);
    for (size_t i = 0; i < n; i++)
        d[i] = r[i].d;
    free(r);
    return true;
}

static float area(const struct detection *d)
{
    return (d->x1 - d->x0) * (d->y1 - d->y0);
}

float detection_iou(const struct detection *a, const struct detection *b)
{
    const float w = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0),
                h = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0);
    const float both = w > 0 && h > 0 ? w * h : 0, either = area(a) + area(b) - both;

    return both > 0 && either > 0 ? both / either : 0;
}

size_t nms(struct detection *d, size_t n, float iou, size_t most)
{
    size_t kept = 0;

    for (size_t i = 0; i < n && kept < most; i++) {
        bool keep = true;
        for (size_t k = 0; keep && k < kept; k++)
            keep = d[k].label != d[i].label || !(detection_iou(&d[k], &d[i]) > iou);
        if (keep)
            d[kept++] = d[i];
    }
    return kept;
}
