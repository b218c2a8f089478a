/*
 * From nodes to steps. Each operator's row points to one of these functions; without one, and wherever
 * oneDNN has nothing better, the node runs by its reference on row-major values.
 *
 * A tensor may exist row-major, blocked, blocked in 16-bit floats or in bytes, or in several of these
 * forms; lower_plain, lower_blocked, lower_narrow and lower_bytes give the wanted form and add a copy
 * where it does not exist yet. Failures are sticky: functions return GRAPH_NONE, and plan_create
 * reports the first one.
 */
#ifndef INFERENCE_PLAN_LOWER_H
#define INFERENCE_PLAN_LOWER_H

#include "inference/plan/plan.h"

struct lowering {
    struct graph *graph;
    struct plan *plan;
    int *plain, *blocked, *narrow; /* slot of each tensor in that form, or GRAPH_NONE */
    enum dtype narrow_type;        /* of 16 bits, where the form `narrow` serves; else DTYPE_F32 */
    bool *wants_narrow;            /* then: tensors with a reader that takes them so */
    int *bytes;                    /* the slot in bytes */
    struct quanta *quanta;         /* scale of each tensor in bytes; unused: never in bytes */
    bool *byte_convs;              /* nodes that multiply bytes */
    int block;
    bool exact; /* direct convolutions only */
    const struct avoided *avoid;
    bool avoid_own; /* by the node at hand */
    enum status st;
    struct fault *fault;
};

const struct value *lower_value(const struct lowering *l, int tensor);
/* Exists in a blocked form: as float32, narrow or in bytes. */
bool lower_is_blocked(const struct lowering *l, int tensor);
/* That of its blocks, where it is not in bytes: narrow_type if it is wanted so. */
enum dtype lower_float_type(const struct lowering *l, int tensor);
bool lower_is_narrow(const struct lowering *l, int tensor);
bool lower_is_bytes(const struct lowering *l, int tensor);
/* Its scale is known and a reader takes it so. */
bool lower_wants_bytes(const struct lowering *l, int tensor);
/* float32 of rank 4 with elements: may be blocked. */
bool lower_can_block(const struct lowering *l, int tensor);

/* The tensor's slot in this form; makes it when needed. */
int lower_plain(struct lowering *l, int tensor);
int lower_blocked(struct lowering *l, int tensor);
int lower_narrow(struct lowering *l, int tensor);
int lower_bytes(struct lowering *l, int tensor); /* where lower_wants_bytes */

/* A new slot for an output that a step will write. */
int lower_plain_output(struct lowering *l, int tensor);
int lower_blocked_output(struct lowering *l, int tensor);
int lower_narrow_output(struct lowering *l, int tensor);
int lower_bytes_output(struct lowering *l, int tensor);
/* The blocked slot `to` from that in bytes. */
void lower_from_bytes(struct lowering *l, int tensor, int to);
/* Sets quanta and byte_convs. False: out of memory. */
bool lower_choose_bytes(struct lowering *l, const struct calibration *calibration);
/* The output is part of an existing slot: nothing to run. */
void lower_plain_view(struct lowering *l, int tensor, int base, size_t offset);
/* In the form that the base has. */
void lower_blocked_view(struct lowering *l, int tensor, int base, size_t offset);

/* A slot for part of another one, shaped like `like`, that belongs to no tensor. */
int lower_part(struct lowering *l, int base, size_t offset, const struct value *like);

/* A slot that belongs to no tensor: a constant of the planner's, whose data must live as long as the
 * graph, or, without data, memory for what one step leaves to the next. */
int lower_slot(struct lowering *l, const struct value *v);

/* Layouts of slots for oneDNN; of a tensor in either form. Blocked channels are rounded up to whole
 * blocks. */
struct layout lower_layout(const struct lowering *l, int tensor, bool blocked);

/* Adds a step. kernel is taken over; slots are copied. */
void lower_kernel(struct lowering *l, const struct node *n, struct kernel *k, const int slots[]);
/* Our own convolution, taken over: x, [residual], y. */
void lower_own_conv(struct lowering *l, const struct node *n, struct conv_kernel *k, const int slots[]);
void lower_native(struct lowering *l, const struct node *n, void (*run)(const struct call *c), int nin,
                  int nout, const int slots[]);
/* The reference on row-major values. */
void lower_reference(struct lowering *l, const struct node *n);

/* One call of the node with the graph's own values, to read its parameters. in, out: room for its inputs
 * and outputs. */
struct call lower_call(const struct lowering *l, const struct node *n, const struct value *in[],
                       struct value *out[]);

void lower_conv(struct lowering *l, const struct node *n);
void lower_conv_transpose(struct lowering *l, const struct node *n);
void lower_affine(struct lowering *l, const struct node *n);
void lower_attention(struct lowering *l, const struct node *n);
void lower_pool(struct lowering *l, const struct node *n);
void lower_yolo_decode(struct lowering *l, const struct node *n);
void lower_yolo_rows(struct lowering *l, const struct node *n);
void lower_eltwise(struct lowering *l, const struct node *n);
void lower_binary(struct lowering *l, const struct node *n);
/* A blocked tensor and one number a channel; false: nothing was done. */
bool lower_binary_channels(struct lowering *l, const struct node *n, enum binary kind);
void lower_global_average(struct lowering *l, const struct node *n);
void lower_reduce_mean(struct lowering *l, const struct node *n);
void lower_concat(struct lowering *l, const struct node *n);
void lower_transpose(struct lowering *l, const struct node *n);
void lower_split(struct lowering *l, const struct node *n);
void lower_resize(struct lowering *l, const struct node *n);
/* Resize of a blocked tensor that is no repetition; false: nothing was done. */
bool lower_resample(struct lowering *l, const struct node *n);
void lower_softmax(struct lowering *l, const struct node *n);
void lower_matmul(struct lowering *l, const struct node *n);
void lower_gemm(struct lowering *l, const struct node *n);
/* MatMul by constant weights, where our own kernel is better; false: nothing was done. */
bool lower_matmul_weights(struct lowering *l, const struct node *n);
void lower_reduce_max(struct lowering *l, const struct node *n);
void lower_view_of_input(struct lowering *l, const struct node *n);

#endif
