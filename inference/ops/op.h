/*
 * Operators. One row each: its name, the first opset with this meaning, how many values it takes and
 * gives, which attributes it knows, and three functions: infer      checks attributes and input shapes,
 * sets type, rank and dims of the outputs. in[i]->data is non-NULL where the value is known already.
 * What infer accepts, reference and lower can do. May look at constant data only after the shapes were
 * checked. reference  plain loops over dense values: the definition. Never fails and never reads outside
 * its inputs, whatever the data (an index that only the data decides is clamped). lower      adds the
 * node to a plan (inference/plan/lower.h); NULL: the plan calls the reference. A new operator is a row
 * in its file and, for a new file, a line in registry.c.
 */
#ifndef INFERENCE_OPS_OP_H
#define INFERENCE_OPS_OP_H

#include "inference/graph/graph.h"

enum { OP_ANY = 1 << 16 }; /* as many inputs or outputs as the file likes */

/* One application of an operator. */
struct call {
    const struct node *node;
    int opset;
    int nin, nout;
    const struct value *const *in; /* [nin], NULL where omitted */
    struct value *const *out;      /* [nout], NULL where nobody asked */
};

struct lowering;

/* Attribute kinds as letters: i int, f float, s string, I ints, F floats, t tensor; "i:axis I:pads". */
struct op {
    const char *name;
    int since;
    int min_in, max_in, min_out, max_out;
    const char *attributes;
    enum status (*infer)(const struct call *c, struct fault *f);
    void (*reference)(const struct call *c);
    void (*lower)(struct lowering *l, const struct node *n);
    double (*work)(const struct call *c); /* multiplications of one run; NULL: as infer.h counts them */
    bool shape_only; /* the output follows from the input's shape: evaluated without its data */
    bool heavy;      /* never evaluated at load */
    int slow;        /* how many copied elements one that is evaluated costs, about; 0: one */
    bool internal;   /* made by passes; a file cannot name it */
    bool shrinks; /* infer gives the most rows there can be; reference sets dims of output 0 to what it
                     found, dims[0] to -1 when it gave up: over a limit, or out of memory */
};

/* The row for this name and opset, or NULL. */
const struct op *op_find(const char *name, int opset);
const struct op *op_internal(const char *name);
/* True when the name exists with any opset: to tell "too old" from "unknown". */
bool op_known(const char *name);

/* Row i of all rows, or NULL past the end: for tests and documents. */
const struct op *op_at(int i);

/* Shared by the operators' files. */

/* ST_INVALID with the operator's name in front. */
enum status op_refuse(const struct call *c, struct fault *f, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* ST_UNSUPPORTED, the same way. */
enum status op_unsupported(const struct call *c, struct fault *f, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static inline const struct value *call_in(const struct call *c, int i)
{
    return i < c->nin ? c->in[i] : NULL;
}
static inline struct value *call_out(const struct call *c, int i)
{
    return i < c->nout ? c->out[i] : NULL;
}

/* Output i becomes type and shape of `like`. */
void call_set_like(const struct call *c, int i, const struct value *like);
void call_set_shape(const struct call *c, int i, enum dtype type, int rank, const int64_t dims[]);

/* -rank <= axis < rank made non-negative; ST_INVALID otherwise. */
enum status call_axis(const struct call *c, int64_t axis, int rank, int *ret, struct fault *f) MUST_USE;

/*
 * A list that is an attribute in old opsets and a constant input later: "axes", "split", "pads". *ret_n
 * = -1 when it is given nowhere. ST_UNSUPPORTED when the input is not constant, ST_INVALID when it has
 * more than LIMIT_TENSOR_RANK * 2 entries.
 */
struct int_list {
    int n;
    int64_t v[LIMIT_TENSOR_RANK * 2];
};
enum status call_list(const struct call *c, const char *attribute, int input, struct int_list *ret,
                      struct fault *f) MUST_USE;
/* The same at run time, where it was checked at load. */
void call_list_checked(const struct call *c, const char *attribute, int input, struct int_list *ret);

extern const struct op ops_affine[], ops_attention[], ops_binary[], ops_cast[], ops_concat[], ops_conv[],
    ops_conv_transpose[], ops_gather[], ops_gemm[], ops_norm[], ops_pad[], ops_pool[], ops_reduce[],
    ops_resize[], ops_shape[], ops_slice[], ops_softmax[], ops_split[], ops_transpose[], ops_unary[],
    ops_where[], ops_topk[], ops_yolo_anchors[], ops_yolo_decode[], ops_yolo_rows[], ops_along[],
    ops_depth[], ops_einsum[], ops_grid_sample[], ops_integer[], ops_quantize[], ops_scatter[],
    ops_suppress[];

#endif
