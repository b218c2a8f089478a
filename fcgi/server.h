/* Threads that accept FastCGI requests on one socket and serve them, until told to stop. */
#ifndef FCGI_SERVER_H
#define FCGI_SERVER_H

#include "fcgi/context.h"

/* Serves on `listen_fd` with nthreads threads; returns after stop_fd became readable and all requests
 * were finished. */
int server_run(struct context *ctx, int listen_fd, int stop_fd, int nthreads);

/* One request from its parsed parameters to its answer. */
void serve_request(struct request *rq, struct response *rs);
void response_send(struct request *rq, struct response *rs);

#endif
