/* The OpenAPI 3.1 document of a dialect, from its route tables. */
#ifndef FCGI_OPENAPI_H
#define FCGI_OPENAPI_H

#include "fcgi/dialect.h"

enum status openapi_serve(struct request *rq, struct response *rs, struct fault *f) MUST_USE;
/* server_url: "https://host/ultralytics" */
void openapi_write(const struct dialect *d, const char *server_url, struct buffer *out);

/* The schema of what a route answers, from its envelope and its noun. */
void openapi_write_answer(const struct dialect *d, const struct route *route, struct buffer *out);
/* "schemas":{...}: the nouns of the dialect's routes. */
void openapi_write_schemas(const struct dialect *d, struct buffer *out);

#endif
