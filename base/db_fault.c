/*
 * SQLSTATE to enum status. Codes FVnnn are raised by the functions of schema domain; constraint errors
 * are looked up by the constraint's name in domain.constraint_fact; what remains is the database being
 * away, or a bug.
 */
#include "base/db_fault.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/db.h"
#include "base/log.h"

enum { FACTS_MAX = 512, INTERN_MAX = 1024 };

struct fact {
    char *constraint, *sentence;
    const char *field;
    enum status status;
};

/* Read anew whenever a connection has come back, while requests look into it. */
struct fact_table {
    size_t n;
    struct fact facts[FACTS_MAX];
};

static struct fact_table *table;
static pthread_rwlock_t table_lock = PTHREAD_RWLOCK_INITIALIZER;
static const char *interned[INTERN_MAX];
static size_t ninterned;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

const char *text_intern(const char *s)
{
    const char *found = NULL;

    if (!s || !*s)
        return NULL;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < ninterned && !found; i++)
        if (strcmp(interned[i], s) == 0)
            found = interned[i];
    if (!found && ninterned < INTERN_MAX && (found = strdup(s)))
        interned[ninterned++] = found;
    pthread_mutex_unlock(&lock);
    return found;
}

/* "FV404" or its last three digits: the same numbers that HTTP has, by agreement. */
static enum status status_from_code(const char *digits)
{
    static const struct {
        const char *digits;
        enum status status;
    } codes[] = {
        { "400", ST_INVALID },  { "403", ST_FORBIDDEN }, { "404", ST_NOT_FOUND },
        { "409", ST_CONFLICT }, { "413", ST_TOO_LARGE }, { "429", ST_RATE_LIMITED },
    };

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (strcmp(codes[i].digits, digits) == 0)
            return codes[i].status;
    return ST_INTERNAL;
}

static void table_free(struct fact_table *t)
{
    for (size_t i = 0; t && i < t->n; i++) {
        free(t->facts[i].constraint);
        free(t->facts[i].sentence);
    }
    free(t);
}

static char *copy_text(PGresult *r, int row, int column)
{
    const char *s = row_text(r, row, column);

    return strdup(s ? s : "");
}

static struct fact_table *table_read(PGresult *r)
{
    struct fact_table *t = calloc(1, sizeof *t);

    for (int i = 0; t && i < PQntuples(r) && t->n < FACTS_MAX; i++) {
        const char *code = row_text(r, i, 1);
        struct fact *fact = &t->facts[t->n++];

        *fact = (struct fact){
            .constraint = copy_text(r, i, 0),
            .sentence = copy_text(r, i, 3),
            .field = text_intern(row_text(r, i, 2)),
            .status = status_from_code(code && strlen(code) == 5 ? code + 2 : ""),
        };
        if (!fact->constraint || !fact->sentence) {
            table_free(t);
            return NULL;
        }
    }
    return t;
}

enum status db_facts_load(struct db *db, struct fault *f)
{
    struct fact_table *fresh, *old;
    PGresult *r;
    enum status st =
        db_read(db, "SELECT name, code, field, sentence FROM domain.constraint_fact()", NULL, 0, &r, f);

    if (st != ST_OK)
        return st;
    fresh = table_read(r);
    PQclear(r);
    if (!fresh)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    pthread_rwlock_wrlock(&table_lock);
    old = table;
    table = fresh;
    pthread_rwlock_unlock(&table_lock);
    table_free(old);
    return ST_OK;
}

enum status db_away(struct fault *f)
{
    fault_set(f, ST_UNAVAILABLE, NULL, "the database is not available, try again");
    if (f)
        f->retry_after_s = 1;
    return ST_UNAVAILABLE;
}

static enum status constraint_fault(const char *name, struct fault *f)
{
    enum status st = ST_OK;

    pthread_rwlock_rdlock(&table_lock);
    for (size_t i = 0; name && table && i < table->n && st == ST_OK; i++)
        if (strcmp(table->facts[i].constraint, name) == 0)
            st = fault_set(f, table->facts[i].status, table->facts[i].field, "%s",
                           table->facts[i].sentence);
    pthread_rwlock_unlock(&table_lock);
    return st != ST_OK ? st : fault_set(f, ST_CONFLICT, NULL, "this collides with what is stored");
}

static bool is_class(const char *state, const char *class)
{
    return strncmp(state, class, 2) == 0;
}

enum status db_fault_from(PGconn *conn, const PGresult *r, struct fault *f)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *message = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;

    if (!state) {
        log_event(LOG_LEVEL_WARNING, "database_lost", "detail", PQerrorMessage(conn), NULL);
        return db_away(f);
    }
    if (is_class(state, "FV"))
        return fault_set(f, status_from_code(state + 2),
                         text_intern(PQresultErrorField(r, PG_DIAG_COLUMN_NAME)), "%s",
                         message ? message : "refused");
    if (is_class(state, "23"))
        return constraint_fault(PQresultErrorField(r, PG_DIAG_CONSTRAINT_NAME), f);
    if (strcmp(state, "22021") == 0 || strcmp(state, "22P05") == 0)
        return fault_set(f, ST_INVALID, NULL, "a text holds a character that cannot be stored");
    if (is_class(state, "22"))
        return fault_set(f, ST_INVALID, NULL, "a value is out of range or not of its form");
    log_event(LOG_LEVEL_ERROR, "database_error", "sqlstate", state, "detail", message, NULL);
    if (is_class(state, "08") || is_class(state, "53") || is_class(state, "57") ||
        is_class(state, "40") || is_class(state, "58"))
        return db_away(f);
    return fault_set(f, ST_INTERNAL, NULL, "internal error");
}
