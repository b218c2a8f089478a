/*
 * Weights: stored tensors become float32, row-major, gathered by stride; what is linear behind a
 * convolution becomes part of it. Sums are in double precision, as is the square root.
 */
#include <math.h>
#include <string.h>
#include "inference/pt/build.h"

enum { LARGEST_WINDOW = 256, OUTLINED_ELEMENTS = 4096 };

static float float_of(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof f);
    return f;
}

/* The product moves the exponent from a bias of 15 to one of 127, subnormal numbers included. */
static float half_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000) << 16, rest = (uint32_t)(h & 0x7FFF) << 13;

    if ((h & 0x7C00) == 0x7C00) /* infinite, or none */
        return float_of(sign | 0x7F800000 | rest);
    return float_of(sign | rest) * 0x1p112f;
}

static float element(enum pt_dtype type, const char *p)
{
    uint16_t half;
    float f;
    double d;
    int64_t i64;
    int32_t i32;
    int16_t i16;

    switch (type) {
    case PT_F32:
        memcpy(&f, p, sizeof f);
        return f;
    case PT_F16:
        memcpy(&half, p, sizeof half);
        return half_float(half);
    case PT_BF16:
        memcpy(&half, p, sizeof half);
        return float_of((uint32_t)half << 16);
    case PT_F64:
        memcpy(&d, p, sizeof d);
        return (float)d;
    case PT_I64:
        memcpy(&i64, p, sizeof i64);
        return (float)i64;
    case PT_I32:
        memcpy(&i32, p, sizeof i32);
        return (float)i32;
    case PT_I16:
        memcpy(&i16, p, sizeof i16);
        return (float)i16;
    case PT_I8:
        return (float)(signed char)*p;
    case PT_U8:
    case PT_BOOL8:
    case PT_DTYPE__COUNT:
        break;
    }
    return (float)(unsigned char)*p;
}

/* Row-major without gaps, as nearly all are. */
static bool is_dense(const struct pt_tensor *t)
{
    int64_t step = 1;

    for (int i = t->rank - 1; i >= 0; i--) {
        if (t->size[i] != 1 && t->stride[i] != step)
            return false;
        step *= t->size[i];
    }
    return true;
}

static void gather_dense(const struct pt_tensor *t, const char *base, float *out)
{
    const size_t size = pt_dtype_size(t->dtype), n = (size_t)t->count;
    uint16_t half;

    if (t->dtype == PT_F32)
        memcpy(out, base, n * size);
    else if (t->dtype == PT_F16)
        for (size_t i = 0; i < n; i++) {
            memcpy(&half, base + i * sizeof half, sizeof half);
            out[i] = half_float(half);
        }
    else
        for (size_t i = 0; i < n; i++)
            out[i] = element(t->dtype, base + i * size);
}

/* Every element lies inside the storage: the reader of pickles has checked it. */
static void gather(const struct pt_tensor *t, float *out)
{
    const size_t size = pt_dtype_size(t->dtype);
    const char *base = t->storage->storage->bytes.p + (size_t)t->offset * size;
    struct walk w = { .rank = t->rank, .noffsets = 1, .dims = t->size, .strides = { t->stride } };

    if (is_dense(t)) {
        gather_dense(t, base, out);
        return;
    }
    for (int64_t i = 0; i < t->count; i++) {
        out[i] = element(t->dtype, base + (size_t)w.offset[0] * size);
        walk_step(&w);
    }
}

/* Weights that are known by their shape alone. */
static bool is_outlined(const struct build *b, int64_t count)
{
    return b->outlined && count > OUTLINED_ELEMENTS;
}

bool weights_tensor(struct build *b, const struct pt_value *module, const struct pt_value *v,
                    const char *name, int rank, struct value *ret)
{
    const struct pt_tensor *t = v && v->kind == PT_TENSOR ? v->tensor : NULL;

    if (b->st != ST_OK)
        return false;
    if (!t || (rank >= 0 && t->rank != rank) || t->count < 1) {
        build_fail(b, ST_UNSUPPORTED, module, "its %s is missing or has another shape", name);
        return false;
    }
    if (t->count > b->elements_left) {
        build_fail(b, ST_TOO_LARGE, module, "the network uses more weights than the file has");
        return false;
    }
    b->elements_left -= t->count;
    *ret = (struct value){ .type = DTYPE_F32, .rank = t->rank };
    memcpy(ret->dims, t->size, sizeof ret->dims);
    if (is_outlined(b, t->count)) {
        ret->data = b; /* not NULL, and nobody reads it */
        return true;
    }
    if (!(ret->data = arena_array(b->graph->arena, (size_t)t->count, sizeof(float)))) {
        build_fail(b, ST_TOO_LARGE, module, "the weights need more memory than the file's size allows");
        return false;
    }
    gather(t, ret->data);
    return true;
}

bool weights_read(struct build *b, const struct pt_value *module, const char *name, int rank,
                  struct value *ret)
{
    return weights_tensor(b, module, pt_part(module, name), name, rank, ret);
}

/* Convolutions */

static bool zeros(struct build *b, size_t n, struct value *ret)
{
    *ret = (struct value){ .type = DTYPE_F32, .rank = 1, .dims = { (int64_t)n } };
    if (b->st == ST_OK && !(ret->data = arena_array(b->graph->arena, n + 1, sizeof(float))))
        build_fail(b, ST_TOO_LARGE, NULL, "the weights need more memory than the file's size allows");
    return b->st == ST_OK;
}

static bool read_window(struct build *b, const struct pt_value *conv, struct folded *f)
{
    const struct pt_value *mode = pt_attribute(conv, "padding_mode");

    if ((mode && !pt_is_text(mode, "zeros")) ||
        !build_pair(pt_attribute(conv, "stride"), 1, LARGEST_WINDOW, 1, f->stride) ||
        !build_pair(pt_attribute(conv, "padding"), 0, LARGEST_WINDOW, 0, f->padding) ||
        !build_pair(pt_attribute(conv, "dilation"), 1, LARGEST_WINDOW, 1, f->dilation) ||
        !build_pair(pt_attribute(conv, "output_padding"), 0, LARGEST_WINDOW, 0, f->output_padding))
        build_fail(b, ST_UNSUPPORTED, conv, "its stride, padding or dilation is not supported");
    return b->st == ST_OK;
}

/* Output channels; 0 where weights and groups contradict each other. */
static int64_t outputs(const struct folded *f)
{
    if (f->weights.dims[0] % f->groups)
        return 0;
    return f->transposed ? f->weights.dims[1] * f->groups : f->weights.dims[0];
}

bool folded_read(struct build *b, const struct pt_value *conv, struct folded *ret)
{
    const struct pt_value *bias = pt_part(conv, "bias"), *transposed = pt_attribute(conv, "transposed");
    struct folded f = { .transposed = transposed && transposed->kind == PT_BOOL && transposed->boolean };
    int64_t channels;

    f.groups = build_int(b, conv, "groups", 1, 1 << 20);
    if (!weights_read(b, conv, "weight", 4, &f.weights) || !read_window(b, conv, &f))
        return false;
    channels = outputs(&f);
    if (bias && bias->kind == PT_TENSOR)
        weights_read(b, conv, "bias", 1, &f.bias);
    else
        zeros(b, (size_t)channels, &f.bias);
    if (b->st == ST_OK && (channels == 0 || f.bias.dims[0] != channels))
        build_fail(b, ST_INVALID, conv, "its weights, groups and bias contradict each other");
    *ret = f;
    return b->st == ST_OK;
}

/* Multiplies what output channel k is made of. */
static void scale_channel(struct folded *f, size_t k, double scale)
{
    const struct value *w = &f->weights;
    const size_t window = (size_t)(w->dims[2] * w->dims[3]), part = (size_t)w->dims[1] * window;
    const size_t inputs = (size_t)w->dims[0] / (size_t)f->groups, group = k / (size_t)w->dims[1];
    float *x = value_f32(w) + k * part;

    if (!f->transposed) {
        for (size_t i = 0; i < part; i++)
            x[i] = (float)((double)x[i] * scale);
        return;
    }
    x = value_f32(w) + group * inputs * part + k % (size_t)w->dims[1] * window;
    for (size_t n = 0; n < inputs; n++)
        for (size_t i = 0; i < window; i++)
            x[n * part + i] = (float)((double)x[n * part + i] * scale);
}

struct batchnorm {
    struct value scale, shift, mean, variance;
    double epsilon;
};

static bool batchnorm_read(struct build *b, const struct pt_value *bn, int64_t channels,
                           struct batchnorm *ret)
{
    const struct pt_value *affine = pt_part(bn, "weight");
    struct batchnorm n = { .epsilon = build_real(bn, "eps", 1e-5) };

    weights_read(b, bn, "running_mean", 1, &n.mean);
    weights_read(b, bn, "running_var", 1, &n.variance);
    if (affine && affine->kind == PT_TENSOR) {
        weights_read(b, bn, "weight", 1, &n.scale);
        weights_read(b, bn, "bias", 1, &n.shift);
    } else if (zeros(b, (size_t)n.mean.dims[0], &n.scale) &&
               zeros(b, (size_t)n.mean.dims[0], &n.shift)) {
        for (int64_t i = 0; i < n.mean.dims[0]; i++)
            value_f32(&n.scale)[i] = 1;
    }
    if (b->st == ST_OK &&
        ((channels && n.mean.dims[0] != channels) || n.variance.dims[0] != n.mean.dims[0] ||
         n.scale.dims[0] != n.mean.dims[0] || n.shift.dims[0] != n.mean.dims[0]))
        build_fail(b, ST_INVALID, bn, "its channels differ from the convolution's");
    *ret = n;
    return b->st == ST_OK;
}

bool folded_batchnorm(struct build *b, const struct pt_value *bn, struct folded *f)
{
    struct batchnorm n;
    bool outlined;

    if (b->st != ST_OK || !pt_is_module(bn) || pt_has_class(bn, "Identity"))
        return b->st == ST_OK;
    if (!pt_has_class(bn, "BatchNorm2d") && !pt_has_class(bn, "SyncBatchNorm")) {
        build_fail(b, ST_UNSUPPORTED, bn, "only batch normalisation can follow a convolution here");
        return false;
    }
    if (!batchnorm_read(b, bn, outputs(f), &n))
        return false;
    outlined = is_outlined(b, (int64_t)value_elements(&f->weights));
    for (size_t k = 0; k < (size_t)f->bias.dims[0]; k++) {
        const double scale = (double)value_f32(&n.scale)[k] /
                             sqrt((double)value_f32(&n.variance)[k] + n.epsilon),
                     mean = (double)value_f32(&n.mean)[k], shift = (double)value_f32(&n.shift)[k];
        float *bias = &value_f32(&f->bias)[k];
        *bias = (float)(((double)*bias - mean) * scale + shift);
        if (!outlined)
            scale_channel(f, k, scale);
    }
    return true;
}

bool folded_identity(struct build *b, int64_t channels, int64_t groups, struct folded *ret)
{
    const int64_t each = channels / groups;
    struct folded f = { .stride = { 1, 1 }, .dilation = { 1, 1 }, .groups = groups };
    size_t count;

    if (is_outlined(b, channels * each)) {
        f.weights.data = b;
        f.weights.type = DTYPE_F32;
    }
    if (!size_mul((size_t)channels, (size_t)each, &count) ||
        (!f.weights.data && !zeros(b, count, &f.weights)) || !zeros(b, (size_t)channels, &f.bias))
        return false;
    f.weights.rank = 4;
    memcpy(f.weights.dims, (int64_t[]){ channels, each, 1, 1 }, 4 * sizeof(int64_t));
    for (int64_t i = 0; i < channels && !is_outlined(b, (int64_t)count); i++)
        value_f32(&f.weights)[i * each + i % each] = 1;
    *ret = f;
    return true;
}

bool folded_add(struct build *b, const struct pt_value *module, struct folded *f,
                const struct folded *other)
{
    const int64_t *w = f->weights.dims, *v = other->weights.dims;
    int64_t shift[2];
    bool fits = f->groups == other->groups && w[0] == v[0] && w[1] == v[1] && !f->transposed &&
                !other->transposed;

    for (int i = 0; i < 2; i++) {
        shift[i] = f->padding[i] - other->padding[i]; /* where the smaller kernel begins in the larger */
        fits = fits && f->stride[i] == other->stride[i] && f->dilation[i] == 1 &&
               other->dilation[i] == 1 && shift[i] >= 0 && shift[i] + v[2 + i] <= w[2 + i];
    }
    if (b->st == ST_OK && !fits)
        build_fail(b, ST_UNSUPPORTED, module, "its branches do not make one convolution");
    if (b->st != ST_OK)
        return false;
    for (int64_t c = 0; c < v[0] * v[1] && !is_outlined(b, (int64_t)value_elements(&f->weights)); c++)
        for (int64_t y = 0; y < v[2]; y++)
            for (int64_t x = 0; x < v[3]; x++)
                value_f32(&f->weights)[(c * w[2] + y + shift[0]) * w[3] + x + shift[1]] +=
                    value_f32(&other->weights)[(c * v[2] + y) * v[3] + x];
    for (int64_t c = 0; c < f->bias.dims[0]; c++)
        value_f32(&f->bias)[c] += value_f32(&other->bias)[c];
    return true;
}

int folded_node(struct build *b, const struct folded *f, int x)
{
    const int64_t pads[] = { f->padding[0], f->padding[1], f->padding[0], f->padding[1] };
    struct attribute a[6];
    int in[3], n = 0;

    if (b->st != ST_OK)
        return GRAPH_NONE;
    a[n++] = attribute_ints(b, "kernel_shape", f->weights.dims + 2, 2);
    a[n++] = attribute_ints(b, "strides", f->stride, 2);
    a[n++] = attribute_ints(b, "pads", pads, 4);
    a[n++] = attribute_ints(b, "dilations", f->dilation, 2);
    a[n++] = attribute_int("group", f->groups);
    if (f->transposed)
        a[n++] = attribute_ints(b, "output_padding", f->output_padding, 2);
    in[0] = x;
    in[1] = build_constant(b, "weight", &f->weights);
    in[2] = build_constant(b, "bias", &f->bias);
    return build_node(b, f->transposed ? "ConvTranspose" : "Conv", in, 3, a, n);
}

int batchnorm_node(struct build *b, const struct pt_value *bn, int x)
{
    struct attribute a;
    struct batchnorm n;
    int in[5];

    if (b->st != ST_OK || !batchnorm_read(b, bn, 0, &n))
        return GRAPH_NONE;
    a = attribute_float("epsilon", (float)n.epsilon);
    in[0] = x;
    in[1] = build_constant(b, "scale", &n.scale);
    in[2] = build_constant(b, "shift", &n.shift);
    in[3] = build_constant(b, "mean", &n.mean);
    in[4] = build_constant(b, "variance", &n.variance);
    return build_node(b, "BatchNormalization", in, 5, &a, 1);
}
