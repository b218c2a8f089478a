/* See keycache.h. Direct-mapped: a collision costs one query. */
#include "fcgi/keycache.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "fcgi/shared.h"

enum { SLOTS = 4096, KEY_DIGITS = 40 };

struct shared {
    uint64_t magic;
    _Atomic uint64_t generation;
};

struct entry {
    uint8_t hash[KEY_HASH_BYTES];
    uint64_t generation; /* 0: empty */
    int64_t until_ms;
    struct key_info info;
};

struct keycache {
    struct shared *shared;
    atomic_bool listening;
    pthread_rwlock_t lock;
    struct entry entries[SLOTS];
};

enum status keycache_open(const char *shared_path, struct keycache **ret, struct fault *f)
{
    struct keycache *k = calloc(1, sizeof *k);
    void *p;
    enum status st;

    if (!k)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = shared_map(shared_path, 0x666f766b65793031U, sizeof(struct shared), &p, f)) != ST_OK) {
        free(k);
        return st;
    }
    k->shared = p;
    pthread_rwlock_init(&k->lock, NULL);
    *ret = k;
    return ST_OK;
}

void keycache_invalidate(struct keycache *k)
{
    atomic_fetch_add(&k->shared->generation, 1);
}

void keycache_listening(struct keycache *k, bool up)
{
    if (up)
        keycache_invalidate(k); /* what was missed is unknown */
    atomic_store(&k->listening, up);
}

/* Fetched once: OpenSSL 3 looks an algorithm up by name in a locked table, which costs more than the
 * hash. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void sha256_fetch(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

bool key_hash(const char *key, size_t n, uint8_t ret[KEY_HASH_BYTES])
{
    const char *digits;
    char lower[KEY_DIGITS];

    if (n < KEY_DIGITS || n > KEY_DIGITS + 16)
        return false;
    digits = key + n - KEY_DIGITS;
    for (size_t i = 0; i < n - KEY_DIGITS; i++) /* "ul_", "cpx_live." ... : a word and a separator */
        if (!(key[i] >= 'a' && key[i] <= 'z') && key[i] != '_' && key[i] != '.')
            return false;
    for (int i = 0; i < KEY_DIGITS; i++) {
        const char c = digits[i];

        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && !(c >= 'A' && c <= 'F'))
            return false;
        lower[i] = c >= 'A' && c <= 'F' ? (char)(c + 32) : c;
    }
    pthread_once(&sha256_once, sha256_fetch);
    return EVP_Digest(lower, KEY_DIGITS, ret, NULL, sha256, NULL) == 1;
}

static bool cached(struct keycache *k, const struct entry *e, const uint8_t *hash, uint64_t generation,
                   struct key_info *ret)
{
    bool hit;

    pthread_rwlock_rdlock(&k->lock);
    hit = e->generation == generation && clock_monotonic_ms() < e->until_ms &&
          text_equal_secret(e->hash, hash, KEY_HASH_BYTES);
    if (hit)
        *ret = e->info;
    pthread_rwlock_unlock(&k->lock);
    return hit;
}

/* Says once in a while that the key is in use. What is lost here is a time of day, not a request. */
static void note_use(struct db *db, int64_t key_id)
{
    char id[24];
    const struct param p = { .text = id };
    const struct db_call call = { "SELECT domain.key_used($1)", &p, 1 };
    struct fault ignored = FAULT_INIT;
    PGresult *r;

    snprintf(id, sizeof id, "%lld", (long long)key_id);
    if (db_write(db, &call, 1, &r, &ignored) == ST_OK)
        PQclear(r);
}

/* A site may override the plans' numbers: -1 leaves them as they are, 0 lifts the limit. */
static void override_limits(const char *plan, struct key_info *k)
{
    static const struct {
        const char *plan, *per_minute, *per_day;
    } settings[] = {
        { "free", "limits.free.per_minute", "limits.free.per_day" },
        { "pro", "limits.pro.per_minute", "limits.pro.per_day" },
        { "enterprise", "limits.enterprise.per_minute", "limits.enterprise.per_day" },
    };

    for (size_t i = 0; plan && i < sizeof settings / sizeof *settings; i++) {
        if (strcmp(plan, settings[i].plan) != 0)
            continue;
        if (config_i64(settings[i].per_minute) >= 0)
            k->per_minute = config_i64(settings[i].per_minute);
        if (config_i64(settings[i].per_day) >= 0)
            k->per_day = config_i64(settings[i].per_day);
    }
}

static enum status load(struct db *db, const uint8_t *hash, struct key_info *ret, struct fault *f)
{
    const struct param p = p_bytes(hash, KEY_HASH_BYTES);
    PGresult *r;
    enum status st =
        db_read(db,
                "SELECT k.key_id, k.account_id, k.organization_id, k.scopes, k.site_admin, "
                "k.per_minute, k.per_day, k.suspended, k.plan FROM domain.key_find($1) AS k",
                &p, 1, &r, f);

    if (st != ST_OK)
        return st;
    if (PQntuples(r) == 0) {
        st = fault_set(f, ST_UNAUTHENTICATED, NULL, "the API key is not valid");
    } else {
        *ret = (struct key_info){
            .actor = { .key_id = row_i64(r, 0, 0),
                       .account_id = row_i64(r, 0, 1),
                       .organization_id = row_i64(r, 0, 2),
                       .scopes = (unsigned)row_i64(r, 0, 3),
                       .site_admin = row_bool(r, 0, 4) },
            .per_minute = row_i64(r, 0, 5),
            .per_day = row_i64(r, 0, 6),
            .suspended = row_bool(r, 0, 7),
        };
        override_limits(row_text(r, 0, 8), ret);
    }
    PQclear(r);
    return st;
}

enum status keycache_find(struct keycache *k, struct db *db, const uint8_t hash[KEY_HASH_BYTES],
                          struct key_info *ret, struct fault *f)
{
    const uint64_t generation = atomic_load(&k->shared->generation) + 1; /* read before the row is */
    const bool listening = atomic_load(&k->listening);
    struct entry *e;
    uint32_t at;
    enum status st;

    memcpy(&at, hash, sizeof at);
    e = &k->entries[at % SLOTS];
    if (listening && cached(k, e, hash, generation, ret))
        return ST_OK;
    if ((st = load(db, hash, ret, f)) != ST_OK)
        return st;
    note_use(db, ret->actor.key_id);
    if (!listening)
        return ST_OK;
    pthread_rwlock_wrlock(&k->lock);
    memcpy(e->hash, hash, KEY_HASH_BYTES);
    e->info = *ret;
    e->generation = generation;
    e->until_ms = clock_monotonic_ms() + KEY_TTL_MS;
    pthread_rwlock_unlock(&k->lock);
    return ST_OK;
}
