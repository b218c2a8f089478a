/*
 * What a reader hands over: the graph and what the file says of itself. No type of the container
 * survives.
 */
#ifndef INFERENCE_MODEL_MODEL_H
#define INFERENCE_MODEL_MODEL_H

#include "inference/graph/graph.h"

struct model_note {
    const char *key, *value;
};

struct model {
    struct graph *graph; /* owns all memory of the model, this struct included */
    const char *producer, *producer_version;
    struct model_note *notes;
    size_t nnotes;
    int64_t parameters; /* floating-point weights */
};

/*
 * Reads an ONNX file in memory into an unverified graph; inputs keep -1 for dynamic dims. The bytes are
 * untrusted and not needed afterwards. ST_INVALID: not ONNX, or damaged; ST_UNSUPPORTED: external data,
 * sparse tensors, nested graphs, foreign domains, opsets outside 7..22, element types without use here;
 * ST_TOO_LARGE: over a limit. Release with model_free.
 */
enum status onnx_read(const void *bytes, size_t n, struct model **ret, struct fault *f) MUST_USE;
void model_free(struct model *m); /* accepts NULL */

/* Value of a metadata key, or NULL. */
const char *model_note(const struct model *m, const char *key);

#endif
