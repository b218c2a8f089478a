/*
 * One PostgreSQL connection of one thread: prepared statements, pipelines, reconnection, errors as
 * faults.
 *
 * SQL text is constant or composed at start-up from constants; never from input. Statements are prepared
 * once per connection, named by their text, in a small LRU. A broken connection is reopened with
 * back-off; a read that met it is tried once more, a write is not (its outcome is unknown:
 * ST_UNAVAILABLE).
 */
#ifndef BASE_DB_H
#define BASE_DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/status.h"

/* A parameter in text form; NULL text is SQL NULL. Texts live as long as the call. */
struct param {
    const char *text;
    int length; /* of a binary value; 0 for text */
    bool binary;
};

struct db_call {
    const char *sql;
    const struct param *params;
    size_t n;
};

struct db;

struct db *db_create(const char *conninfo); /* does not connect yet; NULL: out of memory */
void db_free(struct db *db);                /* accepts NULL */

/* One statement that only reads. Caller clears *ret with PQclear. Zero rows are ST_OK. */
enum status db_read(struct db *db, const char *sql, const struct param *params, size_t n, PGresult **ret,
                    struct fault *f) MUST_USE;

/*
 * Several statements in one pipeline: one round trip, one transaction. *ret is the result of the last
 * one. ST_OK only after the commit is known.
 */
enum status db_write(struct db *db, const struct db_call *calls, size_t n, PGresult **ret,
                     struct fault *f) MUST_USE;

/*
 * The same in a transaction of its own, with a last word before its end: check runs when all calls have
 * succeeded and nothing is committed yet; when it fails, all is rolled back. Costs two round trips more.
 */
enum status db_write_checked(struct db *db, const struct db_call *calls, size_t n,
                             enum status (*check)(void *arg, struct fault *f), void *arg, PGresult **ret,
                             struct fault *f) MUST_USE;

/* A simple command without parameters, such as LISTEN. */
enum status db_command(struct db *db, const char *sql, struct fault *f) MUST_USE;

/* The connection itself, for LISTEN loops and COPY; NULL while it is down. */
PGconn *db_connection(struct db *db);
/* Tries to connect now. */
enum status db_connect(struct db *db, struct fault *f) MUST_USE;

/*
 * What the named constraints mean, read once from domain.constraint_fact; shared by all connections of
 * the process. Without it a constraint error is a plain conflict.
 */
enum status db_facts_load(struct db *db, struct fault *f) MUST_USE;

/* The same pointer for equal text, for the whole process: fault fields are constant strings. */
const char *text_intern(const char *s);

/* Parameters from values; texts are made in the arena. */
struct param p_i64(struct arena *a, int64_t v);
struct param p_text(const char *s); /* NULL allowed */
struct param p_bool(bool v);
struct param p_f64(struct arena *a, double v);
struct param p_bytes(const void *p, size_t n); /* bytea in binary form */
struct param p_null(void);
/* text[] literal from items. */
struct param p_texts(struct arena *a, const char *const *items, size_t n);

/* Columns of a row, for short queries in C. */
int64_t row_i64(const PGresult *r, int row, int column);      /* 0 when NULL */
const char *row_text(const PGresult *r, int row, int column); /* NULL when NULL */
bool row_bool(const PGresult *r, int row, int column);
/* A bytea column in the hex form; false when NULL or of another length. */
bool row_bytes(const PGresult *r, int row, int column, uint8_t *ret, size_t n);

#endif
