/*
 * Operators behind a convolution, so that they meet tensors in blocks, on seeded random shapes: the plan
 * and the optimised graph against the references. What the planner treats specially has tests of its own
 * in operators_planned.c.
 */
#include "tests/models/operator_case.h"

enum { ROUNDS = 6 };

/* The shape that the operator under test sees: [1, c, h, w], and random numbers for its attributes. */
struct scene {
    struct buffer *graph;
    struct buffer attributes;
    int64_t c, h, w;
    uint64_t seed;
};

static void no_attributes(struct scene *s)
{
    (void)s;
}

static void with_axis(struct scene *s)
{
    onnx_int_attribute(&s->attributes, "axis", random_int(&s->seed, -3, 3));
}

static void with_axes(struct scene *s)
{
    const int64_t axes[] = { random_int(&s->seed, 1, 3), -4 };

    onnx_ints_attribute(&s->attributes, "axes", 1 + (size_t)random_int(&s->seed, 0, 1), axes);
    onnx_int_attribute(&s->attributes, "keepdims", random_int(&s->seed, 0, 1));
}

static void with_alpha(struct scene *s)
{
    onnx_float_attribute(&s->attributes, "alpha", 0.1f + 0.05f * random_float(&s->seed));
}

static void with_channels(struct scene *s) /* two vectors, k and b */
{
    random_constant(s->graph, "k", 1, &s->c, &s->seed, 1);
    random_constant(s->graph, "b", 1, &s->c, &s->seed, 1);
}

static void with_slope(struct scene *s)
{
    random_constant(s->graph, "k", 3, (const int64_t[]){ s->c, 1, 1 }, &s->seed, 1);
}

static void with_last(struct scene *s)
{
    random_constant(s->graph, "k", 1, &s->w, &s->seed, 1);
}

static void with_size(struct scene *s)
{
    onnx_int_attribute(&s->attributes, "size", random_int(&s->seed, 1, 7));
    onnx_float_attribute(&s->attributes, "alpha", 0.5f);
}

static void with_block(struct scene *s)
{
    onnx_int_attribute(&s->attributes, "blocksize", 2);
}

static void with_block_crd(struct scene *s)
{
    with_block(s);
    onnx_text_attribute(&s->attributes, "mode", "CRD");
}

static void with_repeats(struct scene *s)
{
    onnx_ints(s->graph, "k", 4, (const int64_t[]){ 1, random_int(&s->seed, 1, 2), 2, 1 });
}

static void with_wide_shape(struct scene *s)
{
    onnx_ints(s->graph, "k", 5, (const int64_t[]){ 2, 1, s->c, 1, s->w });
}

static void with_where(struct scene *s)
{
    onnx_constant(s->graph, "k", 7, 0, NULL, (const int64_t[]){ random_int(&s->seed, 1, 3) }, 8);
    onnx_int_attribute(&s->attributes, "exclusive", random_int(&s->seed, 0, 1));
    onnx_int_attribute(&s->attributes, "reverse", random_int(&s->seed, 0, 1));
}

static void with_diagonal(struct scene *s)
{
    onnx_constant(s->graph, "k", 7, 0, NULL, (const int64_t[]){ random_int(&s->seed, -3, 3) }, 8);
    onnx_int_attribute(&s->attributes, "upper", random_int(&s->seed, 0, 1));
}

static void with_matrix(struct scene *s)
{
    random_constant(s->graph, "k", 2, (const int64_t[]){ s->c, 5 }, &s->seed, 1);
    onnx_text_attribute(&s->attributes, "equation", "nchw,ck->nkhw");
}

static void with_grid(struct scene *s)
{
    static const char *const paddings[] = { "zeros", "border", "reflection" };

    random_constant(s->graph, "k", 4, (const int64_t[]){ 1, 4, 7, 2 }, &s->seed, 1);
    onnx_text_attribute(&s->attributes, "mode", random_int(&s->seed, 0, 3) ? "bilinear" : "nearest");
    onnx_text_attribute(&s->attributes, "padding_mode", paddings[random_int(&s->seed, 0, 2)]);
    onnx_int_attribute(&s->attributes, "align_corners", random_int(&s->seed, 0, 1));
}

static void with_coordinates(struct scene *s)
{
    const int64_t at[] = { 0, s->c - 1, 0, -s->c };

    onnx_constant(s->graph, "k", 7, 2, (const int64_t[]){ 2, 2 }, at, sizeof at);
    random_constant(s->graph, "b", 4, (const int64_t[]){ 2, 1, s->h, s->w }, &s->seed, 1);
    random_constant(s->graph, "u", 3, (const int64_t[]){ 2, s->h, s->w }, &s->seed, 1);
}

static void with_pads(struct scene *s)
{
    static const char *const modes[] = { "constant", "reflect", "edge" };

    onnx_ints(s->graph, "k", 8, (const int64_t[]){ 0, 0, 1, 2, 0, 0, 2, random_int(&s->seed, 0, 2) });
    onnx_text_attribute(&s->attributes, "mode", modes[random_int(&s->seed, 0, 2)]);
}

static void with_window(struct scene *s)
{
    static const char *const pads[] = { "SAME_UPPER", "SAME_LOWER", "VALID" };

    onnx_ints_attribute(&s->attributes, "kernel_shape", 2, (const int64_t[]){ 3, 2 });
    onnx_ints_attribute(&s->attributes, "strides", 2,
                        (const int64_t[]){ 2, random_int(&s->seed, 1, 3) });
    onnx_text_attribute(&s->attributes, "auto_pad", pads[random_int(&s->seed, 0, 2)]);
}

static void with_scales(struct scene *s)
{
    static const char *const ways[] = { "half_pixel", "pytorch_half_pixel", "asymmetric",
                                        "align_corners", "half_pixel_symmetric" };
    static const char *const rounds[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil" };
    const float up = 1 + 0.25f * (float)random_int(&s->seed, 0, 6);

    onnx_floats(s->graph, "k", 1, (const int64_t[]){ 4 }, (const float[]){ 1, 1, up, 0.5f });
    onnx_text_attribute(&s->attributes, "mode", random_int(&s->seed, 0, 1) ? "linear" : "nearest");
    onnx_text_attribute(&s->attributes, "coordinate_transformation_mode",
                        ways[random_int(&s->seed, 0, 4)]);
    onnx_text_attribute(&s->attributes, "nearest_mode", rounds[random_int(&s->seed, 0, 3)]);
}

static void with_many(struct scene *s)
{
    onnx_ints(s->graph, "k", 1, (const int64_t[]){ random_int(&s->seed, 1, 4) });
    onnx_int_attribute(&s->attributes, "axis", random_int(&s->seed, 1, 3));
    onnx_int_attribute(&s->attributes, "largest", random_int(&s->seed, 0, 1));
}

/* None that turns a rounding of the convolution into a large difference (Reciprocal, Floor). */
static const struct {
    const char *type, *inputs;
    void (*prepare)(struct scene *s);
    int opset;
} cases[] = {
    { "InstanceNormalization", "a k b", with_channels, 17 },
    { "LayerNormalization", "a k", with_last, 17 },
    { "LRN", "a", with_size, 13 },
    { "LpNormalization", "a", with_axis, 13 },
    { "MeanVarianceNormalization", "a", no_attributes, 13 },
    { "PRelu", "a k", with_slope, 16 },
    { "DepthToSpace", "a", with_block, 13 },
    { "DepthToSpace", "a", with_block_crd, 13 },
    { "SpaceToDepth", "a", with_block, 13 },
    { "GlobalMaxPool", "a", no_attributes, 13 },
    { "GlobalAveragePool", "a", no_attributes, 13 },
    { "AveragePool", "a", with_window, 13 },
    { "MaxPool", "a", with_window, 7 },
    { "ReduceMean", "a", with_axes, 13 },
    { "ReduceSum", "a", with_axes, 11 },
    { "ReduceMax", "a", with_axes, 13 },
    { "ReduceMin", "a", with_axes, 13 },
    { "ReduceL1", "a", with_axes, 13 },
    { "ReduceL2", "a", with_axes, 13 },
    { "ReduceProd", "a", with_axes, 13 },
    { "ReduceSumSquare", "a", with_axes, 13 },
    { "ReduceLogSumExp", "a", with_axes, 13 },
    { "Softmax", "a", with_axis, 7 },
    { "Softmax", "a", with_axis, 21 },
    { "LogSoftmax", "a", with_axis, 11 },
    { "LogSoftmax", "a", with_axis, 13 },
    { "CumSum", "a k", with_where, 14 },
    { "Trilu", "a k", with_diagonal, 14 },
    { "Tile", "a k", with_repeats, 13 },
    { "Expand", "a k", with_wide_shape, 13 },
    { "Einsum", "a k", with_matrix, 12 },
    { "GridSample", "a k", with_grid, 16 },
    { "GatherND", "a k", with_coordinates, 13 },
    { "ScatterND", "a k u", with_coordinates, 16 },
    { "Pad", "a k", with_pads, 13 },
    { "Resize", "a - k", with_scales, 13 },
    { "TopK", "a k", with_many, 11 },
    { "Elu", "a", with_alpha, 7 },
    { "LeakyRelu", "a", with_alpha, 7 },
    { "Celu", "a", with_alpha, 12 },
    { "Selu", "a", no_attributes, 7 },
    { "ThresholdedRelu", "a", with_alpha, 10 },
    { "Softplus", "a", no_attributes, 7 },
    { "Mish", "a", no_attributes, 18 },
    { "Gelu", "a", no_attributes, 20 },
    { "Erf", "a", no_attributes, 13 },
    { "Softsign", "a", no_attributes, 7 },
    { "Sin", "a", no_attributes, 7 },
    { "Cos", "a", no_attributes, 7 },
    { "Abs", "a", no_attributes, 7 },
    { "Neg", "a", no_attributes, 7 },
    { "Flatten", "a", no_attributes, 9 },
};

/* Expand needs a height of 1, LayerNormalization and others any: all get a small even picture. */
static void run_case(size_t i, uint64_t seed)
{
    static const int channels[] = { 3, 4, 16, 20, 32 };
    struct scene s = { .seed = seed * 1000 + i };
    struct buffer g;
    const bool flat = strcmp(cases[i].type, "Expand") == 0;
    /* channel counts that four divides where squares of channels are needed */
    s.c = channels[strcmp(cases[i].type, "DepthToSpace") ? random_int(&s.seed, 0, 4)
                                                         : random_int(&s.seed, 1, 4)];
    s.h = flat ? 1 : 2 * random_int(&s.seed, 2, 6);
    s.w = 2 * random_int(&s.seed, 2, 6);
    g = blocked_graph(s.c, s.h, s.w, &s.seed);
    s.graph = &g;
    cases[i].prepare(&s);
    onnx_node(&g, cases[i].type, cases[i].inputs, "y", &s.attributes);
    check_graph(&g, cases[i].opset, seed, 1e-3);
}

TEST(operators_behind_a_convolution_match_the_references_on_random_shapes)
{
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int before = test_failures_;
        for (uint64_t seed = 1; seed <= ROUNDS; seed++)
            run_case(i, seed);
        if (test_failures_ > before)
            printf("# that was %s, opset %d\n", cases[i].type, cases[i].opset);
    }
}

TEST(one_dimensional_windows_match_the_references)
{
    static const char *const types[] = { "Conv", "ConvTranspose", "MaxPool", "AveragePool" };

    for (size_t t = 0; t < 4; t++)
        for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
            uint64_t s = seed * 91 + t;
            const int64_t c = random_int(&s, 1, 20), m = random_int(&s, 1, 20), k = random_int(&s, 1, 4),
                          groups = random_int(&s, 0, 1) ? 1 : c;
            struct buffer g = { 0 }, a = { 0 };
            onnx_input(&g, "x", 3, (const int64_t[]){ 1, c, random_int(&s, 6, 30) });
            onnx_output(&g, "y");
            onnx_ints_attribute(&a, "kernel_shape", 1, &k);
            onnx_ints_attribute(&a, "strides", 1, (const int64_t[]){ random_int(&s, 1, 3) });
            onnx_ints_attribute(&a, "pads", 2, (const int64_t[]){ random_int(&s, 0, (int)k - 1), 0 });
            if (t < 2) {
                onnx_int_attribute(&a, "group", groups);
                if (t == 0)
                    random_constant(&g, "w", 3, (const int64_t[]){ m * groups, c / groups, k }, &s, 1);
                else
                    random_constant(&g, "w", 3, (const int64_t[]){ c, m, k }, &s, 1);
            }
            onnx_node(&g, types[t], t < 2 ? "x w" : "x", "y", &a);
            check_graph(&g, 11, seed, 1e-4);
        }
}

TEST(transposed_convolutions_of_random_shapes_match_the_reference)
{
    for (uint64_t seed = 1; seed <= ROUNDS * 4; seed++) {
        static const int channels[] = { 1, 4, 16, 20, 32 };
        uint64_t s = seed * 5;
        const int64_t c = channels[random_int(&s, 0, 4)], m = channels[random_int(&s, 0, 4)],
                      k = random_int(&s, 1, 4), stride = random_int(&s, 1, 3);
        const int64_t pad = random_int(&s, 0, (int)(k - 1) / 2),
                      more = random_int(&s, 0, (int)stride - 1);
        struct buffer g = { 0 }, a = { 0 };
        onnx_input(&g, "x", 4, (const int64_t[]){ 1, c, random_int(&s, 2, 9), random_int(&s, 2, 9) });
        onnx_output(&g, "y");
        random_constant(&g, "w", 4, (const int64_t[]){ c, m, k, k }, &s, 1);
        random_constant(&g, "b", 1, &m, &s, 1);
        onnx_ints_attribute(&a, "strides", 2, (const int64_t[]){ stride, stride });
        onnx_ints_attribute(&a, "pads", 4, (const int64_t[]){ pad, pad, pad, 0 });
        onnx_ints_attribute(&a, "output_padding", 2, (const int64_t[]){ more, 0 });
        onnx_node(&g, "ConvTranspose", "x w b", "y", &a);
        check_graph(&g, 13, seed, 1e-3);
    }
}
