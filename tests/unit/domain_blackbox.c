/* What a process leaves when it dies: processes of the test die at their notes, the next one reads. */
#include "tests/unit/test.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/blackbox.h"
#include "inference/kernels/team.h"

static const struct digest good = { { 1 } }, bad = { { 2 } }, third = { { 3 } };
static char path[64];

static void new_box(void)
{
    snprintf(path, sizeof path, "/tmp/fovea-blackbox.XXXXXX");
    close(mkstemp(path));
}

static struct blackbox *open_box(void)
{
    struct blackbox *b = NULL;
    struct fault f = FAULT_INIT;

    if (blackbox_open(path, &b, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    return b;
}

enum death { BY_ABORT, BY_FAULT, BY_KILL, BY_STRANGER, BY_TEAM, BY_HANGING, BY_LEAVING };

static void *stranger(void *arg)
{
    (void)arg;
    raise(SIGABRT);
    return NULL;
}

static void member(const void *context, int i, int n)
{
    (void)context;
    (void)n;
    if (i > 0)
        raise(SIGABRT);
    else
        pause();
}

static void *bystander(void *arg)
{
    blackbox_begin(arg, &good, BLACKBOX_RUNNING, 1000);
    pause();
    return NULL;
}

static void die(struct blackbox *b, enum death how)
{
    struct digest guilty;
    pthread_t t;

    switch (how) {
    case BY_ABORT:
        raise(SIGABRT);
        break;
    case BY_FAULT:
        *(volatile int *)(uintptr_t)4096 = 1;
        break;
    case BY_STRANGER:
        pthread_create(&t, NULL, stranger, NULL);
        pthread_join(t, NULL);
        break;
    case BY_TEAM:
        team_run(2, member, NULL);
        break;
    case BY_HANGING:
        while (!blackbox_overdue(b, 100, &guilty))
            ;
        kill(getpid(), SIGKILL);
        break;
    case BY_KILL:
        kill(getpid(), SIGKILL);
        break;
    case BY_LEAVING:
        blackbox_close(b);
        break;
    }
    _exit(0);
}

/* A process with a run of `good` in another thread and one of `bad` in its own dies. What it says while
 * dying (a sanitizer's report) goes nowhere. Returns the signal that it died of. */
static int live_and_die(enum death how, int64_t allowed_ms)
{
    const pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        struct blackbox *b = open_box();
        pthread_t t;

        if (!b || !freopen("/dev/null", "w", stderr))
            _exit(1);
        pthread_create(&t, NULL, bystander, b);
        usleep(20000);
        blackbox_begin(b, &bad, BLACKBOX_RUNNING, allowed_ms);
        die(b, how);
    }
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/* What the next process finds. */
static bool condemned(const struct digest *d, char reason[BLACKBOX_REASON_BYTES])
{
    struct blackbox *b = open_box();
    struct verdict v = { .reason = "" };
    const bool found = b && blackbox_condemned(b, d, &v);

    memcpy(reason, v.reason, BLACKBOX_REASON_BYTES);
    blackbox_close(b);
    return found;
}

TEST(two_crashes_condemn_the_model_whose_thread_crashed_and_no_other)
{
    char reason[BLACKBOX_REASON_BYTES];

    for (int fault = 0; fault < 2; fault++) {
        new_box();
        live_and_die(fault ? BY_FAULT : BY_ABORT, 1000);
        CHECK(!condemned(&bad, reason));
        live_and_die(fault ? BY_FAULT : BY_ABORT, 1000);
        CHECK(condemned(&bad, reason));
        CHECK_STR(reason, fault ? "it crashed (signal 11) when it was run, again and again"
                                : "it crashed (signal 6) when it was run, again and again");
        CHECK(!condemned(&good, reason));
        unlink(path);
    }
}

TEST(the_signal_goes_on_to_whom_it_was_meant_for)
{
    new_box();
    CHECK_I64(live_and_die(BY_ABORT, 1000), SIGABRT);
    unlink(path);
}

TEST(a_run_over_its_time_is_guilty_and_the_others_are_not)
{
    char reason[BLACKBOX_REASON_BYTES];

    new_box();
    live_and_die(BY_HANGING, 500); /* the bystander may take a second */
    live_and_die(BY_HANGING, 500);
    CHECK(condemned(&bad, reason));
    CHECK(strstr(reason, "did not end") != NULL);
    CHECK(!condemned(&good, reason));
    unlink(path);
}

TEST(a_crash_in_the_team_of_some_run_makes_all_suspects)
{
    char reason[BLACKBOX_REASON_BYTES];

    new_box();
    live_and_die(BY_TEAM, 1000);
    CHECK(!condemned(&good, reason));
    live_and_die(BY_ABORT, 1000);
    CHECK(condemned(&bad, reason));
    CHECK(!condemned(&good, reason));
    live_and_die(BY_TEAM, 1000);
    CHECK(condemned(&good, reason));
    unlink(path);
}

TEST(other_threads_a_kill_from_outside_and_an_orderly_end_accuse_nobody)
{
    char reason[BLACKBOX_REASON_BYTES];

    new_box();
    for (int i = 0; i < 3; i++) {
        live_and_die(BY_KILL, 1000);
        CHECK_I64(live_and_die(BY_STRANGER, 1000), SIGABRT);
        live_and_die(BY_LEAVING, 1000);
    }
    CHECK(!condemned(&bad, reason));
    CHECK(!condemned(&good, reason));
    unlink(path);
}

TEST(a_recorded_verdict_is_forgotten_here)
{
    struct verdict all[4];
    struct blackbox *b;

    new_box();
    live_and_die(BY_ABORT, 1000);
    live_and_die(BY_ABORT, 1000);
    REQUIRE((b = open_box()));
    CHECK_SIZE(blackbox_verdicts(b, all, 4), 1);
    CHECK(memcmp(all[0].weights.bytes, bad.bytes, DIGEST_BYTES) == 0);
    blackbox_settle(b, &bad);
    CHECK_SIZE(blackbox_verdicts(b, all, 4), 0);
    CHECK(!blackbox_condemned(b, &bad, &all[0]));
    blackbox_close(b);
    unlink(path);
}

TEST(the_next_process_learns_what_was_in_use_without_what_is_suspected)
{
    struct model_use recent[BLACKBOX_RECENT];
    const struct model_use one = { .weights = good, .precision = PRECISION_F16 },
                           two = { .weights = bad }, three = { .weights = third },
                           other = { .weights = third, .calibrated = true, .precision = PRECISION_INT8 };
    struct blackbox *b;
    int status;

    new_box();
    if (fork() == 0) {
        b = open_box();
        blackbox_keep(b, &three);
        usleep(2000);
        blackbox_keep(b, &one);
        usleep(2000);
        blackbox_keep(b, &two);
        blackbox_drop(b, &three);
        blackbox_keep(b, &other);
        blackbox_drop(b, &three);
        blackbox_begin(b, &bad, BLACKBOX_LOADING, 1000);
        if (freopen("/dev/null", "w", stderr))
            raise(SIGABRT);
        _exit(1);
    }
    wait(&status);
    REQUIRE((b = open_box()));
    REQUIRE(blackbox_recent(b, recent, BLACKBOX_RECENT) == 2);
    CHECK_I64(recent[0].weights.bytes[0], 3);
    CHECK(recent[0].calibrated);
    CHECK_I64(recent[0].precision, PRECISION_INT8);
    CHECK_I64(recent[1].weights.bytes[0], 1);
    CHECK_I64(recent[1].precision, PRECISION_F16);
    blackbox_close(b);
    unlink(path);
}

TEST(processes_that_live_are_left_alone)
{
    char reason[BLACKBOX_REASON_BYTES];
    struct blackbox *b, *others[BLACKBOX_PROCESSES];
    struct verdict v;
    int note;

    new_box();
    REQUIRE((b = open_box()));
    note = blackbox_begin(b, &bad, BLACKBOX_RUNNING, 1000);
    CHECK(note != BLACKBOX_NONE);
    for (int i = 0; i < BLACKBOX_PROCESSES; i++)
        REQUIRE((others[i] = open_box()));
    /* The last one found no part: it takes no notes, and all else works. */
    CHECK_I64(blackbox_begin(others[BLACKBOX_PROCESSES - 1], &bad, BLACKBOX_RUNNING, 1), BLACKBOX_NONE);
    CHECK(!blackbox_condemned(others[BLACKBOX_PROCESSES - 1], &bad, &v));
    blackbox_end(b, note);
    for (int i = 0; i < BLACKBOX_PROCESSES; i++)
        blackbox_close(others[i]);
    blackbox_close(b);
    CHECK(!condemned(&bad, reason));
    unlink(path);
}

TEST(a_file_of_another_layout_is_begun_anew)
{
    char reason[BLACKBOX_REASON_BYTES];

    new_box();
    REQUIRE(truncate(path, 12345) == 0);
    CHECK(!condemned(&bad, reason));
    live_and_die(BY_ABORT, 1000);
    live_and_die(BY_ABORT, 1000);
    CHECK(condemned(&bad, reason));
    unlink(path);
}
