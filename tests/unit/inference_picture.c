/* Inputs of one picture in other layouts than planes of floats: as TensorFlow's exporters write them,
 * and in bytes. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include "inference/card.h"
#include "inference/picture.h"
#include "inference/predictor.h"
#include "tests/unit/inference_onnx_writer.h"

enum { H = 32, W = 64, ONNX_U8 = 2 };

static void transpose(struct buffer *g, const char *from, const char *to, const int64_t perm[4])
{
    struct buffer a = { 0 };

    onnx_ints_attribute(&a, "perm", 4, perm);
    onnx_node(g, "Transpose", from, to, &a);
}

static void cast_to_float(struct buffer *g, const char *from, const char *to)
{
    struct buffer a = { 0 };

    onnx_int_attribute(&a, "to", ONNX_FLOAT);
    onnx_node(g, "Cast", from, to, &a);
}

struct layout_case {
    const char *name;
    int element;
    int64_t dims[4];
    bool back;     /* the network's first node turns it to planes */
    bool last_out; /* what comes out has planes last */
};

static const struct layout_case layouts[] = {
    { "planes", ONNX_FLOAT, { 1, 3, H, W }, false, false },
    { "planes last, turned at once", ONNX_FLOAT, { 1, H, W, 3 }, true, false },
    { "planes last all the way", ONNX_FLOAT, { 1, H, W, 3 }, false, true },
    { "bytes in planes", ONNX_U8, { 1, 3, H, W }, false, false },
    { "bytes, planes last", ONNX_U8, { 1, H, W, 3 }, false, true },
    { "bytes, planes last, turned at once", ONNX_U8, { 1, H, W, 3 }, true, false },
    { "planes last of any size", ONNX_FLOAT, { -1, -1, -1, 3 }, true, false },
};

/* y = 2 x, with what the case puts before it. */
static struct buffer network(const struct layout_case *c)
{
    static const int64_t back[4] = { 0, 3, 1, 2 };
    static const float two = 2;
    struct buffer g = { 0 };
    const char *x = "x";

    onnx_value(&g, 11, "x", c->element, 4, c->dims);
    onnx_output(&g, "y");
    onnx_floats(&g, "two", 0, NULL, &two);
    if (c->back) {
        transpose(&g, x, "turned", back);
        x = "turned";
    }
    if (c->element == ONNX_U8) {
        cast_to_float(&g, x, "floats");
        x = "floats";
    }
    onnx_node(&g, "Mul", x[0] == 'x' ? "x two" : x[0] == 't' ? "turned two" : "floats two", "y", NULL);
    return onnx_model(&g, 17, (const char *const[]){ "imgsz", "[32, 64]", NULL });
}

static uint8_t pixel(int y, int x, int c)
{
    return (uint8_t)(y * 7 + x * 3 + c * 50);
}

static void check_numbers(const struct layout_case *c, const struct value *v)
{
    const float scale = c->element == ONNX_U8 ? 2 : 2 / 255.0f;
    const float *p = v->data;
    double worst = 0;

    REQUIRE(value_elements(v) == (size_t)H * W * 3);
    CHECK_I64(v->dims[3], c->last_out ? 3 : W);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int k = 0; k < 3; k++) {
                const float got = p[c->last_out ? (y * W + x) * 3 + k : (k * H + y) * W + x];
                const double off = fabs((double)got - (double)((float)pixel(y, x, k) * scale));

                worst = off > worst ? off : worst;
            }
    if (!(worst < 1e-4))
        TEST_FAIL_("%s: off by %g", c->name, worst);
}

TEST(every_layout_gets_the_same_picture)
{
    uint8_t *rgb = malloc((size_t)H * W * 3);

    for (int i = 0; i < H * W * 3; i++)
        rgb[i] = pixel(i / (W * 3), i / 3 % W, i % 3);
    for (size_t i = 0; i < sizeof layouts / sizeof layouts[0]; i++) {
        struct buffer m = network(&layouts[i]);
        const struct predict_options o = { .conf = 0.25f, .iou = 0.7f, .max_detections = 10 };
        struct prediction p = { 0 };
        struct predictor *d = NULL;
        struct fault f = FAULT_INIT;

        if (predictor_load(m.p, m.n, NULL, &d, &f) != ST_OK ||
            predictor_run(d, rgb, W, H, &o, &p, &f) != ST_OK)
            TEST_FAIL_("%s: %s", layouts[i].name, f.detail);
        CHECK_SIZE(p.ntensors, 1);
        if (p.ntensors == 1)
            check_numbers(&layouts[i], &p.tensors[0].value);
        prediction_free(&p);
        predictor_free(d);
        buffer_free(&m);
    }
    free(rgb);
}

/* What the network turns back at once is not turned at all. */
TEST(a_turn_and_its_undoing_cost_nothing)
{
    struct buffer m = network(&layouts[1]);
    struct opened_model o = { 0 };
    struct fault f = FAULT_INIT;
    bool read[2] = { false, false };

    REQUIRE(opened_model_read(m.p, m.n, &o, &f) == ST_OK && o.bound);
    for (int i = 0; i < o.bound->nnodes; i++)
        for (int k = 0; k < o.bound->nodes[i].ninputs; k++)
            if (strcmp(o.bound->nodes[i].type, "Identity") == 0)
                read[0] |= o.bound->nodes[i].inputs[k] == o.bound->inputs[0];
            else if (strcmp(o.bound->nodes[i].type, "Transpose") != 0)
                read[1] |= o.bound->nodes[i].inputs[k] == o.bound->inputs[0];
    CHECK(read[0] && !read[1]);
    opened_model_free(&o);
    buffer_free(&m);
}

TEST(a_detector_with_planes_last_finds_its_box)
{
    static const int64_t shape[4] = { 1, H, W, 3 }, table[3] = { 1, 2, 6 };
    static const float rows[12] = { 8, 4, 40, 20, 0.9f, 1, 0, 0, 1, 1, 0.01f, 0 };
    const struct predict_options o = { .conf = 0.25f, .iou = 0.7f, .max_detections = 10 };
    uint8_t *rgb = calloc((size_t)H * W, 3);
    struct buffer g = { 0 }, keep = { 0 }, m;
    struct prediction p = { 0 };
    struct predictor *d = NULL;
    struct fault f = FAULT_INIT;

    onnx_value(&g, 11, "x", ONNX_U8, 4, shape);
    onnx_output(&g, "y");
    onnx_floats(&g, "rows", 3, table, rows);
    onnx_int_attribute(&keep, "keepdims", 0);
    cast_to_float(&g, "x", "floats");
    onnx_node(&g, "ReduceMin", "floats", "least", &keep); /* 0, of a black picture */
    onnx_node(&g, "Add", "rows least", "y", NULL);
    m = onnx_model(
        &g, 17,
        (const char *const[]){ "task", "detect", "names", "{0: 'a', 1: 'b'}", "end2end", "True", NULL });
    if (predictor_load(m.p, m.n, NULL, &d, &f) != ST_OK ||
        predictor_run(d, rgb, W, H, &o, &p, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    CHECK_I64(d ? predictor_card(d)->input_height : 0, H);
    CHECK_I64(d ? predictor_card(d)->input_width : 0, W);
    CHECK_SIZE(p.n, 1);
    if (p.n == 1) {
        CHECK_NEAR(p.items[0].x1, 40, 1e-3);
        CHECK_NEAR(p.items[0].y1, 20, 1e-3);
        CHECK_I64(p.items[0].label, 1);
    }
    prediction_free(&p);
    predictor_free(d);
    buffer_free(&m);
    free(rgb);
}

TEST(what_is_no_picture_is_said_so)
{
    static const struct {
        int element, rank;
        int64_t dims[4];
    } cases[] = {
        { ONNX_FLOAT, 4, { 1, H, W, 4 } }, { ONNX_FLOAT, 4, { 2, H, W, 3 } },
        { ONNX_INT64, 4, { 1, H, W, 3 } }, { ONNX_FLOAT, 3, { H, W, 3 } },
        { ONNX_U8, 4, { 1, 2, H, W } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = { 0 }, m;
        struct model_card *card = NULL;
        struct fault f = FAULT_INIT;

        onnx_value(&g, 11, "x", cases[i].element, cases[i].rank, cases[i].dims);
        onnx_output(&g, "y");
        onnx_node(&g, "Identity", "x", "y", NULL);
        m = onnx_model(&g, 17, NULL);
        CHECK_I64(model_card_read(m.p, m.n, &card, &f), ST_OK);
        CHECK(card && !card->runnable && strstr(card->why_not, "not one picture"));
        model_card_free(card);
        buffer_free(&m);
    }
}
