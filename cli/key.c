/* fovea key: API keys. The key itself is shown once, when it is made; only its hash is stored. */
#include <stdio.h>
#include <string.h>
#include "base/config.h"
#include "base/json.h"
#include "base/text.h"
#include "cli/cli.h"
#include "domain/admin.h"
#include "domain/operations.h"

#define SCOPES "training, models, datasets, read, write, predict, admin"

enum { SCOPES_MOST = 16 };

static enum status check_scope(const char *name, struct fault *f)
{
    for (size_t i = 0; scope_names[i]; i++)
        if (strcmp(scope_names[i], name) == 0)
            return ST_OK;
    return fault_set(f, ST_INVALID, "scopes", "\"%s\" is none of " SCOPES, name);
}

/* "read,write" as text[]; absent: NULL, which means all but admin. */
static enum status read_scopes(const struct cli *c, struct param *ret, struct fault *f)
{
    const char *const text = cli_option(c, "scopes");
    const char *items[SCOPES_MOST];
    size_t n = 0;

    *ret = p_null();
    for (const char *p = text; p;) {
        const size_t len = strcspn(p, ",");
        enum status st;

        if (n == SCOPES_MOST)
            return fault_set(f, ST_INVALID, "scopes", "too many");
        if (!(items[n] = arena_strndup(c->arena, p, len)))
            return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        if ((st = check_scope(items[n++], f)) != ST_OK)
            return st;
        p = p[len] ? p + len + 1 : NULL;
    }
    if (text)
        *ret = p_texts(c->arena, items, n);
    return ST_OK;
}

/* The one time that the key is seen: alone on stdout, so that a script can take it. */
static void print_key(const struct cli *c, const struct new_key *key, const PGresult *r)
{
    struct buffer out = { .n = 0 };

    if (!c->json) {
        printf("%s\n", key->text);
        cli_say("key %s (%s) made; it is not shown again", row_text(r, 0, 0), key->display);
        return;
    }
    buffer_printf(&out, "{\"id\":%s,\"uuid\":\"%s\",\"key\":", row_text(r, 0, 0), row_text(r, 0, 1));
    json_write_string(&out, key->text, strlen(key->text));
    printf("%s}\n", buffer_terminate(&out));
    buffer_free(&out);
}

static enum status run_create(struct cli *c, struct fault *f)
{
    const char *const prefix = cli_option(c, "prefix");
    struct param params[5] = { p_text(cli_option(c, "user")), p_text(cli_option(c, "name")) };
    const struct db_call calls[] = {
        { "SELECT domain.api_key_create(a, $2, $3, $4, $5) FROM domain.actor_of($1) AS a", params, 5 },
        { "SELECT k.id, k.uuid FROM domain.api_key AS k WHERE k.id = "
          "nullif(current_setting('fovea.row', true), '')::bigint",
          NULL, 0 },
    };
    struct new_key key;
    struct db *db;
    PGresult *r = NULL;
    enum status st;

    if ((st = key_mint(prefix ? prefix : config_text("key_prefix"), &key, f)) != ST_OK ||
        (st = read_scopes(c, &params[2], f)) != ST_OK || (st = cli_db(c, &db, f)) != ST_OK)
        return st;
    params[3] = p_bytes(key.hash, sizeof key.hash);
    params[4] = p_text(key.display);
    if ((st = db_write(db, calls, 2, &r, f)) != ST_OK)
        return st;
    if (PQntuples(r) == 1)
        print_key(c, &key, r);
    else
        st = fault_set(f, ST_NOT_FOUND, "handle", "User not found");
    PQclear(r);
    return st;
}

static enum status run_list(struct cli *c, struct fault *f)
{
    static const char sql[] =
        "SELECT k.id, u.handle, k.name, k.display, array_to_string(k.scopes, ',') AS scopes,"
        " k.created_at, k.last_used_at FROM domain.api_key AS k"
        " JOIN domain.account_list() AS u ON u.id = k.account_id"
        " WHERE u.handle = $1 OR $1 IS NULL ORDER BY u.handle, k.id";
    const struct param user = p_text(cli_option(c, "user"));

    return cli_list(c, sql, &user, 1, f);
}

static enum status run_revoke(struct cli *c, struct fault *f)
{
    const struct param id = p_text(c->argument);
    const struct db_call call = {
        "SELECT domain.api_key_revoke(a, k.id) FROM domain.api_key AS k JOIN domain.account_list() AS u"
        " ON u.id = k.account_id CROSS JOIN LATERAL domain.actor_of(u.handle) AS a WHERE k.id = $1",
        &id, 1
    };
    struct db *db;
    PGresult *r = NULL;
    int64_t number;
    enum status st;

    if (!text_i64(id.text, strlen(id.text), &number))
        return fault_set(f, ST_INVALID, NULL, "\"%s\" is not the number of a key; see `fovea key list`",
                         id.text);
    if ((st = cli_db(c, &db, f)) != ST_OK || (st = db_write(db, &call, 1, &r, f)) != ST_OK)
        return st;
    if (PQntuples(r) == 0)
        st = fault_set(f, ST_NOT_FOUND, NULL, "key %s not found", id.text);
    else
        cli_say("key %s revoked", id.text);
    PQclear(r);
    return st;
}

/* clang-format off */
const struct command key_commands[] = {
    {
        .words = "key create",
        .help = "make an API key and print it, once",
        .options = { { "user", "HANDLE", "whose key", true },
                     { "name", "NAME", "what it is for", true },
                     { "scopes", "A,B", SCOPES " (default: all but admin)", false },
                     { "prefix", "PREFIX", "how the key begins: ul_, cpx_live. (default: key_prefix)", false } },
        .run = run_create,
    },
    {
        .words = "key list",
        .help = "show keys, without the keys themselves",
        .options = { { "user", "HANDLE", "only this user's", false } },
        .run = run_list,
    },
    {
        .words = "key revoke",
        .argument = "ID",
        .help = "make a key invalid at once",
        .run = run_revoke,
    },
    { .words = NULL },
};
/* clang-format on */
