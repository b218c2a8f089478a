/* The plan's limits: exact, by a clock that the test sets. */
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

#include "fcgi/limiter.h"
#include "tests/unit/test.h"

static const int64_t DAY_MS = 86400000;
static const int64_t NOON = 20000 * INT64_C(86400000) + 43200000;

static struct limiter *open_limiter(char *path)
{
    struct limiter *l = NULL;
    struct fault f = FAULT_INIT;
    const int fd = mkstemp(path);

    if (fd >= 0)
        close(fd);
    if (limiter_open(path, &l, &f) != ST_OK)
        return NULL;
    unlink(path);
    return l;
}

TEST(a_minute_admits_exactly_its_allowance_at_once)
{
    char path[] = "/tmp/limiterXXXXXX";
    struct limiter *l = open_limiter(path);
    int admitted = 0;

    REQUIRE(l);
    for (int i = 0; i < 100; i++)
        admitted += limiter_take(l, 7, 60, 0, NOON).allowed;
    CHECK_I64(admitted, 60);
    CHECK(limiter_take(l, 8, 60, 0, NOON).allowed); /* another account is not touched */
    limiter_close(l);
}

TEST(a_refused_client_is_told_when_to_come_back_and_then_passes)
{
    char path[] = "/tmp/limiterXXXXXX";
    struct limiter *l = open_limiter(path);
    struct rate_answer r;

    REQUIRE(l);
    for (int i = 0; i < 60; i++)
        limiter_take(l, 7, 60, 0, NOON);
    r = limiter_take(l, 7, 60, 0, NOON);
    CHECK(!r.allowed);
    CHECK_I64(r.retry_after_s, 1);
    CHECK_I64(r.remaining, 0);
    CHECK_I64(r.limit, 60);
    CHECK(limiter_take(l, 7, 60, 0, NOON + 1000).allowed);
    CHECK(!limiter_take(l, 7, 60, 0, NOON + 1000).allowed);
    limiter_close(l);
}

TEST(the_day_is_counted_apart_and_starts_anew_at_midnight)
{
    char path[] = "/tmp/limiterXXXXXX";
    struct limiter *l = open_limiter(path);
    struct rate_answer r;

    REQUIRE(l);
    for (int i = 0; i < 10; i++)
        CHECK(limiter_take(l, 7, 60, 10, NOON).allowed);
    r = limiter_take(l, 7, 60, 10, NOON);
    CHECK(!r.allowed);
    CHECK_I64(r.limit, 10);
    CHECK_I64(r.reset_s, (NOON / DAY_MS + 1) * 86400);
    CHECK_I64(r.retry_after_s, 43200);
    CHECK(limiter_take(l, 7, 60, 10, NOON + DAY_MS / 2).allowed);
    limiter_close(l);
}

TEST(a_minute_that_spans_midnight_stays_one_minute)
{
    char path[] = "/tmp/limiterXXXXXX";
    struct limiter *l = open_limiter(path);
    const int64_t before_midnight = NOON + DAY_MS / 2 - 1000;
    int admitted = 0;

    REQUIRE(l);
    for (int i = 0; i < 60; i++)
        admitted += limiter_take(l, 7, 60, 0, before_midnight).allowed;
    for (int i = 0; i < 60; i++)
        admitted += limiter_take(l, 7, 60, 0, before_midnight + 2000).allowed;
    CHECK_I64(admitted, 62);
    limiter_close(l);
}

TEST(no_limit_is_shown_as_a_large_number)
{
    char path[] = "/tmp/limiterXXXXXX";
    struct limiter *l = open_limiter(path);
    struct rate_answer r;

    REQUIRE(l);
    r = limiter_take(l, 7, 0, 0, NOON);
    CHECK(r.allowed);
    CHECK(r.limit >= 1000000);
    CHECK(r.remaining > 0);
    limiter_close(l);
}

TEST(counts_survive_opening_the_file_again)
{
    char path[] = "/tmp/limiterXXXXXX";
    struct limiter *first = NULL, *second = NULL;
    struct fault f = FAULT_INIT;

    close(mkstemp(path));
    REQUIRE(limiter_open(path, &first, &f) == ST_OK);
    for (int i = 0; i < 5; i++)
        limiter_take(first, 7, 60, 0, NOON);
    REQUIRE(limiter_open(path, &second, &f) == ST_OK);
    CHECK_I64(limiter_take(second, 7, 60, 0, NOON).remaining, 54);
    unlink(path);
    limiter_close(first);
    limiter_close(second);
}

struct storm {
    struct limiter *l;
    atomic_int admitted;
};

static void *storm_run(void *arg)
{
    struct storm *s = arg;

    for (int i = 0; i < 20000; i++)
        if (limiter_take(s->l, 42, 300, 1000, NOON).allowed)
            atomic_fetch_add(&s->admitted, 1);
    return NULL;
}

TEST(threads_together_get_no_more_than_one_alone)
{
    char path[] = "/tmp/limiterXXXXXX";
    struct storm s = { .l = open_limiter(path) };
    pthread_t t[4];

    REQUIRE(s.l);
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&t[i], NULL, storm_run, &s) == 0);
    for (int i = 0; i < 4; i++)
        pthread_join(t[i], NULL);
    CHECK_I64(s.admitted, 300);
    limiter_close(s.l);
}
