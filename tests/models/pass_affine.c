/*
 * Arithmetic with one number a channel around convolutions: what moves into weights and bias, what
 * becomes one Affine, and what must stay as it is.
 */
#include "tests/models/pass_case.h"

enum { CHANNELS = 24, SIDE = 9 };

struct sum {
    int groups, pad, rank; /* rank 3: one dimension */
    bool transposed, bias;
};

/* A convolution of CHANNELS to CHANNELS. */
static void convolve(struct buffer *g, const struct sum *c, const char *from, const char *to,
                     uint64_t *s)
{
    const int taps = c->pad * 2 + 1;
    const int64_t w[] = { CHANNELS, CHANNELS / c->groups, taps, taps }, b[] = { CHANNELS };
    const int64_t pads[] = { c->pad, c->pad, c->pad, c->pad };
    char name[32], bias[32], inputs[96];
    struct buffer at = { 0 };

    snprintf(name, sizeof name, "w_%s", to);
    snprintf(bias, sizeof bias, "b_%s", to);
    snprintf(inputs, sizeof inputs, "%s %s %s", from, name, c->bias ? bias : "-");
    random_constant(g, name, c->rank, w, s, 0.4f);
    if (c->bias)
        random_constant(g, bias, 1, b, s, 1);
    onnx_ints_attribute(&at, "pads", 2 * (size_t)(c->rank - 2), pads);
    onnx_int_attribute(&at, "group", c->groups);
    onnx_node(g, c->transposed ? "ConvTranspose" : "Conv", inputs, to, &at);
}

/* Constants: "each" one a channel, "one" for all, "plane" one a cell, "flat" [CHANNELS]. */
static void constants(struct buffer *g, int rank, uint64_t *s)
{
    const int64_t each[] = { CHANNELS, 1, 1 }, plane[] = { 1, SIDE, SIDE }, flat[] = { CHANNELS };
    float variance[CHANNELS];

    for (int i = 0; i < CHANNELS; i++)
        variance[i] = 0.5f + (float)(i % 5);
    random_constant(g, "each", rank - 1, each, s, 2);
    random_constant(g, "other", rank - 1, each, s, 1);
    random_constant(g, "one", 0, NULL, s, 3);
    random_constant(g, "plane", rank - 1, plane + (4 - rank), s, 1);
    random_constant(g, "flat", 1, flat, s, 1);
    onnx_floats(g, "variance", 1, flat, variance);
}

/* x [1, CHANNELS, SIDE, SIDE], or of one dimension less. */
static struct buffer map_graph(int rank, uint64_t *s)
{
    struct buffer g = { 0 };

    onnx_input(&g, "x", rank, (const int64_t[]){ 1, CHANNELS, SIDE, SIDE });
    onnx_output(&g, "y");
    constants(&g, rank, s);
    return g;
}

TEST(arithmetic_behind_a_convolution_moves_into_it)
{
    static const struct sum sums[] = {
        { 1, 1, 4, false, true }, { 3, 0, 4, false, false }, { CHANNELS, 1, 4, false, true },
        { 1, 1, 4, true, false }, { 4, 1, 4, true, true },   { 1, 1, 3, false, false },
        { 2, 1, 3, true, true },
    };

    for (size_t i = 0; i < sizeof sums / sizeof sums[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = map_graph(sums[i].rank, &s);
        convolve(&g, &sums[i], "x", "a", &s);
        onnx_node(&g, "Mul", "each a", "b", NULL);
        onnx_node(&g, "Add", "b one", "c", NULL);
        onnx_node(&g, "Sub", "other c", "d", NULL);
        onnx_node(&g, "Div", "d one", "e", NULL);
        onnx_node(&g, "BatchNormalization", "e flat flat flat variance", "f", NULL);
        onnx_node(&g, "Relu", "f", "y", NULL);
        check_pass(&g, 13, i + 1, NULL, 1, 2e-4);
    }
}

TEST(arithmetic_in_front_of_a_convolution_moves_into_it_unless_its_border_would_change)
{
    static const struct {
        struct sum sum;
        bool shifted;
        int nodes;
    } cases[] = {
        { { 1, 0, 4, false, true }, true, 1 },  { { 3, 0, 4, false, false }, true, 1 },
        { { 1, 1, 4, false, true }, false, 1 }, { { CHANNELS, 1, 4, false, false }, false, 1 },
        { { 1, 1, 4, false, true }, true, 2 },  { { CHANNELS, 1, 4, false, false }, true, 2 },
        { { 1, 1, 4, true, true }, true, 2 }, /* only behind transposed ones */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = map_graph(4, &s);
        onnx_node(&g, "Mul", "x each", "a", NULL);
        if (cases[i].shifted)
            onnx_node(&g, "Add", "a other", "b", NULL);
        convolve(&g, &cases[i].sum, cases[i].shifted ? "b" : "a", "y", &s);
        check_pass(&g, 13, i + 1, NULL, cases[i].nodes, 2e-4);
    }
}

TEST(arithmetic_between_other_nodes_is_one_step)
{
    static const char *const acts[] = { "Relu", "LeakyRelu", "Sigmoid", "HardSwish", "Identity" };

    for (size_t i = 0; i < sizeof acts / sizeof acts[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = map_graph(4, &s), at = { 0 };
        convolve(&g, &(const struct sum){ 1, 1, 4, false, true }, "x", "a", &s);
        onnx_ints_attribute(&at, "kernel_shape", 2, (const int64_t[]){ 2, 2 });
        onnx_node(&g, "MaxPool", "a", "b", &at);
        onnx_node(&g, "BatchNormalization", "b flat flat flat variance", "c", NULL);
        onnx_node(&g, "Mul", "c each", "d", NULL);
        onnx_node(&g, acts[i], "d", "e", NULL);
        convolve(&g, &(const struct sum){ 2, 1, 4, false, true }, "e", "y", &s);
        check_pass(&g, 14, i + 1, NULL, 4, 2e-4);
    }
}

TEST(slopes_of_channels_are_one_step_and_others_stay)
{
    static const char *const slopes[] = { "each", "one", "plane" };

    for (uint64_t i = 0; i < 6; i++) {
        uint64_t s = i + 1;
        struct buffer g = map_graph(4, &s);
        char inputs[16];
        snprintf(inputs, sizeof inputs, "a %s", slopes[i % 3]);
        convolve(&g, &(const struct sum){ 1, 1, 4, false, true }, "x", "a", &s);
        onnx_node(&g, "PRelu", inputs, i < 3 ? "b" : "y", NULL);
        if (i < 3)
            convolve(&g, &(const struct sum){ 1, 0, 4, false, true }, "b", "y", &s);
        check_pass(&g, 13, i + 1, "PRelu", i % 3 == 2, 2e-4);
    }
}

TEST(arithmetic_that_only_looks_like_it_stays)
{
    static const struct {
        const char *type, *inputs;
    } cases[] = { { "Add", "a plane" }, { "Mul", "plane a" }, { "Div", "each p" }, { "Add", "a a" } };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = map_graph(4, &s);
        convolve(&g, &(const struct sum){ 1, 1, 4, false, true }, "x", "a", &s);
        onnx_node(&g, "Sigmoid", "a", "p", NULL);
        onnx_node(&g, cases[i].type, cases[i].inputs, "y", NULL);
        check_pass(&g, 13, i + 1, cases[i].type, 1, 1e-3);
    }
}

/* What else reads the convolution wants it as it was. */
TEST(a_convolution_that_something_else_reads_keeps_its_weights)
{
    uint64_t s = 1;
    struct buffer g = map_graph(4, &s);

    convolve(&g, &(const struct sum){ 1, 1, 4, false, true }, "x", "a", &s);
    onnx_node(&g, "Mul", "a each", "b", NULL);
    onnx_node(&g, "Mul", "a b", "y", NULL);
    check_pass(&g, 13, 1, "Conv", 1, 1e-3);
}
