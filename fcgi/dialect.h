/*
 * What a dialect is: spelling. Tables of routes and keys, a style of rows, and four functions for
 * credentials, paging and errors. A further dialect is these tables, its SQL shapes and a line in
 * main.c.
 */
#ifndef FCGI_DIALECT_H
#define FCGI_DIALECT_H

#include "base/rows.h"
#include "domain/operation.h"
#include "fcgi/http.h"

enum pool { POOL_API, POOL_PREDICT, POOL_SLOW, POOL__COUNT };
extern const char *const pool_names[POOL__COUNT];

enum key_place { IN_PATH, IN_QUERY, IN_BODY };

/* One key of the dialect: where it stands, its name, our field, and how its text becomes ours (NULL: as
 * it is). */
struct key {
    enum key_place place;
    const char *name;
    int field;
    /* A word of the dialect to the domain's word; NULL: unknown word. */
    const char *(*word)(const char *word, struct arena *a);
};

struct page_rule {
    int64_t standard, most; /* rows when not asked, and at most */
};

typedef enum status handler_fn(struct request *rq, struct response *rs, struct fault *f);

enum body_kind { BODY_NONE, BODY_JSON, BODY_JSON_OPTIONAL, BODY_OWN /* the handler reads it */ };

/* A route that the handlers' layer adds nothing to leaves `handler` NULL. */
struct route {
    const char *method, *pattern; /* "GET", "/projects/{project}" */
    const struct operation *op;
    const struct key *keys;
    size_t nkeys;
    const char *shape;  /* SQL function of the dialect's schema; NULL: domain columns */
    const char *beside; /* a second one, for columns that only the envelope uses; NULL: none */
    int status;
    const char *envelope; /* see fcgi/envelope.h */
    handler_fn *handler;
    unsigned scopes; /* any of these lets the key pass; admin always does */
    enum body_kind body;
    enum pool pool;
    struct page_rule page;
    bool uncounted;         /* not against the plan's limits */
    bool secret;            /* returns a secret: no Idempotency-Key, no store */
    bool upload;            /* the credential is checked before nginx reads the body */
    const char *summary;    /* one line for the OpenAPI document */
    const char *noun;       /* what a row is: docs/api/schemas/<dialect>/<noun>.json; NULL: none */
    const char *media_type; /* of an answer that is not JSON */
};

/* The JSON Schema of a noun, as lines; a table of them ends with a row of NULLs. */
struct noun_schema {
    const char *dialect, *noun;
    const char *const *lines;
};

struct dialect {
    const char *name; /* also its SQL schema and mount */
    const char *title;
    const char *prefix; /* "/api" */
    const struct route *routes;
    size_t nroutes;
    enum ref_kind ref; /* how ids are spelled */
    struct json_style style;
    const char *docs_note;             /* for the OpenAPI document */
    const struct noun_schema *schemas; /* may hold other dialects' too; NULL: none */

    /* The key of the request; ST_UNAUTHENTICATED when there is none. */
    enum status (*credential)(const struct request *rq, struct slice *ret, struct fault *f);
    /* limit and offset (or cursor) from the query. */
    enum status (*page)(const struct request *rq, const struct page_rule *rule, struct page *ret,
                        struct fault *f);
    /* A text of the path, query or body to a ref. ST_INVALID or a REF_UNKNOWN, as the dialect wants. */
    enum status (*ref_decode)(const char *text, struct arena *a, struct ref *ret);
    /* HTTP number and body of a failure. */
    void (*fault)(const struct request *rq, struct response *rs, enum status st, const struct fault *f);
    /* Headers of every answer (rate limits, cursors); may be NULL. */
    void (*headers)(const struct request *rq, struct response *rs);
};

#define KEYS(table) .keys = (table), .nkeys = sizeof(table) / sizeof *(table)

/* The dialect's key for a field of the route's command, for error bodies; the field itself when there is
 * none. */
const char *dialect_key(const struct request *rq, const char *field, enum key_place *ret_place);

/* Runs the route's operation with rq->command and writes the envelope. */
enum status respond_operation(struct request *rq, struct response *rs, struct fault *f) MUST_USE;

#endif
