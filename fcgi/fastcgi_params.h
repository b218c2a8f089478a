/*
 * The name-value pairs of a FastCGI request: cut in place into strings, found by name. Where a name
 * comes twice, the first one counts. Not thread-safe.
 */
#ifndef FCGI_FASTCGI_PARAMS_H
#define FCGI_FASTCGI_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FASTCGI_BUCKETS = 64 };

struct fastcgi_param {
    const char *name, *value;
    uint32_t hash, next; /* the next of its bucket, counted from 1; 0: none */
};

/* Zero-initialise, release with fastcgi_params_free. */
struct fastcgi_params {
    struct fastcgi_param *all; /* in the order of the stream */
    uint32_t n, cap;
    uint32_t buckets[FASTCGI_BUCKETS];
};

/*
 * stream has n bytes and room for one more; it is changed, and must stay as long as the strings are
 * used. False: lengths that do not fit, a NUL inside a name or value, or no memory. ps holds nothing
 * then.
 */
bool fastcgi_params_parse(struct fastcgi_params *ps, char *stream, size_t n);
/* NULL: there is none. */
const char *fastcgi_params_find(const struct fastcgi_params *ps, const char *name);
void fastcgi_params_clear(struct fastcgi_params *ps); /* keeps memory of a modest size */
void fastcgi_params_free(struct fastcgi_params *ps);

/* Reads one length (1 byte, or 4 with the top bit set) at *at and moves it on; false: the stream ends
 * before. */
bool fastcgi_length(const char *stream, size_t n, size_t *at, size_t *ret);

#endif
