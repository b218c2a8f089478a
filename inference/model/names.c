/*
 * Tensor names to numbers. The hash is seeded per process so that a file cannot be written to collide.
 */
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include "inference/model/names.h"

static uint64_t seed(void)
{
    const void *random = (const void *)getauxval(AT_RANDOM);
    uint64_t x = 0x9e3779b97f4a7c15u;

    if (random)
        memcpy(&x, random, sizeof x);
    return x;
}

static struct name_slot *slot_of(const struct names *t, const char *name)
{
    uint64_t h = seed();

    for (const char *p = name; *p; p++) {
        h = (h ^ (uint8_t)*p) * 0x100000001b3u;
        h ^= h >> 29;
    }
    for (size_t i = (size_t)h & (t->cap - 1);; i = (i + 1) & (t->cap - 1))
        if (!t->slots[i].name || strcmp(t->slots[i].name, name) == 0)
            return &t->slots[i];
}

int names_find(const struct names *t, const char *name)
{
    const struct name_slot *s = t->cap ? slot_of(t, name) : NULL;

    return s && s->name ? s->number : -1;
}

static bool names_grow(struct names *t)
{
    const struct names old = *t;
    const size_t cap = old.cap ? old.cap * 2 : 256;
    struct name_slot *slots = arena_array(t->arena, cap, sizeof *slots);

    if (!slots)
        return false;
    t->slots = slots;
    t->cap = cap;
    for (size_t i = 0; i < old.cap; i++)
        if (old.slots[i].name)
            *slot_of(t, old.slots[i].name) = old.slots[i];
    return true;
}

bool names_add(struct names *t, const char *name, int number)
{
    if (2 * (t->n + 1) > t->cap && !names_grow(t))
        return false;
    *slot_of(t, name) = (struct name_slot){ name, number };
    t->n++;
    return true;
}
