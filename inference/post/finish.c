/* From candidates to predictions: see finish.h. */
#include "inference/post/finish.h"

#include <math.h>
#include <string.h>
#include "inference/post/family.h"
#include "inference/post/mask.h"
#include "inference/post/nms.h"

enum { TOP = 5 };

static enum status no_room(const struct prediction *p, struct fault *f)
{
    if (arena_failed(p->arena))
        return fault_set(f, ST_TOO_LARGE, NULL, "the results need too much memory");
    return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
}

struct rotated_box rotated_of(const struct candidate *c, const struct letterbox *l)
{
    const struct point centre =
        letterbox_undo(l, (struct point){ (c->x0 + c->x1) / 2, (c->y0 + c->y1) / 2 });
    const double half = 1.57079632679489662, turned = fmod(c->angle, 2 * half);
    const double angle = turned < 0 ? turned + 2 * half : turned; /* 0 .. pi */
    const bool swap = angle >= half;
    const float along = (c->x1 - c->x0) / (float)l->gain_x, across = (c->y1 - c->y0) / (float)l->gain_y;
    struct rotated_box r = { .x = centre.x,
                             .y = centre.y,
                             .width = swap ? across : along,
                             .height = swap ? along : across,
                             .angle = (float)(swap ? angle - half : angle) };
    const float s = sinf(r.angle), k = cosf(r.angle);
    const float ux = r.width / 2 * k, uy = r.width / 2 * s, vx = -r.height / 2 * s,
                vy = r.height / 2 * k;

    r.corners[0] = (struct point){ r.x - ux - vx, r.y - uy - vy };
    r.corners[1] = (struct point){ r.x + ux - vx, r.y + uy - vy };
    r.corners[2] = (struct point){ r.x + ux + vx, r.y + uy + vy };
    r.corners[3] = (struct point){ r.x - ux + vx, r.y - uy + vy };
    return r;
}

static float between(float x, int most)
{
    return x > 0 ? fminf(x, (float)most) : 0;
}

/* The turned box, and the one along the axes around it. */
static bool finish_rotated(const struct candidate *c, const struct letterbox *l, struct arena *a,
                           struct detection *d)
{
    struct rotated_box *r = arena_alloc(a, sizeof *r);

    if (!r)
        return false;
    *r = rotated_of(c, l);
    d->rotated = r;
    d->x0 = d->x1 = r->x;
    d->y0 = d->y1 = r->y;
    for (int i = 0; i < 4; i++) {
        d->x0 = fminf(d->x0, r->corners[i].x);
        d->y0 = fminf(d->y0, r->corners[i].y);
        d->x1 = fmaxf(d->x1, r->corners[i].x);
        d->y1 = fmaxf(d->y1, r->corners[i].y);
    }
    d->x0 = between(d->x0, l->width);
    d->y0 = between(d->y0, l->height);
    d->x1 = between(d->x1, l->width);
    d->y1 = between(d->y1, l->height);
    return true;
}

static void finish_box(const struct candidate *c, const struct letterbox *l, struct detection *d)
{
    const struct point low = letterbox_undo_clipped(l, (struct point){ c->x0, c->y0 });
    const struct point high = letterbox_undo_clipped(l, (struct point){ c->x1, c->y1 });

    d->x0 = low.x;
    d->y0 = low.y;
    d->x1 = high.x;
    d->y1 = high.y;
}

/* A point that is not a number is one that is not seen. */
static bool finish_keypoints(const struct head *h, const struct value out[], const struct candidate *c,
                             const struct letterbox *l, struct arena *a, struct detection *d)
{
    if (h->nkeypoints == 0)
        return true;
    if (!(d->keypoints = arena_array(a, h->nkeypoints, sizeof *d->keypoints)))
        return false;
    d->nkeypoints = h->nkeypoints;
    head_keypoints(h, out, c, d->keypoints);
    for (size_t i = 0; i < d->nkeypoints; i++) {
        struct keypoint *k = &d->keypoints[i];
        const bool known = isfinite(k->x) && isfinite(k->y);
        const struct point p =
            letterbox_undo_clipped(l, (struct point){ known ? k->x : 0, known ? k->y : 0 });
        *k = (struct keypoint){ p.x, p.y, known ? k->visibility : 0 };
    }
    return true;
}

static bool finish_mask(struct mask_maker *m, const struct head *h, const struct value out[],
                        const struct candidate *c, const struct letterbox *l, struct arena *a,
                        struct detection *d)
{
    if (h->nmasks == 0)
        return true;
    if (!mask_polygon(m, h, out, c, a, &d->polygon, &d->npolygon))
        return false;
    for (size_t i = 0; i < d->npolygon; i++)
        d->polygon[i] = letterbox_undo_clipped(l, d->polygon[i]);
    return true;
}

/* Sorted, filtered and suppressed, in place. */
static bool choose(const struct head *h, const struct predict_options *o, struct candidates *c)
{
    const size_t top = o->top ? (size_t)o->top : TOP;
    const size_t most = h->task == TASK_CLASSIFY ? top : (size_t)o->max_detections;

    c->n = candidates_filter(c->items, c->n, o->classes, o->nclasses);
    if (!candidates_sort(c->items, c->n))
        return false;
    c->n = c->n < LIMIT_SUPPRESSED ? c->n : LIMIT_SUPPRESSED;
    if (h->family->suppression == SUPPRESS_NONE)
        c->n = c->n < most ? c->n : most;
    else if (h->task == TASK_OBB)
        return nms_rotated(c->items, c->n, o->iou, o->agnostic, most, &c->n);
    else
        c->n = nms(c->items, c->n, o->iou, o->agnostic, most);
    return true;
}

/* Details of the chosen; detections with an empty mask go. */
static bool detail(const struct head *h, const struct value out[], const struct letterbox *l,
                   const struct candidates *c, struct mask_maker *m, struct prediction *p)
{
    if (!(p->items = arena_array(p->arena, c->n + 1, sizeof *p->items)))
        return false;
    for (size_t i = 0; i < c->n; i++) {
        const struct candidate *one = &c->items[i];
        struct detection d = { .label = one->label, .score = one->score };

        if (h->task == TASK_OBB && !finish_rotated(one, l, p->arena, &d))
            return false;
        if (h->task != TASK_OBB && h->task != TASK_CLASSIFY)
            finish_box(one, l, &d);
        if (!finish_keypoints(h, out, one, l, p->arena, &d) ||
            !finish_mask(m, h, out, one, l, p->arena, &d))
            return false;
        if (h->nmasks == 0 || d.npolygon > 0)
            p->items[p->n++] = d;
    }
    return true;
}

/* Whether a run gave what the head was recognised by. */
static bool late_fit(const struct head *h, const struct value out[])
{
    for (int i = 0; i < h->nlate; i++) {
        const struct value *got = &out[h->late[i].output], *most = &h->late[i].most;
        if (got->type != most->type || got->rank != most->rank)
            return false;
        for (int k = 0; k < got->rank; k++)
            if (got->dims[k] != most->dims[k] &&
                !(h->family->variable && h->nmasks == 0 && got->dims[k] < most->dims[k]))
                return false;
    }
    return true;
}

enum status prediction_finish(const struct head *h, const struct value out[], const struct letterbox *l,
                              const struct predict_options *o, struct prediction *p, struct fault *f)
{
    struct candidates c = { 0 };
    struct mask_maker m = { 0 };
    bool ok;

    if (!late_fit(h, out))
        return fault_set(f, ST_UNSUPPORTED, "model",
                         "its outputs took another shape than those of family %s have", h->family->name);
    h->family->decode(h, out, o->conf, &c);
    ok = !c.failed && choose(h, o, &c) && detail(h, out, l, &c, &m, p);
    mask_free(&m);
    candidates_free(&c);
    return ok ? ST_OK : no_room(p, f);
}

enum status prediction_copy(const struct value out[], const char *const names[], size_t n,
                            struct prediction *p, struct fault *f)
{
    if (!(p->tensors = arena_array(p->arena, n + 1, sizeof *p->tensors)))
        return no_room(p, f);
    for (size_t i = 0; i < n; i++) {
        struct output_tensor *t = &p->tensors[i];
        t->name = arena_strdup(p->arena, names[i] ? names[i] : "");
        t->value = out[i];
        if (!t->name || !(t->value.data = arena_alloc(p->arena, value_bytes(&out[i]) + 1)))
            return no_room(p, f);
        memcpy(t->value.data, out[i].data, value_bytes(&out[i]));
        p->ntensors++;
    }
    return ST_OK;
}
