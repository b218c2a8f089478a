/* See links.h. */
#include "fcgi/links.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/config.h"
#include "base/json.h"
#include "base/rows.h"
#include "fcgi/context.h"
#include "fcgi/dbpool.h"
#include "fcgi/upload.h"
#include "media/sign.h"
#include "media/store.h"

int64_t link_ttl_s(const char *purpose)
{
    return config_i64(strcmp(purpose, "image") == 0 ? "ttl.image_s" : "ttl.weights_s");
}

static void write_expiry(const struct request *rq, const char *purpose, struct buffer *out)
{
    const time_t at = (time_t)(clock_wall_us() / 1000000 + link_ttl_s(purpose));
    char text[40];
    struct tm t;

    gmtime_r(&at, &t);
    strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S+00", &t);
    json_write_time(out, text, &rq->dialect->style);
}

void link_make(void *arg, const char *purpose, const char *value, struct buffer *out)
{
    struct request *rq = arg;
    struct buffer url = { 0 };
    char *end;
    struct signed_link link = {
        .access = strcmp(purpose, "upload") ? SIGN_READ : SIGN_WRITE,
        .purpose = purpose,
        .expires_s = clock_wall_us() / 1000000 + link_ttl_s(purpose),
    };

    if (strncmp(purpose, "expires:", 8) == 0) { /* when the links of this row end */
        write_expiry(rq, purpose + 8, out);
        return;
    }
    link.id = strtoll(value, &end, 10);
    link.tenant = *end == '/' ? strtoll(end + 1, &end, 10) : 0;
    if (*end != '/') {
        buffer_text(out, "null");
        return;
    }
    link.name = end + 1;
    buffer_text(&url, request_base_url(rq));
    signer_refresh(rq->ctx->signer);
    sign_link(rq->ctx->signer, &link, &url);
    json_write_string(out, url.p, url.n);
    buffer_free(&url);
}

static void attachment(struct response *rs, const char *name)
{
    struct buffer b = { 0 };

    url_encode(&b, name);
    response_header(rs, "Content-Disposition", "attachment; filename*=UTF-8''%s", buffer_terminate(&b));
    buffer_free(&b);
}

/*
 * Rows that links name, kept for a moment: a picture wall asks for the same few hundred again and again.
 * A deleted object may be served for OBJECT_TTL_MS more, which is far below a link's own life.
 */
enum { OBJECT_SLOTS = 1024, OBJECT_TTL_MS = 2000 };

struct object {
    char purpose[17], type[80];
    int64_t id, tenant, until_ms, downloads;
    struct digest digest;
};

static struct object objects[OBJECT_SLOTS];
static pthread_mutex_t objects_lock = PTHREAD_MUTEX_INITIALIZER;

static struct object *object_slot(const struct signed_request *sr)
{
    return &objects[((uint64_t)sr->id * 31 + (unsigned char)sr->purpose[0]) % OBJECT_SLOTS];
}

static bool object_cached(const struct signed_request *sr, struct object *ret)
{
    const struct object *o = object_slot(sr);
    bool hit;

    pthread_mutex_lock(&objects_lock);
    hit = o->id == sr->id && strcmp(o->purpose, sr->purpose) == 0 && clock_monotonic_ms() < o->until_ms;
    if (hit)
        *ret = *o;
    pthread_mutex_unlock(&objects_lock);
    return hit;
}

static void object_flush(struct db *db, struct object *o);

static void object_keep(struct db *db, const struct object *fresh, const struct signed_request *sr)
{
    struct object *o = object_slot(sr), old = { 0 };

    pthread_mutex_lock(&objects_lock);
    if (o->id == fresh->id && strcmp(o->purpose, fresh->purpose) == 0) {
        const int64_t downloads = o->downloads;

        *o = *fresh;
        o->downloads = downloads;
    } else {
        old = *o;
        *o = *fresh;
    }
    pthread_mutex_unlock(&objects_lock);
    object_flush(db, &old);
}

static enum status object_find(struct request *rq, const struct signed_request *sr, struct object *ret,
                               struct fault *f)
{
    const struct param params[] = { p_text(sr->purpose), p_i64(rq->arena, sr->id) };
    PGresult *r;
    enum status st;

    if (object_cached(sr, ret))
        return ST_OK;
    st = db_read(rq->db, "SELECT o.tenant, o.digest, o.media_type FROM domain.media_object($1, $2) AS o",
                 params, 2, &r, f);
    if (st != ST_OK)
        return st;
    *ret = (struct object){ .id = sr->id, .until_ms = clock_monotonic_ms() + OBJECT_TTL_MS };
    if (PQntuples(r) == 0 || !row_bytes(r, 0, 1, ret->digest.bytes, DIGEST_BYTES)) {
        st = ST_FORBIDDEN;
    } else {
        ret->tenant = row_i64(r, 0, 0);
        snprintf(ret->purpose, sizeof ret->purpose, "%s", sr->purpose);
        snprintf(ret->type, sizeof ret->type, "%s",
                 row_text(r, 0, 2) ? row_text(r, 0, 2) : "application/octet-stream");
        object_keep(rq->db, ret, sr);
    }
    PQclear(r);
    return st;
}

/* Downloads are counted in memory and written in lots: a GET must not wait for a commit. */
static void object_count(const struct signed_request *sr)
{
    struct object *o = object_slot(sr);

    pthread_mutex_lock(&objects_lock);
    if (o->id == sr->id && strcmp(o->purpose, sr->purpose) == 0)
        o->downloads++;
    pthread_mutex_unlock(&objects_lock);
}

static void object_flush(struct db *db, struct object *o)
{
    char id[24], n[24];
    const struct param params[] = { p_text(o->purpose), { .text = id }, { .text = n } };
    const struct db_call call = { "SELECT domain.media_downloaded($1, $2, $3)", params, 3 };
    struct fault ignored = FAULT_INIT;
    PGresult *r;

    if (!o->downloads)
        return;
    snprintf(id, sizeof id, "%lld", (long long)o->id);
    snprintf(n, sizeof n, "%lld", (long long)o->downloads);
    if (db_write(db, &call, 1, &r, &ignored) == ST_OK) /* a lost count is less than a lost download */
        PQclear(r);
}

void links_flush(struct db *db)
{
    for (size_t i = 0; i < OBJECT_SLOTS; i++) {
        struct object copy;

        pthread_mutex_lock(&objects_lock);
        copy = objects[i];
        objects[i].downloads = 0;
        pthread_mutex_unlock(&objects_lock);
        object_flush(db, &copy);
    }
}

static enum status not_valid(struct fault *f)
{
    return fault_set(f, ST_FORBIDDEN, NULL, "the link is not valid");
}

/* The session that a link for sending names, and how many bytes it may get. */
static enum status upload_find(struct request *rq, struct signed_request *sr, int64_t *ret_size,
                               struct fault *f)
{
    PGresult *r;
    struct param id;
    enum status st;

    signer_refresh(rq->ctx->signer);
    if (strcmp(rq->method, "PUT") != 0 ||
        sign_parse(rq->raw_path, strlen(rq->raw_path), rq->raw_query, strlen(rq->raw_query),
                   clock_wall_us() / 1000000, sr, f) != ST_OK ||
        strcmp(sr->purpose, "upload") != 0)
        return not_valid(f);
    id = p_i64(rq->arena, sr->id);
    if ((st = db_read(rq->db, "SELECT o.tenant, o.size FROM domain.upload_object($1) AS o", &id, 1, &r,
                      f)) != ST_OK)
        return st;
    st = sign_verify(rq->ctx->signer, sr, SIGN_WRITE, PQntuples(r) ? row_i64(r, 0, 0) : -1, f);
    if (st == ST_OK && PQntuples(r))
        *ret_size = row_i64(r, 0, 1);
    else
        st = not_valid(f);
    PQclear(r);
    return st;
}

bool links_allow(struct request *rq)
{
    struct signed_request sr;
    struct fault f = FAULT_INIT;
    int64_t size;

    return upload_find(rq, &sr, &size, &f) != ST_FORBIDDEN;
}

static enum status upload_stored(struct request *rq, int64_t id, const struct digest *d, int64_t size,
                                 struct spool *spool, struct fault *f)
{
    const struct param params[] = { p_i64(rq->arena, id), p_bytes(d->bytes, DIGEST_BYTES),
                                    p_i64(rq->arena, size) };
    const struct db_call call = { "SELECT domain.upload_stored($1, $2, $3)", params, 3 };
    PGresult *r;
    enum status st = db_write_checked(rq->db, &call, 1, upload_settle, spool, &r, f);

    if (st == ST_OK)
        PQclear(r);
    return st;
}

/* The spooled file is not copied: it is hashed where it lies and linked into the store. */
enum status links_receive(struct request *rq, struct response *rs, struct fault *f)
{
    struct spool *spool = NULL;
    struct signed_request sr;
    struct digest d;
    char hex[DIGEST_HEX + 1];
    int64_t wanted = 0, size = 0;
    const void *bytes;
    size_t arrived;
    enum status st = upload_find(rq, &sr, &wanted, f);

    if (st != ST_OK)
        return st;
    if (!rq->body_file)
        return fault_set(f, ST_UNSUPPORTED, NULL, "send the file as the body");
    request_db_release(rq); /* hashing takes long */
    if ((st = spool_adopt(rq->ctx->store, rq->body_file, rq->ctx->spool_dir, wanted, &spool, f)) !=
            ST_OK ||
        (st = spool_map(spool, &bytes, &arrived, f)) != ST_OK)
        goto out;
    if ((int64_t)arrived != wanted) {
        st = fault_set(f, ST_INVALID, NULL, "%lld bytes were announced, %zu arrived", (long long)wanted,
                       arrived);
        goto out;
    }
    if ((st = spool_publish(spool, &d, &size, f)) != ST_OK)
        goto out;
    if ((st = request_db_lease(rq, f)) != ST_OK)
        goto out;
    st = upload_stored(rq, sr.id, &d, size, spool, f);
    digest_to_hex(&d, hex);
    if (st == ST_OK)
        buffer_printf(&rs->body, "{\"success\":true,\"size\":%lld,\"sha256\":\"%s\"}\n", (long long)size,
                      hex);
out:
    spool_free(spool);
    return st;
}

static const char *digest_base64(const struct digest *d, struct arena *a)
{
    unsigned char *text = arena_alloc(a, 48);

    if (text)
        EVP_EncodeBlock(text, d->bytes, DIGEST_BYTES);
    return text ? (const char *)text : "";
}

/* One answer for everything that is wrong with a link: nothing is told about what exists. */
enum status links_serve(struct request *rq, struct response *rs, struct fault *f)
{
    struct signed_request sr;
    struct object o = { 0 };
    const char *range = request_header(rq, "HTTP_RANGE");
    char path[96];
    enum status st;

    if (strcmp(rq->method, "GET") != 0)
        return not_valid(f);
    signer_refresh(rq->ctx->signer);
    st = sign_parse(rq->raw_path, strlen(rq->raw_path), rq->raw_query, strlen(rq->raw_query),
                    clock_wall_us() / 1000000, &sr, f);
    if (st != ST_OK)
        return not_valid(f);
    if ((st = object_find(rq, &sr, &o, f)) == ST_UNAVAILABLE)
        return st;
    if (sign_verify(rq->ctx->signer, &sr, SIGN_READ, o.tenant, f) != ST_OK || st != ST_OK)
        return not_valid(f);
    if (!rq->head && (!range || strncmp(range, "bytes=0-", 8) == 0))
        object_count(&sr);
    store_path(&o.digest, path);
    response_file(rs, path, arena_strdup(rq->arena, o.type));
    attachment(rs, sr.name);
    response_header(rs, "Cache-Control", "private, max-age=3600, immutable");
    response_header(rs, "Referrer-Policy", "no-referrer");
    response_header(rs, "Content-Security-Policy", "sandbox");
    response_header(rs, "Repr-Digest", "sha-256=:%s:", digest_base64(&o.digest, rq->arena));
    rs->status = 200;
    return ST_OK;
}
