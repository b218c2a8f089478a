/*
 * Real and generated YOLO files against PyTorch's float32 outputs, and the two pictures that YOLO users
 * know. Fixtures: see their README; absent, the tests skip.
 */
#include "tests/models/fixture.h"

#include "inference/predictor.h"
#include "inference/preprocess.h"

enum { INPUT = 3 * 640 * 640, ROWS = 84, ANCHORS = 8400, OUTPUT = ROWS * ANCHORS };

/* Rows 0 to 3 are pixels, the rest scores. */
static void check_output(const float *got, const float *want, double box_px, double score)
{
    double box_most = 0, score_most = 0;

    for (size_t i = 0; i < OUTPUT; i++) {
        const double d = fabs((double)got[i] - (double)want[i]);
        double *most = i < 4 * ANCHORS ? &box_most : &score_most;
        *most = d > *most || isnan(d) ? d : *most;
    }
    printf("# boxes within %.2g px, scores within %.2g\n", box_most, score_most);
    CHECK(box_most <= box_px);
    CHECK(score_most <= score);
}

static void compare_with_torch(const char *model, const char *input, const char *output, double box_px,
                               double score)
{
    const struct compile_options o = { .threads = 2 };
    float *in = fixture_array(input, INPUT), *want = fixture_array(output, OUTPUT), *got = NULL;
    struct model *m = fixture_model(model);
    size_t n = 0;

    if (in && want && m && model_infer(m, 0) && (got = plan_output(m->graph, &o, in, 0, &n))) {
        CHECK_SIZE(n, OUTPUT);
        if (n == OUTPUT)
            check_output(got, want, box_px, score);
    }
    model_free(m);
    free(in);
    free(want);
    free(got);
}

/* By Winograd's method, where it pays; without it: pt_networks.c. */
TEST(a_real_yolov8n_equals_pytorch)
{
    NEED_FIXTURES();
    compare_with_torch("models/real/yolov8n-coco-dq-op12.onnx", "models/real/v8coco-0.in.npy",
                       "models/real/v8coco-0.out0.npy", 0.05, 1e-4);
}

/* The whole real network by plain loops: seconds, and the proof that the references themselves are
 * right. */
TEST(the_interpreter_equals_pytorch_on_a_real_yolov8n)
{
    struct fault f = FAULT_INIT;
    struct model *m;
    struct value in, out = { 0 };
    float *want;

    NEED_FIXTURES();
    REQUIRE((m = fixture_model("models/real/yolov8n-coco-dq-op12.onnx")) && model_infer(m, 0));
    in = m->graph->tensors[m->graph->inputs[0]].v;
    REQUIRE((in.data = fixture_array("models/real/v8coco-0.in.npy", INPUT)) != NULL);
    REQUIRE((want = fixture_array("models/real/v8coco-0.out0.npy", OUTPUT)) != NULL);
    CHECK_I64(graph_interpret(m->graph, &in, &out, &f), ST_OK);
    if (out.data)
        check_output(out.data, want, 0.05, 1e-4);
    free(in.data);
    free(out.data);
    free(want);
    model_free(m);
}

TEST(the_letterbox_draws_what_the_network_was_fed)
{
    struct image im;
    struct letterbox l;
    float *want, *got = malloc(INPUT * sizeof *got);
    double sum = 0, most = 0;

    NEED_FIXTURES();
    REQUIRE(got && fixture_image("images/bus.jpg", &im));
    REQUIRE((want = fixture_array("models/real/v8coco-0.in.npy", INPUT)) != NULL);
    l = letterbox_fit(FIT_CENTRE, 1, im.width, im.height, 640, 640);
    REQUIRE(preprocess_draw(&preprocess_yolo, &l, im.rgb, 3, got));
    for (size_t i = 0; i < INPUT; i++) {
        const double d = fabs((double)got[i] - (double)want[i]) * 255;
        sum += d;
        most = d > most ? d : most;
    }
    printf("# mean difference %.3f of 255, largest %.1f\n", sum / INPUT, most);
    CHECK(sum / INPUT < 0.5);
    free(want);
    free(got);
    image_free(&im);
}

/* In letterboxed pixels, from the fixtures' README. */
static const struct {
    int label;
    float score, x0, y0, x1, y1;
} bus[] = {
    { 0, 0.916f, 478, 224, 560, 519 }, { 0, 0.915f, 110, 236, 224, 536 },
    { 0, 0.908f, 211, 242, 283, 507 }, { 5, 0.855f, 98, 137, 554, 456 },
    { 0, 0.379f, 80, 327, 113, 515 },
};

TEST(the_bus_picture_gives_the_five_known_detections)
{
    const struct predict_options o = { .conf = 0.25f, .iou = 0.7f, .max_detections = 300 };
    struct prediction p = { 0 };
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;
    struct file file = { 0 };
    struct image im;

    NEED_FIXTURES();
    REQUIRE(fixture_load("models/real/yolov8n-coco-dq-op12.onnx", &file) &&
            fixture_image("images/bus.jpg", &im));
    REQUIRE(predictor_load(file.bytes, file.n, NULL, &d, &f) == ST_OK);
    REQUIRE(predictor_run(d, im.rgb, im.width, im.height, &o, &p, &f) == ST_OK);
    printf("# preprocess %.1f ms, network %.1f ms, postprocess %.1f ms, memory %zu MiB\n",
           p.preprocess_ms, p.inference_ms, p.postprocess_ms, predictor_memory_bytes(d) >> 20);
    REQUIRE(p.n == 5);
    for (size_t i = 0; i < 5; i++) {
        const float gain = 640.0f / 1080, pad = 80;
        CHECK_I64(p.items[i].label, bus[i].label);
        CHECK_NEAR(p.items[i].score, bus[i].score, 0.005);
        CHECK_NEAR(p.items[i].x0 * gain + pad, bus[i].x0, 1);
        CHECK_NEAR(p.items[i].y0 * gain, bus[i].y0, 1);
        CHECK_NEAR(p.items[i].x1 * gain + pad, bus[i].x1, 1);
        CHECK_NEAR(p.items[i].y1 * gain, bus[i].y1, 1);
    }
    prediction_free(&p);
    predictor_free(d);
    image_free(&im);
    free(file.bytes);
}

TEST(cards_of_real_files_tell_what_they_are)
{
    static const struct {
        const char *name;
        bool runnable;
        int nclasses, side;
        const char *architecture;
    } cards[] = {
        { "models/generated/yolov8n.onnx", true, 80, 640, "yolov8n" },
        { "models/generated/yolo11n.onnx", true, 80, 640, "yolo11n" },
        { "models/generated/yolo26n.onnx", true, 80, 640, "yolo26n" },
        { "models/real/yolov8n-coco-dq-op12.onnx", true, 80, 640, NULL },
        { "models/real/yolox_nano.onnx", true, 80, 416, NULL },
        { "models/real/FastestDet.onnx", true, 80, 352, NULL },
        { "models/real/nanodet_m.onnx", true, 80, 416, NULL },
        { "models/real/yunet_n_320_320.onnx", true, 1, 320, NULL },
        { "models/real/ultraface-slim-320.onnx", true, 1, 320, NULL },
    };

    NEED_FIXTURES();
    for (size_t i = 0; i < sizeof cards / sizeof cards[0]; i++) {
        struct fault f = FAULT_INIT;
        struct model_card *c = NULL;
        struct file file = { 0 };
        REQUIRE(fixture_load(cards[i].name, &file));
        if (model_card_read(file.bytes, file.n, &c, &f) != ST_OK) {
            TEST_FAIL_("%s: %s", cards[i].name, f.detail);
            continue;
        }
        printf("# %s: %s %s, %d classes, %lld weights, %s %s\n", cards[i].name, model_task_name(c->task),
               c->architecture, c->nclasses, (long long)c->parameters,
               c->runnable ? "runnable" : "not runnable:", c->why_not);
        CHECK_I64(c->runnable, cards[i].runnable);
        CHECK_I64(c->why_not[0] == '\0', cards[i].runnable);
        CHECK_I64(c->nclasses, cards[i].nclasses);
        if (cards[i].side)
            CHECK_I64(c->input_width, cards[i].side);
        if (cards[i].architecture)
            CHECK_STR(c->architecture, cards[i].architecture);
        model_card_free(c);
        free(file.bytes);
    }
}

/* The published int8 file and the float32 one that was made of it: one network, but for the 16 weights
 * of the distance decoder, 0 to 15, which the int8 file rounds to steps of 15/127. */
TEST(a_dynamic_int8_file_becomes_the_float_network)
{
    struct fault f = FAULT_INIT;
    struct model *m;
    struct graph *g;

    NEED_FIXTURES();
    compare_with_torch("models/real/yolov8n_int8.onnx", "models/real/v8coco-0.in.npy",
                       "models/real/v8coco-0.out0.npy", 3, 1e-5);
    REQUIRE((m = fixture_model("models/real/yolov8n_int8.onnx")) && model_infer(m, 0));
    REQUIRE((g = graph_clone(m->graph)) && graph_optimise(g, &f) == ST_OK);
    for (int i = 0; i < g->nnodes; i++)
        CHECK(g->nodes[i].dead || (strcmp(g->nodes[i].type, "ConvInteger") != 0 &&
                                   strcmp(g->nodes[i].type, "DynamicQuantizeLinear") != 0));
    graph_free(g);
    model_free(m);
}
