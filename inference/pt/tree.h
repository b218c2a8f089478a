/*
 * The passive tree that a pickle becomes: values, and nothing that could run. A call or a class is only
 * a name with arguments. Values live in the arena of the file (pt.h); text and bytes point into the
 * file's bytes or the arena.
 *
 * The tree is a graph: a value may stand in several places, and cycles are possible. Who walks it limits
 * the depth and marks what he has seen (pt_value.id counts from 0).
 */
#ifndef INFERENCE_PT_TREE_H
#define INFERENCE_PT_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/limits.h"
#include "base/status.h"
#include "base/text.h"

enum pt_kind {
    PT_NONE,
    PT_BOOL,
    PT_INT, /* 64 bits; a larger number becomes PT_BYTES, as the pickle holds it */
    PT_FLOAT,
    PT_STRING, /* UTF-8 where the writer was right: check before showing it */
    PT_BYTES,
    PT_LIST,
    PT_TUPLE,
    PT_SET,
    PT_DICT,
    PT_GLOBAL, /* a class or function by name */
    PT_OBJECT, /* an instance, or a call that is kept as it was written */
    PT_STORAGE,
    PT_TENSOR,
    PT_KIND__COUNT
};

/* Element types of storages. */
enum pt_dtype {
    PT_F32,
    PT_F16,
    PT_BF16,
    PT_F64,
    PT_I64,
    PT_I32,
    PT_I16,
    PT_I8,
    PT_U8,
    PT_BOOL8,
    PT_DTYPE__COUNT
};
size_t pt_dtype_size(enum pt_dtype t);      /* bytes of one element */
const char *pt_dtype_name(enum pt_dtype t); /* "float16" ... */

struct pt_rule; /* what a name of the allow list means: calls.h */

/* A name as the pickle spells it. rule is NULL when the allow list lacks it. */
struct pt_global {
    struct slice module, name;
    const struct pt_rule *rule;
};

/* Children of a list, tuple or set; of a dict key, value, key, value: n counts both, later keys win. */
struct pt_items {
    const struct pt_value **at;
    size_t n, cap;
};

/*
 * An instance: its class, the arguments it was made with, the attributes that its state brought. A kept
 * call: the same, with the function as class. state: what BUILD brought when it was no dict, else NULL.
 */
struct pt_object {
    const struct pt_value *class; /* a PT_GLOBAL */
    const struct pt_value *args;  /* a PT_TUPLE */
    const struct pt_value *state;
    struct pt_items attributes; /* as a dict's */
};

struct pt_storage {
    enum pt_dtype dtype;
    bool raw;           /* an untyped storage: the tensor brings its dtype */
    struct slice key;   /* "12": the record data/12 */
    struct slice bytes; /* of that record, little-endian */
};

/*
 * A view of a storage: offset, sizes and strides in elements. Every element lies inside the storage
 * (checked); the strides are arbitrary, not negative, and may be 0: gather by stride.
 */
struct pt_tensor {
    const struct pt_value *storage; /* a PT_STORAGE */
    enum pt_dtype dtype;
    bool parameter;
    int rank;
    int64_t offset;
    int64_t size[LIMIT_TENSOR_RANK], stride[LIMIT_TENSOR_RANK];
    int64_t count; /* product of the sizes */
};

struct pt_value {
    enum pt_kind kind;
    uint32_t id;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct slice text; /* PT_STRING, PT_BYTES */
        struct pt_items items;
        struct pt_global *global;
        struct pt_object *object;
        struct pt_storage *storage;
        struct pt_tensor *tensor;
    };
};

/* All accessors accept NULL, and values of another kind, and then find nothing. */

/* Value of a string key of a dict; the last one when there are several. */
const struct pt_value *pt_get(const struct pt_value *dict, const char *key);

/* Attribute of an object; of a module also a child, parameter or buffer by its name is found with
 * pt_part. */
const struct pt_value *pt_attribute(const struct pt_value *object, const char *name);

/* Attribute of an object or value of a dict: settings come as either. */
const struct pt_value *pt_member(const struct pt_value *v, const char *name);

/* An entry of _modules, _parameters or _buffers of a module, in this order: pt_part(conv, "weight"). */
const struct pt_value *pt_part(const struct pt_value *module, const char *name);

bool pt_is_text(const struct pt_value *v, const char *s);
struct slice pt_text(const struct pt_value *v);      /* empty for what is no string */
bool pt_int(const struct pt_value *v, int64_t *ret); /* an int, or a float that is whole */

/* The class of an object ("DetectionModel"), its module ("ultralytics.nn.tasks"); empty for what is no
 * object. */
struct slice pt_class_name(const struct pt_value *v);
struct slice pt_class_module(const struct pt_value *v);

bool pt_has_class(const struct pt_value *v, const char *name);

/* An nn.Module: an object whose class the allow list knows, with a dict _modules or _parameters. */
bool pt_is_module(const struct pt_value *v);

#endif
