/*
 * Outputs of networks from strangers: whatever shapes a family takes for its own, and whatever numbers
 * are in them, decoding, suppression, masks, key points and drawing stay within their memory, and what
 * comes out lies in the picture.
 *
 * The input: family, task, metadata, shapes of up to twelve outputs, some of which a run may shorten,
 * then the numbers, read again and again.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inference/post/finish.h"

enum { OUTPUTS = 12, SIDE = 64, PICTURE = 50, ELEMENTS_MAX = 1 << 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct input {
    const uint8_t *p;
    size_t n, at;
};

static int take(struct input *in)
{
    return in->at < in->n ? in->p[in->at++] : 0;
}

/* Any float at all, or one between -4 and 4: those that do something. */
static float number(struct input *in, size_t i)
{
    uint32_t bits = 0;

    if (in->n - in->at < 5)
        return (float)((int)(i * 37 % 64) - 32) / 8;
    for (int k = 0; k < 4; k++)
        bits = bits << 8 | in->p[in->at + (i * 3 + (size_t)k) % (in->n - in->at)];
    if (bits % 3 != 0)
        return (float)((int)(bits >> 8 & 63) - 32) / 8;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static int dim(struct input *in)
{
    static const int usual[] = { 1, 2, 4, 5, 6, 7, 8, 10, 16, 32, 64, 84, 300, 4, 1, 85 };
    const int b = take(in);

    return b < 128 ? usual[b & 15] : b - 127;
}

static void read_output(struct input *in, struct output_fact *o)
{
    static const char *const makers[] = { "", "Softmax", "Sigmoid", "Conv" };

    const int shape = take(in), made = take(in);

    *o = (struct output_fact){ .v = { .type = made & 128 ? DTYPE_I64 : DTYPE_F32,
                                      .rank = 2 + (shape & 63) % 3 },
                               .made_by = makers[made & 3],
                               .name = made & 64 ? "classes" : NULL,
                               .late = shape & 128,
                               .integers = made & 32 ? 1u << 5 : 0 };
    for (int i = 0; i < o->v.rank; i++)
        o->v.dims[i] = i == 0 ? 1 : dim(in);
}

static bool read_facts(struct input *in, struct head_facts *f)
{
    const int flags = take(in);
    size_t elements = 0, n;

    f->input_width = f->input_height = SIDE;
    f->task_known = flags & 1;
    f->task = (enum model_task)(take(in) % TASK__COUNT);
    f->nclasses = (size_t)take(in) % 8;
    f->end_to_end = flags & 2;
    f->focus = flags & 4;
    f->exponential = flags & 8;
    f->from_yolo = flags & 16;
    f->keypoints = flags & 32 ? take(in) % 8 : 0;
    f->keypoint_dims = f->keypoints ? 2 + (flags >> 6 & 1) : 0;
    f->noutputs = (size_t)(1 + take(in) % OUTPUTS);
    for (size_t i = 0; i < f->noutputs; i++) {
        read_output(in, &f->outputs[i]);
        if (!value_count(&f->outputs[i].v, &n) || (elements += n) > ELEMENTS_MAX)
            return false;
    }
    return true;
}

static void check(bool holds)
{
    if (!holds)
        __builtin_trap();
}

static void check_prediction(const struct prediction *p)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct detection *d = &p->items[i];
        check(d->score <= 1 && !isnan(d->score) && d->label >= 0);
        check(d->x0 >= 0 && d->y0 >= 0 && d->x0 <= d->x1 && d->y0 <= d->y1 && d->x1 <= PICTURE &&
              d->y1 <= PICTURE);
        for (size_t k = 0; k < d->npolygon; k++)
            check(d->polygon[k].x >= 0 && d->polygon[k].x <= PICTURE && d->polygon[k].y >= 0 &&
                  d->polygon[k].y <= PICTURE);
        for (size_t k = 0; k < d->nkeypoints; k++)
            check(d->keypoints[k].x >= 0 && d->keypoints[k].x <= PICTURE &&
                  d->keypoints[k].visibility >= 0 && d->keypoints[k].visibility <= 1);
    }
}

static void run(const struct head *h, const struct head_facts *f, struct input *in)
{
    const struct letterbox l = letterbox_fit(h->family->preprocess->fit, h->family->preprocess->keep,
                                             PICTURE, PICTURE / 2 + 25, SIDE, SIDE);
    const struct predict_options o = { .conf = (float)(take(in) % 8) / 10,
                                       .iou = (float)(take(in) % 11) / 10,
                                       .max_detections = 1 + take(in),
                                       .agnostic = take(in) & 1 };
    struct prediction p = { .arena = arena_create(8 << 20) };
    struct value out[HEAD_OUTPUTS] = { 0 };
    struct fault fault = FAULT_INIT;

    for (size_t i = 0; i < f->noutputs; i++) {
        size_t n;
        out[i] = f->outputs[i].v;
        for (int k = 0; f->outputs[i].late && k < out[i].rank; k++)
            out[i].dims[k] -= take(in) % 4 == 0 && out[i].dims[k] > 0;
        n = value_elements(&out[i]);
        out[i].data = malloc(value_bytes(&out[i])); /* exactly: a step beyond is seen */
        for (size_t k = 0; out[i].data && k < n; k++)
            if (out[i].type == DTYPE_I64)
                value_i64(&out[i])[k] = (int64_t)(k * 7 % 13) - 2;
            else
                value_f32(&out[i])[k] = number(in, k);
    }
    if (p.arena && prediction_finish(h, out, &l, &o, &p, &fault) == ST_OK)
        check_prediction(&p);
    for (size_t i = 0; i < f->noutputs; i++)
        free(out[i].data);
    prediction_free(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = { data, size, 0 };
    struct head_facts f = { 0 };
    const size_t family = (size_t)take(&in) % 20;
    const char *name = NULL;
    struct head h;
    char why[160];

    for (size_t i = 0; i <= family && (name = family_name(i)); i++)
        continue;
    if (read_facts(&in, &f) && head_recognise(&f, name, &h, why, sizeof why))
        run(&h, &f, &in);
    return 0;
}
