/* Models ready to answer: loaded once, dropped by age, kept when pinned, refused when condemned;
 * pictures within their budget; runs within their places. The bundled model, and copies of it of other
 * bytes. */
#include "tests/unit/test.h"
#include "tests/unit/file_bytes.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/config.h"
#include "base/failpoint.h"
#include "base/limits.h"
#include "base/text.h"
#include "domain/blackbox.h"
#include "domain/serving.h"
#include "inference/quantise/calibrate.h"

enum { MODELS = 3, THREADS = 8 };

struct bench {
    char folder[64], box[80];
    struct store *store;
    struct serving *s;
    struct model_use uses[MODELS];
    struct buffer picture;
};

/* Copy i has a documentation of one letter: other bytes, the same network. */
static bool publish(struct bench *b, const struct buffer *file, int i)
{
    const char note[3] = { 0x32, 1, (char)('a' + i) };
    struct fault f = FAULT_INIT;
    struct spool *sp = NULL;
    int64_t size;
    const bool ok = spool_create(b->store, 1 << 30, &sp, &f) == ST_OK &&
                    spool_write(sp, file->p, file->n, &f) == ST_OK &&
                    spool_write(sp, note, sizeof note, &f) == ST_OK &&
                    spool_publish(sp, &b->uses[i].weights, &size, &f) == ST_OK;

    spool_free(sp);
    return ok;
}

/* settings: "predict.threads=1" ..., NULL at the end. */
static bool bench_open(struct bench *b, const char *const *settings)
{
    struct fault f = FAULT_INIT;
    struct buffer model = { 0 };
    bool ok;

    *b = (struct bench){ .folder = "/tmp/fovea-serving.XXXXXX" };
    if (!mkdtemp(b->folder))
        return false;
    snprintf(b->box, sizeof b->box, "%s/box", b->folder);
    ok = config_load("/dev/null", settings, &f) == ST_OK &&
         store_open(b->folder, &b->store, &f) == ST_OK && read_file("demo/digits.onnx", &model) &&
         read_file("demo/page.jpg", &b->picture);
    for (int i = 0; i < MODELS && ok; i++)
        ok = publish(b, &model, i);
    ok = ok && serving_create(b->store, b->box, NULL, &b->s, &f) == ST_OK;
    if (!ok)
        TEST_FAIL_("bench: %s", f.detail);
    buffer_free(&model);
    return ok;
}

static void bench_close(struct bench *b)
{
    char command[128];

    serving_free(b->s);
    store_close(b->store);
    buffer_free(&b->picture);
    snprintf(command, sizeof command, "rm -rf '%s'", b->folder);
    if (system(command) != 0)
        TEST_FAIL_("%s", command);
}

static const struct predict_options options = { .conf = 0.25f, .iou = 0.7f, .max_detections = 300 };

/* Get, decode, run, put; the number of detections, or -1 - status. */
static int predict_in(struct bench *b, int model, enum precision precision, bool whole,
                      struct served_picture *ret_picture)
{
    struct predict_options mine = options;
    struct served_model *m = NULL;
    struct served_picture p = { 0 };
    struct prediction found = { 0 };
    struct fault f = FAULT_INIT;
    enum status st = serving_get(b->s, &b->uses[model], &m, &f);
    int n;

    mine.precision = precision;
    if (st == ST_OK)
        st = serving_decode(b->s, m, b->picture.p, b->picture.n, &mine, whole, &p, &f);
    if (st == ST_OK)
        st = serving_run(b->s, m, &p, &mine, &found, &f);
    n = st == ST_OK ? (int)found.n : -1 - (int)st;
    if (st == ST_OK)
        CHECK_I64(found.precision, precision);
    if (ret_picture)
        *ret_picture = p;
    prediction_free(&found);
    served_picture_free(b->s, &p);
    serving_put(b->s, m);
    return n;
}

static int predict(struct bench *b, int model, bool whole, struct served_picture *ret_picture)
{
    return predict_in(b, model, PRECISION_F32, whole, ret_picture);
}

/* ---- the table of models */

struct caller {
    struct bench *b;
    int model, found;
};

static void *call(void *arg)
{
    struct caller *c = arg;

    c->found = predict(c->b, c->model, false, NULL);
    return NULL;
}

TEST(a_model_is_loaded_once_however_many_ask_at_once)
{
    static const char *const settings[] = { "predict.threads=2", NULL };
    struct caller callers[THREADS];
    pthread_t threads[THREADS];
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    for (int i = 0; i < THREADS; i++) {
        callers[i] = (struct caller){ &b, i % 2, 0 };
        pthread_create(&threads[i], NULL, call, &callers[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(callers[i].found > 5);
        CHECK_I64(callers[i].found, callers[0].found);
    }
    CHECK_I64(serving_figures(b.s).loads, 2);
    CHECK_SIZE(serving_figures(b.s).models, 2);
    bench_close(&b);
}

TEST(beyond_the_budget_the_one_unused_for_longest_goes_and_a_pinned_one_stays)
{
    const char *settings[] = { "predict.threads=1", NULL, NULL };
    struct fault f = FAULT_INIT;
    char budget[64];
    size_t one;
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    CHECK(predict(&b, 0, false, NULL) > 5);
    one = serving_figures(b.s).memory_bytes;
    CHECK(one > 100000);
    bench_close(&b);

    snprintf(budget, sizeof budget, "predict.memory=%zu", one * 5 / 2); /* two and a half */
    settings[1] = budget;
    REQUIRE(bench_open(&b, settings));
    for (int i = 0; i < 3; i++)
        CHECK(predict(&b, i, false, NULL) > 5);
    CHECK_SIZE(serving_figures(b.s).models, 2);
    CHECK(predict(&b, 1, false, NULL) > 5); /* still there */
    CHECK_I64(serving_figures(b.s).loads, 3);
    CHECK(predict(&b, 0, false, NULL) > 5); /* was dropped; now 2 goes */
    CHECK_I64(serving_figures(b.s).loads, 4);
    REQUIRE(serving_pin(b.s, &b.uses[1], &f) == ST_OK);
    CHECK(predict(&b, 0, false, NULL) > 5);
    CHECK(predict(&b, 2, false, NULL) > 5); /* 1 is the oldest, but pinned: 0 goes */
    CHECK_I64(serving_figures(b.s).loads, 5);
    CHECK(predict(&b, 1, false, NULL) > 5);
    CHECK_I64(serving_figures(b.s).loads, 5);
    CHECK_SIZE(serving_figures(b.s).models, 2);
    serving_unpin(b.s, &b.uses[1]);
    CHECK(predict(&b, 2, false, NULL) > 5);
    CHECK(predict(&b, 0, false, NULL) > 5); /* now 1 goes */
    CHECK(predict(&b, 1, false, NULL) > 5);
    CHECK_I64(serving_figures(b.s).loads, 7);
    bench_close(&b);
}

TEST(weights_that_are_not_there_are_not_found)
{
    static const char *const settings[] = { "predict.threads=1", NULL };
    const struct model_use none = { .weights = { { 9 } } };
    struct served_model *m = NULL;
    struct fault f = FAULT_INIT;
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    for (int i = 0; i < 2; i++)
        CHECK_I64(serving_get(b.s, &none, &m, &f), ST_NOT_FOUND);
    CHECK_SIZE(serving_figures(b.s).models, 0);
    bench_close(&b);
}

TEST(a_new_process_loads_what_the_one_before_had_loaded)
{
    static const char *const settings[] = { "predict.threads=1", NULL };
    struct fault f = FAULT_INIT;
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    CHECK(predict(&b, 0, false, NULL) > 5);
    CHECK(predict(&b, 2, false, NULL) > 5);
    serving_free(b.s);
    b.s = NULL;
    REQUIRE(serving_create(b.store, b.box, NULL, &b.s, &f) == ST_OK);
    for (int i = 0; i < 500 && serving_figures(b.s).loads < 2; i++)
        usleep(20000);
    CHECK_I64(serving_figures(b.s).loads, 2);
    CHECK(predict(&b, 0, false, NULL) > 5);
    CHECK_I64(serving_figures(b.s).loads, 2);
    bench_close(&b);
}

/* ---- int8 */

/* A calibration of model i from copies of one picture: enough of a range for it. */
static bool calibrate(struct bench *b, int i)
{
    struct calibration *made = NULL;
    struct buffer text = { 0 };
    struct calibrator *c = NULL;
    struct fault f = FAULT_INIT;
    struct image im = { 0 };
    struct spool *sp = NULL;
    const void *model;
    int64_t size;
    size_t n;
    bool ok = store_map(b->store, &b->uses[i].weights, &model, &n, &f) == ST_OK &&
              calibrator_create(model, n, NULL, 1, &c, &f) == ST_OK &&
              image_decode(b->picture.p, b->picture.n, &im, &f) == ST_OK;

    for (int k = 0; k < CALIBRATION_PICTURES && ok; k++)
        ok = calibrator_add(c, im.rgb, im.width, im.height, &f) == ST_OK;
    if (ok && calibrator_finish(c, &made, &f) == ST_OK)
        calibration_write(made, &text);
    ok = ok && spool_create(b->store, LIMIT_CALIBRATION_BYTES, &sp, &f) == ST_OK &&
         spool_write(sp, text.p, text.n, &f) == ST_OK &&
         spool_publish(sp, &b->uses[i].calibration, &size, &f) == ST_OK;
    b->uses[i].calibrated = ok;
    if (!ok)
        TEST_FAIL_("calibrate: %s", f.detail);
    spool_free(sp);
    buffer_free(&text);
    calibration_free(made);
    calibrator_free(c);
    image_free(&im);
    return ok;
}

TEST(a_new_process_compiles_what_automatic_answers_with)
{
    static const char *const settings[] = { "predict.threads=1", NULL };
    struct fault f = FAULT_INIT;
    struct bench b;
    size_t alone;

    if (!precision_available(PRECISION_INT8))
        SKIP("needs AVX-512 VNNI");
    REQUIRE(bench_open(&b, settings));
    REQUIRE(calibrate(&b, 0));
    b.uses[0].precision = PRECISION_INT8;
    CHECK(predict_in(&b, 0, PRECISION_INT8, false, NULL) > 3);
    alone = serving_figures(b.s).memory_bytes;
    CHECK(predict(&b, 0, false, NULL) > 5);
    CHECK(serving_figures(b.s).memory_bytes > alone); /* a precision more is a plan more */
    serving_free(b.s);
    b.s = NULL;
    REQUIRE(serving_create(b.store, b.box, NULL, &b.s, &f) == ST_OK);
    for (int i = 0; i < 500 && serving_figures(b.s).memory_bytes == 0; i++)
        usleep(20000);
    CHECK(predict_in(&b, 0, PRECISION_INT8, false, NULL) > 3);
    CHECK_SIZE(serving_figures(b.s).memory_bytes, alone); /* nothing else was compiled */
    CHECK_I64(serving_figures(b.s).loads, 1);
    bench_close(&b);
}

TEST(int8_needs_a_calibration_of_these_weights_and_the_model_runs_without)
{
    static const char *const settings[] = { "predict.threads=1", NULL };
    struct served_model *m = NULL;
    struct fault f = FAULT_INIT;
    struct bench b;

    if (!precision_available(PRECISION_INT8))
        SKIP("needs AVX-512 VNNI");
    REQUIRE(bench_open(&b, settings));
    CHECK_I64(predict_in(&b, 0, PRECISION_INT8, false, NULL), -1 - (int)ST_UNSUPPORTED);
    REQUIRE(calibrate(&b, 1));
    b.uses[0].calibrated = true; /* that of another model, and one that is not there */
    for (int i = 0; i < 2; i++) {
        b.uses[0].calibration = i ? (struct digest){ { 7 } } : b.uses[1].calibration;
        b.uses[0].precision = PRECISION_INT8;
        REQUIRE(serving_get(b.s, &b.uses[0], &m, &f) == ST_OK);
        CHECK(!served_calibrated(m));
        CHECK_I64(served_automatic(m, PRECISION_INT8), PRECISION_F32);
        serving_put(b.s, m);
        CHECK(predict(&b, 0, false, NULL) > 5);
    }
    CHECK(predict_in(&b, 1, PRECISION_INT8, false, NULL) > 3);
    REQUIRE(serving_get(b.s, &b.uses[1], &m, &f) == ST_OK);
    CHECK(served_calibrated(m));
    CHECK_I64(served_automatic(m, PRECISION_INT8), PRECISION_INT8);
    CHECK_I64(served_automatic(m, PRECISION_AUTO), PRECISION_F32);
    serving_put(b.s, m);
    bench_close(&b);
}

TEST(a_model_that_crashed_two_processes_is_refused_with_the_reason)
{
    static const char *const settings[] = { "predict.threads=1", NULL };
    struct served_model *m = NULL;
    struct fault f = FAULT_INIT;
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    serving_free(b.s);
    b.s = NULL;
    for (int i = 0; i < 2; i++) {
        struct blackbox *box;
        int status;

        if (fork() == 0) {
            if (blackbox_open(b.box, &box, &f) == ST_OK && freopen("/dev/null", "w", stderr)) {
                blackbox_begin(box, &b.uses[1].weights, BLACKBOX_RUNNING, 1000);
                raise(SIGABRT);
            }
            _exit(0);
        }
        wait(&status);
        CHECK(WIFSIGNALED(status));
    }
    REQUIRE(serving_create(b.store, b.box, NULL, &b.s, &f) == ST_OK);
    CHECK_I64(serving_get(b.s, &b.uses[1], &m, &f), ST_INVALID);
    CHECK(strstr(f.detail, "it crashed (signal 6)") != NULL);
    CHECK(predict(&b, 0, false, NULL) > 5);
    bench_close(&b);
}

/* ---- pictures */

TEST(a_picture_is_decoded_as_small_as_the_model_allows_unless_it_is_to_be_drawn_on)
{
    static const char *const settings[] = { "predict.threads=1", NULL };
    struct served_picture small, whole;
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    CHECK(predict(&b, 0, false, &small) > 5);
    CHECK(predict(&b, 0, true, &whole) > 5);
    CHECK_I64(small.width, 640);
    CHECK_I64(small.height, 480);
    CHECK_I64(whole.im.width, 640);
    CHECK(small.im.width == 640 || small.im.width == 320);
    bench_close(&b);
}

/* One picture at a time in a budget that holds no more; a single one always gets in. */
TEST(pictures_wait_for_memory)
{
    static const char *const settings[] = { "predict.threads=1", "predict.picture_memory=1",
                                            "predict.deadline_s=1", NULL };
    struct served_picture first = { 0 }, second = { 0 };
    struct served_model *m = NULL;
    struct fault f = FAULT_INIT;
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    REQUIRE(serving_get(b.s, &b.uses[0], &m, &f) == ST_OK);
    REQUIRE(serving_decode(b.s, m, b.picture.p, b.picture.n, &options, true, &first, &f) == ST_OK);
    CHECK_I64(serving_decode(b.s, m, b.picture.p, b.picture.n, &options, true, &second, &f),
              ST_UNAVAILABLE);
    CHECK(f.retry_after_s > 0);
    CHECK(strstr(f.detail, "memory for the picture") != NULL);
    served_picture_free(b.s, &first);
    CHECK_I64(serving_decode(b.s, m, b.picture.p, 1000, &options, true, &second, &f), ST_INVALID);
    CHECK_I64(serving_decode(b.s, m, b.picture.p, b.picture.n, &options, true, &second, &f), ST_OK);
    served_picture_free(b.s, &second);
    serving_put(b.s, m);
    bench_close(&b);
}

/* ---- places */

TEST(a_run_waits_for_a_place_and_gives_up_in_time)
{
#ifdef FOVEA_FAILPOINTS
    static const char *const settings[] = { "predict.threads=1", "predict.queue=1",
                                            "predict.deadline_s=1", NULL };
    struct caller callers[3];
    pthread_t threads[3];
    int ok = 0, refused = 0;
    struct bench b;

    REQUIRE(bench_open(&b, settings));
    CHECK(predict(&b, 0, false, NULL) > 5);
    failpoint_arm("predict_run:*:sleep1500"); /* longer than one may wait, not as long as it may run */
    for (int i = 0; i < 3; i++) {
        callers[i] = (struct caller){ &b, 0, 0 };
        pthread_create(&threads[i], NULL, call, &callers[i]);
        usleep(150000);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
        ok += callers[i].found > 5;
        refused += callers[i].found == -1 - (int)ST_UNAVAILABLE;
    }
    failpoint_arm(NULL);
    CHECK_I64(ok, 1);
    CHECK_I64(refused, 2); /* one at once, since one waits; one after its second */
    bench_close(&b);
#else
    SKIP("compiled without failpoints");
#endif
}
