/*
 * Which route a request means: the dialects' tables, compiled once. Also the nginx map that sends each
 * route to its pool (`fovea-api --nginx-map`), so that the tables are the only place where a pool is
 * named.
 */
#ifndef FCGI_ROUTER_H
#define FCGI_ROUTER_H

#include <stdio.h>
#include "fcgi/dialect.h"

struct router;

struct router *router_create(const struct dialect *const *dialects, size_t n); /* NULL: out of memory */
void router_free(struct router *r);

/*
 * Finds rq->route and fills rq->path_values (by the order of {names} in the pattern). ST_NOT_FOUND;
 * ST_NO_METHOD with the methods that exist in ret_allow (at least 64 bytes).
 */
enum status router_find(const struct router *r, struct request *rq, char *ret_allow,
                        struct fault *f) MUST_USE;

/* The value of {name} in the request's path, or NULL. */
const char *request_path_value(const struct request *rq, const char *name);

/* A number for each route over all dialects, for counters; and its label. */
size_t router_index(const struct router *r, const struct route *route);
size_t router_count(const struct router *r);
const struct route *router_route(const struct router *r, size_t i, const struct dialect **ret_dialect);

void router_print_nginx_map(const struct dialect *const *dialects, size_t n, FILE *out);
/* One line a route, for tests that must cover them all: dialect, method, path, scopes (comma), pool; by
 * tabs. */
void router_print_table(const struct dialect *const *dialects, size_t n, FILE *out);

#endif
