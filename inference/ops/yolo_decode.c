/*
 * YoloDecode: feature maps of an anchor-free YOLO head become rows of boxes, scores and whatever the
 * task adds, as exports of YOLOv8 and later have them. Internal: readers of checkpoints and passes make
 * it.
 *
 * Inputs, for each level: boxes [N, 4 * bins, H, W], class logits [N, classes, H, W] and, unless `extra`
 * is "none", [N, extras, H, W]. Output [N, 4 + classes + extras, A]: A counts the cells of all levels,
 * row by row. Cells have their anchor in the middle; distances to the four sides are means over a
 * softmax of `bins` (one bin: the value itself); everything but scores and coefficients is in pixels of
 * the input. strides  pixels of a cell of each level boxes    "centre": cx, cy, w, h; "corners": x0, y0,
 * x1, y1; "rotated": cx, cy, w, h, turned by the angle extra    "raw": coefficients as they are;
 * "angle": (sigmoid - 1/4) pi; "plain-angle": as it is; "points": `dims` values a point, 2 v - 1/2 cells
 * from the cell's corner, then a sigmoid; "offset-points": v cells from the anchor Sources: Li et al.,
 * "Generalized Focal Loss", NeurIPS 2020 (distances); Feng et al., TOOD, ICCV 2021.
 */
#include <math.h>
#include <string.h>
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

enum boxes { BOXES_CENTRE, BOXES_CORNERS, BOXES_ROTATED };
enum extra { EXTRA_NONE, EXTRA_RAW, EXTRA_ANGLE, EXTRA_PLAIN_ANGLE, EXTRA_POINTS, EXTRA_OFFSET_POINTS };

static const char *const boxes_words[] = { "centre", "corners", "rotated", NULL };
static const char *const extra_words[] = { "none",   "raw",           "angle", "plain-angle",
                                           "points", "offset-points", NULL };

struct decode {
    enum boxes boxes;
    enum extra extra;
    int levels, maps; /* maps a level */
    int64_t bins, classes, extras, dims, anchors;
};

static int word_index(const char *word, const char *const words[])
{
    for (int i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0)
            return i;
    return -1;
}

static enum status check_level(const struct call *c, const struct decode *d, int level, struct fault *f)
{
    const struct value *first = c->in[level * d->maps];
    const int64_t channels[] = { 4 * d->bins, d->classes, d->extras };

    for (int i = 0; i < d->maps; i++) {
        const struct value *x = c->in[level * d->maps + i];
        if (!x || x->type != DTYPE_F32 || x->rank != 4 || x->dims[1] != channels[i] ||
            x->dims[0] != c->in[0]->dims[0] || x->dims[2] != first->dims[2] ||
            x->dims[3] != first->dims[3])
            return op_refuse(c, f, "the maps of level %d do not fit each other", level);
    }
    return ST_OK;
}

static enum status read_words(const struct call *c, struct decode *d, struct fault *f)
{
    const int boxes = word_index(node_string(c->node, "boxes", "centre"), boxes_words),
              extra = word_index(node_string(c->node, "extra", "none"), extra_words);

    if (boxes < 0 || extra < 0)
        return op_refuse(c, f, "unknown kind of boxes or extra values");
    d->boxes = (enum boxes)boxes;
    d->extra = (enum extra)extra;
    d->maps = extra == EXTRA_NONE ? 2 : 3;
    d->dims = node_int(c->node, "dims", 2);
    if (d->dims < 2 || d->dims > 3)
        return op_refuse(c, f, "points have 2 or 3 values, not %lld", (long long)d->dims);
    return ST_OK;
}

static enum status check_strides(const struct call *c, const struct decode *d, struct fault *f)
{
    const struct attribute *strides = node_attribute(c->node, "strides");

    if (!strides || strides->n != (size_t)d->levels)
        return op_refuse(c, f, "a stride for each level is needed");
    for (int i = 0; i < d->levels; i++)
        if (!(strides->floats[i] > 0 && strides->floats[i] <= LIMIT_MODEL_INPUT_PX))
            return op_refuse(c, f, "a stride of %g is none", (double)strides->floats[i]);
    return ST_OK;
}

static enum status check_extra(const struct call *c, const struct decode *d, struct fault *f)
{
    const bool angle = d->extra == EXTRA_ANGLE || d->extra == EXTRA_PLAIN_ANGLE,
               points = d->extra == EXTRA_POINTS || d->extra == EXTRA_OFFSET_POINTS;

    if ((d->boxes == BOXES_ROTATED) != angle || (angle && d->extras != 1))
        return op_refuse(c, f, "rotated boxes need one angle, others none");
    if (points && d->extras % d->dims)
        return op_refuse(c, f, "points of %lld values do not fit %lld", (long long)d->dims,
                         (long long)d->extras);
    return ST_OK;
}

static enum status decode_read(const struct call *c, struct decode *d, struct fault *f)
{
    enum status st = read_words(c, d, f);

    if (st != ST_OK)
        return st;
    if (c->nin % d->maps)
        return op_refuse(c, f, "%d maps, not %d a level", c->nin, d->maps);
    for (int i = 0; i < d->maps; i++)
        if (!c->in[i] || c->in[i]->rank != 4)
            return op_refuse(c, f, "map %d is none", i);
    d->levels = c->nin / d->maps;
    d->bins = c->in[0]->dims[1] / 4;
    d->classes = c->in[1]->dims[1];
    d->extras = d->extra == EXTRA_NONE ? 0 : c->in[2]->dims[1];
    if (d->bins < 1 || d->bins > 256 || d->classes < 1)
        return op_refuse(c, f, "%lld box channels and %lld classes make no boxes",
                         (long long)c->in[0]->dims[1], (long long)d->classes);
    for (int i = 0; st == ST_OK && i < d->levels; i++) {
        if ((st = check_level(c, d, i, f)) == ST_OK)
            d->anchors += c->in[i * d->maps]->dims[2] * c->in[i * d->maps]->dims[3];
    }
    if (st == ST_OK && (st = check_strides(c, d, f)) == ST_OK)
        st = check_extra(c, d, f);
    return st;
}

static enum status infer(const struct call *c, struct fault *f)
{
    struct decode d = { 0 };
    enum status st = decode_read(c, &d, f);

    if (st == ST_OK)
        call_set_shape(c, 0, DTYPE_F32, 3,
                       (int64_t[]){ c->in[0]->dims[0], 4 + d.classes + d.extras, d.anchors });
    return st;
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* The mean bin under softmax of bins values that lie `plane` apart. */
static float mean_bin(const float *x, int64_t bins, size_t plane)
{
    float most = x[0], sum = 0, weighted = 0;

    if (bins == 1)
        return x[0];
    for (size_t k = 1; k < (size_t)bins; k++)
        most = fmaxf(most, x[k * plane]);
    for (size_t k = 0; k < (size_t)bins; k++) {
        const float e = expf(x[k * plane] - most);
        sum += e;
        weighted += e * (float)k;
    }
    return weighted / sum;
}

/* One level of one picture: its maps, its cells, and where its first anchor goes. */
struct level {
    const float *box, *score, *extra;
    int64_t width;
    size_t plane;
    float stride;
    float *out;
    size_t row; /* floats from one output row to the next */
};

static float decode_angle(const struct decode *d, const struct level *l, size_t i)
{
    return d->extra == EXTRA_ANGLE ? (sigmoid(l->extra[i]) - 0.25f) * (float)M_PI : l->extra[i];
}

static void decode_box(const struct decode *d, const struct level *l, size_t i)
{
    const float ax = (float)((int64_t)i % l->width) + 0.5f, ay = (float)((int64_t)i / l->width) + 0.5f;
    float side[4], box[4], angle;

    for (size_t s = 0; s < 4; s++)
        side[s] = mean_bin(l->box + s * (size_t)d->bins * l->plane + i, d->bins, l->plane);
    box[0] = (side[2] - side[0]) / 2;
    box[1] = (side[3] - side[1]) / 2;
    box[2] = side[0] + side[2];
    box[3] = side[1] + side[3];
    if (d->boxes == BOXES_ROTATED) {
        const float x = box[0], y = box[1];
        angle = decode_angle(d, l, i);
        box[0] = x * cosf(angle) - y * sinf(angle);
        box[1] = x * sinf(angle) + y * cosf(angle);
    }
    box[0] += ax;
    box[1] += ay;
    if (d->boxes == BOXES_CORNERS) {
        box[0] = ax - side[0];
        box[1] = ay - side[1];
        box[2] = ax + side[2];
        box[3] = ay + side[3];
    }
    for (size_t k = 0; k < 4; k++)
        l->out[k * l->row + i] = box[k] * l->stride;
}

/* Value k of the extras of cell i. */
static float decode_extra(const struct decode *d, const struct level *l, size_t k, size_t i)
{
    const float v = l->extra[k * l->plane + i];
    const size_t axis = k % (size_t)d->dims;
    const float cell = (float)(axis ? (int64_t)i / l->width : (int64_t)i % l->width);

    if (d->extra == EXTRA_ANGLE || d->extra == EXTRA_PLAIN_ANGLE)
        return decode_angle(d, l, i);
    if (d->extra == EXTRA_RAW)
        return v;
    if (axis == 2)
        return sigmoid(v);
    return (d->extra == EXTRA_POINTS ? 2 * v + cell : v + (cell + 0.5f)) * l->stride;
}

static void decode_level(const struct decode *d, const struct level *l)
{
    float *scores = l->out + 4 * l->row, *extras = scores + (size_t)d->classes * l->row;

    for (size_t i = 0; i < l->plane; i++)
        decode_box(d, l, i);
    for (size_t k = 0; k < (size_t)d->classes; k++)
        for (size_t i = 0; i < l->plane; i++)
            scores[k * l->row + i] = sigmoid(l->score[k * l->plane + i]);
    for (size_t k = 0; k < (size_t)d->extras; k++)
        for (size_t i = 0; i < l->plane; i++)
            extras[k * l->row + i] = decode_extra(d, l, k, i);
}

static void reference(const struct call *c)
{
    const float *strides = node_attribute(c->node, "strides")->floats;
    const size_t batch = (size_t)c->in[0]->dims[0];
    struct decode d = { 0 };

    if (decode_read(c, &d, NULL) != ST_OK)
        return; /* infer has accepted it */
    for (size_t n = 0; n < batch; n++) {
        float *out = value_f32(c->out[0]) + n * value_span(c->out[0], 1, 3);
        for (int i = 0; i < d.levels; i++) {
            const struct value *const *maps = &c->in[i * d.maps];
            struct level l = { .box = value_f32(maps[0]) + n * value_span(maps[0], 1, 4),
                               .score = value_f32(maps[1]) + n * value_span(maps[1], 1, 4),
                               .width = maps[0]->dims[3],
                               .plane = value_span(maps[0], 2, 4),
                               .stride = strides[i],
                               .out = out,
                               .row = (size_t)d.anchors };
            if (d.maps == 3)
                l.extra = value_f32(maps[2]) + n * value_span(maps[2], 1, 4);
            decode_level(&d, &l);
            out += l.plane;
        }
    }
}

const struct op ops_yolo_decode[] = {
    { .name = "YoloDecode",
      .min_in = 2,
      .max_in = OP_ANY,
      .min_out = 1,
      .max_out = 1,
      .attributes = "F:strides s:boxes s:extra i:dims",
      .infer = infer,
      .reference = reference,
      .lower = lower_yolo_decode,
      .heavy = true,
      .internal = true },
    { 0 },
};
