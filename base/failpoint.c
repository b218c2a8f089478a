/* Named places where a test makes the process die or a call fail: see failpoint.h. */
#include "base/failpoint.h"

#ifdef FOVEA_FAILPOINTS

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MAX_POINTS = 16 };

struct point {
    char name[48];
    long nth; /* 0: every hit */
    int raise, error;
    long sleep_ms;
    atomic_long hits;
};

static struct point points[MAX_POINTS];
static int npoints;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void refuse(const char *entry)
{
    fprintf(stderr, "FOVEA_FAIL: cannot read \"%s\"\n", entry);
    exit(2);
}

static void parse_action(struct point *p, const char *action, const char *entry)
{
    static const struct {
        const char *name;
        int raise, error;
    } actions[] = {
        {"kill",    SIGKILL, 0     },
        { "abort",  SIGABRT, 0     },
        { "term",   SIGTERM, 0     },
        { "enospc", 0,       ENOSPC},
        { "eio",    0,       EIO   },
    };
    char *end;

    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(action, actions[i].name) == 0) {
            p->raise = actions[i].raise;
            p->error = actions[i].error;
            return;
        }
    if (strncmp(action, "sleep", 5) != 0)
        refuse(entry);
    p->sleep_ms = strtol(action + 5, &end, 10);
    if (end == action + 5 || *end || p->sleep_ms < 0)
        refuse(entry);
}

static void parse_point(const char *entry)
{
    struct point *p = &points[npoints];
    char nth[16], action[16], *end;

    if (npoints == MAX_POINTS || sscanf(entry, "%47[^:]:%15[^:]:%15s", p->name, nth, action) != 3)
        refuse(entry);
    p->nth = strcmp(nth, "*") == 0 ? 0 : strtol(nth, &end, 10);
    if (strcmp(nth, "*") != 0 && (*end || p->nth < 1))
        refuse(entry);
    parse_action(p, action, entry);
    npoints++;
}

static void parse_plan(const char *plan)
{
    char *copy = strdup(plan), *rest = NULL;

    if (!copy)
        abort();
    for (char *entry = strtok_r(copy, ",", &rest); entry; entry = strtok_r(NULL, ",", &rest))
        parse_point(entry);
    free(copy);
}

static void read_environment(void)
{
    const char *plan = getenv("FOVEA_FAIL");

    if (plan)
        parse_plan(plan);
}

void failpoint_arm(const char *plan)
{
    pthread_once(&once, read_environment);
    memset(points, 0, sizeof points);
    npoints = 0;
    if (plan)
        parse_plan(plan);
}

static int act(const struct point *p)
{
    if (p->sleep_ms) {
        struct timespec left = { p->sleep_ms / 1000, p->sleep_ms % 1000 * 1000000 };

        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            ;
    }
    if (p->raise)
        raise(p->raise);
    return p->error;
}

int failpoint_hit(const char *name)
{
    int error = 0;

    pthread_once(&once, read_environment);
    for (int i = 0; i < npoints; i++) {
        struct point *p = &points[i];

        if (strcmp(p->name, name) != 0)
            continue;
        if (p->nth == atomic_fetch_add(&p->hits, 1) + 1 || p->nth == 0)
            error = error ? error : act(p);
    }
    return error;
}

#else

/* ISO C forbids an empty file. */
extern int failpoint_is_compiled_out;

#endif
