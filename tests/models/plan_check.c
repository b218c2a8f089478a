/*
 * Every network of the fixtures, layer by layer: what a plan makes of its own inputs is what the
 * references make of them, nothing heavy runs by plain loops, and a layer that is wrong is found by name
 * and computed another way.
 */
#include "tests/models/fixture.h"

#include "inference/compare.h"
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/cpu.h"
#include "inference/plan/check.h"
#include "inference/precision.h"

/* Gathers and concatenations, which the references copy: FastestDet and ShuffleNets have many. */
#define SLOW_WORK 0.04

static const struct {
    const char *name;
    int side;    /* 0: the file's */
    bool narrow; /* in 16 bits too */
} networks[] = {
    { "models/generated/yolo26n.onnx", 0, false },
    { "models/generated/yolov8n.pt", 160, false },
    { "models/generated/yolo11n-seg.pt", 160, true },
    { "models/generated/yolo11n-pose.pt", 160, false },
    { "models/generated/yolo11n-obb.pt", 160, false },
    { "models/generated/yolo11n-cls.pt", 224, false },
    { "models/generated/yolo26n.pt", 160, true },
    { "models/real/yolov8n-coco-dq-op12.onnx", 0, true },
    { "models/real/yolov8n_int8.onnx", 0, false },
    { "models/real/yolov5n.pt", 160, true },
    { "models/real/dogcat-cls.pt", 64, true },
    { "models/real/yolox_nano.onnx", 0, true },
    { "models/real/nanodet_m.onnx", 0, true },
    { "models/real/FastestDet.onnx", 0, true },
    { "models/real/yunet_n_320_320.onnx", 0, true },
    { "models/real/ultraface-slim-320.onnx", 0, true },
};

static void show(void *who, const struct layer_check *l)
{
    const char *name = who;

    if (l->wrong)
        TEST_FAIL_("%s: %s by %s is off by %.2g", name, l->label, l->by, l->difference);
    if (l->slow && l->work > 0.001)
        printf("#   %s by %s: %.2g of the work\n", l->label, l->by, l->work);
}

/* A picture-like input in fresh memory; false: failed. */
static bool fill_input(const struct graph *g, struct value *ret)
{
    *ret = g->tensors[g->inputs[0]].v;
    if (!(ret->data = malloc(value_bytes(ret) + 1)))
        return false;
    value_fill(ret, 3);
    return true;
}

static bool check_network(const char *name, int side, const struct compile_options *o)
{
    const struct plan_watcher w = { .see = show, .who = (void *)(uintptr_t)name };
    struct model *m = fixture_model(name);
    struct fault f = FAULT_INIT;
    struct plan_check r;
    struct value in = { .data = NULL };
    bool ok = false;

    if (m && model_infer(m, side) && fill_input(m->graph, &in)) {
        if (too_slow(in.dims[2]))
            ok = true;
        else if ((ok = graph_check(m->graph, o, &in, &w, &r, &f) == ST_OK)) {
            printf("# %s %s: %d layers, worst %.2g (%s), %.1g of the work by plain loops\n", name,
                   o->exact ? "exact" : precision_name(o->precision), r.layers, r.worst, r.worst_label,
                   r.slow_work);
            CHECK_I64(r.wrong, 0);
            CHECK_I64(r.plans, 1);
            CHECK(r.slow_work < SLOW_WORK);
        }
    }
    if (f.detail[0])
        TEST_FAIL_("%s: %s", name, f.detail);
    free(in.data);
    model_free(m);
    return ok;
}

static void check_all(const struct compile_options *o)
{
    for (size_t i = 0; i < sizeof networks / sizeof *networks; i++)
        if (networks[i].narrow || o->precision == PRECISION_F32)
            CHECK(check_network(networks[i].name, networks[i].side, o));
}

TEST(every_layer_of_every_network_is_what_its_reference_says)
{
    NEED_FIXTURES();
    check_all(&(struct compile_options){ .threads = 1, .precision = PRECISION_F32 });
}

TEST(layers_in_16_bits_are_what_their_references_say)
{
    if (!precision_available(PRECISION_F16))
        SKIP("needs AVX-512 FP16");
    NEED_FIXTURES();
    check_all(&(struct compile_options){ .threads = 2, .precision = PRECISION_F16 });
}

TEST(exact_layers_are_nearer_still)
{
    const struct compile_options o = { .threads = 2, .exact = true };

    NEED_FIXTURES();
    CHECK(check_network("models/generated/yolo11n-pose.pt", 160, &o));
    CHECK(check_network("models/real/nanodet_m.onnx", 0, &o));
}

/* ---- one kernel is wrong ---- */

static const char damaged_layer[] = "Conv_47";

/* In every plan the layer is wrong as long as our own kernel runs it: an output channel's bias is off by
 * 100.
 */
static void damage(void *who, struct plan *p)
{
    int *times = who;

    for (int i = 0; i < p->nsteps; i++)
        if (p->steps[i].conv && strcmp(p->steps[i].node->name, damaged_layer) == 0) {
            ((struct conv_kernel *)(uintptr_t)p->steps[i].conv)->bias[5] += 100;
            ++*times;
        }
}

static void check_damaged(const struct compile_options *o, const struct value *in, struct model *m)
{
    int times = 0;
    const struct plan_watcher w = { .made = damage, .who = &times };
    struct compile_options avoiding = *o;
    char text[AVOIDED_TEXT];
    struct fault f = FAULT_INIT;
    struct avoided again;
    struct plan_check r;

    REQUIRE(graph_check(m->graph, o, in, &w, &r, &f) == ST_OK);
    CHECK_I64(times, 1);
    CHECK_I64(r.plans, 2);
    CHECK_I64(r.wrong, 0);
    REQUIRE(r.avoided.n == 1);
    CHECK(r.avoided.items[0].how == AVOID_OWN);
    CHECK(avoided_read(avoided_text(&r.avoided, text), &again));
    CHECK(again.n == 1 && again.items[0].layer == r.avoided.items[0].layer);
    /* What is known already needs no second plan, and no damage can be done. */
    avoiding.avoid = &again;
    REQUIRE(graph_check(m->graph, &avoiding, in, &w, &r, &f) == ST_OK);
    CHECK_I64(times, 1);
    CHECK_I64(r.plans, 1);
    CHECK_I64(r.wrong, 0);
}

TEST(a_wrong_kernel_is_found_by_its_layer_and_replaced)
{
    struct compile_options o = { .threads = 2 };
    struct value in = { .data = NULL };
    struct model *m;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs kernels of our own");
    NEED_FIXTURES();
    REQUIRE((m = fixture_model("models/real/yolox_nano.onnx")) && model_infer(m, 0) &&
            fill_input(m->graph, &in));
    check_damaged(&o, &in, m);
    o.precision = PRECISION_F16;
    if (precision_available(PRECISION_F16))
        check_damaged(&o, &in, m);
    free(in.data);
    model_free(m);
}

static void damage_all(void *who, struct plan *p)
{
    (void)who;
    for (int i = 0; i < p->nsteps; i++)
        if (p->steps[i].conv)
            ((struct conv_kernel *)(uintptr_t)p->steps[i].conv)->bias[0] += 1;
}

TEST(every_kernel_of_ours_may_be_wrong)
{
    const struct compile_options o = { .threads = 2 };
    const struct plan_watcher w = { .made = damage_all };
    struct fault f = FAULT_INIT;
    struct value in = { .data = NULL };
    struct plan_check r;
    struct model *m;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs kernels of our own");
    NEED_FIXTURES();
    REQUIRE((m = fixture_model("models/generated/yolo11n-cls.pt")) && model_infer(m, 64) &&
            fill_input(m->graph, &in));
    REQUIRE(graph_check(m->graph, &o, &in, &w, &r, &f) == ST_OK);
    CHECK_I64(r.wrong, 0);
    CHECK(r.plans > 1 && r.avoided.n > 1);
    free(in.data);
    model_free(m);
}
