/* Starts fovea-picture, hands it the file and a place for the pixels, and waits. See apart.h. */
#include "media/apart.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/limits.h"
#include "media/image_private.h"

static const char program[] = "fovea-picture";

/* Beside the running program, or above it where tests have a folder of their own. */
static bool find_program(char *path, size_t size)
{
    static const char *const places[] = { "", "../" };
    char self[PATH_MAX];
    const ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *slash;

    if (n <= 0)
        return false;
    self[n] = 0;
    slash = strrchr(self, '/');
    for (size_t i = 0; slash && i < sizeof places / sizeof places[0]; i++) {
        const int length =
            snprintf(path, size, "%.*s%s%s", (int)(slash + 1 - self), self, places[i], program);

        if (length > 0 && (size_t)length < size && access(path, X_OK) == 0)
            return true;
    }
    return false;
}

/* Files without a name, in memory: one with the picture, one for its pixels. */
static int memory_file(size_t size)
{
    const int fd = memfd_create(program, MFD_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, (off_t)size) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static bool write_all(int fd, struct slice s)
{
    for (size_t at = 0; at < s.n;) {
        const ssize_t n = pwrite(fd, s.p + at, s.n - at, (off_t)at);

        if (n <= 0 && errno != EINTR)
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

static bool read_all(int fd, uint8_t *to, size_t size)
{
    for (size_t at = 0; at < size;) {
        const ssize_t n = pread(fd, to + at, size - at, (off_t)at);

        if (n == 0 || (n < 0 && errno != EINTR))
            return false;
        at += n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The file as descriptor 0, the pixels as 1, and nothing else of ours: no descriptor, no environment. */
static bool start(const char *path, char *const argv[], int in, int out, pid_t *ret)
{
    char *const no_environment[] = { NULL };
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t how;
    sigset_t none, all;
    bool ok;

    if (posix_spawn_file_actions_init(&actions) != 0)
        return false;
    if (posix_spawnattr_init(&how) != 0) {
        posix_spawn_file_actions_destroy(&actions);
        return false;
    }
    sigemptyset(&none);
    sigfillset(&all);
    ok = posix_spawn_file_actions_adddup2(&actions, in, 0) == 0 &&
         posix_spawn_file_actions_adddup2(&actions, out, 1) == 0 &&
         posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0) == 0 &&
         posix_spawn_file_actions_addclosefrom_np(&actions, 3) == 0 &&
         posix_spawnattr_setsigmask(&how, &none) == 0 &&
         posix_spawnattr_setsigdefault(&how, &all) == 0 &&
         posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF) == 0 &&
         posix_spawn(ret, path, &actions, &how, argv, no_environment) == 0;
    posix_spawnattr_destroy(&how);
    posix_spawn_file_actions_destroy(&actions);
    return ok;
}

/* How it ended; -1: by a signal, ours too when its time was over. */
static int await(pid_t pid)
{
    struct pollfd end = { .fd = pidfd_open(pid, 0), .events = POLLIN };
    int status = 0, ready;

    do {
        ready = end.fd >= 0 ? poll(&end, 1, LIMIT_APART_S * 1000) : 0;
    } while (ready < 0 && errno == EINTR);
    if (ready != 1)
        kill(pid, SIGKILL);
    if (end.fd >= 0)
        close(end.fd);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static enum status explain(int end, struct fault *f)
{
    switch (end) {
    case APART_DONE:
        return ST_OK;
    case APART_DAMAGED:
        return image_damaged(f, "its HEIF data is incomplete or wrong");
    case APART_UNKNOWN:
        return fault_set(
            f, ST_UNSUPPORTED, NULL,
            "the picture uses a kind of HEIF that is not read here; convert it to JPEG or PNG");
    case APART_UNCAGED:
        return fault_set(f, ST_UNAVAILABLE, NULL, "the picture cannot be decoded apart on this machine");
    default:
        return image_damaged(f, "decoding it took more than it may, or failed");
    }
}

enum status apart_decode(struct slice file, int64_t width, int64_t height, uint8_t *rgb, struct fault *f)
{
    const size_t size = (size_t)width * (size_t)height * 3;
    char path[PATH_MAX], sides[2][24];
    char *const argv[] = { path, sides[0], sides[1], NULL };
    int in = -1, out = -1;
    enum status st;
    pid_t pid;

    snprintf(sides[0], sizeof sides[0], "%lld", (long long)width);
    snprintf(sides[1], sizeof sides[1], "%lld", (long long)height);
    if (!find_program(path, sizeof path)) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the decoder for HEIC and AVIF is not installed");
        goto out;
    }
    if ((in = memory_file(file.n)) < 0 || (out = memory_file(size)) < 0 || !write_all(in, file) ||
        !start(path, argv, in, out, &pid)) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the decoder for HEIC and AVIF cannot be started");
        goto out;
    }
    if ((st = explain(await(pid), f)) == ST_OK && !read_all(out, rgb, size))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the decoded picture cannot be read");
out:
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return st;
}
