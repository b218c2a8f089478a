/*
 * Quantised networks: what the passes make of them against the same network in floats, and against the
 * integer references within what quantisation loses. Seeded random shapes.
 */
#include "tests/unit/inference_expect.h"

enum { ROUNDS = 12 };

/* Adds int8 weights, and the floats that they stand for, as constants name and name_f. */
static void weights(struct buffer *g, const char *name, int rank, const int64_t dims[], int64_t channels,
                    bool rows, int8_t zero, const float scale[], size_t nscales, uint64_t *s)
{
    size_t n = 1;
    char floats[32];
    int8_t *q;
    float *w;

    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    q = malloc(n + 1);
    w = malloc((n + 1) * sizeof *w);
    for (size_t i = 0; i < n; i++) {
        const size_t m = rows ? i / (n / (size_t)channels) : i % (size_t)channels;
        q[i] = (int8_t)random_int(s, -127, 127);
        w[i] = (float)(q[i] - zero) * scale[nscales == 1 ? 0 : m];
    }
    snprintf(floats, sizeof floats, "%s_f", name);
    onnx_constant(g, name, 3, rank, dims, q, n);
    onnx_floats(g, floats, rank, dims, w);
    free(q);
    free(w);
}

/* Largest difference of two outputs of the optimised graph; `live` counts nodes of this type left. */
static double run_optimised(struct buffer *g, int opset, uint64_t seed, const char *type, int *live)
{
    struct model *m = run_load(g, opset);
    struct graph *copy = m ? graph_clone(m->graph) : NULL;
    struct fault f = FAULT_INIT;
    struct value in, out[2] = { { 0 } };
    double d = INFINITY;
    uint64_t s = seed;

    if (!copy || graph_optimise(copy, &f) != ST_OK)
        goto out;
    *live = 0;
    for (int i = 0; i < copy->nnodes; i++)
        *live += !copy->nodes[i].dead && strcmp(copy->nodes[i].type, type) == 0;
    in = copy->tensors[copy->inputs[0]].v;
    in.data = malloc(value_bytes(&in) + 1);
    for (size_t i = 0; i < value_elements(&in); i++)
        value_f32(&in)[i] = random_float(&s);
    if (graph_interpret(copy, &in, out, &f) == ST_OK)
        d = difference(out[0].data, out[1].data, value_elements(&out[0]));
    free(in.data);
    free(out[0].data);
    free(out[1].data);
out:
    if (f.detail[0])
        TEST_FAIL_("seed %llu: %s", (unsigned long long)seed, f.detail);
    graph_free(copy);
    model_free(m);
    return d;
}

/* The exporter's chain around an integer product, from "x" to `to`. */
static void chain(struct buffer *g, const char *product, struct buffer *attributes, const char *to)
{
    struct buffer cast = { 0 };

    onnx_node(g, "DynamicQuantizeLinear", "x", "q qs qz", NULL);
    onnx_node(g, "Mul", "qs ws", "scale", NULL);
    onnx_node(g, product, "q w qz wz", "i", attributes);
    onnx_int_attribute(&cast, "to", 1);
    onnx_node(g, "Cast", "i", "if", &cast);
    onnx_node(g, "Mul", "if scale", to, NULL);
}

TEST(a_dynamic_convolution_becomes_the_float_one_with_its_bias)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed;
        const int64_t c = random_int(&s, 1, 9), m = random_int(&s, 1, 9), k = random_int(&s, 1, 3);
        const int64_t one[] = { m, 1, 1 };
        const bool by_channel = random_int(&s, 0, 1);
        const int8_t zero = (int8_t)random_int(&s, -3, 3);
        struct buffer g = GRAPH(1, c, 9, 7), a = { 0 }, b = { 0 };
        float scale[9], bias[9];
        int live = 0;
        double d;

        for (int i = 0; i < 9; i++) {
            scale[i] = 0.01f * (random_float(&s) + 2);
            bias[i] = random_float(&s);
        }
        onnx_output(&g, "z");
        onnx_floats(&g, "ws", by_channel ? 3 : 0, one, scale);
        onnx_constant(&g, "wz", 3, 0, NULL, &zero, 1);
        weights(&g, "w", 4, (const int64_t[]){ m, c, k, k }, m, true, zero, scale, by_channel ? 9 : 1,
                &s);
        onnx_floats(&g, "bias", 4, (const int64_t[]){ 1, m, 1, 1 }, bias);
        onnx_floats(&g, "bias1", 1, (const int64_t[]){ m }, bias);
        onnx_ints_attribute(&a, "pads", 4, (const int64_t[]){ 1, 1, 0, 0 });
        onnx_ints_attribute(&b, "pads", 4, (const int64_t[]){ 1, 1, 0, 0 });
        chain(&g, "ConvInteger", &a, "sum");
        onnx_node(&g, "Add", "sum bias", "y", NULL);
        onnx_node(&g, "Conv", "x w_f bias1", "z", &b);
        d = run_optimised(&g, 13, seed, "Conv", &live);
        if (!(d < 1e-5) || live != 2)
            TEST_FAIL_("seed %llu: off by %g, %d convolutions", (unsigned long long)seed, d, live);
    }
}

TEST(a_dynamic_matrix_product_becomes_the_float_one)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed * 31;
        const int64_t m = random_int(&s, 1, 5), k = random_int(&s, 1, 20), n = random_int(&s, 1, 9);
        const bool by_column = random_int(&s, 0, 1);
        const int8_t zero = 2;
        struct buffer g = GRAPH(2, m, k);
        float scale[9];
        int live = 0;
        double d;

        for (int i = 0; i < 9; i++)
            scale[i] = 0.01f * (random_float(&s) + 2);
        onnx_output(&g, "z");
        onnx_floats(&g, "ws", by_column, &n, scale);
        onnx_constant(&g, "wz", 3, 0, NULL, &zero, 1);
        weights(&g, "w", 2, (const int64_t[]){ k, n }, n, false, zero, scale, by_column ? 9 : 1, &s);
        chain(&g, "MatMulInteger", NULL, "y");
        onnx_node(&g, "MatMul", "x w_f", "z", NULL);
        d = run_optimised(&g, 13, seed, "MatMul", &live);
        if (!(d < 1e-5) || live != 2)
            TEST_FAIL_("seed %llu: off by %g, %d products", (unsigned long long)seed, d, live);
    }
}

TEST(the_integer_references_are_near_the_float_network)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed * 7;
        const int64_t c = random_int(&s, 1, 9), m = random_int(&s, 1, 9);
        const float scale = 0.005f;
        const int8_t zero = 1;
        struct buffer g = GRAPH(1, c, 8, 8), a = { 0 }, b = { 0 };
        struct model *model;
        struct value in, out[2] = { { 0 } };
        struct fault f = FAULT_INIT;

        onnx_output(&g, "z");
        onnx_floats(&g, "ws", 0, NULL, &scale);
        onnx_constant(&g, "wz", 3, 0, NULL, &zero, 1);
        weights(&g, "w", 4, (const int64_t[]){ m, c, 3, 3 }, m, true, zero, &scale, 1, &s);
        onnx_ints_attribute(&a, "strides", 2, (const int64_t[]){ 2, 1 });
        onnx_ints_attribute(&b, "strides", 2, (const int64_t[]){ 2, 1 });
        chain(&g, "ConvInteger", &a, "y");
        onnx_node(&g, "Conv", "x w_f", "z", &b);
        REQUIRE((model = run_load(&g, 13)) != NULL);
        in = model->graph->tensors[model->graph->inputs[0]].v;
        in.data = malloc(value_bytes(&in) + 1);
        for (size_t i = 0; i < value_elements(&in); i++)
            value_f32(&in)[i] = random_float(&s);
        CHECK_I64(graph_interpret(model->graph, &in, out, &f), ST_OK);
        if (out[0].data) /* half a step of 2/255 for each of 9 c products of at most 0.64 */
            CHECK(difference(out[0].data, out[1].data, value_elements(&out[0])) <
                  0.0026 * 9 * (double)c);
        free(in.data);
        free(out[0].data);
        free(out[1].data);
        model_free(model);
    }
}

TEST(a_pair_of_quantise_and_dequantise_becomes_a_clip_to_its_range)
{
    static float x[4] = { -9, 0.26f, 0.74f, 9 };
    const int8_t zero = -128;
    struct buffer g = GRAPH(4);
    struct model *m;
    struct graph *copy;
    struct value y = { 0 };
    struct fault f = FAULT_INIT;
    int live = 0;

    onnx_floats(&g, "s", 0, NULL, (const float[]){ 0.02f });
    onnx_constant(&g, "z", 3, 0, NULL, &zero, 1);
    onnx_node(&g, "QuantizeLinear", "x s z", "q", NULL);
    onnx_node(&g, "DequantizeLinear", "q s z", "y", NULL);
    REQUIRE((m = run_load(&g, 10)) != NULL);
    copy = graph_clone(m->graph);
    REQUIRE(copy && graph_optimise(copy, &f) == ST_OK);
    REQUIRE(run_references(copy, (float *[]){ x }, &y));
    CHECK_NEAR(value_f32(&y)[0], 0, 1e-6); /* the range starts at 0: a Relu */
    CHECK_NEAR(value_f32(&y)[1], 0.26, 1e-6);
    CHECK_NEAR(value_f32(&y)[2], 0.74, 1e-6);
    CHECK_NEAR(value_f32(&y)[3], 5.1, 1e-5);
    for (int i = 0; i < copy->nnodes; i++)
        live += !copy->nodes[i].dead;
    CHECK_I64(live, 1);
    free(y.data);
    graph_free(copy);
    model_free(m);
}

TEST(an_integer_chain_that_is_not_the_usual_one_stays_and_is_planned)
{
    const int8_t w[9] = { 1, -2, 3, -4, 5, -6, 7, -8, 9 };
    struct buffer g = GRAPH(1, 1, 6, 6), cast = { 0 };

    onnx_constant(&g, "w", 3, 4, (const int64_t[]){ 1, 1, 3, 3 }, w, 9);
    onnx_node(&g, "DynamicQuantizeLinear", "x", "q qs qz", NULL);
    onnx_node(&g, "ConvInteger", "q w qz", "i", NULL);
    onnx_int_attribute(&cast, "to", 1);
    onnx_node(&g, "Cast", "i", "y", &cast); /* never scaled */
    run_compare(run_load(&g, 13), 5, 0);
}
