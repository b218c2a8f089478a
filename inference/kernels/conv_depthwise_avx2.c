/* conv_depthwise.c in vectors of 8 channels: see vector.h. */
#define VECTOR_AVX2
#include "inference/kernels/conv_depthwise.c"
