/*
 * Python literals, read as data: what repr() prints for dict, list, tuple, str, bytes, int, float, bool
 * and None. Model files carry their class names, input size and export arguments in this form. Nothing
 * is ever evaluated: a call, a name other than the constants, a set or a complex number is refused.
 *
 *   {0: 'person', 1: "driver's seat"}    [640, 640]    {'nms': False, 'opset': 17}
 *
 * Limits: LIMIT_LITERAL_BYTES, LIMIT_LITERAL_DEPTH, LIMIT_LITERAL_VALUES. The tree lives in the caller's
 * arena and does not refer to the text. Pure; thread-safe for different arenas.
 */
#ifndef INFERENCE_LITERAL_H
#define INFERENCE_LITERAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/status.h"
#include "base/text.h"

enum literal_kind {
    LITERAL_NONE,
    LITERAL_BOOL,
    LITERAL_INT,
    LITERAL_FLOAT,  /* also inf and nan, as repr() prints them */
    LITERAL_STRING, /* UTF-8, or bytes for b'...'; a NUL follows that n does not count, NULs inside are
                       possible */
    LITERAL_LIST,
    LITERAL_TUPLE,
    LITERAL_DICT
};

struct literal {
    enum literal_kind kind;
    union {
        bool boolean;
        int64_t integer;
        double real;
        struct slice text;
        struct {
            const struct literal *first; /* in the order written; of a key given twice both stand here */
            size_t n;
        } items;
    };
    const struct literal *key;  /* of a dict's value: its key; else NULL */
    const struct literal *next; /* the following value of the same list, tuple or dict */
};

/*
 * Reads the whole text. ST_INVALID with the offset: not a literal, a number beyond 64 bits, bytes that
 * are not UTF-8. ST_TOO_LARGE: one of the limits, or the arena's cap.
 */
enum status literal_read(struct slice text, struct arena *a, const struct literal **ret,
                         struct fault *f) MUST_USE;

/* Value of a string key; the last one when it was given twice. NULL: absent, or not a dict (NULL is
 * accepted). */
const struct literal *literal_get(const struct literal *dict, const char *key);

/*
 * Whole numbers of a list or tuple, or a single number as a list of one: "[640, 640]", "640".
 * *ret_n <= max of them are put into ret. False, with nothing written: another kind of value, more than
 * max, or NULL.
 */
bool literal_ints(const struct literal *l, int64_t ret[], size_t max, size_t *ret_n);

/*
 * Class names by index, from a dict of numbers (or of decimal strings) to strings, or a list of strings.
 * Keys need be neither sorted nor contiguous: *ret_n is the largest index + 1, and a gap is named
 * "class7". An empty dict or list gives *ret_n 0. Strings are terminated and belong to the arena;
 * control characters are refused. ST_INVALID: another shape. ST_TOO_LARGE: LIMIT_MODEL_CLASSES,
 * LIMIT_CLASS_NAME_BYTES.
 */
enum status literal_names(const struct literal *l, struct arena *a, char ***ret, size_t *ret_n,
                          struct fault *f) MUST_USE;

#endif
