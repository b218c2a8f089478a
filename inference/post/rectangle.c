/* The least rectangle around points: see region.h. */
#include <math.h>
#include <stdlib.h>
#include "inference/post/region.h"

static int by_x_then_y(const void *a, const void *b)
{
    const struct point *p = a, *q = b;

    if (p->x != q->x)
        return p->x < q->x ? -1 : 1;
    return p->y < q->y ? -1 : p->y > q->y;
}

/* > 0: a, b, c turn clockwise as seen (y down). */
static double turn(struct point a, struct point b, struct point c)
{
    return ((double)b.x - a.x) * ((double)c.y - a.y) - ((double)b.y - a.y) * ((double)c.x - a.x);
}

/*
 * The hull of sorted points, in order; ret: room for 2 * n. Returns how many, without repeating the
 * first. Source: Andrew, "Another Efficient Algorithm for Convex Hulls in Two Dimensions", 1979.
 */
static size_t hull(const struct point *p, size_t n, struct point *ret)
{
    size_t k = 0, lower;

    for (size_t i = 0; i < n; i++) {
        while (k >= 2 && turn(ret[k - 2], ret[k - 1], p[i]) <= 0)
            k--;
        ret[k++] = p[i];
    }
    lower = k + 1;
    for (size_t i = n - 1; i-- > 0;) {
        while (k >= lower && turn(ret[k - 2], ret[k - 1], p[i]) <= 0)
            k--;
        ret[k++] = p[i];
    }
    return k > 1 ? k - 1 : k;
}

/* The box of the points in axes turned by the angle. */
static struct rotated_box box_at(const struct point *p, size_t n, double angle)
{
    const double c = cos(angle), s = sin(angle);
    double u0 = INFINITY, u1 = -INFINITY, v0 = INFINITY, v1 = -INFINITY, u, v;

    for (size_t i = 0; i < n; i++) {
        const double along = p[i].x * c + p[i].y * s, across = p[i].y * c - p[i].x * s;
        u0 = fmin(u0, along);
        u1 = fmax(u1, along);
        v0 = fmin(v0, across);
        v1 = fmax(v1, across);
    }
    u = (u0 + u1) / 2;
    v = (v0 + v1) / 2;
    return (struct rotated_box){ .x = (float)(u * c - v * s),
                                 .y = (float)(u * s + v * c),
                                 .width = (float)(u1 - u0),
                                 .height = (float)(v1 - v0),
                                 .angle = (float)angle };
}

bool points_rectangle(struct point *points, size_t n, struct rotated_box *ret)
{
    const double right = 1.57079632679489662;
    struct point *corners = calloc(2 * n + 1, sizeof *corners);
    size_t count;

    if (!corners)
        return false;
    qsort(points, n, sizeof *points, by_x_then_y);
    count = hull(points, n, corners);
    *ret = box_at(corners, count, 0);
    for (size_t i = 0; i < count; i++) { /* one side lies on an edge of the hull */
        const struct point p = corners[i], q = corners[(i + 1) % count];
        const double angle = fmod(atan2((double)q.y - p.y, (double)q.x - p.x) + 4 * right, right);
        const struct rotated_box box = box_at(corners, count, angle);
        if (box.width * box.height < ret->width * ret->height)
            *ret = box;
    }
    free(corners);
    return true;
}
