/*
 * From a checkpoint to a model: the layers of its network in order, each with the outputs of those it
 * names, the last of them the head. See model.h and build.h. What the file says of itself becomes notes
 * with the keys of ONNX exports (notes.c).
 */
#include <string.h>
#include "inference/ops/op.h"
#include "inference/pt/modules.h"
#include "inference/pt/notes.h"
#include "inference/pt/pt.h"

enum { OPSET = 20, PICTURE_PLANES = 3 };

struct network {
    struct build *build;
    const struct pt_value *layers; /* a Sequential */
    struct feature *outputs;       /* [layers] */
    struct feature picture;
};

/* "images" [1, planes, H, W], the sides unbound. */
static enum status add_input(struct build *b, int64_t planes)
{
    const struct value v = { .type = DTYPE_F32, .rank = 4, .dims = { 1, planes, -1, -1 } };
    struct graph *g = b->graph;

    if (!(g->inputs = arena_array(g->arena, 1, sizeof *g->inputs)) ||
        (g->inputs[0] = graph_add_tensor(g, "images", &v)) == GRAPH_NONE)
        return fault_set(b->fault, ST_UNAVAILABLE, "model", "out of memory");
    g->ninputs = 1;
    return ST_OK;
}

/* What layer i reads as its input `from`: -1 is the one before, others below 0 count back from it. */
static const struct feature *source(struct network *n, const struct pt_value *layer, int i, int64_t from)
{
    const int64_t at = from < 0 ? i + from : from;

    if (i == 0 && from == -1)
        return &n->picture;
    if (at < 0 || at >= i) {
        build_fail(n->build, ST_INVALID, layer, "it reads layer %lld, which does not come before it",
                   (long long)from);
        return NULL;
    }
    return &n->outputs[at];
}

/* Fills x with the inputs of a layer; how many, 0 after a failure. */
static int sources(struct network *n, const struct pt_value *layer, int i, const struct feature *x[])
{
    const struct pt_value *from = pt_attribute(layer, "f");
    const bool list = from && (from->kind == PT_LIST || from->kind == PT_TUPLE);
    const size_t count = list ? from->items.n : 1;
    int64_t index = -1;

    if (count < 1 || count > LIMIT_PT_FEATURES) {
        build_fail(n->build, ST_UNSUPPORTED, layer, "it has %zu inputs", count);
        return 0;
    }
    for (size_t k = 0; k < count; k++) {
        const struct pt_value *v = list ? from->items.at[k] : from;
        if (v && !pt_int(v, &index)) {
            build_fail(n->build, ST_INVALID, layer, "its inputs are no layers");
            return 0;
        }
        if (!(x[k] = source(n, layer, i, index)))
            return 0;
    }
    return (int)count;
}

static enum status add_layers(struct network *n, size_t count)
{
    const struct feature *x[LIMIT_PT_FEATURES];
    struct build *b = n->build;

    for (size_t i = 0; i < count && b->st == ST_OK; i++) {
        const struct pt_value *layer = build_child(n->layers, i);
        int nx;
        b->layer = (int)i;
        if ((nx = sources(n, layer, (int)i, x)) == 0)
            break;
        n->outputs[i] = build_run_many(b, layer, x, nx);
        if (b->st == ST_OK && n->outputs[i].n == 0)
            build_fail(b, ST_UNSUPPORTED, layer, "it gives nothing");
    }
    return b->st;
}

/* The head's tensors are the graph's outputs, "output0" and so on. */
static enum status set_outputs(struct build *b, const struct feature *head)
{
    struct graph *g = b->graph;

    if (!b->task)
        return fault_set(b->fault, ST_UNSUPPORTED, "model",
                         "the network does not end in a head that is known here: layer %d", b->layer);
    if (!(g->outputs = arena_array(g->arena, (size_t)head->n, sizeof *g->outputs)))
        return fault_set(b->fault, ST_UNAVAILABLE, "model", "out of memory");
    for (int i = 0; i < head->n; i++) {
        g->outputs[i] = head->at[i];
        g->tensors[head->at[i]].name = arena_printf(g->arena, "output%d", i);
    }
    g->noutputs = head->n;
    return arena_failed(g->arena) ? fault_set(b->fault, ST_UNAVAILABLE, "model", "out of memory")
                                  : ST_OK;
}

/* Planes of the picture, from the description of the architecture. */
static int64_t planes(const struct pt_value *model)
{
    const struct pt_value *yaml = pt_attribute(model, "yaml");
    int64_t n = PICTURE_PLANES;

    if ((pt_int(pt_get(yaml, "channels"), &n) || pt_int(pt_get(yaml, "ch"), &n)) && n >= 1 && n <= 64)
        return n;
    return PICTURE_PLANES;
}

static enum status add_network(struct build *b, const struct pt_value *model)
{
    struct network n = { .build = b, .layers = pt_part(model, "model") };
    const size_t count = build_children(n.layers);
    enum status st;

    if (count == 0)
        return fault_set(b->fault, ST_UNSUPPORTED, "model", "the checkpoint's network has no layers");
    if (count > LIMIT_PT_LAYERS)
        return fault_set(b->fault, ST_TOO_LARGE, "model", "the network has more than %d layers",
                         LIMIT_PT_LAYERS);
    if (!(n.outputs = arena_array(b->graph->arena, count, sizeof *n.outputs)))
        return fault_set(b->fault, ST_UNAVAILABLE, "model", "out of memory");
    if ((st = add_input(b, planes(model))) != ST_OK)
        return st;
    n.picture = (struct feature){ 1, { b->graph->inputs[0] } };
    if ((st = add_layers(&n, count)) != ST_OK)
        return st;
    return set_outputs(b, &n.outputs[count - 1]);
}

static enum status read_model(const struct pt_file *p, size_t n, enum onnx_weights weights,
                              struct model **ret, struct fault *f)
{
    struct graph *g = graph_create(n);
    struct model *m = g ? arena_alloc(g->arena, sizeof *m) : NULL;
    struct build b = { .graph = g,
                       .fault = f,
                       .outlined = weights == ONNX_WEIGHTS_OUTLINED,
                       .elements_left = LIMIT_PT_ELEMENTS + 4 * (int64_t)n };
    const struct pt_value *model = NULL;
    enum status st;

    if (!m) {
        graph_free(g);
        return fault_set(f, ST_UNAVAILABLE, "model", "out of memory");
    }
    g->opset = OPSET;
    m->graph = g;
    if ((st = pt_model(p, &model, f)) == ST_OK && (st = add_network(&b, model)) == ST_OK &&
        (st = pt_count_parameters(p, model, &m->parameters, f)) == ST_OK)
        st = notes_write(p, model, &b, m, f);
    if (st == ST_OK)
        *ret = m;
    else
        graph_free(g);
    return st;
}

enum status pt_read_as(const void *bytes, size_t n, enum onnx_weights weights, struct model **ret,
                       struct fault *f)
{
    struct pt_file *p = NULL;
    enum status st = pt_open(bytes, n, &p, f);

    if (st == ST_OK)
        st = read_model(p, n, weights, ret, f);
    pt_close(p);
    return st;
}

enum status pt_read(const void *bytes, size_t n, struct model **ret, struct fault *f)
{
    return pt_read_as(bytes, n, ONNX_WEIGHTS_COPIED, ret, f);
}
