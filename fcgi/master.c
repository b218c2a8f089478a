/* See master.h. */
#include "fcgi/master.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"

enum {
    CHILDREN_MAX = 64,
    READY_MS = 15000, /* a new generation has this long to come up before the old one is asked to go */
    DRAIN_MS = 30000,
    BACKOFF_MOST_MS = 5000,
    SHORT_LIFE_MS = 1000,
};

struct child {
    pid_t pid;
    int64_t started_ms;
    bool leaving; /* told to stop: not replaced when it ends */
};

struct master {
    struct child children[CHILDREN_MAX * 2];
    int n, backoff_ms;
    char **argv;
};

static pid_t spawn(char **argv, int ready_fd)
{
    const pid_t parent = getpid(), pid = fork();
    char number[16];
    sigset_t none;

    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    snprintf(number, sizeof number, "%d", ready_fd);
    setenv("FOVEA_READY_FD", number, 1);
    execv("/proc/self/exe", argv);
    _exit(127);
}

void master_child_ready(void)
{
    const char *text = getenv("FOVEA_READY_FD");
    int64_t fd;

    if (!text || !text_i64(text, strlen(text), &fd))
        return;
    (void)!write((int)fd, "r", 1);
    close((int)fd);
    unsetenv("FOVEA_READY_FD");
}

static bool start_child(struct master *m, int ready_fd)
{
    struct child *c = &m->children[m->n];

    if (m->n == CHILDREN_MAX * 2)
        return false;
    *c = (struct child){ .pid = spawn(m->argv, ready_fd), .started_ms = clock_monotonic_ms() };
    if (c->pid < 0) {
        log_event(LOG_LEVEL_ERROR, "fork_failed", "detail", strerror(errno), NULL);
        return false;
    }
    m->n++;
    return true;
}

/* Starts n children and waits until they serve. False: not all came up. */
static bool start_generation(struct master *m, int n)
{
    int pipe_fds[2], ready = 0;
    const int64_t until = clock_monotonic_ms() + READY_MS;

    if (pipe(pipe_fds) != 0)
        return false;
    fcntl(pipe_fds[0], F_SETFD, FD_CLOEXEC);
    for (int i = 0; i < n; i++)
        start_child(m, pipe_fds[1]);
    close(pipe_fds[1]);
    while (ready < n) {
        struct pollfd p = { .fd = pipe_fds[0], .events = POLLIN };
        const int64_t left = until - clock_monotonic_ms();
        char byte;

        if (left <= 0 || (poll(&p, 1, (int)left) < 0 && errno != EINTR))
            break;
        if (p.revents && read(pipe_fds[0], &byte, 1) <= 0)
            break; /* all writers are gone */
        ready += p.revents != 0;
    }
    close(pipe_fds[0]);
    return ready == n;
}

static void leave(struct master *m, int first, int end)
{
    for (int i = first; i < end; i++) {
        m->children[i].leaving = true;
        kill(m->children[i].pid, SIGTERM);
    }
}

static void reload(struct master *m, int nchildren)
{
    const int old = m->n;

    sd_notify(0, "RELOADING=1");
    if (start_generation(m, nchildren)) {
        leave(m, 0, old);
        log_event(LOG_LEVEL_INFO, "reloaded", NULL);
    } else { /* the old ones stay: a bad configuration must not take the site down */
        leave(m, old, m->n);
        log_event(LOG_LEVEL_ERROR, "reload_failed", "detail", "the new processes did not come up", NULL);
    }
    sd_notify(0, "READY=1");
}

static void bury(struct master *m, pid_t pid, int status)
{
    char detail[64];

    for (int i = 0; i < m->n; i++) {
        const struct child c = m->children[i];
        const bool short_life = clock_monotonic_ms() - c.started_ms < SHORT_LIFE_MS;

        if (c.pid != pid)
            continue;
        m->children[i] = m->children[--m->n];
        if (c.leaving)
            return;
        snprintf(detail, sizeof detail, WIFSIGNALED(status) ? "signal %d" : "exit %d",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        log_event(LOG_LEVEL_ERROR, "child_died", "detail", detail, NULL);
        m->backoff_ms = !short_life ? 0 : m->backoff_ms ? m->backoff_ms * 2 : 10;
        if (m->backoff_ms > BACKOFF_MOST_MS)
            m->backoff_ms = BACKOFF_MOST_MS;
        if (m->backoff_ms)
            usleep((useconds_t)m->backoff_ms * 1000);
        start_child(m, -1);
        return;
    }
}

static void bury_all(struct master *m)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        bury(m, pid, status);
}

static void drain(struct master *m)
{
    const int64_t until = clock_monotonic_ms() + DRAIN_MS;

    sd_notify(0, "STOPPING=1");
    leave(m, 0, m->n);
    while (m->n && clock_monotonic_ms() < until) {
        bury_all(m);
        usleep(5000);
    }
    for (int i = 0; i < m->n; i++)
        kill(m->children[i].pid, SIGKILL);
}

int master_run(int nchildren, char **argv)
{
    struct master m = { .argv = argv };
    struct signalfd_siginfo info;
    sigset_t set;
    int fd;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    if ((fd = signalfd(-1, &set, SFD_CLOEXEC)) < 0)
        return 71;
    if (!start_generation(&m, nchildren))
        log_event(LOG_LEVEL_WARNING, "start_slow", "detail", "not every process came up in time", NULL);
    sd_notify(0, "READY=1");
    for (;;) {
        bury_all(&m);
        if (read(fd, &info, sizeof info) != sizeof info)
            continue;
        if (info.ssi_signo == SIGHUP)
            reload(&m, nchildren);
        else if (info.ssi_signo != SIGCHLD)
            break;
    }
    drain(&m);
    return 0;
}
