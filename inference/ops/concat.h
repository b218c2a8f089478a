/* Values one after the other along an axis; shared by Concat's row and its blocked form. */
#ifndef INFERENCE_OPS_CONCAT_H
#define INFERENCE_OPS_CONCAT_H

#include "inference/graph/value.h"

void concat_values(const struct value *const in[], int n, int axis, const struct value *out);

#endif
