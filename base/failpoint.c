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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_POINTS = 16, PLAN_BYTES = 512 };

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

/* Of a plan in a file. */
static char plan_path[256];
static struct stat plan_seen; /* of the plan that is loaded; st_ino 0: none */
static pthread_mutex_t plan_lock = PTHREAD_MUTEX_INITIALIZER;

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
        { "kill", SIGKILL, 0 },  { "abort", SIGABRT, 0 }, { "term", SIGTERM, 0 },
        { "enospc", 0, ENOSPC }, { "eio", 0, EIO },
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

static void forget_points(void)
{
    memset(points, 0, sizeof points);
    npoints = 0;
}

static void parse_plan(const char *plan)
{
    char *copy = strdup(plan), *rest = NULL;

    if (!copy)
        abort();
    for (char *entry = strtok_r(copy, ",\n", &rest); entry; entry = strtok_r(NULL, ",\n", &rest))
        parse_point(entry);
    free(copy);
}

static void read_environment(void)
{
    const char *plan = getenv("FOVEA_FAIL");

    if (plan && plan[0] != '@')
        parse_plan(plan);
    else if (plan && (size_t)snprintf(plan_path, sizeof plan_path, "%s", plan + 1) >= sizeof plan_path)
        refuse(plan);
}

/* ---- a plan in a file */

/* Numbers of files are used again: the time tells them apart. */
static bool same_plan(const struct stat *s)
{
    return s->st_ino == plan_seen.st_ino && s->st_mtim.tv_sec == plan_seen.st_mtim.tv_sec &&
           s->st_mtim.tv_nsec == plan_seen.st_mtim.tv_nsec;
}

/* Under plan_lock. Whoever made the file wrote it whole before it got this name. */
static void load_plan(void)
{
    char text[PLAN_BYTES];
    struct stat about;
    FILE *in = fopen(plan_path, "re");
    size_t n;

    if (in && fstat(fileno(in), &about) == 0 && !same_plan(&about)) {
        forget_points();
        plan_seen = about;
        n = fread(text, 1, sizeof text - 1, in);
        text[n] = '\0';
        parse_plan(text);
    } else if (!in) {
        forget_points();
        plan_seen.st_ino = 0;
    }
    if (in)
        fclose(in);
}

/* The point's action when this hit is the one that acts; the action itself runs without the lock. */
static bool take_from_file(const char *name, struct point *ret)
{
    bool mine = false;

    pthread_mutex_lock(&plan_lock);
    load_plan();
    for (int i = 0; i < npoints && !mine; i++) {
        struct point *p = &points[i];

        if (strcmp(p->name, name) != 0 || (p->nth && p->nth != ++p->hits))
            continue;
        mine = unlink(plan_path) == 0;
        *ret = *p;
    }
    pthread_mutex_unlock(&plan_lock);
    return mine;
}

/* ---- acting */

static int act(const struct point *p)
{
    if (p->sleep_ms) {
        struct timespec left = { p->sleep_ms / 1000, p->sleep_ms % 1000 * 1000000 };

        while (nanosleep(&left, &left) != 0 && errno == EINTR)
            ;
    }
    if (p->raise == SIGTERM)
        kill(getpid(), SIGTERM); /* to the process: threads block it */
    else if (p->raise)
        raise(p->raise); /* to this thread: it must not get a step further */
    return p->error;
}

int failpoint_hit(const char *name)
{
    struct point taken;
    int error = 0;

    pthread_once(&once, read_environment);
    if (plan_path[0])
        return take_from_file(name, &taken) ? act(&taken) : 0;
    for (int i = 0; i < npoints; i++) {
        struct point *p = &points[i];

        if (strcmp(p->name, name) != 0)
            continue;
        if (p->nth == atomic_fetch_add(&p->hits, 1) + 1 || p->nth == 0)
            error = error ? error : act(p);
    }
    return error;
}

bool failpoint_planned(const char *name)
{
    bool planned = false;

    pthread_once(&once, read_environment);
    pthread_mutex_lock(&plan_lock);
    if (plan_path[0])
        load_plan();
    for (int i = 0; i < npoints; i++)
        planned = planned || strcmp(points[i].name, name) == 0;
    pthread_mutex_unlock(&plan_lock);
    return planned;
}

void failpoint_arm(const char *plan)
{
    pthread_once(&once, read_environment);
    forget_points();
    plan_path[0] = '\0';
    plan_seen.st_ino = 0;
    if (plan && plan[0] == '@')
        snprintf(plan_path, sizeof plan_path, "%s", plan + 1);
    else if (plan)
        parse_plan(plan);
}

#else

/* ISO C forbids an empty file. */
extern int failpoint_is_compiled_out;

#endif
