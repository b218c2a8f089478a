/* See fastcgi_params.h. */
#include "fcgi/fastcgi_params.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PAIRS = 64, KEPT_PAIRS = 256 };

/* FNV-1a: names are short and few. */
static uint32_t name_hash(const char *s)
{
    uint32_t h = 2166136261U;

    while (*s)
        h = (h ^ (unsigned char)*s++) * 16777619U;
    return h;
}

bool fastcgi_length(const char *stream, size_t n, size_t *at, size_t *ret)
{
    const uint8_t *p = (const uint8_t *)stream + *at;

    if (*at >= n)
        return false;
    if (*p < 0x80) {
        *ret = *p;
        *at += 1;
        return true;
    }
    if (n - *at < 4)
        return false;
    *ret = (size_t)(p[0] & 0x7f) << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
    *at += 4;
    return true;
}

static struct fastcgi_param *pair_add(struct fastcgi_params *ps)
{
    if (ps->n == ps->cap) {
        const uint32_t cap = ps->cap ? ps->cap * 2 : FIRST_PAIRS;
        struct fastcgi_param *all = realloc(ps->all, cap * sizeof *all);

        if (!all)
            return NULL;
        ps->all = all;
        ps->cap = cap;
    }
    return &ps->all[ps->n++];
}

/*
 * One pair. Strings get their end without being copied elsewhere: the name moves one byte to the left,
 * over a length that has been read; a value ends where the next pair's lengths begin, once those have
 * been read.
 */
static bool pair_cut(struct fastcgi_params *ps, char *stream, size_t n, size_t *at)
{
    const size_t begun = *at;
    size_t name_n, value_n;
    struct fastcgi_param *pair;
    char *name;

    if (!fastcgi_length(stream, n, at, &name_n) || !fastcgi_length(stream, n, at, &value_n) ||
        name_n > n - *at || value_n > n - *at - name_n || memchr(stream + *at, '\0', name_n + value_n) ||
        !(pair = pair_add(ps)))
        return false;
    if (begun)
        stream[begun] = '\0';
    name = stream + *at - 1;
    memmove(name, name + 1, name_n);
    name[name_n] = '\0';
    *pair = (struct fastcgi_param){ name, stream + *at + name_n, name_hash(name), 0 };
    *at += name_n + value_n;
    return true;
}

bool fastcgi_params_parse(struct fastcgi_params *ps, char *stream, size_t n)
{
    size_t at = 0;

    fastcgi_params_clear(ps);
    while (at < n) {
        if (!pair_cut(ps, stream, n, &at)) {
            fastcgi_params_clear(ps);
            return false;
        }
    }
    stream[n] = '\0';
    for (uint32_t i = ps->n; i; i--) { /* backwards, so that the first of two is met first */
        uint32_t *bucket = &ps->buckets[ps->all[i - 1].hash % FASTCGI_BUCKETS];

        ps->all[i - 1].next = *bucket;
        *bucket = i;
    }
    return true;
}

const char *fastcgi_params_find(const struct fastcgi_params *ps, const char *name)
{
    const uint32_t hash = name_hash(name);

    for (uint32_t i = ps->buckets[hash % FASTCGI_BUCKETS]; i; i = ps->all[i - 1].next)
        if (ps->all[i - 1].hash == hash && strcmp(ps->all[i - 1].name, name) == 0)
            return ps->all[i - 1].value;
    return NULL;
}

void fastcgi_params_clear(struct fastcgi_params *ps)
{
    if (ps->cap > KEPT_PAIRS)
        fastcgi_params_free(ps);
    ps->n = 0;
    memset(ps->buckets, 0, sizeof ps->buckets);
}

void fastcgi_params_free(struct fastcgi_params *ps)
{
    free(ps->all);
    *ps = (struct fastcgi_params){ 0 };
}
