/*
 * Every operator that the planner treats specially, against its reference: seeded random shapes, channel
 * counts that fill blocks and that do not, chains that stay blocked. Each case also proves the passes
 * that apply.
 */
#include "tests/models/operator_case.h"

enum { ROUNDS = 12, OPSET = 17 };

struct conv_case {
    int ci, co, groups, kernel, stride, pad, dilation;
    bool bias;
};

/* Adds constants and a Conv node from `from` to `to`. */
static void conv(struct buffer *g, const struct conv_case *c, const char *from, const char *to,
                 uint64_t *s)
{
    const int64_t w[] = { c->co, c->ci / c->groups, c->kernel, c->kernel }, b[] = { c->co };
    char name[32], bias[32], inputs[120];
    struct buffer a = { 0 };

    snprintf(name, sizeof name, "w_%s", to);
    snprintf(bias, sizeof bias, "b_%s", to);
    snprintf(inputs, sizeof inputs, "%s %s %s", from, name, c->bias ? bias : "-");
    random_constant(g, name, 4, w, s, 1.0f / (float)c->kernel);
    if (c->bias)
        random_constant(g, bias, 1, b, s, 1);
    onnx_ints_attribute(&a, "strides", 2, (const int64_t[]){ c->stride, c->stride });
    onnx_ints_attribute(&a, "dilations", 2, (const int64_t[]){ c->dilation, c->dilation });
    onnx_ints_attribute(&a, "pads", 4, (const int64_t[]){ c->pad, c->pad, c->pad, c->pad });
    onnx_int_attribute(&a, "group", c->groups);
    onnx_node(g, "Conv", inputs, to, &a);
}

static struct conv_case random_conv(uint64_t *s, int ci)
{
    static const int channels[] = { 1, 3, 8, 16, 24, 32, 40, 48 }, kernels[] = { 1, 3, 3, 5 };
    struct conv_case c = { .ci = ci,
                           .co = channels[random_int(s, 0, 7)],
                           .groups = 1,
                           .kernel = kernels[random_int(s, 0, 3)],
                           .stride = random_int(s, 1, 2),
                           .dilation = 1,
                           .bias = random_int(s, 0, 1) };

    c.pad = random_int(s, 0, c.kernel / 2);
    return c;
}

TEST(convolutions_of_random_shapes_match_the_reference)
{
    static const int channels[] = { 1, 3, 4, 8, 16, 20, 32, 80 };

    for (uint64_t seed = 1; seed <= ROUNDS * 4; seed++) {
        uint64_t s = seed;
        const struct conv_case c = random_conv(&s, channels[random_int(&s, 0, 7)]);
        struct buffer g = picture_graph(c.ci, random_int(&s, 5, 20), random_int(&s, 5, 20));
        conv(&g, &c, "x", "y", &s);
        check_graph(&g, OPSET, seed, 1e-4);
    }
}

TEST(chains_of_convolutions_with_activations_stay_equal)
{
    static const char *const acts[] = { "Relu", "LeakyRelu", "Sigmoid", "HardSwish",
                                        "Tanh", "Elu",       "Exp",     "Softplus" };

    for (uint64_t seed = 1; seed <= ROUNDS * 4; seed++) {
        uint64_t s = seed * 77;
        const struct conv_case first = random_conv(&s, 3), second = random_conv(&s, first.co);
        struct buffer g = picture_graph(3, random_int(&s, 12, 24), random_int(&s, 12, 24));
        conv(&g, &first, "x", "a", &s);
        onnx_node(&g, acts[random_int(&s, 0, 7)], "a", "b", NULL);
        conv(&g, &second, "b", "c", &s);
        onnx_node(&g, acts[random_int(&s, 0, 7)], "c", "y", NULL);
        check_graph(&g, OPSET, seed, 2e-4);
    }
}

TEST(depthwise_grouped_and_dilated_convolutions_match_the_reference)
{
    static const struct conv_case cases[] = {
        { 16, 16, 16, 3, 1, 1, 1, true }, { 24, 24, 24, 3, 2, 1, 1, false },
        { 5, 5, 5, 3, 1, 1, 1, true },    { 32, 32, 2, 3, 1, 1, 1, true },
        { 12, 24, 3, 1, 1, 0, 1, true },  { 64, 32, 2, 3, 1, 1, 1, false },
        { 16, 32, 1, 3, 1, 2, 2, true },  { 8, 16, 8, 3, 1, 1, 1, true },
        { 32, 32, 32, 5, 1, 2, 1, true },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = picture_graph(3, 14, 11);
        const struct conv_case stem = { 3, cases[i].ci, 1, 3, 1, 1, 1, true };
        struct buffer plain = picture_graph(cases[i].ci, 14, 11);
        conv(&g, &stem, "x", "a", &s);
        conv(&g, &cases[i], "a", "b", &s);
        onnx_node(&g, "Relu", "b", "y", NULL);
        check_graph(&g, OPSET, i + 1, 2e-4);
        conv(&plain, &cases[i], "x", "y", &s);
        check_graph(&plain, OPSET, i + 1, 2e-4);
    }
}

TEST(a_residual_of_few_channels_and_silu_match_the_reference)
{
    static const int channels[] = { 8, 16, 20, 32 };

    for (size_t i = 0; i < 4; i++) {
        uint64_t s = i + 5;
        const struct conv_case stem = { 3, channels[i], 1, 3, 1, 1, 1, true };
        const struct conv_case inner = { channels[i], channels[i], 1, 3, 1, 1, 1, true };
        struct buffer g = picture_graph(3, 13, 17);
        conv(&g, &stem, "x", "a", &s);
        onnx_node(&g, "Sigmoid", "a", "as", NULL);
        onnx_node(&g, "Mul", "a as", "b", NULL);
        conv(&g, &inner, "b", "c", &s);
        onnx_node(&g, "Sigmoid", "c", "cs", NULL);
        onnx_node(&g, "Mul", "cs c", "d", NULL);
        onnx_node(&g, "Add", "b d", "e", NULL);
        conv(&g, &inner, "e", "f", &s);
        onnx_node(&g, "Add", "f e", "y", NULL);
        check_graph(&g, OPSET, i, 2e-4);
    }
}

TEST(batch_normalisation_folds_into_the_convolution)
{
    uint64_t s = 3;
    const struct conv_case c = { 3, 10, 1, 3, 1, 1, 1, false };
    const int64_t n[] = { 10 };
    const float variance[10] = { 0.5f, 1, 2, 0.1f, 3, 1, 1, 4, 0.2f, 1 };
    struct buffer g = picture_graph(3, 9, 9), a = { 0 };
    struct model *m;
    struct fault f = FAULT_INIT;
    int live = 0;

    conv(&g, &c, "x", "a", &s);
    random_constant(&g, "scale", 1, n, &s, 1);
    random_constant(&g, "shift", 1, n, &s, 1);
    random_constant(&g, "mean", 1, n, &s, 1);
    onnx_floats(&g, "var", 1, n, variance);
    onnx_float_attribute(&a, "epsilon", 1e-3f);
    onnx_node(&g, "BatchNormalization", "a scale shift mean var", "b", &a);
    onnx_node(&g, "Relu", "b", "y", NULL);
    REQUIRE((m = run_load(&g, 17)) != NULL);
    {
        struct graph *copy = graph_clone(m->graph);
        REQUIRE(graph_optimise(copy, &f) == ST_OK);
        for (int i = 0; i < copy->nnodes; i++)
            live += !copy->nodes[i].dead;
        graph_free(copy);
    }
    CHECK_I64(live, 1);
    run_compare(m, 3, 1e-4);
}

TEST(split_concat_resize_and_pool_in_blocks_match_the_reference)
{
    static const int channels[] = { 16, 24, 32, 64 };

    for (size_t i = 0; i < 4; i++) {
        uint64_t s = i + 50;
        const struct conv_case stem = { 3, channels[i], 1, 3, 1, 1, 1, true };
        const struct conv_case last = { channels[i] * 2, 18, 1, 1, 1, 0, 1, true };
        struct buffer g = picture_graph(3, 16, 12), split = { 0 }, concat = { 0 }, pool = { 0 },
                      resize = { 0 };
        conv(&g, &stem, "x", "a", &s);
        onnx_int_attribute(&split, "axis", 1);
        onnx_node(&g, "Split", "a", "p q", &split);
        onnx_ints_attribute(&pool, "kernel_shape", 2, (const int64_t[]){ 5, 5 });
        onnx_ints_attribute(&pool, "pads", 4, (const int64_t[]){ 2, 2, 2, 2 });
        onnx_node(&g, "MaxPool", "q", "m", &pool);
        onnx_int_attribute(&concat, "axis", 1);
        onnx_node(&g, "Concat", "p q m m", "cat", &concat);
        onnx_floats(&g, "scales", 1, (const int64_t[]){ 4 }, (const float[]){ 1, 1, 2, 2 });
        onnx_text_attribute(&resize, "mode", "nearest");
        onnx_text_attribute(&resize, "coordinate_transformation_mode", "asymmetric");
        onnx_text_attribute(&resize, "nearest_mode", "floor");
        onnx_node(&g, "Resize", "cat - scales", "up", &resize);
        conv(&g, &last, "up", "y", &s);
        check_graph(&g, OPSET, i, 2e-4);
    }
}

TEST(pools_of_random_windows_match_the_reference)
{
    static const char *const types[] = { "MaxPool", "AveragePool" };

    for (uint64_t seed = 1; seed <= ROUNDS * 4; seed++) {
        uint64_t s = seed * 13;
        struct buffer g = picture_graph(random_int(&s, 1, 20), random_int(&s, 6, 15),
                                        random_int(&s, 6, 15)),
                      a = { 0 };
        const int k = random_int(&s, 1, 4), type = random_int(&s, 0, 1);
        const int64_t pad = random_int(&s, 0, k / 2);
        onnx_ints_attribute(&a, "kernel_shape", 2, (const int64_t[]){ k, k });
        onnx_ints_attribute(&a, "strides", 2,
                            (const int64_t[]){ random_int(&s, 1, 3), random_int(&s, 1, 3) });
        onnx_ints_attribute(&a, "pads", 4, (const int64_t[]){ pad, 0, pad, pad });
        onnx_int_attribute(&a, "ceil_mode", random_int(&s, 0, 1));
        if (type)
            onnx_int_attribute(&a, "count_include_pad", random_int(&s, 0, 1));
        onnx_node(&g, types[type], "x", "y", &a);
        check_graph(&g, OPSET, seed, 1e-5);
    }
}

TEST(arithmetic_with_every_kind_of_broadcast_matches_the_reference)
{
    static const char *const types[] = { "Add", "Sub", "Mul", "Div" };
    static const int64_t shapes[][4] = {
        { 1, 6, 5, 4 }, { 1, 6, 1, 1 }, { 1, 1, 5, 4 }, { 1, 1, 1, 1 }, { 1, 6, 1, 4 }
    };

    for (int t = 0; t < 4; t++)
        for (size_t i = 0; i < 5; i++)
            for (int swapped = 0; swapped < 2; swapped++) {
                struct buffer g = picture_graph(6, 5, 4);
                uint64_t s = i + 9;
                random_constant(&g, "k", 4, shapes[i], &s, 3);
                onnx_node(&g, types[t], swapped ? "k x" : "x k", "y", NULL);
                check_graph(&g, OPSET, i, 1e-5);
            }
}

TEST(softmax_on_each_axis_and_in_both_meanings_matches_the_reference)
{
    for (int opset = 11; opset <= 17; opset += 6)
        for (int axis = -1; axis < 4; axis++) {
            struct buffer g = picture_graph(7, 5, 33), a = { 0 };
            onnx_int_attribute(&a, "axis", axis);
            onnx_node(&g, "Softmax", "x", "y", &a);
            check_graph(&g, opset, (uint64_t)(axis + 2), 1e-5);
        }
}

TEST(matrix_products_of_random_shapes_match_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed;
        const int64_t m = random_int(&s, 1, 9), k = random_int(&s, 1, 40), n = random_int(&s, 1, 9),
                      h = random_int(&s, 1, 3);
        struct buffer g = picture_graph(h, m, k);
        random_constant(&g, "b", 4, (const int64_t[]){ 1, random_int(&s, 0, 1) ? h : 1, k, n }, &s, 1);
        onnx_node(&g, "MatMul", "x b", "y", NULL);
        check_graph(&g, OPSET, seed, 1e-5);
    }
}

TEST(reshapes_of_blocked_tensors_see_them_row_major)
{
    uint64_t s = 4;
    const struct conv_case c = { 3, 20, 1, 3, 1, 1, 1, true };
    struct buffer g = picture_graph(3, 6, 5), t = { 0 };

    conv(&g, &c, "x", "a", &s);
    onnx_ints(&g, "shape", 3, (const int64_t[]){ 1, 20, -1 });
    onnx_node(&g, "Reshape", "a shape", "r", NULL);
    onnx_ints_attribute(&t, "perm", 3, (const int64_t[]){ 0, 2, 1 });
    onnx_node(&g, "Transpose", "r", "y", &t);
    check_graph(&g, OPSET, 4, 1e-4);
}

TEST(an_input_or_a_constant_may_be_an_output)
{
    struct buffer g = picture_graph(2, 3, 4), k = { 0 };

    onnx_node(&g, "Identity", "x", "y", NULL);
    check_graph(&g, OPSET, 1, 0);
    onnx_input(&k, "x", 1, (const int64_t[]){ 2 });
    onnx_output(&k, "c");
    onnx_floats(&k, "c", 1, (const int64_t[]){ 2 }, (const float[]){ 5, 6 });
    onnx_node(&k, "Relu", "x", "unused", NULL);
    check_graph(&k, OPSET, 1, 0);
}

TEST(one_dimensional_convolution_matches_the_reference)
{
    uint64_t s = 8;
    struct buffer g = { 0 }, a = { 0 };

    onnx_input(&g, "x", 3, (const int64_t[]){ 1, 6, 30 });
    onnx_output(&g, "y");
    random_constant(&g, "w", 3, (const int64_t[]){ 8, 6, 3 }, &s, 1);
    onnx_ints_attribute(&a, "pads", 2, (const int64_t[]){ 1, 1 });
    onnx_node(&g, "Conv", "x w", "y", &a);
    check_graph(&g, OPSET, 8, 1e-4);
}

TEST(the_largest_of_rows_matches_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed;
        struct buffer g = picture_graph(random_int(&s, 1, 3), random_int(&s, 1, 40),
                                        random_int(&s, 1, 40)),
                      t = { 0 }, m = { 0 };
        onnx_ints_attribute(&t, "perm", 4, (const int64_t[]){ 0, 1, 3, 2 });
        onnx_node(&g, "Transpose", "x", "a", &t);
        onnx_ints_attribute(&m, "axes", 1, (const int64_t[]){ seed % 2 ? -1 : 2 });
        onnx_int_attribute(&m, "keepdims", seed % 3 == 0);
        onnx_node(&g, "ReduceMax", "a", "y", &m);
        check_graph(&g, 13, seed, 0);
    }
}
