/*
 * The interpreter: every node by its reference, in order. Memory of a tensor is taken when it is made
 * and given back after its last reader.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/ops/op.h"

struct interpreter {
    const struct graph *g;
    struct value *values; /* [ntensors] copies of the graph's, with data of this run */
    int *left;            /* [ntensors] readers still to come */
    const struct value **in;
    struct value **out;
};

static void release(struct interpreter *it, int t)
{
    if (!it->g->tensors[t].v.data && it->g->tensors[t].producer != GRAPH_NONE) {
        free(it->values[t].data);
        it->values[t].data = NULL;
    }
}

static bool run_node(struct interpreter *it, const struct node *n)
{
    const struct call c = { n, it->g->opset, n->ninputs, n->noutputs, it->in, it->out };

    for (int i = 0; i < n->ninputs; i++)
        it->in[i] = n->inputs[i] == GRAPH_NONE ? NULL : &it->values[n->inputs[i]];
    for (int i = 0; i < n->noutputs; i++) {
        it->out[i] = n->outputs[i] == GRAPH_NONE ? NULL : &it->values[n->outputs[i]];
        if (it->out[i] && !(it->out[i]->data = malloc(value_bytes(it->out[i]) + 1)))
            return false;
    }
    n->op->reference(&c);
    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE && it->left[n->outputs[i]] == 0)
            release(it, n->outputs[i]);
    for (int i = 0; i < n->ninputs; i++)
        if (n->inputs[i] != GRAPH_NONE && --it->left[n->inputs[i]] == 0)
            release(it, n->inputs[i]);
    return true;
}

static bool copy_outputs(const struct interpreter *it, struct value outputs[])
{
    bool ok = true;

    for (int i = 0; i < it->g->noutputs; i++) {
        outputs[i] = it->values[it->g->outputs[i]];
        outputs[i].data = malloc(value_bytes(&outputs[i]) + 1);
        ok = ok && outputs[i].data;
        if (outputs[i].data && it->values[it->g->outputs[i]].data)
            memcpy(outputs[i].data, it->values[it->g->outputs[i]].data, value_bytes(&outputs[i]));
    }
    return ok;
}

enum status graph_interpret(const struct graph *g, const struct value inputs[], struct value outputs[],
                            struct fault *f)
{
    struct interpreter it = { .g = g };
    size_t most = 1;
    bool ok;

    for (int i = 0; i < g->nnodes; i++) {
        const size_t n = (size_t)g->nodes[i].ninputs + (size_t)g->nodes[i].noutputs;
        most = n > most ? n : most;
    }
    it.values = calloc((size_t)g->ntensors + 1, sizeof *it.values);
    it.left = calloc((size_t)g->ntensors + 1, sizeof *it.left);
    it.in = calloc(most, sizeof(void *));
    it.out = calloc(most, sizeof(void *));
    ok = it.values && it.left && it.in && it.out;
    if (ok) {
        graph_count_uses(g, it.left);
        for (int i = 0; i < g->ntensors; i++)
            it.values[i] = g->tensors[i].v;
        for (int i = 0; i < g->ninputs; i++)
            it.values[g->inputs[i]].data = inputs[i].data;
    }
    for (int i = 0; ok && i < g->nnodes; i++)
        ok = g->nodes[i].dead || run_node(&it, &g->nodes[i]);
    if (ok && !(ok = copy_outputs(&it, outputs)))
        for (int i = 0; i < g->noutputs; i++)
            free(outputs[i].data);
    for (int i = 0; it.values && i < g->ntensors; i++)
        release(&it, i);
    free(it.values);
    free(it.left);
    free(it.in);
    free(it.out);
    return ok ? ST_OK : fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
}
