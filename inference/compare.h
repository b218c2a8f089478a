/*
 * A plan against the interpreter: the same inputs through both, output by output. What `fovea model
 * verify` prints and what the tests of whole files check.
 */
#ifndef INFERENCE_COMPARE_H
#define INFERENCE_COMPARE_H

#include "inference/plan/plan.h"

struct comparison {
    const char *name;   /* of the output */
    struct value shape; /* no data */
    double absolute;    /* largest |reference - plan| */
    double relative;    /* largest |reference - plan| / (1 + |reference|); infinite where one is NaN */
    double own;         /* the same between the reference and itself on an input that differs by 1e-6;
                           0 where that was not needed */
    bool ok;            /* relative is within the tolerance, or within COMPARE_NOISE times own */
};

/*
 * Networks with random weights answer the smallest change of their input with a large change of their
 * output. Where an output is beyond the tolerance the interpreter says how large: each layer rounds
 * anew, so a plan may be off by some times what one rounding of the input does.
 */
#define COMPARE_NOISE 10.0

struct comparisons {
    struct comparison *items; /* [n] */
    int n;
    bool before_ranking;
    struct arena *arena;
};

/*
 * bound: inferred, before any pass. inputs: one value for each input of the graph. tolerance: of
 * comparison.relative; 0 excuses nothing.
 *
 * Rankings (TopK, ArgMax ...) turn the smallest difference of two nearly equal scores into another order
 * of rows. Where an output depends on one, the tensors that go into the ranking are compared instead,
 * and before_ranking is set. Quantised chains are float32 on both sides (pass_dequantise).
 */
enum status graph_compare(const struct graph *bound, const struct compile_options *o,
                          const struct value inputs[], double tolerance, struct comparisons *ret,
                          struct fault *f) MUST_USE;
void comparisons_free(struct comparisons *c); /* accepts an empty one */

/* The first output that is not ok, or NULL. */
const struct comparison *comparisons_bad(const struct comparisons *c);

/* Numbers that look like a picture's, 0 to 1, the same for the same seed. The value's memory is there.
 */
void value_fill(struct value *v, uint64_t seed);

#endif
