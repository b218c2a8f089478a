/* Work in a process of its own: what it says, how it ends, and that nothing of it is left. */
#include "tests/unit/test.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/limits.h"
#include "domain/child.h"

static struct child_outcome run(void (*what)(void *, struct buffer *), const struct stepper *step)
{
    const struct child_work w = { what, NULL, 1 << 20, 1 };
    struct child_outcome o = { .end = CHILD_STOPPED };
    struct fault f = FAULT_INIT;

    if (child_run(&w, step, &o, &f) != ST_OK)
        TEST_FAIL_("%s", f.detail);
    CHECK(waitpid(-1, NULL, WNOHANG) == -1);
    return o;
}

static void say_much(void *arg, struct buffer *say)
{
    (void)arg;
    for (int i = 0; i < 300000; i++) /* several times a pipe's buffer */
        buffer_char(say, (char)i);
}

static void say_too_much(void *arg, struct buffer *say)
{
    say_much(arg, say);
    for (int i = 0; i < 3; i++)
        say_much(arg, say);
}

static void crash(void *arg, struct buffer *say)
{
    (void)arg;
    buffer_text(say, "half");
    raise(SIGKILL);
}

static void hang(void *arg, struct buffer *say)
{
    (void)arg;
    (void)say;
    for (;;)
        pause();
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
/* One page of each piece is touched, so that the pieces are real and the test is not slow. */
static void take_memory(void *arg, struct buffer *say)
{
    const size_t piece = (size_t)64 << 20;
    long long taken = 0;
    char *p;

    (void)arg;
    while (taken < 2 * LIMIT_CHILD_BYTES && (p = malloc(piece))) {
        *(volatile char *)p = 1;
        taken += (long long)piece;
    }
    buffer_printf(say, "%lld", taken);
}
#endif

static bool stop(void *arg)
{
    (void)arg;
    return false;
}

TEST(what_a_child_says_arrives_whole)
{
    struct child_outcome o = run(say_much, NULL);
    size_t wrong = 0;

    CHECK_I64(o.end, CHILD_SPOKE);
    REQUIRE(o.said.n == 300000);
    for (size_t i = 0; i < o.said.n; i++)
        wrong += o.said.p[i] != (char)i;
    CHECK_SIZE(wrong, 0);
    buffer_free(&o.said);
}

TEST(a_child_that_says_more_than_it_may_has_said_nothing)
{
    struct child_outcome o = run(say_too_much, NULL);

    CHECK_I64(o.end, CHILD_DIED);
    CHECK_I64(o.signal, 0);
    buffer_free(&o.said);
}

TEST(a_child_that_crashes_is_told_by_its_signal)
{
    const struct child_work w = { .limit_s = 1 };
    struct child_outcome o = run(crash, NULL);
    char why[64];

    CHECK_I64(o.end, CHILD_DIED);
    CHECK_I64(o.signal, SIGKILL);
    child_explain(&o, &w, "it", why, sizeof why);
    CHECK_STR(why, "it crashed (signal 9)");
    buffer_free(&o.said);
}

TEST(a_child_that_hangs_is_ended_after_its_time)
{
    const struct child_work w = { .limit_s = 1 };
    struct child_outcome o = run(hang, NULL);
    char why[64];

    CHECK_I64(o.end, CHILD_LATE);
    child_explain(&o, &w, "it", why, sizeof why);
    CHECK_STR(why, "it took longer than 1 s");
    buffer_free(&o.said);
}

TEST(a_child_is_ended_when_the_caller_wants_to_stop)
{
    const struct stepper stepper = { stop, NULL };
    struct child_outcome o = run(hang, &stepper);

    CHECK_I64(o.end, CHILD_STOPPED);
    buffer_free(&o.said);
}

TEST(memory_beyond_the_limit_is_refused)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    SKIP("a sanitizer has memory of its own");
#else
    struct child_outcome o = run(take_memory, NULL);
    const long long taken = o.said.n ? strtoll(buffer_terminate(&o.said), NULL, 10) : -1;

    CHECK_I64(o.end, CHILD_SPOKE);
    CHECK(taken > LIMIT_CHILD_BYTES / 2 && taken <= LIMIT_CHILD_BYTES);
    buffer_free(&o.said);
#endif
}

TEST(names_of_a_file_are_made_text)
{
    char text[] = "a\xc3\xa9\tb\xff\xe2\x82"; /* the last one cut */

    child_clean(text);
    CHECK_STR(text, "a\xc3\xa9?b???");
}
