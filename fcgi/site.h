/* What belongs to no dialect: health, metrics, signed media, OpenAPI documents. */
#ifndef FCGI_SITE_H
#define FCGI_SITE_H

#include "fcgi/http.h"

bool site_serves(const struct request *rq);
/* parsed: what request_parse said. */
void site_serve(struct request *rq, struct response *rs, enum status parsed, struct fault *f);

#endif
