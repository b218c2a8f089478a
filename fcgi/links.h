/* Signed links in rows, and the answers to them. */
#ifndef FCGI_LINKS_H
#define FCGI_LINKS_H

#include "fcgi/http.h"

/* A column "key#purpose" with value "<id>/<tenant>/<name>" as an absolute signed URL, a JSON string.
 * arg: the request. */
void link_make(void *arg, const char *purpose, const char *value, struct buffer *out);
/* Seconds that a link of this purpose lives. */
int64_t link_ttl_s(const char *purpose);

/* GET and HEAD of /media/...: the signature is the right. Answers through X-Accel-Redirect. */
enum status links_serve(struct request *rq, struct response *rs, struct fault *f) MUST_USE;

/* PUT of /media/upload/...: the body, spooled by nginx, becomes the file of the session. */
enum status links_receive(struct request *rq, struct response *rs, struct fault *f) MUST_USE;

/* Whether the signature allows this method, before nginx reads a body. */
bool links_allow(struct request *rq);

/* Writes the downloads counted since the last call. */
void links_flush(struct db *db);

#endif
