/*
 * Signed URLs: /media/<purpose>/<id>/<name>?exp=<seconds>&k=<secret number>&sig=<base64url, 43
 * characters>. sig = HMAC-SHA256 over length-prefixed fields: method class, purpose, id, tenant, name,
 * expiry. GET and HEAD are the class "read", PUT is "write". Secrets rotate: a file of `number hex64`
 * lines, newest first signs, all verify. Refused alike (ST_FORBIDDEN, one sentence): expired, tampered,
 * other method class, unknown secret, malformed, repeated or unknown parameters.
 */
#ifndef MEDIA_SIGN_H
#define MEDIA_SIGN_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "base/text.h"

struct signer;

/* Reads the secrets; makes the file (0600) with one random secret when it is absent. */
enum status signer_open(const char *path, struct signer **ret, struct fault *f) MUST_USE;
void signer_close(struct signer *s);
/* Adds a new newest secret and drops those older than keep_s (the longest TTL); the file is replaced
 * atomically. */
enum status signer_rotate(const char *path, int64_t keep_s, struct fault *f) MUST_USE;
/* Re-reads the file when it changed; cheap; thread-safe. */
void signer_refresh(struct signer *s);

enum sign_class { SIGN_READ, SIGN_WRITE };

struct signed_link {
    enum sign_class access;
    const char *purpose; /* [a-z]{1,16}: "weights", "image", "export" */
    int64_t id;          /* of the row */
    int64_t tenant;      /* organization; not in the URL: verify is given the row's */
    const char *name;    /* file name that clients save; percent-encoded on output; 1..200 bytes */
    int64_t expires_s;   /* seconds since 1970 */
};

/* Appends "/media/..." (no scheme or host). */
void sign_link(const struct signer *s, const struct signed_link *link, struct buffer *out);

/* The fields of a request path and query, syntax and expiry checked, signature not yet. Strings go to
 * the caller's arrays. */
struct signed_request {
    char purpose[17];
    int64_t id;
    char name[256];
    int64_t expires_s;
    int64_t secret;
    uint8_t mac[32];
};
enum status sign_parse(const char *path, size_t path_n, const char *query, size_t query_n, int64_t now_s,
                       struct signed_request *ret, struct fault *f) MUST_USE;
/* The signature against the tenant of the row that `id` names. Constant time. */
enum status sign_verify(const struct signer *s, const struct signed_request *rq, enum sign_class access,
                        int64_t tenant, struct fault *f) MUST_USE;

#endif
