/*
 * Passes that make convolutions take their neighbours in. The fused node stands where the last of its
 * parts stood, so that the order of nodes stays valid.
 */
#include <math.h>
#include <string.h>
#include "inference/graph/passes.h"
#include "inference/ops/op.h"

static struct node *producer(struct graph *g, int t)
{
    return t == GRAPH_NONE || g->tensors[t].producer == GRAPH_NONE ? NULL
                                                                   : &g->nodes[g->tensors[t].producer];
}

static bool is(const struct node *n, const char *type)
{
    return n && !n->dead && strcmp(n->type, type) == 0;
}

static const struct value *constant(const struct graph *g, const struct node *n, int i)
{
    const struct value *v =
        i < n->ninputs && n->inputs[i] != GRAPH_NONE ? &g->tensors[n->inputs[i]].v : NULL;

    return v && v->data ? v : NULL;
}

/* Node `at` becomes what `n` is, with its own outputs; n dies. */
static struct node *move_into(struct graph *g, struct node *n, struct node *at)
{
    struct node moved = *n;

    moved.outputs = at->outputs;
    moved.noutputs = at->noutputs;
    *at = moved;
    n->dead = true;
    for (int i = 0; i < at->noutputs; i++)
        if (at->outputs[i] != GRAPH_NONE)
            g->tensors[at->outputs[i]].producer = (int)(at - g->nodes);
    return at;
}

/* A convolution whose output only one node reads, free to take something in. */
static struct node *lone_conv(struct graph *g, const struct readers *r, int t)
{
    struct node *n = producer(g, t);

    return is(n, "Conv") && r->count[t] == 1 && !n->fused.residual ? n : NULL;
}

/* The same, or a transposed one, which takes in less. */
static struct node *lone_sum(struct graph *g, const struct readers *r, int t)
{
    struct node *n = producer(g, t);

    return is(n, "ConvTranspose") && r->count[t] == 1 ? n : lone_conv(g, r, t);
}

/* New constants w' = w * scale and b' = (b - mean) * scale + shift; false: out of memory. A transposed
 * convolution, of one group, has its output channels in the weights' second dimension. */
static bool fold_batchnorm(struct graph *g, struct node *conv, const struct node *bn)
{
    const struct value *w = constant(g, conv, 1), *b = constant(g, conv, 2);
    const int channels = is(conv, "ConvTranspose") ? 1 : 0;
    struct value weights = *w, bias = { .type = DTYPE_F32, .rank = 1, .dims = { w->dims[channels] } };
    const size_t part = value_span(w, channels + 1, w->rank), co = (size_t)w->dims[channels];
    const size_t step = part * co, count = value_elements(w);
    const float epsilon = node_float(bn, "epsilon", 1e-5f);
    int *inputs = arena_array(g->arena, 4, sizeof *inputs);
    int tw, tb;

    weights.data = arena_array(g->arena, value_elements(w) + 1, sizeof(float));
    bias.data = arena_array(g->arena, co + 1, sizeof(float));
    if (!weights.data || !bias.data || !inputs)
        return false;
    for (size_t m = 0; m < co; m++) {
        const float scale =
            value_f32(constant(g, bn, 1))[m] / sqrtf(value_f32(constant(g, bn, 4))[m] + epsilon);
        for (size_t first = m * part; first < count; first += step)
            for (size_t i = first; i < first + part; i++)
                value_f32(&weights)[i] = value_f32(w)[i] * scale;
        value_f32(&bias)[m] = ((b ? value_f32(b)[m] : 0) - value_f32(constant(g, bn, 3))[m]) * scale +
                              value_f32(constant(g, bn, 2))[m];
    }
    tw = graph_add_tensor(g, "folded weights", &weights);
    tb = graph_add_tensor(g, "folded bias", &bias);
    if (tw == GRAPH_NONE || tb == GRAPH_NONE)
        return false;
    inputs[0] = conv->inputs[0];
    inputs[1] = tw;
    inputs[2] = tb;
    conv->inputs = inputs;
    conv->ninputs = 3;
    return true;
}

bool pass_batchnorm(struct graph *g, const struct readers *r)
{
    const int ntensors = g->ntensors; /* readers knows no tensor made here */
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *bn = &g->nodes[i], *conv;
        bool known = is(bn, "BatchNormalization");
        for (int k = 1; known && k < 5; k++)
            known = constant(g, bn, k) != NULL;
        if (!known || bn->inputs[0] >= ntensors || !(conv = lone_sum(g, r, bn->inputs[0])) ||
            (is(conv, "ConvTranspose") && node_int(conv, "group", 1) != 1) ||
            conv->fused.act != ACT_NONE || !constant(g, conv, 1) ||
            (conv->ninputs > 2 && conv->inputs[2] != GRAPH_NONE && !constant(g, conv, 2)))
            continue;
        if (!fold_batchnorm(g, conv, bn))
            return changed;
        move_into(g, conv, bn);
        changed = true;
    }
    return changed;
}

static bool is_hard_swish_gate(const struct node *n)
{
    return is(n, "HardSigmoid") && fabsf(node_float(n, "alpha", 0.2f) - 1.0f / 6) < 1e-6f &&
           fabsf(node_float(n, "beta", 0.5f) - 0.5f) < 1e-6f;
}

bool pass_silu(struct graph *g, const struct readers *r)
{
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *mul = &g->nodes[i];
        for (int k = 0; is(mul, "Mul") && k < 2; k++) {
            const int x = mul->inputs[k], gate = mul->inputs[1 - k];
            struct node *n = producer(g, gate);
            const bool silu = is(n, "Sigmoid");
            if (!(silu || is_hard_swish_gate(n)) || n->inputs[0] != x || r->count[gate] != 1)
                continue;
            n->dead = changed = true;
            mul->type = silu ? "SiLU" : "HardSwish";
            mul->op = silu ? op_internal("SiLU") : op_find("HardSwish", 1 << 20);
            mul->inputs[0] = x;
            mul->ninputs = 1;
            mul->nattributes = 0;
        }
    }
    return changed;
}

/* What convolution can do for this node, as a fusion; false: nothing. */
static bool as_activation(const struct graph *g, const struct node *n, struct fusion *ret)
{
    struct fusion f = { 0 };

    if (is(n, "Relu") || is(n, "LeakyRelu")) {
        f.act = ACT_RELU;
        f.alpha = is(n, "Relu") ? 0 : node_float(n, "alpha", 0.01f);
    } else if (is(n, "SiLU")) {
        f.act = ACT_SILU;
    } else if (is(n, "Sigmoid")) {
        f.act = ACT_SIGMOID;
    } else if (is(n, "HardSwish")) {
        f.act = ACT_HARDSWISH;
    } else if (is(n, "Clip")) {
        const struct value *low = constant(g, n, 1), *high = constant(g, n, 2);
        if ((n->ninputs > 1 && n->inputs[1] != GRAPH_NONE && !low) ||
            (n->ninputs > 2 && n->inputs[2] != GRAPH_NONE && !high))
            return false;
        f.act = ACT_CLIP;
        f.alpha = low ? value_f32(low)[0] : node_float(n, "min", -INFINITY);
        f.beta = high ? value_f32(high)[0] : node_float(n, "max", INFINITY);
    } else {
        return false;
    }
    *ret = f;
    return true;
}

/* One number, within rounding. */
static bool is_number(const struct graph *g, int t, float want)
{
    const struct value *v = t == GRAPH_NONE ? NULL : &g->tensors[t].v;

    return v && v->data && v->type == DTYPE_F32 && value_elements(v) == 1 &&
           fabsf(value_f32(v)[0] - want) <= 1e-6f * want;
}

/* A sixth of t's producer: the tensor divided, or GRAPH_NONE. */
static int divided_by_six(const struct graph *g, const struct node *n)
{
    if (is(n, "Div"))
        return is_number(g, n->inputs[1], 6) ? n->inputs[0] : GRAPH_NONE;
    for (int k = 0; is(n, "Mul") && k < 2; k++)
        if (is_number(g, n->inputs[1 - k], 1.0f / 6))
            return n->inputs[k];
    return GRAPH_NONE;
}

/* t is Clip(x + 3, 0, 6), read once. */
static bool is_clipped_gate(struct graph *g, const struct readers *r, int t, int x)
{
    const struct node *clip = producer(g, t), *add;
    struct fusion f;

    if (!is(clip, "Clip") || r->count[t] != 1 || !as_activation(g, clip, &f) || f.alpha != 0 ||
        f.beta != 6)
        return false;
    add = producer(g, clip->inputs[0]);
    return is(add, "Add") && r->count[clip->inputs[0]] == 1 &&
           ((add->inputs[0] == x && is_number(g, add->inputs[1], 3)) ||
            (add->inputs[1] == x && is_number(g, add->inputs[0], 3)));
}

/* x when node n is x * Clip(x + 3, 0, 6) / 6, divided before or after the product; else GRAPH_NONE. */
static int spelt_hard_swish(struct graph *g, const struct readers *r, const struct node *n)
{
    const int product = divided_by_six(g, n);
    const struct node *mul = producer(g, product);

    for (int k = 0; is(mul, "Mul") && r->count[product] == 1 && k < 2; k++)
        if (is_clipped_gate(g, r, mul->inputs[k], mul->inputs[1 - k]))
            return mul->inputs[1 - k];
    for (int k = 0; is(n, "Mul") && k < 2; k++) {
        const int gate = n->inputs[k], sixth = divided_by_six(g, producer(g, gate));
        if (sixth != GRAPH_NONE && r->count[gate] == 1 && is_clipped_gate(g, r, sixth, n->inputs[1 - k]))
            return n->inputs[1 - k];
    }
    return GRAPH_NONE;
}

/* The parts that nobody reads any longer are dead code. */
bool pass_hard_swish(struct graph *g, const struct readers *r)
{
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        const int x = n->dead ? GRAPH_NONE : spelt_hard_swish(g, r, n);
        if (x == GRAPH_NONE || !value_same_shape(&g->tensors[x].v, &g->tensors[n->outputs[0]].v))
            continue;
        n->type = "HardSwish";
        n->op = op_find("HardSwish", 1 << 20);
        n->inputs[0] = x;
        n->ninputs = 1;
        n->nattributes = 0;
        changed = true;
    }
    return changed;
}

bool pass_activation(struct graph *g, const struct readers *r)
{
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *n = &g->nodes[i], *conv;
        struct fusion f;
        if (n->dead || n->ninputs < 1 || !(conv = lone_sum(g, r, n->inputs[0])) ||
            conv->fused.act != ACT_NONE || !as_activation(g, n, &f))
            continue;
        n = move_into(g, conv, n);
        n->fused = f;
        changed = true;
    }
    return changed;
}

bool pass_residual(struct graph *g, const struct readers *r)
{
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *add = &g->nodes[i], *conv = NULL;
        int other = GRAPH_NONE, *inputs;
        for (int k = 0; is(add, "Add") && !conv && k < 2; k++) {
            other = add->inputs[1 - k];
            conv = lone_conv(g, r, add->inputs[k]);
            if (conv && (other == add->inputs[k] || g->tensors[other].v.data ||
                         !value_same_shape(&g->tensors[other].v, &g->tensors[add->inputs[k]].v)))
                conv = NULL;
        }
        if (!conv || !(inputs = arena_array(g->arena, 4, sizeof *inputs)))
            continue;
        inputs[0] = conv->inputs[0];
        inputs[1] = conv->inputs[1];
        inputs[2] = conv->ninputs > 2 ? conv->inputs[2] : GRAPH_NONE;
        inputs[3] = other;
        add = move_into(g, conv, add);
        add->inputs = inputs;
        add->ninputs = 4;
        add->fused.residual = true;
        changed = true;
    }
    return changed;
}
