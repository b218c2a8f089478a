/*
 * Applies sql/ to a database: see migrate.h. What it leaves out: going back (migrations are
 * forward-only) and statements that cannot run in a transaction.
 */
#include "domain/migrate.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/text.h"

#define ADVISORY_LOCK "8317402965154427711"

struct sql_file {
    char folder[16];
    char name[128];
    char digest[2 * SHA256_DIGEST_LENGTH + 1];
    struct buffer text;
};

/* The three folders, sorted by folder (migrations first) and name. */
struct sql_tree {
    struct sql_file *files;
    size_t n, migrations;
    char code_digest[2 * SHA256_DIGEST_LENGTH + 1];
};

static const char *const folders[] = { "migrations", "domain", "dialect" };

static const char bootstrap[] =
    "CREATE SCHEMA IF NOT EXISTS data;"
    "CREATE TABLE IF NOT EXISTS data.migration ("
    "    number integer PRIMARY KEY,"
    "    name text NOT NULL,"
    "    sha256 text NOT NULL,"
    "    applied_at timestamptz NOT NULL DEFAULT now());"
    "CREATE TABLE IF NOT EXISTS data.code_version ("
    "    one boolean PRIMARY KEY DEFAULT true CONSTRAINT code_version_single CHECK (one),"
    "    sha256 text NOT NULL,"
    "    schemas text[] NOT NULL,"
    "    applied_at timestamptz NOT NULL DEFAULT now());";

/* Roles are the cluster's, so another database's run may make them at the same moment: that is no
 * failure. */
static const char roles[] =
    "DO $$ DECLARE r text; BEGIN"
    "    FOREACH r IN ARRAY ARRAY['fovea_owner', 'fovea_api'] LOOP"
    "        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = r) THEN"
    "            BEGIN"
    "                EXECUTE format('CREATE ROLE %I LOGIN', r);"
    "            EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;"
    "            END;"
    "        END IF;"
    "    END LOOP;"
    "    EXECUTE format('GRANT CONNECT, CREATE, TEMPORARY ON DATABASE %I TO fovea_owner', "
    "current_database());"
    "    EXECUTE format('GRANT CONNECT ON DATABASE %I TO fovea_api', current_database());"
    "END $$;";

/*
 * How sentences are planned: see sql/README.md. The database's owner may say so; who may not, leaves it.
 * random_page_cost: the default is that of a turning disk, by which a small table is read whole for each
 * row of a page.
 */
static const char settings[] =
    "DO $$ BEGIN"
    "    EXECUTE format('ALTER DATABASE %I SET random_page_cost = 1.1', current_database());"
    "    EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', "
    "current_database());"
    "    EXECUTE format('ALTER DATABASE %I SET jit = off', current_database());"
    "EXCEPTION WHEN insufficient_privilege THEN NULL;"
    "END $$;";

static void digest_hex(const struct buffer *b, char *ret)
{
    uint8_t digest[SHA256_DIGEST_LENGTH];

    SHA256((const uint8_t *)(b->n ? b->p : ""), b->n, digest);
    text_to_hex(digest, sizeof digest, ret);
}

static enum status file_read(const char *path, struct buffer *ret, struct fault *f)
{
    FILE *in = fopen(path, "rb");
    char block[16384];
    size_t n;
    enum status st = ST_OK;

    if (!in)
        return fault_set(f, ST_INVALID, NULL, "cannot open %.120s: %s", path, strerror(errno));
    ret->max = LIMIT_SQL_FILE_BYTES;
    while ((n = fread(block, 1, sizeof block, in)) > 0)
        buffer_bytes(ret, block, n);
    if (ferror(in) || ret->failed)
        st = fault_set(f, ST_INVALID, NULL, "cannot read %.150s", path);
    else if (ret->n && memchr(ret->p, '\0', ret->n))
        st = fault_set(f, ST_INVALID, NULL, "%.150s holds a NUL byte", path);
    fclose(in);
    return st;
}

static int by_name(const void *a, const void *b)
{
    const struct sql_file *x = a, *y = b;

    return strcmp(x->name, y->name);
}

static void tree_free(struct sql_tree *t)
{
    for (size_t i = 0; i < t->n; i++)
        buffer_free(&t->files[i].text);
    free(t->files);
    *t = (struct sql_tree){ 0 };
}

static enum status tree_add(struct sql_tree *t, const char *sql_dir, const char *folder,
                            const char *name, struct fault *f)
{
    struct sql_file *file = &t->files[t->n];
    char path[PATH_MAX];

    if (t->n == LIMIT_SQL_FILES)
        return fault_set(f, ST_TOO_LARGE, NULL, "more than %d files in %.100s", LIMIT_SQL_FILES,
                         sql_dir);
    *file = (struct sql_file){ 0 };
    if ((size_t)snprintf(file->name, sizeof file->name, "%s", name) >= sizeof file->name ||
        (size_t)snprintf(path, sizeof path, "%s/%s/%s", sql_dir, folder, name) >= sizeof path)
        return fault_set(f, ST_INVALID, NULL, "file name too long: %.100s", name);
    snprintf(file->folder, sizeof file->folder, "%s", folder);
    t->n++;
    if (file_read(path, &file->text, f) != ST_OK)
        return ST_INVALID;
    digest_hex(&file->text, file->digest);
    return ST_OK;
}

static enum status tree_read_folder(struct sql_tree *t, const char *sql_dir, const char *folder,
                                    struct fault *f)
{
    const size_t first = t->n;
    char path[PATH_MAX];
    DIR *dir;
    enum status st = ST_OK;

    snprintf(path, sizeof path, "%s/%s", sql_dir, folder);
    if (!(dir = opendir(path)))
        return fault_set(f, ST_INVALID, NULL, "cannot open %.120s: %s", path, strerror(errno));
    for (struct dirent *e; st == ST_OK && (e = readdir(dir));) {
        const size_t n = strlen(e->d_name);

        if (e->d_name[0] != '.' && n > 4 && strcmp(e->d_name + n - 4, ".sql") == 0)
            st = tree_add(t, sql_dir, folder, e->d_name, f);
    }
    closedir(dir);
    qsort(t->files + first, t->n - first, sizeof *t->files, by_name);
    return st;
}

/* Migration i must be called NNNN_name.sql with NNNN = i + 1: no gap and no twin. */
static enum status tree_check_numbers(const struct sql_tree *t, struct fault *f)
{
    for (size_t i = 0; i < t->migrations; i++) {
        char wanted[24];

        snprintf(wanted, sizeof wanted, "%04zu_", i + 1);
        if (strncmp(t->files[i].name, wanted, 5) != 0)
            return fault_set(f, ST_INVALID, NULL, "migrations/%.80s is out of sequence: %s... is next",
                             t->files[i].name, wanted);
    }
    return ST_OK;
}

/* Of all code: names and digests, in order. */
static enum status tree_digest(struct sql_tree *t, struct fault *f)
{
    struct buffer all = { 0 };
    enum status st = ST_OK;

    for (size_t i = t->migrations; i < t->n; i++)
        buffer_printf(&all, "%s/%s %s\n", t->files[i].folder, t->files[i].name, t->files[i].digest);
    if (all.failed)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    else
        digest_hex(&all, t->code_digest);
    buffer_free(&all);
    return st;
}

static enum status tree_read(struct sql_tree *t, const char *sql_dir, struct fault *f)
{
    enum status st = ST_OK;

    *t = (struct sql_tree){ .files = calloc(LIMIT_SQL_FILES, sizeof *t->files) };
    if (!t->files)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (size_t i = 0; st == ST_OK && i < sizeof folders / sizeof *folders; i++) {
        st = tree_read_folder(t, sql_dir, folders[i], f);
        if (i == 0)
            t->migrations = t->n;
    }
    if (st == ST_OK)
        st = tree_check_numbers(t, f);
    if (st == ST_OK)
        st = tree_digest(t, f);
    if (st != ST_OK)
        tree_free(t);
    return st;
}

/* --- statements
 * --------------------------------------------------------------------------------------------- */

/* Where in a file a statement failed: the line of the reported character, 0 when unknown. */
static int line_of(const PGresult *r, const struct sql_file *file)
{
    const char *position = PQresultErrorField(r, PG_DIAG_STATEMENT_POSITION);
    long at = position ? strtol(position, NULL, 10) : 0, n = 0;
    int line = 1;

    if (at <= 0)
        return 0;
    for (size_t i = 0; i < file->text.n && n < at - 1; i++) {
        n += (file->text.p[i] & 0xc0) != 0x80; /* positions count characters */
        line += file->text.p[i] == '\n';
    }
    return line;
}

static enum status failure(PGconn *c, const PGresult *r, const struct sql_file *file, struct fault *f)
{
    const char *message = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;

    if (PQstatus(c) != CONNECTION_OK || !state)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the database connection was lost");
    if (strcmp(state, "55P03") == 0)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the schema is in use, try again");
    if (file && line_of(r, file))
        return fault_set(f, ST_INVALID, NULL, "%s/%s:%d: %.110s", file->folder, file->name,
                         line_of(r, file), message);
    if (file)
        return fault_set(f, ST_INVALID, NULL, "%s/%s: %.110s", file->folder, file->name, message);
    return fault_set(f, ST_INVALID, NULL, "%.180s", message);
}

/* One or more statements without parameters; the last result is dropped. A file of comments is an empty
 * query. */
static enum status run(PGconn *c, const char *sql, const struct sql_file *file, struct fault *f)
{
    PGresult *r = PQexec(c, sql);
    const ExecStatusType got = PQresultStatus(r);
    const bool good = got == PGRES_COMMAND_OK || got == PGRES_TUPLES_OK || got == PGRES_EMPTY_QUERY;
    enum status st = good ? ST_OK : failure(c, r, file, f);

    PQclear(r);
    return st;
}

static enum status ask(PGconn *c, const char *sql, int n, const char *const *values, PGresult **ret,
                       struct fault *f)
{
    PGresult *r = PQexecParams(c, sql, n, NULL, values, NULL, NULL, 0);
    enum status st = ST_OK;

    if (PQresultStatus(r) != PGRES_TUPLES_OK && PQresultStatus(r) != PGRES_COMMAND_OK)
        st = failure(c, r, NULL, f);
    if (st == ST_OK && ret)
        *ret = r;
    else
        PQclear(r);
    return st;
}

static enum status run_file(PGconn *c, struct sql_file *file, struct fault *f)
{
    enum status st = run(c, buffer_terminate(&file->text), file, f);

    /* A file that ended our transaction would leave half of itself behind after a failure. */
    if (st == ST_OK && PQtransactionStatus(c) != PQTRANS_INTRANS)
        st = fault_set(f, ST_INVALID, NULL, "%s/%s must not end the transaction", file->folder,
                       file->name);
    return st;
}

static enum status begin(PGconn *c, struct fault *f)
{
    return run(c,
               "BEGIN; SET LOCAL ROLE fovea_owner; SET LOCAL lock_timeout = '10s';"
               "SET LOCAL client_min_messages = warning; SET LOCAL search_path = pg_catalog;",
               NULL, f);
}

static enum status finish(PGconn *c, enum status st, struct fault *f)
{
    if (st == ST_OK)
        return run(c, "COMMIT", NULL, f);
    PQclear(PQexec(c, "ROLLBACK"));
    return st;
}

/* --- migrations
 * --------------------------------------------------------------------------------------------- */

/* The applied ones must be, byte for byte, the first of the folder. *ret_applied: how many. */
static enum status compare_migrations(PGconn *c, const char *table, const struct sql_tree *t,
                                      size_t *ret_applied, struct fault *f)
{
    char sql[128];
    PGresult *r = NULL;
    enum status st;

    snprintf(sql, sizeof sql, "SELECT m.number, m.name, m.sha256 FROM %s m ORDER BY m.number", table);
    if ((st = ask(c, sql, 0, NULL, &r, f)) != ST_OK)
        return st;
    const size_t applied = (size_t)PQntuples(r);

    for (size_t i = 0; st == ST_OK && i < applied; i++) {
        const char *name = PQgetvalue(r, (int)i, 1);

        if (i >= t->migrations || strcmp(t->files[i].name, name) != 0)
            st = fault_set(f, ST_CONFLICT, NULL, "migrations/%.100s was applied but is not there", name);
        else if (strcmp(t->files[i].digest, PQgetvalue(r, (int)i, 2)) != 0)
            st = fault_set(f, ST_CONFLICT, NULL, "migrations/%.100s was applied and has changed since",
                           name);
    }
    PQclear(r);
    if (st == ST_OK)
        *ret_applied = applied;
    return st;
}

static enum status apply_migration(PGconn *c, struct sql_file *file, struct fault *f)
{
    char number[5];
    const char *values[] = { number, file->name, file->digest };
    enum status st = begin(c, f);

    snprintf(number, sizeof number, "%.4s", file->name);
    if (st == ST_OK)
        st = run_file(c, file, f);
    if (st == ST_OK)
        st = ask(c, "INSERT INTO data.migration (number, name, sha256) VALUES ($1::integer, $2, $3)", 3,
                 values, NULL, f);
    return finish(c, st, f);
}

/* --- code
 * --------------------------------------------------------------------------------------------------- */

/* Schemas: domain, and one per file of dialect/. Names come from our own files, checked to be plain
 * words. */
static enum status code_schemas(const struct sql_tree *t, struct buffer *ret, struct fault *f)
{
    buffer_text(ret, "{domain");
    for (size_t i = t->migrations; i < t->n; i++) {
        const char *name = t->files[i].name;
        const size_t n = strlen(name) - 4;

        if (strcmp(t->files[i].folder, "dialect") != 0)
            continue;
        if (strspn(name, "abcdefghijklmnopqrstuvwxyz") != n || strncmp(name, "data", n) == 0)
            return fault_set(f, ST_INVALID, NULL, "dialect/%.80s: not a name of a dialect", name);
        buffer_printf(ret, ",%.*s", (int)n, name);
    }
    buffer_char(ret, '}');
    return ret->failed ? fault_set(f, ST_UNAVAILABLE, NULL, "out of memory") : ST_OK;
}

/* $1: schemas to be. What is there is what the last run recorded. */
static const char code_drop[] =
    "SELECT format('DROP SCHEMA IF EXISTS %I CASCADE', s)"
    "  FROM (SELECT unnest(v.schemas) FROM data.code_version v UNION SELECT unnest($1::text[])) AS x(s)";
static const char code_create[] =
    "SELECT format('CREATE SCHEMA %1$I;"
    "               GRANT USAGE ON SCHEMA %1$I TO fovea_api;"
    "               ALTER DEFAULT PRIVILEGES IN SCHEMA %1$I GRANT SELECT ON TABLES TO fovea_api;"
    "               ALTER DEFAULT PRIVILEGES IN SCHEMA %1$I GRANT EXECUTE ON FUNCTIONS TO fovea_api', s)"
    "  FROM unnest($1::text[]) AS x(s)";
static const char code_close[] = "SELECT format('REVOKE ALL ON ALL FUNCTIONS IN SCHEMA %I FROM PUBLIC', "
                                 "s) FROM unnest($1::text[]) AS x(s)";

/* Runs each statement that the query makes. */
static enum status run_made(PGconn *c, const char *query, const char *schemas, struct fault *f)
{
    PGresult *r = NULL;
    enum status st = ask(c, query, 1, &schemas, &r, f);

    for (int i = 0; st == ST_OK && i < PQntuples(r); i++)
        st = run(c, PQgetvalue(r, i, 0), NULL, f);
    PQclear(r);
    return st;
}

static enum status reload_code(PGconn *c, struct sql_tree *t, struct fault *f)
{
    struct buffer schemas = { 0 };
    const char *values[2];
    enum status st = code_schemas(t, &schemas, f);

    values[0] = t->code_digest;
    values[1] = buffer_terminate(&schemas);
    if (st == ST_OK)
        st = begin(c, f);
    if (st == ST_OK)
        st = run_made(c, code_drop, values[1], f);
    if (st == ST_OK)
        st = run_made(c, code_create, values[1], f);
    for (size_t i = t->migrations; st == ST_OK && i < t->n; i++) {
        st = run_file(c, &t->files[i], f);
        (void)failpoint("code_file_loaded");
    }
    if (st == ST_OK)
        st = run_made(c, code_close, values[1], f);
    if (st == ST_OK)
        st = ask(c,
                 "INSERT INTO data.code_version (sha256, schemas) VALUES ($1, $2::text[])"
                 " ON CONFLICT (one) DO UPDATE SET sha256 = excluded.sha256, schemas = excluded.schemas,"
                 " applied_at = now()",
                 2, values, NULL, f);
    st = finish(c, st, f);
    buffer_free(&schemas);
    return st;
}

static enum status code_current(PGconn *c, const char *table, const struct sql_tree *t, bool *ret,
                                struct fault *f)
{
    const char *value = t->code_digest;
    char sql[128];
    PGresult *r = NULL;
    enum status st;

    snprintf(sql, sizeof sql, "SELECT 1 FROM %s v WHERE v.sha256 = $1", table);
    if ((st = ask(c, sql, 1, &value, &r, f)) != ST_OK)
        return st;
    *ret = PQntuples(r) == 1;
    PQclear(r);
    return ST_OK;
}

/* --- entry points
 * ------------------------------------------------------------------------------------------- */

static void say(FILE *progress, const char *what, const char *name)
{
    if (progress) {
        fprintf(progress, "migrate: %s %s\n", what, name);
        fflush(progress);
    }
}

static enum status prepare(PGconn *c, struct fault *f)
{
    PGresult *r = NULL;
    enum status st =
        ask(c, "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user", 0, NULL, &r, f);

    if (st != ST_OK)
        return st;
    const bool superuser = PQntuples(r) == 1 && strcmp(PQgetvalue(r, 0, 0), "t") == 0;

    PQclear(r);
    if (superuser && (st = run(c, roles, NULL, f)) != ST_OK)
        return st;
    if ((st = run(c, settings, NULL, f)) != ST_OK)
        return st;
    if ((st = begin(c, f)) == ST_OK)
        st = run(c, bootstrap, NULL, f);
    return finish(c, st, f);
}

static enum status run_locked(PGconn *c, struct sql_tree *t, FILE *progress, struct fault *f)
{
    size_t applied = 0;
    bool current = false;
    enum status st = prepare(c, f);

    if (st == ST_OK)
        st = compare_migrations(c, "data.migration", t, &applied, f);
    for (size_t i = applied; st == ST_OK && i < t->migrations; i++) {
        say(progress, "applying", t->files[i].name);
        st = apply_migration(c, &t->files[i], f);
        (void)failpoint("migration_applied");
    }
    if (st == ST_OK)
        st = code_current(c, "data.code_version", t, &current, f);
    if (st == ST_OK && !current) {
        say(progress, "loading", "domain and dialects");
        st = reload_code(c, t, f);
    }
    return st;
}

enum status migrate_run(PGconn *owner, const char *sql_dir, FILE *progress, struct fault *f)
{
    struct sql_tree t;
    enum status st = tree_read(&t, sql_dir, f);

    if (st != ST_OK)
        return st;
    if ((st = run(owner, "SELECT pg_advisory_lock(" ADVISORY_LOCK ")", NULL, f)) == ST_OK) {
        st = run_locked(owner, &t, progress, f);
        PQclear(PQexec(owner, "SELECT pg_advisory_unlock(" ADVISORY_LOCK ")"));
    }
    tree_free(&t);
    return st;
}

enum status migrate_check(PGconn *conn, const char *sql_dir, bool *ret_current, struct fault *f)
{
    struct sql_tree t;
    PGresult *r = NULL;
    size_t applied = 0;
    bool code = false;
    enum status st = tree_read(&t, sql_dir, f);

    if (st != ST_OK)
        return st;
    st = ask(conn,
             "SELECT to_regclass('domain.migration') IS NOT NULL AND to_regclass('domain.code_version') "
             "IS NOT NULL",
             0, NULL, &r, f);
    const bool installed = st == ST_OK && strcmp(PQgetvalue(r, 0, 0), "t") == 0;

    PQclear(r);
    if (installed) {
        st = compare_migrations(conn, "domain.migration", &t, &applied, f);
        if (st == ST_CONFLICT)
            st = ST_OK, applied = SIZE_MAX;
        if (st == ST_OK)
            st = code_current(conn, "domain.code_version", &t, &code, f);
    }
    if (st == ST_OK)
        *ret_current = installed && code && applied == t.migrations;
    tree_free(&t);
    return st;
}
