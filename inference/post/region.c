/* Regions and their outlines: see region.h. */
#include "inference/post/region.h"

#include <math.h>
#include <stdlib.h>
#include "base/limits.h"

static bool is_inside(const struct bitmap *b, int x, int y, uint8_t value)
{
    return x >= 0 && y >= 0 && x < b->width && y < b->height && b->bits[y * b->width + x] == value;
}

/* Marks the pixels to the left and right of a fresh one on its row too: fewer visits to the stack. */
static size_t take_run(struct bitmap *b, int x, int y, struct region *r, int *ret_x0, int *ret_x1)
{
    int x0 = x, x1 = x + 1;

    while (is_inside(b, x0 - 1, y, 1))
        x0--;
    while (is_inside(b, x1, y, 1))
        x1++;
    for (int i = x0; i < x1; i++)
        b->bits[y * b->width + i] = r->mark;
    r->x0 = x0 < r->x0 ? x0 : r->x0;
    r->x1 = x1 > r->x1 ? x1 : r->x1;
    r->y1 = y + 1 > r->y1 ? y + 1 : r->y1;
    r->y0 = y < r->y0 ? y : r->y0;
    *ret_x0 = x0;
    *ret_x1 = x1;
    return (size_t)(x1 - x0);
}

/* A run of n pixels pushes at most n + 3 others, and with the gap behind it takes n + 1 of its row. */
size_t region_stack(const struct bitmap *b)
{
    return 2 * ((size_t)b->width + 1) * (size_t)b->height + 1;
}

/* Of each run of fresh pixels above or below a run its first pixel in reach is pushed. */
static void fill_region(struct bitmap *b, int *stack, struct region *r)
{
    size_t n = 0;

    stack[n++] = r->first;
    while (n > 0) {
        const int at = stack[--n], y = at / b->width;
        int x0, x1;
        if (b->bits[at] != 1)
            continue;
        r->area += take_run(b, at % b->width, y, r, &x0, &x1);
        for (int side = -1; side <= 1; side += 2)
            for (int x = x0 - 1; x <= x1; x++)
                if (is_inside(b, x, y + side, 1) && (x == x0 - 1 || !is_inside(b, x - 1, y + side, 1)))
                    stack[n++] = (y + side) * b->width + x;
    }
}

bool region_next(struct bitmap *b, int *at, uint8_t mark, int *stack, struct region *ret)
{
    const int n = b->width * b->height;

    while (*at < n && b->bits[*at] != 1)
        ++*at;
    if (*at == n)
        return false;
    *ret = (struct region){ .first = *at, .x0 = b->width, .y0 = b->height, .mark = mark };
    fill_region(b, stack, ret);
    return true;
}

void region_erase(struct bitmap *b, const struct region *r)
{
    for (int y = r->y0; y < r->y1; y++)
        for (int x = r->x0; x < r->x1; x++)
            if (is_inside(b, x, y, r->mark))
                b->bits[y * b->width + x] = 0;
}

/* ---- outline ---- */

struct line {
    struct point *points;
    size_t n, cap;
    bool failed;
};

static void line_add(struct line *l, struct point p)
{
    if (l->n == l->cap) {
        const size_t cap = l->cap ? 2 * l->cap : 256;
        struct point *grown = l->failed ? NULL : realloc(l->points, cap * sizeof *grown);
        if (!grown) {
            l->failed = true;
            return;
        }
        l->points = grown;
        l->cap = cap;
    }
    l->points[l->n++] = p;
}

/*
 * Walks along the edges between pixels with the region to the right: turning left where the pixel ahead
 * on the left is inside, so that corners join; else straight on where that on the right is; else right.
 */
static void walk_edges(const struct bitmap *b, const struct region *r, struct line *ret)
{
    static const int step_x[4] = { 1, 0, -1, 0 }, step_y[4] = { 0, 1, 0, -1 }; /* E, S, W, N */
    static const int left_x[4] = { 0, 0, -1, -1 }, left_y[4] = { -1, 0, 0, -1 };
    static const int right_x[4] = { 0, -1, -1, 0 }, right_y[4] = { 0, 0, -1, -1 };
    const int start_x = r->first % b->width, start_y = r->first / b->width;
    int x = start_x, y = start_y, d = 0;

    do {
        int turned = d;
        if (is_inside(b, x + left_x[d], y + left_y[d], r->mark))
            turned = (d + 3) & 3;
        else if (!is_inside(b, x + right_x[d], y + right_y[d], r->mark))
            turned = (d + 1) & 3;
        if (turned != d || (x == start_x && y == start_y))
            line_add(ret, (struct point){ (float)x, (float)y });
        d = turned;
        x += step_x[d];
        y += step_y[d];
    } while ((x != start_x || y != start_y) && !ret->failed);
}

static float cross(struct point a, struct point b)
{
    return a.x * b.y - a.y * b.x;
}

static struct point minus(struct point a, struct point b)
{
    return (struct point){ a.x - b.x, a.y - b.y };
}

/* Directions from an anchor that pass within the tolerance of every point met: between low and high,
 * each turning clockwise as seen to the other. */
struct sleeve {
    struct point low, high;
    bool open; /* nothing met yet that limits it */
};

/* Narrows the sleeve by a point at offset p from the anchor; false: p lies outside. */
static bool sleeve_narrow(struct sleeve *s, struct point p, float tolerance)
{
    const float length = hypotf(p.x, p.y), sine = length > tolerance ? tolerance / length : 1;
    const float cosine = sqrtf(1 - sine * sine);
    const struct point low = { p.x * cosine + p.y * sine, p.y * cosine - p.x * sine },
                       high = { p.x * cosine - p.y * sine, p.y * cosine + p.x * sine };

    if (length <= tolerance)
        return true;
    if (!s->open && (cross(s->low, p) < 0 || cross(p, s->high) < 0))
        return false;
    if (s->open || cross(s->low, low) > 0)
        s->low = low;
    if (s->open || cross(high, s->high) > 0)
        s->high = high;
    s->open = false;
    return true;
}

/*
 * Drops points in place, in linear time: from a kept point on, those go that one straight line to a
 * later point passes by within the tolerance.
 * Source: Zhao and Saalfeld, "Linear-Time Sleeve-Fitting Polyline Simplification Algorithms", 1997.
 */
static size_t simplify(struct point *p, size_t n, float tolerance)
{
    struct sleeve s = { .open = true };
    struct point anchor = p[0];
    size_t kept = 1;

    for (size_t i = 1; i < n; i++) {
        if (sleeve_narrow(&s, minus(p[i], anchor), tolerance))
            continue;
        if (p[i - 1].x != anchor.x || p[i - 1].y != anchor.y)
            p[kept++] = anchor = p[i - 1];
        s = (struct sleeve){ .open = true };
        sleeve_narrow(&s, minus(p[i], anchor), tolerance);
    }
    if (n > 1)
        p[kept++] = p[n - 1];
    while (kept > LIMIT_POLYGON_POINTS) {
        for (size_t i = 0; 2 * i < kept; i++)
            p[i] = p[2 * i];
        kept = (kept + 1) / 2;
    }
    return kept;
}

bool region_outline(const struct bitmap *b, const struct region *r, float tolerance, struct arena *a,
                    struct point **ret, size_t *ret_n)
{
    struct line l = { 0 };
    struct point *points = NULL;
    size_t n = 0;

    walk_edges(b, r, &l);
    if (!l.failed && l.n > 0) {
        n = l.n > 4 ? simplify(l.points, l.n, tolerance) : l.n;
        points = arena_array(a, n, sizeof *points);
    }
    for (size_t i = 0; points && i < n; i++)
        points[i] = l.points[i];
    free(l.points);
    *ret = points;
    *ret_n = points ? n : 0;
    return points != NULL;
}
