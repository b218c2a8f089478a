/*
 * The interpreter: every node by its reference, in order; late ones are inferred again before.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/graph/late.h"

/* Copies of the outputs, which the caller frees. False: out of memory. */
static bool copy_outputs(const struct evaluation *e, struct value outputs[])
{
    bool ok = true;

    for (int i = 0; i < e->g->noutputs; i++) {
        const struct value *v = &e->values[e->g->outputs[i]];
        outputs[i] = *v;
        outputs[i].data = malloc(value_bytes(v) + 1);
        ok = ok && outputs[i].data;
        if (outputs[i].data && v->data)
            memcpy(outputs[i].data, v->data, value_bytes(v));
    }
    for (int i = 0; !ok && i < e->g->noutputs; i++)
        free(outputs[i].data);
    return ok;
}

enum status graph_interpret(const struct graph *g, const struct value inputs[], struct value outputs[],
                            struct fault *f)
{
    bool *late = calloc((size_t)g->ntensors + 1, sizeof *late);
    struct evaluation e = { 0 };
    enum status st = evaluation_create(&e, g, f);

    if (st == ST_OK && !late)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (int i = 0; st == ST_OK && i < g->ninputs; i++)
        e.values[g->inputs[i]].data = inputs[i].data;
    for (int i = 0; st == ST_OK && i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        if (!n->dead)
            st = late_mark(n, late) ? evaluation_run_late(&e, n, f) : evaluation_run(&e, n, f);
    }
    if (st == ST_OK && !copy_outputs(&e, outputs))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    evaluation_free(&e);
    free(late);
    return st;
}
