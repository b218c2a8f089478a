/*
 * Nodes whose shapes only a run tells: suppression and what follows it, by graphs with answers computed
 * by hand, through the interpreter and through a plan.
 */
#include "tests/unit/inference_expect.h"

#include <math.h>
#include "inference/graph/late.h"
#include "tests/unit/inference_nms_graphs.h"

/* Every output of the interpreter equals that of the plan of the optimised graph; those of the
 * interpreter stay in out. */
struct runner {
    struct model *m;
    struct plan *plan;
    struct context *context;
    struct value out[4];
};

static bool runner_open(struct runner *r, struct buffer *g, int opset)
{
    struct fault f = FAULT_INIT;
    struct graph *copy;

    *r = (struct runner){ .m = run_load(g, opset) };
    if (!r->m || !(copy = graph_clone(r->m->graph)) || graph_optimise(copy, &f) != ST_OK)
        return false;
    if (plan_create(copy, NULL, &r->plan, &f) == ST_OK &&
        context_create(r->plan, &r->context, &f) == ST_OK)
        return true;
    TEST_FAIL_("%s", f.detail);
    return false;
}

static void runner_forget(struct runner *r)
{
    for (int i = 0; i < 4; i++) {
        free(r->out[i].data);
        r->out[i].data = NULL;
    }
}

static void runner_close(struct runner *r)
{
    runner_forget(r);
    context_free(r->context);
    plan_free(r->plan);
    model_free(r->m);
}

static bool runner_run(struct runner *r, const float *x)
{
    const struct graph *g = r->m->graph;
    struct value in = g->tensors[g->inputs[0]].v, bound = context_input(r->context, 0);
    struct fault f = FAULT_INIT;

    runner_forget(r);
    in.data = malloc(value_bytes(&in) + 1);
    memcpy(in.data, x, value_bytes(&in));
    memcpy(bound.data, x, value_bytes(&in));
    if (graph_interpret(g, &in, r->out, &f) != ST_OK || context_run(r->context, &f) != ST_OK) {
        TEST_FAIL_("%s", f.detail);
        free(in.data);
        return false;
    }
    free(in.data);
    for (int i = 0; i < g->noutputs; i++) {
        const struct value got = context_output(r->context, i);
        CHECK(got.type == r->out[i].type && value_same_shape(&got, &r->out[i]));
        if (value_same_shape(&got, &r->out[i]) && value_bytes(&got))
            CHECK(memcmp(got.data, r->out[i].data, value_bytes(&got)) == 0);
    }
    return true;
}

static void check_shape(const struct value *v, const char *shape)
{
    char text[64];

    CHECK_STR(value_shape_text(v, text, sizeof text), shape);
}

TEST(as_many_rows_come_out_as_a_run_finds)
{
    static const struct {
        float x[4];
        const char *shape;
        int64_t want[4];
    } cases[] = {
        { { 0, 5, 0, 6 }, "1x2", { 1, 3 } },
        { { 0, 0, 0, 0 }, "1x0", { 0 } },
        { { 1, 1, 1, 1 }, "1x4", { 0, 1, 2, 3 } },
        { { 0, 0, NAN, 0 }, "1x1", { 2 } },
    };
    struct buffer g = GRAPH(4);
    struct runner r;

    onnx_node(&g, "Relu", "x", "a", NULL);
    onnx_node(&g, "NonZero", "x", "y", NULL);
    REQUIRE(runner_open(&r, &g, 13));
    check_shape(&r.m->graph->tensors[r.m->graph->outputs[0]].v, "1x4"); /* the most */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        REQUIRE(runner_run(&r, cases[i].x));
        check_shape(&r.out[0], cases[i].shape);
        for (size_t k = 0; k < value_elements(&r.out[0]); k++)
            CHECK_I64(value_i64(&r.out[0])[k], cases[i].want[k]);
    }
    runner_close(&r);
}

/* Times of the steps, and behind them those of the late nodes, each of which has run. */
TEST(a_profile_times_late_nodes_too)
{
    const float x[] = { 0, 5, 0, 6 };
    struct fault f = FAULT_INIT;
    double ms[16];
    struct buffer g = GRAPH(4);
    struct runner r;

    onnx_node(&g, "NonZero", "x", "places", NULL);
    onnx_node(&g, "Neg", "places", "y", NULL);
    REQUIRE(runner_open(&r, &g, 13));
    REQUIRE(runner_run(&r, x));
    CHECK_I64(r.plan->late.nnodes, 2);
    for (int i = 0; i < 16; i++)
        ms[i] = -1;
    CHECK(context_profile(r.context, ms, &f) == ST_OK);
    for (int i = 0; i < 16; i++)
        CHECK((ms[i] >= 0) == (i < r.plan->nsteps + 2));
    runner_close(&r);
}

TEST(what_is_known_at_load_is_evaluated_there)
{
    struct buffer g = GRAPH(4);
    struct runner r;

    onnx_floats(&g, "c", 1, (const int64_t[]){ 3 }, (const float[]){ 0, 1, 1 });
    onnx_node(&g, "NonZero", "c", "at", NULL);
    onnx_node(&g, "Gather", "x at", "y", NULL);
    REQUIRE(runner_open(&r, &g, 13));
    CHECK_I64(r.plan->late.nnodes, 0);
    REQUIRE(runner_run(&r, (const float[]){ 1, 2, 3, 4 }));
    check_shape(&r.out[0], "1x2");
    CHECK_NEAR(value_f32(&r.out[0])[1], 3, 0);
    runner_close(&r);
}

/* Two classes, five boxes: corners x0, y0, x1, y1, and the scores of both. */
static const float five[6][5] = {
    { 10, 11, 50, 100, 12 }, { 10, 10, 50, 100, 10 },          { 30, 31, 80, 140, 30 },
    { 30, 30, 80, 140, 30 }, { 0.9f, 0.8f, 0.1f, 0.3f, 0.2f }, { 0.1f, 0.1f, 0.2f, 0.6f, 0.7f },
};

TEST(an_export_with_suppression_inside_gives_rows_filled_up_with_zeros)
{
    /* best first: box 0 of class 0, box 4 of class 1, which overlaps it, box 3 of class 1 */
    static const float want[4][6] = { { 10, 10, 30, 30, 0.9f, 0 },
                                      { 12, 10, 30, 30, 0.7f, 1 },
                                      { 100, 100, 140, 140, 0.6f, 1 } };
    static const float none[6 * 5];
    struct buffer g = GRAPH(1, 6, 5);
    struct runner r;

    nms_ultralytics(&g, "x", "y", 2, 4, 160);
    REQUIRE(runner_open(&r, &g, 17));
    check_shape(&r.m->graph->tensors[r.m->graph->outputs[0]].v, "1x4x6");
    for (int round = 0; round < 3; round++) {
        REQUIRE(runner_run(&r, round == 1 ? none : five[0]));
        check_shape(&r.out[0], "1x4x6");
        for (int i = 0; i < 4 * 6; i++)
            CHECK_NEAR(value_f32(&r.out[0])[i], round == 1 ? 0 : want[i / 6][i % 6], 0);
    }
    runner_close(&r);
}

TEST(more_boxes_than_wanted_are_cut)
{
    struct buffer g = GRAPH(1, 6, 5);
    struct runner r;

    nms_ultralytics(&g, "x", "y", 2, 1, 160);
    REQUIRE(runner_open(&r, &g, 17));
    REQUIRE(runner_run(&r, five[0]));
    check_shape(&r.out[0], "1x1x6");
    CHECK_NEAR(value_f32(&r.out[0])[4], 0.9f, 0);
    runner_close(&r);
}

static struct buffer flat_graph(bool score_first, int64_t most)
{
    struct buffer g = GRAPH(1, 6, 5), turn = { 0 };

    onnx_ints(&g, "parts", 2, (const int64_t[]){ 4, 2 });
    nms_axis(&g, "Split", "x parts", "rows scores", "axis", 1);
    onnx_ints_attribute(&turn, "perm", 3, (const int64_t[]){ 0, 2, 1 });
    onnx_node(&g, "Transpose", "rows", "boxes", &turn);
    nms_flat(&g, "boxes", "scores", "y", most, score_first);
    return g;
}

TEST(rows_of_image_box_class_and_score_are_as_many_as_are_kept)
{
    /* class by class; of class 1 box 4, then box 3 */
    static const float want[3][7] = { { 0, 10, 10, 30, 30, 0, 0.9f },
                                      { 0, 12, 10, 30, 30, 1, 0.7f },
                                      { 0, 100, 100, 140, 140, 1, 0.6f } };
    struct buffer g = flat_graph(false, 100);
    struct runner r;

    REQUIRE(runner_open(&r, &g, 17));
    check_shape(&r.m->graph->tensors[r.m->graph->outputs[0]].v, "10x7");
    REQUIRE(runner_run(&r, five[0]));
    /* box 3 of class 0 scores 0.3, above the threshold */
    check_shape(&r.out[0], "4x7");
    CHECK_NEAR(value_f32(&r.out[0])[7 + 6], 0.3f, 0);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 7; k++)
            CHECK_NEAR(value_f32(&r.out[0])[(i ? i + 1 : 0) * 7 + k], want[i][k], 0);
    REQUIRE(runner_run(&r, (const float[30]){ 0 }));
    check_shape(&r.out[0], "0x7");
    runner_close(&r);
}

TEST(suppression_keeps_in_mind_what_was_wanted)
{
    struct buffer g = flat_graph(true, 1);
    struct runner r;

    REQUIRE(runner_open(&r, &g, 17));
    check_shape(&r.m->graph->tensors[r.m->graph->outputs[0]].v, "2x7");
    REQUIRE(runner_run(&r, five[0]));
    check_shape(&r.out[0], "2x7");
    CHECK_NEAR(value_f32(&r.out[0])[5], 0.9f, 0);
    CHECK_NEAR(value_f32(&r.out[0])[7 + 6], 1, 0);
    runner_close(&r);
}

TEST(a_shape_that_depends_on_what_is_found_is_refused_at_load)
{
    struct buffer g = GRAPH(4), a = { 0 };
    char text[200];

    onnx_int_attribute(&a, "to", ONNX_INT64);
    onnx_node(&g, "NonZero", "x", "at", NULL);
    onnx_node(&g, "ConstantOfShape", "at", "y", NULL);
    buffer_free(&a);
    CHECK(refusal(&g, 13, text, sizeof text)[0] != '\0');
}

/* n boxes side by side, none over another. */
static float *row_of_boxes(size_t n)
{
    float *x = calloc(n * 4, sizeof *x);

    for (size_t i = 0; x && i < n; i++) {
        x[i * 4] = x[i * 4 + 2] = 2 * (float)i;
        x[i * 4 + 2] += 1;
        x[i * 4 + 3] = 1;
    }
    return x;
}

TEST(too_many_boxes_to_compare_end_in_an_error_soon)
{
    static const int64_t counts[] = { 5000, 1000000 };

    for (size_t i = 0; i < 2; i++) {
        const int64_t n = counts[i];
        struct buffer g = GRAPH(1, n, 4), a = { 0 };
        float *x = row_of_boxes((size_t)n);
        struct value in, out[1] = { { 0 } };
        struct fault f = FAULT_INIT;
        struct model *m;

        REQUIRE(x != NULL);
        onnx_ints_attribute(&a, "axes", 1, (const int64_t[]){ 2 });
        onnx_int_attribute(&a, "keepdims", 0);
        onnx_node(&g, "ReduceMax", "x", "sizes", &a);
        onnx_ints(&g, "shape", 3, (const int64_t[]){ 1, 1, n });
        onnx_node(&g, "Reshape", "sizes shape", "scores", NULL);
        onnx_ints(&g, "most", 1, (const int64_t[]){ INT64_MAX });
        onnx_floats(&g, "iou", 1, (const int64_t[]){ 1 }, (const float[]){ 0.5f });
        onnx_node(&g, "NonMaxSuppression", "x scores most iou", "y", NULL);
        REQUIRE((m = run_load(&g, 13)) != NULL);
        in = m->graph->tensors[m->graph->inputs[0]].v;
        in.data = x;
        if (n == counts[0]) {
            REQUIRE(graph_interpret(m->graph, &in, out, &f) == ST_OK);
            CHECK_I64(out[0].dims[0], n);
            free(out[0].data);
        } else {
            CHECK_I64(graph_interpret(m->graph, &in, out, &f), ST_TOO_LARGE);
            CHECK(strstr(f.detail, "NonMaxSuppression") != NULL);
        }
        free(x);
        model_free(m);
    }
}

TEST(work_behind_a_suppression_is_limited)
{
    enum { N = 1 << 12 };
    struct buffer g = GRAPH(N);
    struct value in, out[1] = { { 0 } };
    struct fault f = FAULT_INIT;
    struct model *m;
    static float x[N];

    for (int i = 0; i < N; i++)
        x[i] = 1;
    onnx_node(&g, "NonZero", "x", "at", NULL);
    onnx_node(&g, "Transpose", "at", "column", NULL);
    onnx_node(&g, "Mul", "at column", "square", NULL);
    for (int i = 0; i < 40; i++) {
        char from[16], to[16];
        snprintf(from, sizeof from, i ? "a%d" : "square", i);
        snprintf(to, sizeof to, i == 39 ? "y" : "a%d", i + 1);
        onnx_node(&g, "Neg", from, to, NULL);
    }
    REQUIRE((m = run_load(&g, 13)) != NULL);
    in = m->graph->tensors[m->graph->inputs[0]].v;
    in.data = x;
    CHECK_I64(graph_interpret(m->graph, &in, out, &f), ST_TOO_LARGE);
    x[0] = 0;
    for (int i = 1; i < N; i++)
        x[i] = 0;
    CHECK_I64(graph_interpret(m->graph, &in, out, &f), ST_OK);
    free(out[0].data);
    model_free(m);
}
