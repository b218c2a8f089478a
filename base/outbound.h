/*
 * The one function for outbound HTTP: image URLs, webhooks, remote files. libcurl; every socket is
 * checked by its final address when it is opened, so that names, rebinding and redirects do not matter.
 * Private, loopback, link-local, multicast, documentation and reserved networks of IPv4 and IPv6 (mapped
 * and translated forms decoded) are refused unless the setting outbound.allow lists the exact network.
 */
#ifndef BASE_OUTBOUND_H
#define BASE_OUTBOUND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include "base/status.h"
#include "base/text.h"

struct outbound_request {
    const char *method;         /* "GET" or "POST" */
    const char *url;            /* http or https only; ports 80, 443 or >= 1024 */
    const char *const *headers; /* "Name: value", NULL-terminated, or NULL */
    struct slice body;
    int64_t max_bytes; /* of the answer: ST_TOO_LARGE beyond it */
    int connect_timeout_ms, total_timeout_ms;
    int redirects; /* at most this many, each checked again; no credentials across hosts */
};

/* *ret_code: HTTP status; body appended to `answer`. ST_INVALID: refused URL or address (the same
 * sentence for all of them); ST_UNAVAILABLE: no answer. allow: "10.1.0.0/16, fd00::/8" or "". */
enum status outbound_fetch(const struct outbound_request *rq, const char *allow, int *ret_code,
                           struct buffer *answer, struct fault *f) MUST_USE;

/* True when a connection to this address may be opened. */
bool outbound_address_allowed(const struct sockaddr *address, const char *allow);

#endif
