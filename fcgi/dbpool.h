/*
 * Few connections behind many threads, for the pools whose requests mostly do other things than query: a
 * request holds one only while it asks the database. In pool `api` each thread has a connection of its
 * own and these do nothing.
 */
#ifndef FCGI_DBPOOL_H
#define FCGI_DBPOOL_H

#include "fcgi/http.h"

enum { DBPOOL_CONNECTIONS = 6, DBPOOL_WAIT_MS = 5000 };

struct dbpool;

struct dbpool *dbpool_create(const char *conninfo,
                             int n); /* n <= DBPOOL_CONNECTIONS; NULL: out of memory */
void dbpool_free(struct dbpool *p);

/* Before the first query: waits for a connection. ST_UNAVAILABLE after DBPOOL_WAIT_MS. Held already:
 * ST_OK. */
enum status request_db_lease(struct request *rq, struct fault *f) MUST_USE;
/* Before work that takes long: rq->db is NULL until the next lease. */
void request_db_release(struct request *rq);

#endif
