/*
 * The public face with tiny detectors that the test writes: cards, runs, options, input sizes, threads.
 */
#include "tests/unit/test.h"

#include <pthread.h>
#include "inference/predictor.h"
#include "tests/unit/inference_onnx_writer.h"

enum { CLASSES = 2, ROWS = 4 + CLASSES };

struct net {
    int64_t side; /* -1: dynamic */
    bool by_anchor;
    int64_t extra_rows; /* beyond 4 + CLASSES */
    const char *const *notes;
};

static const char *const named[] = { "names",       "{0: 'cat', 1: \"driver's seat\"}",
                                     "task",        "detect",
                                     "imgsz",       "[64, 64]",
                                     "stride",      "8",
                                     "description", "Ultralytics tinynet model",
                                     "version",     "8.1.2",
                                     NULL };

/*
 * One 1x1 convolution of stride 8 that answers the same box everywhere: centre (32, 32), 16 wide, 8
 * high. The score of class 0 is the red of the cell's first pixel, that of class 1 is 0.3.
 */
static struct buffer write_net(const struct net *n)
{
    const int64_t rows = ROWS + n->extra_rows, weight_dims[] = { rows, 3, 1, 1 };
    float weights[16 * 3] = { 0 }, bias[16] = { 32, 32, 16, 8, 0, 0.3f };
    struct buffer g = { 0 }, conv = { 0 }, turn = { 0 };

    weights[4 * 3] = 1;
    onnx_input(&g, "images", 4, (const int64_t[]){ 1, 3, n->side, n->side });
    onnx_output(&g, "y");
    onnx_floats(&g, "w", 4, weight_dims, weights);
    onnx_floats(&g, "b", 1, (const int64_t[]){ rows }, bias);
    onnx_ints_attribute(&conv, "strides", 2, (const int64_t[]){ 8, 8 });
    onnx_node(&g, "Conv", "images w b", "c", &conv);
    onnx_ints(&g, "shape", 3, (const int64_t[]){ 1, rows, -1 });
    onnx_node(&g, "Reshape", "c shape", n->by_anchor ? "r" : "y", NULL);
    onnx_ints_attribute(&turn, "perm", 3, (const int64_t[]){ 0, 2, 1 });
    if (n->by_anchor)
        onnx_node(&g, "Transpose", "r", "y", &turn);
    else
        buffer_free(&turn);
    return onnx_model(&g, 13, n->notes);
}

static struct predictor *load(const struct net *n)
{
    struct buffer m = write_net(n);
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;

    if (predictor_load(m.p, m.n, NULL, &d, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    buffer_free(&m);
    return d;
}

static struct model_card *card(const struct net *n)
{
    struct buffer m = write_net(n);
    struct fault f = FAULT_INIT;
    struct model_card *c = NULL;

    if (model_card_read(m.p, m.n, &c, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    buffer_free(&m);
    return c;
}

static const struct predict_options options = { .conf = 0.25f, .iou = 0.5f, .max_detections = 300 };

/* Red picture: class 0 scores 1. */
static uint8_t *red(int width, int height)
{
    uint8_t *rgb = calloc((size_t)width * (size_t)height, 3);

    for (int i = 0; rgb && i < width * height; i++)
        rgb[i * 3] = 255;
    return rgb;
}

TEST(a_card_says_what_the_metadata_says)
{
    struct model_card *c = card(&(struct net){ .side = 64, .notes = named });

    REQUIRE(c != NULL);
    CHECK_I64(c->format, MODEL_ONNX);
    CHECK(c->task_known && c->task == TASK_DETECT);
    CHECK_I64(c->input_width, 64);
    CHECK_I64(c->nclasses, 2);
    CHECK_STR(c->class_names[0], "cat");
    CHECK_STR(c->class_names[1], "driver's seat");
    CHECK_I64(c->parameters, ROWS * 3 + ROWS);
    CHECK_STR(c->architecture, "tinynet");
    CHECK_STR(c->version, "8.1.2");
    CHECK(c->runnable);
    CHECK_STR(c->why_not, "");
    model_card_free(c);
}

TEST(without_metadata_the_shapes_speak)
{
    struct model_card *c = card(&(struct net){ .side = 64 });

    REQUIRE(c != NULL);
    CHECK_I64(c->nclasses, 2);
    CHECK_STR(c->class_names[1], "class1");
    CHECK_STR(c->architecture, "tests");
    CHECK(c->runnable);
    model_card_free(c);
}

TEST(a_model_that_cannot_run_says_why)
{
    static const char *const segment[] = { "task", "segment", "names", "['a', 'b']", NULL };
    static const char *const three[] = { "names", "{0: 'a', 1: 'b', 2: 'c'}", NULL };
    struct model_card *c = card(&(struct net){ .side = 64, .notes = segment });
    struct buffer m = write_net(&(struct net){ .side = 64, .notes = segment });
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;

    REQUIRE(c != NULL);
    CHECK(!c->runnable);
    CHECK_I64(c->task, TASK_SEGMENT);
    CHECK(strstr(c->why_not, "segment") != NULL);
    model_card_free(c);
    CHECK_I64(predictor_load(m.p, m.n, &(struct load_options){ .family = "yolov8" }, &d, &f),
              ST_UNSUPPORTED);
    CHECK(strstr(f.detail, "yolov8") != NULL);
    buffer_free(&m);
    c = card(&(struct net){ .side = 64, .notes = three });
    REQUIRE(c != NULL);
    CHECK(!c->runnable);
    CHECK(strstr(c->why_not, "3 class names") != NULL);
    CHECK_I64(c->nclasses, 3);
    model_card_free(c);
}

/* What no family knows is run all the same. */
TEST(a_model_without_a_known_head_gives_its_tensors)
{
    static const char *const three[] = { "names", "{0: 'a', 1: 'b', 2: 'c'}", NULL };
    struct predictor *d = load(&(struct net){ .side = 64, .notes = three });
    uint8_t *rgb = red(64, 64);
    struct prediction p = { 0 };
    struct fault f = FAULT_INIT;

    REQUIRE(d && rgb);
    CHECK_STR(predictor_card(d)->family, "raw");
    REQUIRE(predictor_run(d, rgb, 64, 64, &options, &p, &f) == ST_OK);
    CHECK_SIZE(p.n, 0);
    REQUIRE(p.ntensors == 1);
    CHECK_STR(p.tensors[0].name, "y");
    CHECK_I64(p.tensors[0].value.dims[1], ROWS);
    CHECK_I64(p.tensors[0].value.dims[2], 64);
    CHECK_NEAR(value_f32(&p.tensors[0].value)[4 * 64], 1, 1e-5);
    prediction_free(&p);
    predictor_free(d);
    free(rgb);
}

/* Seven rows of which the last is an angle, a mask's or a point's: the whole way back to the picture. */
TEST(a_declared_task_decides_what_the_rows_mean)
{
    static const char *const turned[] = {
        "names", "['a', 'b']", "task", "obb", "imgsz", "[64, 64]", NULL
    };
    static const char *const posed[] = { "names",  "['a', 'b']", "task",     "pose", "kpt_shape",
                                         "[1, 2]", "imgsz",      "[64, 64]", NULL };
    uint8_t *rgb = red(128, 64);

    for (int pose = 0; pose < 2; pose++) {
        struct predictor *d = load(
            &(struct net){ .side = 64, .extra_rows = pose ? 2 : 1, .notes = pose ? posed : turned });
        struct prediction p = { 0 };
        struct fault f = FAULT_INIT;
        REQUIRE(d && rgb && predictor_run(d, rgb, 128, 64, &options, &p, &f) == ST_OK);
        CHECK_I64(predictor_card(d)->task, pose ? TASK_POSE : TASK_OBB);
        REQUIRE(p.n == 1);
        CHECK_NEAR(p.items[0].x0, 48, 1e-3);
        CHECK_NEAR(p.items[0].y1, 40, 1e-3);
        REQUIRE(pose ? p.items[0].nkeypoints == 1 : p.items[0].rotated != NULL);
        if (pose) { /* (0, 0) of the input lies in the border above the picture */
            CHECK_NEAR(p.items[0].keypoints[0].x, 0, 0);
            CHECK_NEAR(p.items[0].keypoints[0].y, 0, 0);
            CHECK_NEAR(p.items[0].keypoints[0].visibility, 1, 0);
        } else {
            CHECK_NEAR(p.items[0].rotated->width, 32, 1e-3);
            CHECK_NEAR(p.items[0].rotated->height, 16, 1e-3);
            CHECK_NEAR(p.items[0].rotated->angle, 0, 0);
        }
        prediction_free(&p);
        predictor_free(d);
    }
    free(rgb);
}

TEST(names_that_are_code_are_refused)
{
    static const char *const notes[] = { "names", "__import__('os').system('id')", NULL };
    struct buffer m = write_net(&(struct net){ .side = 64, .notes = notes });
    struct fault f = FAULT_INIT;
    struct model_card *c = NULL;

    CHECK_I64(model_card_read(m.p, m.n, &c, &f), ST_INVALID);
    CHECK(strstr(f.detail, "names") != NULL);
    buffer_free(&m);
}

/* A 128 x 64 picture in a 64 x 64 input: gain 0.5, 16 rows of grey above and below. */
TEST(a_box_comes_back_in_picture_pixels_best_first)
{
    uint8_t *rgb = red(128, 64);

    for (int by_anchor = 0; by_anchor < 2; by_anchor++) {
        struct predictor *d =
            load(&(struct net){ .side = 64, .by_anchor = by_anchor == 1, .notes = named });
        struct prediction p = { 0 };
        struct fault f = FAULT_INIT;
        REQUIRE(d && rgb && predictor_run(d, rgb, 128, 64, &options, &p, &f) == ST_OK);
        REQUIRE(p.n ==
                1); /* class 0 is the best everywhere, 0.447 in the grey: one box after suppression */
        CHECK_I64(p.items[0].label, 0);
        CHECK_NEAR(p.items[0].score, 1, 1e-5);
        CHECK_NEAR(p.items[0].x0, 48, 1e-3);
        CHECK_NEAR(p.items[0].x1, 80, 1e-3);
        CHECK_NEAR(p.items[0].y0, 24, 1e-3);
        CHECK_NEAR(p.items[0].y1, 40, 1e-3);
        CHECK(predictor_memory_bytes(d) > 0);
        CHECK_STR(predictor_card(d)->class_names[0], "cat");
        prediction_free(&p);
        predictor_free(d);
    }
    free(rgb);
}

TEST(options_out_of_range_are_refused_by_field)
{
    static const struct {
        struct predict_options o;
        const char *field;
    } cases[] = {
        { { .conf = 1.5f, .iou = 0.5f, .max_detections = 1 }, "conf" },
        { { .conf = NAN, .iou = 0.5f, .max_detections = 1 }, "conf" },
        { { .conf = 0.5f, .iou = -1, .max_detections = 1 }, "iou" },
        { { .conf = 0.5f, .iou = 0.5f, .max_detections = 0 }, "max_detections" },
        { { .conf = 0.5f, .iou = 0.5f, .max_detections = 301 }, "max_detections" },
        { { .conf = 0.5f, .iou = 0.5f, .max_detections = 1, .imgsz = -1 }, "imgsz" },
        { { .conf = 0.5f, .iou = 0.5f, .max_detections = 1, .imgsz = 1 << 20 }, "imgsz" },
    };
    struct predictor *d = load(&(struct net){ .side = 64 });
    const uint8_t pixel[3] = { 0 };

    for (size_t i = 0; d && i < sizeof cases / sizeof cases[0]; i++) {
        struct fault f = FAULT_INIT;
        struct prediction p = { 0 };
        CHECK_I64(predictor_run(d, pixel, 1, 1, &cases[i].o, &p, &f), ST_INVALID);
        CHECK_STR(f.field, cases[i].field);
    }
    predictor_free(d);
}

TEST(a_dynamic_model_runs_at_many_sizes_and_a_fixed_one_ignores_them)
{
    static const int sizes[] = { 0, 64, 32, 128, 40, 256, 33, 64, 0, 96 };
    struct predictor *dynamic = load(&(struct net){ .side = -1, .notes = named });
    struct predictor *fixed = load(&(struct net){ .side = 64, .notes = named });
    uint8_t *rgb = red(50, 50);

    for (size_t i = 0; dynamic && fixed && i < sizeof sizes / sizeof sizes[0]; i++) {
        struct predict_options o = options;
        struct fault f = FAULT_INIT;
        struct prediction p = { 0 };
        o.imgsz = sizes[i];
        REQUIRE(predictor_run(dynamic, rgb, 50, 50, &o, &p, &f) == ST_OK);
        REQUIRE(p.n == 1);
        CHECK_NEAR(p.items[0].score, 1, 1e-5);
        prediction_free(&p);
        REQUIRE(predictor_run(fixed, rgb, 50, 50, &o, &p, &f) == ST_OK);
        CHECK_NEAR(p.items[0].x0, 24 * 50 / 64.0, 1e-3);
        prediction_free(&p);
    }
    free(rgb);
    predictor_free(dynamic);
    predictor_free(fixed);
}

struct job {
    const struct predictor *d;
    int imgsz, bad;
};

static void *work(void *arg)
{
    struct job *j = arg;
    uint8_t *rgb = red(64, 64);

    for (int i = 0; i < 20; i++) {
        struct predict_options o = options;
        struct fault f = FAULT_INIT;
        struct prediction p = { 0 };
        o.imgsz = j->imgsz ? j->imgsz + 32 * (i % 2) : 0;
        j->bad +=
            predictor_run(j->d, rgb, 64, 64, &o, &p, &f) != ST_OK || p.n != 1 || p.items[0].label != 0;
        prediction_free(&p);
    }
    free(rgb);
    return NULL;
}

TEST(threads_share_one_predictor)
{
    struct predictor *d = load(&(struct net){ .side = -1, .notes = named });
    struct job jobs[4] = { { d, 0, 0 }, { d, 64, 0 }, { d, 96, 0 }, { d, 0, 0 } };
    pthread_t threads[4];

    REQUIRE(d != NULL);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, work, &jobs[i]) == 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        CHECK_I64(jobs[i].bad, 0);
    }
    predictor_free(d);
}

TEST(a_checkpoint_is_not_compiled)
{
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;

    CHECK_I64(predictor_load("PK\3\4----", 8, NULL, &d, &f), ST_UNSUPPORTED);
    CHECK(d == NULL);
}

TEST(a_smaller_copy_gives_boxes_of_the_picture)
{
    struct predictor *d = load(&(struct net){ .side = 64, .notes = named });
    uint8_t *rgb = red(128, 64);
    struct predict_options o = options;
    struct prediction p = { 0 };
    struct fault f = FAULT_INIT;
    int width = 0, height = 0;

    REQUIRE(d && rgb);
    predictor_scaled_size(d, &o, 1280, 640, &width, &height);
    CHECK_I64(width, 64);
    CHECK_I64(height, 32);
    o.width = 1280;
    o.height = 640;
    REQUIRE(predictor_run(d, rgb, 128, 64, &o, &p, &f) == ST_OK && p.n == 1);
    CHECK_NEAR(p.items[0].x0, 480, 1e-2);
    CHECK_NEAR(p.items[0].x1, 800, 1e-2);
    CHECK_NEAR(p.items[0].y0, 240, 1e-2);
    CHECK_NEAR(p.items[0].y1, 400, 1e-2);
    prediction_free(&p);
    o.height = 0;
    CHECK_I64(predictor_run(d, rgb, 128, 64, &o, &p, &f), ST_INVALID);
    free(rgb);
    predictor_free(d);
}

/* A model loaded for a team, its weights read in place, gives a single thread the same to the bit. */
TEST(a_single_thread_gives_what_a_team_gives)
{
    const struct load_options how = { .compile.threads = 2, .bytes_stay = true },
                              copy = { .compile.threads = 2 };
    struct buffer m = write_net(&(struct net){ .side = 64, .notes = named });
    struct predictor *d = NULL, *copied = NULL;
    struct predict_options o = options;
    uint8_t *rgb = red(100, 70);
    struct prediction team = { 0 }, single = { 0 };
    struct fault f = FAULT_INIT;

    REQUIRE(rgb && predictor_load(m.p, m.n, &how, &d, &f) == ST_OK &&
            predictor_load(m.p, m.n, &copy, &copied, &f) == ST_OK);
    CHECK(predictor_memory_bytes(d) < predictor_memory_bytes(copied));
    REQUIRE(predictor_run(d, rgb, 100, 70, &o, &team, &f) == ST_OK);
    o.single = true;
    REQUIRE(predictor_run(d, rgb, 100, 70, &o, &single, &f) == ST_OK);
    CHECK_SIZE(single.n, team.n);
    for (size_t i = 0; i < team.n && i < single.n; i++)
        CHECK(memcmp(&team.items[i].score, &single.items[i].score, 5 * sizeof(float)) == 0);
    prediction_free(&team);
    prediction_free(&single);
    free(rgb);
    predictor_free(copied);
    predictor_free(d);
    buffer_free(&m);
}
