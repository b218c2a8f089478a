/*
 * Tensors of an ONNX file become values. Used by the reader alone.
 */
#ifndef INFERENCE_MODEL_TENSOR_H
#define INFERENCE_MODEL_TENSOR_H

#include "inference/graph/graph.h"
#include "inference/model/model.h"
#include "inference/model/onnx.pb-c.h"

/* The element type after widening; false: this build has no use for it. */
bool tensor_dtype(int32_t data_type, enum dtype *ret);

/* Where tensors come from and go to. */
struct tensor_place {
    const uint8_t *file; /* what raw_at counts from */
    size_t n;
    enum onnx_weights weights;
    struct arena *arena;
};

/* `what` names the tensor in errors. Where the value's data lies: enum onnx_weights. */
enum status tensor_read(const struct tensor_place *place, const Onnxfile__Tensor *t, const char *what,
                        struct value *ret, struct fault *f) MUST_USE;

#endif
