/*
 * Heads that write finished rows: YOLOv10, YOLO26 and exports with suppression inside. [1, n, columns],
 * n at most a thousand or what suppression inside keeps, padded with rows of low score. A row: x0, y0,
 * x1, y1, score, class, then mask coefficients or finished key points; of rotated boxes: centre x,
 * centre y, width, height, score, class, angle. Nothing is suppressed: the network, or the export, has
 * seen to it.
 */
#include <math.h>
#include "inference/post/family.h"
#include "inference/post/table.h"

enum { ROWS_MAX = 1000, SCORE = 4, CLASS = 5, FIXED = 6 };

static bool recognise(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;
    size_t extra;
    const bool kept = f->outputs[0].late; /* the graph itself suppresses */

    if (!fact_is(f, 0, 3) || (v->dims[1] > ROWS_MAX && !kept) ||
        !table_task(f, FIXED, (size_t)v->dims[2], ret, &extra))
        return false;
    /* two classes with a score each would look the same */
    if ((size_t)v->dims[2] != FIXED + extra || (!f->end_to_end && !kept && f->nclasses == FIXED - SCORE))
        return false;
    table_layout(v, true, ret);
    ret->nclasses = f->nclasses;
    ret->extra_at = FIXED;
    return true;
}

static struct candidate corners(const float *r)
{
    return (struct candidate){ .x0 = fminf(r[0], r[2]),
                               .y0 = fminf(r[1], r[3]),
                               .x1 = fmaxf(r[0], r[2]),
                               .y1 = fmaxf(r[1], r[3]) };
}

static void decode(const struct head *h, const struct value out[], float conf, struct candidates *ret)
{
    const size_t n = h->nlate ? value_elements(&out[0]) / h->row : h->n; /* may be fewer */

    for (size_t i = 0; i < n && (!h->nlate || out[0].dims[2] == (int64_t)h->row); i++) {
        const float *r = (const float *)out[0].data + i * h->row;
        struct candidate c;

        if (!(r[SCORE] > conf) || !(r[CLASS] >= 0) || !(r[CLASS] < LIMIT_MODEL_CLASSES) ||
            (h->nclasses && r[CLASS] >= (float)h->nclasses) ||
            !(isfinite(r[0]) && isfinite(r[1]) && isfinite(r[2]) && isfinite(r[3])))
            continue;
        c = h->task == TASK_OBB ? candidate_centred(r[0], r[1], r[2], r[3]) : corners(r);
        c.angle = h->task == TASK_OBB ? r[FIXED] : 0;
        c.score = r[SCORE];
        c.label = (int)r[CLASS];
        c.row = (uint32_t)i;
        candidates_add(ret, c);
    }
}

const struct family family_rows = {
    .name = "end2end",
    .suppression = SUPPRESS_NONE,
    .preprocess = &preprocess_yolo,
    .variable = true,
    .recognise = recognise,
    .decode = decode,
};
