/*
 * A bounded supply that threads wait for, first come, first served: places to run in, bytes for
 * pictures. Who waits gives up after its time; beyond so many waiting nobody is let in to wait.
 */
#ifndef DOMAIN_GATE_H
#define DOMAIN_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#include "base/status.h"

struct gate;

/* capacity >= 1 units; at most `queue` threads wait. NULL: out of memory. */
struct gate *gate_create(int64_t capacity, int queue);
void gate_free(struct gate *g); /* accepts NULL; nobody holds or waits any more */

/*
 * Takes that many units, waiting at most wait_ms for them. More than the capacity counts as all of it.
 * ret_free (may be NULL): what is left, 0 when somebody waits. ST_UNAVAILABLE with a time to come back:
 * the queue is full, the time is over, or the gate is closed; `what` names the units in its sentence ("a
 * free thread").
 */
enum status gate_take(struct gate *g, int64_t units, int64_t wait_ms, const char *what,
                      int64_t *ret_free, struct fault *f) MUST_USE;
/* The same number as was asked for. */
void gate_give(struct gate *g, int64_t units);
/* Nobody gets in any more, those who wait included. */
void gate_close(struct gate *g);
int64_t gate_taken(struct gate *g);

/* So many milliseconds from now on CLOCK_MONOTONIC, and a condition that waits by that clock. */
struct timespec deadline_after(int64_t ms);
void deadline_cond_init(pthread_cond_t *c);

#endif
