/* Failpoints act where and when the plan says, and not otherwise. Compiled in only outside release
 * builds. */
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/failpoint.h"
#include "base/text.h"
#include "tests/unit/test.h"

#ifdef FOVEA_FAILPOINTS

TEST(a_point_acts_at_its_hit_only)
{
    failpoint_arm("a:2:eio,b:1:enospc,c:*:eio");
    CHECK_I64(failpoint("a"), 0);
    CHECK_I64(failpoint("b"), ENOSPC);
    CHECK_I64(failpoint("a"), EIO);
    CHECK_I64(failpoint("a"), 0);
    CHECK_I64(failpoint("b"), 0);
    CHECK_I64(failpoint("c"), EIO);
    CHECK_I64(failpoint("c"), EIO);
    CHECK_I64(failpoint("unknown"), 0);
    failpoint_arm(NULL);
    CHECK_I64(failpoint("c"), 0);
}

TEST(a_point_can_wait)
{
    const int64_t before = clock_monotonic_ms();

    failpoint_arm("a:1:sleep30");
    CHECK_I64(failpoint("a"), 0);
    CHECK(clock_monotonic_ms() - before >= 29);
    failpoint_arm(NULL);
}

/* How a child ends that runs one point under a plan: its wait status. */
static int child_under(const char *plan)
{
    int how = 0;
    const pid_t child = fork();

    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(9);
        failpoint_arm(plan);
        _exit(failpoint("a") ? 8 : 7);
    }
    CHECK(waitpid(child, &how, 0) == child);
    return how;
}

TEST(a_point_can_end_the_process)
{
    const struct {
        const char *plan;
        int number;
    } ends[] = { { "a:1:kill", SIGKILL }, { "a:1:term", SIGTERM }, { "a:1:abort", SIGABRT } };

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const int how = child_under(ends[i].plan);

        CHECK(WIFSIGNALED(how) && WTERMSIG(how) == ends[i].number);
    }
}

TEST(a_plan_with_a_typing_error_ends_the_process)
{
    static const char *const plans[] = { "a",        "a:1",       "a:1:",       "a:1:explode",
                                         "a:0:kill", "a:-1:kill", "a:x:kill",   "a:1x:kill",
                                         ":1:kill",  "a:1:sleep", "a:1:sleepy", "a:1:eio,b" };

    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        const int how = child_under(plans[i]);

        if (!WIFEXITED(how) || WEXITSTATUS(how) != 2)
            TEST_FAIL_("%s: ended with %d", plans[i], how);
    }
}

static void write_plan(const char *path, const char *plan)
{
    char fresh[128];
    FILE *out;

    snprintf(fresh, sizeof fresh, "%s.new", path);
    out = fopen(fresh, "w");
    CHECK(out && fputs(plan, out) >= 0 && fclose(out) == 0 && rename(fresh, path) == 0);
}

TEST(a_plan_in_a_file_arms_a_running_process_and_acts_once)
{
    char path[64], at[80];

    snprintf(path, sizeof path, "/tmp/fovea-plan.%d", (int)getpid());
    snprintf(at, sizeof at, "@%s", path);
    failpoint_arm(at);
    CHECK_I64(failpoint("a"), 0);
    CHECK(!failpoint_planned("a"));
    write_plan(path, "a:2:eio\n");
    CHECK(failpoint_planned("a") && !failpoint_planned("b"));
    CHECK_I64(failpoint("a"), 0);
    CHECK_I64(failpoint("b"), 0);
    CHECK_I64(failpoint("a"), EIO);
    CHECK(access(path, F_OK) != 0);
    CHECK_I64(failpoint("a"), 0);
    CHECK(!failpoint_planned("a"));
    write_plan(path, "a:1:enospc\n");
    CHECK_I64(failpoint("a"), ENOSPC);
    failpoint_arm(NULL);
}

#else

TEST(release_builds_have_no_failpoints)
{
    CHECK(setenv("FOVEA_FAIL", "a:1:kill", 1) == 0);
    CHECK_I64(failpoint("a"), 0);
    unsetenv("FOVEA_FAIL");
}

#endif
