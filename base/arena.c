/* A bump allocator over a list of growing blocks: see arena.h. */
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BLOCK_BYTES = 16 * 1024 };

struct block {
    struct block *next;
    size_t size, used;
    size_t dirty; /* bytes that an earlier request wrote; the rest is zero as calloc gave it */
    alignas(max_align_t) unsigned char bytes[];
};

struct arena {
    struct block *head; /* the block in use; older ones follow */
    size_t total, cap;
    bool failed;
};

bool size_mul(size_t a, size_t b, size_t *ret)
{
    size_t product;

    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *ret = product;
    return true;
}

bool size_add(size_t a, size_t b, size_t *ret)
{
    size_t sum;

    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *ret = sum;
    return true;
}

struct arena *arena_create(size_t cap_bytes)
{
    struct arena *a = calloc(1, sizeof *a);

    if (a)
        a->cap = cap_bytes;
    return a;
}

static void free_blocks(struct block *b)
{
    while (b) {
        struct block *next = b->next;

        free(b);
        b = next;
    }
}

void arena_free(struct arena *a)
{
    if (!a)
        return;
    free_blocks(a->head);
    free(a);
}

void arena_reset(struct arena *a)
{
    struct block *keep = a->head;

    while (keep && keep->next) { /* the oldest block is the smallest: keep that one */
        struct block *next = keep->next;

        free(keep);
        keep = next;
    }
    if (keep) {
        keep->dirty = keep->used > keep->dirty ? keep->used : keep->dirty;
        keep->used = 0;
    }
    a->head = keep;
    a->total = keep ? keep->size : 0;
    a->failed = false;
}

static struct block *grow(struct arena *a, size_t need)
{
    size_t size = a->head ? a->head->size * 2 : FIRST_BLOCK_BYTES;
    struct block *b;

    if (size > (size_t)1 << 20)
        size = (size_t)1 << 20;
    if (size < need)
        size = need;
    if (size > a->cap - a->total)
        size = need;
    if (need > a->cap - a->total || !(b = calloc(1, sizeof *b + size)))
        return NULL;
    b->next = a->head;
    b->size = size;
    b->used = 0;
    a->total += size;
    a->head = b;
    return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
    const size_t align = alignof(max_align_t);
    struct block *b = a->head;
    void *p;

    if (size > SIZE_MAX - align) {
        a->failed = true;
        return NULL;
    }
    size = (size + align - 1) & ~(align - 1);
    if ((!b || b->size - b->used < size) && !(b = grow(a, size))) {
        a->failed = true;
        return NULL;
    }
    p = b->bytes + b->used;
    if (b->used < b->dirty)
        memset(p, 0, size < b->dirty - b->used ? size : b->dirty - b->used);
    b->used += size;
    return p;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    size_t bytes;

    if (!size_mul(n, size, &bytes)) {
        a->failed = true;
        return NULL;
    }
    return arena_alloc(a, bytes);
}

char *arena_strndup(struct arena *a, const char *s, size_t n)
{
    char *copy;

    if (!s)
        return NULL;
    copy = arena_alloc(a, n < SIZE_MAX ? n + 1 : n); /* SIZE_MAX never fits: the arena fails */
    if (copy)
        memcpy(copy, s, n);
    return copy;
}

char *arena_strdup(struct arena *a, const char *s)
{
    return s ? arena_strndup(a, s, strlen(s)) : NULL;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
    va_list ap;
    char *text;
    int n;

    va_start(ap, format);
    n = vsnprintf(NULL, 0, format, ap);
    va_end(ap);
    if (n < 0 || !(text = arena_alloc(a, (size_t)n + 1)))
        return NULL;
    va_start(ap, format);
    vsnprintf(text, (size_t)n + 1, format, ap);
    va_end(ap);
    return text;
}

bool arena_failed(const struct arena *a)
{
    return a->failed;
}

size_t arena_bytes(const struct arena *a)
{
    return a->total;
}
