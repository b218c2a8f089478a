/*
 * Families of heads: how each is told by shapes and metadata, and what one anchor of each decodes to,
 * computed by hand.
 */
#include "tests/unit/test.h"

#include <stdarg.h>
#include "inference/post/finish.h"

/* Facts of a 640 x 640 model; outputs by outputs_of. */
static struct head_facts facts_of(size_t nclasses, int task)
{
    struct head_facts f = { .input_height = 640, .input_width = 640, .nclasses = nclasses };

    f.task_known = task >= 0;
    f.task = task >= 0 ? (enum model_task)task : TASK_DETECT;
    return f;
}

static void add_output(struct head_facts *f, const char *made_by, int rank, ...)
{
    struct output_fact *o = &f->outputs[f->noutputs++];
    va_list dims;

    *o = (struct output_fact){ .v = { .type = DTYPE_F32, .rank = rank }, .made_by = made_by };
    va_start(dims, rank);
    for (int i = 0; i < rank; i++)
        o->v.dims[i] = va_arg(dims, int);
    va_end(dims);
}

static const char *name_of(const struct head_facts *f)
{
    char why[160] = "";
    struct head h;

    if (head_recognise(f, NULL, &h, why, sizeof why))
        return head_name(&h);
    CHECK(why[0] != '\0');
    return "raw";
}

struct shape_case {
    int nclasses, task, a, b;
    bool end_to_end, focus, exponential;
    const char *want;
};

TEST(families_of_one_table_are_told_by_shape_and_class_names)
{
    static const struct shape_case cases[] = {
        { 0, -1, 84, 8400, false, false, false, "yolov8" },
        { 80, -1, 8400, 84, false, false, false, "yolov8" },
        { 80, TASK_DETECT, 84, 84, false, false, false, "yolov8" },
        { 80, TASK_DETECT, 116, 8400, false, false, false, "raw" },
        { 15, TASK_OBB, 20, 8400, false, false, false, "yolov8" },
        { 1, TASK_POSE, 56, 8400, false, false, false, "yolov8" },
        { 1, TASK_POSE, 57, 8400, false, false, false, "raw" },
        { 2, -1, 8400, 6, false, false, false, "yolov8" },
        { 2, -1, 300, 6, true, false, false, "end2end" },
        { 2, -1, 300, 6, false, false, false, "rtdetr" },
        { 2, -1, 301, 6, false, false, false, "yolov8" },
        { 80, -1, 300, 6, false, false, false, "end2end" },
        { 15, TASK_OBB, 300, 7, true, false, false, "end2end" },
        { 1, TASK_POSE, 300, 57, true, false, false, "end2end" },
        { 80, -1, 300, 84, false, false, false, "rtdetr" },
        { 80, -1, 25200, 85, false, false, false, "yolov5" },
        { 0, -1, 25200, 85, false, false, false, "yolov5" },
        { 0, -1, 25200, 7, false, true, false, "yolov5" },
        { 0, -1, 8400, 85, false, true, false, "yolox" },
        { 0, -1, 8400, 85, false, true, true, "yolox" },
        { 0, -1, 8400, 85, false, false, false, "yolov6" },
        { 0, -1, 8400, 84, false, false, false, "yolov8" },
        { 0, -1, 8500, 112, false, false, false, "nanodet-plus" },
        { 0, -1, 8400, 3, false, false, false, "raw" },
        { 0, -1, 80, 6625, false, false, false, "raw" }, /* text, letter by letter */
        { 10, TASK_CLASSIFY, 84, 8400, false, false, false, "raw" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct shape_case *c = &cases[i];
        struct head_facts f = facts_of((size_t)c->nclasses, c->task);
        f.end_to_end = c->end_to_end;
        f.focus = c->focus;
        f.exponential = c->exponential;
        f.keypoints = c->task == TASK_POSE ? 17 : 0;
        f.keypoint_dims = c->task == TASK_POSE ? 3 : 0;
        add_output(&f, "Sigmoid", 3, 1, c->a, c->b);
        printf("# %d x %d\n", c->a, c->b);
        CHECK_STR(name_of(&f), c->want);
    }
}

TEST(families_of_several_outputs_are_told_too)
{
    struct head_facts f = facts_of(0, -1);
    struct head h;
    char why[160];

    add_output(&f, "Concat", 3, 1, 116, 8400);
    add_output(&f, "Mul", 4, 1, 32, 160, 160);
    CHECK_STR(name_of(&f), "yolov8");
    REQUIRE(head_recognise(&f, NULL, &h, why, sizeof why));
    CHECK_I64(h.task, TASK_SEGMENT);
    CHECK_SIZE(h.nclasses, 80);
    CHECK_SIZE(h.nmasks, 32);
    CHECK_SIZE(h.extra_at, 84);
    CHECK(!head_recognise(&f, "yunet", &h, why, sizeof why));
    CHECK(strstr(why, "yunet") != NULL && h.family == NULL);

    f = facts_of(0, -1);
    add_output(&f, "Softmax", 3, 1, 4420, 2);
    add_output(&f, "Concat", 3, 1, 4420, 4);
    CHECK_STR(name_of(&f), "ultraface");
    f.input_width = 320;
    f.input_height = 240;
    f.outputs[1].made_by = "Conv";
    CHECK_STR(name_of(&f), "ultraface");
    f.input_height = 320; /* another number of priors */
    CHECK_STR(name_of(&f), "raw");

    f = facts_of(0, -1);
    add_output(&f, "Sigmoid", 3, 1, 100, 4);
    add_output(&f, "Sigmoid", 3, 1, 100, 20);
    CHECK_STR(name_of(&f), "ssd");

    f = facts_of(0, -1);
    add_output(&f, "Sigmoid", 4, 1, 1, 640, 640);
    CHECK_STR(name_of(&f), "dbnet");
    f = facts_of(0, -1);
    add_output(&f, "Softmax", 4, 1, 85, 40, 40);
    CHECK_STR(name_of(&f), "fastestdet");
    f = facts_of(0, -1);
    add_output(&f, "Gemm", 2, 1, 1000);
    CHECK_STR(name_of(&f), "classifier");
    f = facts_of(1000, TASK_CLASSIFY);
    f.from_yolo = true;
    add_output(&f, "Softmax", 4, 1, 1000, 1, 1);
    CHECK_STR(name_of(&f), "yolo-classify");
    REQUIRE(head_recognise(&f, "yolov5-classify", &h, why, sizeof why));
    CHECK_STR(head_name(&h), "yolov5-classify");
}

/* Recognises and decodes. Up to four outputs; the caller frees. */
static struct candidates decode(const struct head_facts *f, const char *family, float conf,
                                struct head *h, const float *a, const float *b, const float *c)
{
    struct candidates found = { 0 };
    struct value out[HEAD_OUTPUTS] = { 0 };
    const float *data[] = { a, b, c };
    char why[160] = "";

    for (size_t i = 0; i < f->noutputs; i++) {
        out[i] = f->outputs[i].v;
        out[i].data = (void *)(uintptr_t)data[i < 3 ? i : 2];
    }
    if (!head_recognise(f, family, h, why, sizeof why))
        TEST_FAIL_("%s", why);
    else
        h->family->decode(h, out, conf, &found);
    return found;
}

static void check_box(const struct candidate *c, int label, double score, double x0, double y0,
                      double x1, double y1)
{
    CHECK_I64(c->label, label);
    CHECK_NEAR(c->score, score, 1e-5);
    CHECK_NEAR(c->x0, x0, 1e-3);
    CHECK_NEAR(c->y0, y0, 1e-3);
    CHECK_NEAR(c->x1, x1, 1e-3);
    CHECK_NEAR(c->y1, y1, 1e-3);
}

TEST(yolov8_decodes_in_both_orders_with_the_best_class)
{
    enum { ANCHORS = 40, COLUMNS = 7 }; /* more than one block of the fast path, and a rest */
    float by_column[COLUMNS * ANCHORS] = { 0 }, by_row[COLUMNS * ANCHORS] = { 0 };
    static const int places[] = { 3, 17, 39 };

    for (size_t i = 0; i < 3; i++) {
        const float row[COLUMNS] = { 10, 20, 4, 6, 0.1f, 0.7f, 0.25f };
        for (int k = 0; k < COLUMNS; k++) {
            by_column[k * ANCHORS + places[i]] = row[k];
            by_row[places[i] * COLUMNS + k] = row[k];
        }
    }
    by_column[4 * ANCHORS + 5] = by_row[5 * COLUMNS + 4] = 0.25f; /* equal to the threshold: not above */
    for (int turn = 0; turn < 2; turn++) {
        struct head_facts f = facts_of(3, TASK_DETECT);
        struct candidates c;
        struct head h;
        add_output(&f, "", 3, 1, turn ? ANCHORS : COLUMNS, turn ? COLUMNS : ANCHORS);
        c = decode(&f, "yolov8", 0.25f, &h, turn ? by_row : by_column, NULL, NULL);
        REQUIRE(c.n == 3);
        for (size_t i = 0; i < 3; i++) {
            check_box(&c.items[i], 1, 0.7, 8, 17, 12, 23);
            CHECK_I64(c.items[i].row, places[i]);
        }
        candidates_free(&c);
    }
}

TEST(yolov8_finds_ties_by_the_lower_class_and_survives_what_is_no_number)
{
    static const float rows[] = { 1, 1,   2,    2,        0.5f, 0.5f, 1, 1,    2,
                                  2, NAN, 0.4f, INFINITY, 1,    2,    2, 0.9f, 0 };
    struct head_facts f = facts_of(2, TASK_DETECT);
    struct candidates c;
    struct head h;

    add_output(&f, "", 3, 1, 3, 6);
    c = decode(&f, "yolov8", 0.25f, &h, rows, NULL, NULL);
    REQUIRE(c.n == 2);
    CHECK_I64(c.items[0].label, 0);
    check_box(&c.items[1], 1, 0.4, 0, 0, 2, 2);
    candidates_free(&c);
}

TEST(rotated_rows_carry_their_angle)
{
    static const float v8[] = { 100, 50, 40, 20, 0.9f, 0.3f }, /* x y w h, one class, angle */
        rows[] = { 100, 50, 40, 20, 0.9f, 0, 0.3f };
    struct head_facts f = facts_of(1, TASK_OBB);
    struct candidates c;
    struct head h;

    add_output(&f, "", 3, 1, 1, 6);
    c = decode(&f, "yolov8", 0.25f, &h, v8, NULL, NULL);
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 0, 0.9, 80, 40, 120, 60);
    CHECK_NEAR(c.items[0].angle, 0.3, 1e-6);
    candidates_free(&c);
    f.noutputs = 0;
    add_output(&f, "", 3, 1, 1, 7);
    c = decode(&f, "end2end", 0.25f, &h, rows, NULL, NULL);
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 0, 0.9, 80, 40, 120, 60);
    CHECK_NEAR(c.items[0].angle, 0.3, 1e-6);
    candidates_free(&c);
}

TEST(key_points_come_from_the_table)
{
    static const float row[] = { 1, 2, 3, 4, 0.9f, 0, 11, 12, 0.5f, 21, 22, 1.5f };
    struct head_facts f = facts_of(1, TASK_POSE);
    struct value out[HEAD_OUTPUTS] = { 0 };
    struct keypoint k[2];
    struct candidates c;
    struct head h;

    f.keypoints = 2;
    f.keypoint_dims = 3;
    f.end_to_end = true;
    add_output(&f, "", 3, 1, 1, 12);
    c = decode(&f, NULL, 0.25f, &h, row, NULL, NULL);
    REQUIRE(c.n == 1 && h.nkeypoints == 2);
    out[0].data = (void *)(uintptr_t)row;
    head_keypoints(&h, out, &c.items[0], k);
    CHECK_NEAR(k[0].x, 11, 0);
    CHECK_NEAR(k[0].visibility, 0.5, 0);
    CHECK_NEAR(k[1].y, 22, 0);
    CHECK_NEAR(k[1].visibility, 1, 0); /* 0..1 */
    candidates_free(&c);
}

TEST(finished_rows_are_taken_as_they_are)
{
    static const float rows[] = { 0,    0, 1,    NAN, 0.9f, 0, 9,    8, 1,    1,     0.8f, 0, 0,    0,
                                  1,    1, 0.9f, NAN, 0,    0, 1,    1, 0.9f, 1e30f, 0,    0, 1,    1,
                                  0.9f, 1, 0,    0,   1,    1, 0.5f, 1, 0,    0,     1,    1, 0.9f, 2 };
    struct head_facts f = facts_of(2, TASK_DETECT);
    struct candidates c;
    struct head h;

    f.end_to_end = true;
    add_output(&f, "", 3, 1, 7, 6);
    c = decode(&f, NULL, 0.5f, &h, rows, NULL, NULL);
    REQUIRE(c.n == 2); /* not the NaN, the classes that do not exist, and the score of just 0.5 */
    check_box(&c.items[0], 0, 0.8, 1, 1, 9, 8);
    check_box(&c.items[1], 1, 0.9, 0, 0, 1, 1);
    candidates_free(&c);
}

TEST(objectness_multiplies_the_class)
{
    static const float rows[] = { 10, 20, 4, 6, 0.5f, 0.4f, 0.8f, 10, 20, 4, 6, 0.9f, 0.2f, 0.25f };
    struct head_facts f = facts_of(2, TASK_DETECT);
    struct candidates c;
    struct head h;

    add_output(&f, "", 3, 1, 2, 7);
    c = decode(&f, "yolov5", 0.25f, &h, rows, NULL, NULL);
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 1, 0.4, 8, 17, 12, 23);
    candidates_free(&c);
}

/* 32 x 32 input: 16 + 4 + 1 cells; cell 17 is (1, 0) of stride 16. */
TEST(yolox_is_relative_to_its_cell)
{
    float rows[21 * 6] = { 0 };
    const float one[] = { 0.25f, 0.5f, 0.6931472f, 0, 0.8f, 0.5f };
    struct head_facts f = facts_of(1, -1);
    struct candidates c;
    struct head h;

    memcpy(rows + 17 * 6, one, sizeof one);
    f.input_width = f.input_height = 32;
    f.focus = true;
    add_output(&f, "", 3, 1, 21, 6);
    c = decode(&f, NULL, 0.3f, &h, rows, NULL, NULL);
    CHECK_STR(head_name(&h), "yolox");
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 0, 0.4, 20 - 16, 8 - 8, 20 + 16, 8 + 8);
    candidates_free(&c);
    f.exponential = true; /* finished in the graph */
    c = decode(&f, NULL, 0.3f, &h, rows, NULL, NULL);
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 0, 0.4, 0.25 - 0.34657, 0.5, 0.25 + 0.34657, 0.5);
    candidates_free(&c);
}

/* 2 x 2 cells over 32 pixels; cell 2 is (0, 1). */
TEST(fastestdet_weighs_objectness_and_class)
{
    float table[6 * 4] = { 0 };
    const float one[] = {
        0.81f, 0.5493061f, 0, 0, -1.0986123f, 0.64f
    }; /* tanh 0.5; sigmoid 0.5, 0.25 */
    struct head_facts f = facts_of(0, -1);
    struct candidates c;
    struct head h;

    for (int k = 0; k < 6; k++)
        table[k * 4 + 2] = one[k];
    f.input_width = f.input_height = 32;
    add_output(&f, "", 4, 1, 6, 2, 2);
    c = decode(&f, "fastestdet", 0.3f, &h, table, NULL, NULL);
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 0, pow(0.81, 0.6) * pow(0.64, 0.4), 8 - 8, 16 - 4, 8 + 8, 16 + 4);
    candidates_free(&c);
}

/* Distances of 1, 2, 3 and 4 bins with certainty. 85 = 64 + 16 + 4 + 1 cells over 64 pixels. */
TEST(nanodet_plus_averages_its_bins_and_measures_from_the_corner)
{
    static float rows[85 * 33];
    struct head_facts f = facts_of(1, -1);
    struct candidates c;
    struct head h;

    for (int side = 0; side < 4; side++)
        rows[66 * 33 + 1 + side * 8 + side + 1] = 100;
    rows[66 * 33] = 0.75f;
    f.input_width = f.input_height = 64;
    add_output(&f, "Sigmoid", 3, 1, 85, 33);
    c = decode(&f, NULL, 0.5f, &h, rows, NULL, NULL);
    CHECK_STR(head_name(&h), "nanodet-plus");
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 0, 0.75, 32 - 16, 0 - 32, 32 + 48, 0 + 64); /* cell (2, 0) of stride 16 */
    f.outputs[0].made_by = "Conv"; /* logits: the threshold is one, too */
    candidates_free(&c);
    rows[66 * 33] = 0;
    for (int i = 0; i < 85; i++)
        rows[i * 33] = i == 66 ? 1.0986123f : -9;
    c = decode(&f, NULL, 0.5f, &h, rows, NULL, NULL);
    REQUIRE(c.n == 1);
    CHECK_NEAR(c.items[0].score, 0.75, 1e-5);
    candidates_free(&c);
}

TEST(ssd_leaves_the_background_out)
{
    static const float scores[] = { 0.1f, 0.2f, 0.7f, 0.9f, 0.05f, 0.05f },
                       boxes[] = { 0.5f, 0.25f, 0.25f, 0.75f, 0, 0, 1, 1 };
    struct head_facts f = facts_of(0, -1);
    struct candidates c;
    struct head h;

    add_output(&f, "Softmax", 3, 1, 2, 3);
    add_output(&f, "Concat", 3, 1, 2, 4);
    c = decode(&f, NULL, 0.5f, &h, scores, boxes, NULL);
    CHECK_STR(head_name(&h), "ssd");
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 1, 0.7, 160, 160, 320, 480);
    candidates_free(&c);
}

/* Raw UltraFace, 320 x 240: prior 1 is the 16 pixel square of the first cell, at (4, 4). */
TEST(ultraface_moves_its_priors)
{
    static float scores[4420 * 2], boxes[4420 * 4];
    struct head_facts f = facts_of(0, -1);
    struct candidates c;
    struct head h;

    scores[1 * 2 + 1] = scores[4419 * 2 + 1] = 0.9f;
    boxes[1 * 4] = 1;              /* a tenth of the side to the right */
    boxes[1 * 4 + 2] = 3.4657359f; /* twice as wide: ln 2 / 0.2 */
    f.input_width = 320;
    f.input_height = 240;
    add_output(&f, "Softmax", 3, 1, 4420, 2);
    add_output(&f, "Conv", 3, 1, 4420, 4);
    c = decode(&f, NULL, 0.5f, &h, scores, boxes, NULL);
    REQUIRE(c.n == 2);
    check_box(&c.items[0], 0, 0.9, 5.6 - 16, 4 - 8, 5.6 + 16, 4 + 8);
    check_box(&c.items[1], 0, 0.9, 288 - 128, 224 - 128, 288 + 128, 224 + 128);
    candidates_free(&c);
}

TEST(classes_without_softmax_get_one)
{
    static const float logits[] = { 0, 1.0986123f };
    struct head_facts f = facts_of(0, -1);
    struct candidates c;
    struct head h;

    add_output(&f, "Gemm", 2, 1, 2);
    c = decode(&f, NULL, 0.9f, &h, logits, NULL, NULL);
    REQUIRE(c.n == 2);
    CHECK_NEAR(c.items[1].score, 0.75, 1e-6);
    candidates_free(&c);
}

/* Of an 8 x 4 spot in a map of 32 x 32: widened by 8 * 4 * 1.5 / (8 + 4) = 4 in all. */
TEST(text_is_a_widened_rectangle_around_a_spot)
{
    static float map[32 * 32];
    struct head_facts f = facts_of(0, -1);
    struct candidates c;
    struct head h;

    for (int y = 10; y < 14; y++)
        for (int x = 12; x < 20; x++)
            map[y * 32 + x] = 0.8f;
    map[0] = 0.9f; /* a speck */
    f.input_width = f.input_height = 32;
    add_output(&f, "Sigmoid", 4, 1, 1, 32, 32);
    c = decode(&f, NULL, 0.5f, &h, map, NULL, NULL);
    REQUIRE(c.n == 1);
    check_box(&c.items[0], 0, 0.8, 10, 8, 22, 16);
    CHECK_NEAR(c.items[0].angle, 0, 1e-6);
    candidates_free(&c);
}

TEST(detections_end_at_the_limit_and_options_select)
{
    static float rows[400 * 6];
    struct head_facts f = facts_of(2, TASK_DETECT);
    struct value out[HEAD_OUTPUTS] = { 0 };
    const struct letterbox l = letterbox_fit(FIT_CENTRE, 1, 640, 640, 640, 640);
    struct predict_options o = { .conf = 0.1f, .iou = 0.5f, .max_detections = 300 };
    const int wanted[] = { 1 };
    struct head h;
    char why[160];

    for (int i = 0; i < 400; i++) {
        const float row[] = { 10 * (float)(i % 60) + 5, 10 * (float)(i / 60) + 5, 8, 8,
                              i & 1 ? 0.0f : 0.5f,      i & 1 ? 0.6f : 0 };
        memcpy(rows + i * 6, row, sizeof row);
    }
    add_output(&f, "", 3, 1, 400, 6);
    REQUIRE(head_recognise(&f, "yolov8", &h, why, sizeof why));
    out[0] = f.outputs[0].v;
    out[0].data = rows;
    for (int turn = 0; turn < 2; turn++) {
        struct prediction p = { .arena = arena_create(1 << 20) };
        struct fault fault = FAULT_INIT;
        REQUIRE(prediction_finish(&h, out, &l, &o, &p, &fault) == ST_OK);
        CHECK_SIZE(p.n, turn ? 200 : 300);
        CHECK_I64(p.items[0].label, 1);
        CHECK_NEAR(p.items[0].score, 0.6, 1e-6);
        CHECK_I64(p.items[p.n - 1].label, turn ? 1 : 0);
        prediction_free(&p);
        o.classes = wanted;
        o.nclasses = 1;
    }
}
