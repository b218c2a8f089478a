/*
 * What each precision does to a trained YOLOv8n, against PyTorch's float32 output for the bus picture.
 * Fixtures: see their README; absent, the test skips. Random weights magnify rounding: they judge
 * nothing here.
 */
#include "tests/unit/test.h"

#include "inference/graph/passes.h"
#include "inference/kernels/cpu.h"
#include "inference/model/model.h"
#include "inference/plan/context.h"
#include "inference/quantise/calibrate.h"
#include "media/image.h"

enum { INPUT = 3 * 640 * 640, ROWS = 84, ANCHORS = 8400, OUTPUT = ROWS * ANCHORS };

static void *load(const char *name, size_t *ret_n)
{
    char path[512];
    FILE *f;
    void *bytes;
    long n;

    snprintf(path, sizeof path, "%s/models/real/%s", test_fixtures(), name);
    if (!(f = fopen(path, "rb")))
        return NULL;
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    bytes = malloc((size_t)n + 1);
    *ret_n = fread(bytes, 1, (size_t)n, f);
    fclose(f);
    return bytes;
}

/* The numbers of a .npy file are at its end. */
static float *load_npy(const char *name, size_t count)
{
    size_t n = 0;
    char *bytes = load(name, &n);
    float *x = malloc(count * sizeof *x);

    if (!bytes || n < count * sizeof *x)
        return NULL;
    memcpy(x, bytes + n - count * sizeof *x, count * sizeof *x);
    free(bytes);
    return x;
}

static bool run(const struct compile_options *o, const float *input, float *output)
{
    struct fault f = FAULT_INIT;
    struct model *m = NULL;
    struct plan *p = NULL;
    struct context *c = NULL;
    size_t n = 0;
    void *bytes = load("yolov8n-coco-dq-op12.onnx", &n);
    struct graph *g = NULL;
    bool ok = bytes && onnx_read(bytes, n, &m, &f) == ST_OK && graph_verify(m->graph, &f) == ST_OK &&
              graph_infer(m->graph, &f) == ST_OK && (g = graph_clone(m->graph)) &&
              graph_optimise(g, &f) == ST_OK && plan_create(g, o, &p, &f) == ST_OK &&
              context_create(p, &c, &f) == ST_OK;

    if (ok) {
        memcpy(context_input(c, 0).data, input, INPUT * sizeof *input);
        ok = context_run(c, &f) == ST_OK;
        memcpy(output, context_output(c, 0).data, OUTPUT * sizeof *output);
    }
    if (!ok)
        TEST_FAIL_("%s", f.detail);
    context_free(c);
    plan_free(p);
    model_free(m);
    free(bytes);
    return ok;
}

/* Of two boxes as centre and size. */
static double iou(const double a[4], const double b[4])
{
    double shared = 1;

    for (int i = 0; i < 2; i++) {
        const double low = fmax(a[i] - a[i + 2] / 2, b[i] - b[i + 2] / 2),
                     high = fmin(a[i] + a[i + 2] / 2, b[i] + b[i + 2] / 2);
        shared *= fmax(high - low, 0);
    }
    return shared / (a[2] * a[3] + b[2] * b[3] - shared);
}

struct limits {
    double box_px, iou, score;
};

/* Every anchor that is one of the detections: a score over 0.25. */
static void check(const float *got, const float *want, const struct limits *most)
{
    struct limits seen = { 0, 1, 0 };
    size_t detections = 0;

    for (size_t i = 0; i < ANCHORS; i++) {
        double a[4], b[4], best = 0, score = 0;
        for (size_t k = 4; k < ROWS; k++) {
            best = fmax(best, (double)want[k * ANCHORS + i]);
            score = fmax(score, fabs((double)want[k * ANCHORS + i] - (double)got[k * ANCHORS + i]));
        }
        if (best <= 0.25)
            continue;
        detections++;
        seen.score = fmax(seen.score, isnan(score) ? 1 : score);
        for (size_t k = 0; k < 4; k++) {
            a[k] = (double)want[k * ANCHORS + i];
            b[k] = (double)got[k * ANCHORS + i];
            seen.box_px = fmax(seen.box_px, fabs(a[k] - b[k]));
        }
        seen.iou = fmin(seen.iou, iou(a, b));
    }
    printf("# %zu candidates: boxes within %.4f px, IoU at least %.4f, scores within %.5f\n", detections,
           seen.box_px, seen.iou, seen.score);
    CHECK(detections > 10);
    CHECK(seen.box_px <= most->box_px);
    CHECK(seen.iou >= most->iou);
    CHECK(seen.score <= most->score);
}

static void compare(const struct compile_options *o, const struct limits *most)
{
    float *in, *want, *got;

    if (!test_fixtures())
        SKIP("no fixtures");
    in = load_npy("v8coco-0.in.npy", INPUT);
    want = load_npy("v8coco-0.out0.npy", OUTPUT);
    got = malloc(OUTPUT * sizeof *got);
    REQUIRE(in && want && got);
    if (run(o, in, got))
        check(got, want, most);
    free(in);
    free(want);
    free(got);
}

TEST(direct_float32_equals_pytorch)
{
    compare(&(struct compile_options){ .threads = 2, .exact = true },
            &(struct limits){ 0.01, 0.9999, 1e-4 });
}

TEST(winograd_in_float32_moves_boxes_by_less_than_a_twentieth_of_a_pixel)
{
    compare(&(struct compile_options){ .threads = 2 }, &(struct limits){ 0.05, 0.999, 1e-3 });
}

TEST(float16_keeps_the_detections)
{
    const struct compile_options o = { .threads = 2, .precision = PRECISION_F16 };

    if (cpu_isa() < CPU_AVX512_FP16)
        SKIP("needs AVX-512 FP16");
    compare(&o, &(struct limits){ 2, 0.95, 0.03 });
}

/* From the picture itself and 63 cuts of it. */
static struct calibration *calibrate(const void *model, size_t n)
{
    struct fault f = FAULT_INIT;
    struct calibration *made = NULL;
    struct calibrator *c = NULL;
    struct image im = { .rgb = NULL };
    size_t bytes_n = 0;
    void *bytes = load("../../images/bus.jpg", &bytes_n);
    bool ok = bytes && image_decode(bytes, bytes_n, &im, &f) == ST_OK &&
              calibrator_create(model, n, NULL, 2, &c, &f) == ST_OK;

    for (int i = 0; ok && i < CALIBRATION_PICTURES; i++)
        ok = calibrator_add(c, im.rgb, im.width, im.height - i * 8, &f) == ST_OK;
    if (!ok || calibrator_finish(c, &made, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    calibrator_free(c);
    image_free(&im);
    free(bytes);
    return made;
}

TEST(int8_keeps_boxes_and_moves_scores_by_less_than_a_tenth)
{
    struct compile_options o = { .threads = 2, .precision = PRECISION_INT8 };
    struct calibration *c;
    size_t n = 0;
    void *model;

    if (!cpu_has_vnni())
        SKIP("needs AVX-512 VNNI");
    if (!test_fixtures())
        SKIP("no fixtures");
    REQUIRE((model = load("yolov8n-coco-dq-op12.onnx", &n)) != NULL);
    REQUIRE((c = calibrate(model, n)) != NULL);
    o.calibration = c;
    compare(&o, &(struct limits){ 8, 0.93, 0.1 });
    calibration_free(c);
    free(model);
}
