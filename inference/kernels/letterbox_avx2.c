/* letterbox_vector.c in vectors of 8 pixels: see vector.h. */
#define VECTOR_AVX2
#include "inference/kernels/letterbox_vector.c"
