/*
 * Convolution on tensors in blocks of channels, 16 with AVX-512 and 8 with AVX2: direct, direct from the
 * few planes of a picture, depthwise, and by Winograd's F(4x4, 3x3), which needs a quarter of the
 * multiplications and rounds a little differently (1e-5 of the largest value). Activation and residual
 * are applied while a row is in the cache. Without AVX-512 only Winograd's
 * method is here, in float32; the others are oneDNN's (plan/onednn.h).
 *
 * A conv_kernel holds packed weights; it is immutable and shared by threads. Channels that fill the last
 * block have weights 0; what they hold is finite and read by nobody.
 */
#ifndef INFERENCE_KERNELS_CONV_H
#define INFERENCE_KERNELS_CONV_H

#include <stdbool.h>
#include <stddef.h>
#include "inference/graph/graph.h"
#include "inference/kernels/bytes.h"
#include "inference/ops/window.h"

enum conv_method {
    CONV_DIRECT,
    CONV_WINOGRAD,
    CONV_DEPTHWISE, /* each channel by itself; weights [co, 1, kH, kW] */
    CONV_FIRST,     /* few channels: x is row-major float32 [ci, H, W] */
};

struct conv_shape {
    int64_t ci, co; /* real channels */
    struct window w;
    struct fusion fused;
    /* Floats of x, with their weights and products (sums are float32; CONV_FIRST: float32), and of
     * residual and y: DTYPE_F32, DTYPE_F16 or DTYPE_BF16. */
    enum dtype x_type, y_type;
    bool exact; /* where both are float32: rounding as in exact.h */
    /* x in bytes: direct; weights become bytes too, products are summed in integers. y in bytes: direct
     * or from few planes; the residual too, in bytes of its own. */
    struct quanta x_bytes, residual_bytes, y_bytes;
};

/* This CPU and this kind of convolution. */
bool conv_kernel_suits(const struct conv_shape *s, enum conv_method m);

/* Channels of a block on this CPU: 16 or 8. */
int conv_block(void);

struct conv_kernel;
/* weights [co, ci, kH, kW], bias [co] or NULL: copied. NULL: out of memory. */
struct conv_kernel *conv_kernel_create(const struct conv_shape *s, enum conv_method m,
                                       const float *weights, const float *bias);
void conv_kernel_free(struct conv_kernel *k); /* accepts NULL */
enum conv_method conv_kernel_method(const struct conv_kernel *k);
bool conv_kernel_takes_bytes(const struct conv_kernel *k);
const char *conv_kernel_name(const struct conv_kernel *k);
size_t conv_kernel_weight_bytes(const struct conv_kernel *k);
/* Of one run by so many threads. */
size_t conv_kernel_scratch_bytes(const struct conv_kernel *k, int threads);

/*
 * One image: x [ci / B, H, W, B], residual and y [co / B, out H, out W, B], blocks of B, in the types
 * that the shape says, all 64-byte aligned; residual NULL unless fused. y shares memory with none of
 * them.
 */
void conv_kernel_run(const struct conv_kernel *k, const void *x, const void *residual, void *y,
                     void *scratch, int threads);

#endif
