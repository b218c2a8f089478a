/*
 * Structured log on stderr: one line an event, JSON or key=value text, with systemd's <N> priority
 * prefix where stderr is the journal. Thread-safe: a line is one write(2). Modules return faults; fcgi/,
 * worker/ and cli/ log. Never pass a key, a signature or a query string.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdint.h>

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARNING, LOG_LEVEL_ERROR };

/* Once, before threads. program: "fovea-api"; json: JSON lines instead of text. */
void log_init(const char *program, enum log_level least, int json);

/* What this thread works on; "" for none. Kept by value. */
void log_set_request(const char *request_id, const char *dialect, const char *route);

/*
 * event: a constant word ("request_failed"); then pairs of constant key and text, ended by NULL:
 *   log_event(LOG_LEVEL_ERROR, "database_lost", "detail", PQerrorMessage(c), NULL);
 */
void log_event(enum log_level level, const char *event, ...) __attribute__((sentinel));

#endif
