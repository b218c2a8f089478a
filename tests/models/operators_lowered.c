/*
 * What the planner makes of operators that are no convolutions, on seeded random shapes: products with
 * constant weights, against the references.
 */
#include "tests/models/operator_case.h"

enum { ROUNDS = 24 };

TEST(gemm_of_random_shapes_matches_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS * 2; seed++) {
        uint64_t s = seed * 13;
        const int64_t m = random_int(&s, 1, 9), n = random_int(&s, 1, 21), k = random_int(&s, 1, 70);
        const int transposed = random_int(&s, 0, 1), way = random_int(&s, 0, 4);
        const int64_t biases[][2] = { { 1, n }, { m, 1 }, { m, n }, { 1, 1 } };
        struct buffer g = { 0 }, a = { 0 };
        onnx_input(&g, "x", 2, (const int64_t[]){ m, k });
        onnx_output(&g, "y");
        random_constant(&g, "w", 2, transposed ? (const int64_t[]){ n, k } : (const int64_t[]){ k, n },
                        &s, 1);
        if (way < 4)
            random_constant(&g, "b", 2, biases[way], &s, 1);
        onnx_int_attribute(&a, "transB", transposed);
        onnx_float_attribute(&a, "alpha", random_int(&s, 0, 1) ? 1 : 0.5f);
        onnx_float_attribute(&a, "beta", random_int(&s, 0, 1) ? 1 : -2);
        onnx_node(&g, "Gemm", way < 4 ? "x w b" : "x w", "y", &a);
        check_graph(&g, 13, seed, 1e-4);
    }
}

TEST(gemm_turned_around_or_of_two_inputs_matches_the_reference)
{
    for (int way = 0; way < 4; way++) {
        struct buffer g = { 0 }, a = { 0 };
        onnx_input(&g, "x", 2, (const int64_t[]){ 7, 7 });
        onnx_input(&g, "w", 2, (const int64_t[]){ 7, 7 });
        onnx_output(&g, "y");
        onnx_int_attribute(&a, "transA", way & 1);
        onnx_int_attribute(&a, "transB", way >> 1);
        onnx_node(&g, "Gemm", "x w", "y", &a);
        check_graph(&g, 13, 9, 1e-4);
    }
}

TEST(products_with_constant_weights_match_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed * 17;
        const int64_t n = random_int(&s, 1, 40), k = random_int(&s, 1, 70);
        const int64_t x[] = { random_int(&s, 1, 4), random_int(&s, 1, 16), k };
        const int rank = random_int(&s, 1, 3);
        struct buffer g = { 0 };
        onnx_input(&g, "x", rank, x + 3 - rank);
        onnx_output(&g, "y");
        random_constant(&g, "w", 2, (const int64_t[]){ k, n }, &s, 1);
        onnx_node(&g, "MatMul", "x w", "y", NULL);
        check_graph(&g, 13, seed, 1e-4);
    }
}

/* [1, c, h, w] through a 1x1 convolution, so that it is in blocks, then ConvTranspose, then `after`. */
static void check_transposed(uint64_t seed, const char *after)
{
    static const int channels[] = { 1, 4, 16, 20, 32 };
    uint64_t s = seed * 29;
    const int64_t groups = random_int(&s, 0, 3) ? 1 : 4;
    const int64_t c = groups * channels[random_int(&s, 0, 4)], m = channels[random_int(&s, 0, 4)];
    const int64_t k[] = { random_int(&s, 1, 5), random_int(&s, 1, 5) },
                  d[] = { random_int(&s, 1, 2), random_int(&s, 1, 3) },
                  stride[] = { random_int(&s, 1, 4), random_int(&s, 1, 3) };
    int64_t pads[4], more[2];
    float variances[128];
    struct buffer g = { 0 }, a = { 0 };

    for (int i = 0; i < 2; i++) {
        pads[i] = random_int(&s, 0, (int)((k[i] - 1) * d[i]) / 2);
        pads[2 + i] = random_int(&s, 0, (int)((k[i] - 1) * d[i]) / 2);
        more[i] = random_int(&s, 0, (int)stride[i] - 1);
    }
    for (int i = 0; i < 128; i++)
        variances[i] = 0.5f + 0.01f * (float)i;
    onnx_input(&g, "x", 4,
               (const int64_t[]){ random_int(&s, 1, 2), c, random_int(&s, 1, 9), random_int(&s, 1, 9) });
    onnx_output(&g, "y");
    random_constant(&g, "p", 4, (const int64_t[]){ c, c, 1, 1 }, &s, 0.5f);
    random_constant(&g, "w", 4, (const int64_t[]){ c, m, k[0], k[1] }, &s, 0.5f);
    random_constant(&g, "b", 1, (const int64_t[]){ m * groups }, &s, 1);
    onnx_node(&g, "Conv", "x p", "a", NULL);
    onnx_int_attribute(&a, "group", groups);
    onnx_ints_attribute(&a, "strides", 2, stride);
    onnx_ints_attribute(&a, "dilations", 2, d);
    onnx_ints_attribute(&a, "pads", 4, pads);
    onnx_ints_attribute(&a, "output_padding", 2, more);
    onnx_node(&g, "ConvTranspose", random_int(&s, 0, 1) ? "a w b" : "a w", "t", &a);
    for (int i = 0; i < 3; i++)
        random_constant(&g, (const char *const[]){ "n0", "n1", "n2" }[i], 1,
                        (const int64_t[]){ m * groups }, &s, 1);
    onnx_floats(&g, "n4", 1, (const int64_t[]){ m * groups }, variances);
    onnx_node(&g, "BatchNormalization", "t n0 n1 n2 n4", "n", NULL);
    onnx_node(&g, after, "n", "y", NULL);
    check_graph(&g, 14, seed, 2e-4);
}

TEST(transposed_convolutions_in_blocks_match_the_reference)
{
    static const char *const after[] = { "Identity", "Relu", "Sigmoid", "HardSwish", "Softplus" };

    for (uint64_t seed = 1; seed <= ROUNDS * 3; seed++)
        check_transposed(seed, after[seed % 5]);
}

/* Channels in blocks as `a`, of a small picture. */
static struct buffer some_blocks(int64_t c, uint64_t *s)
{
    const int h = random_int(s, 1, 12);

    return blocked_graph(c, h, random_int(s, 1, 12), s);
}

static void mean(struct buffer *g, int way)
{
    static const int64_t axes[][2] = { { 2, 3 }, { -1, -2 }, { 1, 2 }, { 3, 3 } };
    struct buffer a = { 0 };

    if (way == 0) {
        onnx_node(g, "GlobalAveragePool", "a", "m", NULL);
        return;
    }
    onnx_ints_attribute(&a, "axes", 2, axes[way - 1]);
    onnx_node(g, "ReduceMean", "a", "m", &a);
}

TEST(gates_by_the_means_of_channels_match_the_reference)
{
    static const int channels[] = { 1, 5, 16, 20, 48 };

    for (uint64_t seed = 1; seed <= ROUNDS * 2; seed++) {
        uint64_t s = seed * 37;
        const int64_t c = channels[random_int(&s, 0, 4)], inner = channels[random_int(&s, 0, 4)];
        struct buffer g = some_blocks(c, &s);
        mean(&g, random_int(&s, 0, 2));
        random_constant(&g, "w1", 4, (const int64_t[]){ inner, c, 1, 1 }, &s, 0.3f);
        random_constant(&g, "w2", 4, (const int64_t[]){ c, inner, 1, 1 }, &s, 0.3f);
        onnx_node(&g, "Conv", "m w1", "h", NULL);
        onnx_node(&g, "Relu", "h", "r", NULL);
        onnx_node(&g, "Conv", "r w2", "f", NULL);
        onnx_node(&g, seed % 2 ? "HardSigmoid" : "Sigmoid", "f", "q", NULL);
        onnx_node(&g, "Mul", seed % 3 ? "a q" : "q a", "y", NULL);
        check_graph(&g, 13, seed, 1e-4);
    }
}

TEST(means_of_other_axes_and_flattened_ones_match_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed * 41;
        const int64_t c = random_int(&s, 1, 40);
        struct buffer g = some_blocks(c, &s);
        mean(&g, random_int(&s, 0, 3));
        onnx_node(&g, "Flatten", "m", "y", NULL);
        check_graph(&g, 13, seed, 1e-4);
    }
}

TEST(arithmetic_with_a_constant_for_each_channel_matches_the_reference)
{
    static const char *const types[] = { "Add", "Sub", "Mul", "Div" };

    for (uint64_t seed = 1; seed <= ROUNDS * 4; seed++) {
        uint64_t s = seed * 43;
        const int64_t c = random_int(&s, 1, 40);
        const int64_t shapes[][4] = { { 1, c, 1, 1 }, { c, 1, 1, 0 }, { 1, 1, 1, 1 }, { 1, 0, 0, 0 } };
        const int ranks[] = { 4, 3, 4, 1 }, way = random_int(&s, 0, 3), type = random_int(&s, 0, 3);
        struct buffer g = some_blocks(c, &s);
        random_constant(&g, "k0", ranks[way], shapes[way], &s, 0.5f);
        onnx_floats(&g, "two", 1, (const int64_t[]){ 1 }, (const float[]){ 2 });
        onnx_node(&g, "Add", "k0 two", "k", NULL); /* nothing near zero to divide by */
        if (type == 3 && seed % 2)
            onnx_node(&g, "Sigmoid", "a", "b", NULL);
        else
            onnx_node(&g, "Identity", "a", "b", NULL);
        onnx_node(&g, types[type], type < 3 && seed % 3 == 0 ? "k b" : "b k", "t", NULL);
        onnx_node(&g, "Softplus", "t", "y", NULL);
        check_graph(&g, 13, seed, 1e-4);
    }
}

TEST(transpositions_of_random_shapes_match_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS * 4; seed++) {
        uint64_t s = seed * 47;
        const int rank = random_int(&s, 1, 5);
        int64_t dims[5], perm[5];
        struct buffer g = { 0 }, a = { 0 };
        for (int i = 0; i < rank; i++) {
            const int at = random_int(&s, 0, i);
            perm[i] = i;
            perm[i] = perm[at];
            perm[at] = i;
            dims[i] = random_int(&s, 1, 11);
        }
        onnx_input(&g, "x", rank, dims);
        onnx_output(&g, "y");
        onnx_ints_attribute(&a, "perm", (size_t)rank, perm);
        onnx_node(&g, "Transpose", "x", "y", &a);
        check_graph(&g, 13, seed, 0);
    }
}

TEST(shuffled_channels_match_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        uint64_t s = seed * 53;
        const int64_t c = random_int(&s, 1, 20), groups = random_int(&s, 1, 4);
        struct buffer g = some_blocks(c * groups, &s), a = { 0 };
        onnx_ints(&g, "joined", 4, (const int64_t[]){ 1, c * groups, -1, 1 });
        onnx_ints(&g, "split", 5, (const int64_t[]){ 1, groups, c, -1, 1 });
        onnx_ints_attribute(&a, "perm", 5, (const int64_t[]){ 0, 2, 1, 3, 4 });
        onnx_node(&g, "Reshape", "a split", "r", NULL);
        onnx_node(&g, "Transpose", "r", "t", &a);
        onnx_node(&g, "Reshape", "t joined", "y", NULL);
        check_graph(&g, 13, seed, 1e-5);
    }
}

TEST(resized_planes_match_the_reference)
{
    static const char *const ways[] = { "half_pixel", "pytorch_half_pixel", "asymmetric",
                                        "align_corners" };

    for (uint64_t seed = 1; seed <= ROUNDS * 2; seed++) {
        uint64_t s = seed * 59;
        struct buffer g = some_blocks(random_int(&s, 1, 40), &s), a = { 0 };
        const float down = 0.5f + 0.25f * (float)random_int(&s, 0, 10),
                    across = 0.5f + 0.25f * (float)random_int(&s, 0, 10);
        onnx_floats(&g, "k", 1, (const int64_t[]){ 4 }, (const float[]){ 1, 1, down, across });
        onnx_text_attribute(&a, "mode", random_int(&s, 0, 3) ? "linear" : "nearest");
        onnx_text_attribute(&a, "coordinate_transformation_mode", ways[random_int(&s, 0, 3)]);
        onnx_node(&g, "Resize", "a - k", "y", &a);
        check_graph(&g, 13, seed, 1e-5);
    }
}

TEST(a_hard_swish_spelt_out_is_one_step_and_matches_the_reference)
{
    static const char *const ways[][4] = { { "Mul", "a c", "Div", "m six" },
                                           { "Mul", "c a", "Mul", "sixth m" },
                                           { "Div", "c six", "Mul", "a m" },
                                           { "Mul", "c sixth", "Mul", "m a" },
                                           { "Mul", "c c", "Div", "m six" } };

    for (uint64_t way = 0; way < 5; way++) {
        uint64_t s = way + 61;
        struct buffer g = some_blocks(20, &s);
        struct model *m;
        int conv = 0;
        onnx_floats(&g, "three", 1, (const int64_t[]){ 1 }, (const float[]){ 3 });
        onnx_floats(&g, "six", 1, (const int64_t[]){ 1 }, (const float[]){ 6 });
        onnx_floats(&g, "sixth", 1, (const int64_t[]){ 1 }, (const float[]){ 1.0f / 6 });
        onnx_floats(&g, "low", 0, NULL, (const float[]){ 0 });
        onnx_floats(&g, "high", 0, NULL, (const float[]){ 6 });
        onnx_node(&g, "Add", way & 1 ? "three a" : "a three", "h", NULL);
        onnx_node(&g, "Clip", "h low high", "c", NULL);
        onnx_node(&g, ways[way][0], ways[way][1], "m", NULL);
        onnx_node(&g, ways[way][2], ways[way][3], "y", NULL);
        if ((m = run_load(&g, 13))) {
            struct graph *copy = graph_clone(m->graph);
            struct fault f = FAULT_INIT;
            CHECK(copy && graph_optimise(copy, &f) == ST_OK);
            for (int i = 0; copy && i < copy->nnodes; i++)
                conv += !copy->nodes[i].dead;
            CHECK((conv == 1) == (way < 4));
            graph_free(copy);
        }
        run_compare(m, way, 1e-5);
    }
}
