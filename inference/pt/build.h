/*
 * From modules to graph nodes. A builder walks the passive tree of a checkpoint (tree.h) and adds to one
 * graph; a class of module is a row of modules.c with a function that says what it computes.
 *
 * Failure is sticky: after the first one nothing is added, functions give GRAPH_NONE and accept it, and
 * pt_read reports the fault that was set. So a block reads as the formula it is. Nothing but attributes
 * and weights of the file decides: kernel, stride, epsilon, activation, counts.
 */
#ifndef INFERENCE_PT_BUILD_H
#define INFERENCE_PT_BUILD_H

#include "inference/graph/graph.h"
#include "inference/pt/tree.h"

struct build {
    struct graph *graph;
    struct fault *fault;
    enum status st;
    int layer;             /* being built, for faults and names of nodes */
    int depth;             /* of modules in modules */
    int runs;              /* modules built so far: a small file may refer to one module very often */
    int64_t elements_left; /* of weights that may still be read: a few times what the file can hold */
    bool outlined;         /* large weights are not read: ONNX_WEIGHTS_OUTLINED */

    /* What the head says of itself. */
    const char *task;
    bool end_to_end;
    int64_t nclasses;
    float stride; /* the largest */
};

/* What flows between modules: one tensor, or a list of them. */
struct feature {
    int n;
    int at[LIMIT_PT_FEATURES];
};

/* Failures: "layer 9 (SPPF): ..." */
int build_fail(struct build *b, enum status st, const struct pt_value *module, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Any module, by its row; of several outputs the first. */
int build_run(struct build *b, const struct pt_value *module, int x);
struct feature build_run_many(struct build *b, const struct pt_value *module,
                              const struct feature *const x[], int n);
/* The child `name` of a module. build_part fails when it is missing; build_has finds out. */
int build_part(struct build *b, const struct pt_value *module, const char *name, int x);
bool build_has(const struct pt_value *module, const char *name);
/* The i-th child of a Sequential or ModuleList, NULL behind the last; entries that are None are left
 * out. */
const struct pt_value *build_child(const struct pt_value *list, size_t i);
size_t build_children(const struct pt_value *list);

/* Numbers among a module's attributes. build_int fails when it is missing or out of [low, high]. */
int64_t build_int(struct build *b, const struct pt_value *module, const char *name, int64_t low,
                  int64_t high);
bool build_flag(const struct pt_value *module, const char *name); /* false when missing */
double build_real(const struct pt_value *module, const char *name, double absent);
/* Height and width from a number or a pair; `absent` for what is not there or None. */
bool build_pair(const struct pt_value *v, int64_t low, int64_t high, int64_t absent, int64_t ret[2]);

/* Nodes. Attributes are copied (not what they point to). */
struct attribute attribute_int(const char *name, int64_t i);
struct attribute attribute_float(const char *name, float f);
struct attribute attribute_string(const char *name, const char *s); /* a constant of the program */
struct attribute attribute_ints(struct build *b, const char *name, const int64_t v[], size_t n);
struct attribute attribute_floats(struct build *b, const char *name, const float v[], size_t n);

int build_node(struct build *b, const char *type, const int in[], int nin,
               const struct attribute attributes[], int nattributes);
struct feature build_node_many(struct build *b, const char *type, const int in[], int nin,
                               const struct attribute attributes[], int nattributes, int nout);
int build_unary(struct build *b, const char *type, int x);
int build_binary(struct build *b, const char *type, int x, int y);
int build_concat(struct build *b, const struct feature *x, int axis);
struct feature build_halves(struct build *b, int x); /* of the channels */
int build_reshape(struct build *b, int x, const int64_t dims[],
                  size_t n); /* 0 copies, -1 is left over */
int build_reshape_like(struct build *b, int x, int like);
void feature_add(struct build *b, struct feature *to, int x);

/* Constants; `data` is in the graph's arena. */
int build_constant(struct build *b, const char *name, const struct value *v);
int build_constant_ints(struct build *b, const int64_t v[], size_t n);
int build_constant_float(struct build *b, float f);

/* Weights (weights.c). */

/* A tensor as float32, row-major, in the graph's arena. False: failed, or no tensor of rank `rank`. */
bool weights_read(struct build *b, const struct pt_value *module, const char *name, int rank,
                  struct value *ret);

/* The same for a tensor that is an attribute; `name` for faults. rank -1: any. */
bool weights_tensor(struct build *b, const struct pt_value *module, const struct pt_value *v,
                    const char *name, int rank, struct value *ret);

/*
 * A convolution with everything linear behind it folded in: weights [out, in / groups, h, w], bias
 * [out].
 */
struct folded {
    struct value weights, bias;
    int64_t stride[2], padding[2], dilation[2], groups;
    bool transposed; /* weights [in, out / groups, h, w] */
    int64_t output_padding[2];
};
/* conv: a Conv2d or ConvTranspose2d. */
bool folded_read(struct build *b, const struct pt_value *conv, struct folded *ret);
/* bn: a BatchNorm2d behind it; NULL or Identity: nothing changes. */
bool folded_batchnorm(struct build *b, const struct pt_value *bn, struct folded *f);
/* A convolution that repeats its input: [channels, channels / groups, 1, 1]. */
bool folded_identity(struct build *b, int64_t channels, int64_t groups, struct folded *ret);
/* Adds the other to f, whose kernel covers it around one centre: one convolution for both. */
bool folded_add(struct build *b, const struct pt_value *module, struct folded *f,
                const struct folded *other);
int folded_node(struct build *b, const struct folded *f, int x);

/* A BatchNorm2d that stands alone. */
int batchnorm_node(struct build *b, const struct pt_value *bn, int x);

#endif
