/*
 * Memory for one request, job or model load, released all at once. One owner; not thread-safe.
 *
 * arena_alloc gives zeroed memory, aligned for any type, valid until arena_reset or arena_free; NULL
 * once cap_bytes is reached. arena_failed() then stays true until arena_reset, so builders that pass
 * NULL through may check once, at the end.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct arena;

struct arena *arena_create(size_t cap_bytes); /* caller owns; NULL: out of memory */
void arena_free(struct arena *a);             /* accepts NULL */
void arena_reset(struct arena *a); /* everything handed out becomes invalid; keeps one block */

void *arena_alloc(struct arena *a, size_t size);
void *arena_array(struct arena *a, size_t n, size_t size); /* NULL when n * size overflows */
char *arena_strdup(struct arena *a, const char *s);        /* NULL for NULL */
char *arena_strndup(struct arena *a, const char *s, size_t n);
char *arena_printf(struct arena *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool arena_failed(const struct arena *a);
size_t arena_bytes(const struct arena *a); /* taken from the system so far, of cap_bytes */

/* a * b into *ret; false, and *ret untouched, when it overflows. */
bool size_mul(size_t a, size_t b, size_t *ret);
bool size_add(size_t a, size_t b, size_t *ret);

#endif
