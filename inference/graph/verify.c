/*
 * Is this a graph at all? Operators known, arities, attribute kinds, one producer a tensor, no cycle.
 * Sorts the nodes. Shapes are the business of infer.c.
 */
#include <stdio.h>
#include <string.h>
#include "inference/ops/op.h"

static enum status bind_operator(const struct graph *g, struct node *n, struct fault *f)
{
    char label[128];

    if (n->op && n->op->internal) /* made by a reader of ours: no file can name it */
        return ST_OK;
    n->op = op_find(n->type, g->opset);
    if (n->op)
        return ST_OK;
    node_label(g, n, label, sizeof label);
    if (op_known(n->type))
        return fault_set(f, ST_UNSUPPORTED, "model", "%s: opset %d is too old for this operator", label,
                         g->opset);
    return fault_set(f, ST_UNSUPPORTED, "model", "%s, opset %d: unknown operator", label, g->opset);
}

/* The kind letter that the operator's row gives to this attribute, or 0. */
static char attribute_letter(const char *spec, const char *name)
{
    const size_t n = strlen(name);

    while (spec && *spec) {
        const char *next = strchr(spec, ' ');
        if (strncmp(spec + 2, name, n) == 0 && (spec[2 + n] == ' ' || spec[2 + n] == '\0'))
            return *spec;
        spec = next ? next + 1 : NULL;
    }
    return 0;
}

static enum status check_attributes(const struct graph *g, const struct node *n, struct fault *f)
{
    static const char letters[] = {
        [ATTRIBUTE_INT] = 'i',  [ATTRIBUTE_FLOAT] = 'f',  [ATTRIBUTE_STRING] = 's',
        [ATTRIBUTE_INTS] = 'I', [ATTRIBUTE_FLOATS] = 'F', [ATTRIBUTE_TENSOR] = 't'
    };
    char label[128], name[40];

    for (int i = 0; i < n->nattributes; i++) {
        const struct attribute *a = &n->attributes[i];
        const char want = attribute_letter(n->op->attributes, a->name);
        if (want && want != letters[a->kind])
            return fault_set(f, ST_INVALID, "model", "%s: attribute %s has the wrong type",
                             node_label(g, n, label, sizeof label),
                             text_printable(a->name, name, sizeof name));
    }
    return ST_OK;
}

static enum status check_arity(const struct graph *g, const struct node *n, struct fault *f)
{
    char label[128];

    if (n->ninputs < n->op->min_in || n->ninputs > n->op->max_in)
        return fault_set(f, ST_INVALID, "model", "%s has %d inputs",
                         node_label(g, n, label, sizeof label), n->ninputs);
    for (int i = 0; i < n->op->min_in; i++)
        if (n->inputs[i] == GRAPH_NONE)
            return fault_set(f, ST_INVALID, "model", "%s: input %d is missing",
                             node_label(g, n, label, sizeof label), i + 1);
    if (n->noutputs < n->op->min_out || n->noutputs > n->op->max_out)
        return fault_set(f, ST_UNSUPPORTED, "model", "%s has %d outputs, this build makes at most %d",
                         node_label(g, n, label, sizeof label), n->noutputs, n->op->max_out);
    return ST_OK;
}

static enum status set_producers(struct graph *g, struct fault *f)
{
    char label[128], name[64];

    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        for (int k = 0; k < n->noutputs; k++) {
            struct tensor *t = n->outputs[k] == GRAPH_NONE ? NULL : &g->tensors[n->outputs[k]];
            bool taken = t && (t->producer != GRAPH_NONE || t->v.data);
            for (int j = 0; t && j < g->ninputs; j++)
                taken |= g->inputs[j] == n->outputs[k];
            if (taken)
                return fault_set(f, ST_INVALID, "model", "%s makes tensor \"%s\", which exists already",
                                 node_label(g, n, label, sizeof label),
                                 text_printable(t->name, name, sizeof name));
            if (t)
                t->producer = i;
        }
    }
    return ST_OK;
}

static bool is_input(const struct graph *g, int t)
{
    for (int i = 0; i < g->ninputs; i++)
        if (g->inputs[i] == t)
            return true;
    return false;
}

static enum status check_sources(const struct graph *g, struct fault *f)
{
    char label[128], name[64];

    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        for (int k = 0; k < n->ninputs; k++) {
            const int t = n->inputs[k];
            if (t != GRAPH_NONE && !g->tensors[t].v.data && g->tensors[t].producer == GRAPH_NONE &&
                !is_input(g, t))
                return fault_set(f, ST_INVALID, "model", "%s reads tensor \"%s\", which nothing makes",
                                 node_label(g, n, label, sizeof label),
                                 text_printable(g->tensors[t].name, name, sizeof name));
        }
    }
    for (int i = 0; i < g->noutputs; i++) {
        const int t = g->outputs[i];
        if (!g->tensors[t].v.data && g->tensors[t].producer == GRAPH_NONE && !is_input(g, t))
            return fault_set(f, ST_INVALID, "model", "nothing makes the output \"%s\"",
                             text_printable(g->tensors[t].name, name, sizeof name));
    }
    return ST_OK;
}

/*
 * Kahn's algorithm. The queue is the new order; ready nodes keep the file's order. waiting[i] counts
 * inputs not made yet; readers of a tensor are found through lists in next/first, one link an input.
 */
static enum status sort_nodes(struct graph *g, struct fault *f)
{
    size_t links = 0;
    int *first, *next, *owner, *waiting, *queue, nlinks = 0, nqueue = 0;
    struct node *sorted;
    char label[128];

    for (int i = 0; i < g->nnodes; i++)
        links += (size_t)g->nodes[i].ninputs;
    first = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *first);
    next = arena_array(g->arena, links + 1, sizeof *next);
    owner = arena_array(g->arena, links + 1, sizeof *owner);
    waiting = arena_array(g->arena, (size_t)g->nnodes + 1, sizeof *waiting);
    queue = arena_array(g->arena, (size_t)g->nnodes + 1, sizeof *queue);
    sorted = arena_array(g->arena, (size_t)g->nnodes + 1, sizeof *sorted);
    if (!first || !next || !owner || !waiting || !queue || !sorted)
        return fault_set(f, ST_TOO_LARGE, "model", "the graph is too large");

    for (int i = 0; i < g->ntensors; i++)
        first[i] = -1;
    for (int i = g->nnodes - 1; i >= 0; i--) {
        const struct node *n = &g->nodes[i];
        for (int k = 0; k < n->ninputs; k++) {
            const int t = n->inputs[k];
            if (t == GRAPH_NONE || g->tensors[t].producer == GRAPH_NONE)
                continue;
            waiting[i]++;
            owner[nlinks] = i;
            next[nlinks] = first[t];
            first[t] = nlinks++;
        }
    }
    for (int i = 0; i < g->nnodes; i++)
        if (!waiting[i])
            queue[nqueue++] = i;
    for (int q = 0; q < nqueue; q++) {
        const struct node *n = &g->nodes[queue[q]];
        for (int k = 0; k < n->noutputs; k++)
            for (int l = n->outputs[k] == GRAPH_NONE ? -1 : first[n->outputs[k]]; l >= 0; l = next[l])
                if (--waiting[owner[l]] == 0)
                    queue[nqueue++] = owner[l];
    }
    for (int i = 0; i < g->nnodes; i++)
        if (waiting[i] > 0)
            return fault_set(f, ST_INVALID, "model", "%s is part of a cycle",
                             node_label(g, &g->nodes[i], label, sizeof label));
    for (int q = 0; q < nqueue; q++) {
        sorted[q] = g->nodes[queue[q]];
        for (int k = 0; k < sorted[q].noutputs; k++)
            if (sorted[q].outputs[k] != GRAPH_NONE)
                g->tensors[sorted[q].outputs[k]].producer = q;
    }
    g->nodes = sorted;
    g->nodes_cap = g->nnodes;
    return ST_OK;
}

enum status graph_verify(struct graph *g, struct fault *f)
{
    enum status st = ST_OK;

    for (int i = 0; st == ST_OK && i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        if ((st = bind_operator(g, n, f)) != ST_OK || (st = check_arity(g, n, f)) != ST_OK)
            return st;
        st = check_attributes(g, n, f);
    }
    if (st != ST_OK || (st = set_producers(g, f)) != ST_OK || (st = check_sources(g, f)) != ST_OK)
        return st;
    if (g->noutputs == 0)
        return fault_set(f, ST_INVALID, "model", "the graph has no output");
    return sort_nodes(g, f);
}
