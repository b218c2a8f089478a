/*
 * A bound graph as an ONNX file, so that a rival can run the network of a checkpoint.
 * Operators are named as they are; SiLU, which ONNX lacks, is written as Sigmoid and Mul.
 */
#ifndef TESTS_BENCH_INFERENCE_EXPORT_H
#define TESTS_BENCH_INFERENCE_EXPORT_H

#include <stdio.h>
#include "inference/ops/op.h"
#include "tests/unit/inference_onnx_writer.h"

static inline const char *export_name(int t, char text[16])
{
    snprintf(text, 16, t == GRAPH_NONE ? "" : "t%d", t);
    return text;
}

static inline void export_constant(const struct graph *g, int t, struct buffer *out)
{
    static const int types[DTYPE__COUNT] = {
        [DTYPE_F32] = 1, [DTYPE_I64] = 7, [DTYPE_BOOL] = 9, [DTYPE_U8] = 2, [DTYPE_I8] = 3
    };
    const struct value *v = &g->tensors[t].v;
    char name[16];
    struct buffer m =
        onnx_tensor(export_name(t, name), types[v->type], v->rank, v->dims, v->data, value_bytes(v));

    pb_message(out, 5, &m);
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

static inline void export_node(const struct node *n, const char *type, struct buffer *graph)
{
    struct buffer m = { .n = 0 };
    char name[16];

    for (int i = 0; i < n->ninputs; i++)
        pb_text(&m, 1, export_name(n->inputs[i], name));
    for (int i = 0; i < n->noutputs; i++)
        pb_text(&m, 2, export_name(n->outputs[i], name));
    pb_text(&m, 4, type);
    for (int i = 0; i < n->nattributes; i++)
        export_attribute(&n->attributes[i], &m);
    pb_message(graph, 1, &m);
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
static inline const char *export_onnx(const struct graph *g, struct buffer *out)
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
        else
            export_node(n, n->type, &graph);
    }
    for (int t = 0; t < g->ntensors; t++)
        if (g->tensors[t].v.data)
            export_constant(g, t, &graph);
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
