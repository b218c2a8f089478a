/*
 * ONNX files. slim.c takes the weights out, the generated parser turns the rest into messages, under a
 * memory budget; this file turns messages into the neutral graph and refuses what the engine has no use
 * for. Field numbers: onnx.proto. Left to graph_verify: operators, arities, cycles.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inference/model/model.h"
#include "inference/model/names.h"
#include "inference/model/slim.h"
#include "inference/model/tensor.h"

enum { OPSET_MIN = 7, OPSET_MAX = 22, LIMIT_NODE_VALUES = 4096, LIMIT_NODE_ATTRIBUTES = 64 };

/* protobuf-c's messages are many times larger than the bytes of a hostile file: allocation has a budget.
 */
struct budget {
    size_t left;
    bool exceeded;
};

static void *budget_alloc(void *data, size_t size)
{
    struct budget *b = data;
    size_t *p;

    if (size > b->left || b->left - size < sizeof(size_t) * 2) {
        b->exceeded = true;
        return NULL;
    }
    if (!(p = malloc(size + sizeof(size_t) * 2)))
        return NULL;
    b->left -= size + sizeof(size_t) * 2;
    p[0] = size + sizeof(size_t) * 2;
    return p + 2;
}

static void budget_free(void *data, void *pointer)
{
    struct budget *b = data;
    size_t *p = pointer;

    if (!p)
        return;
    b->left += p[-2];
    free(p - 2);
}

struct reader {
    const Onnxfile__Model *file;
    struct tensor_place place;
    struct model *model;
    struct graph *graph;
    struct names names;
    struct fault *fault;
};

static const char *shown(const char *s, char *text, size_t size)
{
    return text_printable(s ? s : "", text, size);
}

static enum status out_of_memory(struct fault *f)
{
    return fault_set(f, ST_TOO_LARGE, "model", "the model needs more memory than its file size allows");
}

/* The number of a tensor, made on first sight: nodes may come in any order. */
static int tensor_number(struct reader *r, const char *name)
{
    const struct value unknown = { 0 };
    int t = names_find(&r->names, name);

    if (t != GRAPH_NONE)
        return t;
    t = graph_add_tensor(r->graph, name, &unknown);
    if (t == GRAPH_NONE || !names_add(&r->names, r->graph->tensors[t].name, t))
        return GRAPH_NONE;
    return t;
}

static enum status read_opset(struct reader *r)
{
    char domain[40];

    for (size_t i = 0; i < r->file->n_opset_import; i++) {
        const Onnxfile__Opset *o = r->file->opset_import[i];
        if (o->domain && o->domain[0] && strcmp(o->domain, "ai.onnx") != 0)
            continue; /* refused where a node uses it */
        if (o->version < OPSET_MIN || o->version > OPSET_MAX)
            return fault_set(r->fault, ST_UNSUPPORTED, "model",
                             "opset %lld%s%s is outside %d to %d: export with opset 17",
                             (long long)o->version, o->domain && o->domain[0] ? " of " : "",
                             shown(o->domain, domain, sizeof domain), OPSET_MIN, OPSET_MAX);
        r->graph->opset = (int)o->version;
    }
    if (!r->graph->opset)
        return fault_set(r->fault, ST_INVALID, "model", "the file names no opset");
    return ST_OK;
}

static enum status read_initializers(struct reader *r)
{
    const Onnxfile__Graph *g = r->file->graph;
    char what[64];
    enum status st;

    if (g->n_sparse_initializer)
        return fault_set(r->fault, ST_UNSUPPORTED, "model", "sparse initializers are not supported");
    for (size_t i = 0; i < g->n_initializer; i++) {
        const Onnxfile__Tensor *t = g->initializer[i];
        struct value v;
        int number;
        shown(t->name, what, sizeof what);
        if (!t->name || !t->name[0])
            return fault_set(r->fault, ST_INVALID, "model", "initializer %zu has no name", i);
        if (names_find(&r->names, t->name) != GRAPH_NONE)
            return fault_set(r->fault, ST_INVALID, "model", "initializer \"%s\" appears twice", what);
        if ((st = tensor_read(&r->place, t, what, &v, r->fault)) != ST_OK)
            return st;
        if ((number = tensor_number(r, t->name)) == GRAPH_NONE)
            return out_of_memory(r->fault);
        r->graph->tensors[number].v = v;
        if (v.type == DTYPE_F32 || v.type == DTYPE_U8 || v.type == DTYPE_I8)
            r->model->parameters += (int64_t)value_elements(&v);
    }
    return ST_OK;
}

static enum status read_input_type(struct reader *r, const Onnxfile__ValueInfo *in, struct value *v)
{
    const Onnxfile__TensorType *tt = in->type ? in->type->tensor_type : NULL;
    const Onnxfile__Shape *shape = tt ? tt->shape : NULL;
    char what[64];

    shown(in->name, what, sizeof what);
    if (!tt)
        return fault_set(r->fault, ST_UNSUPPORTED, "model", "input \"%s\" is not a tensor", what);
    if (!tensor_dtype(tt->elem_type, &v->type))
        return fault_set(r->fault, ST_UNSUPPORTED, "model",
                         "input \"%s\" has element type %d, which is not supported", what,
                         tt->elem_type);
    if (!shape || shape->n_dim > LIMIT_TENSOR_RANK)
        return fault_set(r->fault, ST_UNSUPPORTED, "model", "input \"%s\" has no shape that can be used",
                         what);
    v->rank = (int)shape->n_dim;
    for (size_t i = 0; i < shape->n_dim; i++)
        v->dims[i] =
            shape->dim[i]->has_dim_value && shape->dim[i]->dim_value > 0 ? shape->dim[i]->dim_value : -1;
    return ST_OK;
}

/* Old files list every initializer as an input too: those are constants. */
static enum status read_inputs(struct reader *r)
{
    const Onnxfile__Graph *g = r->file->graph;
    enum status st;

    if (!(r->graph->inputs = arena_array(r->graph->arena, g->n_input + 1, sizeof(int))))
        return out_of_memory(r->fault);
    for (size_t i = 0; i < g->n_input; i++) {
        const Onnxfile__ValueInfo *in = g->input[i];
        struct value v = { 0 };
        int number = in->name ? names_find(&r->names, in->name) : GRAPH_NONE;
        if (!in->name || !in->name[0])
            return fault_set(r->fault, ST_INVALID, "model", "input %zu has no name", i);
        if (number != GRAPH_NONE && r->graph->tensors[number].v.data)
            continue;
        if (number != GRAPH_NONE)
            return fault_set(r->fault, ST_INVALID, "model", "input %zu appears twice", i);
        if ((st = read_input_type(r, in, &v)) != ST_OK)
            return st;
        if ((number = tensor_number(r, in->name)) == GRAPH_NONE)
            return out_of_memory(r->fault);
        r->graph->tensors[number].v = v;
        r->graph->inputs[r->graph->ninputs++] = number;
    }
    return ST_OK;
}

static enum status read_outputs(struct reader *r)
{
    const Onnxfile__Graph *g = r->file->graph;

    if (!(r->graph->outputs = arena_array(r->graph->arena, g->n_output + 1, sizeof(int))))
        return out_of_memory(r->fault);
    for (size_t i = 0; i < g->n_output; i++) {
        const int number = g->output[i]->name && g->output[i]->name[0]
                               ? tensor_number(r, g->output[i]->name)
                               : GRAPH_NONE;
        if (number == GRAPH_NONE)
            return fault_set(r->fault, ST_INVALID, "model", "output %zu has no name", i);
        r->graph->outputs[r->graph->noutputs++] = number;
    }
    return ST_OK;
}

static void *copy_array(struct arena *a, const void *p, size_t n, size_t size)
{
    void *q = arena_array(a, n + 1, size);

    if (q && n)
        memcpy(q, p, n * size);
    return q;
}

/* Files before IR version 3 may leave the type out: then the field that is there decides. */
static int attribute_type(const Onnxfile__Attribute *a)
{
    if (a->has_type && a->type)
        return a->type;
    return a->has_f ? 1 : a->has_i ? 2 : a->has_s ? 3 : a->t ? 4 : a->n_floats ? 6 : a->n_ints ? 7 : 0;
}

static enum status read_attribute(struct reader *r, const Onnxfile__Attribute *from, const char *label,
                                  struct attribute *to)
{
    struct arena *a = r->graph->arena;
    char name[40];

    shown(from->name, name, sizeof name);
    if (!from->name || !(to->name = arena_strdup(a, from->name)))
        return fault_set(r->fault, ST_INVALID, "model", "%s has an attribute without a name", label);
    switch (attribute_type(from)) {
    case 1:
        to->kind = ATTRIBUTE_FLOAT;
        to->f = from->f;
        return ST_OK;
    case 2:
        to->kind = ATTRIBUTE_INT;
        to->i = from->i;
        return ST_OK;
    case 3:
        to->kind = ATTRIBUTE_STRING;
        to->s = arena_strndup(a, from->s.len ? (const char *)from->s.data : "", from->s.len);
        return to->s ? ST_OK : out_of_memory(r->fault);
    case 4:
        to->kind = ATTRIBUTE_TENSOR;
        if (!from->t)
            return fault_set(r->fault, ST_INVALID, "model", "%s: attribute %s is empty", label, name);
        return tensor_read(&r->place, from->t, label, &to->tensor, r->fault);
    case 6:
        to->kind = ATTRIBUTE_FLOATS;
        to->n = from->n_floats;
        to->floats = copy_array(a, from->floats, to->n, sizeof *to->floats);
        return to->floats ? ST_OK : out_of_memory(r->fault);
    case 7:
        to->kind = ATTRIBUTE_INTS;
        to->n = from->n_ints;
        to->ints = copy_array(a, from->ints, to->n, sizeof *to->ints);
        return to->ints ? ST_OK : out_of_memory(r->fault);
    case 5:
    case 10:
        return fault_set(r->fault, ST_UNSUPPORTED, "model",
                         "%s, opset %d: nested graphs are not supported", label, r->graph->opset);
    default:
        return fault_set(r->fault, ST_UNSUPPORTED, "model",
                         "%s: attribute %s has a type that is not supported", label, name);
    }
}

static enum status check_node(struct reader *r, const Onnxfile__Node *n, const char *label)
{
    char domain[40];

    if (!n->op_type || !n->op_type[0])
        return fault_set(r->fault, ST_INVALID, "model", "%s has no operator", label);
    if (n->domain && n->domain[0] && strcmp(n->domain, "ai.onnx") != 0)
        return fault_set(r->fault, ST_UNSUPPORTED, "model",
                         "%s: operator of domain %s is unknown: export without vendor optimisations",
                         label, shown(n->domain, domain, sizeof domain));
    if (n->n_input > LIMIT_NODE_VALUES || n->n_output > LIMIT_NODE_VALUES ||
        n->n_attribute > LIMIT_NODE_ATTRIBUTES)
        return fault_set(r->fault, ST_TOO_LARGE, "model",
                         "%s has too many inputs, outputs or attributes", label);
    return ST_OK;
}

static enum status read_node(struct reader *r, const Onnxfile__Node *from, size_t at)
{
    char type[40], name[64], label[128];
    enum status st;
    int i;

    snprintf(label, sizeof label, "%s node \"%s\" (number %zu)", shown(from->op_type, type, sizeof type),
             shown(from->name, name, sizeof name), at);
    if ((st = check_node(r, from, label)) != ST_OK)
        return st;
    i = graph_add_node(r->graph, from->op_type, from->name ? from->name : "", (int)from->n_input,
                       (int)from->n_output, (int)from->n_attribute);
    if (i == GRAPH_NONE)
        return out_of_memory(r->fault);
    for (size_t k = 0; k < from->n_input; k++)
        if (from->input[k][0] &&
            (r->graph->nodes[i].inputs[k] = tensor_number(r, from->input[k])) == GRAPH_NONE)
            return out_of_memory(r->fault);
    for (size_t k = 0; k < from->n_output; k++)
        if (from->output[k][0] &&
            (r->graph->nodes[i].outputs[k] = tensor_number(r, from->output[k])) == GRAPH_NONE)
            return out_of_memory(r->fault);
    for (size_t k = 0; k < from->n_attribute; k++)
        if ((st = read_attribute(r, from->attribute[k], label, &r->graph->nodes[i].attributes[k])) !=
            ST_OK)
            return st;
    return ST_OK;
}

static enum status read_nodes(struct reader *r)
{
    const Onnxfile__Graph *g = r->file->graph;
    enum status st = ST_OK;

    if (g->n_node > LIMIT_ONNX_NODES)
        return fault_set(r->fault, ST_TOO_LARGE, "model", "the graph has more than %d nodes",
                         LIMIT_ONNX_NODES);
    for (size_t i = 0; st == ST_OK && i < g->n_node; i++)
        st = read_node(r, g->node[i], i);
    return st;
}

static enum status read_notes(struct reader *r)
{
    struct model *m = r->model;
    struct arena *a = r->graph->arena;

    m->producer = arena_strdup(a, r->file->producer_name ? r->file->producer_name : "");
    m->producer_version = arena_strdup(a, r->file->producer_version ? r->file->producer_version : "");
    m->notes = arena_array(a, r->file->n_metadata_props + 1, sizeof *m->notes);
    for (size_t i = 0; m->notes && i < r->file->n_metadata_props; i++) {
        const Onnxfile__Entry *e = r->file->metadata_props[i];
        if (e->key && e->value)
            m->notes[m->nnotes++] =
                (struct model_note){ arena_strdup(a, e->key), arena_strdup(a, e->value) };
    }
    return arena_failed(a) ? out_of_memory(r->fault) : ST_OK;
}

static enum status read_model(const Onnxfile__Model *file, struct tensor_place place, struct model **ret,
                              struct fault *f)
{
    struct graph *g = graph_create(place.n);
    struct model *m = g ? arena_alloc(g->arena, sizeof *m) : NULL;
    struct reader r = { .file = file, .place = place, .model = m, .graph = g, .fault = f };
    enum status st;

    if (!m) {
        graph_free(g);
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    m->graph = g;
    r.place.arena = r.names.arena = g->arena;
    if ((st = read_opset(&r)) == ST_OK && (st = read_initializers(&r)) == ST_OK &&
        (st = read_inputs(&r)) == ST_OK && (st = read_nodes(&r)) == ST_OK &&
        (st = read_outputs(&r)) == ST_OK)
        st = read_notes(&r);
    if (st != ST_OK) {
        graph_free(g);
        return st;
    }
    *ret = m;
    return ST_OK;
}

static enum status read_slim(const struct buffer *slim, struct tensor_place place, struct model **ret,
                             struct fault *f)
{
    struct budget budget = { .left = ((size_t)8 << 20) + 32 * slim->n };
    ProtobufCAllocator allocator = { budget_alloc, budget_free, &budget };
    Onnxfile__Model *file =
        onnxfile__model__unpack(&allocator, slim->n, (const uint8_t *)(slim->p ? slim->p : ""));
    enum status st;

    if (!file)
        return budget.exceeded ? out_of_memory(f)
                               : fault_set(f, ST_INVALID, "model", "not an ONNX file, or a damaged one");
    if (!file->graph || file->ir_version < 3)
        st = fault_set(f, ST_INVALID, "model",
                       "not an ONNX file: it has no graph, or no format version of 3 or later");
    else
        st = read_model(file, place, ret, f);
    onnxfile__model__free_unpacked(file, &allocator);
    return st;
}

enum status onnx_read_as(const void *bytes, size_t n, enum onnx_weights weights, struct model **ret,
                         struct fault *f)
{
    const struct tensor_place place = { .file = bytes, .n = n, .weights = weights };
    struct buffer slim = { 0 };
    enum status st;

    if (n > LIMIT_ONNX_BYTES)
        return fault_set(f, ST_TOO_LARGE, "model", "the model file is larger than %d bytes",
                         LIMIT_ONNX_BYTES);
    if (n < 2)
        return fault_set(f, ST_INVALID, "model", "not an ONNX file: it is empty");
    if ((st = onnx_slim(bytes, n, &slim, f)) == ST_OK)
        st = read_slim(&slim, place, ret, f);
    buffer_free(&slim);
    return st;
}

enum status onnx_read(const void *bytes, size_t n, struct model **ret, struct fault *f)
{
    return onnx_read_as(bytes, n, ONNX_WEIGHTS_COPIED, ret, f);
}

void model_free(struct model *m)
{
    if (m)
        graph_free(m->graph);
}

const char *model_note(const struct model *m, const char *key)
{
    for (size_t i = 0; i < m->nnotes; i++)
        if (strcmp(m->notes[i].key, key) == 0)
            return m->notes[i].value;
    return NULL;
}
