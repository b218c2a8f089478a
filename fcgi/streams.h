/*
 * Answers that last as long as their reader takes: each holds a thread of the pool until its last byte
 * is sent. So that slow readers, or many, leave threads to uploads, half of the pool's threads may be in
 * such answers, and an account may have a quarter of those.
 */
#ifndef FCGI_STREAMS_H
#define FCGI_STREAMS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/status.h"

struct request;

enum { STREAMS_MOST = 128, STREAM_WAIT_S = 5 };

/* All zero: nobody streams. One for a process, in its context. */
struct streams {
    _Atomic int64_t account[STREAMS_MOST]; /* whose answer has the place; 0: free */
};

/*
 * A place for this request's answer, given back by stream_leave. ST_RATE_LIMITED: the account has as
 * many as it may; ST_UNAVAILABLE: all are taken. Both say when to come back. Thread-safe, waits for
 * nothing.
 */
enum status stream_enter(struct request *rq, int *ret_place, struct fault *f) MUST_USE;
/* place: of stream_enter, or -1. */
void stream_leave(struct request *rq, int place);

#endif
