/*
 * FastCGI 1.0 as an application server reads and frames it: bytes in, requests and replies out. Pure: no
 * socket, no clock. Peers are trusted no more than any other input.
 *
 *   role        RESPONDER alone; another is answered FCGI_UNKNOWN_ROLE
 *   requests    one at a time on a connection; a second before the first is whole: FCGI_CANT_MPX_CONN
 *   management  FCGI_GET_VALUES is answered, any other type by FCGI_UNKNOWN_TYPE
 *   records     of requests that are not there are skipped, as the standard wants it
 *
 * Source: Open Market, "FastCGI Specification", 1.0, 29 April 1996.
 */
#ifndef FCGI_FASTCGI_H
#define FCGI_FASTCGI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"
#include "fcgi/fastcgi_params.h"

enum fastcgi_type {
    FASTCGI_BEGIN_REQUEST = 1,
    FASTCGI_ABORT_REQUEST,
    FASTCGI_END_REQUEST,
    FASTCGI_PARAMS,
    FASTCGI_STDIN,
    FASTCGI_STDOUT,
    FASTCGI_STDERR,
    FASTCGI_DATA,
    FASTCGI_GET_VALUES,
    FASTCGI_GET_VALUES_RESULT,
    FASTCGI_UNKNOWN_TYPE,
};

/* Bytes of a record's header, of an end record, and the most content that we put into one record. */
enum { FASTCGI_HEADER_BYTES = 8, FASTCGI_END_BYTES = 16, FASTCGI_RECORD_BYTES = 65528 };

enum fastcgi_result {
    FASTCGI_MORE,    /* every byte was taken, and more are wanted */
    FASTCGI_REQUEST, /* a request is whole: params and body are there until fastcgi_reset */
    FASTCGI_CLOSE, /* the connection is to be closed; `why` says what was wrong with it, NULL: nothing */
};

/* One connection's reading. Zero-initialise, release with fastcgi_free. One thread at a time. */
struct fastcgi {
    struct fastcgi_params params; /* of the request; strings live in `stream` */
    struct buffer body;           /* stdin; what is over LIMIT_FASTCGI_BODY_BYTES was dropped */
    uint16_t id;                  /* of the request */
    bool closed;                  /* FASTCGI_CLOSE was said */
    bool keep;                    /* the peer wants the connection back after the answer */
    struct buffer reply;          /* to be sent, then cleared, whenever it is not empty */
    const char *why;

    enum { FASTCGI_IDLE, FASTCGI_IN_PARAMS, FASTCGI_IN_BODY, FASTCGI_WHOLE } phase;
    enum { FASTCGI_AT_HEADER, FASTCGI_AT_CONTENT, FASTCGI_AT_PADDING } at;
    enum { FASTCGI_SKIP, FASTCGI_TO_SMALL, FASTCGI_TO_PARAMS, FASTCGI_TO_BODY } sink;
    uint8_t header[FASTCGI_HEADER_BYTES]; /* of the record that is being read */
    size_t nheader, content, padding;     /* bytes of it: here already, still to come, still to come */
    struct buffer stream;                 /* name-value pairs, as they came */
    struct buffer small;                  /* content of a record that is looked at as a whole */
};

/*
 * Takes up to n bytes; *ret_used says how many. After FASTCGI_REQUEST nothing more is taken until
 * fastcgi_reset: the rest is fed then. After FASTCGI_CLOSE nothing is ever taken.
 */
enum fastcgi_result fastcgi_feed(struct fastcgi *fc, const char *p, size_t n, size_t *ret_used);

/* Forgets the request that was answered, keeps memory of a modest size. */
void fastcgi_reset(struct fastcgi *fc);
/* As new: another connection may begin. */
void fastcgi_clear(struct fastcgi *fc);
void fastcgi_free(struct fastcgi *fc);

/* Whether nothing has begun: no request, no record. */
bool fastcgi_is_idle(const struct fastcgi *fc);

/* Framing. content: bytes that follow, at most FASTCGI_RECORD_BYTES. */
void fastcgi_frame(uint8_t ret[FASTCGI_HEADER_BYTES], enum fastcgi_type type, uint16_t id,
                   size_t content);
void fastcgi_frame_end(uint8_t ret[FASTCGI_END_BYTES], uint16_t id, uint8_t protocol_status);

#endif
