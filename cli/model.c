/*
 * fovea model import: a weights file of this machine becomes a model, as an upload would. The order is
 * that of every upload: file durable and published < rows written < file seen once more < commit (the
 * sweeper may have taken a file of the same bytes just before the row was there; then all is done
 * again).
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "base/limits.h"
#include "cli/cli.h"
#include "cli/condemned.h"
#include "cli/gate.h"
#include "cli/model_file.h"
#include "inference/predictor.h"
#include "media/store.h"

static const char default_project[] = "Models";

static enum status publish(struct store *store, const struct model_file *src, struct digest *ret,
                           struct fault *f)
{
    struct spool *sp = NULL;
    int64_t size;
    enum status st = spool_create(store, (int64_t)src->n, &sp, f);

    if (st == ST_OK)
        st = spool_write(sp, src->bytes, src->n, f);
    if (st == ST_OK)
        st = spool_publish(sp, ret, &size, f);
    spool_free(sp);
    return st;
}

/* The project by slug or name in the user's own organization; 0: there is none yet. */
static enum status find_project(struct db *db, const char *user, const char *name, int64_t *ret,
                                struct fault *f)
{
    const struct param params[] = { p_text(user), p_text(name) };
    PGresult *r = NULL;
    enum status st = db_read(
        db,
        "SELECT p.id FROM domain.actor_of($1) AS a"
        " LEFT JOIN LATERAL (SELECT l.* FROM domain.project_list(a) AS l"
        " WHERE l.slug = $2 OR l.name = $2) AS p ON true ORDER BY p.slug = $2 DESC, p.id LIMIT 1",
        params, 2, &r, f);

    if (st == ST_OK && PQntuples(r) == 0)
        st = fault_set(f, ST_NOT_FOUND, "handle", "User not found");
    if (st == ST_OK)
        *ret = row_i64(r, 0, 0);
    PQclear(r);
    return st;
}

/* "a/yolov8n.onnx" -> "yolov8n" */
static const char *model_name(const struct cli *c, const struct model_file *src)
{
    const char *const given = cli_option(c, "name"), *const dot = strrchr(src->file_name, '.');

    if (given)
        return given;
    return arena_strndup(c->arena, src->file_name,
                         dot && dot > src->file_name ? (size_t)(dot - src->file_name)
                                                     : strlen(src->file_name));
}

static struct param p_positive(struct arena *a, int64_t n)
{
    return n > 0 ? p_i64(a, n) : p_null();
}

static const char create_sql[] =
    "SELECT domain.model_create(a, coalesce($2, nullif(current_setting('fovea.row', true), "
    "'')::bigint), name => $3,"
    " task => $4, architecture => $5, class_names => $6::text[], parameters => $7, input_height => $8,"
    " input_width => $9, package_version => $10, runnable => $11, why_not => $12, file_name => $13, "
    "digest => $14,"
    " size => $15, media_type => 'application/octet-stream') FROM domain.actor_of($1) AS a";
static const char read_sql[] =
    "SELECT " MODEL_ID " AS id, m.uuid, m.name, m.slug, "
    "m.task,"
    " m.runnable FROM domain.model AS m WHERE m.id = current_setting('fovea.row')::bigint";

/* Rows of the model inside the open transaction, with a new project when there is none. */
static enum status write_rows(struct cli *c, struct db *db, const struct model_file *src,
                              const struct model_card *card, const struct digest *digest,
                              int64_t project, PGresult **ret, struct fault *f)
{
    const char *const named = cli_option(c, "project");
    const struct param user = p_text(cli_option(c, "user"));
    const struct param new_project[] = { user, p_text(named ? named : default_project) };
    const struct param params[] = {
        user,
        p_positive(c->arena, project),
        p_text(model_name(c, src)),
        p_text(card->task_known ? model_task_name(card->task) : NULL),
        p_text(card->architecture[0] ? card->architecture : NULL),
        p_texts(c->arena, (const char *const *)card->class_names, (size_t)card->nclasses),
        p_positive(c->arena, card->parameters),
        p_positive(c->arena, card->input_height),
        p_positive(c->arena, card->input_width),
        p_text(card->version[0] ? card->version : NULL),
        p_bool(card->runnable),
        p_text(card->runnable ? NULL : card->why_not),
        p_text(src->file_name),
        p_bytes(digest->bytes, DIGEST_BYTES),
        p_i64(c->arena, (int64_t)src->n),
    };
    const struct db_call calls[] = {
        { "SELECT domain.project_create(a, name => $2) FROM domain.actor_of($1) AS a", new_project, 2 },
        { create_sql, params, sizeof params / sizeof *params },
        { read_sql, NULL, 0 },
    };

    if (arena_failed(c->arena))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    return project ? db_write(db, calls + 1, 2, ret, f) : db_write(db, calls, 3, ret, f);
}

static bool file_is_there(struct store *store, const struct digest *d)
{
    const int fd = store_open_fd(store, d);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

/* One attempt. *ret_again: the file was swept in between; nothing was changed. */
static enum status import_once(struct cli *c, struct db *db, struct store *store,
                               const struct model_file *src, const struct model_card *card,
                               bool *ret_again, PGresult **ret, struct fault *f)
{
    const char *const named = cli_option(c, "project");
    struct fault ignored = FAULT_INIT;
    struct digest digest;
    int64_t project = 0;
    enum status st;

    if ((st = publish(store, src, &digest, f)) != ST_OK ||
        (st = find_project(db, cli_option(c, "user"), named ? named : default_project, &project, f)) !=
            ST_OK ||
        (st = db_command(db, "BEGIN", f)) != ST_OK)
        return st;
    st = write_rows(c, db, src, card, &digest, project, ret, f);
    *ret_again = st == ST_OK && !file_is_there(store, &digest);
    if (st == ST_OK && !*ret_again)
        return db_command(db, "COMMIT", f);
    if (db_command(db, "ROLLBACK", &ignored) != ST_OK)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the database connection was lost");
    return st;
}

static enum status import(struct cli *c, const struct model_file *src, const struct model_card *card,
                          struct fault *f)
{
    struct store *store;
    struct db *db;
    PGresult *r = NULL;
    bool again = true;
    enum status st;

    if ((st = cli_db(c, &db, f)) != ST_OK || (st = cli_store(c, &store, f)) != ST_OK)
        return st;
    for (int attempt = 0; attempt < 3 && again && st == ST_OK; attempt++) {
        PQclear(r);
        r = NULL;
        st = import_once(c, db, store, src, card, &again, &r, f);
    }
    if (st == ST_OK && again)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the file was removed while it was imported; try again");
    if (st == ST_OK)
        st = cli_print_one(c, r, "model", f);
    if (st == ST_OK && !card->runnable)
        cli_say("stored, but this build cannot run it: %s", card->why_not);
    PQclear(r);
    return st;
}

static enum status run_import(struct cli *c, struct fault *f)
{
    struct model_card *card = NULL;
    struct model_file src = { .bytes = NULL };
    enum status st;

    if ((st = model_file_open(c->argument, &src, f)) != ST_OK)
        return st;
    if ((st = model_card_read(src.bytes, src.n, &card, f)) == ST_OK)
        st = import(c, &src, card, f);
    model_card_free(card);
    model_file_close(&src);
    return st;
}

/* clang-format off */
const struct command model_commands[] = {
    {
        .words = "model import",
        .argument = "FILE",
        .help = "store a weights file (.onnx, .pt, or an archive with an .onnx and its data) as a model",
        .options = { { "user", "HANDLE", "whose model", true },
                     { "project", "NAME", "by name or slug; made when absent (default \"Models\")", false },
                     { "name", "NAME", "name of the model (default: that of the file)", false } },
        .run = run_import,
    },
    {
        .words = "model list",
        .help = "show models, and what automatic precision is for them on this processor",
        .run = gate_list,
    },
    {
        .words = "model gate",
        .argument = "MODEL",
        .help = "try the cheaper precisions of this processor on a model, by id, now",
        .run = gate_run,
    },
    {
        .words = "model condemned",
        .help = "show models that are refused because they crashed or hung the server",
        .run = condemned_list,
    },
    {
        .words = "model enable",
        .argument = "MODEL",
        .help = "give such a model, by id or digest of its weights, another chance",
        .run = condemned_enable,
    },
    { .words = NULL },
};
/* clang-format on */
