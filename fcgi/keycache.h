/*
 * API keys by their hash, in memory. A process trusts an entry for KEY_TTL_MS and only in the generation
 * in which it was read. The generation stands in shared memory: whoever revokes a key on this host bumps
 * it before he answers; NOTIFY tells other hosts (fcgi/listener.c bumps it on every notice, and while
 * the listening connection is down nothing is cached).
 */
#ifndef FCGI_KEYCACHE_H
#define FCGI_KEYCACHE_H

#include <stdbool.h>
#include "base/status.h"
#include "domain/operation.h"

enum { KEY_HASH_BYTES = 32, KEY_TTL_MS = 30000 };

struct key_info {
    struct actor actor;
    int64_t per_minute, per_day; /* 0: no limit */
    bool suspended;
};

struct keycache;

enum status keycache_open(const char *shared_path, struct keycache **ret, struct fault *f) MUST_USE;
/* Every cached key of every process of this host is read anew. */
void keycache_invalidate(struct keycache *k);
/* false: nothing may be cached now (the listener is down). */
void keycache_listening(struct keycache *k, bool up);

/* The key with this hash, from memory or from the database. ST_UNAUTHENTICATED: unknown or revoked. */
enum status keycache_find(struct keycache *k, struct db *db, const uint8_t hash[KEY_HASH_BYTES],
                          struct key_info *ret, struct fault *f) MUST_USE;

/* SHA-256 of the 40 hex digits of a key, whatever prefix it is spelled with. false: not of that form. */
bool key_hash(const char *key, size_t n, uint8_t ret[KEY_HASH_BYTES]);

#endif
