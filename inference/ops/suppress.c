/*
 * NonMaxSuppression (ONNX, opsets 10 to 22): greedy, per image and class, best first, the lower index
 * first among equals; a box that overlaps a kept one by more than the threshold goes. How many remain is
 * known only from the boxes: the node is late (inference/graph/late.h).
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

struct candidate {
    float score;
    float low[2], high[2]; /* y, x */
    float area;
    int64_t index;
};

/* b: x, y, w, h of the centre's form; else any two opposite corners, y first. */
static void set_box(const float *b, bool centre, struct candidate *c)
{
    for (int i = 0; i < 2; i++) {
        c->low[i] = centre ? b[1 - i] - b[3 - i] / 2 : fminf(b[i], b[2 + i]);
        c->high[i] = centre ? b[1 - i] + b[3 - i] / 2 : fmaxf(b[i], b[2 + i]);
    }
    c->area = (c->high[0] - c->low[0]) * (c->high[1] - c->low[1]);
}

static bool overlap(const struct candidate *a, const struct candidate *b, float iou)
{
    float side[2], common;

    for (int i = 0; i < 2; i++) {
        const float low = a->low[i] > b->low[i] ? a->low[i] : b->low[i];
        side[i] = (a->high[i] < b->high[i] ? a->high[i] : b->high[i]) - low;
    }
    common = side[0] > 0 && side[1] > 0 ? side[0] * side[1] : 0;
    return common > 0 && common / (a->area + b->area - common) > iou;
}

static int best_first(const void *a, const void *b)
{
    const struct candidate *p = a, *q = b;

    return p->score != q->score ? (p->score < q->score) - (p->score > q->score)
                                : (p->index > q->index) - (p->index < q->index);
}

/* Those of one class of one image above the score, best first, in c [n]; how many. */
static size_t candidates_of(const struct suppression *s, size_t image, size_t class, struct candidate *c)
{
    const float *scores = value_f32(s->scores) + (image * s->classes + class) * s->n;
    const float *boxes = value_f32(s->boxes) + image * s->n * 4;
    size_t n = 0;

    for (size_t i = 0; i < s->n; i++)
        if (scores[i] > s->score) {
            c[n].score = scores[i];
            c[n].index = (int64_t)i;
            set_box(boxes + i * 4, s->centre, &c[n++]);
        }
    qsort(c, n, sizeof *c, best_first);
    return n;
}

/* The kept ones of c [n] to its front; how many. Takes comparisons, and what sorting cost, off *work. */
static size_t keep(const struct suppression *s, struct candidate *c, size_t n, int64_t *work)
{
    enum { SORTING = 32 }; /* comparisons that sorting one costs */
    size_t kept = 0;

    *work -= (int64_t)s->n + SORTING * (int64_t)n;
    for (size_t i = 0; i < n && (int64_t)kept < s->most && *work >= 0; i++) {
        size_t k = 0;
        while (k < kept && !overlap(&c[k], &c[i], s->iou))
            k++;
        *work -= (int64_t)k + 1;
        if (k == kept)
            c[kept++] = c[i];
    }
    return kept;
}

/* Rows of image, class, box; how many, or -1 after LIMIT_SUPPRESSION_WORK, or out of memory. */
static int64_t suppress(const struct suppression *s, int64_t *rows)
{
    struct candidate *c = malloc((s->n + 1) * sizeof *c);
    int64_t total = 0, work = c ? LIMIT_SUPPRESSION_WORK : -1;

    for (size_t i = 0; work >= 0 && i < s->batch * s->classes; i++) {
        const size_t image = i / s->classes, class = i % s->classes;
        const size_t kept = keep(s, c, candidates_of(s, image, class, c), &work);
        for (size_t k = 0; k < kept; k++, total++) {
            rows[total * 3] = (int64_t)image;
            rows[total * 3 + 1] = (int64_t) class;
            rows[total * 3 + 2] = c[k].index;
        }
    }
    free(c);
    return work >= 0 ? total : -1;
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

/* The most: every box of every class, or as many as are wanted, where that is known. */
static enum status infer(const struct call *c, struct fault *f)
{
    enum status st = check_shapes(c, f);
    const struct value *scores = c->in[1], *wanted = call_in(c, 2);
    int64_t dims[2] = { 0, 3 }, most;

    if (st != ST_OK)
        return st;
    most = !wanted ? 0 : wanted->data ? value_get_i64(wanted, 0) : scores->dims[2];
    most = most < 0 ? 0 : most < scores->dims[2] ? most : scores->dims[2];
    dims[0] = scores->dims[0] * scores->dims[1] * most; /* no more than there are scores */
    call_set_shape(c, 0, DTYPE_I64, 2, dims);
    return ST_OK;
}

static void reference(const struct call *c)
{
    const struct suppression s = suppression_read(c);

    c->out[0]->dims[0] = suppress(&s, value_i64(c->out[0]));
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
      .reference = reference,
      .heavy = true,
      .shrinks = true },
    { 0 },
};
