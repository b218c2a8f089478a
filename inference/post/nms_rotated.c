/* Non-maximum suppression of rotated boxes: see nms.h. */
#include <math.h>
#include "base/limits.h"
#include "inference/post/nms.h"

/* A box as a Gaussian: centre, and covariance a, b, c (c off the diagonal). */
struct gaussian {
    double x, y, a, b, c;
};

static const double tiny = 1e-7; /* keeps quotients and the logarithm finite for boxes without area */

static struct gaussian gaussian_of(const struct candidate *b)
{
    const double w = (double)b->x1 - b->x0, h = (double)b->y1 - b->y0;
    const double along = w * w / 12, across = h * h / 12; /* variance of a uniform side */
    const double c = cos(b->angle), s = sin(b->angle);

    return (struct gaussian){ ((double)b->x0 + b->x1) / 2, ((double)b->y0 + b->y1) / 2,
                              along * c * c + across * s * s, along * s * s + across * c * c,
                              (along - across) * c * s };
}

static double determinant(const struct gaussian *g)
{
    return fmax(g->a * g->b - g->c * g->c, 0);
}

/* Bhattacharyya distance. */
static double distance(const struct gaussian *p, const struct gaussian *q)
{
    const double dx = p->x - q->x, dy = p->y - q->y;
    const double a = p->a + q->a, b = p->b + q->b, c = p->c + q->c, d = a * b - c * c;
    const double apart = ((a * dy * dy + b * dx * dx) / 4 - c * dx * dy / 2) / (d + tiny);
    const double unlike = log(d / (4 * sqrt(determinant(p) * determinant(q)) + tiny) + tiny) / 2;

    return fmin(fmax(apart + unlike, tiny), 100);
}

float rotated_overlap(const struct candidate *a, const struct candidate *b)
{
    const struct gaussian p = gaussian_of(a), q = gaussian_of(b);

    return (float)(1 - sqrt(1 - exp(-distance(&p, &q)) + tiny));
}

/*
 * Far enough apart to overlap by less than 1e-4 whatever the angles: the distance is at least d * d / 4
 * by the sum of the largest variances.
 */
static bool are_far(const struct candidate *a, const struct candidate *b)
{
    const float dx = (a->x0 + a->x1 - b->x0 - b->x1) / 2, dy = (a->y0 + a->y1 - b->y0 - b->y1) / 2;
    const float p = fmaxf(a->x1 - a->x0, a->y1 - a->y0), q = fmaxf(b->x1 - b->x0, b->y1 - b->y0);

    return (dx * dx + dy * dy) / 4 > 10 * (p * p + q * q + 1) / 12;
}

static bool suppresses(const struct candidate *better, const struct candidate *c, float iou,
                       bool agnostic)
{
    if (!agnostic && better->label != c->label)
        return false;
    return (iou < 1e-3f || !are_far(better, c)) && rotated_overlap(better, c) >= iou;
}

/* Kept ones gather at the front in order; the dropped ones between them and i, in any order. */
size_t nms_rotated(struct candidate *items, size_t n, float iou, bool agnostic, size_t most)
{
    const size_t end = n < LIMIT_ROTATED_CANDIDATES ? n : LIMIT_ROTATED_CANDIDATES;
    size_t kept = 0;

    for (size_t i = 0; i < end && kept < most; i++) {
        const struct candidate c = items[i];
        bool keep = true;
        for (size_t k = 0; keep && k < i; k++)
            keep = !suppresses(&items[k], &c, iou, agnostic);
        if (!keep)
            continue;
        items[i] = items[kept];
        items[kept++] = c;
    }
    return kept;
}
