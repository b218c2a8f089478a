/* What PostgreSQL's errors mean to a caller. Private to base/db*.c. */
#ifndef BASE_DB_FAULT_H
#define BASE_DB_FAULT_H

#include <libpq-fe.h>
#include "base/status.h"

/* Fills f from a failed result (may be NULL: the connection broke) and returns the outcome. Logs what is
 * ours. */
enum status db_fault_from(PGconn *conn, const PGresult *r, struct fault *f);

/* "the database is away": ST_UNAVAILABLE with a time to come back. */
enum status db_away(struct fault *f);

#endif
