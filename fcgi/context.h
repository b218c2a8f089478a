/* What all threads of a process share; set up before threads start, read-only after (but for what locks
 * itself). */
#ifndef FCGI_CONTEXT_H
#define FCGI_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "fcgi/dialect.h"
#include "fcgi/streams.h"

struct store;
struct signer;
struct keycache;
struct limiter;
struct metrics;
struct serving;
struct router;
struct dbpool;

struct context {
    enum pool pool;
    const struct dialect *const *dialects;
    size_t ndialects;
    struct router *router;
    struct store *store;
    struct signer *signer;
    struct keycache *keys;
    struct limiter *limiter;
    struct metrics *metrics;
    struct serving *serving; /* pool predict only */
    struct dbpool *dbpool;   /* NULL in pool api: each thread has a connection of its own */
    struct streams streams;
    const char *spool_dir, *dsn, *sql_dir;
    atomic_bool draining; /* set once by the stop signal */
};

const struct dialect *context_dialect(const struct context *ctx, const char *name); /* NULL: unknown */

#endif
