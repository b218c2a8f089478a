/* Reading the passive tree: see tree.h. */
#include "inference/pt/tree.h"

#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[PT_DTYPE__COUNT] = {
    [PT_F32] = { "float32", 4 }, [PT_F16] = { "float16", 2 }, [PT_BF16] = { "bfloat16", 2 },
    [PT_F64] = { "float64", 8 }, [PT_I64] = { "int64", 8 },   [PT_I32] = { "int32", 4 },
    [PT_I16] = { "int16", 2 },   [PT_I8] = { "int8", 1 },     [PT_U8] = { "uint8", 1 },
    [PT_BOOL8] = { "bool", 1 },
};

size_t pt_dtype_size(enum pt_dtype t)
{
    return dtypes[t].size;
}

const char *pt_dtype_name(enum pt_dtype t)
{
    return dtypes[t].name;
}

bool pt_is_text(const struct pt_value *v, const char *s)
{
    return v && v->kind == PT_STRING && v->text.n == strlen(s) && memcmp(v->text.p, s, v->text.n) == 0;
}

struct slice pt_text(const struct pt_value *v)
{
    return v && v->kind == PT_STRING ? v->text : (struct slice){ "", 0 };
}

static const struct pt_value *find(const struct pt_items *pairs, const char *key)
{
    for (size_t i = pairs->n; i >= 2; i -= 2)
        if (pt_is_text(pairs->at[i - 2], key))
            return pairs->at[i - 1];
    return NULL;
}

const struct pt_value *pt_get(const struct pt_value *dict, const char *key)
{
    return dict && dict->kind == PT_DICT ? find(&dict->items, key) : NULL;
}

const struct pt_value *pt_attribute(const struct pt_value *object, const char *name)
{
    return object && object->kind == PT_OBJECT ? find(&object->object->attributes, name) : NULL;
}

const struct pt_value *pt_member(const struct pt_value *v, const char *name)
{
    return v && v->kind == PT_OBJECT ? pt_attribute(v, name) : pt_get(v, name);
}

const struct pt_value *pt_part(const struct pt_value *module, const char *name)
{
    static const char *const places[] = { "_modules", "_parameters", "_buffers" };
    const struct pt_value *found = NULL;

    for (size_t i = 0; i < 3 && !found; i++)
        found = pt_get(pt_attribute(module, places[i]), name);
    return found;
}

bool pt_int(const struct pt_value *v, int64_t *ret)
{
    if (v && v->kind == PT_INT) {
        *ret = v->integer;
        return true;
    }
    if (!v || v->kind != PT_FLOAT || !(v->real > -9e15 && v->real < 9e15) ||
        v->real != (double)(int64_t)v->real)
        return false;
    *ret = (int64_t)v->real;
    return true;
}

static const struct pt_global *class_of(const struct pt_value *v)
{
    if (!v || v->kind != PT_OBJECT || !v->object->class)
        return NULL;
    return v->object->class->global;
}

struct slice pt_class_name(const struct pt_value *v)
{
    const struct pt_global *g = class_of(v);

    return g ? g->name : (struct slice){ "", 0 };
}

struct slice pt_class_module(const struct pt_value *v)
{
    const struct pt_global *g = class_of(v);

    return g ? g->module : (struct slice){ "", 0 };
}

bool pt_has_class(const struct pt_value *v, const char *name)
{
    const struct slice class = pt_class_name(v);

    return class.n == strlen(name) && memcmp(class.p, name, class.n) == 0;
}

bool pt_is_module(const struct pt_value *v)
{
    const struct pt_global *g = class_of(v);
    const struct pt_value *modules = pt_attribute(v, "_modules"),
                          *parameters = pt_attribute(v, "_parameters");

    return g && g->rule &&
           ((modules && modules->kind == PT_DICT) || (parameters && parameters->kind == PT_DICT));
}
