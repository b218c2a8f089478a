/*
 * The plan's limits, per account, exact across threads, processes and restarts: one 64-bit word an
 * account in shared memory, changed by one compare-and-swap.
 *
 * Minute: generic cell rate algorithm with a burst of the whole minute's allowance, so a client that
 * waits 1, 2, 4 seconds gets through again. Day: a count that starts anew at midnight UTC. A refused
 * request counts nowhere. The three headers speak of the window that is tighter at the moment. Source:
 * ITU-T I.371, virtual scheduling.
 */
#ifndef FCGI_LIMITER_H
#define FCGI_LIMITER_H

#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"

enum { LIMITER_MOST_PER_MINUTE = 60000, LIMITER_MOST_PER_DAY = 1000000 };

struct rate_answer {
    bool allowed;
    int64_t limit, remaining, reset_s; /* reset_s: seconds since 1970 */
    int64_t retry_after_s;             /* >= 1 when refused */
};

struct limiter;

enum status limiter_open(const char *path, struct limiter **ret, struct fault *f) MUST_USE;
void limiter_close(struct limiter *l); /* the counts stay in the file; NULL is allowed */

/* per_minute, per_day: 0 = no limit. now_ms: wall clock. */
struct rate_answer limiter_take(struct limiter *l, int64_t account_id, int64_t per_minute,
                                int64_t per_day, int64_t now_ms);

#endif
