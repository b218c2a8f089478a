/*
 * Networks of a few modules for tests of the checkpoint reader: a tree of modules is written as a
 * checkpoint, and evaluated directly, layer by layer in double precision, without folding anything. All
 * memory is one arena's: modules_begin, modules_end.
 */
#ifndef TESTS_UNIT_INFERENCE_PT_MODULES_H
#define TESTS_UNIT_INFERENCE_PT_MODULES_H

#include "tests/unit/test.h"

#include "base/arena.h"
#include "inference/graph/graph.h"
#include "inference/model/model.h"
#include "inference/pt/pt.h"
#include "tests/unit/inference_pt_writer.h"

#define TORCH "torch.nn.modules.any"
#define YOLO  "ultralytics.nn.modules.any"

enum entry_kind {
    E_CHANNELS,
    E_INT,
    E_BOOL,
    E_REAL,
    E_TEXT,
    E_TUPLE,
    E_LIST,
    E_TENSOR,
    E_PARAMETER,
    E_BUFFER,
    E_CHILD
};

/* Numbers that float16 and bfloat16 hold exactly: multiples of 1/16 from -1 to 1. */
struct weights {
    size_t rank, n, offset;
    int64_t dims[4];
    float *v;
};

struct module;
struct entry {
    enum entry_kind kind;
    const char *name, *text;
    int64_t ints[8];
    size_t n;
    double real;
    struct weights *weights;
    struct module *child;
    struct entry *next;
};
struct module {
    const char *package, *class;
    struct entry *entries, **tail;
    uint64_t memo; /* entry of the memo, and the file that it is of */
};

enum storage { STORE_F32, STORE_F16, STORE_BF16, STORE_F64 };
static struct {
    struct arena *arena;
    struct weights *all[2000];
    size_t nall, elements;
    uint64_t seed, memo; /* number of the file, entries of its memo */
    enum storage storage;
    bool channels_last;
} modules;

static inline void modules_begin(uint64_t seed)
{
    memset(&modules, 0, sizeof modules);
    modules.arena = arena_create((size_t)256 << 20);
    modules.seed = seed;
}

static inline void modules_end(void)
{
    arena_free(modules.arena);
}

static inline int sixteenth(void)
{
    modules.seed = modules.seed * 6364136223846793005u + 1442695040888963407u;
    return (int)(modules.seed >> 33) % 17 - (int)(modules.seed >> 40) % 17;
}

/* Trees */

static inline struct module *module_new(const char *package, const char *class)
{
    struct module *m = arena_alloc(modules.arena, sizeof *m);

    *m = (struct module){ .package = package, .class = class };
    m->tail = &m->entries;
    return m;
}

static inline struct entry *module_add(struct module *m, enum entry_kind kind, const char *name)
{
    struct entry *e = arena_alloc(modules.arena, sizeof *e);

    e->kind = kind;
    e->name = arena_strdup(modules.arena, name);
    *m->tail = e;
    m->tail = &e->next;
    return e;
}

static inline struct module *module_int(struct module *m, const char *name, int64_t v)
{
    module_add(m, E_INT, name)->ints[0] = v;
    return m;
}

static inline struct module *module_bool(struct module *m, const char *name, bool v)
{
    module_add(m, E_BOOL, name)->ints[0] = v;
    return m;
}

static inline struct module *module_real(struct module *m, const char *name, double v)
{
    module_add(m, E_REAL, name)->real = v;
    return m;
}

static inline struct module *module_text(struct module *m, const char *name, const char *v)
{
    module_add(m, E_TEXT, name)->text = v;
    return m;
}

static inline struct module *module_ints(struct module *m, enum entry_kind kind, const char *name,
                                         const int64_t v[], size_t n)
{
    struct entry *e = module_add(m, kind, name);

    e->n = n;
    if (n)
        memcpy(e->ints, v, n * sizeof *v);
    return m;
}

static inline struct module *module_pair(struct module *m, const char *name, int64_t a, int64_t b)
{
    return module_ints(m, E_TUPLE, name, (int64_t[]){ a, b }, 2);
}

static inline struct module *module_child(struct module *m, const char *name, struct module *child)
{
    module_add(m, E_CHILD, name)->child = child;
    return m;
}

/* Random weights; `base` is added, in sixteenths. */
static inline struct weights *module_weights(struct module *m, enum entry_kind kind, const char *name,
                                             int base, size_t rank, const int64_t dims[])
{
    struct weights *w = arena_alloc(modules.arena, sizeof *w);

    w->rank = rank;
    w->n = 1;
    w->offset = modules.elements;
    for (size_t i = 0; i < rank; i++)
        w->n *= (size_t)(w->dims[i] = dims[i]);
    w->v = arena_array(modules.arena, w->n, sizeof(float));
    for (size_t i = 0; i < w->n; i++) {
        const int k = sixteenth();
        w->v[i] = (float)(base ? base + (k < 0 ? -k : k) % 16 : k) / 16;
    }
    modules.elements += w->n;
    modules.all[modules.nall++] = w;
    module_add(m, kind, name)->weights = w;
    return w;
}

static inline const struct entry *module_find(const struct module *m, const char *name)
{
    const struct entry *found = NULL;

    for (const struct entry *e = m->entries; e; e = e->next)
        if (strcmp(e->name, name) == 0)
            found = e;
    return found;
}

static inline const struct module *part(const struct module *m, const char *name)
{
    const struct entry *e = module_find(m, name);

    return e ? e->child : NULL;
}

/* Writing */

static inline void put_real(struct buffer *b, double v)
{
    uint64_t bits;

    memcpy(&bits, &v, sizeof bits);
    buffer_char(b, 'G');
    for (int i = 7; i >= 0; i--)
        buffer_char(b, (char)(bits >> 8 * i & 255));
}

static inline void put_weights(struct buffer *b, const struct weights *w, bool parameter)
{
    static const char *const types[] = { "FloatStorage", "HalfStorage", "BFloat16Storage",
                                         "DoubleStorage" };
    struct view v = {
        types[modules.storage], "0", (int64_t)modules.elements, (int64_t)w->offset, w->rank, { 0 }, { 0 }
    };
    int64_t step = 1;

    for (size_t i = w->rank; i-- > 0;) {
        v.size[i] = w->dims[i];
        v.stride[i] = step;
        step *= w->dims[i];
    }
    if (modules.channels_last && w->rank == 4) {
        v.stride[1] = 1;
        v.stride[3] = w->dims[1];
        v.stride[2] = w->dims[1] * w->dims[3];
    }
    if (parameter)
        put_global(b, "torch._utils", "_rebuild_parameter"), buffer_char(b, '(');
    put_tensor(b, &v);
    if (parameter)
        PUT(b, "\x88}tR");
}

static inline void put_module_tree(struct buffer *b, struct module *m);

static inline void put_group(struct buffer *b, const struct module *m, enum entry_kind kind,
                             const char *name)
{
    put_str(b, name);
    put_global(b, "collections", "OrderedDict");
    buffer_text(b, ")R(");
    for (const struct entry *e = m->entries; e; e = e->next)
        if (e->kind == kind) {
            put_str(b, e->name);
            if (kind == E_CHILD)
                put_module_tree(b, e->child);
            else
                put_weights(b, e->weights, kind == E_PARAMETER);
        }
    buffer_char(b, 'u');
}

static inline void put_attribute(struct buffer *b, const struct entry *e)
{
    put_str(b, e->name);
    switch (e->kind) {
    case E_CHANNELS: /* a dict of the one number that the reader wants of it */
        buffer_char(b, '}');
        put_str(b, "channels");
        put_int(b, e->ints[0]);
        buffer_char(b, 's');
        break;
    case E_INT:
        put_int(b, e->ints[0]);
        break;
    case E_BOOL:
        buffer_char(b, e->ints[0] ? (char)0x88 : (char)0x89);
        break;
    case E_REAL:
        put_real(b, e->real);
        break;
    case E_TEXT:
        put_str(b, e->text);
        break;
    case E_TENSOR:
        put_weights(b, e->weights, false);
        break;
    default:
        buffer_char(b, '(');
        for (size_t i = 0; i < e->n; i++)
            put_int(b, e->ints[i]);
        buffer_char(b, e->kind == E_LIST ? 'l' : 't');
    }
}

static inline void put_module_tree(struct buffer *b, struct module *m)
{
    if (m->memo >> 32 == modules.memo >> 32) { /* written before: a module may stand in several places */
        buffer_char(b, 'j');
        put_number(b, m->memo, 4);
        return;
    }
    m->memo = modules.memo++;
    put_global(b, m->package, m->class);
    buffer_text(b, ")\x81r");
    put_number(b, m->memo, 4);
    buffer_text(b, "}(");
    put_group(b, m, E_PARAMETER, "_parameters");
    put_group(b, m, E_BUFFER, "_buffers");
    put_group(b, m, E_CHILD, "_modules");
    for (const struct entry *e = m->entries; e; e = e->next)
        if (e->kind != E_PARAMETER && e->kind != E_BUFFER && e->kind != E_CHILD)
            put_attribute(b, e);
    buffer_text(b, "ub");
}

/* Values that are exact in every type. */
static inline void put_element(struct buffer *b, float f)
{
    uint32_t bits;
    uint64_t wide;
    double d = (double)f;

    memcpy(&bits, &f, sizeof bits);
    memcpy(&wide, &d, sizeof wide);
    if (modules.storage == STORE_F32)
        put_number(b, bits, 4);
    else if (modules.storage == STORE_F64)
        put_number(b, wide, 8);
    else if (modules.storage == STORE_BF16)
        put_number(b, bits >> 16, 2);
    else
        put_number(
            b,
            f == 0 ? 0 : (bits >> 16 & 0x8000) | ((bits >> 23 & 255) - 112) << 10 | (bits >> 13 & 1023),
            2);
}

/* Element k of the storage: in the order of channels_last the last of four dims is the second. */
static inline float stored(const struct weights *w, size_t k)
{
    const size_t c = (size_t)w->dims[1], plane = (size_t)(w->dims[2] * w->dims[3]);

    if (!modules.channels_last || w->rank != 4)
        return w->v[k];
    return w->v[(k / (c * plane) * c + k % c) * plane + k / c % plane];
}

static inline void put_storages(struct buffer *b)
{
    for (size_t i = 0; i < modules.nall; i++)
        for (size_t k = 0; k < modules.all[i]->n; k++)
            put_element(b, stored(modules.all[i], k));
}

/* A checkpoint {"model": <class>(model=Sequential(layers))} whose layers have i and f already. */
static inline void put_network(struct buffer *file, const char *class, struct module *layers,
                               int channels)
{
    struct module *m = module_new("ultralytics.nn.tasks", class);
    struct buffer pickle = { 0 }, storage = { 0 };

    modules.memo = ((modules.memo >> 32) + 1) << 32;
    module_child(m, "model", layers);
    module_add(m, E_CHANNELS, "yaml")->ints[0] = channels;
    PUT(&pickle, "\x80\x02}");
    put_str(&pickle, "model");
    put_module_tree(&pickle, m);
    buffer_text(&pickle, "s.");
    put_storages(&storage);
    put_zip(file,
            (struct record[]){ { .name = "a/data.pkl", .bytes = { pickle.p, pickle.n } },
                               { .name = "a/data/0", .bytes = { storage.p, storage.n } } },
            2);
    buffer_free(&pickle);
    buffer_free(&storage);
}

/* PyTorch's modules */

static inline struct module *conv2d(int ci, int co, int k, int s, int p, int g, bool bias)
{
    struct module *m = module_new(TORCH, "Conv2d");

    module_weights(m, E_PARAMETER, "weight", 0, 4, (int64_t[]){ co, ci / g, k, k });
    if (bias)
        module_weights(m, E_PARAMETER, "bias", 0, 1, (int64_t[]){ co });
    module_pair(module_pair(module_pair(m, "stride", s, s), "padding", p, p), "dilation", 1, 1);
    return module_text(module_int(m, "groups", g), "padding_mode", "zeros");
}

static inline struct module *batchnorm(int c, double epsilon)
{
    struct module *m = module_new(TORCH, "BatchNorm2d");

    module_weights(m, E_PARAMETER, "weight", 0, 1, (int64_t[]){ c });
    module_weights(m, E_PARAMETER, "bias", 0, 1, (int64_t[]){ c });
    module_weights(m, E_BUFFER, "running_mean", 0, 1, (int64_t[]){ c });
    module_weights(m, E_BUFFER, "running_var", 8, 1, (int64_t[]){ c });
    return module_real(m, "eps", epsilon);
}

static inline struct module *plain(const char *class)
{
    struct module *m = module_new(TORCH, class);

    if (strcmp(class, "LeakyReLU") == 0)
        module_real(m, "negative_slope", 0.125);
    return module_bool(m, "inplace", true);
}

/* Conv: conv, bn, act; `act` a class of activation. */
static inline struct module *conv_act(int ci, int co, int k, int s, int g, const char *act)
{
    struct module *m = module_new(YOLO, "Conv");

    module_child(m, "conv", conv2d(ci, co, k, s, k / 2, g, false));
    module_child(m, "bn", batchnorm(co, 1e-3));
    return module_child(m, "act", plain(act));
}

static inline struct module *conv(int ci, int co, int k, int s)
{
    return conv_act(ci, co, k, s, 1, "SiLU");
}

static inline struct module *container(const char *class, struct module *const items[], size_t n)
{
    struct module *m = module_new(TORCH, class);
    char name[24];

    for (size_t i = 0; i < n; i++) {
        snprintf(name, sizeof name, "%zu", i);
        module_child(m, name, items[i]);
    }
    return m;
}
#define SEQUENTIAL(...)                                                                                 \
    container("Sequential", (struct module *[]){ __VA_ARGS__ },                                         \
              sizeof((struct module *[]){ __VA_ARGS__ }) / sizeof(struct module *))
#define MODULE_LIST(...)                                                                                \
    container("ModuleList", (struct module *[]){ __VA_ARGS__ },                                         \
              sizeof((struct module *[]){ __VA_ARGS__ }) / sizeof(struct module *))

static inline struct module *max_pool(int k, int s, int p)
{
    struct module *m = module_new(TORCH, "MaxPool2d");

    module_int(module_int(module_int(m, "kernel_size", k), "stride", s), "padding", p);
    return module_bool(module_int(m, "dilation", 1), "ceil_mode", false);
}

/* Direct evaluation */

struct map {
    int c, h, w;
    double *v;
};

static inline struct map map_new(int c, int h, int w)
{
    return (struct map){ c, h, w, arena_array(modules.arena, (size_t)(c * h * w), sizeof(double)) };
}

static inline double *map_at(struct map x, int c, int i, int k)
{
    return &x.v[(c * x.h + i) * x.w + k];
}

static inline int module_number(const struct module *m, const char *name)
{
    return (int)module_find(m, name)->ints[0];
}

static inline struct map eval_conv2d(const struct module *m, struct map x)
{
    const struct weights *w = module_find(m, "weight")->weights;
    const struct entry *bias = module_find(m, "bias");
    const int s = module_number(m, "stride"), p = module_number(m, "padding"),
              g = module_number(m, "groups");
    const int k = (int)w->dims[2], ci = (int)w->dims[1], co = (int)w->dims[0];
    struct map y = map_new(co, (x.h + 2 * p - k) / s + 1, (x.w + 2 * p - k) / s + 1);

    for (int o = 0; o < co; o++)
        for (int i = 0; i < y.h; i++)
            for (int j = 0; j < y.w; j++) {
                double sum = bias ? (double)bias->weights->v[o] : 0;
                for (int c = 0; c < ci; c++)
                    for (int a = 0; a < k; a++)
                        for (int b = 0; b < k; b++) {
                            const int yy = i * s - p + a, xx = j * s - p + b;
                            if (yy >= 0 && yy < x.h && xx >= 0 && xx < x.w)
                                sum += (double)w->v[((o * ci + c) * k + a) * k + b] *
                                       *map_at(x, o / (co / g) * ci + c, yy, xx);
                        }
                *map_at(y, o, i, j) = sum;
            }
    return y;
}

static inline struct map eval_batchnorm(const struct module *m, struct map x)
{
    const float *scale = module_find(m, "weight")->weights->v,
                *shift = module_find(m, "bias")->weights->v,
                *mean = module_find(m, "running_mean")->weights->v,
                *variance = module_find(m, "running_var")->weights->v;
    struct map y = map_new(x.c, x.h, x.w);

    for (int i = 0; i < x.c * x.h * x.w; i++) {
        const int c = i / (x.h * x.w);
        y.v[i] = (x.v[i] - (double)mean[c]) / sqrt((double)variance[c] + module_find(m, "eps")->real) *
                     (double)scale[c] +
                 (double)shift[c];
    }
    return y;
}

static inline double eval_activation(const char *class, double x)
{
    if (strcmp(class, "SiLU") == 0)
        return x / (1 + exp(-x));
    if (strcmp(class, "ReLU") == 0)
        return x > 0 ? x : 0;
    if (strcmp(class, "ReLU6") == 0)
        return x > 6 ? 6 : x > 0 ? x : 0;
    if (strcmp(class, "LeakyReLU") == 0)
        return x > 0 ? x : 0.125 * x;
    if (strcmp(class, "Hardswish") == 0)
        return x * fmin(fmax(x / 6 + 0.5, 0), 1);
    if (strcmp(class, "Mish") == 0)
        return x * tanh(log1p(exp(x)));
    if (strcmp(class, "GELU") == 0)
        return x / 2 * (1 + erf(x / sqrt(2)));
    return x; /* Identity */
}

static inline struct map eval_max(struct map x, int k, int s, int p)
{
    struct map y = map_new(x.c, (x.h + 2 * p - k) / s + 1, (x.w + 2 * p - k) / s + 1);

    for (int c = 0; c < y.c; c++)
        for (int i = 0; i < y.h; i++)
            for (int j = 0; j < y.w; j++) {
                double most = -1e30;
                for (int a = 0; a < k * k; a++) {
                    const int yy = i * s - p + a / k, xx = j * s - p + a % k;
                    if (yy >= 0 && yy < x.h && xx >= 0 && xx < x.w)
                        most = fmax(most, *map_at(x, c, yy, xx));
                }
                *map_at(y, c, i, j) = most;
            }
    return y;
}

/* Means of 2x2 windows, one apart. */
static inline struct map eval_mean(struct map x)
{
    struct map y = map_new(x.c, x.h - 1, x.w - 1);

    for (int c = 0; c < y.c; c++)
        for (int i = 0; i < y.h; i++)
            for (int j = 0; j < y.w; j++)
                *map_at(y, c, i, j) = (*map_at(x, c, i, j) + *map_at(x, c, i, j + 1) +
                                       *map_at(x, c, i + 1, j) + *map_at(x, c, i + 1, j + 1)) /
                                      4;
    return y;
}

static inline struct map eval_add(struct map x, struct map y)
{
    struct map z = map_new(x.c, x.h, x.w);

    for (int i = 0; i < x.c * x.h * x.w; i++)
        z.v[i] = x.v[i] + y.v[i];
    return z;
}

static inline struct map eval_cat(size_t n, const struct map x[])
{
    int c = 0, at = 0;
    struct map y;

    for (size_t i = 0; i < n; i++)
        c += x[i].c;
    y = map_new(c, x[0].h, x[0].w);
    for (size_t i = 0; i < n; i++) {
        memcpy(y.v + at, x[i].v, (size_t)(x[i].c * x[i].h * x[i].w) * sizeof(double));
        at += x[i].c * x[i].h * x[i].w;
    }
    return y;
}
#define CAT(...)                                                                                        \
    eval_cat(sizeof((struct map[]){ __VA_ARGS__ }) / sizeof(struct map), (struct map[]){ __VA_ARGS__ })

/* Channels [from, from + n). */
static inline struct map eval_channels(struct map x, int from, int n)
{
    return (struct map){ n, x.h, x.w, x.v + from * x.h * x.w };
}

static inline struct map eval_half(struct map x, int i)
{
    return eval_channels(x, i * x.c / 2, x.c / 2);
}

/* Conv, Conv2d, BatchNorm2d, Sequential, pools, activations. */
static inline struct map eval(const struct module *m, struct map x)
{
    struct map y;

    if (strcmp(m->class, "Conv2d") == 0)
        return eval_conv2d(m, x);
    if (strcmp(m->class, "BatchNorm2d") == 0)
        return eval_batchnorm(m, x);
    if (strcmp(m->class, "MaxPool2d") == 0)
        return eval_max(x, module_number(m, "kernel_size"), module_number(m, "stride"),
                        module_number(m, "padding"));
    if (strcmp(m->class, "Conv") == 0) {
        y = eval(part(m, "conv"), x);
        y = part(m, "bn") ? eval(part(m, "bn"), y) : y;
        return part(m, "act") ? eval(part(m, "act"), y) : y;
    }
    if (strcmp(m->class, "Sequential") == 0) {
        for (const struct entry *e = m->entries; e; e = e->next)
            x = eval(e->child, x);
        return x;
    }
    y = map_new(x.c, x.h, x.w);
    for (int i = 0; i < x.c * x.h * x.w; i++)
        y.v[i] = eval_activation(m->class, x.v[i]);
    return y;
}

static inline struct map eval_part(const struct module *m, const char *name, struct map x)
{
    return eval(part(m, name), x);
}

/* The picture that tests read. */
static inline struct map random_map(int c, int h, int w)
{
    struct map x = map_new(c, h, w);

    for (int i = 0; i < c * h * w; i++)
        x.v[i] = sixteenth() / 16.0;
    return x;
}

/* Running */

static inline struct module *classifier(int ci)
{
    struct module *m = module_new("ultralytics.nn.modules.head", "Classify");
    struct module *linear = module_new(TORCH, "Linear");

    module_child(m, "conv", conv(ci, 4, 1, 1));
    module_child(m, "pool", module_int(module_new(TORCH, "AdaptiveAvgPool2d"), "output_size", 1));
    module_child(m, "drop", plain("Dropout"));
    module_weights(linear, E_PARAMETER, "weight", 0, 2, (int64_t[]){ 2, 4 });
    module_weights(linear, E_PARAMETER, "bias", 0, 1, (int64_t[]){ 2 });
    return module_child(m, "linear", linear);
}

/* The number of layers, which get their index and, unless they have some, the one before as input. */
static inline struct module *network(struct module *const layers[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        module_int(layers[i], "i", (int64_t)i);
        if (!module_find(layers[i], "f"))
            module_int(layers[i], "f", -1);
    }
    return container("Sequential", layers, n);
}

/* NULL with the fault in *f. */
static inline struct model *network_read(struct module *layers, int channels, struct fault *f)
{
    struct model *m = NULL;
    struct buffer b = { 0 };
    char *exact;

    *f = FAULT_INIT;
    put_network(&b, "DetectionModel", layers, channels);
    exact = malloc(b.n); /* the sanitizer sees a read beyond it */
    memcpy(exact, b.p, b.n);
    if (pt_read(exact, b.n, &m, f) != ST_OK)
        m = NULL;
    free(exact);
    buffer_free(&b);
    return m;
}

/* Binds to x, runs by the references; out gets the graph's outputs (free their data). */
static inline bool network_run(struct model *m, struct map x, struct value out[], struct fault *f)
{
    struct graph *g = m->graph;
    struct value *in = &g->tensors[g->inputs[0]].v, bound;
    float *data = arena_array(modules.arena, (size_t)(x.c * x.h * x.w), sizeof *data);

    for (int i = 0; i < x.c * x.h * x.w; i++)
        data[i] = (float)x.v[i];
    in->dims[2] = x.h;
    in->dims[3] = x.w;
    if (graph_verify(g, f) != ST_OK || graph_infer(g, f) != ST_OK)
        return false;
    bound = *in;
    bound.data = data;
    return graph_interpret(g, &bound, out, f) == ST_OK;
}

#endif
