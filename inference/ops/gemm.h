/* Matrix products; shared by the rows of Gemm and MatMul and the planner. */
#ifndef INFERENCE_OPS_GEMM_H
#define INFERENCE_OPS_GEMM_H

#include "inference/graph/value.h"

/*
 * MatMul's operands as matrices: a [batch..., m, k], b [batch..., k, n] with the batch dims broadcast
 * into `batch` (type unset); vectors get a dimension of 1 that the output does not have.
 */
struct matmul {
    struct value a, b, batch;
    int64_t m, n, k;
};
bool matmul_read(const struct value *a, const struct value *b, struct matmul *ret);

#endif
