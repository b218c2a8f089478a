/*
 * Networks that were quantised when they were exported, back to float32: faster here than their integer
 * form, and nearer to the network that was trained. Chains of
 *   DynamicQuantizeLinear -> ConvInteger or MatMulInteger -> Cast -> Mul by the product of the scales
 * become a Conv or MatMul with weights (w - zero) * scale; a bias added behind it moves in. A
 * QuantizeLinear that is undone at once by a DequantizeLinear becomes a Clip to the range of the
 * integers: exporters leave activations out where that range does their work.
 *
 * This changes outputs by what the quantisation itself loses (some 1e-2 of their range), so whoever
 * compares a plan with the interpreter applies it to both sides.
 */
#include <string.h>
#include "inference/graph/passes.h"
#include "inference/ops/op.h"
#include "inference/ops/quantize.h"

static struct node *producer(const struct graph *g, int t, const char *type)
{
    const int p = t == GRAPH_NONE ? GRAPH_NONE : g->tensors[t].producer;
    struct node *n = p == GRAPH_NONE ? NULL : &g->nodes[p];

    return n && !n->dead && strcmp(n->type, type) == 0 ? n : NULL;
}

static int input(const struct node *n, int i)
{
    return i < n->ninputs ? n->inputs[i] : GRAPH_NONE;
}

static const struct value *constant(const struct graph *g, int t)
{
    return t != GRAPH_NONE && g->tensors[t].v.data ? &g->tensors[t].v : NULL;
}

/* An integer product of a dynamically quantised tensor and constant weights, and the scale behind it. */
struct chain {
    const struct node *product;
    int x; /* the float32 tensor that was quantised */
    const struct value *w, *zero, *scale;
};

/* product's scale: Mul of x's dynamic scale and a constant. */
static const struct value *weight_scale(const struct graph *g, int t, const struct node *quantised)
{
    const struct node *mul = producer(g, t, "Mul");

    for (int k = 0; mul && k < 2; k++)
        if (mul->inputs[k] == quantised->outputs[1])
            return constant(g, mul->inputs[1 - k]);
    return NULL;
}

/* Matches Mul(Cast(product), scale) in either order. */
static bool chain_find(const struct graph *g, const struct node *mul, struct chain *ret)
{
    for (int k = 0; k < 2; k++) {
        const struct node *cast = producer(g, mul->inputs[k], "Cast"), *product, *quantised;
        if (!cast || (!(product = producer(g, cast->inputs[0], "ConvInteger")) &&
                      !(product = producer(g, cast->inputs[0], "MatMulInteger"))))
            continue;
        quantised = producer(g, product->inputs[0], "DynamicQuantizeLinear");
        if (!quantised || quantised->noutputs < 3 || input(product, 2) != quantised->outputs[2])
            continue;
        *ret = (struct chain){ .product = product,
                               .x = quantised->inputs[0],
                               .w = constant(g, product->inputs[1]),
                               .zero = constant(g, input(product, 3)),
                               .scale = weight_scale(g, mul->inputs[1 - k], quantised) };
        return ret->w && ret->scale && (ret->zero || input(product, 3) == GRAPH_NONE);
    }
    return false;
}

/* Weights as [outer, channels, inner] with a scale and zero point a channel: rows of a convolution,
 * columns of a matrix. */
struct channels {
    size_t outer, n, inner;
};

static struct channels channels_of(const struct chain *c)
{
    if (strcmp(c->product->type, "ConvInteger") == 0)
        return (struct channels){ 1, (size_t)c->w->dims[0], value_span(c->w, 1, c->w->rank) };
    return (struct channels){ value_span(c->w, 0, c->w->rank - 1), (size_t)c->w->dims[c->w->rank - 1],
                              1 };
}

/* One entry, or one a channel, where broadcasting puts them on the channels: [M, 1, 1] behind a
 * convolution, [N] behind a matrix product. */
static bool scale_fits(const struct chain *c)
{
    const size_t n = value_elements(c->scale), channels = channels_of(c).n;
    const int trailing = strcmp(c->product->type, "ConvInteger") == 0 ? c->w->rank - 2 : 0;

    if (c->scale->type != DTYPE_F32 || (c->w->type != DTYPE_I8 && c->w->type != DTYPE_U8) ||
        c->w->rank < 1 ||
        (c->zero && value_elements(c->zero) != 1 && value_elements(c->zero) != channels))
        return false;
    return n == 1 || (n == channels && c->scale->rank > trailing &&
                      (size_t)c->scale->dims[c->scale->rank - 1 - trailing] == channels);
}

/* The float32 weights as a new tensor; GRAPH_NONE: out of memory. */
static int add_weights(struct graph *g, const struct chain *c)
{
    const struct channels s = channels_of(c);
    struct value w = *c->w;

    w.type = DTYPE_F32;
    if (!(w.data = arena_array(g->arena, value_elements(&w) + 1, sizeof(float))))
        return GRAPH_NONE;
    for (size_t i = 0; i < value_elements(&w); i++) {
        const size_t m = i / s.inner % s.n;
        const int64_t zero = c->zero ? value_get_i64(c->zero, value_elements(c->zero) == 1 ? 0 : m) : 0;
        const float scale = value_f32(c->scale)[value_elements(c->scale) == 1 ? 0 : m];
        value_f32(&w)[i] = (float)(value_get_i64(c->w, i) - zero) * scale;
    }
    return graph_add_tensor(g, "dequantised weights", &w);
}

/* Node n becomes `type` of a and b, with the attributes of `like`. */
static bool become(struct graph *g, struct node *n, const char *type, const struct node *like, int a,
                   int b, int c)
{
    int *inputs = arena_array(g->arena, 4, sizeof *inputs);

    if (!inputs)
        return false;
    inputs[0] = a;
    inputs[1] = b;
    inputs[2] = c;
    n->type = type;
    n->name = like->name;
    n->op = op_find(type, g->opset);
    n->inputs = inputs;
    n->ninputs = c == GRAPH_NONE ? 2 : 3;
    n->attributes = like->attributes;
    n->nattributes = like->nattributes;
    return true;
}

static bool dequantise_chain(struct graph *g, struct node *mul)
{
    struct chain c;
    const char *type;
    int weights;

    if (!chain_find(g, mul, &c) || !scale_fits(&c) || (weights = add_weights(g, &c)) == GRAPH_NONE)
        return false;
    type = strcmp(c.product->type, "ConvInteger") == 0 ? "Conv" : "MatMul";
    return become(g, mul, type, c.product, c.x, weights, GRAPH_NONE);
}

/* A scalar that both nodes share, or has the same value twice; NULL: neither. */
static const struct value *shared_scalar(const struct graph *g, const struct node *a,
                                         const struct node *b, int i)
{
    const struct value *p = constant(g, input(a, i)), *q = constant(g, input(b, i));

    return p && q && p->type == q->type && value_elements(p) == 1 && value_elements(q) == 1 &&
                   memcmp(p->data, q->data, dtype_size(p->type)) == 0
               ? p
               : NULL;
}

static int add_scalar(struct graph *g, const char *name, float x)
{
    struct value v = { .type = DTYPE_F32, .data = arena_alloc(g->arena, sizeof x) };

    if (!v.data)
        return GRAPH_NONE;
    value_f32(&v)[0] = x;
    return graph_add_tensor(g, name, &v);
}

/* A pair of QuantizeLinear and DequantizeLinear becomes a Clip. */
static bool dequantise_pair(struct graph *g, struct node *n)
{
    const struct node *q = producer(g, n->inputs[0], "QuantizeLinear");
    const struct value *scale = q ? shared_scalar(g, q, n, 1) : NULL;
    const struct value *zero = q ? shared_scalar(g, q, n, 2) : NULL;
    float steps[2];
    int bounds[2];

    if (!scale || !(value_f32(scale)[0] > 0) || (!zero && input(q, 2) != GRAPH_NONE) ||
        (!zero && input(n, 2) != GRAPH_NONE))
        return false;
    for (int i = 0; i < 2; i++) {
        const enum dtype type = g->tensors[n->inputs[0]].v.type;
        const int64_t end = quantize(i ? 1e9 : -1e9, 0, type);
        steps[i] = (float)(end - (zero ? value_get_i64(zero, 0) : 0)) * value_f32(scale)[0];
        if ((bounds[i] = add_scalar(g, i ? "highest" : "lowest", steps[i])) == GRAPH_NONE)
            return false;
    }
    if (!become(g, n, "Clip", q, q->inputs[0], bounds[0], bounds[1]))
        return false;
    n->nattributes = 0;
    n->op = op_find("Clip", 13); /* with bounds as inputs, whatever the opset of the file */
    return true;
}

/* DequantizeLinear of constants that were too large to be evaluated with the shapes. */
static bool dequantise_constant(struct graph *g, struct node *n)
{
    const struct value *in[3] = { NULL }, *y = &g->tensors[n->outputs[0]].v;
    struct value result = *y, *out[1] = { &result };
    const struct call c = { n, g->opset, n->ninputs, 1, in, out };

    for (int i = 0; i < n->ninputs; i++)
        if (!(in[i] = constant(g, n->inputs[i])) && n->inputs[i] != GRAPH_NONE)
            return false;
    if (!in[0] || !(result.data = arena_alloc(g->arena, value_bytes(y) + 1)))
        return false;
    n->op->reference(&c);
    g->tensors[n->outputs[0]].v = result;
    g->tensors[n->outputs[0]].producer = GRAPH_NONE;
    n->dead = true;
    return true;
}

bool pass_dequantise(struct graph *g, const struct readers *r)
{
    bool changed = false;

    (void)r;
    for (int i = 0; i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        if (n->dead)
            continue;
        if (strcmp(n->type, "Mul") == 0)
            changed |= dequantise_chain(g, n);
        else if (strcmp(n->type, "DequantizeLinear") == 0)
            changed |= dequantise_constant(g, n) || dequantise_pair(g, n);
    }
    return changed;
}
