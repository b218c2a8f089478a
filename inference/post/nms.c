/* Non-maximum suppression of boxes along the axes: see nms.h. */
#include "inference/post/nms.h"

#include <math.h>

static float area(const struct candidate *c)
{
    return (c->x1 - c->x0) * (c->y1 - c->y0);
}

float candidate_iou(const struct candidate *a, const struct candidate *b)
{
    const float w = fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0),
                h = fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0);
    const float both = w > 0 && h > 0 ? w * h : 0, either = area(a) + area(b) - both;

    return both > 0 && either > 0 ? both / either : 0;
}

size_t nms(struct candidate *items, size_t n, float iou, bool agnostic, size_t most)
{
    size_t kept = 0;

    for (size_t i = 0; i < n && kept < most; i++) {
        bool keep = true;
        for (size_t k = 0; keep && k < kept; k++)
            keep = (!agnostic && items[k].label != items[i].label) ||
                   !(candidate_iou(&items[k], &items[i]) > iou);
        if (keep)
            items[kept++] = items[i];
    }
    return kept;
}
