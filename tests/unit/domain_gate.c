/* A bounded supply: first come first served, bounded queue, bounded time. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>
#include "base/text.h"
#include "domain/gate.h"

enum { LONG_MS = 20000, THREADS = 8, ROUNDS = 300 };

TEST(what_is_free_is_given_at_once_and_said_to_be_left)
{
    struct gate *g = gate_create(10, 1);
    struct fault f = FAULT_INIT;
    int64_t left = -1;

    REQUIRE(g != NULL);
    CHECK_I64(gate_take(g, 3, 0, "units", &left, &f), ST_OK);
    CHECK_I64(left, 7);
    CHECK_I64(gate_take(g, 7, 0, "units", &left, &f), ST_OK);
    CHECK_I64(left, 0);
    CHECK_I64(gate_taken(g), 10);
    gate_give(g, 3);
    gate_give(g, 7);
    CHECK_I64(gate_take(g, 1000, 0, "units", &left, &f), ST_OK); /* more than there are: all */
    CHECK_I64(gate_taken(g), 10);
    gate_give(g, 1000);
    CHECK_I64(gate_taken(g), 0);
    gate_free(g);
}

TEST(who_waits_gives_up_after_the_time)
{
    struct gate *g = gate_create(1, 1);
    struct fault f = FAULT_INIT;
    int64_t begun;

    REQUIRE(g && gate_take(g, 1, 0, "a seat", NULL, &f) == ST_OK);
    begun = clock_monotonic_ms();
    CHECK_I64(gate_take(g, 1, 120, "a seat", NULL, &f), ST_UNAVAILABLE);
    CHECK(clock_monotonic_ms() - begun >= 110);
    CHECK(strstr(f.detail, "a seat was not to be had") != NULL);
    CHECK_I64(f.retry_after_s, 1);
    gate_give(g, 1);
    CHECK_I64(gate_take(g, 1, 0, "a seat", NULL, &f), ST_OK);
    gate_give(g, 1);
    gate_free(g);
}

/* ---- threads */

struct caller {
    struct gate *g;
    int64_t units, wait_ms;
    enum status st;
    int place; /* in the order of being served */
    atomic_int *served;
};

static void *call(void *arg)
{
    struct caller *c = arg;
    struct fault f = FAULT_INIT;

    if ((c->st = gate_take(c->g, c->units, c->wait_ms, "units", NULL, &f)) == ST_OK) {
        c->place = atomic_fetch_add(c->served, 1);
        gate_give(c->g, c->units);
    }
    return NULL;
}

/* Starts a caller and returns when it waits, told by the queue having grown too long for one more. */
static void start_waiting(pthread_t *t, struct caller *c)
{
    pthread_create(t, NULL, call, c);
    usleep(30000);
}

TEST(those_who_wait_are_served_in_their_order)
{
    struct gate *g = gate_create(4, 3);
    atomic_int served = 0;
    struct caller callers[3] = { { g, 4, LONG_MS, ST_OK, -1, &served },
                                 { g, 1, LONG_MS, ST_OK, -1, &served },
                                 { g, 2, LONG_MS, ST_OK, -1, &served } };
    struct fault f = FAULT_INIT;
    pthread_t threads[3];

    REQUIRE(g && gate_take(g, 2, 0, "units", NULL, &f) == ST_OK);
    for (int i = 0; i < 3; i++)
        start_waiting(&threads[i], &callers[i]);
    /* Two are free, yet the first wants four, and nobody overtakes: neither who waits nor who comes. */
    CHECK_I64(gate_taken(g), 2);
    CHECK_I64(gate_take(g, 1, LONG_MS, "units", NULL, &f), ST_UNAVAILABLE);
    CHECK(strstr(f.detail, "too many") != NULL);
    gate_give(g, 2);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_I64(callers[0].place, 0);
    CHECK_I64(served, 3);
    gate_free(g);
}

TEST(who_gives_up_lets_those_behind_pass)
{
    struct gate *g = gate_create(4, 2);
    atomic_int served = 0;
    struct caller large = { g, 4, 200, ST_OK, -1, &served },
                  small = { g, 1, LONG_MS, ST_OK, -1, &served };
    struct fault f = FAULT_INIT;
    pthread_t threads[2];

    REQUIRE(g && gate_take(g, 2, 0, "units", NULL, &f) == ST_OK);
    start_waiting(&threads[0], &large);
    start_waiting(&threads[1], &small);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    CHECK_I64(large.st, ST_UNAVAILABLE);
    CHECK_I64(small.st, ST_OK);
    gate_give(g, 2);
    gate_free(g);
}

TEST(a_closed_gate_sends_everybody_away)
{
    struct gate *g = gate_create(1, 2);
    atomic_int served = 0;
    struct caller c = { g, 1, LONG_MS, ST_OK, -1, &served };
    struct fault f = FAULT_INIT;
    pthread_t thread;

    REQUIRE(g && gate_take(g, 1, 0, "units", NULL, &f) == ST_OK);
    start_waiting(&thread, &c);
    gate_close(g);
    pthread_join(thread, NULL);
    CHECK_I64(c.st, ST_UNAVAILABLE);
    gate_give(g, 1);
    CHECK_I64(gate_take(g, 1, LONG_MS, "units", NULL, &f), ST_UNAVAILABLE);
    gate_free(g);
}

struct crowd {
    struct gate *g;
    atomic_int inside, most, refused;
};

static void *push(void *arg)
{
    struct crowd *c = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct fault f = FAULT_INIT;
        const int units = 1 + i % 3;

        if (gate_take(c->g, units, i % 7 ? LONG_MS : 0, "units", NULL, &f) != ST_OK) {
            atomic_fetch_add(&c->refused, 1);
            continue;
        }
        const int now = atomic_fetch_add(&c->inside, units) + units;
        for (int most = atomic_load(&c->most);
             now > most && !atomic_compare_exchange_weak(&c->most, &most, now);)
            ;
        atomic_fetch_sub(&c->inside, units);
        gate_give(c->g, units);
    }
    return NULL;
}

TEST(a_crowd_never_holds_more_than_there_is)
{
    struct crowd c = { .g = gate_create(3, THREADS) };
    pthread_t threads[THREADS];

    REQUIRE(c.g != NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, push, &c);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    CHECK(c.most >= 1 && c.most <= 3);
    CHECK_I64(gate_taken(c.g), 0);
    gate_free(c.g);
}
