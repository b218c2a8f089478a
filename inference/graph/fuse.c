/* Passes that make convolutions take activations and residuals in. */
#include <math.h>
#include "inference/graph/edit.h"

static bool is_hard_swish_gate(const struct node *n)
{
    return node_is(n, "HardSigmoid") && fabsf(node_float(n, "alpha", 0.2f) - 1.0f / 6) < 1e-6f &&
           fabsf(node_float(n, "beta", 0.5f) - 0.5f) < 1e-6f;
}

bool pass_silu(struct graph *g, const struct readers *r)
{
    bool changed = false;

    for (int i = 0; i < g->nnodes; i++) {
        struct node *mul = &g->nodes[i];
        for (int k = 0; node_is(mul, "Mul") && k < 2; k++) {
            const int x = mul->inputs[k], gate = mul->inputs[1 - k];
            struct node *n = node_producer(g, gate);
            const bool silu = node_is(n, "Sigmoid");
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

    if (node_is(n, "Relu") || node_is(n, "LeakyRelu")) {
        f.act = ACT_RELU;
        f.alpha = node_is(n, "Relu") ? 0 : node_float(n, "alpha", 0.01f);
    } else if (node_is(n, "SiLU")) {
        f.act = ACT_SILU;
    } else if (node_is(n, "Sigmoid")) {
        f.act = ACT_SIGMOID;
    } else if (node_is(n, "HardSwish")) {
        f.act = ACT_HARDSWISH;
    } else if (node_is(n, "Clip")) {
        const struct value *low = node_constant(g, n, 1), *high = node_constant(g, n, 2);
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
    if (node_is(n, "Div"))
        return is_number(g, n->inputs[1], 6) ? n->inputs[0] : GRAPH_NONE;
    for (int k = 0; node_is(n, "Mul") && k < 2; k++)
        if (is_number(g, n->inputs[1 - k], 1.0f / 6))
            return n->inputs[k];
    return GRAPH_NONE;
}

/* t is Clip(x + 3, 0, 6), read once. */
static bool is_clipped_gate(struct graph *g, const struct readers *r, int t, int x)
{
    const struct node *clip = node_producer(g, t), *add;
    struct fusion f;

    if (!node_is(clip, "Clip") || r->count[t] != 1 || !as_activation(g, clip, &f) || f.alpha != 0 ||
        f.beta != 6)
        return false;
    add = node_producer(g, clip->inputs[0]);
    return node_is(add, "Add") && r->count[clip->inputs[0]] == 1 &&
           ((add->inputs[0] == x && is_number(g, add->inputs[1], 3)) ||
            (add->inputs[1] == x && is_number(g, add->inputs[0], 3)));
}

/* x when node n is x * Clip(x + 3, 0, 6) / 6, divided before or after the product; else GRAPH_NONE. */
static int spelt_hard_swish(struct graph *g, const struct readers *r, const struct node *n)
{
    const int product = divided_by_six(g, n);
    const struct node *mul = node_producer(g, product);

    for (int k = 0; node_is(mul, "Mul") && r->count[product] == 1 && k < 2; k++)
        if (is_clipped_gate(g, r, mul->inputs[k], mul->inputs[1 - k]))
            return mul->inputs[1 - k];
    for (int k = 0; node_is(n, "Mul") && k < 2; k++) {
        const int gate = n->inputs[k], sixth = divided_by_six(g, node_producer(g, gate));
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
        if (n->dead || n->ninputs < 1 || !(conv = node_lone_sum(g, r, n->inputs[0])) ||
            conv->fused.act != ACT_NONE || !as_activation(g, n, &f))
            continue;
        n = node_move_into(g, conv, n);
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
        for (int k = 0; node_is(add, "Add") && !conv && k < 2; k++) {
            other = add->inputs[1 - k];
            conv = node_lone_sum(g, r, add->inputs[k]);
            conv = node_is(conv, "Conv") ? conv : NULL;
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
        add = node_move_into(g, conv, add);
        add->inputs = inputs;
        add->ninputs = 4;
        add->fused.residual = true;
        changed = true;
    }
    return changed;
}
