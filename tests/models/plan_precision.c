/*
 * What each precision does to a trained YOLOv8n, against PyTorch's float32 output for the bus picture.
 * Fixtures: see their README; absent, the test skips. Random weights magnify rounding: they judge
 * nothing here.
 */
#include "tests/models/fixture.h"

#include "inference/kernels/cpu.h"
#include "inference/quantise/calibrate.h"

#define MODEL "models/real/yolov8n-coco-dq-op12.onnx"

enum { INPUT = 3 * 640 * 640, ROWS = 84, ANCHORS = 8400, OUTPUT = ROWS * ANCHORS };

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
    float *in = fixture_array("models/real/v8coco-0.in.npy", INPUT),
          *want = fixture_array("models/real/v8coco-0.out0.npy", OUTPUT), *got = NULL;
    struct model *m = fixture_model(MODEL);
    size_t n = 0;

    if (in && want && m && model_infer(m, 0) && (got = plan_output(m->graph, o, in, 0, &n))) {
        CHECK_SIZE(n, OUTPUT);
        if (n == OUTPUT)
            check(got, want, most);
    }
    model_free(m);
    free(in);
    free(want);
    free(got);
}

TEST(direct_float32_equals_pytorch)
{
    NEED_FIXTURES();
    compare(&(struct compile_options){ .threads = 2, .exact = true },
            &(struct limits){ 0.01, 0.9999, 1e-4 });
}

TEST(winograd_in_float32_moves_boxes_by_less_than_a_twentieth_of_a_pixel)
{
    NEED_FIXTURES();
    compare(&(struct compile_options){ .threads = 2 }, &(struct limits){ 0.05, 0.999, 1e-3 });
}

TEST(float16_keeps_the_detections)
{
    const struct compile_options o = { .threads = 2, .precision = PRECISION_F16 };

    if (cpu_isa() < CPU_AVX512_FP16)
        SKIP("needs AVX-512 FP16");
    NEED_FIXTURES();
    compare(&o, &(struct limits){ 2, 0.95, 0.03 });
}

TEST(bfloat16_keeps_the_detections)
{
    const struct compile_options o = { .threads = 2, .precision = PRECISION_BF16 };

    if (!cpu_has_bf16())
        SKIP("needs AVX-512 BF16");
    NEED_FIXTURES();
    compare(&o, &(struct limits){ 2, 0.95, 0.03 });
}

/* From the picture itself and 63 cuts of it. */
static struct calibration *calibrate(const struct file *model)
{
    struct fault f = FAULT_INIT;
    struct calibration *made = NULL;
    struct calibrator *c = NULL;
    struct image im = { .rgb = NULL };
    bool ok = fixture_image("images/bus.jpg", &im) &&
              calibrator_create(model->bytes, model->n, NULL, 2, &c, &f) == ST_OK;

    for (int i = 0; ok && i < CALIBRATION_PICTURES; i++)
        ok = calibrator_add(c, im.rgb, im.width, im.height - i * 8, &f) == ST_OK;
    if (!ok || calibrator_finish(c, &made, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    calibrator_free(c);
    image_free(&im);
    return made;
}

TEST(int8_keeps_boxes_and_moves_scores_by_less_than_a_tenth)
{
    struct compile_options o = { .threads = 2, .precision = PRECISION_INT8 };
    struct calibration *c;
    struct file model;

    if (!cpu_has_vnni())
        SKIP("needs AVX-512 VNNI");
    NEED_FIXTURES();
    REQUIRE(fixture_load(MODEL, &model) && (c = calibrate(&model)));
    o.calibration = c;
    compare(&o, &(struct limits){ 8, 0.93, 0.1 });
    calibration_free(c);
    free(model.bytes);
}
