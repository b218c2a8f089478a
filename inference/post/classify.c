/*
 * Classifiers: one row of scores, [1, classes] with any number of sides of 1 behind. Each class is a
 * candidate without a box; the caller keeps the likeliest.
 *
 * A file of the YOLO packages is known by its metadata and wants plain pixels ("yolo-classify");
 * anything else is shown the middle 7/8 of the picture on ImageNet's scale, as networks from the usual
 * collections were trained ("classifier"). Where the graph does not end in a softmax or a sigmoid,
 * the softmax is taken here.
 */
#include <math.h>
#include <string.h>
#include "inference/post/family.h"

static bool recognise(const struct head_facts *f, struct head *ret)
{
    const struct value *v = &f->outputs[0].v;
    const char *made_by = f->outputs[0].made_by;

    if (f->noutputs < 1 || v->type != DTYPE_F32 || v->rank < 2 ||
        (f->task_known && f->task != TASK_CLASSIFY))
        return false;
    for (int i = 0; i < v->rank; i++)
        if (i != 1 && v->dims[i] != 1)
            return false;
    ret->task = TASK_CLASSIFY;
    ret->n = ret->nclasses = (size_t)v->dims[1];
    ret->logits = strcmp(made_by, "Softmax") != 0 && strcmp(made_by, "Sigmoid") != 0;
    return ret->n > 1 && (!f->nclasses || f->nclasses == ret->n);
}

static bool recognise_yolo(const struct head_facts *f, struct head *ret)
{
    return f->task_known && f->task == TASK_CLASSIFY && f->from_yolo && recognise(f, ret);
}

/* conf does not matter: the best classes are wanted, however sure. */
static void decode(const struct head *h, const struct value out[], float conf, struct candidates *ret)
{
    const float *scores = out[0].data;
    float most = -INFINITY, sum = 0;

    (void)conf;
    for (size_t i = 0; h->logits && i < h->n; i++)
        most = fmaxf(most, scores[i]);
    for (size_t i = 0; h->logits && i < h->n; i++)
        sum += expf(scores[i] - most);
    for (size_t i = 0; i < h->n; i++)
        candidates_add(
            ret, (struct candidate){ .label = (int)i,
                                     .score = h->logits ? expf(scores[i] - most) / sum : scores[i] });
}

const struct family family_yolo_classify = {
    .name = "yolo-classify",
    .preprocess = &preprocess_yolo_crop,
    .recognise = recognise_yolo,
    .decode = decode,
};

const struct family family_classifier = {
    .name = "classifier",
    .preprocess = &preprocess_imagenet,
    .recognise = recognise,
    .decode = decode,
};

const struct family family_yolov5_classify = {
    .name = "yolov5-classify",
    .preprocess = &preprocess_imagenet_whole,
    .declared_only = true,
    .recognise = recognise,
    .decode = decode,
};
