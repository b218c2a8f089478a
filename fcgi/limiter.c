/* See limiter.h. */
#include "fcgi/limiter.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "base/log.h"
#include "fcgi/shared.h"

enum { SLOTS = 1 << 16, PROBES = 64, MS_PER_MINUTE = 60000, MS_PER_DAY = 86400000 };
static const int64_t UNLIMITED = 1000000;

/* A word: 16 bits day number, 20 bits requests of the day, 28 bits theoretical arrival time in ms of
 * that day. */
enum { TAT_BITS = 28, COUNT_BITS = 20 };

struct slot {
    _Atomic int64_t account_id; /* 0: free */
    _Atomic uint64_t word;
};

/* The file itself. */
struct limiter {
    uint64_t magic;
    struct slot slots[SLOTS];
};

enum status limiter_open(const char *path, struct limiter **ret, struct fault *f)
{
    void *p;
    const enum status st = shared_map(path, 0x666f766c696d3031U, sizeof **ret, &p, f);

    if (st == ST_OK)
        *ret = p;
    return st;
}

void limiter_close(struct limiter *l)
{
    if (l)
        munmap(l, sizeof *l);
}

static struct slot *slot_find(struct limiter *l, int64_t account_id)
{
    uint64_t at = (uint64_t)account_id * 0x9e3779b97f4a7c15U >> 40;

    for (int i = 0; i < PROBES; i++, at++) {
        struct slot *s = &l->slots[at % SLOTS];
        int64_t owner = atomic_load_explicit(&s->account_id, memory_order_acquire);

        if (owner == 0)
            atomic_compare_exchange_strong(&s->account_id, &owner, account_id);
        if (owner == account_id || owner == 0)
            return s;
    }
    return NULL;
}

struct state {
    int64_t day, count, tat_ms; /* tat_ms since the start of the day; may reach into the next */
};

static struct state unpack(uint64_t w, int64_t today)
{
    struct state s = {
        .day = (int64_t)(w >> (TAT_BITS + COUNT_BITS)),
        .count = (int64_t)(w >> TAT_BITS & ((1U << COUNT_BITS) - 1)),
        .tat_ms = (int64_t)(w & ((1U << TAT_BITS) - 1)),
    };

    if (s.day != (today & 0xffff)) {
        s.tat_ms = s.day == ((today - 1) & 0xffff) && s.tat_ms > MS_PER_DAY ? s.tat_ms - MS_PER_DAY : 0;
        s.count = 0;
        s.day = today & 0xffff;
    }
    return s;
}

static uint64_t pack(const struct state *s)
{
    return (uint64_t)s->day << (TAT_BITS + COUNT_BITS) | (uint64_t)s->count << TAT_BITS |
           (uint64_t)s->tat_ms;
}

static struct rate_answer unlimited(int64_t now_ms)
{
    return (struct rate_answer){
        .allowed = true,
        .limit = UNLIMITED,
        .remaining = UNLIMITED,
        .reset_s = now_ms / 1000 + 60,
    };
}

/* What the headers say after the state became s. */
static struct rate_answer answer(const struct state *s, int64_t per_minute, int64_t per_day,
                                 int64_t interval_ms, int64_t day_start_ms, int64_t at_ms)
{
    struct rate_answer minute = { .limit = per_minute,
                                  .reset_s = (day_start_ms + s->tat_ms + 999) / 1000 };
    struct rate_answer day = { .limit = per_day, .reset_s = (day_start_ms + MS_PER_DAY) / 1000 };
    const int64_t ahead = s->tat_ms > at_ms ? s->tat_ms - at_ms : 0;

    minute.remaining = per_minute ? (MS_PER_MINUTE - ahead) / interval_ms : UNLIMITED;
    day.remaining = per_day ? per_day - s->count : UNLIMITED;
    if (minute.remaining < 0)
        minute.remaining = 0;
    if (day.remaining < 0)
        day.remaining = 0;
    return per_minute && (!per_day || minute.remaining <= day.remaining) ? minute : day;
}

static int64_t clamp(int64_t v, int64_t most)
{
    return v > most ? most : v;
}

struct rate_answer limiter_take(struct limiter *l, int64_t account_id, int64_t per_minute,
                                int64_t per_day, int64_t now_ms)
{
    const int64_t today = now_ms / MS_PER_DAY, at_ms = now_ms % MS_PER_DAY;
    struct slot *slot;
    uint64_t before, after;
    struct rate_answer r;
    int64_t interval_ms, start_ms;
    bool day_full, minute_full;

    if (!per_minute && !per_day)
        return unlimited(now_ms);
    per_minute = clamp(per_minute, LIMITER_MOST_PER_MINUTE);
    per_day = clamp(per_day, LIMITER_MOST_PER_DAY);
    interval_ms = per_minute ? MS_PER_MINUTE / per_minute : 1;
    if (!(slot = slot_find(l, account_id))) {
        log_event(LOG_LEVEL_ERROR, "limiter_full", NULL);
        return unlimited(now_ms);
    }
    before = atomic_load_explicit(&slot->word, memory_order_acquire);
    do {
        struct state s = unpack(before, today);

        start_ms = s.tat_ms > at_ms ? s.tat_ms : at_ms;
        day_full = per_day && s.count >= per_day;
        minute_full = per_minute && start_ms + interval_ms - at_ms > MS_PER_MINUTE;
        if (!day_full && !minute_full) {
            s.count += s.count < (1 << COUNT_BITS) - 1;
            s.tat_ms = per_minute ? start_ms + interval_ms : at_ms;
        }
        after = pack(&s);
        r = answer(&s, per_minute, per_day, interval_ms, now_ms - at_ms, at_ms);
    } while (!day_full && !minute_full && !atomic_compare_exchange_weak(&slot->word, &before, after));
    r.allowed = !day_full && !minute_full;
    if (day_full)
        r.retry_after_s = (MS_PER_DAY - at_ms + 999) / 1000;
    else if (minute_full)
        r.retry_after_s = (start_ms + interval_ms - at_ms - MS_PER_MINUTE + 999) / 1000;
    if (!r.allowed && r.retry_after_s < 1)
        r.retry_after_s = 1;
    return r;
}
