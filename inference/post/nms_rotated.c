/* Non-maximum suppression of rotated boxes: see nms.h. */
#include <math.h>
#include <stdlib.h>
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

/* How far apart the centres are, and how unlike the shapes: their sum is the Bhattacharyya distance. */
static double apart(const struct gaussian *p, const struct gaussian *q)
{
    const double dx = p->x - q->x, dy = p->y - q->y;
    const double a = p->a + q->a, b = p->b + q->b, c = p->c + q->c;

    return ((a * dy * dy + b * dx * dx) / 4 - c * dx * dy / 2) / (a * b - c * c + tiny);
}

static double unlike(const struct gaussian *p, const struct gaussian *q)
{
    const double a = p->a + q->a, b = p->b + q->b, c = p->c + q->c;

    return log((a * b - c * c) / (4 * sqrt(determinant(p) * determinant(q)) + tiny) + tiny) / 2;
}

static float overlap(const struct gaussian *p, const struct gaussian *q)
{
    const double distance = fmin(fmax(apart(p, q) + unlike(p, q), tiny), 100);

    return (float)(1 - sqrt(1 - exp(-distance) + tiny));
}

float rotated_overlap(const struct candidate *a, const struct candidate *b)
{
    const struct gaussian p = gaussian_of(a), q = gaussian_of(b);

    return overlap(&p, &q);
}

/* Boxes whose centres alone are this far apart overlap by less than iou: most pairs, and no logarithm.
 */
static double far_enough(float iou)
{
    const double rest = 1 - (double)iou;

    return iou > 1e-3f ? -log(1 - rest * rest + tiny) + 1e-3 : INFINITY;
}

struct suppressor {
    struct gaussian *shapes;
    double far;
    float iou;
    bool agnostic;
};

static bool is_suppressed(const struct suppressor *s, const struct candidate *items, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if ((s->agnostic || items[k].label == items[i].label) &&
            apart(&s->shapes[k], &s->shapes[i]) < s->far &&
            overlap(&s->shapes[k], &s->shapes[i]) >= s->iou)
            return true;
    return false;
}

/* Kept ones gather at the front in order; the dropped ones between them and i, in any order. */
bool nms_rotated(struct candidate *items, size_t n, float iou, bool agnostic, size_t most, size_t *ret)
{
    const size_t end = n < LIMIT_ROTATED_CANDIDATES ? n : LIMIT_ROTATED_CANDIDATES;
    const struct suppressor s = { calloc(end + 1, sizeof *s.shapes), far_enough(iou), iou, agnostic };
    size_t kept = 0;

    if (!s.shapes)
        return false;
    for (size_t i = 0; i < end; i++)
        s.shapes[i] = gaussian_of(&items[i]);
    for (size_t i = 0; i < end && kept < most; i++) {
        const struct candidate c = items[i];
        const struct gaussian g = s.shapes[i];
        if (is_suppressed(&s, items, i))
            continue;
        items[i] = items[kept];
        s.shapes[i] = s.shapes[kept];
        items[kept] = c;
        s.shapes[kept++] = g;
    }
    free(s.shapes);
    *ret = kept;
    return true;
}
