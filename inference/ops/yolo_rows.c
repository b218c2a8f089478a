/*
 * YoloRows: the best detections of an end-to-end YOLO head (v10, v26) as rows. Internal: readers of
 * checkpoints make it.
 *
 * Input [N, 4 + classes + extras, A] as YoloDecode gives it. Output [N, k, 6 + extras], k the smaller of
 * `rows` and A: box, score, class, extras. The k anchors with the best class are taken; of all their
 * scores the best k are the rows, best first, so that an anchor may appear with two classes. Of equal
 * scores the lower index counts more.
 * Source: Wang et al., "YOLOv10", NeurIPS 2024, section 3.1 (one label an object, no suppression).
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inference/ops/topk.h"
#include "inference/plan/lower.h"

struct rows {
    size_t classes, extras, anchors, k;
};

static struct rows rows_read(const struct call *c)
{
    const struct value *x = c->in[0];
    const int64_t classes = node_int(c->node, "nclasses", 0), most = node_int(c->node, "rows", 300);

    return (struct rows){ .classes = (size_t)classes,
                          .extras = (size_t)(x->dims[1] - 4 - classes),
                          .anchors = (size_t)x->dims[2],
                          .k = (size_t)(most < x->dims[2] ? most : x->dims[2]) };
}

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    const int64_t classes = node_int(c->node, "nclasses", 0), most = node_int(c->node, "rows", 300);
    struct rows r;

    if (x->type != DTYPE_F32 || x->rank != 3 || classes < 1 || classes > x->dims[1] - 4)
        return op_refuse(c, f, "%lld classes do not fit the input", (long long)classes);
    if (most < 1 || most > LIMIT_TENSOR_ELEMENTS / classes)
        return op_refuse(c, f, "%lld rows are none", (long long)most);
    r = rows_read(c);
    call_set_shape(c, 0, DTYPE_F32, 3, (int64_t[]){ x->dims[0], (int64_t)r.k, (int64_t)(6 + r.extras) });
    return ST_OK;
}

/* Memory of one run: the best class of each anchor, then all scores of the best anchors. */
struct scratch {
    float *best, *scores;
    int64_t *anchors, *picked;
};

static void rows_of_picture(const struct rows *r, const float *x, const struct scratch *s, float *out)
{
    const float *score = x + 4 * r->anchors, *extra = score + r->classes * r->anchors;

    for (size_t i = 0; i < r->anchors; i++)
        s->best[i] = score[i];
    for (size_t k = 1; k < r->classes; k++)
        for (size_t i = 0; i < r->anchors; i++)
            s->best[i] = score[k * r->anchors + i] > s->best[i] ? score[k * r->anchors + i] : s->best[i];
    topk_select(s->best, 1, r->anchors, s->anchors, r->k, 1);
    for (size_t i = 0; i < r->k; i++)
        for (size_t k = 0; k < r->classes; k++)
            s->scores[i * r->classes + k] = score[k * r->anchors + (size_t)s->anchors[i]];
    topk_select(s->scores, 1, r->k * r->classes, s->picked, r->k, 1);
    for (size_t i = 0; i < r->k; i++) {
        const size_t at = (size_t)s->picked[i], anchor = (size_t)s->anchors[at / r->classes];
        for (size_t k = 0; k < 4; k++)
            *out++ = x[k * r->anchors + anchor];
        *out++ = s->scores[at];
        *out++ = (float)(at % r->classes);
        for (size_t k = 0; k < r->extras; k++)
            *out++ = extra[k * r->anchors + anchor];
    }
}

/* Without memory the rows are zeros: no detections. */
static void reference(const struct call *c)
{
    const struct rows r = rows_read(c);
    const size_t in = value_span(c->in[0], 1, 3), out = value_span(c->out[0], 1, 3);
    struct scratch s = { .best = malloc((r.anchors + 1) * sizeof(float)),
                         .scores = malloc((r.k * r.classes + 1) * sizeof(float)),
                         .anchors = malloc((r.k + 1) * sizeof(int64_t)),
                         .picked = malloc((r.k + 1) * sizeof(int64_t)) };

    memset(c->out[0]->data, 0, value_bytes(c->out[0]));
    if (s.best && s.scores && s.anchors && s.picked)
        for (size_t n = 0; n < (size_t)c->in[0]->dims[0]; n++)
            rows_of_picture(&r, value_f32(c->in[0]) + n * in, &s, value_f32(c->out[0]) + n * out);
    free(s.best);
    free(s.scores);
    free(s.anchors);
    free(s.picked);
}

const struct op ops_yolo_rows[] = {
    { .name = "YoloRows",
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:nclasses i:rows",
      .infer = infer,
      .reference = reference,
      .lower = lower_yolo_rows,
      .heavy = true,
      .internal = true },
    { 0 },
};
