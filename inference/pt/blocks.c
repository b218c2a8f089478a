/*
 * The convolutional blocks of YOLOv5 to 26 as formulas of their children. Names of children are those of
 * the pickled modules. See modules.h.
 */
#include <stdint.h>
#include "inference/pt/modules.h"

/* A module's act, where it has one. */
static int activate(struct build *b, const struct pt_value *m, int x)
{
    return build_has(m, "act") ? build_part(b, m, "act", x) : x;
}

/* conv -> bn -> act; a fused one has no bn any more. */
static int convolve(struct build *b, const struct pt_value *m, const char *conv, int x)
{
    struct folded f;

    if (!folded_read(b, pt_part(m, conv), &f) || !folded_batchnorm(b, pt_part(m, "bn"), &f))
        return GRAPH_NONE;
    return activate(b, m, folded_node(b, &f, x));
}

int block_conv(struct build *b, const struct pt_value *m, int x)
{
    return convolve(b, m, "conv", x);
}

int block_conv_transpose(struct build *b, const struct pt_value *m, int x)
{
    return convolve(b, m, "conv_transpose", x);
}

/* conv and cv2 are convolutions that share one bn. */
int block_conv2(struct build *b, const struct pt_value *m, int x)
{
    struct folded f, g;

    if (!build_has(m, "cv2"))
        return block_conv(b, m, x);
    if (!folded_read(b, pt_part(m, "conv"), &f) || !folded_read(b, pt_part(m, "cv2"), &g) ||
        !folded_add(b, m, &f, &g) || !folded_batchnorm(b, pt_part(m, "bn"), &f))
        return GRAPH_NONE;
    return activate(b, m, folded_node(b, &f, x));
}

/* A branch: a Conv without activation of its own, or a bare Conv2d. */
static bool branch(struct build *b, const struct pt_value *m, const char *name, struct folded *ret)
{
    const struct pt_value *part = pt_part(m, name), *act = pt_part(part, "act");

    if (pt_is_module(act) && !pt_has_class(act, "Identity"))
        build_fail(b, ST_UNSUPPORTED, m, "its branch %s has an activation", name);
    if (!build_has(part, "conv"))
        return folded_read(b, part, ret);
    return folded_read(b, pt_part(part, "conv"), ret) && folded_batchnorm(b, pt_part(part, "bn"), ret);
}

/* act(conv1(x) + conv2(x) + bn(x)), or act(conv(x)) once it is fused. */
int block_rep_conv(struct build *b, const struct pt_value *m, int x)
{
    struct folded f, g;

    if (build_has(m, "conv"))
        return block_conv(b, m, x);
    if (!branch(b, m, "conv1", &f) || !branch(b, m, "conv2", &g) || !folded_add(b, m, &f, &g))
        return GRAPH_NONE;
    if (build_has(m, "bn") && (!folded_identity(b, f.weights.dims[0], f.groups, &g) ||
                               !folded_batchnorm(b, pt_part(m, "bn"), &g) || !folded_add(b, m, &f, &g)))
        return GRAPH_NONE;
    return activate(b, m, folded_node(b, &f, x));
}

/* RepVGGDW: act(conv(x) + conv1(x)), depthwise; fused: act(conv(x)). */
int block_rep_dw(struct build *b, const struct pt_value *m, int x)
{
    struct folded f, g;

    if (!branch(b, m, "conv", &f) ||
        (build_has(m, "conv1") && (!branch(b, m, "conv1", &g) || !folded_add(b, m, &f, &g))))
        return GRAPH_NONE;
    return activate(b, m, folded_node(b, &f, x));
}

static int cv(struct build *b, const struct pt_value *m, const char *name, int x)
{
    return build_part(b, m, name, x);
}

/* One after the other: cv1, cv2 (SCDown) or conv1, conv2 (LightConv). */
int block_chain2(struct build *b, const struct pt_value *m, int x)
{
    return build_has(m, "conv1") ? cv(b, m, "conv2", cv(b, m, "conv1", x))
                                 : cv(b, m, "cv2", cv(b, m, "cv1", x));
}

static int slice(struct build *b, int x, const int64_t starts[2], int64_t step)
{
    const int64_t far[] = { INT64_MAX, INT64_MAX }, axes[] = { 2, 3 }, steps[] = { step, step };
    const int in[] = { x, build_constant_ints(b, starts, 2), build_constant_ints(b, far, 2),
                       build_constant_ints(b, axes, 2), build_constant_ints(b, steps, 2) };

    return build_node(b, "Slice", in, 5, NULL, 0);
}

/* Four pictures of every second pixel, rows first. */
int block_focus(struct build *b, const struct pt_value *m, int x)
{
    static const int64_t starts[4][2] = { { 0, 0 }, { 1, 0 }, { 0, 1 }, { 1, 1 } };
    struct feature parts = { 0 };

    for (int i = 0; i < 4; i++)
        feature_add(b, &parts, slice(b, x, starts[i], 2));
    return cv(b, m, "conv", build_concat(b, &parts, 1));
}

static int concat2(struct build *b, int x, int y)
{
    return build_concat(b, &(struct feature){ 2, { x, y } }, 1);
}

int block_ghost_conv(struct build *b, const struct pt_value *m, int x)
{
    const int y = cv(b, m, "cv1", x);

    return concat2(b, y, cv(b, m, "cv2", y));
}

int block_ghost_bottleneck(struct build *b, const struct pt_value *m, int x)
{
    return build_binary(b, "Add", cv(b, m, "conv", x), cv(b, m, "shortcut", x));
}

static int add_if(struct build *b, const struct pt_value *m, int y, int x)
{
    return build_flag(m, "add") ? build_binary(b, "Add", x, y) : y;
}

int block_bottleneck(struct build *b, const struct pt_value *m, int x)
{
    return add_if(b, m, cv(b, m, "cv2", cv(b, m, "cv1", x)), x);
}

/* cv4(act(bn(cat(cv3(m(cv1 x)), cv2 x)))): YOLOv5 before 4.0 */
int block_bottleneck_csp(struct build *b, const struct pt_value *m, int x)
{
    const int y = cv(b, m, "cv3", cv(b, m, "m", cv(b, m, "cv1", x)));

    return cv(b, m, "cv4", cv(b, m, "act", cv(b, m, "bn", concat2(b, y, cv(b, m, "cv2", x)))));
}

int block_c1(struct build *b, const struct pt_value *m, int x)
{
    const int y = cv(b, m, "cv1", x);

    return build_binary(b, "Add", cv(b, m, "m", y), y);
}

int block_c2(struct build *b, const struct pt_value *m, int x)
{
    const struct feature half = build_halves(b, cv(b, m, "cv1", x));

    return cv(b, m, "cv2", concat2(b, cv(b, m, "m", half.at[0]), half.at[1]));
}

int block_c3(struct build *b, const struct pt_value *m, int x)
{
    const int y = cv(b, m, "m", cv(b, m, "cv1", x));

    return cv(b, m, "cv3", concat2(b, y, cv(b, m, "cv2", x)));
}

int block_rep_c3(struct build *b, const struct pt_value *m, int x)
{
    const int y = cv(b, m, "m", cv(b, m, "cv1", x));

    return cv(b, m, "cv3", build_binary(b, "Add", y, cv(b, m, "cv2", x)));
}

/* Everything is concatenated: both halves and what each of the items makes of the last one. */
int block_c2f(struct build *b, const struct pt_value *m, int x)
{
    const struct pt_value *items = pt_part(m, "m");
    struct feature y = build_halves(b, cv(b, m, "cv1", x));
    const size_t n = build_children(items);

    for (size_t i = 0; i < n && b->st == ST_OK; i++)
        feature_add(b, &y, build_run(b, build_child(items, i), y.at[y.n - 1]));
    return cv(b, m, "cv2", build_concat(b, &y, 1));
}

int block_cib(struct build *b, const struct pt_value *m, int x)
{
    return add_if(b, m, cv(b, m, "cv1", x), x);
}

int block_spp(struct build *b, const struct pt_value *m, int x)
{
    const struct pt_value *pools = pt_part(m, "m");
    const size_t n = build_children(pools);
    struct feature y = { 0 };

    feature_add(b, &y, cv(b, m, "cv1", x));
    for (size_t i = 0; i < n && b->st == ST_OK; i++)
        feature_add(b, &y, build_run(b, build_child(pools, i), y.at[0]));
    return cv(b, m, "cv2", build_concat(b, &y, 1));
}

/* One pool n times, 3 where the file does not say. */
int block_sppf(struct build *b, const struct pt_value *m, int x)
{
    const int64_t n = pt_attribute(m, "n") ? build_int(b, m, "n", 1, 16) : 3;
    struct feature y = { 0 };

    feature_add(b, &y, cv(b, m, "cv1", x));
    for (int64_t i = 0; i < n && b->st == ST_OK; i++)
        feature_add(b, &y, cv(b, m, "m", y.at[y.n - 1]));
    return add_if(b, m, cv(b, m, "cv2", build_concat(b, &y, 1)), x);
}

/* ELAN1, RepNCSPELAN4: both halves of cv1, then cv2 and cv3 one after the other. */
int block_elan(struct build *b, const struct pt_value *m, int x)
{
    struct feature y = build_halves(b, cv(b, m, "cv1", x));
    const int third = cv(b, m, "cv2", y.at[1]);

    feature_add(b, &y, third);
    feature_add(b, &y, cv(b, m, "cv3", third));
    return cv(b, m, "cv4", build_concat(b, &y, 1));
}

/* A window of fixed size, which these classes do not keep among their attributes. */
static int window(struct build *b, const char *type, int64_t kernel, int64_t stride, int64_t padding,
                  int x)
{
    const int64_t k[] = { kernel, kernel }, s[] = { stride, stride },
                  p[] = { padding, padding, padding, padding };
    const struct attribute a[] = { attribute_ints(b, "kernel_shape", k, 2),
                                   attribute_ints(b, "strides", s, 2), attribute_ints(b, "pads", p, 4) };

    return build_node(b, type, &x, 1, a, 3);
}

int block_adown(struct build *b, const struct pt_value *m, int x)
{
    const struct feature half = build_halves(b, window(b, "AveragePool", 2, 1, 0, x));
    const int y = cv(b, m, "cv1", half.at[0]);

    return concat2(b, y, cv(b, m, "cv2", window(b, "MaxPool", 3, 2, 1, half.at[1])));
}

int block_aconv(struct build *b, const struct pt_value *m, int x)
{
    return cv(b, m, "cv1", window(b, "AveragePool", 2, 1, 0, x));
}

int block_sppelan(struct build *b, const struct pt_value *m, int x)
{
    static const char *const pools[] = { "cv2", "cv3", "cv4" };
    struct feature y = { 0 };

    feature_add(b, &y, cv(b, m, "cv1", x));
    for (int i = 0; i < 3 && b->st == ST_OK; i++)
        feature_add(b, &y, cv(b, m, pools[i], y.at[y.n - 1]));
    return cv(b, m, "cv5", build_concat(b, &y, 1));
}

int block_proto(struct build *b, const struct pt_value *m, int x)
{
    return cv(b, m, "cv3", cv(b, m, "cv2", cv(b, m, "upsample", cv(b, m, "cv1", x))));
}

/* Several inputs, several outputs */

static struct feature one(struct build *b, int x)
{
    struct feature y = { 0 };

    feature_add(b, &y, x);
    return y;
}

struct feature block_concat(struct build *b, const struct pt_value *m, const struct feature *const x[],
                            int n)
{
    const int64_t axis = build_int(b, m, "d", -4, 3);
    struct feature all = { 0 };

    for (int i = 0; i < n; i++)
        feature_add(b, &all, x[i]->at[0]);
    return one(b, b->st == ST_OK ? build_concat(b, &all, (int)axis) : GRAPH_NONE);
}

/* A list of small numbers; how many, 0 after a failure. */
static size_t numbers(struct build *b, const struct pt_value *m, const char *name, int64_t least,
                      int64_t ret[LIMIT_PT_FEATURES])
{
    const struct pt_value *v = pt_attribute(m, name);
    bool ok = v && (v->kind == PT_LIST || v->kind == PT_TUPLE) && v->items.n > 0 &&
              v->items.n <= LIMIT_PT_FEATURES;

    for (size_t i = 0; ok && i < v->items.n; i++)
        ok = pt_int(v->items.at[i], &ret[i]) && ret[i] >= least && ret[i] < 1 << 20;
    if (!ok)
        build_fail(b, ST_UNSUPPORTED, m, "its attribute %s is missing or no list of numbers", name);
    return ok ? v->items.n : 0;
}

/* conv, split into c2s channels each. */
struct feature block_cb_linear(struct build *b, const struct pt_value *m,
                               const struct feature *const x[], int n)
{
    const struct attribute axis = attribute_int("axis", 1);
    int64_t sizes[LIMIT_PT_FEATURES];
    const size_t parts = numbers(b, m, "c2s", 1, sizes);
    const int y = build_part(b, m, "conv", x[0]->at[0]);

    (void)n;
    if (parts < 2)
        return one(b, y);
    if (parts > LIMIT_TENSOR_RANK * 2) {
        build_fail(b, ST_TOO_LARGE, m, "it has more than %d parts", LIMIT_TENSOR_RANK * 2);
        return (struct feature){ 0 };
    }
    return build_node_many(b, "Split", (int[]){ y, build_constant_ints(b, sizes, parts) }, 2, &axis, 1,
                           (int)parts);
}

/* Nearest, to height and width of `like`, which has as many channels. */
static int resize_like(struct build *b, int x, int like)
{
    const struct attribute a[] = { attribute_string("mode", "nearest"),
                                   attribute_string("coordinate_transformation_mode", "asymmetric"),
                                   attribute_string("nearest_mode", "floor") };
    const int in[] = { x, GRAPH_NONE, GRAPH_NONE, build_unary(b, "Shape", like) };

    return build_node(b, "Resize", in, 4, a, 3);
}

/* The last input, plus of each other one its part idx[i] at the last one's size. */
struct feature block_cb_fuse(struct build *b, const struct pt_value *m, const struct feature *const x[],
                             int n)
{
    const int like = x[n - 1]->at[0];
    int64_t index[LIMIT_PT_FEATURES] = { 0 };
    const size_t count = numbers(b, m, "idx", 0, index);
    int sum = like;

    if (b->st == ST_OK && count != (size_t)n - 1)
        build_fail(b, ST_UNSUPPORTED, m, "it has %d inputs for %zu indices", n, count);
    for (int i = 0; b->st == ST_OK && i < n - 1; i++) {
        if (index[i] >= x[i]->n)
            build_fail(b, ST_UNSUPPORTED, m, "it uses part %lld of input %d, which has %d",
                       (long long)index[i], i, x[i]->n);
        else
            sum = build_binary(b, "Add", sum, resize_like(b, x[i]->at[index[i]], like));
    }
    return one(b, sum);
}

/* Proto26: the finer map takes in what feat_refine makes of the coarser ones, then as block_proto. */
struct feature block_proto_fused(struct build *b, const struct pt_value *m,
                                 const struct feature *const x[], int n)
{
    const struct pt_value *refine = pt_part(m, "feat_refine");
    int sum = x[0]->at[0];

    for (int i = 1; i < n && b->st == ST_OK; i++) {
        const struct pt_value *part = build_child(refine, (size_t)i - 1);
        if (!part)
            build_fail(b, ST_UNSUPPORTED, m, "its part feat_refine has no item %d", i - 1);
        else
            sum = build_binary(b, "Add", sum,
                               resize_like(b, build_run(b, part, x[i]->at[0]), x[0]->at[0]));
    }
    return one(b, block_proto(b, m, cv(b, m, "feat_fuse", sum)));
}
