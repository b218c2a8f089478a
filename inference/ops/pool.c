/*
 * MaxPool, AveragePool and their global forms (ONNX, opsets 1 to 22). Padding counts as minus infinity
 * for MaxPool; AveragePool divides by the real elements, or with count_include_pad by those of the
 * padded input.
 */
#include <math.h>
#include <string.h>
#include "inference/ops/window.h"
#include "inference/plan/lower.h"

static enum status infer_window(const struct call *c, struct fault *f)
{
    struct window w;
    enum status st;

    if (c->in[0]->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    if (node_int(c->node, "storage_order", 0) != 0)
        return op_unsupported(c, f, "storage_order 1");
    if ((st = window_read(c, NULL, true, &w, f)) != ST_OK)
        return st;
    for (int i = 0; i < 2; i++)
        if (w.before[i] >= (w.kernel[i] - 1) * w.dilation[i] + 1)
            return op_refuse(c, f, "the padding is not smaller than the window");
    window_set_output(c, &w, c->in[0]->dims[1]);
    return ST_OK;
}

struct pool {
    struct window w;
    bool average, include_pad;
};

/* The window's value at output (oy, ox) of one plane. */
static float pool_at(const struct pool *p, const float *x, int64_t oy, int64_t ox)
{
    const struct window *w = &p->w;
    const int64_t y0 = oy * w->stride[0] - w->before[0], x0 = ox * w->stride[1] - w->before[1];
    float best = -INFINITY;
    double sum = 0;
    int64_t real = 0, padded = 0;

    for (int64_t ky = 0; ky < w->kernel[0]; ky++)
        for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
            const int64_t iy = y0 + ky * w->dilation[0], ix = x0 + kx * w->dilation[1];
            padded += iy < w->in[0] + w->after[0] && ix < w->in[1] + w->after[1];
            if (iy < 0 || ix < 0 || iy >= w->in[0] || ix >= w->in[1])
                continue;
            best = fmaxf(best, x[iy * w->in[1] + ix]);
            sum += (double)x[iy * w->in[1] + ix];
            real++;
        }
    if (!p->average)
        return best;
    return (float)(sum / (double)(p->include_pad ? padded : real ? real : 1));
}

static void run_planes(const struct call *c, const struct pool *p)
{
    const size_t planes = value_span(c->in[0], 0, 2);
    const struct window *w = &p->w;

    for (size_t k = 0; k < planes; k++) {
        const float *x = value_f32(c->in[0]) + k * (size_t)(w->in[0] * w->in[1]);
        float *y = value_f32(c->out[0]) + k * (size_t)(w->out[0] * w->out[1]);
        for (int64_t oy = 0; oy < w->out[0]; oy++)
            for (int64_t ox = 0; ox < w->out[1]; ox++)
                y[oy * w->out[1] + ox] = pool_at(p, x, oy, ox);
    }
}

static void run_max(const struct call *c)
{
    const struct pool p = { .w = window_checked(c, NULL, true) };

    run_planes(c, &p);
}

static void run_average(const struct call *c)
{
    const struct pool p = { window_checked(c, NULL, true), true,
                            node_int(c->node, "count_include_pad", 0) != 0 };

    run_planes(c, &p);
}

static enum status infer_global(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    int64_t dims[LIMIT_TENSOR_RANK];

    if (x->type != DTYPE_F32 || x->rank < 3)
        return op_refuse(c, f, "the input must be float32 of rank 3 or more");
    for (int i = 0; i < x->rank; i++)
        dims[i] = i < 2 ? x->dims[i] : 1;
    if (value_span(x, 2, x->rank) == 0)
        return op_refuse(c, f, "the input is empty");
    call_set_shape(c, 0, DTYPE_F32, x->rank, dims);
    return ST_OK;
}

static void run_global_average(const struct call *c)
{
    const size_t plane = value_span(c->in[0], 2, c->in[0]->rank);

    for (size_t k = 0; k < value_elements(c->out[0]); k++) {
        double sum = 0;
        for (size_t i = 0; i < plane; i++)
            sum += (double)value_f32(c->in[0])[k * plane + i];
        value_f32(c->out[0])[k] = (float)(sum / (double)plane);
    }
}

static void run_global_max(const struct call *c)
{
    const size_t plane = value_span(c->in[0], 2, c->in[0]->rank);

    for (size_t k = 0; k < value_elements(c->out[0]); k++) {
        float best = -INFINITY;
        for (size_t i = 0; i < plane; i++)
            best = fmaxf(best, value_f32(c->in[0])[k * plane + i]);
        value_f32(c->out[0])[k] = best;
    }
}

#define WINDOW                                                                                          \
    "s:auto_pad i:ceil_mode I:dilations I:kernel_shape I:pads I:strides i:storage_order "               \
    "i:count_include_pad"
#define POOL(title, attrs, infer_with, run, lower_with)                                                 \
    {                                                                                                   \
        .name = title, .since = 1, .min_in = 1, .max_in = 1, .min_out = 1, .max_out = 1,                \
        .attributes = attrs, .infer = infer_with, .reference = run, .lower = lower_with, .heavy = true  \
    }

const struct op ops_pool[] = {
    POOL("MaxPool", WINDOW, infer_window, run_max, lower_pool),
    POOL("AveragePool", WINDOW, infer_window, run_average, lower_pool),
    POOL("GlobalAveragePool", "", infer_global, run_global_average, lower_global_average),
    POOL("GlobalMaxPool", "", infer_global, run_global_max, NULL),
    { 0 },
};
