/* Networks of tensors for commands: see network.h. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "cli/network.h"
#include "inference/compare.h"
#include "inference/npy.h"
#include "inference/precision.h"
#include "media/image.h"

enum status network_open(const struct cli *c, struct network *n, struct fault *f)
{
    enum status st;

    *n = (struct network){ .graph = NULL };
    if ((st = model_file_open(c->argument, &n->file, f)) != ST_OK)
        return st;
    if ((st = opened_model_read(n->file.bytes, n->file.n, &n->opened, f)) != ST_OK)
        return st;
    if (n->opened.model->graph->ninputs > NETWORK_INPUTS)
        return fault_set(f, ST_UNSUPPORTED, "model", "the model has more than %d inputs",
                         NETWORK_INPUTS);
    return ST_OK;
}

enum status network_calibration(const struct cli *c, struct network *n, struct compile_options *o,
                                struct fault *f)
{
    const enum status st = calibration_option(c, &n->file, &n->calibration, f);

    o->calibration = n->calibration;
    return st;
}

void network_close(struct network *n)
{
    for (int i = 0; i < NETWORK_INPUTS; i++)
        free(n->inputs[i].data);
    calibration_free(n->calibration);
    graph_free(n->graph);
    opened_model_free(&n->opened);
    model_file_close(&n->file);
    *n = (struct network){ .graph = NULL };
}

/* Dims of input i against those of the file; sets them. */
static enum status set_shape(struct graph *g, int i, const struct value *v, struct fault *f)
{
    struct value *own = &g->tensors[g->inputs[i]].v;
    char want[64], got[64];
    bool fits = v->rank == own->rank;

    for (int k = 0; fits && k < v->rank; k++)
        fits = own->dims[k] == -1 || own->dims[k] == v->dims[k];
    if (!fits)
        return fault_set(f, ST_INVALID, "input", "%d is %s, the model wants %s (-1: any)", i,
                         value_shape_text(v, got, sizeof got), value_shape_text(own, want, sizeof want));
    memcpy(own->dims, v->dims, sizeof own->dims);
    return ST_OK;
}

enum status network_bind_inputs(struct network *n, struct fault *f)
{
    enum status st = ST_OK;

    if (!(n->graph = graph_clone(n->opened.model->graph)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (int i = 0; st == ST_OK && i < n->graph->ninputs; i++)
        st = set_shape(n->graph, i, &n->inputs[i], f);
    return st == ST_OK ? graph_infer(n->graph, f) : st;
}

/* "1x3x640x640" up to a comma or the end. */
static const char *read_shape(const char *s, struct value *v)
{
    v->rank = 0;
    while (*s && *s != ',') {
        const size_t digits = strspn(s, "0123456789");
        if (v->rank == LIMIT_TENSOR_RANK || !text_i64(s, digits, &v->dims[v->rank++]))
            return NULL;
        s += digits;
        if (*s == 'x' && s[1])
            s++;
        else if (*s && *s != ',')
            return NULL;
    }
    return *s ? s + 1 : s;
}

enum status network_bind(struct network *n, const char *shapes, struct fault *f)
{
    const struct graph *g = n->opened.model->graph;

    if (!shapes && n->opened.bound) {
        n->graph = graph_clone(n->opened.bound);
        return n->graph ? ST_OK : fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    for (int i = 0; i < g->ninputs; i++) {
        struct value *v = &n->inputs[i];
        *v = g->tensors[g->inputs[i]].v;
        for (int k = 0; k < v->rank; k++)
            v->dims[k] = v->dims[k] == -1 ? 1 : v->dims[k];
        if (shapes && (!*shapes || !(shapes = read_shape(shapes, v))))
            return fault_set(f, ST_INVALID, "shape",
                             "give one shape like 1x3x640x640 for each of %d "
                             "inputs, with commas between them",
                             g->ninputs);
    }
    if (shapes && *shapes)
        return fault_set(f, ST_INVALID, "shape", "the model has %d inputs", g->ninputs);
    return network_bind_inputs(n, f);
}

enum status network_fill(struct network *n, struct fault *f)
{
    for (int i = 0; i < n->graph->ninputs; i++) {
        n->inputs[i] = n->graph->tensors[n->graph->inputs[i]].v;
        if (!(n->inputs[i].data = malloc(value_bytes(&n->inputs[i]) + 1)))
            return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        value_fill(&n->inputs[i], (uint64_t)i + 1);
    }
    return ST_OK;
}

enum status file_read(const char *path, size_t most, void **ret, size_t *ret_n, struct fault *f)
{
    FILE *file = fopen(path, "rb");
    struct buffer b = { .max = most };
    enum status st = ST_OK;
    char part[1 << 16];
    size_t got;

    if (!file)
        return fault_set(f, errno == ENOENT ? ST_NOT_FOUND : ST_INVALID, "file", "%s: %s", path,
                         strerror(errno));
    while (!b.failed && (got = fread(part, 1, sizeof part, file)) > 0)
        buffer_bytes(&b, part, got);
    if (ferror(file))
        st = fault_set(f, ST_INVALID, "file", "%s: %s", path, strerror(errno));
    else if (b.failed)
        st = fault_set(f, ST_TOO_LARGE, "file", "%s is over %zu bytes", path, most);
    else if (b.n == 0)
        st = fault_set(f, ST_INVALID, "file", "%s is empty", path);
    fclose(file);
    if (st != ST_OK) {
        buffer_free(&b);
        return st;
    }
    *ret = b.p;
    *ret_n = b.n;
    return ST_OK;
}

enum status file_write(const char *path, const void *bytes, size_t n, struct fault *f)
{
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(bytes, 1, n, file) == n;

    if (file && fclose(file) != 0)
        ok = false;
    return ok ? ST_OK : fault_set(f, ST_UNAVAILABLE, "file", "%s: %s", path, strerror(errno));
}

static enum status read_input(const char *name, size_t length, struct value *v, struct fault *f)
{
    char *path = strndup(name, length);
    void *bytes = NULL;
    size_t n;
    enum status st;

    if (!path)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = file_read(path, LIMIT_NPY_BYTES, &bytes, &n, f)) == ST_OK)
        st = npy_read(bytes, n, v, f);
    free(bytes);
    free(path);
    return st;
}

enum status network_read_inputs(struct network *n, const char *names, struct fault *f)
{
    const struct graph *g = n->opened.model->graph;
    enum status st = ST_OK;
    int i = 0;

    for (; st == ST_OK && i < g->ninputs && *names; i++) {
        const enum dtype type = g->tensors[g->inputs[i]].v.type;
        const size_t length = strcspn(names, ",");
        st = read_input(names, length, &n->inputs[i], f);
        names += length + (names[length] == ',');
        if (st == ST_OK && n->inputs[i].type != type)
            st = fault_set(f, ST_INVALID, "input", "%d has elements of %s, the model wants %s", i,
                           dtype_name(n->inputs[i].type), dtype_name(type));
    }
    if (st == ST_OK && (i < g->ninputs || *names))
        st = fault_set(f, ST_INVALID, "input", "the model has %d inputs: name as many arrays",
                       g->ninputs);
    return st == ST_OK ? network_bind_inputs(n, f) : st;
}

/* Nearest pixel, 0 to 1, plane by plane: not what a predictor does, but numbers of a real picture. */
static void stretch(const struct image *im, struct value *v)
{
    const int64_t height = v->dims[2], width = v->dims[3];

    for (int64_t i = 0; i < 3 * height * width; i++) {
        const int64_t y = i / width % height * im->height / height, x = i % width * im->width / width;
        const int64_t plane = i / (width * height);
        value_f32(v)[i] = (float)im->rgb[(y * im->width + x) * 3 + plane] / 255;
    }
}

enum status network_read_picture(struct network *n, const char *name, struct fault *f)
{
    struct image im = { .rgb = NULL };
    void *bytes = NULL;
    size_t size;
    enum status st;

    if (n->graph->ninputs != 1 || n->inputs[0].type != DTYPE_F32 || n->inputs[0].rank != 4 ||
        n->inputs[0].dims[0] != 1 || n->inputs[0].dims[1] != 3)
        return fault_set(f, ST_INVALID, "image", "the model does not take one picture of three planes");
    if ((st = file_read(name, LIMIT_IMAGE_BYTES, &bytes, &size, f)) == ST_OK)
        st = image_decode(bytes, size, &im, f);
    if (st == ST_OK)
        stretch(&im, &n->inputs[0]);
    image_free(&im);
    free(bytes);
    return st;
}

enum status calibration_option(const struct cli *c, const struct model_file *model,
                               struct calibration **ret, struct fault *f)
{
    const char *const path = cli_option(c, "calibration");
    struct calibration *read = NULL;
    void *bytes = NULL;
    enum status st = ST_OK;
    size_t n;

    if (path && (st = file_read(path, LIMIT_CALIBRATION_BYTES, &bytes, &n, f)) == ST_OK &&
        (st = calibration_read(bytes, n, &read, f)) == ST_OK)
        st = calibration_check(read, model->bytes, model->n, f);
    free(bytes);
    if (st == ST_OK)
        *ret = read;
    else
        calibration_free(read);
    return st;
}

enum status network_options(const struct cli *c, struct compile_options *ret, struct fault *f)
{
    enum { THREADS_MAX = 256 };
    const char *const named = cli_option(c, "precision");
    enum precision precision = PRECISION_AUTO;
    int64_t threads;
    enum status st = cli_integer(c, "threads", 1, THREADS_MAX, 1, &threads, f);

    if (st != ST_OK)
        return st;
    if (named && !precision_find(named, &precision))
        return fault_set(f, ST_INVALID, "precision", "must be auto, f32, f16, bf16 or int8");
    *ret = (struct compile_options){ .threads = (int)threads,
                                     .precision = precision,
                                     .exact = cli_option(c, "exact") != NULL };
    return ST_OK;
}
