/*
 * Files of the fixtures (see their README): bytes, arrays of numbers, pictures and networks. Names are
 * relative to the folder of the fixtures. What can't be read fails the test, naming the file. A test
 * that needs fixtures begins with NEED_FIXTURES().
 */
#ifndef TESTS_MODELS_FIXTURE_H
#define TESTS_MODELS_FIXTURE_H

#include "tests/unit/test.h"

#include "inference/card.h"
#include "inference/graph/passes.h"
#include "inference/npy.h"
#include "inference/plan/context.h"
#include "inference/pt/pt.h"
#include "media/image.h"

#define NEED_FIXTURES()                                                                                 \
    do {                                                                                                \
        if (!test_fixtures())                                                                           \
            SKIP("fixtures are absent");                                                                \
    } while (0)

/* With a sanitizer the interpreter takes minutes for a network whose picture is this high. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif
static inline bool too_slow(int64_t height)
{
    return SANITIZED && height > 480;
}

struct file {
    void *bytes; /* released with free() */
    size_t n;
};

/* A file at any place. */
static inline bool file_load(const char *path, struct file *ret)
{
    FILE *f = fopen(path, "rb");
    long size = -1;

    *ret = (struct file){ .bytes = NULL };
    if (f && fseek(f, 0, SEEK_END) == 0 && (size = ftell(f)) >= 0) {
        rewind(f);
        ret->bytes = malloc((size_t)size + 1);
        ret->n = ret->bytes ? fread(ret->bytes, 1, (size_t)size, f) : 0;
    }
    if (f)
        fclose(f);
    if (size >= 0 && ret->n == (size_t)size)
        return true;
    TEST_FAIL_("%s cannot be read", path);
    free(ret->bytes);
    ret->bytes = NULL;
    return false;
}

static inline bool fixture_load(const char *name, struct file *ret)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", test_fixtures(), name);
    return file_load(path, ret);
}

/* An array that was saved transposed is taken as it lies in the file. */
static inline void as_stored(struct file *npy)
{
    static const char transposed[] = "'fortran_order': True", plain[] = "'fortran_order':False";
    char *at = npy->n < 128 ? NULL : memmem(npy->bytes, 128, transposed, sizeof transposed - 1);

    if (at)
        memcpy(at, plain, sizeof plain - 1);
}

/* The float32 numbers of a .npy file, released with free(); NULL: failed. */
static inline float *fixture_floats(const char *name, size_t *ret_n)
{
    struct fault f = FAULT_INIT;
    struct value v = { .data = NULL };
    struct file file;

    if (!fixture_load(name, &file))
        return NULL;
    as_stored(&file);
    if (npy_read(file.bytes, file.n, &v, &f) != ST_OK || v.type != DTYPE_F32) {
        TEST_FAIL_("%s: %s", name, f.detail[0] ? f.detail : "not float32");
        free(v.data);
        v.data = NULL;
    }
    free(file.bytes);
    *ret_n = v.data ? value_elements(&v) : 0;
    return v.data;
}

/* The same where their number is known. */
static inline float *fixture_array(const char *name, size_t want)
{
    size_t n;
    float *x = fixture_floats(name, &n);

    if (!x || n == want)
        return x;
    TEST_FAIL_("%s: %zu numbers instead of %zu", name, n, want);
    free(x);
    return NULL;
}

/* Released with image_free. */
static inline bool fixture_image(const char *name, struct image *ret)
{
    struct fault f = FAULT_INIT;
    struct file file;
    bool ok;

    if (!fixture_load(name, &file))
        return false;
    if (!(ok = image_decode(file.bytes, file.n, ret, &f) == ST_OK))
        TEST_FAIL_("%s: %s", name, f.detail);
    free(file.bytes);
    return ok;
}

/* ONNX or checkpoint, not verified yet; released with model_free. NULL: failed. */
static inline struct model *fixture_model(const char *name)
{
    struct fault f = FAULT_INIT;
    struct model *m = NULL;
    struct file file;

    if (!fixture_load(name, &file))
        return NULL;
    if ((pt_is_checkpoint(file.bytes, file.n) ? pt_read(file.bytes, file.n, &m, &f)
                                              : onnx_read(file.bytes, file.n, &m, &f)) != ST_OK)
        TEST_FAIL_("%s: %s", name, f.detail);
    free(file.bytes);
    return m;
}

/* Its graph with shapes, for a square picture; side 0: as the file says. */
static inline bool model_infer(struct model *m, int side)
{
    struct fault f = FAULT_INIT;
    int64_t *dims = m->graph->tensors[m->graph->inputs[0]].v.dims;

    if (side)
        dims[2] = dims[3] = side;
    if (graph_verify(m->graph, &f) == ST_OK && graph_infer(m->graph, &f) == ST_OK)
        return true;
    TEST_FAIL_("%s", f.detail);
    return false;
}

/* Output `index` of a plan of an inferred graph, which stays as it is; released with free(). NULL:
 * failed. */
static inline float *plan_output(const struct graph *from, const struct compile_options *o,
                                 const float *input, int index, size_t *ret_n)
{
    struct graph *g = graph_clone(from);
    struct fault f = FAULT_INIT;
    struct context *c = NULL;
    struct plan *p = NULL;
    float *out = NULL;

    if (g && graph_optimise(g, &f) == ST_OK && plan_create(g, o, &p, &f) == ST_OK &&
        context_create(p, &c, &f) == ST_OK) {
        const struct value in = context_input(c, 0);
        memcpy(in.data, input, value_bytes(&in));
        if (context_run(c, &f) == ST_OK) {
            const struct value y = context_output(c, index);
            *ret_n = value_elements(&y);
            if ((out = malloc(value_bytes(&y) + 1)))
                memcpy(out, y.data, value_bytes(&y));
        }
    }
    if (!out)
        TEST_FAIL_("%s", f.detail);
    context_free(c);
    plan_free(p);
    return out;
}

#endif
