/*
 * The restricted reader of Python pickles, protocols 0 to 5: a stack machine that builds the passive
 * tree of tree.h and has no operation that could run, import or look up anything. What the names of a
 * pickle mean is calls.h.
 *
 * ST_INVALID: damaged, an operation on the wrong kind of value, or a call of a name that the allow list
 * lacks ("the file asks to run posix.system"). ST_UNSUPPORTED: an operation of the format that model
 * files never use. ST_TOO_LARGE: LIMIT_PICKLE_BYTES, _VALUES, _DEPTH, _MEMORY_BYTES. Source: the opcode
 * table of Python's pickletools; operation names are those of that table.
 */
#ifndef INFERENCE_PT_PICKLE_H
#define INFERENCE_PT_PICKLE_H

#include "base/arena.h"
#include "base/status.h"
#include "inference/pt/tree.h"
#include "inference/pt/zip.h"

/* A pickle being read. Fill text, arena, zip, prefix and fault; the rest starts as zero. */
struct pickle {
    struct slice text;
    struct arena *arena;   /* its cap is the limit of memory: pickle_memory */
    const struct zip *zip; /* where storages lie; NULL: none can be referred to */
    struct slice prefix;   /* of their names: "archive/data/" */
    struct pt_items
        *later; /* not NULL: storages follow the pickle (legacy.h); here they are collected */
    struct fault *fault;

    size_t at; /* of the next byte */
    struct pt_value **stack;
    size_t depth, stack_cap;
    size_t marks[LIMIT_PICKLE_DEPTH];
    size_t nmarks;
    struct pt_value **memo;
    size_t memo_n, memo_cap;
    uint32_t nvalues; /* made so far; ids are below */
    struct pt_items
        unknown; /* names outside the allow list, in the order met, at most LIMIT_PICKLE_UNKNOWN */
};

/* What a pickle of n bytes may cost: a small file never costs more than the constant part. */
size_t pickle_memory(size_t n);

/* Reads from `at` up to the end of one pickle; a file may hold several. Each begins with an empty memo.
 */
enum status pickle_read(struct pickle *pk, const struct pt_value **ret) MUST_USE;

/* For calls.c: values of this pickle. They fail when the arena is full or there are too many values. */
enum status pickle_value(struct pickle *pk, enum pt_kind kind, struct pt_value **ret) MUST_USE;
enum status pickle_push(struct pickle *pk, struct pt_items *items, const struct pt_value *v) MUST_USE;
enum status pickle_append(struct pickle *pk, struct pt_items *to, const struct pt_items *from) MUST_USE;

/* Returns st after saying "the pickle ... at byte N". */
enum status pickle_refuse(const struct pickle *pk, enum status st, const char *what);
enum status pickle_full(const struct pickle *pk);

#endif
