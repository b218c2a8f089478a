/*
 * What the product can do, once: an operation is a domain function of SQL, its typed input and the
 * permission it needs. Dialects add spelling: see fcgi/route.h. The sentences are composed here, from
 * constant names and from fragments of the operation's own tables, never from input.
 */
#ifndef DOMAIN_OPERATION_H
#define DOMAIN_OPERATION_H

#include "domain/record.h"

/* What a key may do: the bits of domain.actor.scopes. */
enum scope {
    SCOPE_TRAINING = 1,
    SCOPE_MODELS = 2,
    SCOPE_DATASETS = 4,
    SCOPE_READ = 8,
    SCOPE_WRITE = 16,
    SCOPE_PREDICT = 32,
    SCOPE_ADMIN = 64,
};

/* Who asks. Mirrors the composite domain.actor. */
struct actor {
    int64_t account_id, organization_id, key_id;
    unsigned scopes;
    bool site_admin;
};

enum operation_kind {
    OP_GET,   /* call(actor, args) gives the row */
    OP_LIST,  /* call(actor, args) gives the rows, total(actor, args) their number */
    OP_WRITE, /* call(actor, args) changes; read(actor, id) gives the row, or NULL: nothing to read */
};

/* A condition that applies when its field was given; '?' in sql stands for the value, r for the row. */
struct filter {
    int field;
    const char *sql;
};
struct sort {
    const char *name; /* value of the command's field `sort` */
    const char *sql;  /* "lower(r.name)" */
};

struct operation {
    const char *name;
    enum operation_kind kind;
    const char *call, *total, *read;
    const struct record *input; /* NULL: no input. Its first nargs fields are the function's arguments */
    size_t nargs;
    const struct filter *filters;
    size_t nfilters;
    const struct sort *sorts; /* first: the default; none: created_at, newest first */
    size_t nsorts;
    int sort_field, direction_field; /* fields of the command, or -1 */
    bool ascending;                  /* the default direction of a sort of its own */
    bool sends_given;                /* a last parameter text[]: names of the fields that were given */
    bool creates;                    /* honours Idempotency-Key */
    const char *guard; /* OP_LIST: OP_GET-like function of arg 1 that must find a row, else 404 */
};

/* Which rows of a list: offset, or after a cursor. */
struct page {
    int64_t limit, offset;
    bool has_cursor;
    int64_t cursor_us, cursor_id; /* rows strictly older than this one (created_at, id) */
};

/*
 * How the dialect wants to see rows: schema and function of the shape. A second shape of the same row
 * may stand beside it, with columns that only the envelope of a single object uses.
 */
struct shape {
    const char *schema, *name; /* "ultralytics", "project"; name NULL: the columns of the domain row */
    const char *beside;        /* "project_beside", or NULL */
};

struct asker {
    const char *base_url; /* scheme, host and mount, for links in rows */
};

enum { OPERATION_PARAMS = 32, OPERATION_HIDDEN = 3 };

/*
 * A reference that a dialect spells otherwise than by id is looked up where it stands: in a read as an
 * item of FROM, in a write as a sub-select in place of the argument.
 *
 * One sentence with its parameters.
 */
struct sentence {
    const char *sql;
    struct param params[OPERATION_PARAMS];
    size_t n;
};

/*
 * Composes. Texts live in the arena. For a list the first OPERATION_HIDDEN columns are total, id and
 * created_at of the row, the rest is the shape's; an empty page has no row: operation_total counts then.
 */
enum status operation_read(const struct operation *op, const struct actor *who,
                           const struct asker *asker, const struct shape *shape, const void *command,
                           const struct page *page, struct arena *a, struct sentence *ret,
                           struct fault *f) MUST_USE;
/* The total alone, for a list whose page is empty; no row: the guard found nothing. */
enum status operation_total(const struct operation *op, const struct actor *who, const void *command,
                            struct arena *a, struct sentence *ret, struct fault *f) MUST_USE;
/* The write itself, and the sentence that reads the row it remembered (n = 0 in *ret_read when nothing
 * is read). */
enum status operation_write(const struct operation *op, const struct actor *who,
                            const struct asker *asker, const struct shape *shape, const void *command,
                            struct arena *a, struct sentence *ret_write, struct sentence *ret_read,
                            struct fault *f) MUST_USE;
/* The sentence that reads the row `id` as a write of op would have (for a replayed Idempotency-Key). */
enum status operation_reread(const struct operation *op, const struct actor *who,
                             const struct asker *asker, const struct shape *shape, int64_t id,
                             struct arena *a, struct sentence *ret, struct fault *f) MUST_USE;

/* domain.actor and domain.asker as composite literals. */
const char *actor_literal(const struct actor *who, struct arena *a);
const char *asker_literal(const struct actor *who, const struct asker *asker, struct arena *a);

#endif
