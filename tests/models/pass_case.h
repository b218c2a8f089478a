/*
 * A case of the tests of passes: a small graph in which a pass must, or must not, make nodes of a type.
 * Whatever it makes, the optimised graph and its plans must give what the graph gives.
 */
#ifndef TESTS_MODELS_PASS_CASE_H
#define TESTS_MODELS_PASS_CASE_H

#include "tests/models/operator_case.h"
#include "inference/kernels/cpu.h"

/* Live nodes of a type, all when NULL. */
static inline int nodes_of(const struct graph *g, const char *type)
{
    int n = 0;

    for (int i = 0; i < g->nnodes; i++)
        n += !g->nodes[i].dead && (!type || strcmp(g->nodes[i].type, type) == 0);
    return n;
}

/* Output 0 of a plan, next to `want`: relative to 1 + |value|, or infinite. */
static inline double plan_difference(const struct model *m, const struct compile_options *o,
                                     float *const data[], const struct value *want)
{
    struct graph *g = graph_clone(m->graph);
    struct context *c = NULL;
    struct plan *p = NULL;
    struct fault f = FAULT_INIT;
    double most = INFINITY;

    if (g && graph_optimise(g, &f) == ST_OK && plan_create(g, o, &p, &f) == ST_OK &&
        context_create(p, &c, &f) == ST_OK) {
        for (int i = 0; i < p->graph->ninputs; i++) {
            struct value in = context_input(c, i);
            memcpy(in.data, data[i], value_bytes(&in));
        }
        if (context_run(c, &f) == ST_OK)
            most = difference(want->data, context_output(c, 0).data, value_elements(want));
    }
    if (f.detail[0])
        TEST_FAIL_("%s", f.detail);
    context_free(c);
    if (p)
        plan_free(p);
    return most;
}

/* With two threads, in float32 and in 16 bits. */
static inline void check_plans(const struct model *m, uint64_t seed, double tolerance)
{
    static const enum precision precisions[] = { PRECISION_F32, PRECISION_F16 };
    float *data[8] = { NULL };
    struct value want = { 0 };
    uint64_t state = seed;

    for (int i = 0; i < m->graph->ninputs; i++) {
        const size_t n = value_elements(&m->graph->tensors[m->graph->inputs[i]].v);
        data[i] = malloc((n + 1) * sizeof(float));
        for (size_t k = 0; k < n; k++)
            data[i][k] = random_float(&state);
    }
    for (int i = 0; run_references(m->graph, data, &want) && i < 2; i++) {
        const struct compile_options o = { .threads = 2, .precision = precisions[i] };
        const double limit = precisions[i] == PRECISION_F16 ? 0.02 : tolerance;
        if (precisions[i] != PRECISION_F16 || cpu_isa() >= CPU_AVX512_FP16) {
            const double d = plan_difference(m, &o, data, &want);
            if (!(d <= limit))
                TEST_FAIL_("seed %llu: plan %d is off by %g", (unsigned long long)seed, i, d);
        }
        free(want.data);
        want.data = NULL;
    }
    free(want.data);
    for (int i = 0; i < 8; i++)
        free(data[i]);
}

/* Takes the graph over; `want` nodes of the type must be left when all passes are through. */
static inline void check_pass(struct buffer *graph, int opset, uint64_t seed, const char *type, int want,
                              double tolerance)
{
    struct model *m = run_load(graph, opset);
    struct graph *g = m ? graph_clone(m->graph) : NULL;
    struct fault f = FAULT_INIT;

    if (g && graph_optimise(g, &f) == ST_OK && nodes_of(g, type) != want)
        TEST_FAIL_("seed %llu: %d nodes %s, not %d", (unsigned long long)seed, nodes_of(g, type),
                   type ? type : "in all", want);
    graph_free(g);
    if (m)
        check_plans(m, seed, tolerance);
    run_compare(m, seed, tolerance);
}

#endif
