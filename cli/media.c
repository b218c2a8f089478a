/* fovea gc and check: do the files of the media store and the rows of the database agree? */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "base/text.h"
#include "cli/cli.h"
#include "domain/admin.h"

/* ---- gc
 * --------------------------------------------------------------------------------------------------------
 */

static enum status run_gc(struct cli *c, struct fault *f)
{
    const char *const text = cli_option(c, "grace");
    const bool dry_run = cli_option(c, "dry-run") != NULL;
    struct sweep_result result = { .removed = 0 };
    int64_t grace_s = 3600;
    struct store *store;
    struct db *db;
    enum status st;

    if (text && (!text_i64(text, strlen(text), &grace_s) || grace_s < 0 || grace_s > 31536000))
        return fault_set(f, ST_INVALID, "grace", "must be a number of seconds, at most a year");
    if ((st = cli_db(c, &db, f)) != ST_OK || (st = cli_store(c, &store, f)) != ST_OK ||
        (st = sweep_blobs(db, store, grace_s, dry_run, NULL, &result, f)) != ST_OK)
        return st;
    if (c->json)
        printf("{\"removed\":%" PRId64 ",\"removedBytes\":%" PRId64 ",\"unknown\":%" PRId64
               ",\"dryRun\":%s}\n",
               result.removed, result.removed_bytes, result.adopted, dry_run ? "true" : "false");
    else
        printf("%s %" PRId64 " files, %" PRId64 " bytes (%" PRId64 " of them unknown to the database)\n",
               dry_run ? "would remove" : "removed", result.removed, result.removed_bytes,
               result.adopted);
    return ST_OK;
}

/* ---- check
 * -----------------------------------------------------------------------------------------------------
 */

/* One line a problem: tab-separated, or with --json one object. Words are ours: nothing needs an escape.
 */
static void print_problem(const struct cli *c, const char *kind, const char *what, const char *where)
{
    printf(c->json ? "{\"kind\":\"%s\",\"problem\":\"%s\",\"where\":\"%s\"}\n" : "%s\t%s\t%s\n", kind,
           what, where);
}

static void report_blob(void *arg, enum blob_problem what, const struct digest *d)
{
    static const char *const words[] = {
        [BLOB_MISSING] = "missing",
        [BLOB_OTHER_SIZE] = "other size",
        [BLOB_DAMAGED] = "damaged",
    };
    char path[80];

    store_path(d, path);
    print_problem(arg, "file", words[what], path);
}

/* Counters that lists show, against a recount. */
static enum status check_counters(struct cli *c, struct db *db, int64_t *ret_problems, struct fault *f)
{
    PGresult *r = NULL;
    const enum status st = db_read(
        db,
        "SELECT d.scope_kind, d.scope_id, d.noun, d.stored, d.counted FROM domain.counter_drift() AS d",
        NULL, 0, &r, f);

    for (int i = 0; st == ST_OK && i < PQntuples(r); i++) {
        char what[80], where[160];

        snprintf(what, sizeof what, "is %s, counted %s", row_text(r, i, 3), row_text(r, i, 4));
        snprintf(where, sizeof where, "%s of %s %s", row_text(r, i, 2), row_text(r, i, 0),
                 row_text(r, i, 1));
        print_problem(c, "counter", what, where);
    }
    if (st == ST_OK)
        *ret_problems += PQntuples(r);
    PQclear(r);
    return st;
}

static enum status run_check(struct cli *c, struct fault *f)
{
    struct check_result result = { .rows = 0 };
    struct store *store;
    struct db *db;
    enum status st;

    if ((st = cli_db(c, &db, f)) != ST_OK || (st = cli_store(c, &store, f)) != ST_OK ||
        (st = check_blobs(db, store, cli_option(c, "deep") != NULL, report_blob, c, &result, f)) !=
            ST_OK ||
        (st = check_counters(c, db, &result.problems, f)) != ST_OK)
        return st;
    cli_say("%" PRId64 " rows, %" PRId64 " files, %" PRId64 " files without a row (left to gc), %" PRId64
            " problems",
            result.rows, result.files, result.unknown, result.problems);
    if (result.problems)
        return fault_set(f, ST_CONFLICT, NULL, "%" PRId64 " problems found", result.problems);
    return ST_OK;
}

/* clang-format off */
const struct command media_commands[] = {
    {
        .words = "gc",
        .help = "remove files that nothing refers to",
        .options = { { "dry-run", NULL, "only say what would be removed", false },
                     { "grace", "SECONDS", "leave what is younger than this (default 3600)", false } },
        .run = run_gc,
    },
    {
        .words = "check",
        .help = "compare files with rows, and counters with a recount",
        .options = { { "deep", NULL, "read every file and compare its hash", false } },
        .run = run_check,
    },
    { .words = NULL },
};
/* clang-format on */
