/* Nodes by their references: see evaluate.h. */
#include <stdlib.h>
#include <string.h>
#include "inference/graph/evaluate.h"
#include "inference/graph/infer.h"

static enum status no_memory(struct fault *f)
{
    return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
}

enum status evaluation_create(struct evaluation *e, const struct graph *g, struct fault *f)
{
    const size_t ntensors = (size_t)g->ntensors + 1;
    size_t most = 1;

    for (int i = 0; i < g->nnodes; i++) {
        const size_t n = (size_t)g->nodes[i].ninputs + (size_t)g->nodes[i].noutputs;
        most = n > most ? n : most;
    }
    *e = (struct evaluation){
        .g = g,
        .values = calloc(ntensors, sizeof *e->values),
        .made = calloc(ntensors, sizeof *e->made),
        .left = calloc(ntensors, sizeof *e->left),
        .in = calloc(most, sizeof(void *)),
        .out = calloc(most, sizeof(void *)),
    };
    if (!e->values || !e->made || !e->left || !e->in || !e->out)
        return no_memory(f);
    for (int i = 0; i < g->ntensors; i++)
        e->values[i] = g->tensors[i].v;
    evaluation_begin(e);
    return ST_OK;
}

static void release(struct evaluation *e, int t)
{
    if (!e->made[t])
        return;
    e->bytes -= value_bytes(&e->values[t]);
    e->made[t] = false;
    free(e->values[t].data);
    e->values[t].data = NULL;
}

void evaluation_begin(struct evaluation *e)
{
    for (int i = 0; i < e->g->ntensors; i++)
        release(e, i);
    graph_count_uses(e->g, e->left);
    e->work = (double)LIMIT_LATE_WORK;
}

void evaluation_free(struct evaluation *e)
{
    for (int i = 0; e->made && i < e->g->ntensors; i++)
        release(e, i);
    free(e->values);
    free(e->made);
    free(e->left);
    free(e->in);
    free(e->out);
    *e = (struct evaluation){ 0 };
}

static struct call call_of(struct evaluation *e, const struct node *n)
{
    for (int i = 0; i < n->ninputs; i++)
        e->in[i] = n->inputs[i] == GRAPH_NONE ? NULL : &e->values[n->inputs[i]];
    for (int i = 0; i < n->noutputs; i++)
        e->out[i] = n->outputs[i] == GRAPH_NONE ? NULL : &e->values[n->outputs[i]];
    return (struct call){ n, e->g->opset, n->ninputs, n->noutputs, e->in, e->out };
}

static bool make(struct evaluation *e, int t)
{
    struct value *v = &e->values[t];

    if (!(v->data = malloc(value_bytes(v) + 1)))
        return false;
    e->made[t] = true;
    e->bytes += value_bytes(v);
    return true;
}

/* Gives back what an operator took for more rows than it found. False: it gave up. */
static bool settle(struct evaluation *e, const struct value *inferred, int t)
{
    struct value *v = &e->values[t];
    void *less;

    if (v->dims[0] < 0) {
        *v = *inferred;
        return false;
    }
    e->bytes -= value_bytes(inferred) - value_bytes(v);
    if ((less = realloc(v->data, value_bytes(v) + 1)))
        v->data = less;
    return true;
}

enum status evaluation_run(struct evaluation *e, const struct node *n, struct fault *f)
{
    const struct call c = call_of(e, n);
    struct value inferred;
    char label[128];

    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE && !make(e, n->outputs[i]))
            return no_memory(f);
    inferred = c.nout && c.out[0] ? *c.out[0] : (struct value){ 0 };
    n->op->reference(&c);
    if (n->op->shrinks && c.out[0] && !settle(e, &inferred, n->outputs[0]))
        return fault_set(f, ST_TOO_LARGE, "model", "%s: it has too many boxes to compare",
                         node_label(e->g, n, label, sizeof label));
    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE && e->left[n->outputs[i]] == 0)
            release(e, n->outputs[i]);
    for (int i = 0; i < n->ninputs; i++)
        if (n->inputs[i] != GRAPH_NONE && --e->left[n->inputs[i]] == 0)
            release(e, n->inputs[i]);
    return ST_OK;
}

enum status evaluation_infer(struct evaluation *e, const struct node *n, double *ret_work,
                             struct fault *f)
{
    const struct call c = call_of(e, n);
    const enum status st = infer_call(e->g, &c, f);

    if (st == ST_OK)
        *ret_work = call_work(&c);
    return st;
}

enum status evaluation_run_late(struct evaluation *e, const struct node *n, struct fault *f)
{
    size_t bytes = e->bytes;
    double work;
    enum status st = evaluation_infer(e, n, &work, f);
    bool fits = true;

    if (st != ST_OK)
        return st;
    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE)
            fits = fits && size_add(bytes, value_bytes(&e->values[n->outputs[i]]), &bytes);
    e->work -= work;
    if (!fits || bytes > e->g->memory_limit || e->work < 0)
        return fault_set(f, ST_TOO_LARGE, "model",
                         "what the model does with what it found takes too much memory or time");
    return evaluation_run(e, n, f);
}
