/*
 * Regions of a bitmap: pixels that touch at a side or a corner belong together.
 */
#ifndef INFERENCE_POST_REGION_H
#define INFERENCE_POST_REGION_H

#include "base/arena.h"
#include "inference/predictor.h"

struct bitmap {
    int width, height; /* product at most INT_MAX */
    uint8_t *bits; /* [height, width]: 0, or 1 inside; regions that were found are marked from 2 on */
};

struct region {
    int first;          /* index of its first pixel, row by row: the leftmost of its top row */
    size_t area;        /* pixels */
    int x0, y0, x1, y1; /* pixels x0 .. x1 - 1, y0 .. y1 - 1 */
    uint8_t mark;       /* its pixels' value in bits */
};

/* Numbers that region_next may have to remember. */
size_t region_stack(const struct bitmap *b);

/*
 * The next region from pixel *at on, row by row; *at moves on. Its pixels become `mark` (2..255). stack:
 * room for region_stack(b) numbers. False: no more.
 */
bool region_next(struct bitmap *b, int *at, uint8_t mark, int *stack, struct region *ret);

/* Sets the region's pixels to 0, so that its mark may be used again. */
void region_erase(struct bitmap *b, const struct region *r);

/*
 * The outer contour along the pixels' edges, clockwise as seen, simplified so that no corner lies
 * further than `tolerance` pixels from it. Corners in bitmap coordinates: 0, 0 is the outer corner of
 * the first pixel. ret and its points live in the arena; at most LIMIT_POLYGON_POINTS, beyond which
 * every second one goes. False: out of memory.
 */
bool region_outline(const struct bitmap *b, const struct region *r, float tolerance, struct arena *a,
                    struct point **ret, size_t *ret_n);

/*
 * Of n points the rectangle of the least area around them, turned as needed (rotating calipers on the
 * convex hull); angle within 0 .. pi / 2. Sorts the points. n >= 1. False: out of memory.
 */
bool points_rectangle(struct point *points, size_t n, struct rotated_box *ret);

#endif
