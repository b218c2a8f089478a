/*
 * NonMaxSuppression (ONNX, opsets 10 to 22): greedy, per image and class, best first, the lower index
 * first among equals; a box that overlaps a kept one by more than the threshold goes. How many remain is
 * known only from the boxes, and the shapes of a plan are fixed, so the node works where its inputs are
 * known at load; elsewhere a file is refused.
 */
#include <math.h>
#include <stdlib.h>
#include "inference/ops/op.h"

struct suppression {
    const struct value *boxes, *scores; /* [B, N, 4], [B, C, N] */
    size_t batch, classes, n;
    int64_t most; /* for each image and class */
    float iou, score;
    bool centre;
};

static struct suppression suppression_read(const struct call *c)
{
    const struct value *most = call_in(c, 2), *iou = call_in(c, 3), *score = call_in(c, 4);

    return (struct suppression){
        .boxes = c->in[0],
        .scores = c->in[1],
        .batch = (size_t)c->in[1]->dims[0],
        .classes = (size_t)c->in[1]->dims[1],
        .n = (size_t)c->in[1]->dims[2],
        .most = most ? value_get_i64(most, 0) : 0,
        .iou = iou ? value_f32(iou)[0] : 0,
        .score = score ? value_f32(score)[0] : -INFINITY,
        .centre = node_int(c->node, "center_point_box", 0) != 0,
    };
}

/* y0, x0, y1, x1 in order. */
static void corners(const struct suppression *s, const float *b, float ret[4])
{
    for (int i = 0; i < 2; i++)
        if (s->centre) { /* x, y, w, h */
            ret[i] = b[1 - i] - b[3 - i] / 2;
            ret[2 + i] = b[1 - i] + b[3 - i] / 2;
        } else { /* any two opposite corners, y first */
            ret[i] = fminf(b[i], b[2 + i]);
            ret[2 + i] = fmaxf(b[i], b[2 + i]);
        }
}

static bool overlap(const struct suppression *s, const float *a, const float *b)
{
    float p[4], q[4], side[2], area[2], common;

    corners(s, a, p);
    corners(s, b, q);
    for (int i = 0; i < 2; i++)
        side[i] = fminf(p[2 + i], q[2 + i]) - fmaxf(p[i], q[i]);
    area[0] = (p[2] - p[0]) * (p[3] - p[1]);
    area[1] = (q[2] - q[0]) * (q[3] - q[1]);
    common = side[0] > 0 && side[1] > 0 ? side[0] * side[1] : 0;
    return common > 0 && common / (area[0] + area[1] - common) > s->iou;
}

struct candidate {
    float score;
    int64_t index;
};

static int best_first(const void *a, const void *b)
{
    const struct candidate *p = a, *q = b;

    return p->score != q->score ? (p->score < q->score) - (p->score > q->score)
                                : (p->index > q->index) - (p->index < q->index);
}

/* The kept ones of one class of one image to the front of c [n]; how many. */
static size_t suppress_class(const struct suppression *s, size_t image, size_t class,
                             struct candidate *c)
{
    const float *scores = value_f32(s->scores) + (image * s->classes + class) * s->n;
    const float *boxes = value_f32(s->boxes) + image * s->n * 4;
    size_t n = 0, kept = 0;

    for (size_t i = 0; i < s->n; i++)
        if (scores[i] > s->score)
            c[n++] = (struct candidate){ scores[i], (int64_t)i };
    qsort(c, n, sizeof *c, best_first);
    for (size_t i = 0; i < n && (int64_t)kept < s->most; i++) {
        bool free_standing = true;
        for (size_t k = 0; free_standing && k < kept; k++)
            free_standing = !overlap(s, boxes + c[k].index * 4, boxes + c[i].index * 4);
        if (free_standing)
            c[kept++] = c[i];
    }
    return kept;
}

/* Rows of image, class, box into rows, unless NULL; how many; -1: out of memory. */
static int64_t suppress(const struct suppression *s, int64_t *rows)
{
    struct candidate *c = calloc(s->n + 1, sizeof *c);
    int64_t total = 0;

    if (!c)
        return -1;
    for (size_t image = 0; image < s->batch; image++)
        for (size_t class = 0; class < s->classes; class ++) {
            const size_t kept = suppress_class(s, image, class, c);
            for (size_t i = 0; i < kept; i++, total++)
                if (rows) {
                    rows[total * 3] = (int64_t)image;
                    rows[total * 3 + 1] = (int64_t) class;
                    rows[total * 3 + 2] = c[i].index;
                }
        }
    free(c);
    return total;
}

static enum status check_shapes(const struct call *c, struct fault *f)
{
    const struct value *b = c->in[0], *s = c->in[1];

    if (b->type != DTYPE_F32 || s->type != DTYPE_F32 || b->rank != 3 || s->rank != 3 ||
        b->dims[2] != 4 || b->dims[0] != s->dims[0] || b->dims[1] != s->dims[2])
        return op_refuse(c, f, "boxes and scores are not [B, N, 4] and [B, C, N] of float32");
    for (int i = 2; i < 5; i++) {
        const struct value *v = call_in(c, i);
        if (v && (value_elements(v) != 1 || v->type != (i == 2 ? DTYPE_I64 : DTYPE_F32)))
            return op_refuse(c, f, "input %d is not a number of the right type", i + 1);
    }
    return ST_OK;
}

static enum status infer(const struct call *c, struct fault *f)
{
    enum { WORK_MAX = 1 << 20 }; /* boxes times classes that are compared at load */
    enum status st = check_shapes(c, f);
    struct suppression s;
    int64_t dims[2] = { 0, 3 };
    bool known;
    size_t work;

    if (st != ST_OK)
        return st;
    known = c->in[0]->data && c->in[1]->data;
    for (int i = 2; i < c->nin; i++)
        known &= !c->in[i] || c->in[i]->data;
    if (!known)
        return op_unsupported(c, f,
                              "how many boxes it keeps depends on the picture; export the "
                              "model without it (nms=False)");
    s = suppression_read(c);
    if (!size_mul(s.n, s.n, &work) || !size_mul(work, s.batch * s.classes, &work) || work > WORK_MAX)
        return op_unsupported(c, f, "too many constant boxes");
    if ((dims[0] = suppress(&s, NULL)) < 0)
        return op_unsupported(c, f, "out of memory");
    call_set_shape(c, 0, DTYPE_I64, 2, dims);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct suppression s = suppression_read(c);

    (void)suppress(&s, value_i64(c->out[0]));
}

const struct op ops_suppress[] = {
    { .name = "NonMaxSuppression",
      .since = 10,
      .min_in = 2,
      .max_in = 5,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:center_point_box",
      .infer = infer,
      .reference = reference },
    { 0 },
};
