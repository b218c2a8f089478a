/*
 * One operator, run by its reference on given numbers, against the numbers it must give.
 */
#ifndef TESTS_UNIT_INFERENCE_EXPECT_H
#define TESTS_UNIT_INFERENCE_EXPECT_H

#include "tests/unit/inference_run.h"

/* Runs the graph on x and compares output y; takes the graph's buffer over. */
static inline void expect(struct buffer *g, int opset, float *x, const char *shape, const float *want,
                          size_t n)
{
    struct model *m = run_load(g, opset);
    struct value y = { 0 };
    char text[64];

    if (!m)
        return;
    if (run_references(m->graph, (float *[]){ x }, &y)) {
        CHECK_STR(value_shape_text(&y, text, sizeof text), shape);
        if (value_elements(&y) == n)
            for (size_t i = 0; i < n; i++)
                CHECK_NEAR(y.type == DTYPE_F32 ? (double)value_f32(&y)[i] : (double)value_get_i64(&y, i),
                           want[i], 1e-5);
        else
            TEST_FAIL_("%zu elements, want %zu", value_elements(&y), n);
        free(y.data);
    }
    model_free(m);
}

#define EXPECT(g, opset, x, shape, ...)                                                                 \
    expect(g, opset, x, shape, (const float[]){ __VA_ARGS__ },                                          \
           sizeof((const float[]){ __VA_ARGS__ }) / sizeof(float))

/* A graph with input x of these dims and output y. */
static inline struct buffer graph_of(int rank, const int64_t dims[])
{
    struct buffer g = { 0 };

    onnx_input(&g, "x", rank, dims);
    onnx_output(&g, "y");
    return g;
}
#define GRAPH(...)                                                                                      \
    graph_of((int)(sizeof((const int64_t[]){ __VA_ARGS__ }) / sizeof(int64_t)),                         \
             (const int64_t[]){ __VA_ARGS__ })

/* A constant of any element type of the file: 2 uint8, 3 int8, 6 int32 ... */
static inline void onnx_constant(struct buffer *graph, const char *name, int type, int rank,
                                 const int64_t dims[], const void *raw, size_t bytes)
{
    struct buffer t = onnx_tensor(name, type, rank, dims, raw, bytes);

    pb_message(graph, 5, &t);
}

/* The sentence with which loading a graph fails; takes the graph over. "": it does not. */
static inline const char *refusal(struct buffer *g, int opset, char *text, size_t size)
{
    struct buffer m = onnx_model(g, opset, NULL);
    struct fault f = FAULT_INIT;
    struct model *model = NULL;

    if (onnx_read(m.p, m.n, &model, &f) == ST_OK && graph_verify(model->graph, &f) == ST_OK &&
        graph_infer(model->graph, &f) == ST_OK)
        f.detail[0] = '\0';
    snprintf(text, size, "%s", f.detail);
    model_free(model);
    buffer_free(&m);
    return text;
}

#endif
