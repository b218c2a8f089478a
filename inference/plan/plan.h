/*
 * A plan: what a graph comes to on this machine. Slots are places in memory, steps run in order.
 * Immutable once made and shared by threads; each thread brings a context (context.h).
 *
 * A slot holds a dense value. A tensor in a channel-blocked layout is the dense value [N, C/B, H, W, B]
 * with whole blocks: channels beyond the real ones hold finite numbers that nobody reads (weights are
 * zero there). A slot may be a view of another one: reshapes, splits and concatenations cost nothing
 * then.
 */
#ifndef INFERENCE_PLAN_PLAN_H
#define INFERENCE_PLAN_PLAN_H

#include "inference/graph/late.h"
#include "inference/kernels/conv.h"
#include "inference/ops/op.h"
#include "inference/plan/avoid.h"
#include "inference/plan/onednn.h"
#include "inference/quantise/calibration.h"

/* What numbers a plan computes with. */
enum precision {
    PRECISION_AUTO, /* the fastest that is known to be accurate enough: float32 unless a gate said more
                     */
    PRECISION_F32,
    PRECISION_BF16, /* weights and activations; sums, heads and decoding stay float32 */
    PRECISION_INT8,
    PRECISION_F16 /* weights and activations in 16-bit floats, where the CPU computes with them */
};

/* All zero: one thread, automatic precision, every algorithm allowed. */
struct compile_options {
    int threads; /* OpenMP team of one run; 0 counts as 1 */
    enum precision precision;
    bool exact; /* no algorithm that rounds differently from direct convolution in float32 */
    const struct calibration *calibration; /* for PRECISION_INT8; a predictor keeps it */
    const struct avoided *avoid;           /* layers to be computed another way, or NULL; copied */
};

struct slot {
    struct value v;     /* data: a constant's memory, else NULL */
    int base;           /* the slot this one is a view of, or GRAPH_NONE */
    size_t base_offset; /* bytes from its start */
    size_t offset;      /* bytes from the start of the context's memory; of root slots */
    int first, last;    /* steps between which the memory is in use; of root slots */
};

struct step {
    /* One of: */
    struct kernel *kernel;             /* oneDNN, owned */
    struct conv_kernel *conv;          /* our own convolution, owned: x, [residual], y in blocks of 16 */
    void (*run)(const struct call *c); /* native code over dense values */
    const struct node *node;           /* where it comes from */
    int nin, nout;
    int *slots; /* [nin] inputs, GRAPH_NONE where omitted; then [nout] outputs */
};

/* Where a run leaves what a node makes: for who looks at each (check.h). */
struct trace {
    int slot; /* of a tensor in the form in which it was made, right after its node has run */
    struct quanta q;
};

struct plan {
    struct graph *graph; /* owned; holds nodes, constants and the plan's own arrays */
    struct kernel_engine *engine;
    struct slot *slots;
    struct step *steps;
    int nslots, nsteps, slots_cap, steps_cap, nkernels;
    int threads;
    int *inputs, *outputs; /* slots, row-major; GRAPH_NONE for late outputs */
    int *ends;             /* [graph->nnodes] steps after which a node has run; -1: it is dead or late */
    struct trace *traces;  /* [graph->ntensors]; slot GRAPH_NONE: not there */
    struct late_part late; /* what runs behind the steps (graph/late.h) */
    int *late_inputs;      /* [late.ninputs] slots, row-major */
    size_t memory_bytes;   /* of a context, without scratch */
    size_t scratch_bytes;
    size_t weight_bytes;
};

/*
 * Compiles an inferred graph, which the plan takes over (also on failure). o: NULL counts as all zero.
 * ST_TOO_LARGE: over the graph's memory limit; ST_UNSUPPORTED: a precision that this CPU or this release
 * lacks. Not thread-safe with itself on one graph.
 */
enum status plan_create(struct graph *g, const struct compile_options *o, struct plan **ret,
                        struct fault *f) MUST_USE;
void plan_free(struct plan *p); /* accepts NULL */

/* What runs a step, for reports: the name of oneDNN's or our implementation, or "native". */
const char *step_name(const struct step *s);

/* Root of a view, and the byte offset into it. */
int plan_root(const struct plan *p, int slot, size_t *ret_offset);

/* Places root slots in one block by lifetime: large ones first, each at the lowest free offset. */
enum status plan_place(struct plan *p, struct fault *f) MUST_USE;

#endif
