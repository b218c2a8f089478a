/*
 * Making a plan: every live node lowered in order, then memory placed. See plan.h.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/plan/lower.h"
#include "inference/precision.h"

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->nsteps; i++) {
        kernel_free(p->steps[i].kernel);
        conv_kernel_free(p->steps[i].conv);
    }
    kernel_engine_free(p->engine);
    graph_free(p->graph);
    free(p);
}

const char *step_name(const struct step *s)
{
    return s->kernel ? kernel_name(s->kernel) : s->conv ? conv_kernel_name(s->conv) : "native";
}

int plan_root(const struct plan *p, int slot, size_t *ret_offset)
{
    size_t offset = 0;

    for (; p->slots[slot].base != GRAPH_NONE; slot = p->slots[slot].base)
        offset += p->slots[slot].base_offset;
    *ret_offset = offset;
    return slot;
}

/* By the operator's own way, unless that is to be avoided. */
static void lower_node(struct lowering *l, const struct node *n)
{
    const enum avoidance avoid = avoided_how(l->avoid, l->graph, n);

    l->avoid_own = avoid == AVOID_OWN;
    if (n->op->lower && avoid != AVOID_FAST)
        n->op->lower(l, n);
    else
        lower_reference(l, n);
}

/* Where its outputs are now; later copies in other forms have lifetimes of their own. */
static void trace_node(struct lowering *l, const struct node *n)
{
    for (int i = 0; i < n->noutputs; i++) {
        const int t = n->outputs[i];
        const int forms[] = { t == GRAPH_NONE ? GRAPH_NONE : l->plain[t],
                              t == GRAPH_NONE ? GRAPH_NONE : l->blocked[t],
                              t == GRAPH_NONE ? GRAPH_NONE : l->narrow[t],
                              t == GRAPH_NONE ? GRAPH_NONE : l->bytes[t] };
        for (int k = 0; t != GRAPH_NONE && k < 4; k++)
            if (forms[k] != GRAPH_NONE && l->plan->traces[t].slot == GRAPH_NONE)
                l->plan->traces[t] = (struct trace){ forms[k], l->quanta[t] };
    }
}

static enum status lower_nodes(struct lowering *l)
{
    const struct graph *g = l->graph;

    for (int i = 0; i < g->ninputs; i++) {
        if (g->tensors[g->inputs[i]].v.type != DTYPE_F32)
            return fault_set(l->fault, ST_UNSUPPORTED, "model", "inputs of type %s are not supported",
                             dtype_name(g->tensors[g->inputs[i]].v.type));
        l->plan->inputs[i] = lower_plain_output(l, g->inputs[i]);
    }
    for (int i = 0; l->st == ST_OK && i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        if (n->dead || late_mark(n, l->plan->late.tensors))
            continue;
        lower_node(l, n);
        trace_node(l, n);
        l->plan->ends[i] = l->plan->nsteps;
    }
    for (int i = 0; l->st == ST_OK && i < g->noutputs; i++)
        l->plan->outputs[i] =
            l->plan->late.tensors[g->outputs[i]] ? GRAPH_NONE : lower_plain(l, g->outputs[i]);
    for (int i = 0; l->st == ST_OK && i < l->plan->late.ninputs; i++)
        l->plan->late_inputs[i] = lower_plain(l, l->plan->late.inputs[i]);
    return l->st;
}

/* Between convolutions and what moves their results about, tensors are 16-bit floats. */
static void find_narrow(struct lowering *l, enum dtype type)
{
    static const char *const readers[] = { "Conv",   "ConvTranspose", "Concat", "Split",
                                           "Resize", "MaxPool",       "Affine" };

    l->narrow_type = type;
    for (int i = 0; i < l->graph->nnodes; i++) {
        const struct node *n = &l->graph->nodes[i];
        const bool planned = !n->dead && !late_reads(n, l->plan->late.tensors);
        for (size_t k = 0; planned && k < sizeof readers / sizeof readers[0]; k++)
            for (int t = 0; strcmp(n->type, readers[k]) == 0 && t < n->ninputs; t++)
                if (n->inputs[t] != GRAPH_NONE)
                    l->wants_narrow[n->inputs[t]] = true;
    }
}

static enum status sum_kernels(struct plan *p, struct fault *f)
{
    for (int i = 0; i < p->nsteps; i++) {
        const struct step *s = &p->steps[i];
        const size_t scratch = s->kernel ? kernel_scratch_bytes(s->kernel)
                               : s->conv ? conv_kernel_scratch_bytes(s->conv, p->threads)
                                         : 0;
        p->scratch_bytes = scratch > p->scratch_bytes ? scratch : p->scratch_bytes;
        p->weight_bytes += s->kernel ? kernel_weight_bytes(s->kernel)
                           : s->conv ? conv_kernel_weight_bytes(s->conv)
                                     : 0;
    }
    if (p->memory_bytes + p->scratch_bytes + p->weight_bytes > p->graph->memory_limit)
        return fault_set(f, ST_TOO_LARGE, "model",
                         "the model needs more memory than its file size allows");
    return ST_OK;
}

static enum status check_precision(const struct compile_options *o, struct fault *f)
{
    const enum precision p = o->precision;

    if (p == PRECISION_INT8 && precision_available(p) && !o->calibration)
        return fault_set(f, ST_UNSUPPORTED, "precision",
                         "int8 needs a calibration of this model (fovea model calibrate)");
    if (precision_available(p))
        return ST_OK;
    return fault_set(f, ST_UNSUPPORTED, "precision", "this CPU or this release does not compute in it");
}

/* What is not multiplied in bytes is 16-bit floats where the CPU has them. */
static enum status choose_bytes(struct lowering *l, const struct compile_options *o, struct fault *f)
{
    if (!o || o->precision != PRECISION_INT8)
        return ST_OK;
    if (precision_available(PRECISION_F16))
        find_narrow(l, DTYPE_F16);
    return lower_choose_bytes(l, o->calibration)
               ? ST_OK
               : fault_set(f, ST_TOO_LARGE, "model", "the graph is too large");
}

enum status plan_create(struct graph *g, const struct compile_options *o, struct plan **ret,
                        struct fault *f)
{
    struct plan *p = calloc(1, sizeof *p);
    struct lowering l = { .graph = g,
                          .plan = p,
                          .block = kernel_block(),
                          .exact = o && o->exact,
                          .avoid = o ? o->avoid : NULL,
                          .fault = f };
    enum status st;

    if (!p) {
        graph_free(g);
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    p->graph = g;
    p->threads = o && o->threads > 1 ? o->threads : 1;
    l.plain = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *l.plain);
    l.blocked = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *l.blocked);
    l.narrow = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *l.narrow);
    l.wants_narrow = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *l.wants_narrow);
    l.bytes = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *l.bytes);
    l.quanta = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *l.quanta);
    l.byte_convs = arena_array(g->arena, (size_t)g->nnodes + 1, sizeof *l.byte_convs);
    p->ends = arena_array(g->arena, (size_t)g->nnodes + 1, sizeof *p->ends);
    p->traces = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *p->traces);
    p->inputs = arena_array(g->arena, (size_t)g->ninputs + 1, sizeof *p->inputs);
    p->outputs = arena_array(g->arena, (size_t)g->noutputs + 1, sizeof *p->outputs);
    if (!l.plain || !l.blocked || !l.narrow || !l.wants_narrow || !l.bytes || !l.quanta ||
        !l.byte_convs || !p->ends || !p->traces || !p->inputs || !p->outputs) {
        st = fault_set(f, ST_TOO_LARGE, "model", "the graph is too large");
        goto out;
    }
    if ((st = late_find(g, &p->late, f)) != ST_OK)
        goto out;
    if (!(p->late_inputs = arena_array(g->arena, (size_t)p->late.ninputs + 1, sizeof(int)))) {
        st = fault_set(f, ST_TOO_LARGE, "model", "the graph is too large");
        goto out;
    }
    for (int i = 0; i < g->ntensors; i++)
        p->traces[i].slot = l.plain[i] = l.blocked[i] = l.narrow[i] = l.bytes[i] = GRAPH_NONE;
    for (int i = 0; i < g->nnodes; i++)
        p->ends[i] = -1;
    if (o && (o->precision == PRECISION_F16 || o->precision == PRECISION_BF16))
        find_narrow(&l, o->precision == PRECISION_F16 ? DTYPE_F16 : DTYPE_BF16);
    if ((o && (st = check_precision(o, f)) != ST_OK) || (st = choose_bytes(&l, o, f)) != ST_OK ||
        (st = kernel_engine_create(p->threads, &p->engine, f)) != ST_OK ||
        (st = lower_nodes(&l)) != ST_OK || (st = plan_place(p, f)) != ST_OK)
        goto out;
    st = sum_kernels(p, f);
out:
    if (st == ST_OK)
        *ret = p;
    else
        plan_free(p);
    return st;
}
