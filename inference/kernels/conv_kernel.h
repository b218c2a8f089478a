/* Inside of conv.h, shared by its methods. */
#ifndef INFERENCE_KERNELS_CONV_KERNEL_H
#define INFERENCE_KERNELS_CONV_KERNEL_H

#include "inference/kernels/conv.h"
#include "inference/kernels/simd.h"

enum { CONV_TAPS = 121 }; /* kernels up to 11 x 11 */

struct conv_kernel {
    struct conv_shape shape;
    enum conv_method method;
    int block;                 /* channels: 16, or 8 without AVX-512 */
    int in_blocks, out_blocks; /* of so many */
    void *weights;             /* packed */
    float *bias;
    float *scales;   /* of sums of bytes, for each output channel */
    int32_t *starts; /* of those sums: they take the zero of x away */
    size_t weight_bytes;
};

/* One call of conv_kernel_run, for the threads of its team. */
struct conv_job {
    const struct conv_kernel *k;
    const char *x, *residual;
    char *y;
    char *scratch; /* of thread i: at i * scratch_bytes */
    size_t scratch_bytes;
};

bool direct_suits(const struct conv_shape *s);
bool direct_pack(struct conv_kernel *k, const float *weights);
size_t direct_scratch_bytes(const struct conv_kernel *k); /* of one thread */
void direct_work(const void *job, int i, int n);

/* Without AVX-512: see vector.h. */
bool winograd_pack_avx2(struct conv_kernel *k, const float *weights);
size_t winograd_scratch_bytes_avx2(const struct conv_kernel *k);
void winograd_work_avx2(const void *job, int i, int n);
bool winograd_suits_avx2(const struct conv_shape *s);
void conv_finish_avx2(const struct conv_shape *s, int block, const float *x, const void *residual,
                      void *y, size_t n);

/* Direct convolution of bytes. */
bool bytes_suit(const struct conv_shape *s);
bool bytes_pack(struct conv_kernel *k, const float *weights);
void conv_finish_bytes(const struct conv_shape *s, int block, const float *x, const uint8_t *residual,
                       uint8_t *y, size_t n);

bool winograd_suits(const struct conv_shape *s);
bool winograd_pack(struct conv_kernel *k, const float *weights);
size_t winograd_scratch_bytes(const struct conv_kernel *k);
void winograd_work(const void *job, int i, int n);

bool depthwise_suits(const struct conv_shape *s);
bool depthwise_pack(struct conv_kernel *k, const float *weights);
size_t depthwise_scratch_bytes(const struct conv_kernel *k);
void depthwise_work(const void *job, int i, int n);

bool first_suits(const struct conv_shape *s);
bool first_pack(struct conv_kernel *k, const float *weights);
size_t first_scratch_bytes(const struct conv_kernel *k);
void first_work(const void *job, int i, int n);

static inline size_t pixel_bytes_in(const struct conv_shape *s)
{
    return quanta_used(&s->x_bytes) ? 16 : pixel_bytes(s->x_type);
}
static inline size_t pixel_bytes_out(const struct conv_shape *s)
{
    return quanta_used(&s->y_bytes) ? 16 : pixel_bytes(s->y_type);
}

/* The method gave what plain loops give, when it was tried in this process. Thread-safe. */
bool conv_method_works(enum conv_method m, enum dtype x_type);

/* This CPU has kernels for both types; without AVX-512 that is float32, by Winograd. */
bool conv_method_offered(enum conv_method m, enum dtype x_type, enum dtype y_type);

/* y = act(x) + residual over n pixels of a block of channels, those of output block `block`; y may be x
 * or the residual, which may be NULL. */
void conv_finish(const struct conv_shape *s, int block, const float *x, const void *residual, void *y,
                 size_t n);

/* Where channel k of 16 and output o of a run of groups stand in one tap's packed weights. */
size_t conv_weight_place(enum dtype type, size_t k, size_t o, size_t groups);
void conv_store_weight(struct conv_kernel *k, size_t at, float w);

/* A row of tiles in the type that the kernel multiplies in; see tile.h. */
struct conv_tile {
    const char *x;
    size_t x_plane; /* pixels */
    const ptrdiff_t *taps;
    int ntaps, pixels;
    int blocks;    /* of 16 input channels; bytes: all of them */
    bool more;     /* as in tile.h; not with bytes */
    int chain;     /* products that may be summed in 16 bits */
    size_t weight; /* the first, in elements */
    const float *bias;
    float *y;
    size_t y_plane;
};
void conv_tile_run(const struct conv_kernel *k, const struct conv_tile *t, int groups);

/* 64-byte aligned and zero; NULL: out of memory. */
void *conv_zeros(size_t bytes);

#endif
