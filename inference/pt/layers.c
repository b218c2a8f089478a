/* PyTorch's own layers, by their pickled attributes. See modules.h. */
#include <math.h>
#include <stdint.h>
#include "inference/pt/modules.h"

int layer_identity(struct build *b, const struct pt_value *m, int x)
{
    (void)b;
    (void)m;
    return x;
}

int layer_sequential(struct build *b, const struct pt_value *m, int x)
{
    const size_t n = build_children(m);

    for (size_t i = 0; i < n && b->st == ST_OK; i++)
        x = build_run(b, build_child(m, i), x);
    return x;
}

int layer_conv(struct build *b, const struct pt_value *m, int x)
{
    struct folded f;

    return folded_read(b, m, &f) ? folded_node(b, &f, x) : GRAPH_NONE;
}

int layer_batchnorm(struct build *b, const struct pt_value *m, int x)
{
    return batchnorm_node(b, m, x);
}

/* Activations */

int layer_silu(struct build *b, const struct pt_value *m, int x)
{
    (void)m;
    return build_unary(b, "SiLU", x);
}

int layer_relu(struct build *b, const struct pt_value *m, int x)
{
    (void)m;
    return build_unary(b, "Relu", x);
}

int layer_relu6(struct build *b, const struct pt_value *m, int x)
{
    const int in[] = { x, build_constant_float(b, 0), build_constant_float(b, 6) };

    (void)m;
    return build_node(b, "Clip", in, 3, NULL, 0);
}

int layer_leaky_relu(struct build *b, const struct pt_value *m, int x)
{
    const struct attribute a = attribute_float("alpha", (float)build_real(m, "negative_slope", 0.01));

    return build_node(b, "LeakyRelu", &x, 1, &a, 1);
}

int layer_hard_swish(struct build *b, const struct pt_value *m, int x)
{
    (void)m;
    return build_unary(b, "HardSwish", x);
}

int layer_hard_sigmoid(struct build *b, const struct pt_value *m, int x)
{
    const struct attribute a[] = { attribute_float("alpha", 1.0f / 6), attribute_float("beta", 0.5f) };

    (void)m;
    return build_node(b, "HardSigmoid", &x, 1, a, 2);
}

int layer_sigmoid(struct build *b, const struct pt_value *m, int x)
{
    (void)m;
    return build_unary(b, "Sigmoid", x);
}

int layer_tanh(struct build *b, const struct pt_value *m, int x)
{
    (void)m;
    return build_unary(b, "Tanh", x);
}

int layer_gelu(struct build *b, const struct pt_value *m, int x)
{
    const struct attribute a = attribute_string(
        "approximate", pt_is_text(pt_attribute(m, "approximate"), "tanh") ? "tanh" : "none");

    return build_node(b, "Gelu", &x, 1, &a, 1);
}

int layer_mish(struct build *b, const struct pt_value *m, int x)
{
    (void)m;
    return build_unary(b, "Mish", x);
}

int layer_softmax(struct build *b, const struct pt_value *m, int x)
{
    const struct attribute a =
        attribute_int("axis", build_int(b, m, "dim", -LIMIT_TENSOR_RANK, LIMIT_TENSOR_RANK));

    return build_node(b, "Softmax", &x, 1, &a, 1);
}

/* Sizes */

/* Enlarging by a whole or broken factor, nearest as PyTorch rounds (down) or bilinear. */
int layer_upsample(struct build *b, const struct pt_value *m, int x)
{
    const struct pt_value *mode = pt_attribute(m, "mode"), *size = pt_attribute(m, "size");
    const bool nearest = !mode || pt_is_text(mode, "nearest");
    const double scale = build_real(m, "scale_factor", 0);
    const float scales[] = { 1, 1, (float)scale, (float)scale };
    const char *coordinates = nearest                          ? "asymmetric"
                              : build_flag(m, "align_corners") ? "align_corners"
                                                               : "half_pixel";
    const struct attribute a[] = { attribute_string("mode", nearest ? "nearest" : "linear"),
                                   attribute_string("coordinate_transformation_mode", coordinates),
                                   attribute_string("nearest_mode", "floor") };
    struct value v = { .type = DTYPE_F32, .rank = 1, .dims = { 4 } };
    int in[3] = { x, GRAPH_NONE, GRAPH_NONE };

    if ((!nearest && !pt_is_text(mode, "bilinear")) || (size && size->kind != PT_NONE) ||
        !(scale > 0 && scale <= 64))
        return build_fail(b, ST_UNSUPPORTED, m, "only nearest and bilinear by one factor are supported");
    v.data = (void *)attribute_floats(b, "scales", scales, 4).floats;
    in[2] = build_constant(b, "scales", &v);
    return build_node(b, "Resize", in, 3, a, 3);
}

static int pool(struct build *b, const struct pt_value *m, const char *type, int x)
{
    const struct pt_value *stride = pt_attribute(m, "stride");
    int64_t kernel[2], strides[2], padding[2], dilation[2];
    struct attribute a[6];
    int n = 0;

    if (!build_pair(pt_attribute(m, "kernel_size"), 1, 256, 0, kernel) || kernel[0] < 1 ||
        !build_pair(stride, 1, 256, kernel[0], strides) ||
        !build_pair(pt_attribute(m, "padding"), 0, 128, 0, padding) ||
        !build_pair(pt_attribute(m, "dilation"), 1, 256, 1, dilation))
        return build_fail(b, ST_UNSUPPORTED, m, "its window is not supported");
    if (!stride || stride->kind == PT_NONE)
        strides[1] = kernel[1];
    a[n++] = attribute_ints(b, "kernel_shape", kernel, 2);
    a[n++] = attribute_ints(b, "strides", strides, 2);
    a[n++] = attribute_ints(b, "pads", (int64_t[]){ padding[0], padding[1], padding[0], padding[1] }, 4);
    a[n++] = attribute_int("ceil_mode", build_flag(m, "ceil_mode"));
    if (type[0] == 'M')
        a[n++] = attribute_ints(b, "dilations", dilation, 2);
    else
        a[n++] = attribute_int("count_include_pad", build_flag(m, "count_include_pad"));
    return build_node(b, type, &x, 1, a, n);
}

int layer_max_pool(struct build *b, const struct pt_value *m, int x)
{
    if (build_flag(m, "return_indices"))
        return build_fail(b, ST_UNSUPPORTED, m, "indices are not supported");
    return pool(b, m, "MaxPool", x);
}

int layer_average_pool(struct build *b, const struct pt_value *m, int x)
{
    const struct pt_value *divisor = pt_attribute(m, "divisor_override");

    if (divisor && divisor->kind != PT_NONE)
        return build_fail(b, ST_UNSUPPORTED, m, "a divisor of its own is not supported");
    return pool(b, m, "AveragePool", x);
}

int layer_global_pool(struct build *b, const struct pt_value *m, int x)
{
    int64_t size[2];

    if (!build_pair(pt_attribute(m, "output_size"), 1, 1, 1, size))
        return build_fail(b, ST_UNSUPPORTED, m, "only one cell is supported");
    return build_unary(b, "GlobalAveragePool", x);
}

int layer_flatten(struct build *b, const struct pt_value *m, int x)
{
    const struct attribute a = attribute_int("axis", 1);

    if (build_real(m, "start_dim", 1) != 1 || build_real(m, "end_dim", -1) != -1)
        return build_fail(b, ST_UNSUPPORTED, m, "only flattening all behind the first dim is supported");
    return build_node(b, "Flatten", &x, 1, &a, 1);
}

int layer_linear(struct build *b, const struct pt_value *m, int x)
{
    const struct pt_value *bias = pt_part(m, "bias");
    const bool with_bias = bias && bias->kind == PT_TENSOR;
    const struct attribute a = attribute_int("transB", 1);
    struct value w, v;
    int in[3];

    if (!weights_read(b, m, "weight", 2, &w) || (with_bias && !weights_read(b, m, "bias", 1, &v)))
        return GRAPH_NONE;
    in[0] = x;
    in[1] = build_constant(b, "weight", &w);
    in[2] = with_bias ? build_constant(b, "bias", &v) : GRAPH_NONE;
    return build_node(b, "Gemm", in, with_bias ? 3 : 2, &a, 1);
}

/* padding (left, right, top, bottom), or one number for all. */
int layer_zero_pad(struct build *b, const struct pt_value *m, int x)
{
    const struct pt_value *v = pt_attribute(m, "padding");
    const bool four = v && (v->kind == PT_TUPLE || v->kind == PT_LIST) && v->items.n == 4;
    int64_t p[4] = { 0 };
    bool ok = v != NULL;

    for (size_t i = 0; ok && i < 4; i++)
        ok = pt_int(four ? v->items.at[i] : v, &p[i]) && p[i] >= 0 && p[i] <= 1024;
    if (!ok)
        return build_fail(b, ST_UNSUPPORTED, m, "its padding is not supported");
    return build_binary(b, "Pad", x,
                        build_constant_ints(b, (int64_t[]){ 0, 0, p[2], p[0], 0, 0, p[3], p[1] }, 8));
}
