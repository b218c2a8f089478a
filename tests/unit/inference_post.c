/* From raw numbers to boxes: letterbox, heads, non-maximum suppression, each by hand-computed cases. */
#include "tests/unit/test.h"

#include "inference/letterbox.h"
#include "inference/post/head.h"
#include "inference/post/nms.h"

static struct detection box(int label, float score, float x0, float y0, float x1, float y1)
{
    return (struct detection){ .label = label, .score = score, .x0 = x0, .y0 = y0, .x1 = x1, .y1 = y1 };
}

TEST(nms_drops_the_weaker_of_two_overlapping_boxes_of_one_class)
{
    struct detection d[] = { box(0, 0.8f, 10, 10, 50, 50), box(0, 0.9f, 12, 12, 52, 52),
                             box(1, 0.85f, 12, 12, 52, 52), box(0, 0.7f, 90, 90, 99, 99) };

    REQUIRE(detections_sort(d, 4));
    CHECK_SIZE(nms(d, 4, 0.5f, 300), 3);
    CHECK_NEAR(d[0].score, 0.9, 1e-6);
    CHECK_I64(d[1].label, 1);
    CHECK_NEAR(d[2].x0, 90, 0);
}

TEST(nms_keeps_boxes_that_overlap_by_exactly_the_threshold)
{
    struct detection d[] = { box(0, 0.9f, 0, 0, 10, 10), box(0, 0.8f, 0, 0, 10, 5) };

    CHECK_NEAR(detection_iou(&d[0], &d[1]), 0.5, 0);
    CHECK_SIZE(nms(d, 2, 0.5f, 300), 2);
    CHECK_SIZE(nms(d, 2, 0.49f, 300), 1);
}

TEST(nms_stops_at_the_most_wanted)
{
    struct detection d[5];

    for (int i = 0; i < 5; i++)
        d[i] = box(0, 1 - (float)i / 10, (float)i * 20, 0, (float)i * 20 + 10, 10);
    CHECK_SIZE(nms(d, 5, 0.5f, 3), 3);
    CHECK_SIZE(nms(d, 0, 0.5f, 3), 0);
}

TEST(equal_scores_keep_their_order_and_nan_ranks_last)
{
    struct detection d[] = { box(7, NAN, 0, 0, 1, 1), box(1, 0.5f, 0, 0, 1, 1), box(2, 0.5f, 0, 0, 1, 1),
                             box(3, 0.6f, 0, 0, 1, 1) };

    REQUIRE(detections_sort(d, 4));
    CHECK_I64(d[0].label, 3);
    CHECK_I64(d[1].label, 1);
    CHECK_I64(d[2].label, 2);
    CHECK_I64(d[3].label, 7);
}

TEST(boxes_without_area_overlap_nothing)
{
    const struct detection line = box(0, 1, 5, 0, 5, 10), wide = box(0, 1, 0, 0, 10, 10);

    CHECK_NEAR(detection_iou(&line, &wide), 0, 0);
    CHECK_NEAR(detection_iou(&line, &line), 0, 0);
}

/* Width, height, side; then gain, left, top and the scaled size, computed by hand from the rule. */
TEST(the_letterbox_places_pictures_as_training_tools_do)
{
    static const struct {
        int w, h, side, scaled_w, scaled_h, left, top;
    } cases[] = {
        { 810, 1080, 640, 480, 640, 80, 0 }, { 1280, 720, 640, 640, 360, 0, 140 },
        { 640, 640, 640, 640, 640, 0, 0 },   { 100, 50, 640, 640, 320, 0, 160 },
        { 641, 427, 640, 640, 426, 0, 107 }, { 1, 10000, 64, 1, 64, 31, 0 },
        { 333, 500, 640, 426, 640, 107, 0 }, { 501, 333, 640, 640, 425, 0, 107 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct letterbox l = letterbox_fit(cases[i].w, cases[i].h, cases[i].side, cases[i].side);
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
    const struct letterbox l = letterbox_fit(2, 1, 2, 2);

    REQUIRE(letterbox_draw(&l, rgb, planes));
    CHECK_I64(l.top, 0);
    for (int c = 0; c < 3; c++) {
        CHECK_NEAR(planes[c * 4] * 255, rgb[c], 1e-4);
        CHECK_NEAR(planes[c * 4 + 1] * 255, rgb[3 + c], 1e-4);
        CHECK_NEAR(planes[c * 4 + 2] * 255, 114, 1e-4);
        CHECK_NEAR(planes[c * 4 + 3] * 255, 114, 1e-4);
    }
}

TEST(boxes_return_to_the_picture_and_are_clipped_to_it)
{
    const struct letterbox l = letterbox_fit(810, 1080, 640, 640);
    struct detection d = box(0, 1, 80, 0, 560, 640), outside = box(0, 1, -10, -5, 700, 650);

    letterbox_undo(&l, &d);
    CHECK_NEAR(d.x0, 0, 1e-3);
    CHECK_NEAR(d.x1, 810, 1e-3);
    CHECK_NEAR(d.y1, 1080, 1e-3);
    letterbox_undo(&l, &outside);
    CHECK_NEAR(outside.x0, 0, 0);
    CHECK_NEAR(outside.y0, 0, 0);
    CHECK_NEAR(outside.x1, 810, 0);
    CHECK_NEAR(outside.y1, 1080, 0);
}

static struct head detect(int64_t a, int64_t b, size_t nclasses, bool end_to_end, char why[160])
{
    const struct value v = { .type = DTYPE_F32, .rank = 3, .dims = { 1, a, b } };

    why[0] = '\0';
    return head_detect(&v, nclasses, end_to_end, why, 160);
}

TEST(heads_are_told_by_shape_and_class_names)
{
    char why[160];
    struct head h = detect(84, 8400, 0, false, why);

    CHECK_I64(h.kind, HEAD_ANCHORS);
    CHECK_SIZE(h.nclasses, 80);
    CHECK_SIZE(h.n, 8400);
    CHECK(!h.by_anchor);
    CHECK(detect(8400, 84, 80, false, why).by_anchor);
    CHECK_I64(detect(84, 84, 80, false, why).kind, HEAD_ANCHORS);
    CHECK_I64(detect(300, 6, 80, true, why).kind, HEAD_ROWS);
    CHECK_I64(detect(8400, 6, 2, false, why).kind, HEAD_ANCHORS);
    CHECK_I64(detect(300, 6, 2, true, why).kind, HEAD_ROWS);
    CHECK_I64(detect(25200, 85, 80, false, why).kind, HEAD_NONE);
    CHECK(strstr(why, "objectness") != NULL);
    CHECK_I64(detect(116, 8400, 80, false, why).kind, HEAD_NONE);
    CHECK(strstr(why, "80 class names") != NULL);
    CHECK_I64(detect(8400, 84, 0, false, why).kind, HEAD_NONE);
    CHECK(why[0] != '\0');
}

TEST(anchors_decode_in_both_orders_with_the_best_class)
{
    /* two anchors, three classes; the second is below the threshold */
    const float by_row[] = { 10, 50, 20, 60, 4, 8, 6, 10, 0.1f, 0.2f, 0.7f, 0.25f, 0.3f, 0.1f };
    float by_anchor[14];
    struct detection d[2];
    struct head h = { HEAD_ANCHORS, false, 3, 2 };

    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 7; k++)
            by_anchor[i * 7 + k] = by_row[k * 2 + i];
    for (int turn = 0; turn < 2; turn++) {
        h.by_anchor = turn == 1;
        REQUIRE(head_candidates(&h, turn ? by_anchor : by_row, 0.25f, d) == 1);
        CHECK_I64(d[0].label, 1);
        CHECK_NEAR(d[0].score, 0.7, 1e-6);
        CHECK_NEAR(d[0].x0, 8, 0);
        CHECK_NEAR(d[0].y0, 17, 0);
        CHECK_NEAR(d[0].x1, 12, 0);
        CHECK_NEAR(d[0].y1, 23, 0);
    }
}

TEST(numbers_that_are_not_finite_never_become_detections)
{
    const float nan_score[] = { 1, 1, 1, 1, NAN }, infinite_box[] = { INFINITY, 1, 1, 1, 0.9f };
    const float rows[] = { 0, 0,    1,   NAN, 0.9f, 0, 0, 0,    1,     1, NAN, 0, 0, 0,    1,
                           1, 0.9f, NAN, 0,   0,    1, 1, 0.9f, 1e30f, 0, 0,   1, 1, 0.9f, 1 };
    struct detection d[5];
    const struct head anchors = { HEAD_ANCHORS, false, 1, 1 }, end_to_end = { HEAD_ROWS, false, 2, 5 };

    CHECK_SIZE(head_candidates(&anchors, nan_score, 0, d), 0);
    CHECK_SIZE(head_candidates(&anchors, infinite_box, 0, d), 0);
    CHECK_SIZE(head_candidates(&end_to_end, rows, 0.5f, d), 2);
    CHECK_I64(d[1].label, 1);
}
