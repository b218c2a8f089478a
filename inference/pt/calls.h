/*
 * What the names of a pickle mean. A table lists every class and function that may be called in a
 * pickle; each has a meaning that builds a value ("an ordered dict", "a tensor over a storage") or keeps
 * the call as written. Nothing is ever run. A call of a name that the table lacks is refused, naming it;
 * an instance of such a class is kept without a rule, and its name is remembered (pickle.unknown).
 */
#ifndef INFERENCE_PT_CALLS_H
#define INFERENCE_PT_CALLS_H

#include "inference/pt/pickle.h"

/* NULL: not in the table. */
const struct pt_rule *rule_find(struct slice module, struct slice name);

/* REDUCE and NEWOBJ. args is a PT_TUPLE. */
enum status call_reduce(struct pickle *pk, struct pt_value *callee, struct pt_value *args,
                        struct pt_value **ret) MUST_USE;
enum status call_new(struct pickle *pk, struct pt_value *class, struct pt_value *args,
                     struct pt_value **ret) MUST_USE;

/* BUILD: state becomes attributes of target. */
enum status call_build(struct pickle *pk, struct pt_value *target,
                       const struct pt_value *state) MUST_USE;

/* BINPERSID: ("storage", type, key, location, count) becomes the storage over its record of the archive,
 * or, in the form before PyTorch 1.6, over bytes to come; there, ("module", class, ...) is the class. */
enum status call_storage(struct pickle *pk, const struct pt_value *id, struct pt_value **ret) MUST_USE;

/* What a rule says; of interest to calls.c and tensor.c. */
enum pt_meaning {
    MEAN_CLASS, /* an instance: passive object */
    MEAN_KEPT,  /* a call kept as written */
    MEAN_DICT,
    MEAN_LIST,
    MEAN_TUPLE,
    MEAN_SET,
    MEAN_BYTES,
    MEAN_PATH,      /* its parts joined by "/" */
    MEAN_INSTANCE,  /* copyreg._reconstructor(class, base, None) */
    MEAN_NUMBER,    /* numpy's scalar(dtype, bytes) */
    MEAN_STORAGE,   /* a type of storage; detail: dtype, or STORAGE_RAW */
    MEAN_DTYPE,     /* an element type; detail: dtype */
    MEAN_TENSOR,    /* a view of a storage; detail: position of the dtype among the arguments, or 0 */
    MEAN_PARAMETER, /* its first argument, marked */
    MEAN_TYPED,     /* torch._tensor._rebuild_from_type_v2(function, type, args, state) */
};
enum { STORAGE_RAW = -1 };

struct pt_rule {
    const char *module; /* ending in ".": this module or any below it, any name */
    const char *name;
    enum pt_meaning meaning;
    int detail;
};

/* tensor.c */
enum status tensor_rebuild(struct pickle *pk, const struct pt_rule *rule, const struct pt_items *args,
                           struct pt_value **ret) MUST_USE;
enum status tensor_parameter(struct pickle *pk, const struct pt_items *args,
                             struct pt_value **ret) MUST_USE;

#endif
