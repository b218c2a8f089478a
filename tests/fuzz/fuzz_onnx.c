/*
 * ONNX files from strangers: read, verified, inferred (which evaluates constants by the references) and
 * rewritten by the passes; not compiled, and run by the references only where shapes depend on what a
 * run finds. The copy without weights must mean what the whole file means to the generated parser.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include "inference/graph/late.h"
#include "inference/predictor.h"
#include "inference/graph/passes.h"
#include "inference/model/model.h"
#include "tests/unit/inference_onnx_slim.h"

enum { INPUTS_MAX = 4, INPUT_MAX = 1 << 16, WORK_MAX = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Symbolic dims get small sizes, as a caller would give them. */
static void bind_inputs(struct graph *g)
{
    for (int i = 0; i < g->ninputs; i++) {
        struct value *v = &g->tensors[g->inputs[i]].v;
        for (int k = 0; k < v->rank; k++)
            if (v->dims[k] < 0)
                v->dims[k] = k == 0 ? 1 : k == 1 ? 3 : 16;
    }
}

/* Numbers from all over, the same each time; NULL: too many. */
static void *numbers(const struct value *v)
{
    const size_t n = value_elements(v);
    char *p = n <= INPUT_MAX ? calloc(n + 1, dtype_size(v->type)) : NULL;

    for (size_t i = 0; p && i < n; i++)
        if (v->type == DTYPE_F32)
            ((float *)(void *)p)[i] = (float)(i * 37 % 64) / 16 - 1;
        else
            p[i * dtype_size(v->type)] = i % 3 == 0;
    return p;
}

/* A small graph with a late part, by its references. */
static void run_late(struct graph *g)
{
    struct value in[INPUTS_MAX] = { 0 }, *out = calloc((size_t)g->noutputs + 1, sizeof *out);
    struct fault f = FAULT_INIT;
    struct late_part late;
    bool ok = out && g->work < WORK_MAX && g->ninputs <= INPUTS_MAX &&
              late_find(g, &late, &f) == ST_OK && late.nnodes > 0;

    for (int i = 0; ok && i < g->ninputs; i++) {
        in[i] = g->tensors[g->inputs[i]].v;
        ok = (in[i].data = numbers(&in[i])) != NULL;
    }
    if (ok && graph_interpret(g, in, out, &f) == ST_OK)
        for (int i = 0; i < g->noutputs; i++)
            free(out[i].data);
    for (int i = 0; i < INPUTS_MAX; i++)
        free(in[i].data);
    free(out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault f = FAULT_INIT;
    struct model *m = NULL;
    struct model_card *c = NULL;
    size_t slim;

    if (slim_disagrees(data, size, &slim))
        __builtin_trap();
    if (onnx_read(data, size, &m, &f) == ST_OK && graph_verify(m->graph, &f) == ST_OK) {
        bind_inputs(m->graph);
        if (graph_infer(m->graph, &f) == ST_OK) {
            if (graph_optimise(m->graph, &f) != ST_OK)
                __builtin_trap();
            run_late(m->graph);
        }
    }
    model_free(m);
    if (model_card_read(data, size, &c, &f) == ST_OK)
        model_card_free(c);
    return 0;
}
