/*
 * Writes small ONNX files for tests, field by field, right or wrong as the test wants. Field numbers are
 * those of the public format. Nodes take their inputs and outputs as words ("x w -": "-" is an omitted
 * one).
 */
#ifndef TESTS_UNIT_INFERENCE_ONNX_WRITER_H
#define TESTS_UNIT_INFERENCE_ONNX_WRITER_H

#include <stdint.h>
#include <string.h>
#include "base/text.h"

static inline void pb_varint(struct buffer *b, uint64_t x)
{
    for (; x >= 128; x >>= 7)
        buffer_char(b, (char)(x | 128));
    buffer_char(b, (char)x);
}

static inline void pb_int(struct buffer *b, int field, int64_t x)
{
    pb_varint(b, (uint64_t)field << 3);
    pb_varint(b, (uint64_t)x);
}

static inline void pb_bytes(struct buffer *b, int field, const void *p, size_t n)
{
    pb_varint(b, (uint64_t)field << 3 | 2);
    pb_varint(b, n);
    buffer_bytes(b, p, n);
}

static inline void pb_text(struct buffer *b, int field, const char *s)
{
    pb_bytes(b, field, s, strlen(s));
}

/* Puts a finished message in as a field and releases it. */
static inline void pb_message(struct buffer *b, int field, struct buffer *m)
{
    pb_bytes(b, field, m->p, m->n);
    buffer_free(m);
}

static inline void pb_float(struct buffer *b, int field, float x)
{
    pb_varint(b, (uint64_t)field << 3 | 5);
    buffer_bytes(b, &x, sizeof x);
}

enum { ONNX_FLOAT = 1, ONNX_INT64 = 7, ONNX_BOOL = 9 };

/* TensorProto with raw_data. */
static inline struct buffer onnx_tensor(const char *name, int type, int rank, const int64_t dims[],
                                        const void *raw, size_t bytes)
{
    struct buffer t = { 0 };

    for (int i = 0; i < rank; i++)
        pb_int(&t, 1, dims[i]);
    pb_int(&t, 2, type);
    pb_text(&t, 8, name);
    pb_bytes(&t, 9, raw, bytes);
    return t;
}

static inline void onnx_floats(struct buffer *graph, const char *name, int rank, const int64_t dims[],
                               const float *x)
{
    struct buffer t;
    size_t n = 1;

    for (int i = 0; i < rank; i++)
        n *= (size_t)dims[i];
    t = onnx_tensor(name, ONNX_FLOAT, rank, dims, x, n * sizeof *x);
    pb_message(graph, 5, &t);
}

static inline void onnx_ints(struct buffer *graph, const char *name, size_t n, const int64_t *x)
{
    const int64_t dims[] = { (int64_t)n };
    struct buffer t = onnx_tensor(name, ONNX_INT64, 1, dims, x, n * sizeof *x);

    pb_message(graph, 5, &t);
}

/* ValueInfoProto as field 11 (input) or 12 (output); a dim of -1 is symbolic. */
static inline void onnx_value(struct buffer *graph, int field, const char *name, int type, int rank,
                              const int64_t dims[])
{
    struct buffer shape = { 0 }, tensor = { 0 }, outer = { 0 }, info = { 0 };

    for (int i = 0; i < rank; i++) {
        struct buffer d = { 0 };
        if (dims[i] < 0)
            pb_text(&d, 2, "n");
        else
            pb_int(&d, 1, dims[i]);
        pb_message(&shape, 1, &d);
    }
    pb_int(&tensor, 1, type);
    pb_message(&tensor, 2, &shape);
    pb_message(&outer, 1, &tensor);
    pb_text(&info, 1, name);
    pb_message(&info, 2, &outer);
    pb_message(graph, field, &info);
}

static inline void onnx_input(struct buffer *graph, const char *name, int rank, const int64_t dims[])
{
    onnx_value(graph, 11, name, ONNX_FLOAT, rank, dims);
}

static inline void onnx_output(struct buffer *graph, const char *name)
{
    struct buffer info = { 0 };

    pb_text(&info, 1, name);
    pb_message(graph, 12, &info);
}

/* Attributes are collected in a buffer that onnx_node takes over. */
static inline void onnx_attribute(struct buffer *attributes, struct buffer *a, const char *name,
                                  int type)
{
    pb_text(a, 1, name);
    pb_int(a, 20, type);
    pb_message(attributes, 5, a);
}

static inline void onnx_int_attribute(struct buffer *attributes, const char *name, int64_t x)
{
    struct buffer a = { 0 };

    pb_int(&a, 3, x);
    onnx_attribute(attributes, &a, name, 2);
}

static inline void onnx_float_attribute(struct buffer *attributes, const char *name, float x)
{
    struct buffer a = { 0 };

    pb_float(&a, 2, x);
    onnx_attribute(attributes, &a, name, 1);
}

static inline void onnx_text_attribute(struct buffer *attributes, const char *name, const char *s)
{
    struct buffer a = { 0 };

    pb_text(&a, 4, s);
    onnx_attribute(attributes, &a, name, 3);
}

static inline void onnx_ints_attribute(struct buffer *attributes, const char *name, size_t n,
                                       const int64_t x[])
{
    struct buffer a = { 0 };

    for (size_t i = 0; i < n; i++)
        pb_int(&a, 8, x[i]);
    onnx_attribute(attributes, &a, name, 7);
}

static inline void onnx_words(struct buffer *node, int field, const char *words)
{
    while (*words) {
        const size_t n = strcspn(words, " ");
        pb_bytes(node, field, words, n == 1 && words[0] == '-' ? 0 : n);
        words += n + (words[n] == ' ');
    }
}

static inline void onnx_node(struct buffer *graph, const char *type, const char *inputs,
                             const char *outputs, struct buffer *attributes)
{
    struct buffer n = { 0 };

    onnx_words(&n, 1, inputs);
    onnx_words(&n, 2, outputs);
    pb_text(&n, 3, outputs);
    pb_text(&n, 4, type);
    if (attributes) {
        buffer_bytes(&n, attributes->p, attributes->n);
        buffer_free(attributes);
    }
    pb_message(graph, 1, &n);
}

/* notes: pairs of key and value, ended by NULL; or NULL. Takes the graph over. */
static inline struct buffer onnx_model(struct buffer *graph, int opset, const char *const *notes)
{
    struct buffer m = { 0 }, o = { 0 };

    pb_int(&m, 1, 8);
    pb_text(&m, 2, "tests");
    pb_int(&o, 2, opset);
    pb_message(&m, 8, &o);
    for (; notes && notes[0]; notes += 2) {
        struct buffer e = { 0 };
        pb_text(&e, 1, notes[0]);
        pb_text(&e, 2, notes[1]);
        pb_message(&m, 14, &e);
    }
    pb_message(&m, 7, graph);
    return m;
}

#endif
