/*
 * Storages and the tensors over them. A storage is exactly one record of the archive: its declared
 * length must be the record's. A tensor must lie inside its storage; all products are checked before
 * anything trusts them.
 */
#include "inference/pt/calls.h"

#include <string.h>

static enum status malformed(const struct pickle *pk, const char *what)
{
    pickle_refuse(pk, ST_INVALID, what);
    return ST_INVALID;
}

static bool is_decimal(struct slice s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

/* The record "<prefix><key>" of the archive. Keys are decimal numbers. */
static enum status find_record(struct pickle *pk, struct slice key, struct slice *ret)
{
    const struct zip_record *r;
    char name[LIMIT_PICKLE_NAME_BYTES + 32];

    if (!is_decimal(key) || key.n > 20 || pk->prefix.n > LIMIT_PICKLE_NAME_BYTES)
        return malformed(pk, "has a storage whose key is no number");
    if (pk->prefix.n)
        memcpy(name, pk->prefix.p, pk->prefix.n);
    memcpy(name + pk->prefix.n, key.p, key.n);
    r = pk->zip ? zip_find(pk->zip, (struct slice){ name, pk->prefix.n + key.n }) : NULL;
    if (!r)
        return malformed(pk, "refers to a storage that the archive lacks");
    *ret = r->bytes;
    return ST_OK;
}

static enum status make_storage(struct pickle *pk, int detail, struct slice key, int64_t count,
                                struct pt_value **ret)
{
    const size_t item = detail == STORAGE_RAW ? 1 : pt_dtype_size((enum pt_dtype)detail);
    struct slice bytes = { 0 };
    struct pt_value *v = NULL;
    size_t size;
    enum status st;

    if (count < 0 || !size_mul((size_t)count, item, &size))
        return malformed(pk, "has a storage with an impossible length");
    if (pk->later)
        bytes = (struct slice){ "", size }; /* legacy_read puts the place in */
    else if ((st = find_record(pk, key, &bytes)) != ST_OK)
        return st;
    if (size != bytes.n)
        return malformed(pk, "has a storage whose length differs from its record");
    if ((st = pickle_value(pk, PT_STORAGE, &v)) != ST_OK)
        return st;
    if (!(v->storage = arena_alloc(pk->arena, sizeof *v->storage)))
        return pickle_full(pk);
    v->storage->dtype = detail == STORAGE_RAW ? PT_U8 : (enum pt_dtype)detail;
    v->storage->raw = detail == STORAGE_RAW;
    v->storage->key = key;
    v->storage->bytes = bytes;
    *ret = v;
    return pk->later ? pickle_push(pk, pk->later, v) : ST_OK;
}

/* ("module", class, file, source): how the form before PyTorch 1.6 names a class of modules. */
static bool is_module_id(const struct pickle *pk, const struct pt_value *id)
{
    return pk->later && id->kind == PT_TUPLE && id->items.n == 4 &&
           pt_is_text(id->items.at[0], "module") && id->items.at[1]->kind == PT_GLOBAL;
}

static enum status name_again(struct pickle *pk, const struct pt_value *name, struct pt_value **ret)
{
    struct pt_value *v = NULL;
    enum status st = pickle_value(pk, PT_GLOBAL, &v);

    if (st == ST_OK) {
        v->global = name->global;
        *ret = v;
    }
    return st;
}

enum status call_storage(struct pickle *pk, const struct pt_value *id, struct pt_value **ret)
{
    const struct pt_value *const *part = id->items.at;
    const struct pt_rule *type;

    if (is_module_id(pk, id))
        return name_again(pk, part[1], ret);

    if (id->kind != PT_TUPLE || (id->items.n != 5 && !(pk->later && id->items.n == 6)) ||
        !pt_is_text(part[0], "storage") || part[1]->kind != PT_GLOBAL || part[2]->kind != PT_STRING ||
        part[4]->kind != PT_INT)
        return malformed(pk, "has a malformed storage");
    if (id->items.n == 6 && part[5]->kind != PT_NONE)
        return pickle_refuse(pk, ST_UNSUPPORTED, "has a storage that is part of another");
    type = part[1]->global->rule;
    if (!type || type->meaning != MEAN_STORAGE)
        return pickle_refuse(pk, ST_UNSUPPORTED, "has a storage of an unknown type");
    return make_storage(pk, type->detail, part[2]->text, part[4]->integer, ret);
}

/* Sizes and strides, and their product; false when they are none or overflow. */
static bool read_shape(const struct pt_value *size, const struct pt_value *stride, struct pt_tensor *t)
{
    if (size->kind != PT_TUPLE || stride->kind != PT_TUPLE || size->items.n != stride->items.n ||
        size->items.n > LIMIT_TENSOR_RANK)
        return false;
    t->rank = (int)size->items.n;
    t->count = 1;
    for (int i = 0; i < t->rank; i++) {
        const struct pt_value *n = size->items.at[i], *step = stride->items.at[i];

        if (n->kind != PT_INT || step->kind != PT_INT || n->integer < 0 || step->integer < 0)
            return false;
        t->size[i] = n->integer;
        t->stride[i] = step->integer;
        if (__builtin_mul_overflow(t->count, n->integer, &t->count) || t->count > LIMIT_TENSOR_ELEMENTS)
            return false;
    }
    return true;
}

/* Whether every element lies among the first n of the storage. */
static bool lies_inside(const struct pt_tensor *t, int64_t n)
{
    int64_t last = t->offset, reach;

    if (t->offset < 0 || t->offset > n)
        return false;
    if (t->count == 0)
        return true;
    for (int i = 0; i < t->rank; i++)
        if (__builtin_mul_overflow(t->size[i] - 1, t->stride[i], &reach) ||
            __builtin_add_overflow(last, reach, &last))
            return false;
    return last < n;
}

/* (storage, offset, size, stride, ...), with the element type at rule->detail when that is not 0. */
enum status tensor_rebuild(struct pickle *pk, const struct pt_rule *rule, const struct pt_items *args,
                           struct pt_value **ret)
{
    const struct pt_rule *type = NULL;
    const struct pt_storage *storage;
    struct pt_value *v = NULL;
    struct pt_tensor *t;
    enum status st;

    if (args->n < 4 || args->n <= (size_t)rule->detail || args->at[0]->kind != PT_STORAGE ||
        args->at[1]->kind != PT_INT)
        return malformed(pk, "rebuilds a tensor from malformed arguments");
    storage = args->at[0]->storage;
    if (rule->detail) {
        type = args->at[rule->detail]->kind == PT_GLOBAL ? args->at[rule->detail]->global->rule : NULL;
        if (!type || type->meaning != MEAN_DTYPE)
            return pickle_refuse(pk, ST_UNSUPPORTED, "has a tensor of an unknown element type");
    }
    if (!(t = arena_alloc(pk->arena, sizeof *t)))
        return pickle_full(pk);
    t->storage = args->at[0];
    t->dtype = type ? (enum pt_dtype)type->detail : storage->dtype;
    t->offset = args->at[1]->integer;
    if (!read_shape(args->at[2], args->at[3], t))
        return malformed(pk, "has a tensor with an impossible shape");
    if (!lies_inside(t, (int64_t)(storage->bytes.n / pt_dtype_size(t->dtype))))
        return malformed(pk, "has a tensor beyond its storage");
    if ((st = pickle_value(pk, PT_TENSOR, &v)) != ST_OK)
        return st;
    v->tensor = t;
    *ret = v;
    return ST_OK;
}

enum status tensor_parameter(struct pickle *pk, const struct pt_items *args, struct pt_value **ret)
{
    struct pt_value *v = NULL;
    enum status st;

    if (args->n < 1 || args->at[0]->kind != PT_TENSOR)
        return malformed(pk, "makes a parameter of what is no tensor");
    if ((st = pickle_value(pk, PT_TENSOR, &v)) != ST_OK)
        return st;
    if (!(v->tensor = arena_alloc(pk->arena, sizeof *v->tensor)))
        return pickle_full(pk);
    *v->tensor = *args->at[0]->tensor;
    v->tensor->parameter = true;
    *ret = v;
    return ST_OK;
}
