/*
 * Sliding windows: what Conv, ConvTranspose and the pools have in common. One spatial dimension is
 * treated as two with height 1.
 */
#ifndef INFERENCE_OPS_WINDOW_H
#define INFERENCE_OPS_WINDOW_H

#include "inference/ops/op.h"

/* Index 0 is height, 1 is width. */
struct window {
    int64_t in[2], out[2], kernel[2], stride[2], dilation[2];
    int64_t before[2], after[2]; /* padding */
    int spatial;                 /* dimensions in the file: 1 or 2 */
};

/*
 * From the attributes kernel_shape (or `kernel`, where not NULL, the last dims of the weights), strides,
 * pads, dilations, auto_pad and ceil_mode, and the input [N, C, (H,) W]. out is that of a convolution or
 * pool.
 */
enum status window_read(const struct call *c, const struct value *kernel, bool with_ceil,
                        struct window *ret, struct fault *f) MUST_USE;
/* The same at run time, where infer has checked it. */
struct window window_checked(const struct call *c, const struct value *kernel, bool with_ceil);

/* Output shape [N, channels, (out H,) out W] with the type of the input. */
void window_set_output(const struct call *c, const struct window *w, int64_t channels);

#endif
