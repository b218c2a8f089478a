/* How much one run multiplies: products count in integers as they do in floats. */
#include "tests/unit/test.h"

#include <stdlib.h>
#include "inference/predictor.h"
#include "tests/unit/inference_run.h"

enum { ONNX_U8 = 2, ONNX_I8 = 3 };

static void scalar(struct buffer *g, const char *name, int type)
{
    static const float one = 1;
    struct buffer t = onnx_tensor(name, type, 0, NULL, type == ONNX_FLOAT ? (const void *)&one : "",
                                  type == ONNX_FLOAT ? 4 : 1);

    pb_message(g, 5, &t);
}

static void zeros(struct buffer *g, const char *name, int type, int rank, const int64_t dims[])
{
    size_t n = type == ONNX_FLOAT ? 4 : 1;
    struct buffer t;
    void *p;

    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    p = calloc(1, n);
    t = onnx_tensor(name, type, rank, dims, p, n);
    pb_message(g, 5, &t);
    free(p);
}

/* A node of x and weights w, with the scales and zero points that quantised ones ask for. */
static double work_of(const char *type, const char *inputs, int element, int rank, const int64_t x[],
                      const int64_t w[])
{
    struct buffer g = { 0 };
    struct model *m;
    double work;

    onnx_value(&g, 11, "x", element, rank, x);
    onnx_output(&g, "y");
    zeros(&g, "w", element, rank, w);
    scalar(&g, "s", ONNX_FLOAT);
    scalar(&g, "z", element);
    onnx_node(&g, type, inputs, "y", NULL);
    m = run_load(&g, 17);
    work = m ? m->graph->work : 0;
    model_free(m);
    return work;
}

TEST(products_count_their_multiplications_whatever_their_numbers_are)
{
    static const int64_t picture[] = { 1, 8, 10, 12 }, filters[] = { 16, 8, 3, 3 },
                         up[] = { 8, 16, 3, 3 };
    static const int64_t a[] = { 20, 30 }, b[] = { 30, 40 };
    static const double conv = 16 * 8 * 10 * 8 * 3 * 3, matrix = 20 * 30 * 40;
    static const struct {
        const char *type, *inputs;
        int element, rank;
        const int64_t *x, *w;
        double want;
    } cases[] = {
        { "Conv", "x w", ONNX_FLOAT, 4, picture, filters, conv },
        { "ConvInteger", "x w", ONNX_U8, 4, picture, filters, conv },
        { "QLinearConv", "x s z w s z s z", ONNX_U8, 4, picture, filters, conv },
        { "ConvTranspose", "x w", ONNX_FLOAT, 4, picture, up, 8 * 10 * 12 * 16 * 3 * 3 },
        { "MatMul", "x w", ONNX_FLOAT, 2, a, b, matrix },
        { "Gemm", "x w", ONNX_FLOAT, 2, a, b, matrix },
        { "MatMulInteger", "x w", ONNX_U8, 2, a, b, matrix },
        { "QLinearMatMul", "x s z w s z s z", ONNX_U8, 2, a, b, matrix },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const double got = work_of(cases[i].type, cases[i].inputs, cases[i].element, cases[i].rank,
                                   cases[i].x, cases[i].w);

        if (got != cases[i].want)
            TEST_FAIL_("%s: %.0f multiplications, not %.0f", cases[i].type, got, cases[i].want);
    }
}

TEST(a_quantised_file_takes_what_the_same_network_takes_in_floats)
{
    char path[500];
    struct model_card *card = NULL;
    struct fault f = FAULT_INIT;
    uint8_t *bytes = malloc(16 << 20);
    size_t n = 0;
    FILE *in;

    if (!test_fixtures()) {
        free(bytes);
        SKIP("fixtures are absent");
    }
    snprintf(path, sizeof path, "%s/models/real/yolov8n_int8.onnx", test_fixtures());
    if ((in = fopen(path, "rb"))) {
        n = fread(bytes, 1, 16 << 20, in);
        fclose(in);
    }
    CHECK_I64(model_card_read(bytes, n, &card, &f), ST_OK);
    if (card)
        CHECK_NEAR(card->flops / 1e9, 9.0,
                   0.3); /* 8.7 in floats; and the steps in and out of integers */
    model_card_free(card);
    free(bytes);
}

/* A million numbers summed in logarithms take as long as sixteen millions copied. */
TEST(reductions_of_constants_use_the_budget_up_sooner_than_copies)
{
    static const char *const types[] = { "Identity", "ReduceSum", "ReduceLogSumExp" };
    int left[3] = { 0 };

    for (size_t t = 0; t < 3; t++) {
        struct buffer g = { 0 };
        struct model *m;
        char name[16];
        onnx_input(&g, "x", 1, (const int64_t[]){ 4 });
        onnx_output(&g, "y");
        onnx_ints(&g, "shape", 2, (const int64_t[]){ 1, 1 << 20 });
        onnx_node(&g, "ConstantOfShape", "shape", "c", NULL);
        for (int i = 0; i < 12; i++) {
            snprintf(name, sizeof name, "r%d", i);
            onnx_node(&g, types[t], "c", name, NULL);
        }
        onnx_node(&g, "Relu", "x", "y", NULL);
        REQUIRE((m = run_load(&g, 11)) != NULL);
        CHECK(m->graph->fold_budget >= 0);
        for (int i = 0; i < m->graph->nnodes; i++)
            left[t] += !m->graph->nodes[i].dead && strcmp(m->graph->nodes[i].type, types[t]) == 0;
        model_free(m);
    }
    CHECK_I64(left[0], 0);
    CHECK(left[1] >= 6 && left[2] >= 6);
}

/* Small files whose one node compares each of many with many. */
TEST(sums_over_letters_and_over_neighbouring_channels_count_all_they_touch)
{
    enum { N = 4096 };
    struct buffer g = { 0 }, a = { 0 }, h = { 0 }, b = { 0 };
    struct model *m;

    onnx_input(&g, "x", 2, (const int64_t[]){ N, N });
    onnx_output(&g, "y");
    onnx_text_attribute(&a, "equation", "ab,bc->ac");
    onnx_node(&g, "Einsum", "x x", "y", &a);
    REQUIRE((m = run_load(&g, 13)) != NULL);
    CHECK_NEAR(m->graph->work, (double)N * N * N, 1);
    model_free(m);

    onnx_input(&h, "x", 4, (const int64_t[]){ 1, N, 4, 4 });
    onnx_output(&h, "y");
    onnx_int_attribute(&b, "size", 1 << 16);
    onnx_node(&h, "LRN", "x", "y", &b);
    REQUIRE((m = run_load(&h, 13)) != NULL);
    CHECK_NEAR(m->graph->work, (double)N * 16 * N, 1);
    model_free(m);
}
