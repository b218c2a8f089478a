/* Trials of a precision: the bundled model on bundled and on stored pictures, what dies or is stopped,
 * and what the rows that come of them mean. */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/failpoint.h"
#include "base/limits.h"
#include "base/text.h"
#include "base/version.h"
#include "domain/pictures.h"
#include "domain/precision_gate.h"
#include "inference/quantise/calibrate.h"
#include "media/image.h"

struct bench {
    char folder[64];
    struct store *store;
    struct trial_subject subject;
    struct digest pictures[LIMIT_TRIAL_PICTURES];
};

static struct digest publish_bytes(struct bench *b, const void *bytes, size_t n, const char *more,
                                   size_t nmore)
{
    struct fault f = FAULT_INIT;
    struct spool *sp = NULL;
    struct digest d = { { 0 } };
    int64_t size;

    if (spool_create(b->store, 1 << 30, &sp, &f) != ST_OK || spool_write(sp, bytes, n, &f) != ST_OK ||
        spool_write(sp, more, nmore, &f) != ST_OK || spool_publish(sp, &d, &size, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    spool_free(sp);
    return d;
}

static struct digest publish(struct bench *b, const void *bytes, size_t n, char salt)
{
    const char note[3] = { 0x32, 1, salt }; /* behind a network or a JPEG: nobody minds */

    return publish_bytes(b, bytes, n, note, sizeof note);
}

static bool bench_open(struct bench *b, const char *model)
{
    struct fault f = FAULT_INIT;
    static unsigned char bytes[4 << 20];
    FILE *in = fopen(model, "rb");
    size_t n;

    *b = (struct bench){ .folder = "/tmp/fovea-trial.XXXXXX" };
    if (!in || !mkdtemp(b->folder) || store_open(b->folder, &b->store, &f) != ST_OK) {
        TEST_FAIL_("bench: %s", f.detail);
        return false;
    }
    n = fread(bytes, 1, sizeof bytes, in);
    fclose(in);
    b->subject = (struct trial_subject){ .store = b->store,
                                         .weights = publish(b, bytes, n, 'm'),
                                         .pictures = b->pictures };
    return true;
}

static void bench_close(struct bench *b)
{
    char command[128];

    store_close(b->store);
    snprintf(command, sizeof command, "rm -rf '%s'", b->folder);
    if (system(command) != 0)
        TEST_FAIL_("%s", command);
}

static struct trial run(struct bench *b, enum precision p)
{
    struct fault f = FAULT_INIT;
    struct trial t = { .reason = "nothing" };
    bool ended = false;

    if (trial_run(&b->subject, p, NULL, &t, &ended, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    CHECK(ended);
    return t;
}

TEST(bundled_pictures_are_pictures)
{
    for (int i = 0; i < BUNDLED_PICTURES; i++) {
        const struct bundled_picture *p = &bundled_pictures[i];
        struct fault f = FAULT_INIT;
        struct image im = { 0 };

        if (image_decode(p->bytes, (size_t)(p->end - p->bytes), &im, &f) != ST_OK)
            TEST_FAIL_("%s: %s", p->name, f.detail);
        CHECK(im.width >= 300 && im.height >= 300);
        image_free(&im);
    }
}

TEST(float32_agrees_with_itself_on_bundled_pictures)
{
    struct bench b;
    struct trial t;

    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    t = run(&b, PRECISION_F32);
    CHECK_I64(t.verdict, AGREEMENT_PASSED);
    CHECK(t.bundled);
    CHECK_I64(t.seen.pictures, 4 * BUNDLED_PICTURES);
    CHECK(t.seen.findings > 50);
    CHECK_I64(t.seen.agreeing, t.seen.findings);
    CHECK_NEAR(t.seen.worst_likeness, 1, 0);
    CHECK_NEAR(t.seen.worst_difference, 0, 0);
    CHECK(t.f32_ms > 0 && t.candidate_ms > 0);
    CHECK_STR(t.reason, "");
    bench_close(&b);
}

TEST(float16_passes_with_the_bundled_model)
{
    struct bench b;
    struct trial t;

    if (!precision_available(PRECISION_F16))
        SKIP("needs AVX-512 FP16");
    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    t = run(&b, PRECISION_F16);
    CHECK_I64(t.verdict, AGREEMENT_PASSED);
    CHECK(t.seen.worst_likeness > 0.9 && t.seen.worst_likeness < 1);
    CHECK(t.seen.worst_difference > 0 && t.seen.worst_difference < 0.03);
    bench_close(&b);
}

TEST(int8_without_a_calibration_is_unproven)
{
    struct bench b;
    struct trial t;

    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    t = run(&b, PRECISION_INT8);
    CHECK_I64(t.verdict, AGREEMENT_UNPROVEN);
    CHECK_I64(t.seen.pictures, 0);
    CHECK(strlen(t.reason) > 10);
    bench_close(&b);
}

/* A calibration of the model itself, from copies of one picture; and of what it was not made for. */
TEST(int8_is_tried_with_the_calibration_of_these_weights)
{
    const struct bundled_picture *page = &bundled_pictures[BUNDLED_PICTURES - 1];
    struct calibration *made = NULL;
    struct calibrator *c = NULL;
    struct buffer text = { 0 };
    struct fault f = FAULT_INIT;
    struct image im = { 0 };
    struct digest calibration;
    const void *model;
    struct bench b;
    struct trial t;
    size_t n;

    if (!precision_available(PRECISION_INT8))
        SKIP("needs AVX-512 VNNI");
    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    REQUIRE(store_map(b.store, &b.subject.weights, &model, &n, &f) == ST_OK);
    REQUIRE(image_decode(page->bytes, (size_t)(page->end - page->bytes), &im, &f) == ST_OK);
    calibration = publish(&b, im.rgb, 100, 'x'); /* no calibration */
    b.subject.calibration = &calibration;
    t = run(&b, PRECISION_INT8);
    CHECK_I64(t.verdict, AGREEMENT_UNPROVEN);
    CHECK(strstr(t.reason, "damaged") != NULL);

    REQUIRE(calibrator_create(model, n, NULL, 1, &c, &f) == ST_OK);
    for (int i = 0; i < CALIBRATION_PICTURES; i++)
        REQUIRE(calibrator_add(c, im.rgb, im.width, im.height, &f) == ST_OK);
    REQUIRE(calibrator_finish(c, &made, &f) == ST_OK);
    calibration_write(made, &text);
    calibration = publish_bytes(&b, text.p, text.n, "", 0);
    t = run(&b, PRECISION_INT8);
    CHECK(t.verdict == AGREEMENT_PASSED || t.verdict == AGREEMENT_FAILED);
    CHECK_I64(t.seen.pictures, 4 * BUNDLED_PICTURES);
    /* One picture says little of the others: about half of the findings agree. */
    CHECK(t.seen.findings > 50 && t.seen.agreeing > t.seen.findings / 4);
    CHECK(t.seen.worst_likeness < 1 && t.seen.worst_difference > 0); /* another computation */
    CHECK(t.candidate_ms > 0);

    b.subject.weights = publish(&b, model, n, 'o'); /* the same network in other bytes */
    t = run(&b, PRECISION_INT8);
    CHECK_I64(t.verdict, AGREEMENT_UNPROVEN);
    CHECK_STR(t.reason, "was made for another model file");
    buffer_free(&text);
    calibration_free(made);
    calibrator_free(c);
    image_free(&im);
    store_unmap(model, n);
    bench_close(&b);
}

/* What can't be read does not count; with enough that can be, nothing bundled takes part. */
TEST(the_projects_own_pictures_come_first)
{
    const struct bundled_picture *page = &bundled_pictures[BUNDLED_PICTURES - 1];
    const size_t n = (size_t)(page->end - page->bytes);
    struct bench b;
    struct trial t;

    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    for (int i = 0; i < AGREEMENT_PICTURES; i++)
        b.pictures[i] = publish(&b, page->bytes, n, (char)('a' + i));
    b.pictures[AGREEMENT_PICTURES] = publish(&b, "no picture", 10, 'x');
    b.pictures[AGREEMENT_PICTURES + 1] = (struct digest){ { 1 } }; /* no file */
    b.subject.npictures = AGREEMENT_PICTURES + 2;
    t = run(&b, PRECISION_F32);
    CHECK(!t.bundled);
    CHECK_I64(t.seen.pictures, AGREEMENT_PICTURES);
    CHECK_I64(t.verdict, AGREEMENT_PASSED);
    b.subject.npictures = AGREEMENT_PICTURES - 1;
    t = run(&b, PRECISION_F32);
    CHECK(t.bundled);
    CHECK_I64(t.seen.pictures, AGREEMENT_PICTURES - 1 + 4 * BUNDLED_PICTURES);
    bench_close(&b);
}

TEST(what_is_no_model_is_unproven_and_says_why)
{
    struct bench b;
    struct trial t;

    if (!bench_open(&b, "demo/page.jpg"))
        return;
    t = run(&b, PRECISION_F32);
    CHECK_I64(t.verdict, AGREEMENT_UNPROVEN);
    CHECK_I64(t.seen.pictures, 0);
    CHECK(strlen(t.reason) > 10);
    bench_close(&b);
}

#ifdef FOVEA_FAILPOINTS
TEST(a_trial_that_crashes_fails_the_precision)
{
    struct bench b;
    struct trial t;

    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    failpoint_arm("trial_run:1:kill");
    t = run(&b, PRECISION_F32);
    failpoint_arm(NULL);
    CHECK_I64(t.verdict, AGREEMENT_FAILED);
    CHECK_STR(t.reason, "the trial crashed (signal 9)");
    bench_close(&b);
}
#endif

static bool stop(void *arg)
{
    ++*(int *)arg;
    return false;
}

TEST(a_trial_that_is_stopped_finds_nothing_and_leaves_no_process)
{
    int asked = 0;
    const struct stepper stepper = { stop, &asked };
    struct fault f = FAULT_INIT;
    struct trial t = { .reason = "untouched" };
    bool ended = true;
    struct bench b;

    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    for (int i = 0; i < LIMIT_TRIAL_PICTURES; i++) /* more than one step's time */
        b.pictures[i] = publish(&b, bundled_pictures[0].bytes,
                                (size_t)(bundled_pictures[0].end - bundled_pictures[0].bytes), (char)i);
    b.subject.npictures = LIMIT_TRIAL_PICTURES;
    CHECK_I64(trial_run(&b.subject, PRECISION_F32, &stepper, &t, &ended, &f), ST_OK);
    if (asked) { /* else it was faster than the first step */
        CHECK(!ended);
        CHECK_STR(t.reason, "untouched");
    }
    CHECK(waitpid(-1, NULL, WNOHANG) == -1);
    bench_close(&b);
}

TEST(automatic_precision_is_what_a_row_of_this_processor_and_release_says)
{
    char cpu[PRECISION_CPU], text[512];
    const enum precision f16 = precision_available(PRECISION_F16) ? PRECISION_F16 : PRECISION_F32;

    precision_cpu(cpu);
    CHECK_I64(precision_chosen(NULL), PRECISION_F32);
    CHECK_I64(precision_chosen("{}"), PRECISION_F32);
    snprintf(text, sizeof text, "{\"%s " FOVEA_VERSION " f16\"}", cpu);
    CHECK_I64(precision_chosen(text), f16);
    snprintf(text, sizeof text, "{\"a/b 9 int8\",\"%s " FOVEA_VERSION " f16\",\"z/y 1 bf16\"}", cpu);
    CHECK_I64(precision_chosen(text), f16);
    snprintf(text, sizeof text, "{\"%s 0.0.0 f16\"}", cpu);
    CHECK_I64(precision_chosen(text), PRECISION_F32); /* another release */
    snprintf(text, sizeof text, "{\"x%s " FOVEA_VERSION " f16\"}", cpu);
    CHECK_I64(precision_chosen(text), PRECISION_F32); /* another processor */
    for (size_t i = 0; i < 3; i++) {
        static const char *const odd[] = { "auto", "f64", "f16 " };
        snprintf(text, sizeof text, "{\"%s " FOVEA_VERSION " %s\"}", cpu, odd[i]);
        CHECK_I64(precision_chosen(text), PRECISION_F32);
    }
}
