/* Candidates, suppression, and the place of a picture in a network's input, each by hand-computed cases.
 */
#include "tests/unit/test.h"

#include "base/limits.h"
#include "inference/post/finish.h"
#include "inference/post/nms.h"

static struct candidate box(int label, float score, float x0, float y0, float x1, float y1)
{
    return (struct candidate){ .label = label, .score = score, .x0 = x0, .y0 = y0, .x1 = x1, .y1 = y1 };
}

static struct candidate turned(float x, float y, float w, float h, float angle)
{
    struct candidate c = candidate_centred(x, y, w, h);

    c.angle = angle;
    c.score = 1;
    return c;
}

TEST(nms_drops_the_weaker_of_two_overlapping_boxes_of_one_class)
{
    struct candidate c[] = { box(0, 0.8f, 10, 10, 50, 50), box(0, 0.9f, 12, 12, 52, 52),
                             box(1, 0.85f, 12, 12, 52, 52), box(0, 0.7f, 90, 90, 99, 99) };
    struct candidate again[4];

    REQUIRE(candidates_sort(c, 4));
    memcpy(again, c, sizeof c);
    CHECK_SIZE(nms(c, 4, 0.5f, false, 300), 3);
    CHECK_NEAR(c[0].score, 0.9, 1e-6);
    CHECK_I64(c[1].label, 1);
    CHECK_NEAR(c[2].x0, 90, 0);
    CHECK_SIZE(nms(again, 4, 0.5f, true, 300), 2);
    CHECK_I64(again[1].label, 0);
}

TEST(nms_keeps_boxes_that_overlap_by_exactly_the_threshold)
{
    struct candidate c[] = { box(0, 0.9f, 0, 0, 10, 10), box(0, 0.8f, 0, 0, 10, 5) };

    CHECK_NEAR(candidate_iou(&c[0], &c[1]), 0.5, 0);
    CHECK_SIZE(nms(c, 2, 0.5f, false, 300), 2);
    CHECK_SIZE(nms(c, 2, 0.49f, false, 300), 1);
}

TEST(nms_stops_at_the_most_wanted)
{
    struct candidate c[5];
    size_t kept;

    for (int i = 0; i < 5; i++)
        c[i] = box(0, 1 - (float)i / 10, (float)i * 20, 0, (float)i * 20 + 10, 10);
    CHECK_SIZE(nms(c, 5, 0.5f, false, 3), 3);
    CHECK_SIZE(nms(c, 0, 0.5f, false, 3), 0);
    REQUIRE(nms_rotated(c, 5, 0.5f, false, 2, &kept));
    CHECK_SIZE(kept, 2);
}

TEST(equal_scores_keep_their_order_and_nan_ranks_last)
{
    struct candidate c[] = { box(7, NAN, 0, 0, 1, 1), box(1, 0.5f, 0, 0, 1, 1), box(2, 0.5f, 0, 0, 1, 1),
                             box(3, 0.6f, 0, 0, 1, 1) };

    REQUIRE(candidates_sort(c, 4));
    CHECK_I64(c[0].label, 3);
    CHECK_I64(c[1].label, 1);
    CHECK_I64(c[2].label, 2);
    CHECK_I64(c[3].label, 7);
}

TEST(boxes_without_area_overlap_nothing)
{
    const struct candidate line = box(0, 1, 5, 0, 5, 10), wide = box(0, 1, 0, 0, 10, 10);

    CHECK_NEAR(candidate_iou(&line, &wide), 0, 0);
    CHECK_NEAR(candidate_iou(&line, &line), 0, 0);
}

TEST(candidates_that_are_not_finite_are_not_taken_and_scores_end_at_one)
{
    struct candidates c = { 0 };

    candidates_add(&c, box(0, NAN, 0, 0, 1, 1));
    candidates_add(&c, box(0, 0.5f, 0, 0, INFINITY, 1));
    candidates_add(&c, turned(0, 0, 1, 1, NAN));
    CHECK_SIZE(c.n, 0);
    candidates_add(&c, box(0, 1.5f, 0, 0, 1, 1));
    REQUIRE(c.n == 1);
    CHECK_NEAR(c.items[0].score, 1, 0);
    for (int i = 0; i < 1000; i++)
        candidates_add(&c, box(i % 4, 0.5f, 0, 0, 1, 1));
    CHECK_SIZE(c.n, 1001);
    CHECK_SIZE(candidates_filter(c.items, c.n, (const int[]){ 3, 1 }, 2), 500);
    CHECK_I64(c.items[0].label, 1);
    CHECK_I64(c.items[1].label, 3);
    candidates_free(&c);
}

/*
 * By hand: squares of side s have variance s * s / 12 each way. Equal boxes: distance 0 but for the
 * guards. Two squares of side 12 (variance 12), 6 apart: 36 / (4 * 24) = 0.375, so 1 - sqrt(1 -
 * e^-0.375) = 0.4407. A square of 12 in one of 24 (variance 48): ln(60^2 / (4 * 12 * 48)) / 2 = 0.2231,
 * hence 0.5528.
 */
TEST(rotated_overlap_is_that_of_gaussians)
{
    const struct candidate a = turned(0, 0, 12, 12, 0), aside = turned(6, 0, 12, 12, 0.7f),
                           larger = turned(0, 0, 24, 24, 0.3f), far = turned(500, 0, 12, 12, 0);
    const struct candidate lying = turned(0, 0, 40, 10, 0), upright = turned(0, 0, 10, 40, 1.5707963f);

    CHECK_NEAR(rotated_overlap(&a, &a), 1, 1e-3);
    CHECK_NEAR(rotated_overlap(&a, &aside), 0.4407, 1e-3);
    CHECK_NEAR(rotated_overlap(&a, &larger), 0.5528, 1e-3);
    CHECK_NEAR(rotated_overlap(&a, &far), 0, 1e-6);
    CHECK_NEAR(rotated_overlap(&lying, &upright), 1, 1e-3); /* the same box, written twice */
}

/* A drops B, and B, though dropped, drops C, which A would leave: any better one counts. */
TEST(nms_of_rotated_boxes_counts_dropped_ones_too)
{
    struct candidate c[] = { turned(0, 0, 12, 12, 0), turned(4, 0, 12, 12, 0), turned(8, 0, 12, 12, 0),
                             turned(8, 0, 12, 12, 0) };
    size_t kept;

    for (int i = 0; i < 4; i++)
        c[i].score = 0.9f - 0.1f * (float)i;
    c[3].label = 1;
    CHECK(rotated_overlap(&c[0], &c[1]) > 0.5f && rotated_overlap(&c[0], &c[2]) < 0.5f);
    REQUIRE(nms_rotated(c, 4, 0.5f, false, 300, &kept) && kept == 2);
    CHECK_NEAR(c[0].score, 0.9, 1e-6);
    CHECK_I64(c[1].label, 1);
}

/* Width, height, side; then left, top and the scaled size, computed by hand from the rule. */
TEST(the_letterbox_places_pictures_as_training_tools_do)
{
    static const struct {
        enum fit fit;
        double keep;
        int w, h, side, scaled_w, scaled_h, left, top;
    } cases[] = {
        { FIT_CENTRE, 1, 810, 1080, 640, 480, 640, 80, 0 },
        { FIT_CENTRE, 1, 1280, 720, 640, 640, 360, 0, 140 },
        { FIT_CENTRE, 1, 640, 640, 640, 640, 640, 0, 0 },
        { FIT_CENTRE, 1, 100, 50, 640, 640, 320, 0, 160 },
        { FIT_CENTRE, 1, 641, 427, 640, 640, 426, 0, 107 },
        { FIT_CENTRE, 1, 1, 10000, 64, 1, 64, 31, 0 },
        { FIT_CENTRE, 1, 333, 500, 640, 426, 640, 107, 0 },
        { FIT_CENTRE, 1, 501, 333, 640, 640, 425, 0, 107 },
        { FIT_TOP_LEFT, 1, 810, 1080, 640, 480, 640, 0, 0 },
        { FIT_STRETCH, 1, 810, 1080, 320, 320, 320, 0, 0 },
        { FIT_CROP, 1, 300, 200, 100, 150, 100, -25, 0 },
        { FIT_CROP, 1, 301, 200, 100, 150, 100, -25, 0 },
        { FIT_CROP, 0.875, 512, 1024, 224, 256, 512, -16, -144 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct letterbox l = letterbox_fit(cases[i].fit, cases[i].keep, cases[i].w, cases[i].h,
                                                 cases[i].side, cases[i].side);
        CHECK_I64(l.scaled_width, cases[i].scaled_w);
        CHECK_I64(l.scaled_height, cases[i].scaled_h);
        CHECK_I64(l.left, cases[i].left);
        CHECK_I64(l.top, cases[i].top);
    }
}

TEST(a_picture_of_the_input_size_is_copied_and_the_border_is_grey)
{
    const uint8_t rgb[] = { 0, 51, 102, 153, 204, 255 }; /* 2 x 1 */
    float planes[3 * 4];
    const struct letterbox l = letterbox_fit(FIT_CENTRE, 1, 2, 1, 2, 2);

    REQUIRE(preprocess_draw(&preprocess_yolo, &l, rgb, 3, planes));
    CHECK_I64(l.top, 0);
    for (int c = 0; c < 3; c++) {
        CHECK_NEAR(planes[c * 4] * 255, rgb[c], 1e-4);
        CHECK_NEAR(planes[c * 4 + 1] * 255, rgb[3 + c], 1e-4);
        CHECK_NEAR(planes[c * 4 + 2] * 255, 114, 1e-4);
        CHECK_NEAR(planes[c * 4 + 3] * 255, 114, 1e-4);
    }
}

/* Blue first, less its mean, by its deviation; luma in one plane. */
TEST(planes_come_in_the_order_and_on_the_scale_of_the_network)
{
    const uint8_t rgb[] = { 200, 100, 50 };
    const struct letterbox l = letterbox_fit(FIT_STRETCH, 1, 1, 1, 1, 1);
    float planes[3], luma;

    REQUIRE(preprocess_draw(&preprocess_nanodet, &l, rgb, 3, planes));
    CHECK_NEAR(planes[0], (50 - 103.53) / 57.375, 1e-5);
    CHECK_NEAR(planes[2], (200 - 123.675) / 58.395, 1e-5);
    REQUIRE(preprocess_draw(&preprocess_imagenet, &l, rgb, 3, planes));
    CHECK_NEAR(planes[0], (200 - 123.675) / 58.395, 1e-5);
    CHECK_NEAR(planes[2], (50 - 103.53) / 57.375, 1e-5);
    REQUIRE(preprocess_draw(&preprocess_yolo, &l, rgb, 1, &luma));
    CHECK_NEAR(luma * 255, 124, 1e-3); /* 59.8 + 58.7 + 5.7 */
}

/* Four columns to two: each target pixel is a triangle two source pixels to each side of its centre. */
TEST(a_crop_is_shrunk_with_all_its_pixels)
{
    const uint8_t row[] = { 0, 0, 0, 80, 80, 80, 160, 160, 160, 240, 240, 240 };
    uint8_t rgb[4 * sizeof row];
    float crop[3 * 4], plain[3 * 4];
    const struct letterbox l = letterbox_fit(FIT_CROP, 1, 4, 4, 2, 2),
                           two = letterbox_fit(FIT_STRETCH, 1, 4, 4, 2, 2);

    for (int y = 0; y < 4; y++)
        memcpy(rgb + y * (int)sizeof row, row, sizeof row);
    REQUIRE(preprocess_draw(&preprocess_yolo_crop, &l, rgb, 3, crop));
    REQUIRE(preprocess_draw(&preprocess_stretched, &two, rgb, 3, plain));
    /* centre 1 of 0.5 1.5 2.5 (and nothing at -0.5): weights 3 3 1 of 7: (240 + 160) / 7 */
    CHECK_NEAR(crop[0] * 255, 57, 1e-3);
    CHECK_NEAR(crop[1] * 255, 183, 1e-3);
    CHECK_NEAR(plain[0] * 255, 40, 1e-3); /* two neighbours only */
    CHECK_NEAR(plain[1] * 255, 200, 1e-3);
}

TEST(points_return_to_the_picture_and_are_clipped_to_it)
{
    const struct letterbox l = letterbox_fit(FIT_CENTRE, 1, 810, 1080, 640, 640),
                           small = letterbox_fit(FIT_CENTRE, 1, 10, 20, 640, 640),
                           stretched = letterbox_fit(FIT_STRETCH, 1, 100, 50, 200, 200);
    struct point p = letterbox_undo_clipped(&l, (struct point){ 560, 640 });

    CHECK_NEAR(p.x, 810, 1e-3);
    CHECK_NEAR(p.y, 1080, 1e-3);
    p = letterbox_undo_clipped(&l, (struct point){ -10, 650 });
    CHECK_NEAR(p.x, 0, 0);
    CHECK_NEAR(p.y, 1080, 0);
    p = letterbox_undo(&small, (struct point){ 160 + 32, 64 }); /* 32 input pixels for one */
    CHECK_NEAR(p.x, 1, 1e-4);
    CHECK_NEAR(p.y, 2, 1e-4);
    p = letterbox_undo(&stretched, (struct point){ 100, 100 });
    CHECK_NEAR(p.x, 50, 1e-4);
    CHECK_NEAR(p.y, 25, 1e-4);
}

/* Angles come down to a quarter turn, sides change their names on the way. */
TEST(rotated_boxes_are_told_by_an_angle_below_a_right_one)
{
    static const struct {
        double angle, want;
        bool swapped;
    } cases[] = {
        { 0, 0, false },
        { 0.3, 0.3, false },
        { 1.5707963268, 0, true },
        { 2.0, 0.4292037, true },
        { -0.5, 1.0707963268, true },
        { 3.1415926536 + 0.2, 0.2, false },
        { -0.7853981634, 0.7853981634, true },
    };
    const struct letterbox l = letterbox_fit(FIT_CENTRE, 1, 320, 320, 640, 640);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct candidate c = turned(200, 100, 80, 40, (float)cases[i].angle);
        const struct rotated_box r = rotated_of(&c, &l);
        CHECK_NEAR(r.angle, cases[i].want, 1e-6);
        CHECK_NEAR(r.width, cases[i].swapped ? 20 : 40, 1e-4);
        CHECK_NEAR(r.height, cases[i].swapped ? 40 : 20, 1e-4);
        CHECK_NEAR((r.corners[0].x + r.corners[2].x) / 2, 100, 1e-4);
        CHECK_NEAR((r.corners[1].y + r.corners[3].y) / 2, 50, 1e-4);
    }
}

/* A quarter of a half turn: (20, 10) and (-10, 20) of half sides turn to 45 degrees. */
TEST(corners_of_a_rotated_box_go_clockwise_from_the_upper_left)
{
    const struct letterbox l = letterbox_fit(FIT_CENTRE, 1, 640, 640, 640, 640);
    const struct candidate c = turned(100, 100, 40, 20, 0.7853981634f);
    const struct rotated_box r = rotated_of(&c, &l);
    const double k = 0.7071067812;

    CHECK_NEAR(r.corners[0].x, 100 - 20 * k + 10 * k, 1e-3);
    CHECK_NEAR(r.corners[0].y, 100 - 20 * k - 10 * k, 1e-3);
    CHECK_NEAR(r.corners[1].x, 100 + 20 * k + 10 * k, 1e-3);
    CHECK_NEAR(r.corners[1].y, 100 + 20 * k - 10 * k, 1e-3);
    CHECK_NEAR(r.corners[2].y, 100 + 20 * k + 10 * k, 1e-3);
}

/* The short cuts change nothing: against a plain reading of the rule, on many seeded boxes. */
TEST(nms_of_rotated_boxes_equals_its_definition)
{
    enum { N = 400 };
    static struct candidate c[N], sorted[N];
    uint32_t seed = 7;

    for (int round = 0; round < 4; round++) {
        const float iou = (float[]){ 0, 0.2f, 0.5f, 0.9f }[round];
        size_t kept = 0, want = 0;
        for (int i = 0; i < N; i++) {
            float r[6];
            for (int k = 0; k < 6; k++)
                r[k] = (float)((seed = seed * 1664525u + 1013904223u) >> 8) / 16777216.0f;
            c[i] = turned(r[0] * 200, r[1] * 200, 1 + r[2] * 60, 1 + r[3] * 20, r[4] * 3);
            c[i].score = 1 - (float)i / N;
            c[i].label = r[5] < 0.5f;
        }
        memcpy(sorted, c, sizeof c);
        REQUIRE(nms_rotated(c, N, iou, round & 1, N, &kept));
        for (size_t i = 0; i < N; i++) {
            bool keep = true;
            for (size_t k = 0; k < i; k++)
                keep = keep && !((round & 1 || sorted[k].label == sorted[i].label) &&
                                 rotated_overlap(&sorted[k], &sorted[i]) >= iou);
            if (keep && want < kept)
                CHECK_NEAR(c[want].score, sorted[i].score, 0);
            want += keep;
        }
        printf("# iou %.1f keeps %zu\n", (double)iou, kept);
        CHECK_SIZE(kept, want);
    }
}
