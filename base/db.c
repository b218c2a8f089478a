/* One connection: statements, pipelines, reconnection. What errors mean is in db_fault.c. */
#include "base/db.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/db_fault.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/text.h"

enum {
    STATEMENT_SLOTS = 256, /* prepared per connection; the least recently used goes */
    BACKOFF_FIRST_MS = 50,
    BACKOFF_MOST_MS = 500, /* callers get 503 meanwhile: soon enough after the database is back */
    PARAMS_MAX = 40,
};

struct statement {
    const char *key; /* where the caller had the text; only ever compared */
    char *sql;
    unsigned serial; /* its name is "s<serial>" */
    uint64_t used;
};

struct db {
    PGconn *conn;
    char *conninfo;
    struct statement statements[STATEMENT_SLOTS];
    size_t nstatements;
    unsigned serial;
    uint64_t clock;
    int64_t retry_at_ms;
    int backoff_ms;
};

struct db *db_create(const char *conninfo)
{
    struct db *db = calloc(1, sizeof *db);

    if (db && !(db->conninfo = strdup(conninfo))) {
        free(db);
        return NULL;
    }
    return db;
}

static void statements_forget(struct db *db)
{
    for (size_t i = 0; i < db->nstatements; i++)
        free(db->statements[i].sql);
    db->nstatements = 0;
}

void db_free(struct db *db)
{
    if (!db)
        return;
    statements_forget(db);
    PQfinish(db->conn);
    free(db->conninfo);
    free(db);
}

static void disconnect(struct db *db)
{
    statements_forget(db);
    PQfinish(db->conn);
    db->conn = NULL;
}

static void notice_ignored(void *arg, const PGresult *r)
{
    (void)arg;
    (void)r;
}

enum status db_connect(struct db *db, struct fault *f)
{
    const int64_t now = clock_monotonic_ms();

    if (db->conn && PQstatus(db->conn) == CONNECTION_OK)
        return ST_OK;
    disconnect(db);
    if (now < db->retry_at_ms)
        goto away;
    db->conn = PQconnectdb(db->conninfo);
    if (PQstatus(db->conn) == CONNECTION_OK) {
        PQsetNoticeReceiver(db->conn, notice_ignored, NULL);
        db->backoff_ms = 0;
        return ST_OK;
    }
    log_event(LOG_LEVEL_WARNING, "database_unreachable", "detail", PQerrorMessage(db->conn), NULL);
    disconnect(db);
    db->backoff_ms = db->backoff_ms ? db->backoff_ms * 2 : BACKOFF_FIRST_MS;
    if (db->backoff_ms > BACKOFF_MOST_MS)
        db->backoff_ms = BACKOFF_MOST_MS;
    db->retry_at_ms = now + db->backoff_ms;
away:
    return db_away(f);
}

/* A write is not tried twice, so it must not begin on a connection that the server has closed. */
static enum status connect_to_write(struct db *db, struct fault *f)
{
    struct pollfd p = { .fd = db->conn ? PQsocket(db->conn) : -1, .events = POLLRDHUP };

    if (db->conn && PQtransactionStatus(db->conn) == PQTRANS_IDLE && poll(&p, 1, 0) > 0)
        disconnect(db);
    return db_connect(db, f);
}

PGconn *db_connection(struct db *db)
{
    return db->conn;
}

static void statement_drop(struct db *db, size_t i)
{
    char command[64];

    snprintf(command, sizeof command, "DEALLOCATE s%u", db->statements[i].serial);
    PQclear(PQexec(db->conn, command));
    free(db->statements[i].sql);
    db->statements[i] = db->statements[--db->nstatements];
}

static void statement_evict(struct db *db)
{
    size_t oldest = 0;

    for (size_t i = 1; i < db->nstatements; i++)
        if (db->statements[i].used < db->statements[oldest].used)
            oldest = i;
    statement_drop(db, oldest);
}

static struct statement *statement_find(struct db *db, const char *sql)
{
    for (size_t i = 0; i < db->nstatements;
         i++) /* constants have one address: no text is compared but once */
        if (db->statements[i].key == sql && strcmp(db->statements[i].sql, sql) == 0)
            return &db->statements[i];
    for (size_t i = 0; i < db->nstatements; i++)
        if (strcmp(db->statements[i].sql, sql) == 0)
            return &db->statements[i];
    return NULL;
}

/* The name under which sql is prepared on this connection, into name[16]. */
static enum status statement_prepare(struct db *db, const char *sql, char *name, struct fault *f)
{
    struct statement *s = statement_find(db, sql);
    PGresult *r;

    if (!s) {
        if (db->nstatements == STATEMENT_SLOTS)
            statement_evict(db);
        snprintf(name, 16, "s%u", ++db->serial);
        r = PQprepare(db->conn, name, sql, 0, NULL);
        if (PQresultStatus(r) != PGRES_COMMAND_OK) {
            const enum status st = db_fault_from(db->conn, r, f);

            PQclear(r);
            return st;
        }
        PQclear(r);
        s = &db->statements[db->nstatements];
        if (!(s->sql = strdup(sql)))
            return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        s->key = sql;
        s->serial = db->serial;
        db->nstatements++;
    }
    s->used = ++db->clock;
    snprintf(name, 16, "s%u", s->serial);
    return ST_OK;
}

struct bound {
    const char *values[PARAMS_MAX];
    int lengths[PARAMS_MAX], formats[PARAMS_MAX];
};

static void bind(struct bound *b, const struct param *params, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        b->values[i] = params[i].text;
        b->lengths[i] = params[i].length;
        b->formats[i] = params[i].binary;
    }
}

/*
 * Worth one more try with statements prepared anew: a schema that was reloaded under us (the plan's
 * types changed, the function is gone), and what PostgreSQL itself took back (deadlock, serialization).
 * Nothing has happened in any case.
 */
static bool is_stale(const PGresult *r)
{
    static const char *const states[] = { "0A000", "42883", "26000", "XX000", "40P01", "40001", NULL };
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

    for (size_t i = 0; state && states[i]; i++)
        if (strcmp(states[i], state) == 0)
            return true;
    return false;
}

static bool is_good(const PGresult *r)
{
    const ExecStatusType t = PQresultStatus(r);

    return t == PGRES_TUPLES_OK || t == PGRES_COMMAND_OK;
}

static enum status read_once(struct db *db, const char *sql, const struct bound *b, size_t n,
                             PGresult **ret, bool *ret_again, struct fault *f)
{
    char name[16];
    enum status st;
    PGresult *r;

    *ret_again = false;
    if ((st = statement_prepare(db, sql, name, f)) != ST_OK) {
        *ret_again = PQstatus(db->conn) != CONNECTION_OK;
        return st;
    }
    r = PQexecPrepared(db->conn, name, (int)n, b->values, b->lengths, b->formats, 0);
    if (is_good(r)) {
        *ret = r;
        return ST_OK;
    }
    st = db_fault_from(db->conn, r, f);
    if (PQstatus(db->conn) != CONNECTION_OK) {
        *ret_again = true;
    } else if (is_stale(r)) {
        struct statement *s = statement_find(db, sql);

        if (s)
            statement_drop(db, (size_t)(s - db->statements));
        *ret_again = true;
    }
    PQclear(r);
    return st;
}

enum status db_read(struct db *db, const char *sql, const struct param *params, size_t n, PGresult **ret,
                    struct fault *f)
{
    struct bound b;
    enum status st;
    bool again;

    if (n > PARAMS_MAX)
        return fault_set(f, ST_INTERNAL, NULL, "too many parameters");
    bind(&b, params, n);
    if ((st = db_connect(db, f)) != ST_OK)
        return st;
    st = read_once(db, sql, &b, n, ret, &again, f);
    if (st != ST_OK && again && (st = db_connect(db, f)) == ST_OK)
        st = read_once(db, sql, &b, n, ret, &again, f);
    return st;
}

static bool send_calls(struct db *db, const struct db_call *calls, char (*names)[16], size_t n)
{
    const bool commits =
        PQtransactionStatus(db->conn) == PQTRANS_IDLE; /* else a transaction is open around us */
    struct bound b;

    for (size_t i = 0; i < n; i++) {
        bind(&b, calls[i].params, calls[i].n);
        if (!PQsendQueryPrepared(db->conn, names[i], (int)calls[i].n, b.values, b.lengths, b.formats, 0))
            return false;
    }
    if (commits)
        (void)failpoint("before_commit");
    if (!PQpipelineSync(db->conn))
        return false;
    if (commits)
        (void)failpoint("commit_sent");
    return true;
}

/* Reads results up to the sync; keeps the last good one, explains the first bad one. */
static enum status collect(struct db *db, size_t n, PGresult **ret_last, bool *ret_stale,
                           struct fault *f)
{
    enum status st = ST_OK;
    PGresult *last = NULL, *r;

    *ret_stale = false;
    for (size_t i = 0; i < n; i++) {
        while ((r = PQgetResult(db->conn))) {
            if (is_good(r)) {
                PQclear(last);
                last = r;
                continue;
            }
            if (st == ST_OK && PQresultStatus(r) != PGRES_PIPELINE_ABORTED) {
                st = db_fault_from(db->conn, r, f);
                *ret_stale = is_stale(r);
            }
            PQclear(r);
        }
    }
    r = PQgetResult(db->conn);
    if (st == ST_OK && PQresultStatus(r) != PGRES_PIPELINE_SYNC)
        st = db_fault_from(db->conn, r, f); /* the commit itself failed, or the connection did */
    PQclear(r);
    if (st == ST_OK && !last)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the database did not answer");
    if (st == ST_OK)
        *ret_last = last;
    else
        PQclear(last);
    return st;
}

static enum status write_once(struct db *db, const struct db_call *calls, size_t n, PGresult **ret,
                              bool *ret_stale, struct fault *f)
{
    char names[8][16];
    enum status st;

    *ret_stale = false;
    for (size_t i = 0; i < n; i++)
        if ((st = statement_prepare(db, calls[i].sql, names[i], f)) != ST_OK)
            return st;
    if (!PQenterPipelineMode(db->conn) || !send_calls(db, calls, names, n)) {
        disconnect(db);
        return db_away(f);
    }
    st = collect(db, n, ret, ret_stale, f);
    if (PQstatus(db->conn) != CONNECTION_OK || !PQexitPipelineMode(db->conn))
        disconnect(db);
    return st;
}

enum status db_write(struct db *db, const struct db_call *calls, size_t n, PGresult **ret,
                     struct fault *f)
{
    enum status st;
    bool stale;

    for (size_t i = 0; i < n; i++)
        if (calls[i].n > PARAMS_MAX || n > 8)
            return fault_set(f, ST_INTERNAL, NULL, "too many parameters");
    if ((st = connect_to_write(db, f)) != ST_OK)
        return st;
    st = write_once(db, calls, n, ret, &stale, f);
    if (st != ST_OK && stale &&
        db->conn) { /* nothing happened: the statement was refused before it ran */
        while (db->nstatements)
            statement_drop(db, db->nstatements - 1);
        st = write_once(db, calls, n, ret, &stale, f);
    } else if (st == ST_UNAVAILABLE && !db->conn && f && f->retry_after_s == 0) {
        f->retry_after_s = 1;
    }
    return st;
}

/* BEGIN and the calls. *ret_again: a statement was stale and is forgotten; nothing has happened. */
static enum status write_open(struct db *db, const struct db_call *calls, size_t n, PGresult **ret,
                              bool *ret_again, struct fault *f)
{
    enum status st = connect_to_write(db, f);

    *ret_again = false;
    if (st != ST_OK || (st = db_command(db, "BEGIN", f)) != ST_OK ||
        (st = write_once(db, calls, n, ret, ret_again, f)) == ST_OK)
        return st;
    if (db->conn)
        PQclear(PQexec(db->conn, "ROLLBACK"));
    *ret_again = *ret_again && db->conn;
    while (*ret_again && db->nstatements)
        statement_drop(db, db->nstatements - 1);
    return st;
}

static enum status commit(struct db *db, struct fault *f)
{
    enum status st = ST_OK;
    PGresult *r;

    (void)failpoint("before_commit");
    /* A new connection would commit nothing and say that it went well: this one or none. */
    if (!db->conn || PQtransactionStatus(db->conn) != PQTRANS_INTRANS ||
        !PQsendQuery(db->conn, "COMMIT"))
        return db_away(f);
    (void)failpoint("commit_sent");
    while ((r = PQgetResult(db->conn))) {
        if (!is_good(r))
            st = db_fault_from(db->conn, r, f);
        PQclear(r);
    }
    return st;
}

enum status db_write_checked(struct db *db, const struct db_call *calls, size_t n,
                             enum status (*check)(void *arg, struct fault *f), void *arg, PGresult **ret,
                             struct fault *f)
{
    PGresult *r = NULL;
    enum status st;
    bool again;

    for (size_t i = 0; i < n; i++)
        if (calls[i].n > PARAMS_MAX || n > 8)
            return fault_set(f, ST_INTERNAL, NULL, "too many parameters");
    if ((st = write_open(db, calls, n, &r, &again, f)) != ST_OK && again)
        st = write_open(db, calls, n, &r, &again, f);
    if (st != ST_OK)
        return st;
    if ((st = check(arg, f)) == ST_OK)
        st = commit(db, f);
    else if (db->conn)
        PQclear(PQexec(db->conn, "ROLLBACK"));
    if (st == ST_OK)
        *ret = r;
    else
        PQclear(r);
    return st;
}

enum status db_command(struct db *db, const char *sql, struct fault *f)
{
    enum status st;
    PGresult *r;

    if ((st = db_connect(db, f)) != ST_OK)
        return st;
    r = PQexec(db->conn, sql);
    st = is_good(r) ? ST_OK : db_fault_from(db->conn, r, f);
    PQclear(r);
    return st;
}
