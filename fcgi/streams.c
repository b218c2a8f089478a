/* See streams.h. */
#include "fcgi/streams.h"

#include "base/config.h"
#include "fcgi/context.h"
#include "fcgi/http.h"

static int at_least_one(int64_t n)
{
    return n < 1 ? 1 : (int)n;
}

static int take_free(struct streams *s, int most, int64_t account)
{
    for (int i = 0; i < most; i++) {
        int64_t nobody = 0;

        if (atomic_compare_exchange_strong(&s->account[i], &nobody, account))
            return i;
    }
    return -1;
}

static enum status later(struct fault *f, enum status st)
{
    f->retry_after_s = STREAM_WAIT_S;
    return st;
}

/* Taken first and counted then: of two that come at once both may be refused, never both let in. */
enum status stream_enter(struct request *rq, int *ret_place, struct fault *f)
{
    struct streams *const s = &rq->ctx->streams;
    const int64_t account = rq->who.account_id;
    const int half = at_least_one(config_i64("slow.threads") / 2);
    const int most = half < STREAMS_MOST ? half : STREAMS_MOST, own = at_least_one(most / 4);
    const int place = take_free(s, most, account);
    int n = 0;

    if (place < 0)
        return later(f,
                     fault_set(f, ST_UNAVAILABLE, NULL, "too many exports are being read, try again"));
    for (int i = 0; i < most; i++)
        n += atomic_load(&s->account[i]) == account;
    if (n > own) {
        stream_leave(rq, place);
        return later(f, fault_set(f, ST_RATE_LIMITED, NULL,
                                  "%d exports of this account are being read already", own));
    }
    *ret_place = place;
    return ST_OK;
}

void stream_leave(struct request *rq, int place)
{
    if (place >= 0)
        atomic_store(&rq->ctx->streams.account[place], 0);
}
