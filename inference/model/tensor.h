/*
 * Tensors of an ONNX file become values. Used by the reader alone.
 */
#ifndef INFERENCE_MODEL_TENSOR_H
#define INFERENCE_MODEL_TENSOR_H

#include "inference/graph/graph.h"
#include "inference/model/onnx.pb-c.h"

/* The element type after widening; false: this build has no use for it. */
bool tensor_dtype(int32_t data_type, enum dtype *ret);

/* `what` names the tensor in errors. The value's data lies in the arena. */
enum status tensor_read(struct arena *a, const Onnxfile__Tensor *t, const char *what, struct value *ret,
                        struct fault *f) MUST_USE;

#endif
