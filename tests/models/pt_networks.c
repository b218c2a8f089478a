/*
 * Networks of real and generated checkpoints against PyTorch's float32 outputs of the same files, by the
 * references and through a plan. Fixtures: see their README; absent, the tests skip.
 */
#include "tests/unit/test.h"

#include "inference/graph/passes.h"
#include "inference/model/model.h"
#include "inference/plan/context.h"
#include "inference/pt/pt.h"

struct file {
    char *bytes;
    size_t n;
};

static bool load(const char *name, struct file *ret)
{
    char path[512];
    FILE *f;
    long n;

    snprintf(path, sizeof path, "%s/models/%s", test_fixtures(), name);
    if (!(f = fopen(path, "rb")))
        return false;
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    ret->bytes = malloc((size_t)n + 1);
    ret->n = fread(ret->bytes, 1, (size_t)n, f);
    fclose(f);
    return ret->n == (size_t)n;
}

/* The float32 numbers of a .npy file of version 1: behind a header whose length stands at byte 8. */
static float *load_npy(const char *name, size_t *ret_n)
{
    struct file f = { 0 };
    size_t header;
    float *x;

    if (!load(name, &f) || f.n < 10)
        return NULL;
    header = 10u + (uint8_t)f.bytes[8] + 256u * (uint8_t)f.bytes[9];
    *ret_n = (f.n - header) / sizeof *x;
    if ((x = malloc(f.n - header)))
        memcpy(x, f.bytes + header, f.n - header);
    free(f.bytes);
    return x;
}

/*
 * What an output is compared with. The first `pixels` values of an anchor and the last `pixels_behind`
 * are in pixels, the others scores or features: those beyond 1 are judged relative to their size.
 */
struct reference {
    const char *model, *input, *output;
    int index; /* of the output */
    int side;
    size_t rows;    /* values of an anchor; 0: all alike */
    bool by_anchor; /* [A, rows]; else [rows, A] */
    size_t pixels, pixels_behind;
    double px, score;
    bool interpreted; /* also by the references */
};

static void bind(struct model *m, int side)
{
    struct value *v = &m->graph->tensors[m->graph->inputs[0]].v;

    v->dims[2] = v->dims[3] = side;
}

/* What the rows of an end-to-end head are taken from becomes the output: rows of random weights are full
 * of ties, which another implementation breaks otherwise. */
static void open_rows(struct graph *g)
{
    for (int i = 0; i < g->nnodes; i++)
        if (strcmp(g->nodes[i].type, "YoloRows") == 0)
            g->outputs[0] = g->nodes[i].inputs[0];
}

static struct model *open_model(const char *name, int side)
{
    struct fault f = FAULT_INIT;
    struct model *m = NULL;
    struct file file = { 0 };

    if (!load(name, &file) || pt_read(file.bytes, file.n, &m, &f) != ST_OK) {
        TEST_FAIL_("%s: %s", name, f.detail);
        free(file.bytes);
        return NULL;
    }
    free(file.bytes);
    bind(m, side);
    open_rows(m->graph);
    if (graph_verify(m->graph, &f) != ST_OK || graph_infer(m->graph, &f) != ST_OK) {
        TEST_FAIL_("%s: %s", name, f.detail);
        model_free(m);
        return NULL;
    }
    return m;
}

static void compare(const struct reference *r, const char *how, const struct value *got,
                    const float *want, size_t n)
{
    double px = 0, score = 0;
    char shape[64];

    if (value_elements(got) != n) {
        TEST_FAIL_("%s: the output is %s, the reference has %zu numbers", r->model,
                   value_shape_text(got, shape, sizeof shape), n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)value_f32(got)[i] - (double)want[i]);
        const size_t row = !r->rows ? r->pixels : r->by_anchor ? i % r->rows : i / (n / r->rows);
        double *most = row < r->pixels || (r->rows && row >= r->rows - r->pixels_behind) ? &px : &score;
        d = most == &score ? d / fmax(1, fabs((double)want[i])) : d;
        *most = d > *most || isnan(d) ? (isnan(d) ? INFINITY : d) : *most;
    }
    printf("# %s output %d by %s: within %.2g px, others within %.2g\n", r->model, r->index, how, px,
           score);
    CHECK(px <= r->px);
    CHECK(score <= r->score);
}

static void check_plan(const struct reference *r, const struct graph *from, const float *input,
                       const float *want, size_t n)
{
    struct graph *g = graph_clone(from);
    struct fault f = FAULT_INIT;
    struct context *c = NULL;
    struct plan *p = NULL;

    if (graph_optimise(g, &f) == ST_OK &&
        plan_create(g, &(struct compile_options){ .threads = 2, .exact = true }, &p, &f) == ST_OK &&
        context_create(p, &c, &f) == ST_OK) {
        const struct value in = context_input(c, 0);
        memcpy(in.data, input, value_bytes(&in));
        if (context_run(c, &f) == ST_OK) {
            const struct value out = context_output(c, r->index);
            compare(r, "plan", &out, want, n);
        }
    }
    if (f.detail[0])
        TEST_FAIL_("%s: %s", r->model, f.detail);
    context_free(c);
    plan_free(p);
}

static void check_references(const struct reference *r, const struct graph *g, float *input,
                             const float *want, size_t n)
{
    struct value in = g->tensors[g->inputs[0]].v, out[4] = { { 0 } };
    struct fault f = FAULT_INIT;

    in.data = input;
    if (graph_interpret(g, &in, out, &f) == ST_OK)
        compare(r, "references", &out[r->index], want, n);
    else
        TEST_FAIL_("%s: %s", r->model, f.detail);
    for (int i = 0; i < g->noutputs && i < 4; i++)
        free(out[i].data);
}

static void check_network(const struct reference *r, bool by_references)
{
    size_t nin = 0, nout = 0;
    float *input = load_npy(r->input, &nin), *want = load_npy(r->output, &nout);
    struct model *m = open_model(r->model, r->side);

    if (m && input && want && nin == (size_t)(3 * r->side * r->side)) {
        check_plan(r, m->graph, input, want, nout);
        if (by_references)
            check_references(r, m->graph, input, want, nout);
    } else {
        TEST_FAIL_("%s cannot be compared", r->model);
    }
    model_free(m);
    free(input);
    free(want);
}

#define INPUT "generated/input-640.npy"

/*
 * Boxes within 0.01 px, scores within 1e-4. Where weights are random and values grow with depth, sums in
 * another order differ by a little more: mask coefficients, prototypes and key points, the raw scores of
 * YOLO26. The references, which are plain loops, are as far from PyTorch there.
 */
static const struct reference references[] = {
    { "generated/yolov8n.pt", INPUT, "generated/yolov8n.out0.npy", 0, 640, 84, false, 4, 0, 0.01, 1e-4,
      true },
    { "generated/yolo11n.pt", INPUT, "generated/yolo11n.out0.npy", 0, 640, 84, false, 4, 0, 0.01, 1e-4,
      false },
    { "generated/yolo11n-seg.pt", INPUT, "generated/yolo11n-seg.out0.npy", 0, 640, 116, false, 4, 0,
      0.01, 3e-4, false },
    { "generated/yolo11n-seg.pt", INPUT, "generated/yolo11n-seg.out1.npy", 1, 640, 0, false, 0, 0, 0.01,
      3e-4, false },
    { "generated/yolo11n-pose.pt", INPUT, "generated/yolo11n-pose.out0.npy", 0, 640, 135, false, 4, 51,
      0.02, 1e-4, false },
    { "generated/yolo11n-obb.pt", INPUT, "generated/yolo11n-obb.out0.npy", 0, 640, 85, false, 4, 0, 0.01,
      1e-4, false },
    { "generated/yolo11n-cls.pt", "generated/input-224.npy", "generated/yolo11n-cls.out0.npy", 0, 224, 0,
      false, 0, 0, 0.01, 1e-4, true },
    { "generated/yolo26n.pt", INPUT, "generated/yolo26n.raw.npy", 0, 640, 84, false, 4, 0, 0.015, 1.5e-4,
      false },
    { "real/yolov5n.pt", "real/yolov5n.in.npy", "real/yolov5n.out0.npy", 0, 640, 7, true, 4, 0, 0.01,
      1e-4, true },
};

TEST(planned_networks_of_checkpoints_equal_pytorch)
{
    if (!test_fixtures())
        SKIP("fixtures are absent");
    for (size_t i = 0; i < sizeof references / sizeof *references; i++)
        check_network(&references[i], false);
}

/* Plain loops take seconds a network: one of each form of head. */
TEST(interpreted_networks_of_checkpoints_equal_pytorch)
{
    if (!test_fixtures())
        SKIP("fixtures are absent");
    for (size_t i = 0; i < sizeof references / sizeof *references; i++)
        if (references[i].interpreted)
            check_network(&references[i], true);
}

TEST(checkpoints_with_known_heads_are_runnable)
{
    static const struct {
        const char *name, *family, *architecture;
        enum model_task task;
        int nclasses, side;
        int64_t parameters;
    } cards[] = {
        { "generated/yolov8n.pt", "yolov8", "yolov8n", TASK_DETECT, 80, 640, 3157200 },
        { "generated/yolo11n.pt", "yolov8", "yolo11n", TASK_DETECT, 80, 640, 2624080 },
        { "generated/yolo11n-seg.pt", "yolov8", "yolo11n-seg", TASK_SEGMENT, 80, 640, 2876848 },
        { "generated/yolo11n-pose.pt", "yolov8", "yolo11n-pose", TASK_POSE, 80, 640, 2908507 },
        { "generated/yolo11n-obb.pt", "yolov8", "yolo11n-obb", TASK_OBB, 80, 640, 2695747 },
        { "generated/yolo11n-cls.pt", "yolo-classify", "yolo11n-cls", TASK_CLASSIFY, 1000, 224,
          2812104 },
        { "generated/yolo26n.pt", "end2end", "yolo26n", TASK_DETECT, 80, 640, 2572280 },
        { "real/dogcat-cls.pt", "yolo-classify", "yolo11n-cls", TASK_CLASSIFY, 2, 64, 1533666 },
        { "real/yolov5n.pt", "yolov5", "yolov5n", TASK_DETECT, 2, 0, 1766623 },
    };

    if (!test_fixtures())
        SKIP("fixtures are absent");
    for (size_t i = 0; i < sizeof cards / sizeof *cards; i++) {
        struct fault f = FAULT_INIT;
        struct model_card *c = NULL;
        struct file file = { 0 };
        printf("# %s\n", cards[i].name);
        REQUIRE(load(cards[i].name, &file));
        if (model_card_read(file.bytes, file.n, &c, &f) != ST_OK) {
            TEST_FAIL_("%s", f.detail);
        } else {
            CHECK(c->format == MODEL_PT && c->task_known);
            CHECK_STR(c->why_not, "");
            CHECK(c->runnable);
            CHECK_STR(c->family, cards[i].family);
            CHECK_STR(c->architecture, cards[i].architecture);
            CHECK_I64(c->task, cards[i].task);
            CHECK_I64(c->nclasses, cards[i].nclasses);
            CHECK_I64(c->input_width, cards[i].side);
            CHECK_I64(c->parameters, cards[i].parameters);
        }
        model_card_free(c);
        free(file.bytes);
    }
}

/* Output 0 through a plan, of a graph that is taken over; NULL: failed. */
static float *plan_output(struct graph *g, const float *input, size_t *ret_n)
{
    struct fault f = FAULT_INIT;
    struct context *c = NULL;
    struct plan *p = NULL;
    float *out = NULL;

    if (graph_optimise(g, &f) == ST_OK &&
        plan_create(g, &(struct compile_options){ .threads = 2, .exact = true }, &p, &f) == ST_OK &&
        context_create(p, &c, &f) == ST_OK) {
        const struct value in = context_input(c, 0);
        memcpy(in.data, input, value_bytes(&in));
        if (context_run(c, &f) == ST_OK) {
            const struct value y = context_output(c, 0);
            *ret_n = value_elements(&y);
            out = malloc(value_bytes(&y));
            memcpy(out, y.data, value_bytes(&y));
        }
    }
    if (!out)
        TEST_FAIL_("%s", f.detail);
    context_free(c);
    plan_free(p);
    return out;
}

/* Of the file, whichever format it has. */
static float *network_output(const char *name, const float *input, size_t *ret_n)
{
    struct fault f = FAULT_INIT;
    struct file file = { 0 };
    struct model *m = NULL;
    struct graph *g = NULL;
    float *out = NULL;

    if (load(name, &file) &&
        (pt_is_checkpoint(file.bytes, file.n) ? pt_read(file.bytes, file.n, &m, &f)
                                              : onnx_read(file.bytes, file.n, &m, &f)) == ST_OK) {
        bind(m, 640);
        if (graph_verify(m->graph, &f) == ST_OK && graph_infer(m->graph, &f) == ST_OK)
            g = graph_clone(m->graph);
    }
    if (g)
        out = plan_output(g, input, ret_n);
    else
        TEST_FAIL_("%s: %s", name, f.detail);
    model_free(m);
    free(file.bytes);
    return out;
}

static int downwards(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return (x < y) - (x > y);
}

/* The scores of rows of six, best first: which of equal ones comes first is nobody's business. */
static size_t scores_only(float *rows, size_t n)
{
    for (size_t i = 0; i < n / 6; i++)
        rows[i] = rows[i * 6 + 4];
    qsort(rows, n / 6, sizeof *rows, downwards);
    return n / 6;
}

TEST(checkpoints_and_exports_of_one_network_agree)
{
    static const struct {
        const char *pt, *onnx;
        bool rows;
    } pairs[] = {
        { "generated/yolov8n.pt", "generated/yolov8n.onnx", false },
        { "generated/yolo11n.pt", "generated/yolo11n.onnx", false },
        { "generated/yolo26n.pt", "generated/yolo26n.onnx", true },
    };
    size_t n;
    float *input;

    if (!test_fixtures())
        SKIP("fixtures are absent");
    REQUIRE((input = load_npy(INPUT, &n)) != NULL);
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        size_t na = 0, nb = 0;
        float *a = network_output(pairs[i].pt, input, &na),
              *b = network_output(pairs[i].onnx, input, &nb);
        double px = 0, score = 0;
        CHECK_SIZE(na, nb);
        if (a && b && pairs[i].rows && na == nb) {
            na = scores_only(a, na);
            nb = scores_only(b, nb);
        }
        for (size_t k = 0; a && b && na == nb && k < na; k++) {
            double *most = !pairs[i].rows && k < 4 * 8400 ? &px : &score;
            *most = fmax(*most, fabs((double)a[k] - (double)b[k]));
        }
        printf("# %s and its export: within %.2g px, scores within %.2g\n", pairs[i].pt, px, score);
        CHECK(a && b && px <= 0.01 && score <= 1e-4);
        free(a);
        free(b);
    }
    free(input);
}
