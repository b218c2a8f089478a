/* Selecting the best of many, shared by TopK and the rows of end-to-end detectors. */
#ifndef INFERENCE_OPS_TOPK_H
#define INFERENCE_OPS_TOPK_H

#include "inference/ops/op.h"

/*
 * best[k], k <= n: indices of the best of n elements that lie `inner` apart, best first. sign 1:
 * largest, -1: smallest. Ties keep the lower index first; NaN ranks last. O(n log k), allocates nothing.
 */
void topk_select(const float *x, size_t inner, size_t n, int64_t *best, size_t k, float sign);

#endif
