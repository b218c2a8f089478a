/* 8-bit quantisation, shared by the rows that quantise and those that compute with integers. */
#ifndef INFERENCE_OPS_QUANTIZE_H
#define INFERENCE_OPS_QUANTIZE_H

#include "inference/ops/op.h"

/* x, in steps of the scale, to the nearest integer (half to even), plus zero, saturated to the type
 * (DTYPE_U8 or DTYPE_I8). */
int64_t quantize(double x, int64_t zero, enum dtype type);

/* The scale is one float or `channels` of them, the zero point (or NULL) has as many entries of the
 * tensor's type. */
enum status quantize_check(const struct call *c, const struct value *scale, const struct value *zero,
                           enum dtype type, int64_t channels, struct fault *f) MUST_USE;

#endif
