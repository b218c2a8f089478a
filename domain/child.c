/* See child.h. The child writes what it has to say into a pipe when it is done; the parent waits for the
 * pipe's end, and tells meanwhile that it lives. */
#include "domain/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/limits.h"

enum { STEP_MS = 200, NICE = 10 };

/* ---- in the child ---- */

/* A sanitizer's own tables are larger than any limit. */
static void limit_memory(void)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    const struct rlimit most = { LIMIT_CHILD_BYTES, LIMIT_CHILD_BYTES };

    (void)setrlimit(RLIMIT_DATA, &most);
#endif
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n) {
        const ssize_t wrote = write(fd, p, n);

        if (wrote < 0 && errno == EINTR)
            continue;
        if (wrote <= 0)
            return false;
        p += wrote;
        n -= (size_t)wrote;
    }
    return true;
}

/* Ends the process: what it holds goes with it. */
static void child(const struct child_work *w, pid_t parent, int fd)
{
    struct buffer say = { .max = w->max_bytes };

    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    limit_memory();
    if (getppid() != parent)
        _exit(1);
    w->run(w->arg, &say);
    _exit(!say.failed && write_all(fd, say.p, say.n) ? 0 : 1);
}

/* ---- in the parent ---- */

/* What can be read now. True: that was all, and the child has gone. */
static bool read_some(int fd, struct buffer *said)
{
    char part[1 << 14];
    const ssize_t n = read(fd, part, sizeof part);

    if (n > 0)
        buffer_bytes(said, part, (size_t)n);
    return n == 0 || (n < 0 && errno != EINTR);
}

/* CHILD_SPOKE: the pipe has ended, however the child did. */
static enum child_end await(int fd, const struct child_work *w, const struct stepper *step,
                            struct buffer *said)
{
    const int64_t until_ms = clock_monotonic_ms() + (int64_t)w->limit_s * 1000;

    while (clock_monotonic_ms() < until_ms) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, STEP_MS) > 0) {
            if (read_some(fd, said))
                return CHILD_SPOKE;
        } else if (step && !step->step(step->arg)) {
            return CHILD_STOPPED;
        }
    }
    return CHILD_LATE;
}

static void end(pid_t pid, struct child_outcome *o)
{
    int wait_status = 0;

    if (o->end != CHILD_SPOKE)
        kill(pid, SIGKILL);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (o->end == CHILD_SPOKE && (wait_status != 0 || o->said.failed)) {
        o->end = CHILD_DIED;
        o->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    }
}

enum status child_run(const struct child_work *w, const struct stepper *step, struct child_outcome *ret,
                      struct fault *f)
{
    const pid_t self = getpid();
    struct child_outcome o = { .said.max = w->max_bytes };
    int ends[2];
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_set(f, ST_UNAVAILABLE, NULL, "no pipe can be made");
    if ((pid = fork()) == 0)
        child(w, self, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return fault_set(f, ST_UNAVAILABLE, NULL, "no process can be made");
    }
    o.end = await(ends[0], w, step, &o.said);
    end(pid, &o);
    close(ends[0]);
    *ret = o;
    return ST_OK;
}

void child_explain(const struct child_outcome *o, const struct child_work *w, const char *noun,
                   char *ret, size_t size)
{
    if (o->end == CHILD_LATE)
        snprintf(ret, size, "%s took longer than %d s", noun, w->limit_s);
    else if (o->signal)
        snprintf(ret, size, "%s crashed (signal %d)", noun, o->signal);
    else
        snprintf(ret, size, "%s ended without a word", noun);
}

void child_clean(char *text)
{
    for (char *p = text; *p;) {
        const size_t n = text_utf8_sequence(p, strlen(p));

        if (!n || (unsigned char)*p < ' ')
            *p = '?';
        p += n ? n : 1;
    }
}
