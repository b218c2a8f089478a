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

/* What PyTorch and a plan make of the bus picture; released with free(). */
static bool outputs(const struct compile_options *o, float **ret_want, float **ret_got)
{
    float *in = fixture_array("models/real/v8coco-0.in.npy", INPUT);
    struct model *m = fixture_model(MODEL);
    size_t n = 0;

    *ret_want = fixture_array("models/real/v8coco-0.out0.npy", OUTPUT);
    *ret_got = in && m && model_infer(m, 0) ? plan_output(m->graph, o, in, 0, &n) : NULL;
    model_free(m);
    free(in);
    return *ret_want && *ret_got && n == OUTPUT;
}

static void compare(const struct compile_options *o, const struct limits *most)
{
    float *want, *got;
    const bool ok = outputs(o, &want, &got);

    CHECK(ok);
    if (ok)
        check(got, want, most);
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

/* Pictures of the world, the bus not among them. */
static const char *const others[] = {
    "images/zidane.jpg",
    "datasets/coco8/images/train/000000000009.jpg",
    "datasets/coco8/images/train/000000000025.jpg",
    "datasets/coco8/images/train/000000000030.jpg",
    "datasets/coco8/images/train/000000000034.jpg",
    "datasets/coco8/images/val/000000000036.jpg",
    "datasets/coco8/images/val/000000000042.jpg",
    "datasets/coco8/images/val/000000000049.jpg",
    "datasets/coco8/images/val/000000000061.jpg",
    "datasets/coco8-human/images/train/000000000113.jpg",
    "datasets/coco8-human/images/train/000000000294.jpg",
    "datasets/coco8-human/images/train/000000000326.jpg",
    "datasets/coco8-human/images/train/000000542449.jpg",
    "datasets/coco8-human/images/val/000000000241.jpg",
    "datasets/coco8-human/images/val/000000000589.jpg",
    "datasets/coco8-human/images/val/000000000897.jpg",
};

/* A picture, its upper and its lower three quarters, and its middle. */
static enum status add_views(struct calibrator *c, const struct image *im, struct fault *f)
{
    const int quarter = im->height / 4, views[][2] = {
        { 0, im->height }, { 0, quarter * 3 }, { quarter, quarter * 3 }, { quarter, quarter * 2 }
    };
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < 4; i++)
        st = calibrator_add(c, im->rgb + (size_t)views[i][0] * (size_t)im->width * 3, im->width,
                            views[i][1], f);
    return st;
}

static struct calibration *calibrate(const struct file *model)
{
    struct fault f = FAULT_INIT;
    struct calibration *made = NULL;
    struct calibrator *c = NULL;
    bool ok = calibrator_create(model->bytes, model->n, NULL, 2, &c, &f) == ST_OK;

    for (size_t i = 0; ok && i < sizeof others / sizeof *others; i++) {
        struct image im = { .rgb = NULL };
        ok = fixture_image(others[i], &im) && add_views(c, &im, &f) == ST_OK;
        image_free(&im);
    }
    if (!ok || calibrator_finish(c, &made, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    calibrator_free(c);
    return made;
}

/* What float32 finds in the bus picture, by the README of the fixtures; centre and size. */
static const struct finding {
    size_t label;
    double box[4];
} findings[] = {
    { 0, { 519, 371.5, 82, 295 } },  { 0, { 167, 386, 114, 300 } }, { 0, { 247, 374.5, 72, 265 } },
    { 5, { 326, 296.5, 456, 319 } }, { 0, { 96.5, 421, 33, 188 } },
};

static void box_of(const float *out, size_t anchor, double ret[4])
{
    for (size_t k = 0; k < 4; k++)
        ret[k] = (double)out[k * ANCHORS + anchor];
}

/* The anchor that suppression keeps: the best of those that see this. */
static size_t best_anchor(const float *out, const struct finding *f)
{
    const float *scores = out + (4 + f->label) * ANCHORS;
    size_t best = 0;

    for (size_t i = 1; i < ANCHORS; i++) {
        double box[4];
        box_of(out, i, box);
        if (iou(box, f->box) > 0.5 && scores[i] > scores[best])
            best = i;
    }
    return best;
}

TEST(int8_finds_what_float32_finds_in_a_picture_that_it_was_not_calibrated_with)
{
    struct compile_options o = { .threads = 2, .precision = PRECISION_INT8 };
    struct calibration *c;
    struct file model;
    float *want, *got;

    if (!cpu_has_vnni())
        SKIP("needs AVX-512 VNNI");
    NEED_FIXTURES();
    REQUIRE(fixture_load(MODEL, &model) && (c = calibrate(&model)));
    o.calibration = c;
    REQUIRE(outputs(&o, &want, &got));
    for (size_t i = 0; i < sizeof findings / sizeof *findings; i++) {
        const struct finding *f = &findings[i];
        const size_t a = best_anchor(want, f), b = best_anchor(got, f);
        const size_t row = (4 + f->label) * ANCHORS;
        double one[4], other[4];
        box_of(want, a, one);
        box_of(got, b, other);
        printf("# %zu: score %.3f and %.3f, IoU %.4f\n", f->label, (double)want[row + a],
               (double)got[row + b], iou(one, other));
        CHECK(iou(one, f->box) > 0.9);
        CHECK(iou(one, other) >= 0.95);
        CHECK(fabs((double)want[row + a] - (double)got[row + b]) <= 0.03);
    }
    free(want);
    free(got);
    calibration_free(c);
    free(model.bytes);
}
