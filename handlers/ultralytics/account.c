/* API keys, storage, activity, and whose projects are listed: what their tables can't say. */
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/config.h"
#include "base/json.h"
#include "domain/operations.h"
#include "fcgi/context.h"
#include "fcgi/keycache.h"
#include "handlers/ultralytics/ultralytics.h"

enum { KEY_BYTES = 20, DISPLAY_CHARS = 11 };

/* What a key may do when its maker did not say: all but administration. */
static const char *const standard_scopes[] = { "training", "models", "datasets",
                                               "read",     "write",  "predict" };

static const char *json_text(struct arena *a, const char *s)
{
    struct buffer b = { 0 };
    const char *copy;

    json_write_string(&b, s, strlen(s));
    copy = arena_strdup(a, buffer_terminate(&b));
    buffer_free(&b);
    return copy;
}

enum status ultralytics_api_key_create(struct request *rq, struct response *rs, struct fault *f)
{
    struct api_key_create *cmd = rq->command;
    uint8_t secret[KEY_BYTES], *hash = arena_alloc(rq->arena, KEY_HASH_BYTES);
    char digits[2 * KEY_BYTES + 1], *key, *display;

    if (RAND_bytes(secret, sizeof secret) != 1)
        return fault_set(f, ST_UNAVAILABLE, NULL, "no randomness is available");
    text_to_hex(secret, sizeof secret, digits);
    key = arena_printf(rq->arena, "ul_%s", digits);
    display = arena_strndup(rq->arena, key, DISPLAY_CHARS);
    if (!hash || !display || !key_hash(key, strlen(key), hash))
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    cmd->hash = hash;
    cmd->display = display;
    field_mark(cmd, FIELD(api_key_create, hash));
    field_mark(cmd, FIELD(api_key_create, display));
    if (!field_given(cmd, FIELD(api_key_create, scopes))) {
        cmd->scopes =
            (struct texts){ standard_scopes, sizeof standard_scopes / sizeof *standard_scopes };
        field_mark(cmd, FIELD(api_key_create, scopes));
    }
    request_extra(rq, "key", json_text(rq->arena, key));
    response_header(rs, "Cache-Control", "no-store");
    return respond_operation(rq, rs, f);
}

enum status ultralytics_api_key_revoke(struct request *rq, struct response *rs, struct fault *f)
{
    const char *id = rq->nsegments > 2 ? rq->segments[2] : request_query(rq, "keyId");
    enum status st;

    request_extra(rq, "id", json_text(rq->arena, id ? id : ""));
    st = respond_operation(rq, rs, f);
    if (st == ST_OK)
        keycache_invalidate(rq->ctx->keys); /* before the answer: from here on the key is nobody's */
    return st;
}

/* Where the plan has no limit the file system has. */
enum status ultralytics_storage(struct request *rq, struct response *rs, struct fault *f)
{
    struct statvfs fs;
    char command[80];
    enum status st;

    if (statvfs(config_text("media_dir"), &fs) == 0) {
        snprintf(command, sizeof command, "SET fovea.storage_bytes = '%llu'",
                 (unsigned long long)fs.f_blocks * fs.f_frsize);
        if ((st = db_command(rq->db, command, f)) != ST_OK)
            return st;
    }
    return respond_operation(rq, rs, f);
}

enum status ultralytics_events(struct request *rq, struct response *rs, struct fault *f)
{
    struct event_list *cmd = rq->command;
    const struct param actor = p_text(actor_literal(&rq->who, rq->arena));
    PGresult *r;
    enum status st;

    if (!field_given(cmd, FIELD(event_list, archived))) /* shown unless archived */
        field_mark(cmd, FIELD(event_list, archived));
    st = db_read(rq->db, "SELECT n FROM domain.event_unseen($1) AS t(n)", &actor, 1, &r, f);
    if (st != ST_OK)
        return st;
    request_extra(rq, "unseen", arena_strdup(rq->arena, row_text(r, 0, 0)));
    PQclear(r);
    return respond_operation(rq, rs, f);
}

/* The caller's own projects; with ?username= those of whoever is named. The answer is the same route's.
 */
enum status ultralytics_projects(struct request *rq, struct response *rs, struct fault *f)
{
    const struct route *const own = rq->route;
    struct route route = *own;
    enum status st;

    if (field_given(rq->command, FIELD(project_list, owner)))
        route.op = &op_project_of;
    rq->route = &route;
    st = respond_operation(rq, rs, f);
    rq->route = own;
    return st;
}
