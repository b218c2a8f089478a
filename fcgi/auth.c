/* See auth.h. */
#include "fcgi/auth.h"

#include <string.h>

#include "fcgi/context.h"
#include "fcgi/keycache.h"
#include "fcgi/limiter.h"

enum status auth_header_key(const struct request *rq, const char *const *schemes, struct slice *ret,
                            struct fault *f)
{
    const char *h = request_header(rq, "HTTP_AUTHORIZATION");

    for (size_t i = 0; h && schemes[i]; i++) {
        const size_t n = strlen(schemes[i]);

        if (strncasecmp(h, schemes[i], n) == 0 && h[n] == ' ') {
            h += n + strspn(h + n, " ");
            *ret = (struct slice){ h, strcspn(h, " ") };
            return ST_OK;
        }
    }
    return fault_set(f, ST_UNAUTHENTICATED, NULL, "an API key is required: Authorization: %s <key>",
                     schemes[0]);
}

enum status auth_request_key(struct request *rq, struct fault *f)
{
    struct slice key;
    uint8_t hash[KEY_HASH_BYTES];
    struct key_info info;
    enum status st = rq->dialect->credential(rq, &key, f);

    if (st != ST_OK)
        return st;
    if (!key_hash(key.p, key.n, hash))
        return fault_set(f, ST_UNAUTHENTICATED, NULL, "the API key is not valid");
    if ((st = keycache_find(rq->ctx->keys, rq->db, hash, &info, f)) != ST_OK)
        return st;
    rq->who = info.actor;
    rq->authenticated = true;
    if (!rq->route || !rq->route->uncounted) {
        rq->rate = arena_alloc(rq->arena, sizeof *rq->rate);
        if (rq->rate) /* the plan's numbers until auth_count takes one */
            *rq->rate = (struct rate_answer){ .limit = info.per_minute, .remaining = info.per_day };
    }
    if (info.suspended)
        return fault_set(f, ST_FORBIDDEN, NULL, "the account is suspended");
    return ST_OK;
}

enum status auth_count(struct request *rq, struct fault *f)
{
    if (!rq->rate)
        return ST_OK;
    *rq->rate = limiter_take(rq->ctx->limiter, rq->who.account_id, rq->rate->limit, rq->rate->remaining,
                             clock_wall_us() / 1000);
    if (rq->rate->allowed)
        return ST_OK;
    fault_set(f, ST_RATE_LIMITED, NULL, "the plan's request limit is reached, try again in %lld s",
              (long long)rq->rate->retry_after_s);
    f->retry_after_s = (int)rq->rate->retry_after_s;
    return ST_RATE_LIMITED;
}

enum status auth_scope(const struct request *rq, struct fault *f)
{
    const unsigned has = rq->who.scopes;
    bool enough = (has & (SCOPE_ADMIN | rq->route->scopes)) != 0;

    /* `write` stands for every resource's scope on a change, but not for administration */
    if (!enough && (has & SCOPE_WRITE) && strcmp(rq->route->method, "GET") != 0)
        enough =
            (rq->route->scopes & (SCOPE_TRAINING | SCOPE_MODELS | SCOPE_DATASETS | SCOPE_WRITE)) != 0;
    return enough ? ST_OK : fault_set(f, ST_FORBIDDEN, NULL, "the API key lacks the scope for this");
}
