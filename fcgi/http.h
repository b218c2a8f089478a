/*
 * A request and its response, without the transport: what handlers see. One thread serves one request at
 * a time; everything in a request lives in its arena until the response is sent.
 */
#ifndef FCGI_HTTP_H
#define FCGI_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/db.h"
#include "base/status.h"
#include "base/text.h"
#include "domain/operation.h"

struct context; /* fcgi/context.h: what the process shares */
struct dialect; /* fcgi/dialect.h */
struct route;
struct json_object;

enum { REQUEST_SEGMENTS = 16, REQUEST_PARAMS = 64 };

struct pair {
    const char *name, *value;
};

/* How the transport gives headers and body. */
struct transport {
    void *arg;
    const char *(*param)(void *arg, const char *name); /* CGI name; NULL when absent */
    size_t (*read)(void *arg, char *p, size_t n);      /* the body; 0 at its end */
    /* A piece of an answer whose length nobody knows yet. False: the client has gone. */
    bool (*write)(void *arg, const char *p, size_t n);
    /* A whole answer and its end. */
    bool (*answer)(void *arg, struct slice head, struct slice body);
};

/* A named part of a JSON body or a form, in the order of the body. */
struct request {
    struct context *ctx;
    struct db *db;
    struct arena *arena;
    const struct transport *transport;

    const char *method; /* "GET" ...; HEAD is served as GET without a body */
    bool head;
    const char *path;      /* decoded, after the mount: "/api/projects/1" */
    const char *raw_query; /* undecoded, "" when absent */
    const char *raw_path;  /* undecoded, after the mount */
    const char *segments[REQUEST_SEGMENTS];
    size_t nsegments;
    struct pair query[REQUEST_PARAMS];
    size_t nquery;

    const char *id; /* X-Request-ID */
    const char *mount;
    const char *base_url; /* by request_base_url */
    const char *content_type;
    int64_t content_length; /* -1: none */
    const char *body_file;  /* where nginx spooled the body, or NULL */

    const struct dialect *dialect;
    const struct route *route; /* NULL until found */
    const char *path_values[REQUEST_SEGMENTS];
    struct actor who;
    bool authenticated;
    struct rate_answer *rate; /* for the headers; NULL when not counted */

    struct json_object *body; /* parsed JSON object, or NULL */
    struct pair *form;        /* text parts of a multipart body */
    size_t nform;
    /* The last word inside the transaction of a write, or NULL: a failure takes it back. */
    enum status (*before_commit)(void *arg, struct fault *f);
    void *before_commit_arg;
    void *command; /* decoded; of the operation's record */
    struct page page;
    struct pair extras[8]; /* JSON texts for the envelope's $:name */
    size_t nextras;
};

struct response {
    int status;
    struct buffer headers; /* "Name: value\r\n" lines */
    struct buffer body;
    const char *content_type;
    bool streaming; /* the head is out; body went to the transport */
    bool client_gone;
    bool handed_over; /* nginx sends a file in its place, and gives the connection up */
    int64_t streamed_bytes;
};

const char *request_header(const struct request *rq,
                           const char *cgi_name); /* "HTTP_IDEMPOTENCY_KEY"; NULL */
/* Scheme, host and mount for absolute URLs, without a slash at the end. Worked out when it is first
 * asked for. */
const char *request_base_url(struct request *rq);
/* nginx asks whether an upload may begin, before it reads the body. */
bool request_is_precheck(const struct request *rq);
const char *request_query(const struct request *rq, const char *name); /* decoded; NULL when absent */
/* Reads the whole body (from the pipe or from nginx's file), at most max bytes. The bytes live in the
 * arena. */
enum status request_body(struct request *rq, size_t max, struct slice *ret, struct fault *f) MUST_USE;
/* A variable of the envelope; value is JSON text. */
void request_extra(struct request *rq, const char *name, const char *json);

void response_header(struct response *rs, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Sends the head now; from here on response_stream writes the body. */
bool response_stream_begin(struct request *rq, struct response *rs);
bool response_stream(struct request *rq, struct response *rs, const void *p, size_t n);
/* Lets nginx send a file of the store. */
void response_file(struct response *rs, const char *store_path, const char *content_type);

/* Fills the request from the transport: path, query, ids. ST_INVALID: a path or query that cannot be. */
enum status request_parse(struct request *rq, struct fault *f) MUST_USE;

/* Decodes %XX in place and cuts there; false for bad escapes, NUL or text that is not UTF-8. */
bool url_decode(char *s, bool plus_is_space);
/* Appends s percent-encoded for a path segment or a query value. */
void url_encode(struct buffer *out, const char *s);

#endif
