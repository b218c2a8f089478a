/*
 * Runs a graph written by a test, by its references or through a plan, and compares.
 */
#ifndef TESTS_UNIT_INFERENCE_RUN_H
#define TESTS_UNIT_INFERENCE_RUN_H

#include "tests/unit/test.h"

#include "inference/graph/passes.h"
#include "inference/model/model.h"
#include "inference/ops/op.h"
#include "inference/plan/context.h"
#include "tests/unit/inference_onnx_writer.h"
#include "tests/unit/inference_random.h"

/* Verified, inferred; NULL with the fault printed. Takes the graph's buffer over. */
static inline struct model *run_load(struct buffer *graph, int opset)
{
    struct buffer m = onnx_model(graph, opset, NULL);
    struct fault f = FAULT_INIT;
    struct model *model = NULL;
    enum status st = onnx_read(m.p, m.n, &model, &f);

    if (st == ST_OK && (st = graph_verify(model->graph, &f)) == ST_OK)
        st = graph_infer(model->graph, &f);
    buffer_free(&m);
    if (st == ST_OK)
        return model;
    TEST_FAIL_("%s", f.detail);
    model_free(model);
    return NULL;
}

/* Output 0 by the references; its data is freed by the caller. Inputs get `data` in order, or random
 * numbers. */
static inline bool run_references(const struct graph *g, float *const data[], struct value *ret)
{
    struct value in[8] = { { 0 } }, out[8] = { { 0 } };
    struct fault f = FAULT_INIT;

    for (int i = 0; i < g->ninputs; i++) {
        in[i] = g->tensors[g->inputs[i]].v;
        in[i].data = data[i];
    }
    if (graph_interpret(g, in, out, &f) != ST_OK) {
        TEST_FAIL_("%s", f.detail);
        return false;
    }
    *ret = out[0];
    for (int i = 1; i < g->noutputs; i++)
        free(out[i].data);
    return true;
}

/* Largest |a - b| / (1 + |a|); NaN counts as infinite unless both are. */
static inline double difference(const float *a, const float *b, size_t n)
{
    double most = 0;

    for (size_t i = 0; i < n; i++) {
        const double d = isnan(a[i]) && isnan(b[i]) ? 0
                         : a[i] == b[i]             ? 0
                                        : fabs((double)a[i] - (double)b[i]) / (1 + fabs((double)a[i]));
        most = d > most || isnan(d) ? (isnan(d) ? INFINITY : d) : most;
    }
    return most;
}

/* The same outputs from the references, from the optimised graph's references and from the plan. Frees
 * the model. */
static inline void run_compare(struct model *m, uint64_t seed, double tolerance)
{
    struct graph *g = m ? graph_clone(m->graph) : NULL;
    struct fault f = FAULT_INIT;
    struct value want = { 0 }, passed = { 0 }, got;
    struct plan *p = NULL;
    struct context *c = NULL;
    float *data[8] = { NULL };
    uint64_t state = seed;

    if (!g)
        return;
    for (int i = 0; i < g->ninputs; i++) {
        const size_t n = value_elements(&g->tensors[g->inputs[i]].v);
        data[i] = malloc((n + 1) * sizeof(float));
        for (size_t k = 0; k < n; k++)
            data[i][k] = random_float(&state);
    }
    if (run_references(g, data, &want) && graph_optimise(g, &f) == ST_OK &&
        run_references(g, data, &passed)) {
        const double d = difference(want.data, passed.data, value_elements(&want));
        if (!(d <= tolerance))
            TEST_FAIL_("seed %llu: the passes change the output by %g", (unsigned long long)seed, d);
        if (plan_create(g, NULL, &p, &f) == ST_OK && context_create(p, &c, &f) == ST_OK) {
            for (int i = 0; i < g->ninputs; i++) {
                got = context_input(c, i);
                memcpy(got.data, data[i], value_bytes(&got));
            }
            if (context_run(c, &f) == ST_OK) {
                const double e = difference(want.data, context_output(c, 0).data, value_elements(&want));
                if (!(e <= tolerance))
                    TEST_FAIL_("seed %llu: the plan is off by %g (%s)", (unsigned long long)seed, e,
                               p->steps[0].kernel ? kernel_name(p->steps[0].kernel) : "native");
            }
        }
    }
    if (f.detail[0])
        TEST_FAIL_("seed %llu: %s", (unsigned long long)seed, f.detail);
    context_free(c);
    if (p)
        plan_free(p);
    for (int i = 0; i < 8; i++)
        free(data[i]);
    free(want.data);
    free(passed.data);
    model_free(m);
}

#endif
