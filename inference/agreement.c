/* See agreement.h. */
#include "inference/agreement.h"

#include <math.h>
#include "base/limits.h"

enum { ROWS = 64 };        /* of the grid on which polygons are laid: one word a row */
#define PAIRED        0.5  /* less alike are not the same thing */
#define KEYPOINT_PART 0.05 /* of the object's side */
#define VISIBLE       0.5f

/* ---- likeness of two findings ---- */

static double area(const struct detection *d)
{
    return (double)(d->x1 - d->x0) * (double)(d->y1 - d->y0);
}

static double box_likeness(const struct detection *a, const struct detection *b)
{
    const double w = (double)(fminf(a->x1, b->x1) - fmaxf(a->x0, b->x0)),
                 h = (double)(fminf(a->y1, b->y1) - fmaxf(a->y0, b->y0)),
                 shared = w > 0 && h > 0 ? w * h : 0, all = area(a) + area(b) - shared;

    return all > 0 ? shared / all : 0;
}

/* The window that both polygons lie in. */
struct grid {
    double x0, y0, cell_width, cell_height;
};

/* Cells whose centre is inside (even-odd): each edge that crosses a row's middle turns over what is to
 * the right of it. */
static void lay(const struct grid *g, const struct point *p, size_t n, uint64_t rows[ROWS])
{
    for (int r = 0; r < ROWS; r++) {
        const double y = g->y0 + (r + 0.5) * g->cell_height;

        rows[r] = 0;
        for (size_t i = 0, last = n - 1; i < n; last = i++) {
            const double y0 = (double)p[last].y, y1 = (double)p[i].y;
            double at;

            if ((y0 > y) == (y1 > y))
                continue;
            at = (double)p[last].x + (y - y0) / (y1 - y0) * (double)(p[i].x - p[last].x);
            at = (at - g->x0) / g->cell_width + 0.5; /* cells from here on have their centre beyond */
            if (at < ROWS)
                rows[r] ^= ~(uint64_t)0 << (at > 0 ? (int)at : 0);
        }
    }
}

static double polygon_likeness(const struct grid *g, const struct point *a, size_t na,
                               const struct point *b, size_t nb)
{
    uint64_t one[ROWS], other[ROWS];
    int shared = 0, all = 0;

    if (na < 3 || nb < 3)
        return na < 3 && nb < 3 ? 1 : 0;
    lay(g, a, na, one);
    lay(g, b, nb, other);
    for (int r = 0; r < ROWS; r++) {
        shared += __builtin_popcountll(one[r] & other[r]);
        all += __builtin_popcountll(one[r] | other[r]);
    }
    return all ? (double)shared / all : 1;
}

static void widen(struct grid *g, double *x1, double *y1, const struct point *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        g->x0 = fmin(g->x0, (double)p[i].x);
        g->y0 = fmin(g->y0, (double)p[i].y);
        *x1 = fmax(*x1, (double)p[i].x);
        *y1 = fmax(*y1, (double)p[i].y);
    }
}

static double outline_likeness(const struct point *a, size_t na, const struct point *b, size_t nb)
{
    struct grid g = { .x0 = INFINITY, .y0 = INFINITY };
    double x1 = -INFINITY, y1 = -INFINITY;

    widen(&g, &x1, &y1, a, na);
    widen(&g, &x1, &y1, b, nb);
    g.cell_width = (x1 - g.x0) / ROWS;
    g.cell_height = (y1 - g.y0) / ROWS;
    if (!(g.cell_width > 0) || !(g.cell_height > 0))
        return na == nb ? 1 : 0; /* both empty, or lines */
    return polygon_likeness(&g, a, na, b, nb);
}

static double keypoint_likeness(const struct detection *a, const struct detection *b)
{
    const double side = KEYPOINT_PART * sqrt(fmax(area(a), 1));
    double sum = 0;
    size_t n = 0;

    if (a->nkeypoints != b->nkeypoints)
        return 0;
    for (size_t i = 0; i < a->nkeypoints; i++) {
        const double dx = (double)(a->keypoints[i].x - b->keypoints[i].x),
                     dy = (double)(a->keypoints[i].y - b->keypoints[i].y);

        if (!(a->keypoints[i].visibility > VISIBLE))
            continue;
        sum += exp(-(dx * dx + dy * dy) / (2 * side * side));
        n++;
    }
    return n ? sum / (double)n : 1;
}

double agreement_likeness(const struct detection *a, const struct detection *b)
{
    double least = 1;

    if (a->rotated && b->rotated)
        least = outline_likeness(a->rotated->corners, 4, b->rotated->corners, 4);
    else
        least = box_likeness(a, b);
    if (a->npolygon || b->npolygon)
        least = fmin(least, outline_likeness(a->polygon, a->npolygon, b->polygon, b->npolygon));
    if (a->nkeypoints || b->nkeypoints)
        least = fmin(least, keypoint_likeness(a, b));
    return isnan(least) ? 0 : least;
}

/* ---- all findings of a picture ---- */

static bool counts(const struct detection *d)
{
    return d && d->score > AGREEMENT_SCORE;
}

/* One finding more; likeness of the pair, or of nothing. */
static void count(struct agreement *a, const struct detection *d, const struct detection *other,
                  double likeness)
{
    double difference;

    a->findings++;
    if (!d || !other)
        return;
    difference = fabs((double)d->score - (double)other->score);
    if (isnan(difference))
        difference = 1;
    a->agreeing += likeness >= AGREEMENT_LIKENESS && difference <= AGREEMENT_DIFFERENCE;
    a->worst_likeness = fmin(a->worst_likeness, likeness);
    a->worst_difference = fmax(a->worst_difference, difference);
}

/* The most alike finding of the same class that nobody has taken; n: none. */
static size_t partner(const struct detection *d, const struct prediction *p, const bool taken[],
                      double *ret_likeness)
{
    size_t best = p->n;

    *ret_likeness = PAIRED;
    for (size_t i = 0; i < p->n && i < LIMIT_DETECTIONS; i++) {
        double likeness;

        if (taken[i] || p->items[i].label != d->label)
            continue;
        likeness = agreement_likeness(d, &p->items[i]);
        if (likeness >= *ret_likeness) {
            *ret_likeness = likeness;
            best = i;
        }
    }
    return best;
}

static void add_findings(struct agreement *a, const struct prediction *reference,
                         const struct prediction *candidate)
{
    bool taken[LIMIT_DETECTIONS] = { false };

    for (size_t i = 0; i < reference->n; i++) {
        const struct detection *d = &reference->items[i];
        double likeness;
        const size_t k = partner(d, candidate, taken, &likeness);
        const struct detection *other = k < candidate->n ? &candidate->items[k] : NULL;

        if (other)
            taken[k] = true;
        if (counts(d) || counts(other))
            count(a, d, other, likeness);
    }
    for (size_t i = 0; i < candidate->n && i < LIMIT_DETECTIONS; i++)
        if (!taken[i] && counts(&candidate->items[i]))
            count(a, NULL, &candidate->items[i], 0);
}

void agreement_add(struct agreement *a, const struct prediction *reference,
                   const struct prediction *candidate)
{
    if (a->pictures++ == 0)
        a->worst_likeness = 1;
    if (a->task != TASK_CLASSIFY)
        add_findings(a, reference, candidate);
    else if (reference->n && candidate->n)
        count(a, reference->items, candidate->items,
              reference->items[0].label == candidate->items[0].label ? 1 : 0);
    else
        a->findings += reference->n || candidate->n;
}

enum agreement_verdict agreement_verdict(const struct agreement *a)
{
    if (a->pictures < AGREEMENT_PICTURES || a->findings < AGREEMENT_FINDINGS)
        return AGREEMENT_UNPROVEN;
    return a->agreeing >= AGREEMENT_SHARE * a->findings ? AGREEMENT_PASSED : AGREEMENT_FAILED;
}

const char *agreement_verdict_name(enum agreement_verdict v)
{
    static const char *const names[] = {
        [AGREEMENT_UNPROVEN] = "unproven", [AGREEMENT_FAILED] = "failed", [AGREEMENT_PASSED] = "passed"
    };

    return names[v];
}
