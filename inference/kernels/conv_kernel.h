/* Inside of conv.h, shared by its methods. */
#ifndef INFERENCE_KERNELS_CONV_KERNEL_H
#define INFERENCE_KERNELS_CONV_KERNEL_H

#include "inference/kernels/conv.h"

enum { CONV_TAPS = 121 }; /* kernels up to 11 x 11 */

struct conv_kernel {
    struct conv_shape shape;
    enum conv_method method;
    int in_blocks, out_blocks; /* of 16 channels */
    float *weights, *bias;     /* packed */
    size_t weight_bytes;
};

/* One call of conv_kernel_run, for the threads of its team. */
struct conv_job {
    const struct conv_kernel *k;
    const float *x, *residual;
    float *y;
    char *scratch; /* of thread i: at i * scratch_bytes */
    size_t scratch_bytes;
};

bool direct_suits(const struct conv_shape *s);
bool direct_pack(struct conv_kernel *k, const float *weights);
size_t direct_scratch_bytes(const struct conv_kernel *k); /* of one thread */
void direct_work(const void *job, int i, int n);

bool winograd_suits(const struct conv_shape *s);
bool winograd_pack(struct conv_kernel *k, const float *weights);
size_t winograd_scratch_bytes(const struct conv_kernel *k);
void winograd_work(const void *job, int i, int n);

/* y = act(x) + residual over n pixels of 16 channels; y may be x or the residual, which may be NULL. */
void conv_finish(const struct fusion *f, const float *x, const float *residual, float *y, size_t n);

/* 64-byte aligned and zero; NULL: out of memory. */
float *conv_zeros(size_t floats);

#endif
