/*
 * The operators' references by hand-computed values: attribute variants, opset changes, edges.
 * tests/models compares them with whole networks and the planner with them.
 */
#include "tests/unit/inference_expect.h"

static float four[4] = { 1, 2, 3, 4 };
static float nine[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

TEST(conv_pads_strides_and_adds_its_bias)
{
    struct buffer g = GRAPH(1, 1, 3, 3), a = { 0 };

    onnx_floats(&g, "w", 4, (const int64_t[]){ 1, 1, 2, 2 }, (const float[]){ 1, 10, 100, 1000 });
    onnx_floats(&g, "b", 1, (const int64_t[]){ 1 }, (const float[]){ 0.5f });
    onnx_ints_attribute(&a, "pads", 4, (const int64_t[]){ 1, 0, 0, 0 }); /* a row on top */
    onnx_ints_attribute(&a, "strides", 2, (const int64_t[]){ 2, 1 });
    onnx_node(&g, "Conv", "x w b", "y", &a);
    EXPECT(&g, 17, nine, "1x1x2x2", 2100.5f, 3200.5f, 8754.5f, 9865.5f);
}

TEST(conv_auto_pad_puts_the_odd_pixel_where_it_is_told)
{
    static const char *const modes[] = { "SAME_UPPER", "SAME_LOWER" };

    for (int i = 0; i < 2; i++) {
        struct buffer g = GRAPH(1, 1, 1, 3), a = { 0 };
        onnx_floats(&g, "w", 4, (const int64_t[]){ 1, 1, 1, 2 }, (const float[]){ 1, 10 });
        onnx_text_attribute(&a, "auto_pad", modes[i]);
        onnx_node(&g, "Conv", "x w", "y", &a);
        if (i == 0)
            EXPECT(&g, 17, nine, "1x1x1x3", 21, 32, 3);
        else
            EXPECT(&g, 17, nine, "1x1x1x3", 10, 21, 32);
    }
}

TEST(conv_transpose_enlarges)
{
    struct buffer g = GRAPH(1, 1, 2, 2), a = { 0 };

    onnx_floats(&g, "w", 4, (const int64_t[]){ 1, 1, 2, 2 }, (const float[]){ 1, 2, 3, 4 });
    onnx_ints_attribute(&a, "strides", 2, (const int64_t[]){ 2, 2 });
    onnx_node(&g, "ConvTranspose", "x w", "y", &a);
    EXPECT(&g, 17, four, "1x1x4x4", 1, 2, 2, 4, 3, 4, 6, 8, 3, 6, 4, 8, 9, 12, 12, 16);
}

TEST(max_pool_with_ceil_mode_drops_a_window_that_starts_in_the_padding)
{
    struct buffer g = GRAPH(1, 1, 1, 4), h = GRAPH(1, 1, 1, 3), a = { 0 }, b = { 0 };

    onnx_ints_attribute(&a, "kernel_shape", 2, (const int64_t[]){ 1, 1 });
    onnx_ints_attribute(&a, "strides", 2, (const int64_t[]){ 1, 3 });
    onnx_int_attribute(&a, "ceil_mode", 1);
    onnx_node(&g, "MaxPool", "x", "y", &a);
    EXPECT(&g, 17, four, "1x1x1x2", 1, 4);
    onnx_ints_attribute(&b, "kernel_shape", 2, (const int64_t[]){ 1, 2 });
    onnx_ints_attribute(&b, "strides", 2, (const int64_t[]){ 1, 2 });
    onnx_int_attribute(&b, "ceil_mode", 1);
    onnx_node(&h, "MaxPool", "x", "y", &b);
    EXPECT(&h, 17, nine, "1x1x1x2", 2, 3);
}

TEST(average_pool_counts_padding_only_when_told)
{
    for (int include = 0; include < 2; include++) {
        struct buffer g = GRAPH(1, 1, 1, 3), a = { 0 };
        onnx_ints_attribute(&a, "kernel_shape", 2, (const int64_t[]){ 1, 2 });
        onnx_ints_attribute(&a, "pads", 4, (const int64_t[]){ 0, 1, 0, 0 });
        onnx_int_attribute(&a, "count_include_pad", include);
        onnx_node(&g, "AveragePool", "x", "y", &a);
        EXPECT(&g, 17, nine, "1x1x1x3", include ? 0.5f : 1, 1.5f, 2.5f);
    }
}

TEST(batch_normalization_uses_its_epsilon)
{
    struct buffer g = GRAPH(1, 2, 1, 2), a = { 0 };

    onnx_floats(&g, "s", 1, (const int64_t[]){ 2 }, (const float[]){ 2, 1 });
    onnx_floats(&g, "b", 1, (const int64_t[]){ 2 }, (const float[]){ 0, 10 });
    onnx_floats(&g, "m", 1, (const int64_t[]){ 2 }, (const float[]){ 1, 3 });
    onnx_floats(&g, "v", 1, (const int64_t[]){ 2 }, (const float[]){ 3, 0 });
    onnx_float_attribute(&a, "epsilon", 1);
    onnx_node(&g, "BatchNormalization", "x s b m v", "y", &a);
    EXPECT(&g, 17, four, "1x2x1x2", 0, 1, 10, 11);
}

TEST(resize_nearest_and_linear_follow_their_coordinate_modes)
{
    static const struct {
        const char *mode, *coordinates, *nearest;
        float want[4];
    } cases[] = {
        { "nearest", "asymmetric", "floor", { 1, 1, 2, 2 } },
        { "nearest", "asymmetric", "ceil", { 1, 2, 2, 2 } },
        { "nearest", "half_pixel", "round_prefer_floor", { 1, 1, 2, 2 } },
        { "linear", "half_pixel", "floor", { 1, 1.25f, 1.75f, 2 } },
        { "linear", "asymmetric", "floor", { 1, 1.5f, 2, 2 } },
        { "linear", "align_corners", "floor", { 1, 1 + 1.0f / 3, 1 + 2.0f / 3, 2 } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(1, 1, 1, 2), a = { 0 };
        onnx_floats(&g, "s", 1, (const int64_t[]){ 4 }, (const float[]){ 1, 1, 1, 2 });
        onnx_text_attribute(&a, "mode", cases[i].mode);
        onnx_text_attribute(&a, "coordinate_transformation_mode", cases[i].coordinates);
        onnx_text_attribute(&a, "nearest_mode", cases[i].nearest);
        onnx_node(&g, "Resize", "x - s", "y", &a);
        expect(&g, 17, four, "1x1x1x4", cases[i].want, 4);
    }
}

TEST(resize_takes_sizes_and_upsample_takes_scales)
{
    struct buffer g = GRAPH(1, 1, 2, 2), u = GRAPH(1, 1, 1, 2);

    onnx_ints(&g, "n", 4, (const int64_t[]){ 1, 1, 2, 4 });
    onnx_node(&g, "Resize", "x - - n", "y", NULL);
    EXPECT(&g, 13, four, "1x1x2x4", 1, 1, 2, 2, 3, 3, 4, 4);
    onnx_floats(&u, "s", 1, (const int64_t[]){ 4 }, (const float[]){ 1, 1, 2, 2 });
    onnx_node(&u, "Upsample", "x s", "y", NULL);
    EXPECT(&u, 9, four, "1x1x2x4", 1, 1, 2, 2, 1, 1, 2, 2);
}

TEST(softmax_acts_on_one_axis_since_opset_13_and_on_all_that_follow_before)
{
    static float zeros[4];
    struct buffer old = GRAPH(1, 2, 2), new = GRAPH(1, 2, 2), a = { 0 }, b = { 0 };

    onnx_int_attribute(&a, "axis", 1);
    onnx_node(&old, "Softmax", "x", "y", &a);
    EXPECT(&old, 12, zeros, "1x2x2", 0.25f, 0.25f, 0.25f, 0.25f);
    onnx_int_attribute(&b, "axis", 1);
    onnx_node(&new, "Softmax", "x", "y", &b);
    EXPECT(&new, 13, zeros, "1x2x2", 0.5f, 0.5f, 0.5f, 0.5f);
}

TEST(slice_counts_from_the_end_clamps_and_steps_backwards)
{
    struct buffer g = GRAPH(3, 3), r = GRAPH(9), old = GRAPH(3, 3), a = { 0 };

    onnx_ints(&g, "s", 2, (const int64_t[]){ -2, 0 });
    onnx_ints(&g, "e", 2, (const int64_t[]){ INT64_MAX, 99 });
    onnx_ints(&g, "a", 2, (const int64_t[]){ 0, -1 });
    onnx_ints(&g, "t", 2, (const int64_t[]){ 1, 2 });
    onnx_node(&g, "Slice", "x s e a t", "y", NULL);
    EXPECT(&g, 13, nine, "2x2", 4, 6, 7, 9);
    onnx_ints(&r, "s", 1, (const int64_t[]){ -1 });
    onnx_ints(&r, "e", 1, (const int64_t[]){ INT64_MIN });
    onnx_ints(&r, "a", 1, (const int64_t[]){ 0 });
    onnx_ints(&r, "t", 1, (const int64_t[]){ -4 });
    onnx_node(&r, "Slice", "x s e a t", "y", NULL);
    EXPECT(&r, 13, nine, "3", 9, 5, 1);
    onnx_ints_attribute(&a, "starts", 1, (const int64_t[]){ 1 });
    onnx_ints_attribute(&a, "ends", 1, (const int64_t[]){ 2 });
    onnx_ints_attribute(&a, "axes", 1, (const int64_t[]){ 1 });
    onnx_node(&old, "Slice", "x", "y", &a);
    EXPECT(&old, 9, nine, "3x1", 2, 5, 8);
}

TEST(split_takes_sizes_from_attribute_input_or_count)
{
    struct buffer old = GRAPH(4), new = GRAPH(4), count = GRAPH(3), a = { 0 }, b = { 0 };

    onnx_ints_attribute(&a, "split", 2, (const int64_t[]){ 1, 3 });
    onnx_node(&old, "Split", "x", "- y", &a);
    EXPECT(&old, 12, four, "3", 2, 3, 4);
    onnx_ints(&new, "n", 2, (const int64_t[]){ 3, 1 });
    onnx_node(&new, "Split", "x n", "- y", NULL);
    EXPECT(&new, 13, four, "1", 4);
    onnx_int_attribute(&b, "num_outputs", 2);
    onnx_node(&count, "Split", "x", "- y", &b);
    EXPECT(&count, 18, four, "1", 3);
}

TEST(pad_fills_reflects_and_repeats_the_edge)
{
    struct buffer fill = GRAPH(3), reflect = GRAPH(3), edge = GRAPH(3), a = { 0 }, b = { 0 };

    onnx_ints(&fill, "p", 2, (const int64_t[]){ 1, 2 });
    onnx_floats(&fill, "v", 0, NULL, (const float[]){ 7 });
    onnx_node(&fill, "Pad", "x p v", "y", NULL);
    EXPECT(&fill, 13, nine, "6", 7, 1, 2, 3, 7, 7);
    onnx_ints(&reflect, "p", 2, (const int64_t[]){ 2, 1 });
    onnx_text_attribute(&a, "mode", "reflect");
    onnx_node(&reflect, "Pad", "x p", "y", &a);
    EXPECT(&reflect, 13, nine, "6", 3, 2, 1, 2, 3, 2);
    onnx_ints(&edge, "p", 2, (const int64_t[]){ 1, 1 });
    onnx_text_attribute(&b, "mode", "edge");
    onnx_node(&edge, "Pad", "x p", "y", &b);
    EXPECT(&edge, 13, nine, "5", 1, 1, 2, 3, 3);
}

TEST(gather_wraps_negative_indices)
{
    struct buffer g = GRAPH(3, 3), e = GRAPH(2, 2), a = { 0 }, b = { 0 }, i;
    const int64_t indices[] = { 1, 0, 0, 1 };

    onnx_ints(&g, "i", 2, (const int64_t[]){ -1, 0 });
    onnx_int_attribute(&a, "axis", 1);
    onnx_node(&g, "Gather", "x i", "y", &a);
    EXPECT(&g, 13, nine, "3x2", 3, 1, 6, 4, 9, 7);
    i = onnx_tensor("i", ONNX_INT64, 2, (const int64_t[]){ 2, 2 }, indices, sizeof indices);
    pb_message(&e, 5, &i);
    onnx_int_attribute(&b, "axis", 1);
    onnx_node(&e, "GatherElements", "x i", "y", &b);
    EXPECT(&e, 13, four, "2x2", 2, 1, 3, 4);
}

TEST(reductions_keep_or_drop_their_axes)
{
    struct buffer mean = GRAPH(3, 3), most = GRAPH(3, 3), sum = GRAPH(3, 3), arg = GRAPH(3, 3),
                  a = { 0 }, b = { 0 }, c = { 0 };

    onnx_ints_attribute(&a, "axes", 1, (const int64_t[]){ -1 });
    onnx_node(&mean, "ReduceMean", "x", "y", &a);
    EXPECT(&mean, 13, nine, "3x1", 2, 5, 8);
    onnx_ints_attribute(&b, "axes", 1, (const int64_t[]){ 0 });
    onnx_int_attribute(&b, "keepdims", 0);
    onnx_node(&most, "ReduceMax", "x", "y", &b);
    EXPECT(&most, 13, nine, "3", 7, 8, 9);
    onnx_node(&sum, "ReduceSum", "x", "y", NULL);
    EXPECT(&sum, 13, nine, "1x1", 45);
    onnx_int_attribute(&c, "axis", 1);
    onnx_int_attribute(&c, "keepdims", 0);
    onnx_node(&arg, "ArgMax", "x", "y", &c);
    EXPECT(&arg, 13, nine, "3", 2, 2, 2);
}

TEST(top_k_puts_the_lower_index_first_among_equals)
{
    static float x[6] = { 2, 5, 1, 5, 2, 2 };
    struct buffer values = GRAPH(6), indices = GRAPH(6), least = GRAPH(6), a = { 0 };

    onnx_ints(&values, "k", 1, (const int64_t[]){ 4 });
    onnx_node(&values, "TopK", "x k", "y -", NULL);
    EXPECT(&values, 13, x, "4", 5, 5, 2, 2);
    onnx_ints(&indices, "k", 1, (const int64_t[]){ 5 });
    onnx_node(&indices, "TopK", "x k", "- y", NULL);
    EXPECT(&indices, 13, x, "5", 1, 3, 0, 4, 5);
    onnx_ints(&least, "k", 1, (const int64_t[]){ 2 });
    onnx_int_attribute(&a, "largest", 0);
    onnx_node(&least, "TopK", "x k", "y -", &a);
    EXPECT(&least, 13, x, "2", 1, 2);
}

TEST(gemm_transposes_scales_and_broadcasts_its_bias)
{
    struct buffer g = GRAPH(2, 2), a = { 0 };

    onnx_floats(&g, "b", 2, (const int64_t[]){ 3, 2 }, (const float[]){ 1, 0, 0, 1, 1, 1 });
    onnx_floats(&g, "c", 1, (const int64_t[]){ 3 }, (const float[]){ 10, 20, 30 });
    onnx_int_attribute(&a, "transB", 1);
    onnx_float_attribute(&a, "alpha", 2);
    onnx_float_attribute(&a, "beta", 0.5f);
    onnx_node(&g, "Gemm", "x b c", "y", &a);
    EXPECT(&g, 13, four, "2x3", 7, 14, 21, 11, 18, 29);
}

TEST(integer_division_truncates_and_the_modulo_follows_the_divisor)
{
    struct buffer d = GRAPH(1), m = GRAPH(1);
    static float x[1];

    onnx_ints(&d, "a", 4, (const int64_t[]){ -7, 7, 5, INT64_MIN });
    onnx_ints(&d, "b", 4, (const int64_t[]){ 2, -2, 0, -1 });
    onnx_node(&d, "Div", "a b", "q", NULL);
    onnx_ints(&d, "last", 1, (const int64_t[]){ 3 });
    onnx_node(&d, "Gather", "q last", "overflow", NULL);
    onnx_ints(&d, "zero", 3, (const int64_t[]){ 0, 1, 2 });
    onnx_node(&d, "Gather", "q zero", "y", NULL);
    EXPECT(&d, 13, x, "3", -3, -3, 0);
    onnx_ints(&m, "a", 4, (const int64_t[]){ -7, 7, 5, -6 });
    onnx_ints(&m, "b", 4, (const int64_t[]){ 3, -3, 0, 3 });
    onnx_node(&m, "Mod", "a b", "y", NULL);
    EXPECT(&m, 13, x, "4", 2, -2, 0, 0);
}

TEST(shape_chains_are_evaluated_at_load)
{
    struct buffer g = GRAPH(1, 2, 3, 4), a = { 0 };
    struct model *m;

    onnx_node(&g, "Shape", "x", "s", NULL);
    onnx_ints(&g, "i", 1, (const int64_t[]){ 1 });
    onnx_node(&g, "Gather", "s i", "c", NULL);
    onnx_ints(&g, "rest", 1, (const int64_t[]){ -1 });
    onnx_int_attribute(&a, "axis", 0);
    onnx_node(&g, "Concat", "c rest", "target", &a);
    onnx_node(&g, "Reshape", "x target", "y", NULL);
    REQUIRE((m = run_load(&g, 13)) != NULL);
    for (int i = 0; i < m->graph->nnodes; i++)
        CHECK_I64(m->graph->nodes[i].dead, strcmp(m->graph->nodes[i].type, "Reshape") != 0);
    CHECK_I64(m->graph->tensors[m->graph->outputs[0]].v.dims[1], 12);
    model_free(m);
}

TEST(comparison_and_choice_broadcast)
{
    struct buffer g = GRAPH(2, 2);

    onnx_floats(&g, "limit", 1, (const int64_t[]){ 1 }, (const float[]){ 2 });
    onnx_node(&g, "Greater", "x limit", "m", NULL);
    onnx_node(&g, "Not", "m", "n", NULL);
    onnx_node(&g, "Where", "n limit x", "y", NULL);
    EXPECT(&g, 13, four, "2x2", 2, 2, 3, 4);
}

TEST(casts_truncate_and_test_for_zero)
{
    static float x[4] = { -1.7f, 0.4f, 300, -5 };
    struct buffer i = GRAPH(4), b = GRAPH(4), u = GRAPH(4), a1 = { 0 }, a2 = { 0 }, a3 = { 0 };

    onnx_int_attribute(&a1, "to", 7);
    onnx_node(&i, "Cast", "x", "y", &a1);
    EXPECT(&i, 13, x, "4", -1, 0, 300, -5);
    onnx_int_attribute(&a2, "to", 9);
    onnx_node(&b, "Cast", "x", "y", &a2);
    EXPECT(&b, 13, x, "4", 1, 1, 1, 1);
    onnx_int_attribute(&a3, "to", 2);
    onnx_node(&u, "Cast", "x", "y", &a3);
    EXPECT(&u, 13, x, "4", 0, 0, 255, 0);
}

TEST(squeeze_unsqueeze_flatten_expand_and_tile_reshape)
{
    struct buffer s = GRAPH(1, 4, 1), f = GRAPH(1, 2, 2), e = GRAPH(2, 1), t = GRAPH(2), u = GRAPH(2, 2);
    struct buffer a = { 0 };

    onnx_node(&s, "Squeeze", "x", "y", NULL);
    EXPECT(&s, 13, four, "4", 1, 2, 3, 4);
    onnx_int_attribute(&a, "axis", 2);
    onnx_node(&f, "Flatten", "x", "y", &a);
    EXPECT(&f, 13, four, "2x2", 1, 2, 3, 4);
    onnx_ints(&e, "n", 2, (const int64_t[]){ 1, 2 });
    onnx_node(&e, "Expand", "x n", "y", NULL);
    EXPECT(&e, 13, four, "2x2", 1, 1, 2, 2);
    onnx_ints(&t, "n", 1, (const int64_t[]){ 2 });
    onnx_node(&t, "Tile", "x n", "y", NULL);
    EXPECT(&t, 13, four, "4", 1, 2, 1, 2);
    onnx_ints(&u, "n", 2, (const int64_t[]){ 0, -1 });
    onnx_node(&u, "Unsqueeze", "x n", "y", NULL);
    EXPECT(&u, 13, four, "1x2x2x1", 1, 2, 3, 4);
}

TEST(activations_have_their_textbook_values)
{
    static float x[3] = { -2, 0, 3 };
    static const struct {
        const char *type;
        float want[3];
    } cases[] = {
        { "Relu", { 0, 0, 3 } },
        { "LeakyRelu", { -0.02f, 0, 3 } },
        { "Sigmoid", { 0.119202922f, 0.5f, 0.952574127f } },
        { "HardSigmoid", { 0.1f, 0.5f, 1 } },
        { "HardSwish", { -0.333333333f, 0, 3 } },
        { "Elu", { -0.864664717f, 0, 3 } },
        { "Softplus", { 0.126928011f, 0.693147181f, 3.04858735f } },
        { "Tanh", { -0.96402758f, 0, 0.995054754f } },
        { "Neg", { 2, 0, -3 } },
        { "Abs", { 2, 0, 3 } },
        { "Exp", { 0.135335283f, 1, 20.0855369f } },
        { "Mish", { -0.252501483f, 0, 2.98653500f } },
        { "Erf", { -0.995322265f, 0, 0.999977910f } },
        { "Gelu", { -0.0455002638f, 0, 2.99595031f } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(3);
        onnx_node(&g, cases[i].type, "x", "y", NULL);
        expect(&g, 20, x, "3", cases[i].want, 3);
    }
}

TEST(clip_has_attributes_before_opset_11_and_inputs_since)
{
    struct buffer old = GRAPH(4), new = GRAPH(4), a = { 0 };

    onnx_float_attribute(&a, "min", 2);
    onnx_float_attribute(&a, "max", 3);
    onnx_node(&old, "Clip", "x", "y", &a);
    EXPECT(&old, 10, four, "4", 2, 2, 3, 3);
    onnx_floats(&new, "max", 0, NULL, (const float[]){ 3 });
    onnx_node(&new, "Clip", "x - max", "y", NULL);
    EXPECT(&new, 13, four, "4", 1, 2, 3, 3);
}

TEST(every_operator_is_on_the_page_that_lists_them)
{
    FILE *file = fopen("docs/inference.md", "rb");
    char *page = calloc(1, 1 << 20), name[80];
    const struct op *op;

    REQUIRE(file && page && fread(page, 1, (1 << 20) - 1, file) > 0);
    fclose(file);
    for (int i = 0; (op = op_at(i)); i++) {
        snprintf(name, sizeof name, "`%s`", op->name);
        if (!op->internal && !strstr(page, name))
            TEST_FAIL_("docs/inference.md does not list %s", name);
    }
    free(page);
}

TEST(every_row_has_a_name_a_shape_rule_and_a_reference)
{
    const struct op *op;
    int n = 0;

    for (; (op = op_at(n)); n++) {
        CHECK(op->infer && op->reference && op->max_in >= op->min_in && op->max_out >= op->min_out);
        CHECK(op->internal || op_find(op->name, 22) != NULL);
    }
    printf("# %d operators\n", n);
    CHECK(n > 70);
}
