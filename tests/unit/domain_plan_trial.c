/* Kernels that are wrong on this processor: what a check says of a stored model, and that the server
 * answers without them. The bundled model. */
#include "tests/unit/test.h"
#include "tests/unit/file_bytes.h"

#include "base/config.h"
#include "base/failpoint.h"
#include "base/version.h"
#include "domain/plan_trial.h"
#include "domain/precision_gate.h"
#include "domain/serving.h"
#include "inference/kernels/cpu.h"

struct bench {
    char folder[64];
    struct store *store;
    struct serving *s;
    struct model_use use;
    struct buffer picture;
};

/* Without a server: that comes after the checks, whose processes are forks. */
static bool bench_open(struct bench *b, const char *path)
{
    static const char *const settings[] = { "predict.threads=1", NULL };
    struct fault f = FAULT_INIT;
    struct buffer model = { 0 };
    struct spool *sp = NULL;
    int64_t size;
    bool ok;

    *b = (struct bench){ .folder = "/tmp/fovea-plan.XXXXXX" };
    ok = mkdtemp(b->folder) && config_load("/dev/null", settings, &f) == ST_OK &&
         store_open(b->folder, &b->store, &f) == ST_OK && read_file(path, &model) &&
         read_file("demo/page.jpg", &b->picture) && spool_create(b->store, 1 << 30, &sp, &f) == ST_OK &&
         spool_write(sp, model.p, model.n, &f) == ST_OK &&
         spool_publish(sp, &b->use.weights, &size, &f) == ST_OK;
    if (!ok)
        TEST_FAIL_("bench: %s", f.detail);
    spool_free(sp);
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

static struct plan_trial check(struct bench *b)
{
    struct fault f = FAULT_INIT;
    struct plan_trial t = { .reason = "nothing" };
    bool ended = false;

    if (plan_trial_run(b->store, &b->use.weights, NULL, &t, &ended, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    CHECK(ended);
    return t;
}

static const struct predict_options options = {
    .conf = 0.25f, .iou = 0.7f, .max_detections = 300, .precision = PRECISION_F32
};

/* What a server of the use sees on the page; the caller frees it. */
static bool predict(struct bench *b, const struct model_use *use, struct prediction *ret)
{
    struct served_picture p = { 0 };
    struct served_model *m = NULL;
    struct fault f = FAULT_INIT;
    bool ok = (b->s || serving_create(b->store, NULL, NULL, &b->s, &f) == ST_OK) &&
              serving_get(b->s, use, &m, &f) == ST_OK &&
              serving_decode(b->s, m, b->picture.p, b->picture.n, &options, false, &p, &f) == ST_OK &&
              serving_run(b->s, m, &p, &options, ret, &f) == ST_OK;

    if (!ok)
        TEST_FAIL_("predict: %s", f.detail);
    served_picture_free(b->s, &p);
    serving_put(b->s, m);
    return ok;
}

/* The same number of things, each with nearly the same score and place. */
static bool same(const struct prediction *a, const struct prediction *b)
{
    bool same = a->n == b->n;

    for (size_t i = 0; i < a->n && same; i++)
        same = fabs((double)(a->items[i].score - b->items[i].score)) < 1e-3 &&
               fabs((double)(a->items[i].x0 - b->items[i].x0)) < 0.5;
    return same;
}

TEST(the_kernels_of_the_bundled_model_are_right)
{
    struct plan_trial t;
    struct bench b;

    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    t = check(&b);
    CHECK(t.found.layers > 10);
    CHECK_I64(t.found.wrong, 0);
    CHECK_I64(t.found.avoided.n, 0);
    CHECK(t.found.worst_label[0] && t.found.worst <= 4e-4);
    CHECK_STR(t.reason, "");
    bench_close(&b);
}

TEST(what_is_no_model_is_not_checked_and_says_why)
{
    struct plan_trial t;
    struct bench b;

    if (!bench_open(&b, "demo/page.jpg"))
        return;
    t = check(&b);
    CHECK_I64(t.found.layers, 0);
    CHECK(strlen(t.reason) > 10);
    bench_close(&b);
}

/* ---- serving ---- */

struct layers {
    struct avoided ours; /* those of kernels of our own */
    int own;             /* that ran so */
};

static void collect(void *who, struct plan *p)
{
    struct layers *l = who;

    l->own = 0;
    for (int i = 0; i < p->nsteps; i++)
        if (p->steps[i].conv) {
            l->own++;
            (void)avoided_add(&l->ours, p->graph, p->steps[i].node, AVOID_OWN);
        }
}

/* How many steps of the served model's plan are kernels of our own; *ret: their layers. */
static int count_own(struct bench *b, const struct model_use *use, struct avoided *ret)
{
    struct layers l = { .own = -1 };
    const struct plan_watcher w = { .made = collect, .who = &l };
    struct served_model *m = NULL;
    struct fault f = FAULT_INIT;
    struct plan_check found;

    if (serving_get(b->s, use, &m, &f) != ST_OK ||
        predictor_check(served_predictor(m), PRECISION_F32, &w, &found, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    serving_put(b->s, m);
    *ret = l.ours;
    return l.own;
}

TEST(a_list_of_layers_to_avoid_is_a_plan_of_its_own_without_them)
{
    struct prediction usual = { 0 }, avoiding = { 0 };
    struct avoided none, some = { .n = 0 };
    struct model_use other;
    struct bench b;
    int own;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs kernels of our own");
    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    CHECK(predict(&b, &b.use, &usual) && usual.n > 5);
    own = count_own(&b, &b.use, &some);
    REQUIRE(own > 3 && some.n == own);
    some.n = 2;
    other = b.use;
    other.avoided = some;
    CHECK(predict(&b, &other, &avoiding));
    CHECK(same(&usual, &avoiding));
    CHECK_I64(serving_figures(b.s).loads, 2);
    CHECK_I64(count_own(&b, &other, &none), own - 2);
    CHECK_I64(count_own(&b, &b.use, &none), own);
    CHECK_I64(serving_figures(b.s).loads, 2); /* both are there */
    prediction_free(&usual);
    prediction_free(&avoiding);
    bench_close(&b);
}

#ifdef FOVEA_FAILPOINTS
/* All of them: the check's, and the server's. */
TEST(where_kernels_are_wrong_the_server_answers_without_them)
{
    struct prediction right = { 0 }, wrong = { 0 }, repaired = { 0 };
    struct model_use use;
    struct plan_trial t;
    struct bench b;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs kernels of our own");
    if (!bench_open(&b, "demo/digits.onnx"))
        return;
    failpoint_arm("conv_kernel:*:eio");
    t = check(&b);
    CHECK_I64(t.found.wrong, 0);
    CHECK(t.found.avoided.n > 3 && t.found.plans > 1);
    CHECK(strstr(t.reason, "is off by") != NULL);
    use = b.use;
    use.avoided = t.found.avoided;
    CHECK(predict(&b, &b.use, &wrong));
    CHECK(predict(&b, &use, &repaired));
    failpoint_arm(NULL);
    serving_free(b.s);
    b.s = NULL;
    CHECK(predict(&b, &b.use, &right) && right.n > 5);
    CHECK(!same(&right, &wrong));
    CHECK(same(&right, &repaired));
    prediction_free(&right);
    prediction_free(&wrong);
    prediction_free(&repaired);
    bench_close(&b);
}
#endif

TEST(what_is_avoided_is_the_row_of_this_processor_and_release)
{
    static const char list[] = "00112233445566aa:own ffeeddccbbaa9988:fast";
    char cpu[PRECISION_CPU], text[512];

    precision_cpu(cpu);
    CHECK_I64(plan_avoided(NULL).n, 0);
    CHECK_I64(plan_avoided("{}").n, 0);
    snprintf(text, sizeof text, "{\"a/b 9 %s\",\"%s " FOVEA_VERSION " %s\"}", list, cpu, list);
    CHECK_I64(plan_avoided(text).n, 2);
    snprintf(text, sizeof text, "{\"%s 0.0.0 %s\"}", cpu, list);
    CHECK_I64(plan_avoided(text).n, 0);
    snprintf(text, sizeof text, "{\"%s " FOVEA_VERSION " %sx\"}", cpu, list);
    CHECK_I64(plan_avoided(text).n, 0); /* no list */
}
