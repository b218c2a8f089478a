/*
 * A bound graph as an ONNX file, so that a rival can run the network of a checkpoint.
 * Operators are named as they are; SiLU, which ONNX lacks, is written as Sigmoid and Mul. `plain` is for
 * rivals that know ONNX badly: pieces of a Split are slices, constants of arithmetic have the shape of
 * the result.
 */
#ifndef TESTS_BENCH_INFERENCE_EXPORT_H
#define TESTS_BENCH_INFERENCE_EXPORT_H

#include <stdio.h>
#include "inference/ops/op.h"
#include "tests/unit/inference_onnx_writer.h"

static inline const char *export_name(int t, char text[16])
{
    if (t == GRAPH_NONE)
        text[0] = '\0';
    else
        snprintf(text, 16, "t%d", t);
    return text;
}

static inline void export_value(const struct value *v, const char *name, struct buffer *out)
{
    static const int types[DTYPE__COUNT] = {
        [DTYPE_F32] = 1, [DTYPE_I64] = 7, [DTYPE_BOOL] = 9, [DTYPE_U8] = 2, [DTYPE_I8] = 3
    };
    struct buffer m = onnx_tensor(name, types[v->type], v->rank, v->dims, v->data, value_bytes(v));

    pb_message(out, 5, &m);
}

/* A constant repeated to the shape of `like`, under the name of the node that wants it so. */
static inline void export_repeated(const struct value *v, const struct value *like, const char *name,
                                   struct buffer *out)
{
    int64_t strides[LIMIT_TENSOR_RANK];
    struct value full = *like;
    struct walk w = { .rank = like->rank, .noffsets = 1, .dims = like->dims, .strides = { strides } };
    float *x = malloc(value_bytes(like) + 1);

    broadcast_strides(v, like, strides);
    full.data = x;
    do
        *x++ = value_f32(v)[w.offset[0]];
    while (walk_step(&w));
    export_value(&full, name, out);
    free(full.data);
}

static inline void export_attribute(const struct attribute *a, struct buffer *node)
{
    struct buffer m = { .n = 0 };

    switch (a->kind) {
    case ATTRIBUTE_INT:
        onnx_int_attribute(node, a->name, a->i);
        break;
    case ATTRIBUTE_FLOAT:
        onnx_float_attribute(node, a->name, a->f);
        break;
    case ATTRIBUTE_STRING:
        onnx_text_attribute(node, a->name, a->s);
        break;
    case ATTRIBUTE_INTS:
        onnx_ints_attribute(node, a->name, a->n, a->ints);
        break;
    default: /* lists of floats and tensors: not in the networks that are exported */
        buffer_free(&m);
    }
}

static inline bool is_arithmetic(const struct node *n)
{
    return strcmp(n->type, "Add") == 0 || strcmp(n->type, "Sub") == 0 || strcmp(n->type, "Mul") == 0 ||
           strcmp(n->type, "Div") == 0;
}

static inline void export_node(const struct graph *g, const struct node *n, bool plain,
                               struct buffer *graph)
{
    const struct value *y = &g->tensors[n->outputs[0]].v;
    struct buffer m = { .n = 0 };
    char name[16], repeated[48];

    for (int i = 0; i < n->ninputs; i++) {
        const struct value *v = n->inputs[i] == GRAPH_NONE ? NULL : &g->tensors[n->inputs[i]].v;
        export_name(n->inputs[i], name);
        if (plain && v && v->data && v->type == DTYPE_F32 && is_arithmetic(n)) {
            snprintf(repeated, sizeof repeated, "%s_%td", name, n - g->nodes);
            export_repeated(v, y, repeated, graph);
            pb_text(&m, 1, repeated);
        } else {
            pb_text(&m, 1, name);
        }
    }
    for (int i = 0; i < n->noutputs; i++)
        pb_text(&m, 2, export_name(n->outputs[i], name));
    pb_text(&m, 4, n->type);
    for (int i = 0; i < n->nattributes; i++)
        export_attribute(&n->attributes[i], &m);
    pb_message(graph, 1, &m);
}

static inline void export_slices(const struct graph *g, const struct node *n, struct buffer *graph)
{
    const struct value *x = &g->tensors[n->inputs[0]].v;
    int64_t axis = 0, from = 0;

    for (int i = 0; i < n->nattributes; i++)
        if (strcmp(n->attributes[i].name, "axis") == 0)
            axis = n->attributes[i].i + (n->attributes[i].i < 0 ? x->rank : 0);
    for (int i = 0; i < n->noutputs; i++) {
        const int64_t to = from + g->tensors[n->outputs[i]].v.dims[axis];
        char in[16], out[16], names[3][24], all[120];
        export_name(n->inputs[0], in);
        export_name(n->outputs[i], out);
        for (int k = 0; k < 3; k++) {
            snprintf(names[k], sizeof names[k], "%s_%d", out, k);
            onnx_ints(graph, names[k], 1, (const int64_t *[]){ &from, &to, &axis }[k]);
        }
        snprintf(all, sizeof all, "%s %s %s %s", in, names[0], names[1], names[2]);
        onnx_node(graph, "Slice", all, out, NULL);
        from = to;
    }
}

static inline void export_silu(const struct node *n, struct buffer *graph)
{
    char x[16], y[16], s[24], both[48];

    export_name(n->inputs[0], x);
    export_name(n->outputs[0], y);
    snprintf(s, sizeof s, "%ss", y);
    snprintf(both, sizeof both, "%s %s", x, s);
    onnx_node(graph, "Sigmoid", x, s, NULL);
    onnx_node(graph, "Mul", both, y, NULL);
}

/* NULL, or the operator that ONNX does not have. */
static inline const char *export_onnx(const struct graph *g, bool plain, struct buffer *out)
{
    struct buffer graph = { .n = 0 };
    char name[16];

    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        if (n->dead)
            continue;
        if (strcmp(n->type, "SiLU") == 0)
            export_silu(n, &graph);
        else if (n->op->internal)
            return n->op->name;
        else if (plain && strcmp(n->type, "Split") == 0)
            export_slices(g, n, &graph);
        else
            export_node(g, n, plain, &graph);
    }
    for (int t = 0; t < g->ntensors; t++)
        if (g->tensors[t].v.data && !(plain && g->tensors[t].v.type == DTYPE_BOOL))
            export_value(&g->tensors[t].v, export_name(t, name), &graph);
    for (int i = 0; i < g->ninputs; i++) {
        const struct value *v = &g->tensors[g->inputs[i]].v;
        onnx_input(&graph, export_name(g->inputs[i], name), v->rank, v->dims);
    }
    for (int i = 0; i < g->noutputs; i++) {
        const struct value *v = &g->tensors[g->outputs[i]].v;
        onnx_value(&graph, 12, export_name(g->outputs[i], name), ONNX_FLOAT, v->rank, v->dims);
    }
    pb_text(&graph, 2, "bench");
    *out = onnx_model(&graph, g->opset, NULL);
    return NULL;
}

#endif
