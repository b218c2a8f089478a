/*
 * The one applier of sql/: numbered migrations of schema `data`, then the code of `domain` and of the
 * dialects.
 *
 * Each pending migrations/NNNN_name.sql runs in a transaction of its own together with its row in
 * data.migration; a file that was applied and has changed since, or has vanished, is refused by name.
 * Then, when the combined SHA-256 of domain/ and dialect/ differs from what is installed, the schemas
 * domain and one per dialect are dropped and made again, with their grants, in one transaction. A kill
 * leaves the state before or after one of these transactions, and the next run goes on from there. An
 * advisory lock lets one run at a time; a second one waits, then finds nothing to do.
 *
 * Roles: a superuser's run creates fovea_owner (owns everything) and fovea_api (may call) where they are
 * missing and works as fovea_owner; else the connection must be able to SET ROLE fovea_owner, and both
 * must exist.
 */
#ifndef DOMAIN_MIGRATE_H
#define DOMAIN_MIGRATE_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdio.h>
#include "base/status.h"

/*
 * owner: a connection of the caller's, outside a transaction; it comes back as it was. sql_dir: the
 * folder that holds migrations/, domain/, dialect/. progress: one line a step, or NULL. ST_CONFLICT: a
 * changed file; ST_INVALID: the folder's content or a statement in it, named with file and line;
 * ST_UNAVAILABLE: the database.
 */
enum status migrate_run(PGconn *owner, const char *sql_dir, FILE *progress, struct fault *f) MUST_USE;

/* Whether the database is what sql_dir describes. Any role that may read schema domain; changes nothing.
 */
enum status migrate_check(PGconn *conn, const char *sql_dir, bool *ret_current,
                          struct fault *f) MUST_USE;

#endif
