/* A checkpoint as a whole: which archive it is, its pickle, its network, its weights. See pt.h. */
#include "inference/pt/pt.h"

#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "inference/pt/legacy.h"
#include "inference/pt/zip.h"

struct pt_file {
    struct arena *arena;
    struct arena *inflated; /* records of a compressed archive */
    struct zip zip;
    struct pickle pickle;
    const struct pt_value *root;
};

#define EXPORT_HINT "export the model to ONNX and upload that"

/* What it is instead of a ZIP archive. */
static enum status refuse_other(const unsigned char *p, size_t n, struct fault *f)
{
    if (n >= 2 && p[0] == 0x80 && p[1] <= 5)
        return fault_set(f, ST_UNSUPPORTED, "model",
                         "the file is a bare pickle, not a PyTorch checkpoint");
    return fault_set(f, ST_UNSUPPORTED, "model",
                     "the file is not a PyTorch checkpoint: it is no ZIP archive");
}

/* True when s is "<one folder>/" and then tail, or begins so when tail ends in "/". */
static bool is_below_folder(struct slice s, const char *tail)
{
    const char *slash = memchr(s.p, '/', s.n);
    const size_t n = strlen(tail);
    size_t rest;

    if (!slash)
        return false;
    rest = s.n - (size_t)(slash + 1 - s.p);
    return (rest == n || (rest > n && tail[n - 1] == '/')) && memcmp(slash + 1, tail, n) == 0;
}

/* The record "<folder>/data.pkl", which there must be exactly one of. */
static enum status find_pickle(const struct zip *z, struct zip_record *ret, struct fault *f)
{
    const struct zip_record *found = NULL;

    for (size_t i = 0; i < z->n; i++) {
        const struct zip_record *r = &z->records[i];

        if (is_below_folder(r->name, "constants.pkl") || is_below_folder(r->name, "code/"))
            return fault_set(f, ST_UNSUPPORTED, "model",
                             "the file is a TorchScript program: " EXPORT_HINT);
        if (is_below_folder(r->name, "byteorder") &&
            !(r->bytes.n == 6 && memcmp(r->bytes.p, "little", 6) == 0))
            return fault_set(f, ST_UNSUPPORTED, "model",
                             "the checkpoint was written by a big-endian machine: " EXPORT_HINT);
        if (!is_below_folder(r->name, "data.pkl"))
            continue;
        if (found)
            return fault_set(f, ST_INVALID, "model", "the archive has two checkpoints");
        found = r;
    }
    if (!found)
        return fault_set(f, ST_UNSUPPORTED, "model",
                         "the ZIP archive is not a PyTorch checkpoint: it has no data.pkl");
    *ret = *found;
    return ST_OK;
}

static enum status read_pickle(struct pt_file *p, struct fault *f)
{
    struct zip_record r = { 0 };
    const char *prefix;
    enum status st = find_pickle(&p->zip, &r, f);

    if (st != ST_OK)
        return st;
    if (r.name.n > LIMIT_PICKLE_NAME_BYTES)
        return fault_set(f, ST_INVALID, "model", "the archive's folder has an endless name");
    prefix = arena_printf(p->arena, "%.*s/data/", (int)(r.name.n - strlen("/data.pkl")), r.name.p);
    if (!prefix)
        return fault_set(f, ST_TOO_LARGE, "model", "the checkpoint needs more memory than is allowed");
    p->pickle = (struct pickle){ .text = r.bytes,
                                 .arena = p->arena,
                                 .zip = &p->zip,
                                 .prefix = { prefix, strlen(prefix) },
                                 .fault = f };
    return pickle_read(&p->pickle, &p->root);
}

static bool is_zip(const void *bytes, size_t n)
{
    return n >= 4 && memcmp(bytes, "PK\3\4", 4) == 0;
}

bool pt_is_checkpoint(const void *bytes, size_t n)
{
    return is_zip(bytes, n) || legacy_is(bytes, n);
}

static enum status read_archive(struct pt_file *p, const void *bytes, size_t n, struct fault *f)
{
    enum status st;

    if ((st = zip_read(bytes, n, p->arena, &p->zip, f)) != ST_OK ||
        (st = zip_inflate(&p->zip, n, &p->inflated, f)) != ST_OK)
        return st;
    return read_pickle(p, f);
}

static enum status read_legacy(struct pt_file *p, const void *bytes, size_t n, struct fault *f)
{
    p->pickle = (struct pickle){ .text = { bytes, n }, .arena = p->arena, .fault = f };
    return legacy_read(&p->pickle, &p->root);
}

enum status pt_open(const void *bytes, size_t n, struct pt_file **ret, struct fault *f)
{
    struct pt_file *p = NULL;
    enum status st;

    if ((long long)n > LIMIT_MODEL_BYTES)
        return fault_set(f, ST_TOO_LARGE, "model", "the checkpoint is larger than %lld bytes",
                         LIMIT_MODEL_BYTES);
    if (!pt_is_checkpoint(bytes, n))
        return refuse_other(bytes, n, f);
    /* The pickle is at most the whole file: small files cost the constant part of pickle_memory, and a
     * little. */
    if (!(p = calloc(1, sizeof *p)) || !(p->arena = arena_create(pickle_memory(n)))) {
        st = fault_set(f, ST_UNAVAILABLE, "model", "out of memory");
        goto out;
    }
    st = is_zip(bytes, n) ? read_archive(p, bytes, n, f) : read_legacy(p, bytes, n, f);
    if (st != ST_OK)
        goto out;
    p->pickle.fault = NULL; /* the caller's, and not needed any more */
    *ret = p;
    p = NULL;
out:
    pt_close(p);
    return st;
}

void pt_close(struct pt_file *p)
{
    if (!p)
        return;
    arena_free(p->inflated);
    arena_free(p->arena);
    free(p);
}

const struct pt_value *pt_root(const struct pt_file *p)
{
    return p->root;
}

size_t pt_values(const struct pt_file *p)
{
    return p->pickle.nvalues;
}

const struct pt_global *pt_unknown(const struct pt_file *p, size_t i)
{
    return i < p->pickle.unknown.n ? p->pickle.unknown.at[i]->global : NULL;
}

/* The network */

/* A dict of tensors, as model.state_dict() gives. */
static bool is_weights(const struct pt_value *v)
{
    size_t tensors = 0;

    if (!v || v->kind != PT_DICT)
        return false;
    for (size_t i = 1; i < v->items.n; i += 2)
        tensors += v->items.at[i]->kind == PT_TENSOR;
    return tensors > 0 && tensors >= v->items.n / 4;
}

static enum status refuse_class(const struct pt_value *v, struct fault *f)
{
    const struct slice module = pt_class_module(v), name = pt_class_name(v);
    char text[96];
    size_t n = 0;

    for (size_t i = 0; i < module.n && n < 50; i++)
        text[n++] = module.p[i] > ' ' && module.p[i] < 127 ? module.p[i] : '?';
    text[n++] = '.';
    for (size_t i = 0; i < name.n && n < sizeof text - 1; i++)
        text[n++] = name.p[i] > ' ' && name.p[i] < 127 ? name.p[i] : '?';
    text[n] = '\0';
    return fault_set(f, ST_UNSUPPORTED, "model",
                     "the checkpoint's model is a %s, which is unknown here: " EXPORT_HINT, text);
}

enum status pt_model(const struct pt_file *p, const struct pt_value **ret, struct fault *f)
{
    const struct pt_value *ema = pt_get(p->root, "ema"), *model = pt_get(p->root, "model");
    const struct pt_value *v = pt_is_module(ema) ? ema : model ? model : ema ? ema : p->root;

    if (pt_is_module(v)) {
        *ret = v;
        return ST_OK;
    }
    if (is_weights(v) || is_weights(pt_get(p->root, "state_dict")) || is_weights(p->root))
        return fault_set(f, ST_UNSUPPORTED, "model",
                         "the checkpoint has weights but no network (a state_dict): " EXPORT_HINT);
    if (v->kind == PT_OBJECT)
        return refuse_class(v, f);
    return fault_set(f, ST_UNSUPPORTED, "model", "the checkpoint holds no model");
}

/* Weights. Modules, dicts and tensors may be shared and may form cycles: each is looked at once. */

struct count {
    unsigned char *seen; /* a bit for each value */
    int64_t total;
    int depth;
    struct fault *fault;
};

static bool first_time(struct count *c, const struct pt_value *v)
{
    const unsigned char bit = (unsigned char)(1U << (v->id & 7));
    const bool first = !(c->seen[v->id / 8] & bit);

    c->seen[v->id / 8] |= bit;
    return first;
}

static enum status count_module(struct count *c, const struct pt_value *module)
{
    const struct pt_value *parameters = pt_attribute(module, "_parameters"),
                          *parts = pt_attribute(module, "_modules");
    enum status st = ST_OK;

    if (++c->depth > LIMIT_PICKLE_DEPTH)
        return fault_set(c->fault, ST_TOO_LARGE, "model", "the model's modules are nested too deeply");
    if (parameters && parameters->kind == PT_DICT && first_time(c, parameters))
        for (size_t i = 1; i < parameters->items.n; i += 2) {
            const struct pt_value *t = parameters->items.at[i];

            if (t->kind == PT_TENSOR && first_time(c, t) &&
                __builtin_add_overflow(c->total, t->tensor->count, &c->total))
                return fault_set(c->fault, ST_TOO_LARGE, "model", "the model has too many weights");
        }
    if (parts && parts->kind == PT_DICT && first_time(c, parts))
        for (size_t i = 1; i < parts->items.n && st == ST_OK; i += 2)
            if (parts->items.at[i]->kind == PT_OBJECT && first_time(c, parts->items.at[i]))
                st = count_module(c, parts->items.at[i]);
    c->depth--;
    return st;
}

enum status pt_count_parameters(const struct pt_file *p, const struct pt_value *module, int64_t *ret,
                                struct fault *f)
{
    struct count c = { .seen = calloc(1, pt_values(p) / 8 + 1), .fault = f };
    enum status st;

    if (!c.seen)
        return fault_set(f, ST_UNAVAILABLE, "model", "out of memory");
    st = count_module(&c, module);
    if (st == ST_OK)
        *ret = c.total;
    free(c.seen);
    return st;
}
