/*
 * The last layer: what a network says of a picture, as exports of that network say it. See modules.h.
 *
 *   detect    [1, 4 + classes, A]; end to end [1, 300, 6]; YOLOv5 [1, A, 5 + classes]
 *   segment   the same with 32 coefficients, and prototypes [1, 32, H / 4, W / 4] as second output
 *   pose, obb the same with points, or with an angle
 *   classify  [1, classes], probabilities
 *
 * A head is end to end when it has one-to-one branches and does not say that it is not; then those are
 * used and the others are left alone.
 */
#include <stdio.h>
#include <string.h>
#include "inference/pt/modules.h"

enum { MOST_LEVELS = 8, DERIVE_SIDE = 256, ROWS = 300 };

/* Branch names[0], and then names[1] where that is not NULL, of each level. */
struct extra {
    const char *task, *kind, *boxes;
    const char *list, *then; /* NULL: no list */
};

static bool is_false(const struct pt_value *v)
{
    return v && ((v->kind == PT_BOOL && !v->boolean) || (v->kind == PT_INT && v->integer == 0));
}

static bool is_end_to_end(const struct pt_value *m)
{
    return build_has(m, "one2one_cv2") && !is_false(pt_attribute(m, "_end2end")) &&
           !is_false(pt_attribute(m, "end2end"));
}

static struct extra extra_of(const struct pt_value *m)
{
    if (build_has(m, "proto"))
        return (struct extra){ "segment", "raw", NULL, "cv4", NULL };
    if (pt_attribute(m, "kpt_shape"))
        return build_has(m, "cv4_kpts")
                   ? (struct extra){ "pose", "offset-points", NULL, "cv4", "cv4_kpts" }
                   : (struct extra){ "pose", "points", NULL, "cv4", NULL };
    if (pt_attribute(m, "ne"))
        return (struct extra){ "obb", pt_has_class(m, "OBB26") ? "plain-angle" : "angle", "rotated",
                               "cv4", NULL };
    return (struct extra){ "detect", "none", NULL, NULL, NULL };
}

/* Item i of a list of the head, "one2one_..." when it is end to end. */
static int level(struct build *b, const struct pt_value *m, bool one, const char *list, int i, int x)
{
    const struct pt_value *item;
    char name[40];

    snprintf(name, sizeof name, "%s%s", one ? "one2one_" : "", list);
    if (!(item = build_child(pt_part(m, name), (size_t)i)))
        return build_fail(b, ST_UNSUPPORTED, m, "its part %s has no item %d", name, i);
    return build_run(b, item, x);
}

/* Strides that the file lacks: what the maps come to for an input of DERIVE_SIDE. */
static void derive_strides(struct build *b, const struct pt_value *m, const int maps[], int n,
                           float ret[])
{
    struct graph *g = b->st == ST_OK ? graph_clone(b->graph) : NULL;
    struct value *in;

    if (!g) {
        build_fail(b, ST_UNAVAILABLE, m, "out of memory");
        return;
    }
    in = &g->tensors[g->inputs[0]].v;
    in->dims[2] = in->dims[3] = DERIVE_SIDE;
    if (!(g->outputs = arena_array(g->arena, (size_t)n, sizeof *g->outputs))) {
        build_fail(b, ST_UNAVAILABLE, m, "out of memory");
        goto out;
    }
    g->noutputs = n;
    memcpy(g->outputs, maps, (size_t)n * sizeof *maps);
    if ((b->st = graph_verify(g, b->fault)) != ST_OK || (b->st = graph_infer(g, b->fault)) != ST_OK)
        goto out;
    for (int i = 0; i < n; i++) {
        const struct value *v = &g->tensors[maps[i]].v;
        if (v->rank != 4 || v->dims[2] < 1)
            build_fail(b, ST_INVALID, m, "level %d is no feature map", i);
        else
            ret[i] = (float)DERIVE_SIDE / (float)v->dims[2];
    }
out:
    graph_free(g);
}

/* Pixels of a cell of each level. */
static void strides(struct build *b, const struct pt_value *m, const int maps[], int n, float ret[])
{
    const struct pt_value *v = pt_attribute(m, "stride");
    const bool known = v && v->kind == PT_TENSOR && v->tensor->rank == 1 && v->tensor->size[0] == n;
    struct value stride;
    bool zero = !known;

    if (known && weights_tensor(b, m, v, "stride", 1, &stride))
        for (int i = 0; i < n; i++) {
            ret[i] = value_f32(&stride)[i];
            zero = zero || !(ret[i] > 0);
        }
    if (zero)
        derive_strides(b, m, maps, n, ret);
    for (int i = 0; i < n; i++)
        b->stride = ret[i] > b->stride ? ret[i] : b->stride;
}

static void add_output(struct build *b, struct feature *to, int x)
{
    feature_add(b, to, x);
}

static int points_dims(struct build *b, const struct pt_value *m)
{
    const struct pt_value *shape = pt_attribute(m, "kpt_shape");
    int64_t v[2];

    if (!shape)
        return 2;
    if (!build_pair(shape, 1, 4096, 0, v) || v[1] < 2 || v[1] > 3)
        build_fail(b, ST_UNSUPPORTED, m, "its kpt_shape is none");
    return (int)v[1];
}

/* Prototypes of masks, from the finest level; the newest from all of them. */
static void add_prototypes(struct build *b, const struct pt_value *m, const struct feature *const x[],
                           int n, struct feature *to)
{
    const struct feature y = build_run_many(b, pt_part(m, "proto"), x, n);

    add_output(b, to, y.n ? y.at[0] : GRAPH_NONE);
}

/* YOLOv5: one map a level; anchors are stored in cells. */
static struct feature head_anchors(struct build *b, const struct pt_value *m,
                                   const struct feature *const x[], int n)
{
    float stride[MOST_LEVELS] = { 0 };
    struct feature y = { 0 };
    struct attribute a[3];
    struct value anchors;
    int maps[MOST_LEVELS];
    size_t each;

    for (int i = 0; i < n; i++)
        maps[i] = level(b, m, false, "m", i, x[i]->at[0]);
    b->nclasses = build_int(b, m, "nc", 1, LIMIT_MODEL_CLASSES);
    if (!weights_read(b, m, "anchors", 3, &anchors))
        return y;
    if (anchors.dims[0] != n || anchors.dims[2] != 2)
        build_fail(b, ST_INVALID, m, "its anchors are not for %d levels", n);
    strides(b, m, maps, n, stride);
    if (b->st != ST_OK)
        return y;
    each = (size_t)anchors.dims[1] * 2;
    for (size_t i = 0; i < (size_t)n * each; i++)
        value_f32(&anchors)[i] *= stride[i / each];
    a[0] = attribute_floats(b, "strides", stride, (size_t)n);
    a[1] = attribute_floats(b, "anchors", anchors.data, (size_t)n * each);
    a[2] = attribute_int("nclasses", b->nclasses);
    add_output(b, &y, build_node(b, "YoloAnchors", maps, n, a, 3));
    b->task = "detect";
    if (build_has(m, "proto")) {
        b->task = "segment";
        add_prototypes(b, m, x, 1, &y);
    }
    return y;
}

/* YOLOv8 and later. */
static struct feature head_cells(struct build *b, const struct pt_value *m,
                                 const struct feature *const x[], int n)
{
    const bool one = is_end_to_end(m);
    const struct extra e = extra_of(m);
    const int each = e.list ? 3 : 2;
    int maps[3 * MOST_LEVELS], first[MOST_LEVELS], rows;
    float stride[MOST_LEVELS] = { 0 };
    struct feature y = { 0 };
    struct attribute a[4];

    for (int i = 0; i < n; i++) {
        int *map = &maps[i * each];
        first[i] = map[0] = level(b, m, one, "cv2", i, x[i]->at[0]);
        map[1] = level(b, m, one, "cv3", i, x[i]->at[0]);
        if (e.list)
            map[2] = level(b, m, one, e.list, i, x[i]->at[0]);
        if (e.then)
            map[2] = level(b, m, one, e.then, i, map[2]);
    }
    b->nclasses = build_int(b, m, "nc", 1, LIMIT_MODEL_CLASSES);
    strides(b, m, first, n, stride);
    a[0] = attribute_floats(b, "strides", stride, (size_t)n);
    a[1] = attribute_string("boxes", e.boxes ? e.boxes : one ? "corners" : "centre");
    a[2] = attribute_string("extra", e.kind);
    a[3] = attribute_int("dims", points_dims(b, m));
    rows = build_node(b, "YoloDecode", maps, n * each, a, 4);
    if (one) {
        a[0] = attribute_int("nclasses", b->nclasses);
        a[1] = attribute_int("rows",
                             pt_attribute(m, "max_det") ? build_int(b, m, "max_det", 1, 10000) : ROWS);
        rows = build_node(b, "YoloRows", &rows, 1, a, 2);
    }
    add_output(b, &y, rows);
    if (build_has(m, "proto"))
        add_prototypes(b, m, x, n, &y);
    b->task = e.task;
    b->end_to_end = one;
    return y;
}

struct feature head_boxes(struct build *b, const struct pt_value *m, const struct feature *const x[],
                          int n)
{
    if (n > MOST_LEVELS) {
        build_fail(b, ST_UNSUPPORTED, m, "it has more than %d levels", MOST_LEVELS);
        return (struct feature){ 0 };
    }
    return build_has(m, "m") ? head_anchors(b, m, x, n) : head_cells(b, m, x, n);
}

struct feature head_classes(struct build *b, const struct pt_value *m, const struct feature *const x[],
                            int n)
{
    const struct attribute flat = attribute_int("axis", 1), last = attribute_int("axis", -1);
    struct feature all = { 0 }, out = { 0 };
    struct value w;
    int y;

    for (int i = 0; i < n; i++)
        feature_add(b, &all, x[i]->at[0]);
    y = build_part(b, m, "pool", build_part(b, m, "conv", build_concat(b, &all, 1)));
    y = build_node(b, "Flatten", &y, 1, &flat, 1);
    if (build_has(m, "drop"))
        y = build_part(b, m, "drop", y);
    y = build_part(b, m, "linear", y);
    add_output(b, &out, build_node(b, "Softmax", &y, 1, &last, 1));
    if (weights_read(b, pt_part(m, "linear"), "weight", 2, &w))
        b->nclasses = w.dims[0];
    b->task = "classify";
    b->stride = 1;
    return out;
}
