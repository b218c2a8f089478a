/*
 * The neutral graph: what a model file means, free of its container. Readers (ONNX, .pt) build it,
 * passes rewrite it, the planner compiles it, the interpreter runs it as it stands.
 *
 * Tensors and nodes are numbered; a node names its tensors by number, so that arrays may grow.
 * Everything lives in one arena, which the graph owns; constants are read-only and may be shared with a
 * clone. Not thread-safe while it is being built or rewritten; afterwards read-only for everybody.
 */
#ifndef INFERENCE_GRAPH_GRAPH_H
#define INFERENCE_GRAPH_GRAPH_H

#include "base/arena.h"
#include "base/status.h"
#include "inference/graph/value.h"

enum { GRAPH_NONE = -1 }; /* an omitted input, an output that nobody asked for */

/* A constant of more elements takes no part in the evaluation of constants at load. */
enum { GRAPH_FOLD_ELEMENTS = 1 << 20 };

struct tensor {
    const char *name;
    struct value v; /* data non-NULL: a constant */
    int producer;   /* node, or GRAPH_NONE for inputs and constants of the file */
};

enum attribute_kind {
    ATTRIBUTE_INT,
    ATTRIBUTE_FLOAT,
    ATTRIBUTE_STRING,
    ATTRIBUTE_INTS,
    ATTRIBUTE_FLOATS,
    ATTRIBUTE_TENSOR
};

struct attribute {
    const char *name;
    enum attribute_kind kind;
    size_t n; /* elements of ints, floats */
    int64_t i;
    float f;
    const char *s;
    const int64_t *ints;
    const float *floats;
    struct value tensor; /* a constant */
};

/* What a convolution does to its sum before it is written: y = act(sum) + residual. */
enum activation { ACT_NONE, ACT_RELU, ACT_SILU, ACT_SIGMOID, ACT_CLIP, ACT_HARDSWISH };
struct fusion {
    enum activation act;
    float alpha, beta; /* ACT_RELU: slope below 0; ACT_CLIP: low and high */
    bool residual;     /* input 3, of the output's shape, is added last */
};

struct op;

struct node {
    const char *type; /* "Conv"; bound to op by graph_verify */
    const char *name; /* may be empty or repeated */
    const struct op *op;
    int ninputs, noutputs, nattributes;
    int *inputs, *outputs;
    struct attribute *attributes;
    struct fusion fused;
    bool dead;
};

struct graph {
    struct arena *arena;
    size_t memory_limit; /* bytes that one tensor, and the plan as a whole, may take */
    int opset;
    int ntensors, nnodes, ninputs, noutputs;
    int *inputs, *outputs; /* tensors; inputs without the constants */
    struct tensor *tensors;
    struct node *nodes; /* in an order that respects dependencies, after graph_verify */
    int tensors_cap, nodes_cap;
    int64_t fold_budget; /* elements that constant evaluation may still touch */
    double work;         /* multiplications of one run, about; set by graph_infer */
};

/* file_bytes sets the memory limit: graph_memory_limit. NULL: out of memory. */
struct graph *graph_create(size_t file_bytes);
void graph_free(struct graph *g); /* accepts NULL */

/* Memory that a model of this file size may take in all: 128 MiB + 32 times the file, at most
 * LIMIT_MODEL_MEMORY_BYTES. */
size_t graph_memory_limit(size_t file_bytes);

/* Building. Numbers stay valid; pointers into tensors and nodes only until the next addition.
 * GRAPH_NONE: out of memory. */
int graph_add_tensor(struct graph *g, const char *name, const struct value *v);
int graph_add_node(struct graph *g, const char *type, const char *name, int ninputs, int noutputs,
                   int nattributes);

/* A copy to be bound to another input size. Constants are shared: the original must outlive it; its
 * arena gets what the original has left of the limit. NULL: out of memory. */
struct graph *graph_clone(const struct graph *g);

/* "Conv node \"/model.0/conv\" (number 3)" for error messages; not printable bytes become '?'. */
const char *node_label(const struct graph *g, const struct node *n, char *text, size_t size);
/* Copies at most size - 1 printable ASCII characters of s, '?' for others. */
const char *text_printable(const char *s, char *text, size_t size);

/* Attributes; absent: the default. The kinds were checked by graph_verify. */
const struct attribute *node_attribute(const struct node *n, const char *name);
int64_t node_int(const struct node *n, const char *name, int64_t absent);
float node_float(const struct node *n, const char *name, float absent);
const char *node_string(const struct node *n, const char *name, const char *absent);

/*
 * Names resolved, operators known, arities and attribute kinds right, every tensor made once, no cycle;
 * nodes sorted. ST_UNSUPPORTED for an operator without a row: names operator, node and opset.
 */
enum status graph_verify(struct graph *g, struct fault *f) MUST_USE;

/*
 * Shapes and types of every tensor from those of the inputs, which must be bound (no -1). What depends
 * on constants alone is evaluated and becomes a constant. ST_INVALID: shapes that do not fit;
 * ST_TOO_LARGE: over a limit; ST_UNSUPPORTED: a shape that depends on the picture.
 */
enum status graph_infer(struct graph *g, struct fault *f) MUST_USE;

/* How many live nodes and outputs read each tensor; uses[ntensors]. */
void graph_count_uses(const struct graph *g, int uses[]);

/*
 * Runs the whole graph with the operators' references: plain loops, single thread, slow. The oracle of
 * the tests. inputs[ninputs] are read; outputs[noutputs] get freshly allocated data (free() each).
 */
enum status graph_interpret(const struct graph *g, const struct value inputs[], struct value outputs[],
                            struct fault *f) MUST_USE;

#endif
