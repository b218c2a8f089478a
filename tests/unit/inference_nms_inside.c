/*
 * Detectors that suppress by themselves, as exporters write them, from the file to boxes on a picture.
 */
#include "tests/unit/test.h"

#include "inference/predictor.h"
#include "tests/unit/inference_nms_graphs.h"

enum { SIDE = 64, CELLS = 8, ANCHORS = CELLS * CELLS };

static const char *const named[] = { "names", "{0: 'cat', 1: 'dog'}", NULL };

/*
 * `cell_scores` [1, 2, 64]: the red and the green of the first pixel of each cell of 8 x 8; `rows` [1,
 * 4, 64] and `corners` [1, 64, 4]: corners of a box of 32 x 32 around the cell, divided by `unit`.
 */
static struct buffer detector(float unit)
{
    static float rows[4][ANCHORS], boxes[ANCHORS][4];
    struct buffer g = { 0 }, conv = { 0 };

    for (int i = 0; i < ANCHORS; i++)
        for (int k = 0; k < 4; k++)
            rows[k][i] = boxes[i][k] =
                (float)(8 * (k & 1 ? i / CELLS : i % CELLS) + (k < 2 ? -8 : 24)) / unit;
    onnx_input(&g, "images", 4, (const int64_t[]){ 1, 3, SIDE, SIDE });
    onnx_floats(&g, "w", 4, (const int64_t[]){ 2, 3, 1, 1 }, (const float[]){ 1, 0, 0, 0, 1, 0 });
    onnx_ints_attribute(&conv, "strides", 2, (const int64_t[]){ 8, 8 });
    onnx_node(&g, "Conv", "images w", "map", &conv);
    onnx_ints(&g, "flat", 3, (const int64_t[]){ 1, 2, ANCHORS });
    onnx_node(&g, "Reshape", "map flat", "cell_scores", NULL);
    onnx_floats(&g, "rows", 3, (const int64_t[]){ 1, 4, ANCHORS }, rows[0]);
    onnx_floats(&g, "corners", 3, (const int64_t[]){ 1, ANCHORS, 4 }, boxes[0]);
    return g;
}

static struct buffer ultralytics(void)
{
    struct buffer g = detector(1), concat = { 0 };

    onnx_output(&g, "y");
    onnx_int_attribute(&concat, "axis", 1);
    onnx_node(&g, "Concat", "rows cell_scores", "all", &concat);
    nms_ultralytics(&g, "all", "y", 2, 5, SIDE);
    return g;
}

static struct buffer flat(bool score_first, float unit)
{
    struct buffer g = detector(unit);

    onnx_output(&g, "y");
    nms_flat(&g, "corners", "cell_scores", "y", 100, score_first);
    return g;
}

/* Boxes, scores and integer labels in outputs of their own; and how many, before them, when counted. */
static struct buffer parts(bool counted)
{
    struct buffer g = detector(1);

    nms_flat(&g, "corners", "cell_scores", "unused", 100, true);
    if (counted) {
        onnx_output(&g, "num_dets");
        onnx_node(&g, "Shape", "kept", "kept_shape", NULL);
        nms_axis(&g, "Gather", "kept_shape image_at", "num_dets", "axis", 0);
    }
    onnx_output(&g, "box_f");
    onnx_output(&g, "score_i");
    onnx_output(&g, "labels");
    onnx_node(&g, "Squeeze", "class_i class_at", "labels", NULL);
    return g;
}

/* A score of 1 for class 0 in cell 3, 3, of 0.9 below it, of 0.8 for class 1 to the right. */
static uint8_t *picture(void)
{
    uint8_t *rgb = calloc(SIDE * SIDE, 3);

    if (rgb) {
        uint8_t *cell = rgb + (ptrdiff_t)(24 * SIDE + 24) * 3;
        cell[0] = 255;
        cell[8 * 3 + 1] = 204;
        cell[(ptrdiff_t)8 * SIDE * 3] = 230;
    }
    return rgb;
}

static const struct predict_options options = { .conf = 0.25f, .iou = 0.5f, .max_detections = 300 };

/* Takes the graph over. */
static void check_model(struct buffer *g, const char *family)
{
    struct buffer m = onnx_model(g, 17, named);
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;
    struct prediction p = { 0 };
    uint8_t *rgb = picture(), *black = calloc(SIDE * SIDE, 3);

    if (predictor_load(m.p, m.n, NULL, &d, &f) != ST_OK ||
        predictor_run(d, rgb, SIDE, SIDE, &options, &p, &f) != ST_OK) {
        TEST_FAIL_("%s: %s", family, f.detail);
    } else {
        CHECK_STR(predictor_card(d)->family, family);
        CHECK(predictor_card(d)->runnable);
        CHECK_SIZE(p.n, 2);
        for (size_t i = 0; i < p.n && i < 2; i++) {
            CHECK_I64(p.items[i].label, (int)i);
            CHECK_NEAR(p.items[i].score, i ? 0.8 : 1, 1e-5);
            CHECK_NEAR(p.items[i].x0, i ? 24 : 16, 1e-4);
            CHECK_NEAR(p.items[i].y1, 48, 1e-4);
        }
    }
    prediction_free(&p);
    if (d && predictor_run(d, black, SIDE, SIDE, &options, &p, &f) == ST_OK)
        CHECK_SIZE(p.n, 0);
    else
        TEST_FAIL_("%s: %s", family, f.detail);
    prediction_free(&p);
    free(rgb);
    free(black);
    predictor_free(d);
    buffer_free(&m);
}

TEST(an_ultralytics_export_with_nms_gives_its_boxes)
{
    struct buffer g = ultralytics();

    check_model(&g, "end2end");
}

TEST(rows_with_the_image_in_front_are_read_in_either_order)
{
    struct buffer g = flat(false, 1), h = flat(true, 1);

    check_model(&g, "kept-rows");
    check_model(&h, "kept-rows");
}

TEST(boxes_in_parts_of_the_input_are_scaled)
{
    struct buffer g = flat(true, SIDE);

    check_model(&g, "kept-rows");
}

TEST(boxes_scores_and_classes_may_be_outputs_of_their_own)
{
    struct buffer g = parts(false), h = parts(true);

    check_model(&g, "kept-parts");
    check_model(&h, "kept-parts");
}

TEST(without_a_known_layout_the_tensors_have_the_shapes_of_the_run)
{
    struct buffer g = detector(1), m;
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;
    struct prediction p = { 0 };
    uint8_t *rgb = picture();
    char text[64];

    onnx_output(&g, "kept");
    nms_flat(&g, "corners", "cell_scores", "unused", 100, true);
    m = onnx_model(&g, 17, NULL);
    REQUIRE(predictor_load(m.p, m.n, NULL, &d, &f) == ST_OK);
    CHECK_STR(predictor_card(d)->family, "raw");
    REQUIRE(predictor_run(d, rgb, SIDE, SIDE, &options, &p, &f) == ST_OK);
    REQUIRE(p.ntensors == 1);
    CHECK_STR(value_shape_text(&p.tensors[0].value, text, sizeof text), "2x3");
    CHECK_I64(value_get_i64(&p.tensors[0].value, 2), 27);
    prediction_free(&p);
    predictor_free(d);
    buffer_free(&m);
    free(rgb);
}
