/*
 * YoloAnchors: feature maps of an anchor-based YOLO head (YOLOv5) become rows, as its exports have them.
 * Internal: readers of checkpoints make it.
 *
 * Inputs, for each level: [N, anchors * values, H, W]. Output [N, A, values]: anchors slowest, then
 * rows, then columns. Of the values of a row, with s = sigmoid: centre (2 s - 1/2 + cell) * stride, size
 * (2 s)^2 * anchor, s of objectness, s of `nclasses` classes, the rest as it is (mask coefficients).
 *   strides  pixels of a cell of each level
 *   anchors  width, height in pixels, for each level as many
 * Source: the YOLOv5 programs' documented export, "raw" output.
 */
#include <math.h>
#include "inference/ops/op.h"

struct anchors {
    int levels;
    int64_t each, values, classes, rows; /* anchors of a level; values and rows of the output */
    const float *strides, *sizes;
};

static enum status check_levels(const struct call *c, struct anchors *a, struct fault *f)
{
    for (int i = 0; i < a->levels; i++) {
        const struct value *x = c->in[i];
        if (!x || x->type != DTYPE_F32 || x->rank != 4 || x->dims[0] != c->in[0]->dims[0] ||
            x->dims[1] != a->each * a->values)
            return op_refuse(c, f, "the maps of level %d do not fit the anchors", i);
        a->rows += a->each * x->dims[2] * x->dims[3];
    }
    return ST_OK;
}

static enum status anchors_read(const struct call *c, struct anchors *a, struct fault *f)
{
    const struct attribute *strides = node_attribute(c->node, "strides"),
                           *sizes = node_attribute(c->node, "anchors");

    a->levels = c->nin;
    if (!strides || !sizes || strides->n != (size_t)a->levels || sizes->n == 0 ||
        sizes->n % (2 * (size_t)a->levels))
        return op_refuse(c, f, "strides and anchors for %d levels are needed", a->levels);
    for (int i = 0; i < a->levels; i++)
        if (!(strides->floats[i] > 0 && strides->floats[i] <= LIMIT_MODEL_INPUT_PX))
            return op_refuse(c, f, "a stride of %g is none", (double)strides->floats[i]);
    a->strides = strides->floats;
    a->sizes = sizes->floats;
    a->each = (int64_t)(sizes->n / 2) / a->levels;
    a->classes = node_int(c->node, "nclasses", 0);
    if (!c->in[0] || c->in[0]->rank != 4 || c->in[0]->dims[1] % a->each)
        return op_refuse(c, f, "the channels are no multiple of %lld anchors", (long long)a->each);
    a->values = c->in[0]->dims[1] / a->each;
    if (a->classes < 1 || a->classes > a->values - 5)
        return op_refuse(c, f, "%lld classes do not fit %lld values", (long long)a->classes,
                         (long long)a->values);
    return check_levels(c, a, f);
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct anchors a = { 0 };
    enum status st = anchors_read(c, &a, f);

    if (st == ST_OK)
        call_set_shape(c, 0, DTYPE_F32, 3, (int64_t[]){ c->in[0]->dims[0], a.rows, a.values });
    return st;
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* The row of one cell and anchor; its values lie `plane` apart in the map. */
static void decode_row(const struct anchors *a, const float *x, size_t plane, float cell_x, float cell_y,
                       float stride, const float *size, float *y)
{
    const float w = 2 * sigmoid(x[2 * plane]), h = 2 * sigmoid(x[3 * plane]);

    y[0] = (2 * sigmoid(x[0]) - 0.5f + cell_x) * stride;
    y[1] = (2 * sigmoid(x[plane]) - 0.5f + cell_y) * stride;
    y[2] = w * w * size[0];
    y[3] = h * h * size[1];
    for (size_t k = 4; k < (size_t)a->values; k++)
        y[k] = k < 5 + (size_t)a->classes ? sigmoid(x[k * plane]) : x[k * plane];
}

static void reference(const struct call *c)
{
    float *out = value_f32(c->out[0]);
    struct anchors a = { 0 };

    if (anchors_read(c, &a, NULL) != ST_OK)
        return; /* infer has accepted it */
    for (size_t n = 0; n < (size_t)c->in[0]->dims[0]; n++)
        for (size_t l = 0; l < (size_t)a.levels; l++) {
            const struct value *map = c->in[l];
            const size_t plane = value_span(map, 2, 4), width = (size_t)map->dims[3];
            for (size_t k = 0; k < (size_t)a.each; k++) {
                const float *x = value_f32(map) + (n * (size_t)a.each + k) * (size_t)a.values * plane;
                const float *size = a.sizes + (l * (size_t)a.each + k) * 2;
                for (size_t i = 0; i < plane; i++, out += a.values) {
                    const size_t column = i % width, row = i / width;
                    decode_row(&a, x + i, plane, (float)column, (float)row, a.strides[l], size, out);
                }
            }
        }
}

const struct op ops_yolo_anchors[] = {
    { .name = "YoloAnchors",
      .min_in = 1,
      .max_in = OP_ANY,
      .min_out = 1,
      .max_out = 1,
      .attributes = "F:strides F:anchors i:nclasses",
      .infer = infer,
      .reference = reference,
      .heavy = true,
      .internal = true },
    { 0 },
};
