/*
 * Branches of RepVGG, with batch normalisation as they are trained, become one convolution; branches
 * that do not meet the same elements stay.
 */
#include "tests/models/pass_case.h"

struct shape {
    int kernel, pad, stride, groups, dilation;
};

enum { CHANNELS = 16, SIDE = 10 };

static void norm(struct buffer *g, const char *from, const char *to)
{
    char inputs[64];

    snprintf(inputs, sizeof inputs, "%s scale shift mean variance", from);
    onnx_node(g, "BatchNormalization", inputs, to, NULL);
}

static void branch(struct buffer *g, const struct shape *c, const char *from, const char *to,
                   uint64_t *s)
{
    const int64_t pads[] = { c->pad, c->pad, c->pad, c->pad };
    char inputs[64], name[32], sum[32];
    struct buffer at = { 0 };

    snprintf(name, sizeof name, "w_%s", to);
    snprintf(sum, sizeof sum, "sum_%s", to);
    snprintf(inputs, sizeof inputs, "%s %s", from, name);
    random_constant(g, name, 4,
                    (const int64_t[]){ CHANNELS, CHANNELS / c->groups, c->kernel, c->kernel }, s, 0.4f);
    onnx_ints_attribute(&at, "pads", 4, pads);
    onnx_ints_attribute(&at, "strides", 2, (const int64_t[]){ c->stride, c->stride });
    onnx_ints_attribute(&at, "dilations", 2, (const int64_t[]){ c->dilation, c->dilation });
    onnx_int_attribute(&at, "group", c->groups);
    onnx_node(g, "Conv", inputs, sum, &at);
    norm(g, sum, to);
}

/* "x", and "a": a map that has been made and is read by more than one. */
static struct buffer trained(uint64_t *s)
{
    const int64_t each[] = { CHANNELS };
    struct buffer g = picture_graph(CHANNELS, SIDE, SIDE);
    float variance[CHANNELS];

    for (int i = 0; i < CHANNELS; i++)
        variance[i] = 0.5f + (float)(i % 3);
    random_constant(&g, "scale", 1, each, s, 1);
    random_constant(&g, "shift", 1, each, s, 1);
    random_constant(&g, "mean", 1, each, s, 1);
    onnx_floats(&g, "variance", 1, each, variance);
    onnx_node(&g, "Sigmoid", "x", "a", NULL);
    return g;
}

TEST(branches_of_one_tensor_are_one_convolution)
{
    static const struct {
        struct shape wide, narrow;
        bool norm;
    } cases[] = {
        { { 3, 1, 1, 1, 1 }, { 1, 0, 1, 1, 1 }, true },
        { { 3, 1, 2, 1, 1 }, { 1, 0, 2, 1, 1 }, false },
        { { 7, 3, 1, CHANNELS, 1 }, { 3, 1, 1, CHANNELS, 1 }, true },
        { { 5, 2, 1, 4, 1 }, { 3, 1, 1, 4, 1 }, true },
        { { 3, 1, 1, 1, 1 }, { 3, 1, 1, 1, 1 }, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = trained(&s);
        branch(&g, &cases[i].wide, "a", "b", &s);
        branch(&g, &cases[i].narrow, "a", "c", &s);
        onnx_node(&g, "Add", i & 1 ? "b c" : "c b", "d", NULL);
        if (cases[i].norm) {
            norm(&g, "a", "n");
            onnx_node(&g, "Add", i & 1 ? "d n" : "n d", "e", NULL);
        }
        onnx_node(&g, "Relu", cases[i].norm ? "e" : "d", "y", NULL);
        check_pass(&g, 13, i + 1, NULL, 2, 2e-4);
    }
}

TEST(branches_that_meet_other_elements_stay)
{
    static const struct {
        struct shape narrow;
        const char *from; /* of the second */
    } cases[] = {
        { { 1, 0, 1, 1, 1 }, "x" }, /* another tensor */
        { { 1, 0, 1, 4, 1 }, "a" }, /* other groups */
        { { 3, 2, 1, 1, 2 }, "a" }, /* taps further apart */
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = trained(&s);
        branch(&g, &(const struct shape){ 3, 1, 1, 1, 1 }, "a", "b", &s);
        branch(&g, &cases[i].narrow, cases[i].from, "c", &s);
        onnx_node(&g, "Add", "b c", "y", NULL);
        check_pass(&g, 13, i + 1, "Conv", 2, 1e-3);
    }
}

TEST(a_norm_beside_a_convolution_of_another_tensor_stays)
{
    uint64_t s = 7;
    struct buffer g = trained(&s);

    branch(&g, &(const struct shape){ 3, 1, 1, 1, 1 }, "a", "b", &s);
    norm(&g, "x", "n");
    onnx_node(&g, "Add", "b n", "y", NULL);
    check_pass(&g, 13, 7, "Affine", 1, 1e-3);
}
