/*
 * The shapes of tiles, included by the files that compile them: SHAPE(groups, pixels) defines
 * run_<groups>_<pixels> of a const struct TILE, which has x and y; here they become the table `shapes`
 * and run_row.
 */
#include "inference/kernels/vector.h"

#define SHAPES_5(g)  SHAPE(g, 1) SHAPE(g, 2) SHAPE(g, 3) SHAPE(g, 4) SHAPE(g, 5)
#define SHAPES_8(g)  SHAPES_5(g) SHAPE(g, 6) SHAPE(g, 7) SHAPE(g, 8)
#define SHAPES_12(g) SHAPES_8(g) SHAPE(g, 9) SHAPE(g, 10) SHAPE(g, 11) SHAPE(g, 12)

/* clang-format off */
#ifdef VECTOR_AVX2
SHAPES_12(1)
SHAPES_5(2) SHAPE(2, 6)
SHAPE(3, 1) SHAPE(3, 2) SHAPE(3, 3) SHAPE(3, 4)
#else
SHAPES_12(1) SHAPE(1, 13) SHAPE(1, 14)
SHAPES_12(2)
SHAPES_8(3)
SHAPES_5(4) SHAPE(4, 6)
SHAPES_5(5)
#endif

#define ROW_5(g) NULL, run_##g##_1, run_##g##_2, run_##g##_3, run_##g##_4, run_##g##_5
#define ROW_8(g) ROW_5(g), run_##g##_6, run_##g##_7, run_##g##_8
#define ROW_12(g) ROW_8(g), run_##g##_9, run_##g##_10, run_##g##_11, run_##g##_12

static void (*const shapes[TILE_GROUPS + 1][TILE_PIXELS + 1])(const struct TILE *) = {
    { NULL },
#ifdef VECTOR_AVX2
    { ROW_12(1) },
    { ROW_5(2), run_2_6 },
    { NULL, run_3_1, run_3_2, run_3_3, run_3_4 },
#else
    { ROW_12(1), run_1_13, run_1_14 },
    { ROW_12(2) },
    { ROW_8(3) },
    { ROW_5(4), run_4_6 },
    { ROW_5(5) },
#endif
};
/* clang-format on */

/* A row of pixels in nearly equal tiles; x_step: elements of x from one pixel to the next. */
static void run_row(const struct TILE *t, int groups, int pixels, int x_step)
{
    const int most = tile_pixels(groups), n = (pixels + most - 1) / most;
    struct TILE part = *t;

    for (int i = 0, at = 0; i < n; i++) {
        const int end = (int)((long)pixels * (i + 1) / n);
        part.x = t->x + (ptrdiff_t)at * x_step;
        part.y = t->y + (ptrdiff_t)at * LANES;
        shapes[groups][end - at](&part);
        at = end;
    }
}
