/*
 * RT-DETR as it is exported: by the Ultralytics package (one table of boxes in parts of the picture and
 * a score for each class) and by its authors (a second input with the picture's size; labels, boxes,
 * scores). The decoder is cut down to one layer, written with the nodes that both leave behind: the
 * best queries by TopK, features gathered, sampled at the boxes by GridSample.
 */
#include "tests/unit/inference_run.h"

#include "inference/card.h"
#include "inference/predictor.h"

enum { SIDE = 64, CELLS = 32 * 32, QUERIES = 300, CLASSES = 5, CHANNELS = 8 };

static void weights(struct buffer *g, const char *name, int rank, const int64_t dims[], uint64_t seed)
{
    float w[CHANNELS * 16];
    size_t n = 1;

    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    for (size_t i = 0; i < n; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        w[i] = (float)(seed >> 40) / (float)(1 << 24) - 0.5f;
    }
    onnx_floats(g, name, rank, dims, w);
}

static void with_axis(struct buffer *g, const char *type, const char *in, const char *out, int64_t axis)
{
    struct buffer a = { 0 };

    onnx_int_attribute(&a, "axis", axis);
    onnx_node(g, type, in, out, &a);
}

static void turn(struct buffer *g, const char *in, const char *out)
{
    struct buffer a = { 0 };

    onnx_ints_attribute(&a, "perm", 3, (const int64_t[]){ 0, 2, 1 });
    onnx_node(g, "Transpose", in, out, &a);
}

static void constants(struct buffer *g)
{
    onnx_ints(g, "flat", 3, (const int64_t[]){ 1, CHANNELS, CELLS });
    onnx_ints(g, "queries", 1, (const int64_t[]){ QUERIES });
    onnx_ints(g, "last", 1, (const int64_t[]){ -1 });
    onnx_ints(g, "two", 1, (const int64_t[]){ 2 });
    onnx_ints(g, "three", 1, (const int64_t[]){ 3 });
    onnx_ints(g, "zero", 1, (const int64_t[]){ 0 });
    onnx_ints(g, "one", 1, (const int64_t[]){ 1 });
    onnx_ints(g, "across", 3, (const int64_t[]){ 1, 1, CHANNELS });
    onnx_floats(g, "f2", 0, NULL, &(float){ 2 });
    onnx_floats(g, "f1", 0, NULL, &(float){ 1 });
    onnx_floats(g, "half", 0, NULL, &(float){ 0.5f });
    weights(g, "wf", 4, (const int64_t[]){ CHANNELS, 3, 2, 2 }, 1);
    weights(g, "wc", 2, (const int64_t[]){ CHANNELS, CLASSES }, 2);
    weights(g, "wb", 2, (const int64_t[]){ CHANNELS, 4 }, 3);
}

/* images to "boxes" [1, 300, 4], centres and sides in parts, and "logits" [1, 300, classes]. */
static struct buffer decoder(void)
{
    struct buffer g = { 0 }, stride = { 0 }, max = { 0 }, sample = { 0 };

    constants(&g);
    onnx_ints_attribute(&stride, "strides", 2, (const int64_t[]){ 2, 2 });
    onnx_node(&g, "Conv", "images wf", "conv", &stride);
    onnx_node(&g, "Relu", "conv", "features", NULL);
    onnx_node(&g, "Reshape", "features flat", "flattened", NULL);
    turn(&g, "flattened", "memory");
    onnx_node(&g, "MatMul", "memory wc", "all_scores", NULL);
    onnx_ints_attribute(&max, "axes", 1, (const int64_t[]){ -1 });
    onnx_int_attribute(&max, "keepdims", 0);
    onnx_node(&g, "ReduceMax", "all_scores", "best", &max);
    with_axis(&g, "TopK", "best queries", "top top_at", 1);
    onnx_node(&g, "Unsqueeze", "top_at last", "column", NULL);
    onnx_node(&g, "Tile", "column across", "at", NULL);
    with_axis(&g, "GatherElements", "memory at", "query", 1);
    onnx_node(&g, "MatMul", "query wb", "first_logits", NULL);
    onnx_node(&g, "Sigmoid", "first_logits", "reference", NULL);
    onnx_node(&g, "Slice", "reference zero two last", "centres", NULL);
    onnx_node(&g, "Mul", "centres f2", "doubled", NULL);
    onnx_node(&g, "Sub", "doubled f1", "places", NULL);
    onnx_node(&g, "Unsqueeze", "places two", "grid", NULL);
    onnx_text_attribute(&sample, "mode", "bilinear");
    onnx_text_attribute(&sample, "padding_mode", "zeros");
    onnx_int_attribute(&sample, "align_corners", 0);
    onnx_node(&g, "GridSample", "features grid", "sampled", &sample);
    onnx_node(&g, "Squeeze", "sampled three", "sampled3", NULL);
    turn(&g, "sampled3", "seen");
    onnx_node(&g, "Add", "query seen", "refined", NULL);
    onnx_node(&g, "MatMul", "refined wc", "logits", NULL);
    onnx_node(&g, "MatMul", "refined wb", "box_logits", NULL);
    onnx_node(&g, "Sigmoid", "box_logits", "parts", NULL);
    return g;
}

static struct buffer by_ultralytics(void)
{
    struct buffer g = decoder();

    onnx_value(&g, 11, "images", ONNX_FLOAT, 4, (const int64_t[]){ 1, 3, SIDE, SIDE });
    onnx_output(&g, "output0");
    onnx_node(&g, "Sigmoid", "logits", "scores", NULL);
    with_axis(&g, "Concat", "parts scores", "output0", -1);
    return onnx_model(&g, 17,
                      (const char *const[]){ "description", "Ultralytics rt-detr-l model", "task",
                                             "detect", "stride", "32", "imgsz", "[64, 64]", "batch", "1",
                                             "names", "{0: 'a', 1: 'b', 2: 'c', 3: 'd', 4: 'e'}",
                                             NULL });
}

/* Corners from centres, the best of all scores, labels and rows from their places. */
static struct buffer by_its_authors(void)
{
    struct buffer g = decoder(), to_float = { 0 };

    onnx_value(&g, 11, "images", ONNX_FLOAT, 4, (const int64_t[]){ -1, 3, SIDE, SIDE });
    onnx_value(&g, 11, "orig_target_sizes", ONNX_INT64, 2, (const int64_t[]){ -1, 2 });
    onnx_output(&g, "labels");
    onnx_output(&g, "boxes");
    onnx_output(&g, "scores");
    onnx_ints(&g, "four", 1, (const int64_t[]){ 4 });
    onnx_ints(&g, "classes", 1, (const int64_t[]){ CLASSES });
    onnx_ints(&g, "row", 2, (const int64_t[]){ 1, QUERIES * CLASSES });
    onnx_ints(&g, "wide", 3, (const int64_t[]){ 1, 1, 4 });
    onnx_ints(&g, "twice", 2, (const int64_t[]){ 1, 2 });
    onnx_node(&g, "Slice", "parts zero two last", "centre", NULL);
    onnx_node(&g, "Slice", "parts two four last", "sides", NULL);
    onnx_node(&g, "Mul", "sides half", "halves", NULL);
    onnx_node(&g, "Sub", "centre halves", "low", NULL);
    onnx_node(&g, "Add", "centre halves", "high", NULL);
    with_axis(&g, "Concat", "low high", "corners", -1);
    onnx_node(&g, "Tile", "orig_target_sizes twice", "sizes4", NULL);
    onnx_node(&g, "Unsqueeze", "sizes4 one", "sizes", NULL);
    onnx_int_attribute(&to_float, "to", ONNX_FLOAT);
    onnx_node(&g, "Cast", "sizes", "sizes_f", &to_float);
    onnx_node(&g, "Mul", "corners sizes_f", "scaled", NULL);
    onnx_node(&g, "Sigmoid", "logits", "all", NULL);
    onnx_node(&g, "Reshape", "all row", "all_row", NULL);
    with_axis(&g, "TopK", "all_row queries", "scores place", -1);
    onnx_node(&g, "Div", "place classes", "query_at", NULL);
    onnx_node(&g, "Mul", "query_at classes", "begin", NULL);
    onnx_node(&g, "Sub", "place begin", "labels", NULL);
    onnx_node(&g, "Unsqueeze", "query_at last", "query_column", NULL);
    onnx_node(&g, "Tile", "query_column wide", "query_wide", NULL);
    with_axis(&g, "GatherElements", "scaled query_wide", "boxes", 1);
    return onnx_model(&g, 17, NULL);
}

static void make_picture(uint8_t *rgb)
{
    uint64_t seed = 7;

    for (int i = 0; i < SIDE * SIDE * 3; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        rgb[i] = (uint8_t)(seed >> 33);
    }
}

/* The surest detection by the definitions: the table of the first export, run by the interpreter. */
static struct detection by_definition(const uint8_t *rgb)
{
    struct buffer m = by_ultralytics();
    struct opened_model o = { 0 };
    struct fault f = FAULT_INIT;
    struct detection best = { .label = -1 };
    struct value table = { 0 };
    float *x = malloc(sizeof(float) * SIDE * SIDE * 3);
    float *data[8] = { x };

    for (int i = 0; i < SIDE * SIDE * 3; i++)
        x[i] = (float)rgb[i % (SIDE * SIDE) * 3 + i / (SIDE * SIDE)] / 255;
    if (opened_model_read(m.p, m.n, &o, &f) != ST_OK || !o.bound ||
        !run_references(o.bound, data, &table))
        TEST_FAIL_("%s", f.detail);
    for (size_t i = 0; table.data && i < QUERIES * CLASSES; i++) {
        const float *r = value_f32(&table) + i / CLASSES * (4 + CLASSES);
        const float score = r[4 + i % CLASSES];

        if (score > best.score)
            best = (struct detection){ .label = (int)(i % CLASSES),
                                       .score = score,
                                       .x0 = fmaxf((r[0] - r[2] / 2) * SIDE, 0),
                                       .y0 = fmaxf((r[1] - r[3] / 2) * SIDE, 0),
                                       .x1 = fminf((r[0] + r[2] / 2) * SIDE, SIDE),
                                       .y1 = fminf((r[1] + r[3] / 2) * SIDE, SIDE) };
    }
    free(table.data);
    free(x);
    opened_model_free(&o);
    buffer_free(&m);
    return best;
}

static void check_export(struct buffer m, const char *family, int nclasses, const uint8_t *rgb,
                         const struct detection *want)
{
    const struct predict_options o = { .conf = 0.3f, .iou = 0.7f, .max_detections = 300 };
    struct predictor *d = NULL;
    struct prediction p = { 0 };
    struct fault f = FAULT_INIT;

    if (predictor_load(m.p, m.n, NULL, &d, &f) != ST_OK ||
        predictor_run(d, rgb, SIDE, SIDE, &o, &p, &f) != ST_OK) {
        TEST_FAIL_("%s: %s", family, f.detail);
    } else {
        CHECK_STR(predictor_card(d)->family, family);
        CHECK_I64(predictor_card(d)->task, TASK_DETECT);
        CHECK_I64(predictor_card(d)->nclasses, nclasses);
        CHECK(p.n > 1);
    }
    if (p.n) {
        CHECK_I64(p.items[0].label, want->label);
        CHECK_NEAR(p.items[0].score, want->score, 1e-4);
        CHECK_NEAR(p.items[0].x0, want->x0, 0.01);
        CHECK_NEAR(p.items[0].y0, want->y0, 0.01);
        CHECK_NEAR(p.items[0].x1, want->x1, 0.01);
        CHECK_NEAR(p.items[0].y1, want->y1, 0.01);
    }
    prediction_free(&p);
    predictor_free(d);
    buffer_free(&m);
}

TEST(both_exports_see_what_the_definitions_say)
{
    uint8_t *rgb = malloc((size_t)SIDE * SIDE * 3);
    struct detection want;

    make_picture(rgb);
    want = by_definition(rgb);
    CHECK(want.label >= 0 && want.score > 0.3f && want.x1 > want.x0);
    check_export(by_ultralytics(), "rtdetr", CLASSES, rgb, &want);
    check_export(by_its_authors(), "rtdetr-parts", 0, rgb, &want);
    free(rgb);
}

/* A picture twice as wide as high is stretched, not bordered: its boxes grow with it. */
TEST(pictures_are_stretched)
{
    uint8_t *rgb = calloc((size_t)SIDE * SIDE * 2, 3);
    struct buffer files[] = { by_ultralytics(), by_its_authors() };
    const struct predict_options o = { .conf = 0, .iou = 0.7f, .max_detections = 300 };

    for (int i = 0; i < 2; i++) {
        struct predictor *d = NULL;
        struct fault f = FAULT_INIT;
        int width = 0, height = 0;

        if (predictor_load(files[i].p, files[i].n, NULL, &d, &f) != ST_OK)
            TEST_FAIL_("%s", f.detail);
        else
            predictor_scaled_size(d, &o, SIDE * 2, SIDE, &width, &height);
        CHECK_I64(width, SIDE);
        CHECK_I64(height, SIDE);
        predictor_free(d);
        buffer_free(&files[i]);
    }
    free(rgb);
}

TEST(a_second_input_of_another_name_or_shape_is_refused)
{
    static const struct {
        const char *name;
        int type, rank;
        int64_t dims[2];
    } cases[] = { { "sizes", ONNX_INT64, 2, { 1, 2 } },
                  { "orig_target_sizes", ONNX_FLOAT, 2, { 1, 2 } },
                  { "orig_target_sizes", ONNX_INT64, 2, { 1, 4 } },
                  { "orig_target_sizes", ONNX_INT64, 1, { 2 } } };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = { 0 }, m;
        struct model_card *card = NULL;
        struct fault f = FAULT_INIT;

        onnx_value(&g, 11, "images", ONNX_FLOAT, 4, (const int64_t[]){ 1, 3, SIDE, SIDE });
        onnx_value(&g, 11, cases[i].name, cases[i].type, cases[i].rank, cases[i].dims);
        onnx_output(&g, "y");
        onnx_node(&g, "Relu", "images", "y", NULL);
        m = onnx_model(&g, 17, NULL);
        CHECK_I64(model_card_read(m.p, m.n, &card, &f), ST_OK);
        CHECK(card && !card->runnable && strstr(card->why_not, "2 inputs"));
        model_card_free(card);
        buffer_free(&m);
    }
}
