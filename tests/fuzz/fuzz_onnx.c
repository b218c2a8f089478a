/*
 * ONNX files from strangers: read, verified, inferred (which evaluates constants by the references) and
 * rewritten by the passes; not compiled and not run. The copy without weights must mean what the whole
 * file means to the generated parser.
 */
#include <stddef.h>
#include <stdint.h>
#include "inference/predictor.h"
#include "inference/graph/passes.h"
#include "inference/model/model.h"
#include "tests/unit/inference_onnx_slim.h"

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
        if (graph_infer(m->graph, &f) == ST_OK && graph_optimise(m->graph, &f) != ST_OK)
            __builtin_trap();
    }
    model_free(m);
    if (model_card_read(data, size, &c, &f) == ST_OK)
        model_card_free(c);
    return 0;
}
