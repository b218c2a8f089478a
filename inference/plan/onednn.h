/*
 * oneDNN, behind one file. Debian 12 ships 2.6.3, whose C API v2 is frozen; 3.x differs, and only
 * onednn.c would change.
 *
 * A kernel is a compiled primitive with its packed weights: immutable, shared by threads. A binding
 * joins it with the memory of one context; an execution uses one binding at a time. Nothing here may be
 * called before the process has forked: oneDNN runs on OpenMP threads.
 */
#ifndef INFERENCE_PLAN_ONEDNN_H
#define INFERENCE_PLAN_ONEDNN_H

#include "base/status.h"
#include "inference/graph/graph.h"
#include "inference/ops/window.h"

/* How a float32 tensor lies in memory. block 0: row-major. Else dims are [N, C, H, W] with C a multiple
 * of block, and memory is [N, C / block, H, W, block]. */
struct layout {
    int rank;
    int64_t dims[LIMIT_TENSOR_RANK];
    int block;
};

struct kernel_engine; /* one for each plan */
enum status kernel_engine_create(int threads, struct kernel_engine **ret, struct fault *f) MUST_USE;
void kernel_engine_free(struct kernel_engine *e);
/* Channels in a block that this CPU's kernels like: 16 with AVX-512, else 8. */
int kernel_block(void);

struct kernel;
void kernel_free(struct kernel *k);              /* accepts NULL */
const char *kernel_name(const struct kernel *k); /* oneDNN's implementation: "jit:avx512_core" */
bool kernel_is_slow(const struct kernel *k);     /* one of oneDNN's reference implementations */
size_t kernel_scratch_bytes(const struct kernel *k);
size_t kernel_weight_bytes(const struct kernel *k);
int kernel_arguments(
    const struct kernel *k); /* pointers that kernel_bind wants: inputs, then the output */

/*
 * Convolution. Arguments: x, [residual of y's layout], y. weights [groups, co/groups, ci/groups, kH, kW]
 * and bias [co] or NULL are copied; channels are those of the layouts.
 */
struct conv_spec {
    struct layout x, y;
    struct window w;
    int64_t groups;
    const float *weights, *bias;
    struct fusion fused;
};

/* All return NULL when oneDNN has no such kernel or memory is short: the planner falls back to the
 * reference. */
struct kernel *kernel_conv(struct kernel_engine *e, const struct conv_spec *s);
enum pool_kind { POOL_MAX, POOL_AVERAGE, POOL_AVERAGE_PADDED };
struct kernel *kernel_pool(struct kernel_engine *e, enum pool_kind kind, const struct layout *x,
                           const struct layout *y, const struct window *w);
enum eltwise {
    ELTWISE_RELU, /* alpha: slope below 0 */
    ELTWISE_SILU,
    ELTWISE_SIGMOID,
    ELTWISE_CLIP, /* alpha: low, beta: high */
    ELTWISE_HARDSWISH,
    ELTWISE_TANH,
    ELTWISE_ELU, /* alpha */
    ELTWISE_EXP,
};
struct kernel *kernel_eltwise(struct kernel_engine *e, enum eltwise kind, float alpha, float beta,
                              size_t n);
enum binary { BINARY_ADD, BINARY_SUB, BINARY_MUL, BINARY_DIV };
/* y = a op b, row-major; b has a's rank, with dims of 1 where it is broadcast. */
struct kernel *kernel_binary(struct kernel_engine *e, enum binary kind, const struct layout *a,
                             const struct layout *b);
/* Over the middle of [outer, n, inner]. */
struct kernel *kernel_softmax(struct kernel_engine *e, size_t outer, size_t n, size_t inner);
/* y [.., m, n] = a [.., m, k] * b [.., k, n], equal rank, batch dims equal or 1. */
struct kernel *kernel_matmul(struct kernel_engine *e, const struct layout *a, const struct layout *b,
                             const struct layout *y);
/* Between layouts of the same [N, C, H, W]: the smaller C of the two is copied, channels beyond it
 * become 0. */
struct kernel *kernel_reorder(struct kernel_engine *e, const struct layout *x, const struct layout *y);

/* What one thread needs to run kernels. */
struct kernel_stream;
struct kernel_stream *kernel_stream_create(struct kernel_engine *e); /* NULL: out of memory */
void kernel_stream_free(struct kernel_stream *s);
/* Before the first execution of a run: the calling thread's OpenMP team size. */
void kernel_stream_begin(struct kernel_stream *s);

struct kernel_binding;
struct kernel_binding *kernel_bind(const struct kernel *k, void *const pointers[],
                                   void *scratch); /* NULL: no memory */
void kernel_binding_free(struct kernel_binding *b);
enum status kernel_execute(const struct kernel *k, const struct kernel_binding *b,
                           struct kernel_stream *s, struct fault *f) MUST_USE;

#endif
