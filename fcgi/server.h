/*
 * Threads that serve FastCGI connections on one socket, kept ones included, until told to stop. An idle
 * connection costs a slot and a descriptor, no thread.
 */
#ifndef FCGI_SERVER_H
#define FCGI_SERVER_H

#include "fcgi/context.h"

struct server;

/* Serves on `listen_fd` with nthreads threads from now on. NULL: it could not start (logged). */
struct server *server_start(struct context *ctx, int listen_fd, int nthreads);
/* Every few seconds: drops connections whose request does not become whole. */
void server_tick(struct server *s);
/*
 * Lets go of the socket at once (another program may bind it), asks the peers to leave, and returns
 * after every request was answered. ctx->draining is set. Releases the server.
 */
void server_stop(struct server *s);

/* One request from its parsed parameters to its answer. */
void serve_request(struct request *rq, struct response *rs);
void response_send(struct request *rq, struct response *rs);

#endif
