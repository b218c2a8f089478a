/*
 * Resize (opsets 10 to 22) and Upsample (7 to 9): nearest and linear over any dims, by scales or sizes.
 * Not supported: cubic, antialias, crop by roi, axes, aspect-ratio policies.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inference/ops/resize.h"
#include "inference/plan/lower.h"

enum coordinates { HALF_PIXEL, PYTORCH_HALF_PIXEL, ASYMMETRIC, ALIGN_CORNERS, HALF_PIXEL_SYMMETRIC };
enum nearest { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL };

struct resize {
    bool linear;
    enum coordinates coordinates;
    enum nearest nearest;
    double scale[LIMIT_TENSOR_RANK];
    int64_t size[LIMIT_TENSOR_RANK];
};

/* Index of the word in a list, or -1. */
static int one_of(const char *word, const char *const words[])
{
    for (int i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

static enum status read_modes(const struct call *c, struct resize *r, struct fault *f)
{
    static const char *const coordinates[] = { "half_pixel",    "pytorch_half_pixel",   "asymmetric",
                                               "align_corners", "half_pixel_symmetric", NULL };
    static const char *const nearest[] = { "round_prefer_floor", "round_prefer_ceil", "floor", "ceil",
                                           NULL };
    static const char *const modes[] = { "nearest", "linear", "bilinear", NULL };
    const bool old = c->opset < 11; /* Upsample, and the first Resize: i / scale, rounded down */
    const int mode = one_of(node_string(c->node, "mode", "nearest"), modes);
    const int how =
        one_of(node_string(c->node, "coordinate_transformation_mode", old ? "asymmetric" : "half_pixel"),
               coordinates);
    const int round =
        one_of(node_string(c->node, "nearest_mode", old ? "floor" : "round_prefer_floor"), nearest);

    if (mode < 0 || how < 0 || round < 0)
        return op_unsupported(c, f, "this mode; nearest and linear are supported");
    if (node_int(c->node, "antialias", 0) || node_int(c->node, "exclude_outside", 0) ||
        node_attribute(c->node, "axes") ||
        strcmp(node_string(c->node, "keep_aspect_ratio_policy", "stretch"), "stretch") != 0)
        return op_unsupported(c, f, "antialias, exclude_outside, axes or an aspect ratio policy");
    r->linear = mode > 0;
    r->coordinates = (enum coordinates)how;
    r->nearest = (enum nearest)round;
    return ST_OK;
}

static enum status read_scales(const struct call *c, const float *scales, size_t n, struct resize *r,
                               struct fault *f)
{
    const struct value *x = c->in[0];

    if (n != (size_t)x->rank)
        return op_refuse(c, f, "%zu scales for rank %d", n, x->rank);
    for (int i = 0; i < x->rank; i++) {
        const double size = floor((double)x->dims[i] * (double)scales[i]);
        if (!(scales[i] > 0) || !(size <= (double)LIMIT_TENSOR_ELEMENTS))
            return op_refuse(c, f, "scale %g is out of range", (double)scales[i]);
        r->scale[i] = (double)scales[i];
        r->size[i] = (int64_t)size;
    }
    return ST_OK;
}

static enum status read_sizes(const struct call *c, const struct int_list *sizes, struct resize *r,
                              struct fault *f)
{
    const struct value *x = c->in[0];

    if (sizes->n != x->rank)
        return op_refuse(c, f, "%d sizes for rank %d", sizes->n, x->rank);
    for (int i = 0; i < x->rank; i++) {
        if (sizes->v[i] < 0 || (x->dims[i] == 0 && sizes->v[i] > 0))
            return op_refuse(c, f, "size %lld is out of range", (long long)sizes->v[i]);
        r->size[i] = sizes->v[i];
        r->scale[i] = x->dims[i] ? (double)sizes->v[i] / (double)x->dims[i] : 1;
    }
    return ST_OK;
}

static enum status resize_read(const struct call *c, struct resize *ret, struct fault *f)
{
    const bool old = c->opset < 11;
    const struct attribute *attribute = node_attribute(c->node, "scales"); /* Upsample before opset 9 */
    const struct value *scales = call_in(c, old ? 1 : 2);
    struct int_list sizes;
    struct resize r = { 0 };
    enum status st;

    if ((st = read_modes(c, &r, f)) != ST_OK ||
        (st = call_list(c, NULL, old ? -1 : 3, &sizes, f)) != ST_OK)
        return st;
    if (scales && (scales->type != DTYPE_F32 || scales->rank != 1))
        return op_refuse(c, f, "the scales must be a list of float32");
    if (scales && !scales->data)
        return op_unsupported(c, f, "scales that depend on the picture");
    if (scales && value_elements(scales) > 0)
        st = read_scales(c, value_f32(scales), value_elements(scales), &r, f);
    else if (sizes.n > 0)
        st = read_sizes(c, &sizes, &r, f);
    else if (attribute && attribute->kind == ATTRIBUTE_FLOATS)
        st = read_scales(c, attribute->floats, attribute->n, &r, f);
    else
        st = op_refuse(c, f, "neither scales nor sizes are given");
    if (st == ST_OK)
        *ret = r;
    return st;
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct resize r = { 0 };
    enum status st = resize_read(c, &r, f);

    if (st != ST_OK)
        return st;
    if (c->in[0]->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    call_set_shape(c, 0, DTYPE_F32, c->in[0]->rank, r.size);
    return ST_OK;
}

/* Where output index i of a dimension lies in the input. */
static double source(const struct resize *r, int axis, int64_t i, int64_t in)
{
    const double s = r->scale[axis];
    const int64_t out = r->size[axis];

    switch (r->coordinates) {
    case ASYMMETRIC:
        return (double)i / s;
    case ALIGN_CORNERS:
        return out > 1 ? (double)i * (double)(in - 1) / (double)(out - 1) : 0;
    case PYTORCH_HALF_PIXEL:
        return out > 1 ? ((double)i + 0.5) / s - 0.5 : 0;
    case HALF_PIXEL_SYMMETRIC: {
        const double adjust = (double)out / (s * (double)in), centre = (double)in / 2;
        return centre * (1 - adjust) + ((double)i + 0.5) / s - 0.5;
    }
    default:
        return ((double)i + 0.5) / s - 0.5;
    }
}

static double round_nearest(enum nearest how, double x)
{
    switch (how) {
    case FLOOR:
        return floor(x);
    case CEIL:
        return ceil(x);
    case ROUND_PREFER_CEIL:
        return floor(x + 0.5);
    default:
        return ceil(x - 0.5);
    }
}

static int64_t clamp_index(double x, int64_t n)
{
    return x <= 0 ? 0 : x >= (double)(n - 1) ? n - 1 : (int64_t)x;
}

static struct resize_tap tap_at(const struct resize *r, int axis, int64_t i, int64_t in)
{
    const double x = source(r, axis, i, in);

    if (!r->linear) {
        const int64_t k = clamp_index(round_nearest(r->nearest, x), in);
        return (struct resize_tap){ k, k, 0 };
    }
    return (struct resize_tap){ clamp_index(floor(x), in), clamp_index(floor(x) + 1, in),
                                (float)(x - floor(x)) };
}

/* One dimension at a time: [outer, in, inner] to [outer, out, inner]. */
static void resample(const struct resize *r, int axis, const float *x, float *y, size_t outer,
                     int64_t in, size_t inner)
{
    const size_t out = (size_t)r->size[axis];

    for (size_t i = 0; i < out; i++) {
        const struct resize_tap t = tap_at(r, axis, (int64_t)i, in);
        for (size_t o = 0; o < outer; o++) {
            const float *low = x + (o * (size_t)in + (size_t)t.low) * inner;
            const float *high = x + (o * (size_t)in + (size_t)t.high) * inner;
            float *to = y + (o * out + i) * inner;
            if (t.weight == 0)
                memcpy(to, low, inner * sizeof *to);
            else
                for (size_t k = 0; k < inner; k++)
                    to[k] = low[k] * (1 - t.weight) + high[k] * t.weight;
        }
    }
}

/*
 * Dimension after dimension through two temporary planes. Runs out of memory only on the reference path;
 * then the output is zero.
 */
static void reference(const struct call *c)
{
    struct resize r = { 0 };
    const enum status st = resize_read(c, &r, NULL);
    struct value now = *c->in[0];
    float *held = NULL;

    (void)st; /* infer has seen ST_OK for the same call */
    if (value_elements(c->out[0]) == 0)
        return;
    for (int i = 0; i < now.rank; i++) {
        struct value next = now;
        if (r.size[i] == now.dims[i] && r.scale[i] == 1)
            continue;
        next.dims[i] = r.size[i];
        next.data = malloc(value_bytes(&next));
        if (next.data)
            resample(&r, i, value_f32(&now), value_f32(&next), value_span(&now, 0, i), now.dims[i],
                     value_span(&now, i + 1, now.rank));
        free(held);
        held = next.data;
        now = next;
        if (!held)
            break;
    }
    if (now.data)
        memcpy(c->out[0]->data, now.data, value_bytes(c->out[0]));
    else
        memset(c->out[0]->data, 0, value_bytes(c->out[0]));
    free(held);
}

bool resize_is_of_planes(const struct call *c)
{
    const struct value *x = c->in[0];
    struct resize r = { 0 };

    return resize_read(c, &r, NULL) == ST_OK && x->rank == 4 && r.size[0] == x->dims[0] &&
           r.size[1] == x->dims[1] && r.scale[0] == 1 && r.scale[1] == 1;
}

void resize_taps(const struct call *c, int axis, struct resize_tap taps[])
{
    struct resize r = { 0 };

    if (resize_read(c, &r, NULL) != ST_OK)
        return; /* never: infer has seen ST_OK for the same call */
    for (int64_t i = 0; i < r.size[axis]; i++)
        taps[i] = r.size[axis] == c->in[0]->dims[axis] && r.scale[axis] == 1
                      ? (struct resize_tap){ i, i, 0 }
                      : tap_at(&r, axis, i, c->in[0]->dims[axis]);
}

bool resize_is_repeat(const struct call *c, int64_t factor[2])
{
    const struct value *x = c->in[0];
    struct resize r = { 0 };

    if (resize_read(c, &r, NULL) != ST_OK || r.linear || x->rank != 4 || r.size[0] != x->dims[0] ||
        r.size[1] != x->dims[1])
        return false;
    for (int i = 0; i < 2; i++) {
        const int64_t in = x->dims[2 + i], out = r.size[2 + i];
        if (in < 1 || out < in || out % in)
            return false;
        factor[i] = out / in;
        for (int64_t k = 0; k < out; k++)
            if (tap_at(&r, 2 + i, k, in).low != k / factor[i])
                return false;
    }
    return true;
}

#define MODES                                                                                           \
    "s:mode s:coordinate_transformation_mode s:nearest_mode f:cubic_coeff_a f:extrapolation_value "     \
    "i:exclude_outside i:antialias s:keep_aspect_ratio_policy F:scales"

const struct op ops_resize[] = {
    { .name = "Upsample",
      .since = 7,
      .min_in = 1,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .attributes = MODES,
      .infer = infer,
      .reference = reference,
      .lower = lower_resize,
      .heavy = true },
    { .name = "Resize",
      .since = 10,
      .min_in = 1,
      .max_in = 4,
      .min_out = 1,
      .max_out = 1,
      .attributes = MODES,
      .infer = infer,
      .reference = reference,
      .lower = lower_resize,
      .heavy = true },
    { 0 },
};
