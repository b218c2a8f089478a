/*
 * The references of operators that detectors seldom need, by hand-computed values: normalisations,
 * 8-bit integers, scattering, suppression. The common ones are in inference_operators.c.
 */
#include "tests/unit/inference_expect.h"

static float four[4] = { 1, 2, 3, 4 };
static float eight[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
static float nine[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

/* ---- quantisation */

TEST(quantize_linear_rounds_half_to_even_and_saturates)
{
    static float x[6] = { 1, 3, 5, 1000, -1000, -3 };
    const uint8_t zero = 100;
    const int8_t signed_zero = -1;
    struct buffer g = GRAPH(6), s = GRAPH(6), none = GRAPH(6);

    onnx_floats(&g, "scale", 0, NULL, (const float[]){ 2 });
    onnx_constant(&g, "zero", 2, 0, NULL, &zero, 1);
    onnx_node(&g, "QuantizeLinear", "x scale zero", "y", NULL);
    EXPECT(&g, 13, x, "6", 100, 102, 102, 255, 0, 98);
    onnx_floats(&s, "scale", 0, NULL, (const float[]){ 2 });
    onnx_constant(&s, "zero", 3, 0, NULL, &signed_zero, 1);
    onnx_node(&s, "QuantizeLinear", "x scale zero", "y", NULL);
    EXPECT(&s, 13, x, "6", -1, 1, 1, 127, -128, -3);
    onnx_floats(&none, "scale", 0, NULL, (const float[]){ 2 });
    onnx_node(&none, "QuantizeLinear", "x scale", "y", NULL);
    EXPECT(&none, 10, x, "6", 0, 2, 2, 255, 0, 0);
}

TEST(dequantize_linear_has_one_scale_or_one_for_each_index_of_its_axis)
{
    static float x[1];
    const int8_t q[] = { -128, 0, 127, 5, 6, 7 };
    const int8_t zeros[] = { 0, 5 };
    struct buffer g = GRAPH(1), a = { 0 }, h = GRAPH(1);

    onnx_constant(&g, "q", 3, 2, (const int64_t[]){ 2, 3 }, q, 6);
    onnx_floats(&g, "scale", 1, (const int64_t[]){ 2 }, (const float[]){ 0.5f, 10 });
    onnx_constant(&g, "zero", 3, 1, (const int64_t[]){ 2 }, zeros, 2);
    onnx_int_attribute(&a, "axis", -2);
    onnx_node(&g, "DequantizeLinear", "q scale zero", "y", &a);
    EXPECT(&g, 13, x, "2x3", -64, 0, 63.5f, 0, 10, 20);
    onnx_constant(&h, "q", 6, 1, (const int64_t[]){ 2 }, (const int32_t[]){ -70000, 4 }, 8);
    onnx_floats(&h, "scale", 0, NULL, (const float[]){ 0.25f });
    onnx_node(&h, "DequantizeLinear", "q scale", "y", NULL);
    EXPECT(&h, 13, x, "2", -17500, 1);
}

TEST(dynamic_quantize_linear_takes_its_range_from_the_data_and_zero)
{
    static float x[4] = { -1, 0, 1.55f, 0.5f }, positive[4] = { 1, 2, 2.55f, 0 };
    static const char *const outputs[] = { "y s z", "q y z", "q s y" };
    static const float want[3][4] = { { 0, 100, 255, 150 }, { 0.01f }, { 100 } };

    for (int i = 0; i < 3; i++) {
        struct buffer g = GRAPH(4);
        onnx_node(&g, "DynamicQuantizeLinear", "x", outputs[i], NULL);
        expect(&g, 11, x, i ? "scalar" : "4", want[i], i ? 1 : 4);
    }
    {
        struct buffer g = GRAPH(4);
        onnx_node(&g, "DynamicQuantizeLinear", "x", "y s z", NULL);
        EXPECT(&g, 11, positive, "4", 100, 200, 255, 0);
    }
    {
        static float zeros[4];
        struct buffer g = GRAPH(4);
        onnx_node(&g, "DynamicQuantizeLinear", "x", "y s z", NULL);
        EXPECT(&g, 11, zeros, "4", 0, 0, 0, 0);
    }
}

TEST(conv_integer_takes_zero_points_off_and_pads_with_them)
{
    const uint8_t x_zero = 1;
    const int8_t w[] = { 1, 2, 3, 4, 1, 0, 0, 0 }, w_zero[] = { 1, 0 };
    struct buffer g = GRAPH(1, 1, 2, 2), a = { 0 }, cast = { 0 };

    onnx_int_attribute(&cast, "to", 2);
    onnx_node(&g, "Cast", "x", "q", &cast);
    onnx_constant(&g, "w", 3, 4, (const int64_t[]){ 2, 1, 2, 2 }, w, sizeof w);
    onnx_constant(&g, "xz", 2, 0, NULL, &x_zero, 1);
    onnx_constant(&g, "wz", 3, 1, (const int64_t[]){ 2 }, w_zero, 2);
    onnx_ints_attribute(&a, "pads", 4, (const int64_t[]){ 0, 0, 1, 1 });
    onnx_node(&g, "ConvInteger", "q w xz wz", "y", &a);
    /* x - 1: 0 1 / 2 3; first filter 0 1 / 2 3, second 1 0 / 0 0 */
    EXPECT(&g, 10, four, "1x2x2x2", 14, 6, 3, 0, 0, 1, 2, 3);
}

TEST(mat_mul_integer_takes_zero_points_off)
{
    const uint8_t a_zero = 1;
    const int8_t b[] = { 1, 2, 3, 4, 5, 6 }, b_zero[] = { 1, 0, 3 };
    struct buffer g = GRAPH(2, 2), cast = { 0 };

    onnx_int_attribute(&cast, "to", 2);
    onnx_node(&g, "Cast", "x", "q", &cast);
    onnx_constant(&g, "b", 3, 2, (const int64_t[]){ 2, 3 }, b, sizeof b);
    onnx_constant(&g, "az", 2, 0, NULL, &a_zero, 1);
    onnx_constant(&g, "bz", 3, 1, (const int64_t[]){ 3 }, b_zero, 3);
    onnx_node(&g, "MatMulInteger", "q b az bz", "y", NULL);
    /* [0 1; 2 3] * [0 2 0; 3 5 3] */
    EXPECT(&g, 10, four, "2x3", 3, 5, 3, 9, 19, 9);
}

TEST(qlinear_conv_and_matmul_scale_and_quantise_their_sums)
{
    const uint8_t zero = 0, y_zero = 10;
    const int8_t w[] = { 2 }, b[] = { 1, 2, 3, 4 }, w_zero = 0;
    const int32_t bias[] = { 3 };
    struct buffer g = GRAPH(1, 1, 2, 2), m = GRAPH(2, 2), c1 = { 0 }, c2 = { 0 };

    onnx_int_attribute(&c1, "to", 2);
    onnx_node(&g, "Cast", "x", "q", &c1);
    onnx_floats(&g, "xs", 0, NULL, (const float[]){ 0.5f });
    onnx_constant(&g, "z", 2, 0, NULL, &zero, 1);
    onnx_constant(&g, "w", 3, 4, (const int64_t[]){ 1, 1, 1, 1 }, w, 1);
    onnx_floats(&g, "ws", 0, NULL, (const float[]){ 3 });
    onnx_constant(&g, "wz", 3, 0, NULL, &w_zero, 1);
    onnx_floats(&g, "ys", 0, NULL, (const float[]){ 1 });
    onnx_constant(&g, "yz", 2, 0, NULL, &y_zero, 1);
    onnx_constant(&g, "bias", 6, 1, (const int64_t[]){ 1 }, bias, 4);
    onnx_node(&g, "QLinearConv", "q xs z w ws wz ys yz bias", "y", NULL);
    /* 1.5 * (2x + 3) = 7.5 10.5 13.5 16.5, to even, plus 10 */
    EXPECT(&g, 10, four, "1x1x2x2", 18, 20, 24, 26);
    onnx_int_attribute(&c2, "to", 2);
    onnx_node(&m, "Cast", "x", "q", &c2);
    onnx_floats(&m, "as", 0, NULL, (const float[]){ 0.5f });
    onnx_constant(&m, "z", 2, 0, NULL, &zero, 1);
    onnx_constant(&m, "b", 3, 2, (const int64_t[]){ 2, 2 }, b, 4);
    onnx_floats(&m, "bs", 1, (const int64_t[]){ 2 }, (const float[]){ 1, 100 });
    onnx_constant(&m, "bz", 3, 0, NULL, &w_zero, 1);
    onnx_floats(&m, "ys", 0, NULL, (const float[]){ 1 });
    onnx_constant(&m, "yz", 2, 0, NULL, &y_zero, 1);
    onnx_node(&m, "QLinearMatMul", "q as z b bs bz ys yz", "y", NULL);
    /* sums 7 10 / 15 22; columns by 0.5 and 50; saturated */
    EXPECT(&m, 10, four, "2x2", 14, 255, 18, 255);
}

/* ---- normalisation */

TEST(instance_group_and_layer_normalisation_take_statistics_from_the_data)
{
    struct buffer i = GRAPH(1, 2, 1, 2), g = GRAPH(1, 2, 1, 2), l = GRAPH(2, 2), a = { 0 }, b = { 0 },
                  c = { 0 };

    onnx_floats(&i, "s", 1, (const int64_t[]){ 2 }, (const float[]){ 1, 2 });
    onnx_floats(&i, "b", 1, (const int64_t[]){ 2 }, (const float[]){ 0, 10 });
    onnx_float_attribute(&a, "epsilon", 0);
    onnx_node(&i, "InstanceNormalization", "x s b", "y", &a);
    EXPECT(&i, 17, four, "1x2x1x2", -1, 1, 8, 12);
    onnx_floats(&g, "s", 1, (const int64_t[]){ 2 }, (const float[]){ 1, 2 });
    onnx_floats(&g, "b", 1, (const int64_t[]){ 2 }, (const float[]){ 0, 10 });
    onnx_float_attribute(&b, "epsilon", 0.75f);
    onnx_int_attribute(&b, "num_groups", 1);
    onnx_node(&g, "GroupNormalization", "x s b", "y", &b);
    /* mean 2.5, variance 1.25: divided by sqrt(2) */
    EXPECT(&g, 21, four, "1x2x1x2", -1.06066017f, -0.353553391f, 10.7071068f, 12.1213203f);
    onnx_floats(&l, "s", 1, (const int64_t[]){ 2 }, (const float[]){ 1, 2 });
    onnx_floats(&l, "b", 1, (const int64_t[]){ 1 }, (const float[]){ 5 });
    onnx_float_attribute(&c, "epsilon", 0);
    onnx_node(&l, "LayerNormalization", "x s b", "y", &c);
    EXPECT(&l, 17, four, "2x2", 4, 7, 4, 7);
}

TEST(group_normalisation_of_opset_18_has_a_scale_for_each_group)
{
    struct buffer g = GRAPH(1, 2, 1, 2), a = { 0 };

    onnx_floats(&g, "s", 1, (const int64_t[]){ 1 }, (const float[]){ 2 });
    onnx_floats(&g, "b", 1, (const int64_t[]){ 1 }, (const float[]){ 1 });
    onnx_float_attribute(&a, "epsilon", 0.75f);
    onnx_int_attribute(&a, "num_groups", 1);
    onnx_node(&g, "GroupNormalization", "x s b", "y", &a);
    EXPECT(&g, 18, four, "1x2x1x2", -1.12132034f, 0.292893219f, 1.70710678f, 3.12132034f);
}

TEST(lrn_divides_by_the_energy_of_neighbouring_channels)
{
    struct buffer g = GRAPH(1, 3, 1, 1), a = { 0 };

    onnx_int_attribute(&a, "size", 3);
    onnx_float_attribute(&a, "alpha", 3);
    onnx_float_attribute(&a, "beta", 1);
    onnx_node(&g, "LRN", "x", "y", &a);
    EXPECT(&g, 13, four, "1x3x1x1", 1.0f / 6, 2.0f / 15, 3.0f / 14);
}

TEST(lp_and_mean_variance_normalisation_divide_by_a_norm)
{
    static float x[4] = { 3, 4, 0, 0 };
    struct buffer two = GRAPH(2, 2), one = GRAPH(2, 2), m = GRAPH(1, 2, 1, 2), a = { 0 };

    onnx_node(&two, "LpNormalization", "x", "y", NULL);
    EXPECT(&two, 13, x, "2x2", 0.6f, 0.8f, 0, 0);
    onnx_int_attribute(&a, "p", 1);
    onnx_int_attribute(&a, "axis", 0);
    onnx_node(&one, "LpNormalization", "x", "y", &a);
    EXPECT(&one, 13, four, "2x2", 0.25f, 1.0f / 3, 0.75f, 2.0f / 3);
    onnx_node(&m, "MeanVarianceNormalization", "x", "y", NULL);
    EXPECT(&m, 13, four, "1x2x1x2", -1, 1, -1, 1);
}

/* ---- coordinates */

TEST(gather_nd_reads_slices_by_coordinates)
{
    const int64_t pairs[] = { 0, 1, -1, 0 }, rows[] = { 1, 0 };
    struct buffer g = GRAPH(2, 2, 2), s = GRAPH(2, 2), b = GRAPH(2, 2, 2), a = { 0 };

    onnx_constant(&g, "i", 7, 2, (const int64_t[]){ 2, 2 }, pairs, sizeof pairs);
    onnx_node(&g, "GatherND", "x i", "y", NULL);
    EXPECT(&g, 13, eight, "2x2", 3, 4, 5, 6);
    onnx_constant(&s, "i", 7, 2, (const int64_t[]){ 2, 1 }, rows, sizeof rows);
    onnx_node(&s, "GatherND", "x i", "y", NULL);
    EXPECT(&s, 11, four, "2x2", 3, 4, 1, 2);
    onnx_constant(&b, "i", 7, 2, (const int64_t[]){ 2, 1 }, rows, sizeof rows);
    onnx_int_attribute(&a, "batch_dims", 1);
    onnx_node(&b, "GatherND", "x i", "y", &a);
    EXPECT(&b, 12, eight, "2x2", 3, 4, 5, 6);
}

TEST(scatter_nd_writes_slices_and_the_last_one_wins_or_all_are_joined)
{
    static const struct {
        const char *reduction;
        float want[4];
    } cases[] = {
        { "none", { 1, 2, 30, 40 } }, { "add", { 1, 2, 43, 64 } }, { "mul", { 1, 2, 900, 3200 } },
        { "max", { 1, 2, 30, 40 } },  { "min", { 1, 2, 3, 4 } },
    };
    const int64_t rows[] = { 1, -1 };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(2, 2), a = { 0 };
        onnx_constant(&g, "i", 7, 2, (const int64_t[]){ 2, 1 }, rows, sizeof rows);
        onnx_floats(&g, "u", 2, (const int64_t[]){ 2, 2 }, (const float[]){ 10, 20, 30, 40 });
        onnx_text_attribute(&a, "reduction", cases[i].reduction);
        onnx_node(&g, "ScatterND", "x i u", "y", &a);
        expect(&g, 18, four, "2x2", cases[i].want, 4);
    }
}

TEST(scatter_elements_writes_along_an_axis)
{
    const int64_t at[] = { 2, 0 };
    struct buffer g = GRAPH(3, 3), old = GRAPH(3, 3), a = { 0 }, b = { 0 };

    onnx_constant(&g, "i", 7, 2, (const int64_t[]){ 1, 2 }, at, sizeof at);
    onnx_floats(&g, "u", 2, (const int64_t[]){ 1, 2 }, (const float[]){ 50, 60 });
    onnx_int_attribute(&a, "axis", 1);
    onnx_node(&g, "ScatterElements", "x i u", "y", &a);
    EXPECT(&g, 16, nine, "3x3", 60, 2, 50, 4, 5, 6, 7, 8, 9);
    onnx_constant(&old, "i", 7, 2, (const int64_t[]){ 1, 2 }, at, sizeof at);
    onnx_floats(&old, "u", 2, (const int64_t[]){ 1, 2 }, (const float[]){ 50, 60 });
    onnx_node(&old, "Scatter", "x i u", "y", &b);
    EXPECT(&old, 9, nine, "3x3", 1, 60, 3, 4, 5, 6, 50, 8, 9);
}

TEST(non_zero_lists_coordinates)
{
    static float x[4] = { 0, 3, 0, 4 };
    struct buffer g = GRAPH(1), late = GRAPH(4);

    onnx_floats(&g, "c", 2, (const int64_t[]){ 2, 3 }, (const float[]){ 0, 7, 0, -1, 0, 2 });
    onnx_node(&g, "NonZero", "c", "y", NULL);
    EXPECT(&g, 13, x, "2x3", 0, 1, 1, 1, 0, 2);
    onnx_node(&late, "NonZero", "x", "y", NULL);
    EXPECT(&late, 13, x, "1x2", 1, 3);
}

TEST(non_max_suppression_keeps_the_best_of_overlapping_boxes)
{
    static float x[1];
    const float boxes[] = { 0, 0,  1, 1,  0, 0.1f,  1, 1.1f,  0, -0.1f, 1, 0.9f,
                            0, 10, 1, 11, 1, 11.1f, 0, 10.1f, 0, 100,   1, 101 };
    const float scores[] = { 0.9f, 0.75f, 0.6f, 0.95f, 0.5f, 0.3f };
    static const struct {
        int64_t most;
        float score;
        const char *shape;
        float want[9];
        size_t n;
    } cases[] = {
        { 3, 0.0f, "3x3", { 0, 0, 3, 0, 0, 0, 0, 0, 5 }, 9 },
        { 2, 0.0f, "2x3", { 0, 0, 3, 0, 0, 0 }, 6 },
        { 9, 0.4f, "2x3", { 0, 0, 3, 0, 0, 0 }, 6 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(1);
        onnx_floats(&g, "b", 3, (const int64_t[]){ 1, 6, 4 }, boxes);
        onnx_floats(&g, "s", 3, (const int64_t[]){ 1, 1, 6 }, scores);
        onnx_ints(&g, "m", 1, &cases[i].most);
        onnx_floats(&g, "iou", 1, (const int64_t[]){ 1 }, (const float[]){ 0.5f });
        onnx_floats(&g, "t", 1, (const int64_t[]){ 1 }, &cases[i].score);
        onnx_node(&g, "NonMaxSuppression", "b s m iou t", "y", NULL);
        expect(&g, 11, x, cases[i].shape, cases[i].want, cases[i].n);
    }
}

TEST(non_max_suppression_reads_centres_and_keeps_nothing_where_nothing_is_wanted)
{
    static float x[1];
    const float boxes[] = { 0.5f, 0.5f, 1, 1, 0.6f, 0.5f, 1, 1, 10.5f, 0.5f, 1, 1 };
    const float scores[] = { 0.5f, 0.9f, 0.3f };
    struct buffer g = GRAPH(1), none = GRAPH(1), a = { 0 };
    struct model *m;
    struct value y = { 0 };

    onnx_floats(&g, "b", 3, (const int64_t[]){ 1, 3, 4 }, boxes);
    onnx_floats(&g, "s", 3, (const int64_t[]){ 1, 1, 3 }, scores);
    onnx_ints(&g, "m", 1, (const int64_t[]){ 3 });
    onnx_floats(&g, "iou", 1, (const int64_t[]){ 1 }, (const float[]){ 0.5f });
    onnx_int_attribute(&a, "center_point_box", 1);
    onnx_node(&g, "NonMaxSuppression", "b s m iou", "y", &a);
    EXPECT(&g, 11, x, "2x3", 0, 0, 1, 0, 0, 2);
    onnx_floats(&none, "b", 3, (const int64_t[]){ 1, 3, 4 }, boxes);
    onnx_floats(&none, "s", 3, (const int64_t[]){ 1, 1, 3 }, scores);
    onnx_node(&none, "NonMaxSuppression", "b s", "y", NULL);
    REQUIRE((m = run_load(&none, 11)) != NULL);
    REQUIRE(run_references(m->graph, (float *[]){ x }, &y));
    CHECK(y.rank == 2 && y.dims[0] == 0 && y.dims[1] == 3);
    free(y.data);
    model_free(m);
}

/* ---- along an axis, in squares, by letters, by a grid */

TEST(cumulative_sums_go_both_ways_with_and_without_the_element)
{
    static const struct {
        int exclusive, reverse;
        float want[4];
    } cases[] = { { 0, 0, { 1, 3, 6, 10 } },
                  { 1, 0, { 0, 1, 3, 6 } },
                  { 0, 1, { 10, 9, 7, 4 } },
                  { 1, 1, { 9, 7, 4, 0 } } };

    for (size_t i = 0; i < 4; i++) {
        struct buffer g = GRAPH(4), a = { 0 };
        onnx_constant(&g, "axis", 7, 0, NULL, (const int64_t[]){ -1 }, 8);
        onnx_int_attribute(&a, "exclusive", cases[i].exclusive);
        onnx_int_attribute(&a, "reverse", cases[i].reverse);
        onnx_node(&g, "CumSum", "x axis", "y", &a);
        expect(&g, 14, four, "4", cases[i].want, 4);
    }
}

TEST(trilu_keeps_a_triangle)
{
    struct buffer up = GRAPH(3, 3), low = GRAPH(3, 3), a = { 0 };

    onnx_node(&up, "Trilu", "x", "y", NULL);
    EXPECT(&up, 14, nine, "3x3", 1, 2, 3, 0, 5, 6, 0, 0, 9);
    onnx_ints(&low, "k", 1, (const int64_t[]){ -1 });
    onnx_int_attribute(&a, "upper", 0);
    onnx_node(&low, "Trilu", "x k", "y", &a);
    EXPECT(&low, 14, nine, "3x3", 0, 0, 0, 4, 0, 0, 7, 8, 0);
}

TEST(depth_to_space_in_both_orders_and_back)
{
    struct buffer dcr = GRAPH(1, 8, 1, 1), crd = GRAPH(1, 8, 1, 1), back = GRAPH(1, 2, 2, 2), a = { 0 },
                  b = { 0 }, c = { 0 };

    onnx_int_attribute(&a, "blocksize", 2);
    onnx_node(&dcr, "DepthToSpace", "x", "y", &a);
    EXPECT(&dcr, 13, eight, "1x2x2x2", 1, 3, 5, 7, 2, 4, 6, 8);
    onnx_int_attribute(&b, "blocksize", 2);
    onnx_text_attribute(&b, "mode", "CRD");
    onnx_node(&crd, "DepthToSpace", "x", "y", &b);
    EXPECT(&crd, 13, eight, "1x2x2x2", 1, 2, 3, 4, 5, 6, 7, 8);
    onnx_int_attribute(&c, "blocksize", 2);
    onnx_node(&back, "SpaceToDepth", "x", "y", &c);
    EXPECT(&back, 13, eight, "1x8x1x1", 1, 5, 2, 6, 3, 7, 4, 8);
}

TEST(einsum_multiplies_sums_and_takes_diagonals)
{
    static const struct {
        const char *equation, *shape;
        float want[4];
        size_t n;
    } cases[] = {
        { "ij,jk->ik", "2x2", { 21, 43, 43, 89 }, 4 }, /* x times [1 3; 10 20] */
        { "ij,jk", "2x2", { 21, 43, 43, 89 }, 4 },
        { "ij, ij -> i", "2", { 7, 110 }, 2 },
        { "ij,kj->ki", "2x2", { 7, 15, 50, 110 }, 4 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(2, 2), a = { 0 };
        onnx_floats(&g, "b", 2, (const int64_t[]){ 2, 2 }, (const float[]){ 1, 3, 10, 20 });
        onnx_text_attribute(&a, "equation", cases[i].equation);
        onnx_node(&g, "Einsum", "x b", "y", &a);
        expect(&g, 12, four, cases[i].shape, cases[i].want, cases[i].n);
    }
    {
        struct buffer g = GRAPH(3, 3), h = GRAPH(3, 3), a = { 0 }, b = { 0 };
        onnx_text_attribute(&a, "equation", "ii->i");
        onnx_node(&g, "Einsum", "x", "y", &a);
        EXPECT(&g, 12, nine, "3", 1, 5, 9);
        onnx_text_attribute(&b, "equation", "ij->");
        onnx_node(&h, "Einsum", "x", "y", &b);
        EXPECT(&h, 12, nine, "scalar", 45);
    }
}

TEST(einsum_refuses_what_it_cannot_read)
{
    static const char *const equations[] = { "...ij->...ji", "ijk->i", "ij->iz", "ij,jk->ik", "" };

    for (size_t i = 0; i < sizeof equations / sizeof equations[0]; i++) {
        struct buffer g = GRAPH(2, 2), a = { 0 };
        char text[200];
        onnx_text_attribute(&a, "equation", equations[i]);
        onnx_node(&g, "Einsum", "x", "y", &a);
        CHECK(strstr(refusal(&g, 12, text, sizeof text), "equation") != NULL);
    }
}

TEST(grid_sample_reads_between_pixels_and_beyond_them)
{
    /* x: 1 2 / 3 4; the centre, the first pixel's centre, and a place left of the picture */
    static const struct {
        const char *mode, *padding;
        int align;
        float want[3];
    } cases[] = {
        { "bilinear", "zeros", 0, { 2.5f, 1, 0 } },
        { "bilinear", "border", 0, { 2.5f, 1, 1 } },
        { "nearest", "zeros", 0, { 1, 1, 0 } },
        { "bilinear", "reflection", 0, { 2.5f, 1, 2 } },
        { "bilinear", "border", 1, { 2.5f, 1.75f, 1.5f } },
    };
    const float grid[] = { 0, 0, -0.5f, -0.5f, -2.5f, -0.5f };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(1, 1, 2, 2), a = { 0 };
        onnx_floats(&g, "grid", 4, (const int64_t[]){ 1, 1, 3, 2 }, grid);
        onnx_text_attribute(&a, "mode", cases[i].mode);
        onnx_text_attribute(&a, "padding_mode", cases[i].padding);
        onnx_int_attribute(&a, "align_corners", cases[i].align);
        onnx_node(&g, "GridSample", "x grid", "y", &a);
        expect(&g, 16, four, "1x1x1x3", cases[i].want, 3);
    }
}

TEST(every_reduction_has_its_textbook_value)
{
    static const struct {
        const char *type;
        float want;
    } cases[] = {
        { "ReduceMean", 2.5f },
        { "ReduceSum", 10 },
        { "ReduceProd", 24 },
        { "ReduceMax", 4 },
        { "ReduceMin", 1 },
        { "ReduceL1", 10 },
        { "ReduceL2", 5.47722558f },
        { "ReduceSumSquare", 30 },
        { "ReduceLogSum", 2.30258509f },
        { "ReduceLogSumExp", 4.44018970f },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(4), new = GRAPH(2, 2), a = { 0 };
        onnx_int_attribute(&a, "keepdims", 0);
        onnx_node(&g, cases[i].type, "x", "y", &a);
        expect(&g, 11, four, "scalar", &cases[i].want, 1);
        onnx_ints(&new, "axes", 2, (const int64_t[]){ 0, -1 });
        onnx_node(&new, cases[i].type, "x axes", "y", NULL);
        expect(&new, 18, four, "1x1", &cases[i].want, 1);
    }
    {
        struct buffer g = GRAPH(2, 2), a = { 0 };
        onnx_int_attribute(&a, "axis", 1);
        onnx_node(&g, "ArgMin", "x", "y", &a);
        EXPECT(&g, 13, four, "2x1", 0, 0);
    }
}

TEST(rare_activations_have_their_textbook_values)
{
    static float x[3] = { -0.5f, 0, 0.75f };
    static const struct {
        const char *type;
        float want[3];
    } cases[] = {
        { "Tan", { -0.546302490f, 0, 0.931596460f } },
        { "Asin", { -0.523598776f, 0, 0.848062079f } },
        { "Acos", { 2.09439510f, 1.57079633f, 0.722734248f } },
        { "Atan", { -0.463647609f, 0, 0.643501109f } },
        { "Sinh", { -0.521095305f, 0, 0.822316732f } },
        { "Cosh", { 1.12762597f, 1, 1.29468328f } },
        { "Sign", { -1, 0, 1 } },
        { "Selu", { -0.691758f, 0, 0.788025764f } },
        { "Celu", { -0.393469340f, 0, 0.75f } },
        { "ThresholdedRelu", { 0, 0, 0 } },
        { "Shrink", { 0, 0, 0.75f } },
        { "IsNaN", { 0, 0, 0 } },
        { "Softsign", { -1.0f / 3, 0, 0.428571429f } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(3);
        onnx_node(&g, cases[i].type, "x", "y", NULL);
        expect(&g, 20, x, "3", cases[i].want, 3);
    }
}

TEST(roundings_and_the_reciprocal_have_their_textbook_values)
{
    static float x[4] = { 2.5f, -0.5f, 1.5f, -1.25f };
    static const struct {
        const char *type;
        float want[4];
    } cases[] = {
        { "Floor", { 2, -1, 1, -2 } },
        { "Ceil", { 3, 0, 2, -1 } },
        { "Round", { 2, 0, 2, -1 } },
        { "Reciprocal", { 0.4f, -2, 2.0f / 3, -0.8f } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(4);
        onnx_node(&g, cases[i].type, "x", "y", NULL);
        expect(&g, 13, x, "4", cases[i].want, 4);
    }
}

TEST(gemm_sums_lines_of_any_length)
{
    static float x[19];
    struct buffer g = GRAPH(1, 19), a = { 0 };
    float b[38];

    for (int i = 0; i < 19; i++) {
        x[i] = (float)(i + 1);
        b[i] = 1;
        b[19 + i] = (float)(i + 1);
    }
    onnx_floats(&g, "b", 2, (const int64_t[]){ 2, 19 }, b);
    onnx_int_attribute(&a, "transB", 1);
    onnx_node(&g, "Gemm", "x b", "y", &a);
    EXPECT(&g, 13, x, "1x2", 190, 2470);
}

TEST(casts_like_another_tensor_take_its_type)
{
    static float x[2] = { 2.75f, -1.5f };
    struct buffer g = GRAPH(2);

    onnx_ints(&g, "like", 1, (const int64_t[]){ 0 });
    onnx_node(&g, "CastLike", "x like", "y", NULL);
    EXPECT(&g, 15, x, "2", 2, -1);
}

TEST(a_prelu_has_a_slope_for_each_channel)
{
    static float x[4] = { -1, -2, 3, -4 };
    struct buffer g = GRAPH(1, 2, 1, 2);

    onnx_floats(&g, "s", 3, (const int64_t[]){ 2, 1, 1 }, (const float[]){ 0.5f, 10 });
    onnx_node(&g, "PRelu", "x s", "y", NULL);
    EXPECT(&g, 16, x, "1x2x1x2", -0.5f, -1, 3, -40);
}

TEST(global_pools_range_and_log_softmax)
{
    static float zeros[4];
    struct buffer m = GRAPH(1, 2, 2, 2), a = GRAPH(1, 2, 2, 2), r = GRAPH(1), l = GRAPH(1, 4);

    onnx_node(&m, "GlobalMaxPool", "x", "y", NULL);
    EXPECT(&m, 13, eight, "1x2x1x1", 4, 8);
    onnx_node(&a, "GlobalAveragePool", "x", "y", NULL);
    EXPECT(&a, 13, eight, "1x2x1x1", 2.5f, 6.5f);
    onnx_floats(&r, "a", 0, NULL, (const float[]){ 1 });
    onnx_floats(&r, "b", 0, NULL, (const float[]){ 2 });
    onnx_floats(&r, "d", 0, NULL, (const float[]){ 0.4f });
    onnx_node(&r, "Range", "a b d", "y", NULL);
    EXPECT(&r, 13, zeros, "3", 1, 1.4f, 1.8f);
    onnx_node(&l, "LogSoftmax", "x", "y", NULL);
    EXPECT(&l, 13, zeros, "1x4", -1.38629436f, -1.38629436f, -1.38629436f, -1.38629436f);
}

TEST(shapes_and_types_that_do_not_fit_are_refused_with_the_operator_named)
{
    static const struct {
        const char *type, *inputs;
        int opset;
    } cases[] = {
        { "ConvInteger", "x x", 10 },
        { "MatMulInteger", "x x", 10 },
        { "DequantizeLinear", "x k", 13 },
        { "QuantizeLinear", "x x", 13 },
        { "GatherND", "x x", 13 },
        { "ScatterND", "x k x", 13 },
        { "ScatterElements", "x x x", 13 },
        { "LRN", "x", 13 },
        { "DepthToSpace", "x", 13 },
        { "SpaceToDepth", "x", 13 },
        { "GridSample", "x k", 16 },
        { "InstanceNormalization", "x k k", 13 },
        { "LayerNormalization", "x k", 17 },
        { "CumSum", "x x", 14 },
        { "Trilu", "x x", 14 },
        { "NonMaxSuppression", "x x", 11 },
        { "LpNormalization", "x", 13 },
        { "MeanVarianceNormalization", "x", 13 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer g = GRAPH(1, 3, 5), a = { 0 };
        char text[200];
        onnx_floats(&g, "k", 1, (const int64_t[]){ 7 }, (const float[7]){ 1 });
        onnx_int_attribute(&a, "p", 3);
        onnx_node(&g, cases[i].type, cases[i].inputs, "y", &a);
        if (!strstr(refusal(&g, cases[i].opset, text, sizeof text), cases[i].type))
            TEST_FAIL_("%s: \"%s\"", cases[i].type, text);
    }
}
