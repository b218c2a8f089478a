/*
 * Rewriting: fewer and larger nodes with equal outputs. Shapes must be inferred. A pass is true when it
 * changed something; each keeps outputs equal to rounding (batch normalisation: 1e-5 relative).
 */
#ifndef INFERENCE_GRAPH_PASSES_H
#define INFERENCE_GRAPH_PASSES_H

#include "inference/graph/graph.h"

/* Passes, in order, until nothing changes. ST_UNAVAILABLE: out of memory. */
enum status graph_optimise(struct graph *g, struct fault *f) MUST_USE;

/* Who reads each tensor, for one pass. */
struct readers {
    int *count; /* [ntensors] nodes and outputs that read it */
    int *node;  /* [ntensors] one of the nodes, or GRAPH_NONE */
};

bool pass_dead_code(struct graph *g, const struct readers *r);
bool pass_identity(struct graph *g, const struct readers *r);
/* Quantised networks back to float32 (dequantise.c). r is not used: NULL will do. */
bool pass_dequantise(struct graph *g, const struct readers *r);
/* Products and sums with one number a channel, and BatchNormalization (affine.c): behind a Conv, a
 * ConvTranspose or an Affine, into its weights and bias. */
bool pass_affine_behind(struct graph *g, const struct readers *r);
/* The same in front of a Conv, whose border must not be shifted. */
bool pass_affine_in_front(struct graph *g, const struct readers *r);
/* What is left of that, and PRelu: Affine. When no other pass finds anything: it hides what they know.
 */
bool pass_affine(struct graph *g, const struct readers *r);
/* x * Sigmoid(x) becomes SiLU(x); x * HardSigmoid(x, 1/6, 1/2) becomes HardSwish(x). */
bool pass_silu(struct graph *g, const struct readers *r);
/* x * Clip(x + 3, 0, 6) / 6 becomes HardSwish(x). */
bool pass_hard_swish(struct graph *g, const struct readers *r);
/* Conv, ConvTranspose or Affine, then an activation that only it feeds. */
bool pass_activation(struct graph *g, const struct readers *r);
/* Sums of convolutions of one tensor, and of its batch normalisation: one Conv. */
bool pass_branches(struct graph *g, const struct readers *r);
/* Conv, then Add of a tensor of the same shape. */
bool pass_residual(struct graph *g, const struct readers *r);
/* Attention among the cells of a map: Attention, where this CPU has a kernel for it. One a call. */
bool pass_attention(struct graph *g, const struct readers *r);
/* The nodes behind a YOLO's feature maps: YoloDecode. Tries it on numbers: run once. */
bool pass_tail(struct graph *g, const struct readers *r);
/* Behind a decoder, the ranking of an end-to-end head: YoloRows. Tried on numbers too: run once. */
bool pass_rows(struct graph *g, const struct readers *r);

#endif
