/*
 * Tensor names to numbers while a file is read: open addressing, in an arena.
 */
#ifndef INFERENCE_MODEL_NAMES_H
#define INFERENCE_MODEL_NAMES_H

#include "base/arena.h"

struct name_slot {
    const char *name;
    int number;
};
struct names {
    struct arena *arena;
    struct name_slot *slots;
    size_t cap, n;
};

/* Number of a name, or -1. */
int names_find(const struct names *t, const char *name);
/* Adds a name that is not in the table yet; `name` must stay valid. False: out of memory. */
bool names_add(struct names *t, const char *name, int number);

#endif
