/*
 * One FastCGI connection: its socket, what has been read of the next request, and the answer's way out.
 * Whoever holds it may use it; server.c sees to it that one thread at a time does.
 */
#ifndef FCGI_CONNECTION_H
#define FCGI_CONNECTION_H

#include <stdatomic.h>
#include <stdint.h>

#include "fcgi/fastcgi.h"
#include "fcgi/http.h"

enum {
    CONNECTION_SEND_S = 120, /* nginx gives a client that does not read up after 60 s, and then us */
    CONNECTION_HALF_S = 60,  /* from the first byte of a request to its last */
};

struct connection {
    int fd;
    struct fastcgi fastcgi;
    const atomic_bool *leaving; /* the process stops: each answer says goodbye */
    int64_t half_since_ms;      /* a request has begun and is not whole; 0: none */
    size_t body_at;             /* of the request's body */
    bool ended;                 /* the answer's end was sent */
    bool gone;                  /* the peer does not read */
    bool told;                  /* goodbye was said */
};

/*
 * "Do not send another request here": an empty stderr record. FastCGI has no word for it, but nginx
 * gives up an idle connection on which something can be read, and skips this very record when it stands
 * before an answer. So nobody has to close a connection on which a request may be under way just then.
 * False: the peer has gone, or has not read the last answer yet.
 */
bool connection_goodbye(struct connection *c);

/* After FASTCGI_REQUEST: how the request is read and answered. Valid as long as c. */
struct transport connection_transport(struct connection *c);
/* The end of an answer that was streamed, or of none. False: the peer has gone. */
bool connection_end(struct connection *c);
/* Sends what the parser wants to say. False: the peer has gone. */
bool connection_reply(struct connection *c);

#endif
