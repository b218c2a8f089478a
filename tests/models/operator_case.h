/*
 * A case of the operator tests: a small graph of seeded random shapes and constants, whose plan and
 * optimised form are compared with the references. Numbers come from a state that the case draws on;
 * the seed is printed by cases that fail.
 */
#ifndef TESTS_MODELS_OPERATOR_CASE_H
#define TESTS_MODELS_OPERATOR_CASE_H

#include "tests/unit/inference_expect.h"

/* A constant of random numbers from -scale to scale. */
static inline void random_constant(struct buffer *g, const char *name, int rank, const int64_t dims[],
                                   uint64_t *s, float scale)
{
    size_t n = 1;
    float *x;

    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    x = malloc((n + 1) * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = random_float(s) * scale;
    onnx_floats(g, name, rank, dims, x);
    free(x);
}

/* Input x of c planes, output y. */
static inline struct buffer picture_graph(int64_t c, int64_t h, int64_t w)
{
    return GRAPH(1, c, h, w);
}

/* The same with a convolution of x to `a`, of c channels: a tensor in blocks. */
static inline struct buffer blocked_graph(int64_t c, int64_t h, int64_t w, uint64_t *s)
{
    struct buffer g = picture_graph(3, h, w), pads = { 0 };

    random_constant(&g, "w", 4, (const int64_t[]){ c, 3, 3, 3 }, s, 1);
    onnx_ints_attribute(&pads, "pads", 4, (const int64_t[]){ 1, 1, 1, 1 });
    onnx_node(&g, "Conv", "x w", "a", &pads);
    return g;
}

/* Takes the graph over. tolerance: of |difference| / (1 + |value|). */
static inline void check_graph(struct buffer *g, int opset, uint64_t seed, double tolerance)
{
    run_compare(run_load(g, opset), seed, tolerance);
}

#endif
