/* Regions, outlines, rectangles and masks: by drawings, and by filling what was traced. */
#include "tests/unit/test.h"

#include "base/limits.h"
#include "inference/post/mask.h"

enum { SIDE = 24 };

/* A drawing of rows, '#' inside, to a bitmap; rows end with NULL. */
static struct bitmap drawn(const char *const rows[], uint8_t *bits)
{
    struct bitmap b = { (int)strlen(rows[0]), 0, bits };

    for (; rows[b.height]; b.height++)
        for (int x = 0; x < b.width; x++)
            bits[b.height * b.width + x] = rows[b.height][x] == '#';
    return b;
}

/* Twice the area, positive when clockwise as seen. */
static double area_twice(const struct point *p, size_t n)
{
    double sum = 0;

    for (size_t i = 0; i < n; i++) {
        const struct point q = p[(i + 1) % n];
        sum += (double)p[i].x * (double)q.y - (double)q.x * (double)p[i].y;
    }
    return sum;
}

static bool contains(const struct point *p, size_t n, float x, float y)
{
    bool in = false;

    for (size_t i = 0, k = n - 1; i < n; k = i++)
        if ((p[i].y > y) != (p[k].y > y) &&
            x < (p[k].x - p[i].x) * (y - p[i].y) / (p[k].y - p[i].y) + p[i].x)
            in = !in;
    return in;
}

TEST(a_region_joins_at_corners_and_a_gap_divides)
{
    static const char *const rows[] = { "##....", "..#..#", ".#...#", "#.....", NULL };
    uint8_t bits[64];
    int stack[256], at = 0;
    struct bitmap b = drawn(rows, bits);
    struct region r;

    REQUIRE(region_stack(&b) <= 256);
    REQUIRE(region_next(&b, &at, 2, stack, &r));
    CHECK_SIZE(r.area, 5);
    CHECK_I64(r.x0, 0);
    CHECK_I64(r.x1, 3);
    CHECK_I64(r.y1, 4);
    REQUIRE(region_next(&b, &at, 3, stack, &r));
    CHECK_SIZE(r.area, 2);
    CHECK_I64(r.first, 11);
    CHECK(!region_next(&b, &at, 2, stack, &r));
    region_erase(&b, &r);
    CHECK_I64(bits[11] + bits[17], 0);
}

TEST(an_outline_follows_the_edges_of_pixels)
{
    static const char *const shapes[][6] = {
        { "#", NULL },        { "###", "###", NULL },        { "##.", ".##", NULL },
        { "#.", ".#", NULL }, { "###", "#.#", "###", NULL }, { "..#", ".#.", "###", NULL },
    };
    static const struct {
        size_t corners;
        double area;
    } wants[] = { { 4, 1 }, { 4, 6 }, { 8, 4 }, { 8, 2 }, { 4, 9 }, { 12, 5 } };

    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct arena *a = arena_create(1 << 20);
        uint8_t bits[64];
        int stack[256], at = 0;
        struct bitmap b = drawn(shapes[i], bits);
        struct point *p;
        struct region r;
        size_t n;
        REQUIRE(region_next(&b, &at, 2, stack, &r));
        REQUIRE(region_outline(&b, &r, 0.01f, a, &p, &n));
        CHECK_SIZE(n, wants[i].corners);
        CHECK_NEAR(area_twice(p, n) / 2, wants[i].area, 1e-3); /* holes are filled */
        arena_free(a);
    }
}

/* Discs of many sizes: few corners, and the filled polygon is the disc but for its very edge. */
TEST(a_simplified_outline_stays_within_its_tolerance)
{
    enum { W = 200 };
    static uint8_t bits[W * W];
    static int stack[2 * (W + 1) * W + 1];

    for (int radius = 3; radius < 95; radius += 13) {
        struct arena *a = arena_create(1 << 20);
        struct bitmap b = { W, W, bits };
        struct point *p;
        struct region r;
        size_t n, wrong = 0;
        int at = 0;
        for (int i = 0; i < W * W; i++) {
            const int x = i % W - 100, y = i / W - 100;
            bits[i] = x * x + y * y < radius * radius;
        }
        REQUIRE(region_next(&b, &at, 2, stack, &r));
        REQUIRE(region_outline(&b, &r, 1, a, &p, &n));
        for (int i = 0; i < W * W; i++)
            wrong += (bits[i] == 2) != contains(p, n, (float)(i % W) + 0.5f, (float)(i / W) + 0.5f);
        printf("# radius %d: %zu pixels, %zu corners, %zu differ\n", radius, r.area, n, wrong);
        CHECK(n >= 4 && n <= 6 + (size_t)radius);
        CHECK(wrong <= (size_t)(4 * radius));
        CHECK(wrong * 100 <= r.area * 12 / (radius > 20 ? 3 : 1));
        arena_free(a);
    }
}

/* Nothing but corners: every second pixel of a board, joined diagonally. */
TEST(the_worst_bitmap_fits_the_stack_and_the_limit)
{
    enum { W = 257 };
    static uint8_t bits[W * W];
    struct arena *a = arena_create(16 << 20);
    struct bitmap b = { W, W, bits };
    int *stack = calloc(region_stack(&b), sizeof *stack), at = 0;
    struct point *p;
    struct region r;
    size_t n;

    for (int i = 0; i < W * W; i++)
        bits[i] = i % 2 == 0;
    REQUIRE(stack && region_next(&b, &at, 2, stack, &r));
    CHECK_SIZE(r.area, (W * W + 1) / 2);
    REQUIRE(region_outline(&b, &r, 0.01f, a, &p, &n));
    CHECK(n > 4 && n <= LIMIT_POLYGON_POINTS);
    free(stack);
    arena_free(a);
}

TEST(the_least_rectangle_turns_with_its_points)
{
    for (int step = 0; step < 12; step++) {
        const double angle = step * 0.13;
        const double c = cos(angle), s = sin(angle);
        struct point p[20];
        struct rotated_box r;
        for (int i = 0; i < 20; i++) { /* corners and points within of 40 x 10 around (50, 60) */
            const double u = i < 4 ? (i & 1 ? 20 : -20) : i - 10,
                         v = i < 4 ? (i & 2 ? 5 : -5) : i % 5 - 2;
            p[i] = (struct point){ (float)(50 + u * c - v * s), (float)(60 + u * s + v * c) };
        }
        REQUIRE(points_rectangle(p, 20, &r));
        CHECK_NEAR(r.width * r.height, 400, 0.01);
        CHECK_NEAR(r.x, 50, 1e-3);
        CHECK_NEAR(r.y, 60, 1e-3);
        CHECK(fmodf(r.angle + 0.001f, 1.5707963f) < 1.57f);
        CHECK_NEAR(fmax(r.width, r.height), 40, 1e-3);
    }
}

TEST(a_rectangle_of_one_point_is_that_point)
{
    struct point p = { 3, 4 };
    struct rotated_box r;

    REQUIRE(points_rectangle(&p, 1, &r));
    CHECK_NEAR(r.x, 3, 0);
    CHECK_NEAR(r.width, 0, 0);
}

/* Two prototypes of 6 x 6 cells over 24 x 24 pixels: the left half, and everything negative. */
TEST(a_mask_is_cut_to_its_box_and_traced)
{
    float prototypes[2 * 36], table[] = { 12, 12, 24, 24, 0.9f, 1, 0 };
    struct head h = { .n = 1,
                      .row = 7,
                      .column = 1,
                      .extra_at = 5,
                      .nmasks = 2,
                      .prototypes = 1,
                      .input_height = SIDE,
                      .input_width = SIDE };
    const struct value out[HEAD_OUTPUTS] = {
        { .rank = 3, .dims = { 1, 1, 7 }, .data = table },
        { .rank = 4, .dims = { 1, 2, 6, 6 }, .data = prototypes },
    };
    struct candidate c = { .x0 = 0, .y0 = 2.5f, .x1 = 24, .y1 = 20 };
    struct mask_maker m = { 0 };
    struct arena *a = arena_create(1 << 20);
    struct point *p = NULL;
    size_t n = 0;

    for (int i = 0; i < 36; i++) {
        prototypes[i] = i % 6 < 3 ? 1.0f : -1.0f;
        prototypes[36 + i] = -1;
    }
    REQUIRE(mask_polygon(&m, &h, out, &c, a, &p, &n));
    REQUIRE(n == 4);
    CHECK_NEAR(p[0].x, 0, 0);
    CHECK_NEAR(p[0].y, 3, 0);  /* the first whole row */
    CHECK_NEAR(p[2].x, 12, 0); /* half way between the cells */
    CHECK_NEAR(p[2].y, 20, 0);
    c.x0 = 13;
    REQUIRE(mask_polygon(&m, &h, out, &c, a, &p, &n));
    CHECK_SIZE(n, 0);
    c.x0 = 30; /* outside the input */
    c.x1 = 40;
    REQUIRE(mask_polygon(&m, &h, out, &c, a, &p, &n));
    CHECK_SIZE(n, 0);
    table[5] = 0;
    table[6] = -1; /* minus minus: all of it */
    c = (struct candidate){ .x0 = -5, .y0 = -5, .x1 = 50, .y1 = 50 };
    REQUIRE(mask_polygon(&m, &h, out, &c, a, &p, &n));
    REQUIRE(n == 4);
    CHECK_NEAR(area_twice(p, n) / 2, SIDE * SIDE, 0);
    table[6] = NAN;
    REQUIRE(mask_polygon(&m, &h, out, &c, a, &p, &n));
    CHECK_SIZE(n, 0);
    mask_free(&m);
    arena_free(a);
}
