/*
 * Temporary files that a crash left behind: those of the media store, and request bodies that nginx
 * spooled. What is younger than a day may be in use and stays.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/config.h"
#include "worker/kinds.h"

enum { OLD_S = 86400, DEEPEST = 4 }; /* nginx makes at most three levels of folders */

struct spool_sweep {
    struct job *job;
    time_t oldest_kept;
    int removed;
};

static void sweep_folder(struct spool_sweep *s, int fd, int depth);

static void sweep_entry(struct spool_sweep *s, int folder, const char *name, int depth)
{
    struct stat st;
    int fd;

    if (fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return; /* gone meanwhile */
    if (S_ISREG(st.st_mode) && st.st_mtime < s->oldest_kept && unlinkat(folder, name, 0) == 0)
        s->removed++;
    if (!S_ISDIR(st.st_mode) || depth == DEEPEST)
        return;
    if ((fd = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)) >= 0)
        sweep_folder(s, fd, depth + 1);
}

/* Closes fd. */
static void sweep_folder(struct spool_sweep *s, int fd, int depth)
{
    DIR *const folder = fdopendir(fd);
    struct dirent *e;

    if (!folder) {
        close(fd);
        return;
    }
    while ((e = readdir(folder)) && job_step(s->job, 0))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            sweep_entry(s, dirfd(folder), e->d_name, depth);
    closedir(folder);
}

enum status sweep_spool_run(struct job *job, struct buffer *result, struct fault *f)
{
    struct spool_sweep s = { .job = job, .oldest_kept = time(NULL) - OLD_S };
    const char *const path = config_text("spool_dir");
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0 && errno != ENOENT)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the spool folder cannot be read: %s",
                         strerrordesc_np(errno));
    if (fd >= 0)
        sweep_folder(&s, fd, 1);
    buffer_printf(result, "{\"store\":%d,\"spool\":%d}", store_sweep(job->worker->store, OLD_S),
                  s.removed);
    return ST_OK;
}
