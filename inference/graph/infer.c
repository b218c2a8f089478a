/*
 * Shapes forward, and evaluation of what is known at load: exports carry long integer chains (Shape,
 * Gather, Concat, Reshape) that vanish here. Each step is bounded: tensor sizes by the graph's memory
 * limit, evaluation by GRAPH_FOLD_ELEMENTS a tensor and by the graph's fold budget in all.
 */
#include <string.h>
#include "inference/graph/infer.h"
#include "inference/graph/late.h"

static enum status check_size(const struct graph *g, const struct node *n, const struct value *v,
                              struct fault *f)
{
    size_t count, bytes;
    char label[128];

    if (v->rank > LIMIT_TENSOR_RANK)
        return fault_set(f, ST_TOO_LARGE, "model", "%s: rank %d is over the limit of %d",
                         node_label(g, n, label, sizeof label), v->rank, LIMIT_TENSOR_RANK);
    if (!value_count(v, &count) || !size_mul(count, dtype_size(v->type), &bytes) ||
        bytes > g->memory_limit)
        return fault_set(f, ST_TOO_LARGE, "model",
                         "%s: its output is over the memory limit of this model",
                         node_label(g, n, label, sizeof label));
    return ST_OK;
}

static bool can_evaluate(const struct graph *g, const struct node *n, int64_t *ret_cost)
{
    int64_t cost = 1;

    if (n->op->heavy || n->fused.act != ACT_NONE || n->fused.residual)
        return false;
    for (int i = 0; i < n->ninputs && !n->op->shape_only; i++) {
        const struct value *v = n->inputs[i] == GRAPH_NONE ? NULL : &g->tensors[n->inputs[i]].v;
        if (v && (!v->data || value_elements(v) > GRAPH_FOLD_ELEMENTS))
            return false;
        cost += v ? (int64_t)value_elements(v) : 0;
    }
    for (int i = 0; i < n->noutputs; i++) {
        const struct value *v = n->outputs[i] == GRAPH_NONE ? NULL : &g->tensors[n->outputs[i]].v;
        if (v && value_elements(v) > GRAPH_FOLD_ELEMENTS)
            return false;
        cost += v ? (int64_t)value_elements(v) : 0;
    }
    *ret_cost = cost *= n->op->slow ? n->op->slow : 1;
    return cost <= g->fold_budget;
}

static enum status evaluate(struct graph *g, struct node *n, const struct call *c, struct fault *f)
{
    for (int i = 0; i < c->nout; i++)
        if (c->out[i] && !(c->out[i]->data = arena_alloc(g->arena, value_bytes(c->out[i]) + 1)))
            return fault_set(f, ST_TOO_LARGE, "model", "the constants of the model are too large");
    n->op->reference(c);
    n->dead = true;
    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE)
            g->tensors[n->outputs[i]].producer = GRAPH_NONE;
    return ST_OK;
}

/* Operators that multiply by weights, or one matrix by another, in floats and in integers. */
static const struct product {
    const char *type;
    int weights;    /* input with the filters of a convolution; 0: a product of matrices */
    bool of_inputs; /* each input element meets a filter, not each output element */
} products[] = {
    { "Conv", 1, false },          { "ConvInteger", 1, false },   { "QLinearConv", 3, false },
    { "ConvTranspose", 1, true },  { "MatMul", 0, false },        { "Gemm", 0, false },
    { "MatMulInteger", 0, false }, { "QLinearMatMul", 0, false },
};

static const struct product *find_product(const char *type)
{
    for (size_t i = 0; i < sizeof products / sizeof products[0]; i++)
        if (strcmp(products[i].type, type) == 0)
            return &products[i];
    return NULL;
}

double call_work(const struct call *c)
{
    const struct product *const product = find_product(c->node->type);
    const struct value *x = call_in(c, 0), *y = call_out(c, 0);
    const struct value *w = product && product->weights ? call_in(c, product->weights) : NULL;
    const struct attribute *kernel = node_attribute(c->node, "kernel_shape");
    const double in = x ? (double)value_elements(x) : 0, out = y ? (double)value_elements(y) : 0;

    if (c->node->op->work)
        return c->node->op->work(c);
    if (w)
        return (product->of_inputs ? in : out) * (double)value_span(w, 1, w->rank);
    if (product && x && x->rank > 0)
        return out * (double)x->dims[x->rank - (node_int(c->node, "transA", 0) && x->rank > 1 ? 2 : 1)];
    if (kernel && kernel->kind == ATTRIBUTE_INTS && kernel->n == 2)
        return out * (double)kernel->ints[0] * (double)kernel->ints[1];
    return in + out;
}

enum status infer_call(const struct graph *g, const struct call *c, struct fault *f)
{
    enum status st = c->node->op->infer(c, f);

    for (int i = 0; st == ST_OK && i < c->nout; i++)
        if (c->out[i])
            st = check_size(g, c->node, c->out[i], f);
    return st;
}

static enum status infer_node(struct graph *g, struct node *n, const struct value **in,
                              struct value **out, struct fault *f)
{
    const struct call c = { n, g->opset, n->ninputs, n->noutputs, in, out };
    enum status st;
    int64_t cost;

    for (int i = 0; i < n->ninputs; i++)
        in[i] = n->inputs[i] == GRAPH_NONE ? NULL : &g->tensors[n->inputs[i]].v;
    for (int i = 0; i < n->noutputs; i++)
        out[i] = n->outputs[i] == GRAPH_NONE ? NULL : &g->tensors[n->outputs[i]].v;
    if ((st = infer_call(g, &c, f)) != ST_OK)
        return st;
    if (!can_evaluate(g, n, &cost)) {
        g->work += call_work(&c);
        if (g->work > (double)LIMIT_MODEL_WORK)
            return fault_set(f, ST_TOO_LARGE, "model",
                             "one run of the model would take more than %.0e operations",
                             (double)LIMIT_MODEL_WORK);
        return ST_OK;
    }
    g->fold_budget -= cost;
    return evaluate(g, n, &c, f);
}

static enum status check_inputs(const struct graph *g, struct fault *f)
{
    char name[64];

    for (int i = 0; i < g->ninputs; i++) {
        const struct tensor *t = &g->tensors[g->inputs[i]];
        size_t count;
        if (!value_count(&t->v, &count) || count == 0 || count * dtype_size(t->v.type) > g->memory_limit)
            return fault_set(f, ST_TOO_LARGE, "model", "input \"%s\" has no usable size",
                             text_printable(t->name, name, sizeof name));
    }
    return ST_OK;
}

enum status graph_infer(struct graph *g, struct fault *f)
{
    int most_in = 0, most_out = 0;
    const struct value **in;
    struct value **out;
    bool *late = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *late);
    enum status st = check_inputs(g, f);

    for (int i = 0; i < g->nnodes; i++) {
        most_in = g->nodes[i].ninputs > most_in ? g->nodes[i].ninputs : most_in;
        most_out = g->nodes[i].noutputs > most_out ? g->nodes[i].noutputs : most_out;
    }
    in = arena_array(g->arena, (size_t)most_in + 1, sizeof(void *));
    out = arena_array(g->arena, (size_t)most_out + 1, sizeof(void *));
    if (!in || !out || !late)
        return fault_set(f, ST_TOO_LARGE, "model", "the graph is too large");
    g->work = 0;
    for (int i = 0; st == ST_OK && i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        if (!n->dead && !late_reads(n, late))
            st = infer_node(g, n, in, out, f);
        if (!n->dead)
            (void)late_mark(n, late);
    }
    return st == ST_OK ? late_infer(g, f) : st;
}
