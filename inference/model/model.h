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

/* What becomes of weights. All else of the file is copied. */
enum onnx_weights {
    ONNX_WEIGHTS_COPIED,  /* into the model: the bytes are not needed afterwards */
    ONNX_WEIGHTS_VIEWED,  /* left in the file where they are of the engine's types and aligned, else
                             copied:  the bytes must outlive the model and stay as they are */
    ONNX_WEIGHTS_OUTLINED /* as VIEWED; and floats of more than GRAPH_FOLD_ELEMENTS are not touched: the
                             data of such a constant is not NULL and not to be read. Enough for
                             graph_verify and graph_infer, not for passes, plan or interpreter */
};

/*
 * Reads an ONNX file in memory, or better in a map of it, into an unverified graph; inputs keep -1 for
 * dynamic dims. The bytes are untrusted. ST_INVALID: not ONNX, or damaged; ST_UNSUPPORTED: external
 * data, sparse tensors, nested graphs, foreign domains, opsets outside 7..22, element types without use
 * here; ST_TOO_LARGE: over a limit. Release with model_free.
 *
 * Reading takes memory for what is not weights, at most 8 MiB and 32 times those bytes, besides what the
 * graph itself takes.
 */
enum status onnx_read_as(const void *bytes, size_t n, enum onnx_weights weights, struct model **ret,
                         struct fault *f) MUST_USE;
enum status onnx_read(const void *bytes, size_t n, struct model **ret,
                      struct fault *f) MUST_USE; /* ONNX_WEIGHTS_COPIED */
void model_free(struct model *m);                /* accepts NULL */

/* Value of a metadata key, or NULL. */
const char *model_note(const struct model *m, const char *key);

#endif
