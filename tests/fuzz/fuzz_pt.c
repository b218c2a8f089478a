/*
 * Networks in checkpoints from strangers: read, verified, bound to a small picture, rewritten by the
 * passes; not compiled and not run. An input that begins like an archive, or like the form before
 * PyTorch 1.6, is a whole file; any other is the pickle of one, with a storage of a kilobyte.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "inference/graph/passes.h"
#include "inference/pt/pt.h"
#include "tests/unit/inference_pt_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SIDE = 64, STORAGE = 1024 };

/* True when this is a graph. */
static bool bind(struct model *m, struct fault *f)
{
    struct value *in = &m->graph->tensors[m->graph->inputs[0]].v;

    in->dims[2] = in->dims[3] = SIDE;
    return graph_verify(m->graph, f) == ST_OK && graph_infer(m->graph, f) == ST_OK;
}

static void read_model(const void *bytes, size_t n)
{
    struct model *whole = NULL, *outlined = NULL;
    struct model_card *c = NULL;
    struct fault f = FAULT_INIT, g = FAULT_INIT;
    const enum status st = pt_read(bytes, n, &whole, &f);

    if (pt_read_as(bytes, n, ONNX_WEIGHTS_OUTLINED, &outlined, &g) != st && st != ST_TOO_LARGE)
        abort(); /* what is said of a file does not depend on whether its weights are read */
    if (st != ST_OK && (whole || !f.detail[0]))
        abort();
    if (whole && !model_note(whole, "task"))
        abort();
    if (whole && bind(whole, &f) && graph_optimise(whole->graph, &f) != ST_OK)
        abort();
    model_free(whole);
    model_free(outlined);
    if (model_card_read(bytes, n, &c, &f) == ST_OK)
        model_card_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char storage[STORAGE];
    const struct record records[] = {
        { .name = "a/data.pkl", .bytes = { (const char *)data, size } },
        { .name = "a/data/0", .bytes = { storage, sizeof storage } },
    };
    struct buffer b = { 0 };

    for (size_t i = 0; i < sizeof storage; i += 4)
        storage[i + 3] = 0x3c; /* small floats */
    if (pt_is_checkpoint(data, size)) {
        read_model(data, size);
        return 0;
    }
    put_zip(&b, records, 2);
    read_model(b.p, b.n);
    buffer_free(&b);
    return 0;
}
