/* Who asks, how often, and with what right. */
#ifndef FCGI_AUTH_H
#define FCGI_AUTH_H

#include "fcgi/dialect.h"

/* The key of the request by the dialect's rule; fills rq->who. */
enum status auth_request_key(struct request *rq, struct fault *f) MUST_USE;
/* Counts the request against the account's plan; fills rq->rate. */
enum status auth_count(struct request *rq, struct fault *f) MUST_USE;
/* The route's scopes. */
enum status auth_scope(const struct request *rq, struct fault *f) MUST_USE;

/* "Bearer <key>" of the Authorization header (any of the schemes, a NULL-terminated list), or from
 * ?api_key=. */
enum status auth_header_key(const struct request *rq, const char *const *schemes, struct slice *ret,
                            struct fault *f) MUST_USE;

#endif
