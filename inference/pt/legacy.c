/* See legacy.h. Storages are met in the object before their place is known: it is put in afterwards. */
#include "inference/pt/legacy.h"

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1001, COUNT_BYTES = 8 };

/* PROTO 2, LONG1 of ten bytes */
static const unsigned char magic[] = { 0x80, 2,    0x8a, 10,   0x6c, 0xfc, 0x9c,
                                       0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19 };

bool legacy_is(const void *bytes, size_t n)
{
    return n >= sizeof magic && memcmp(bytes, magic, sizeof magic) == 0;
}

static int compare(struct slice a, struct slice b)
{
    const int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return order ? order : (a.n > b.n) - (a.n < b.n);
}

static int by_key(const void *a, const void *b)
{
    const struct pt_value *const *x = a, *const *y = b;

    return compare((*x)->storage->key, (*y)->storage->key);
}

/* The first of the sorted storages that has this key or comes behind it. */
static size_t first_of(const struct pt_items *storages, struct slice key)
{
    size_t low = 0, high = storages->n;

    while (low < high) {
        const size_t middle = (low + high) / 2;
        if (compare(storages->at[middle]->storage->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static enum status refuse(struct pickle *pk, const char *what)
{
    pickle_refuse(pk, ST_INVALID, what);
    return ST_INVALID;
}

static uint64_t count_at(const char *p)
{
    uint64_t n = 0;

    for (size_t i = COUNT_BYTES; i-- > 0;)
        n = n << 8 | (unsigned char)p[i];
    return n;
}

/* Gives all storages of the key the bytes at pk->at, and moves behind them. */
static enum status place(struct pickle *pk, const struct pt_items *storages, struct slice key)
{
    const char *p = pk->text.p + pk->at;
    size_t i = first_of(storages, key), size = 0;
    const size_t first = i;

    if (pk->text.n - pk->at < COUNT_BYTES)
        return refuse(pk, "ends before its storages");
    for (; i < storages->n && compare(storages->at[i]->storage->key, key) == 0; i++) {
        struct pt_storage *s = storages->at[i]->storage;

        size = s->bytes.n;
        if (s->bytes.n != storages->at[first]->storage->bytes.n ||
            count_at(p) != s->bytes.n / (s->raw ? 1 : pt_dtype_size(s->dtype)))
            return refuse(pk, "has a storage whose length differs from its bytes");
        if (size > pk->text.n - pk->at - COUNT_BYTES)
            return refuse(pk, "ends within a storage");
        s->bytes.p = p + COUNT_BYTES;
    }
    if (i == first)
        return refuse(pk, "lists a storage that nothing uses");
    pk->at += COUNT_BYTES + size;
    return ST_OK;
}

static enum status place_all(struct pickle *pk, struct pt_items *storages, const struct pt_value *keys)
{
    enum status st = ST_OK;

    if (keys->kind != PT_LIST)
        return refuse(pk, "has no list of storages");
    for (size_t i = 0; i < storages->n; i++)
        storages->at[i]->storage->bytes.p = NULL;
    if (storages->n)
        qsort(storages->at, storages->n, sizeof(void *), by_key);
    for (size_t i = 0; i < keys->items.n && st == ST_OK; i++)
        st = keys->items.at[i]->kind == PT_STRING ? place(pk, storages, keys->items.at[i]->text)
                                                  : refuse(pk, "has a storage whose key is no text");
    for (size_t i = 0; i < storages->n && st == ST_OK; i++)
        if (!storages->at[i]->storage->bytes.p)
            st = refuse(pk, "uses a storage that is not listed");
    return st;
}

static enum status read_head(struct pickle *pk)
{
    const struct pt_value *number = NULL, *version = NULL, *system = NULL, *little;
    enum status st;

    if ((st = pickle_read(pk, &number)) != ST_OK || (st = pickle_read(pk, &version)) != ST_OK ||
        (st = pickle_read(pk, &system)) != ST_OK)
        return st;
    little = pt_get(system, "little_endian");
    if (version->kind != PT_INT || version->integer != VERSION)
        return pickle_refuse(pk, ST_UNSUPPORTED, "is of an unknown version");
    if (little && !(little->kind == PT_BOOL && little->boolean))
        return pickle_refuse(pk, ST_UNSUPPORTED, "was written by a big-endian machine");
    return ST_OK;
}

enum status legacy_read(struct pickle *pk, const struct pt_value **ret)
{
    const struct pt_value *object = NULL, *keys = NULL;
    struct pt_items storages = { 0 };
    enum status st = read_head(pk);

    if (st != ST_OK)
        return st;
    pk->later = &storages;
    st = pickle_read(pk, &object);
    pk->later = NULL;
    if (st != ST_OK || (st = pickle_read(pk, &keys)) != ST_OK ||
        (st = place_all(pk, &storages, keys)) != ST_OK)
        return st;
    if (pk->at != pk->text.n)
        return refuse(pk, "goes on behind its last storage");
    *ret = object;
    return ST_OK;
}
