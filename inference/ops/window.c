/*
 * Sliding windows: attributes to numbers, output sizes. See window.h.
 */
#include <string.h>
#include "inference/ops/window.h"

enum { WINDOW_MAX = 1 << 16 }; /* kernel, stride, dilation, padding */

/* Ints of an attribute into the last `spatial` of two; `absent` where the file says nothing. */
static enum status read_pair(const struct call *c, const char *name, int spatial, int64_t least,
                             int64_t absent, int64_t ret[2], struct fault *f)
{
    const struct attribute *a = node_attribute(c->node, name);

    ret[0] = ret[1] = absent;
    if (!a || a->n == 0)
        return ST_OK;
    if (a->n != (size_t)spatial)
        return op_refuse(c, f, "%s has %zu entries for %d dimensions", name, a->n, spatial);
    for (int i = 0; i < spatial; i++) {
        if (a->ints[i] < least || a->ints[i] > WINDOW_MAX)
            return op_refuse(c, f, "%s %lld is out of range", name, (long long)a->ints[i]);
        ret[2 - spatial + i] = a->ints[i];
    }
    return ST_OK;
}

static enum status read_pads(const struct call *c, struct window *w, struct fault *f)
{
    const struct attribute *a = node_attribute(c->node, "pads");
    const int n = w->spatial;

    if (!a || a->n == 0)
        return ST_OK;
    if (a->n != (size_t)n * 2)
        return op_refuse(c, f, "pads has %zu entries for %d dimensions", a->n, n);
    for (int i = 0; i < n * 2; i++)
        if (a->ints[i] < 0 || a->ints[i] > WINDOW_MAX)
            return op_refuse(c, f, "padding %lld is out of range", (long long)a->ints[i]);
    for (int i = 0; i < n; i++) {
        w->before[2 - n + i] = a->ints[i];
        w->after[2 - n + i] = a->ints[n + i];
    }
    return ST_OK;
}

static int64_t span(const struct window *w, int i)
{
    return (w->kernel[i] - 1) * w->dilation[i] + 1;
}

static void pad_same(struct window *w, bool extra_at_end)
{
    for (int i = 0; i < 2; i++) {
        const int64_t out = (w->in[i] + w->stride[i] - 1) / w->stride[i];
        int64_t total = (out - 1) * w->stride[i] + span(w, i) - w->in[i];
        total = total > 0 ? total : 0;
        w->before[i] = extra_at_end ? total / 2 : total - total / 2;
        w->after[i] = total - w->before[i];
    }
}

static enum status set_outputs(const struct call *c, struct window *w, bool ceil_mode, struct fault *f)
{
    for (int i = 0; i < 2; i++) {
        const int64_t room = w->in[i] + w->before[i] + w->after[i] - span(w, i);
        if (room < 0)
            return op_refuse(c, f, "the window is larger than its padded input");
        w->out[i] = room / w->stride[i] + 1;
        if (ceil_mode && room % w->stride[i] && w->out[i] * w->stride[i] < w->in[i] + w->before[i])
            w->out[i]++; /* unless the last window would start in the end padding */
    }
    return ST_OK;
}

static enum status read_kernel(const struct call *c, const struct value *kernel, struct window *w,
                               struct fault *f)
{
    int64_t named[2];
    enum status st = read_pair(c, "kernel_shape", w->spatial, 1, 0, named, f);

    if (st != ST_OK)
        return st;
    if (!kernel && !named[1])
        return op_refuse(c, f, "kernel_shape is missing");
    for (int i = 0; i < w->spatial; i++) {
        const int k = 2 - w->spatial + i;
        w->kernel[k] = kernel ? kernel->dims[2 + i] : named[k];
        if (w->kernel[k] < 1 || w->kernel[k] > WINDOW_MAX || (named[1] && named[k] != w->kernel[k]))
            return op_refuse(c, f, "kernel_shape does not fit the weights");
    }
    return ST_OK;
}

enum status window_read(const struct call *c, const struct value *kernel, bool with_ceil,
                        struct window *ret, struct fault *f)
{
    const struct value *x = c->in[0];
    const char *auto_pad = node_string(c->node, "auto_pad", "NOTSET");
    struct window w = { .in = { 1, 1 }, .kernel = { 1, 1 }, .spatial = x->rank - 2 };
    enum status st;

    if (w.spatial != 1 && w.spatial != 2)
        return op_unsupported(c, f, "input of rank %d; 3 and 4 are supported", x->rank);
    if (kernel && kernel->rank != x->rank)
        return op_refuse(c, f, "weights of rank %d for an input of rank %d", kernel->rank, x->rank);
    for (int i = 0; i < w.spatial; i++)
        w.in[2 - w.spatial + i] = x->dims[2 + i];
    if ((st = read_kernel(c, kernel, &w, f)) != ST_OK ||
        (st = read_pair(c, "strides", w.spatial, 1, 1, w.stride, f)) != ST_OK ||
        (st = read_pair(c, "dilations", w.spatial, 1, 1, w.dilation, f)) != ST_OK)
        return st;
    if (strcmp(auto_pad, "SAME_UPPER") == 0 || strcmp(auto_pad, "SAME_LOWER") == 0)
        pad_same(&w, strcmp(auto_pad, "SAME_UPPER") == 0);
    else if (strcmp(auto_pad, "NOTSET") == 0 || auto_pad[0] == '\0')
        st = read_pads(c, &w, f);
    else if (strcmp(auto_pad, "VALID") != 0)
        return op_refuse(c, f, "auto_pad is unknown");
    if (st == ST_OK)
        st = set_outputs(c, &w, with_ceil && node_int(c->node, "ceil_mode", 0) != 0, f);
    if (st == ST_OK)
        *ret = w;
    return st;
}

struct window window_checked(const struct call *c, const struct value *kernel, bool with_ceil)
{
    struct window w = { 0 };
    const enum status st = window_read(c, kernel, with_ceil, &w, NULL);

    (void)st; /* infer has seen ST_OK for the same call */
    return w;
}

void window_set_output(const struct call *c, const struct window *w, int64_t channels)
{
    const struct value *x = c->in[0];
    int64_t dims[4] = { x->dims[0], channels };

    for (int i = 0; i < w->spatial; i++)
        dims[2 + i] = w->out[2 - w->spatial + i];
    call_set_shape(c, 0, x->type, x->rank, dims);
}
