/*
 * Sums of convolutions of one tensor, as RepVGG and what followed it are trained: a wide one, a narrow
 * one and perhaps the batch normalisation of the tensor itself. Taps that meet the same element are
 * added up, and one convolution is left. Source: Ding et al., "RepVGG", CVPR 2021, section 3.3.
 */
#include <math.h>
#include "inference/graph/edit.h"
#include "inference/ops/conv.h"

/* A convolution that may be one of the branches, and where its first tap lies. */
struct branch {
    struct node *node;
    struct conv conv;
};

static bool read_branch(struct graph *g, const struct readers *r, int t, struct branch *b)
{
    const struct value *in[4] = { NULL };
    struct value *out[1];
    struct node *n = node_lone_sum(g, r, t);
    struct call c;

    if (!node_is(n, "Conv") || n->ninputs > 3 || n->fused.act != ACT_NONE || !node_constant(g, n, 1) ||
        (n->ninputs > 2 && n->inputs[2] != GRAPH_NONE && !node_constant(g, n, 2)))
        return false;
    for (int i = 0; i < n->ninputs; i++)
        in[i] = n->inputs[i] == GRAPH_NONE ? NULL : &g->tensors[n->inputs[i]].v;
    out[0] = &g->tensors[n->outputs[0]].v;
    c = (struct call){ n, g->opset, n->ninputs, 1, in, out };
    b->node = n;
    return conv_read(&c, &b->conv, NULL) == ST_OK;
}

/* Whether every tap of `narrow` meets the same elements as one of `wide`: ret, by how many taps later it
 * begins in each direction. */
static bool lies_within(const struct conv *wide, const struct conv *narrow, int64_t ret[2])
{
    if (wide->groups != narrow->groups || wide->ci != narrow->ci || wide->co != narrow->co ||
        wide->w.spatial != 2 || narrow->w.spatial != 2)
        return false;
    for (int i = 0; i < 2; i++) {
        ret[i] = wide->w.before[i] - narrow->w.before[i];
        if (wide->w.stride[i] != narrow->w.stride[i] || wide->w.dilation[i] != 1 ||
            (narrow->w.dilation[i] != 1 && narrow->w.kernel[i] != 1) ||
            wide->w.out[i] != narrow->w.out[i] || ret[i] < 0 ||
            ret[i] + narrow->w.kernel[i] > wide->w.kernel[i])
            return false;
    }
    return true;
}

/* New weights and bias of `wide`, copies to be added to; false: out of memory. */
static bool copy_weights(struct graph *g, const struct branch *wide, struct value *w, struct value *b)
{
    const size_t count = value_elements(wide->conv.weights), co = (size_t)wide->conv.co;

    *w = *wide->conv.weights;
    *b = (struct value){ .type = DTYPE_F32, .rank = 1, .dims = { wide->conv.co } };
    w->data = arena_array(g->arena, count + 1, sizeof(float));
    b->data = arena_array(g->arena, co + 1, sizeof(float));
    if (!w->data || !b->data)
        return false;
    memcpy(w->data, wide->conv.weights->data, count * sizeof(float));
    if (wide->conv.bias)
        memcpy(b->data, wide->conv.bias->data, co * sizeof(float));
    return true;
}

static void add_narrow(const struct branch *wide, const struct branch *narrow, const int64_t at[2],
                       struct value *w, struct value *b)
{
    const struct window *big = &wide->conv.w, *small = &narrow->conv.w;
    const float *from = value_f32(narrow->conv.weights);
    const int64_t planes = wide->conv.co * (wide->conv.ci / wide->conv.groups);

    for (int64_t p = 0; p < planes; p++)
        for (int64_t y = 0; y < small->kernel[0]; y++)
            for (int64_t x = 0; x < small->kernel[1]; x++)
                value_f32(w)[(p * big->kernel[0] + at[0] + y) * big->kernel[1] + at[1] + x] += *from++;
    for (int64_t m = 0; narrow->conv.bias && m < narrow->conv.co; m++)
        value_f32(b)[m] += value_f32(narrow->conv.bias)[m];
}

/* x * scale + shift by channel, in the tap that meets the element itself. */
static void add_norm(const struct graph *g, const struct branch *wide, const struct node *norm,
                     struct value *w, struct value *b)
{
    const float *scales = value_f32(node_constant(g, norm, 1)),
                *shifts = value_f32(node_constant(g, norm, 2)),
                *means = value_f32(node_constant(g, norm, 3)),
                *variances = value_f32(node_constant(g, norm, 4));
    const struct window *big = &wide->conv.w;
    const int64_t each = wide->conv.ci / wide->conv.groups;

    for (int64_t m = 0; m < wide->conv.co; m++) {
        const float scale = scales[m] / sqrtf(variances[m] + node_float(norm, "epsilon", 1e-5f));
        const int64_t plane = m * each + m % each;
        value_f32(w)[(plane * big->kernel[0] + big->before[0]) * big->kernel[1] + big->before[1]] +=
            scale;
        value_f32(b)[m] += shifts[m] - means[m] * scale;
    }
}

/* The sum becomes the wide convolution with these weights. */
static bool replace(struct graph *g, struct node *add, const struct branch *wide, const struct value *w,
                    const struct value *b)
{
    int *inputs = arena_array(g->arena, 3, sizeof *inputs);
    const int tw = graph_add_tensor(g, "summed weights", w), tb = graph_add_tensor(g, "summed bias", b);

    if (!inputs || tw == GRAPH_NONE || tb == GRAPH_NONE)
        return false;
    inputs[0] = wide->node->inputs[0];
    inputs[1] = tw;
    inputs[2] = tb;
    add = node_move_into(g, wide->node, add);
    add->inputs = inputs;
    add->ninputs = 3;
    return true;
}

/* The batch normalisation of x, read only here, with constants; or NULL. */
static const struct node *norm_of(struct graph *g, const struct readers *r, int t, int x)
{
    const struct node *n = node_producer(g, t);

    for (int i = 1; node_is(n, "BatchNormalization") && i < 5; i++)
        if (!node_constant(g, n, i))
            return NULL;
    return node_is(n, "BatchNormalization") && n->inputs[0] == x && r->count[t] == 1 ? n : NULL;
}

/* Adds up inputs `first` and `second` of a sum, the first being the wider one. *ret: it was possible.
 * False: out of memory. */
static bool join(struct graph *g, const struct readers *r, struct node *add, int first, int second,
                 bool *ret)
{
    const struct branch none = { .node = NULL };
    struct branch wide = none, narrow = none;
    const struct node *norm = NULL;
    struct value w, b;
    int64_t at[2] = { 0 };

    *ret = false;
    if (first == second || !read_branch(g, r, first, &wide))
        return true;
    if (read_branch(g, r, second, &narrow)) {
        if (narrow.node->inputs[0] != wide.node->inputs[0] || !lies_within(&wide.conv, &narrow.conv, at))
            return true;
    } else {
        const struct conv one = { .w = { .spatial = 2,
                                         .kernel = { 1, 1 },
                                         .stride = { 1, 1 },
                                         .dilation = { 1, 1 },
                                         .out = { wide.conv.w.in[0], wide.conv.w.in[1] } },
                                  .ci = wide.conv.co,
                                  .co = wide.conv.co,
                                  .groups = wide.conv.groups };
        if (!(norm = norm_of(g, r, second, wide.node->inputs[0])) || !lies_within(&wide.conv, &one, at))
            return true;
    }
    if (!copy_weights(g, &wide, &w, &b))
        return false;
    if (norm)
        add_norm(g, &wide, norm, &w, &b);
    else
        add_narrow(&wide, &narrow, at, &w, &b);
    *ret = replace(g, add, &wide, &w, &b);
    return *ret;
}

bool pass_branches(struct graph *g, const struct readers *r)
{
    const int ntensors = g->ntensors; /* readers knows no tensor made here */
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *add = &g->nodes[i];
        bool joined = false;
        for (int k = 0; node_is(add, "Add") && !joined && k < 2; k++) {
            const int first = add->inputs[k], second = add->inputs[1 - k];
            if (first < ntensors && second < ntensors && !join(g, r, add, first, second, &joined))
                return changed;
        }
        changed |= joined;
    }
    return changed;
}
