/*
 * Normalisations: y = (x - mean) / sqrt(variance + epsilon) * scale + bias. BatchNormalization has its
 * statistics as constants (a pass folds it into the convolution before it); InstanceNormalization,
 * GroupNormalization and LayerNormalization take them from the data; MeanVarianceNormalization has no
 * scale. LRN divides by the energy of neighbouring channels, LpNormalization by a norm along an axis.
 */
#include <math.h>
#include "inference/ops/op.h"

/* A vector of float32 with n entries. */
static bool is_vector(const struct value *v, int64_t n)
{
    return v->type == DTYPE_F32 && v->rank == 1 && v->dims[0] == n;
}

static enum status infer_batch(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];

    if (x->type != DTYPE_F32 || x->rank < 2)
        return op_refuse(c, f, "the input must be float32 of rank 2 or more");
    if (node_int(c->node, "training_mode", 0) || (c->nout > 1 && c->out[1]))
        return op_unsupported(c, f, "training mode");
    for (int i = 1; i < 5; i++)
        if (!is_vector(c->in[i], x->dims[1]))
            return op_refuse(c, f, "input %d does not have one entry for each of %lld channels", i + 1,
                             (long long)x->dims[1]);
    call_set_like(c, 0, x);
    return ST_OK;
}

static void run_batch(const struct call *c)
{
    const struct value *x = c->in[0];
    const float epsilon = node_float(c->node, "epsilon", 1e-5f);
    const size_t channels = (size_t)x->dims[1], plane = value_span(x, 2, x->rank);

    for (size_t n = 0; n < (size_t)x->dims[0]; n++)
        for (size_t m = 0; m < channels; m++) {
            const float scale = value_f32(c->in[1])[m] / sqrtf(value_f32(c->in[4])[m] + epsilon);
            const float *from = value_f32(x) + (n * channels + m) * plane;
            float *to = value_f32(c->out[0]) + (n * channels + m) * plane;
            for (size_t i = 0; i < plane; i++)
                to[i] = (from[i] - value_f32(c->in[3])[m]) * scale + value_f32(c->in[2])[m];
        }
}

/* y = (x - mean) / sqrt(variance + epsilon) of n elements. */
static void standardise(const float *x, float *y, size_t n, double epsilon)
{
    double mean = 0, variance = 0;

    for (size_t i = 0; i < n; i++)
        mean += (double)x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += ((double)x[i] - mean) * ((double)x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        y[i] = (float)(((double)x[i] - mean) / sqrt(variance + epsilon));
}

/* Scale and bias are one a channel; GroupNormalization of opset 18 has one a group. */
static enum status infer_groups(const struct call *c, int64_t groups, bool of_groups, struct fault *f)
{
    const struct value *x = c->in[0];

    if (x->type != DTYPE_F32 || x->rank < 3)
        return op_refuse(c, f, "the input must be float32 of rank 3 or more");
    if (groups < 1 || x->dims[1] % groups)
        return op_refuse(c, f, "%lld channels in %lld groups", (long long)x->dims[1], (long long)groups);
    for (int i = 1; i < 3; i++)
        if (!is_vector(c->in[i], of_groups ? groups : x->dims[1]))
            return op_refuse(c, f, "input %d has the wrong number of entries", i + 1);
    call_set_like(c, 0, x);
    return ST_OK;
}

static void run_groups(const struct call *c, int64_t groups)
{
    const struct value *x = c->in[0];
    const size_t channels = (size_t)x->dims[1], plane = value_span(x, 2, x->rank);
    const size_t entries = value_elements(c->in[1]);
    const size_t part = groups > 0 ? channels / (size_t)groups * plane : 0;

    for (size_t at = 0; part > 0 && at < value_elements(x); at += part)
        standardise(value_f32(x) + at, value_f32(c->out[0]) + at, part,
                    (double)node_float(c->node, "epsilon", 1e-5f));
    for (size_t i = 0; i < value_elements(x); i++) {
        const size_t m = i / plane % channels * entries / channels;
        value_f32(c->out[0])[i] =
            value_f32(c->out[0])[i] * value_f32(c->in[1])[m] + value_f32(c->in[2])[m];
    }
}

static enum status infer_instance(const struct call *c, struct fault *f)
{
    return infer_groups(c, c->in[0]->rank > 1 ? c->in[0]->dims[1] : 0, false, f);
}

static void run_instance(const struct call *c)
{
    run_groups(c, c->in[0]->dims[1]);
}

static enum status infer_group(const struct call *c, struct fault *f)
{
    return infer_groups(c, node_int(c->node, "num_groups", 0), c->opset < 21, f);
}

static void run_group(const struct call *c)
{
    run_groups(c, node_int(c->node, "num_groups", 1));
}

static enum status infer_layer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    struct value tail = { .type = DTYPE_F32 };
    enum status st;
    int axis;

    if (x->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    if ((c->nout > 1 && c->out[1]) || (c->nout > 2 && c->out[2]))
        return op_unsupported(c, f, "the outputs of mean and deviation");
    if ((st = call_axis(c, node_int(c->node, "axis", -1), x->rank, &axis, f)) != ST_OK)
        return st;
    for (int i = axis; i < x->rank; i++)
        tail.dims[tail.rank++] = x->dims[i];
    for (int i = 1; i < c->nin; i++) {
        struct value joined = { 0 };
        if (c->in[i] && (c->in[i]->type != DTYPE_F32 || !shape_broadcast(c->in[i], &tail, &joined) ||
                         !value_same_shape(&joined, &tail)))
            return op_refuse(c, f, "input %d does not broadcast to the normalised dimensions", i + 1);
    }
    call_set_like(c, 0, x);
    return ST_OK;
}

static void run_layer(const struct call *c)
{
    const struct value *x = c->in[0], *bias = call_in(c, 2);
    const int64_t named = node_int(c->node, "axis", -1);
    const int axis = (int)(named < 0 ? named + x->rank : named);
    const size_t n = value_span(x, axis, x->rank);
    int64_t scales[LIMIT_TENSOR_RANK], biases[LIMIT_TENSOR_RANK] = { 0 };
    struct walk w = { .rank = x->rank, .noffsets = 2, .dims = x->dims, .strides = { scales, biases } };
    size_t i = 0;

    if (value_elements(x) == 0)
        return;
    for (size_t at = 0; at < value_elements(x); at += n)
        standardise(value_f32(x) + at, value_f32(c->out[0]) + at, n,
                    (double)node_float(c->node, "epsilon", 1e-5f));
    broadcast_strides(c->in[1], x, scales);
    if (bias)
        broadcast_strides(bias, x, biases);
    do {
        float *y = value_f32(c->out[0]) + i++;
        *y = *y * value_f32(c->in[1])[w.offset[0]] + (bias ? value_f32(bias)[w.offset[1]] : 0);
    } while (walk_step(&w));
}

/* Usual axes only: everything but the channels. */
static enum status infer_mean_variance(const struct call *c, struct fault *f)
{
    const struct attribute *a = node_attribute(c->node, "axes");
    const struct value *x = c->in[0];

    if (x->type != DTYPE_F32 || x->rank != 4)
        return op_refuse(c, f, "the input must be float32 of rank 4");
    if ((a && (a->n != 3 || a->ints[0] != 0 || a->ints[1] != 2 || a->ints[2] != 3)) || x->dims[0] != 1)
        return op_unsupported(c, f, "axes other than 0, 2, 3, or a batch");
    call_set_like(c, 0, x);
    return ST_OK;
}

static void run_mean_variance(const struct call *c)
{
    const size_t plane = value_span(c->in[0], 2, 4);

    for (size_t at = 0; plane && at < value_elements(c->in[0]); at += plane)
        standardise(value_f32(c->in[0]) + at, value_f32(c->out[0]) + at, plane, 1e-9);
}

static enum status infer_lrn(const struct call *c, struct fault *f)
{
    const int64_t size = node_int(c->node, "size", 0);

    if (c->in[0]->type != DTYPE_F32 || c->in[0]->rank < 3 || size < 1 || size > 1 << 16)
        return op_refuse(c, f, "the input must be float32 of rank 3 or more, size 1 or more");
    call_set_like(c, 0, c->in[0]);
    return ST_OK;
}

/* Each element looks at its neighbours in other channels. */
static double lrn_work(const struct call *c)
{
    const struct value *x = c->in[0];

    return (double)value_elements(x) * fmin((double)node_int(c->node, "size", 1), (double)x->dims[1]);
}

static void run_lrn(const struct call *c)
{
    const struct value *x = c->in[0];
    const int64_t size = node_int(c->node, "size", 1), channels = x->dims[1];
    const double alpha = (double)node_float(c->node, "alpha", 1e-4f) / (double)size;
    const double beta = (double)node_float(c->node, "beta", 0.75f);
    const double bias = (double)node_float(c->node, "bias", 1);
    const size_t plane = value_span(x, 2, x->rank);

    for (size_t i = 0; i < value_elements(x); i++) {
        const int64_t m = (int64_t)(i / plane % (size_t)channels);
        const int64_t from = m - (size - 1) / 2, to = m + size / 2;
        double energy = 0;
        for (int64_t k = from < 0 ? 0 : from; k <= to && k < channels; k++) {
            const double near = (double)value_f32(x)[(int64_t)i + (k - m) * (int64_t)plane];
            energy += near * near;
        }
        value_f32(c->out[0])[i] = (float)((double)value_f32(x)[i] / pow(bias + alpha * energy, beta));
    }
}

static enum status infer_lp(const struct call *c, struct fault *f)
{
    const int64_t p = node_int(c->node, "p", 2);
    enum status st;
    int axis;

    if (c->in[0]->type != DTYPE_F32 || (p != 1 && p != 2))
        return op_refuse(c, f, "the input must be float32, p 1 or 2");
    if ((st = call_axis(c, node_int(c->node, "axis", -1), c->in[0]->rank, &axis, f)) != ST_OK)
        return st;
    call_set_like(c, 0, c->in[0]);
    return ST_OK;
}

static void run_lp(const struct call *c)
{
    const struct value *x = c->in[0];
    const int64_t named = node_int(c->node, "axis", -1);
    const int axis = (int)(named < 0 ? named + x->rank : named);
    const size_t inner = value_span(x, axis + 1, x->rank), n = (size_t)x->dims[axis];
    const bool squares = node_int(c->node, "p", 2) == 2;

    for (size_t line = 0; line < value_span(x, 0, axis) * inner; line++) {
        const size_t start = line / inner * n * inner + line % inner;
        double norm = 0;
        for (size_t i = 0; i < n; i++) {
            const double e = (double)value_f32(x)[start + i * inner];
            norm += squares ? e * e : fabs(e);
        }
        norm = squares ? sqrt(norm) : norm;
        for (size_t i = 0; i < n; i++)
            value_f32(c->out[0])[start + i * inner] =
                norm > 0 ? (float)((double)value_f32(x)[start + i * inner] / norm) : 0;
    }
}

#define NORM(title, first_opset, least_in, most_in, most_out, attrs, infer_with, run)                   \
    {                                                                                                   \
        .name = title, .since = first_opset, .min_in = least_in, .max_in = most_in, .min_out = 1,       \
        .max_out = most_out, .attributes = attrs, .infer = infer_with, .reference = run                 \
    }

const struct op ops_norm[] = {
    NORM("BatchNormalization", 7, 5, 5, 5, "f:epsilon f:momentum i:training_mode", infer_batch,
         run_batch),
    NORM("InstanceNormalization", 6, 3, 3, 1, "f:epsilon", infer_instance, run_instance),
    NORM("GroupNormalization", 18, 3, 3, 1, "f:epsilon i:num_groups i:stash_type", infer_group,
         run_group),
    NORM("LayerNormalization", 17, 2, 3, 3, "i:axis f:epsilon i:stash_type", infer_layer, run_layer),
    NORM("MeanVarianceNormalization", 9, 1, 1, 1, "I:axes", infer_mean_variance, run_mean_variance),
    { .name = "LRN",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "f:alpha f:beta f:bias i:size",
      .infer = infer_lrn,
      .reference = run_lrn,
      .work = lrn_work,
      .heavy = true },
    NORM("LpNormalization", 1, 1, 1, 1, "i:axis i:p", infer_lp, run_lp),
    { 0 },
};
