/*
 * Typed in: a request becomes the command of its route's operation, by the route's key table. This is
 * the first gate (JSON type, size, known words); domain/rules.c is the second.
 */
#ifndef FCGI_DECODE_H
#define FCGI_DECODE_H

#include "fcgi/dialect.h"

/* Parses the body as the route wants it (JSON object, or nothing). */
enum status decode_body(struct request *rq, struct fault *f) MUST_USE;

/* A body that must be one JSON object of at most max bytes, into rq->body. For handlers of BODY_OWN. */
enum status decode_json(struct request *rq, size_t max, struct fault *f) MUST_USE;

/* Fills rq->command from path, query and body (JSON or form), sets defaults and checks it. */
enum status decode_command(struct request *rq, struct fault *f) MUST_USE;

/* The same for another record than the operation's: options that a handler reads. command is zeroed
 * memory. */
enum status decode_fields(struct request *rq, const struct key *keys, size_t nkeys,
                          const struct record *r, void *command, struct fault *f) MUST_USE;

/* A date or date-time of ISO 8601 that the calendar knows, with or without zone; no leap seconds. */
bool text_is_time(const char *s);

#endif
