/* Weights files: see model_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config.h"
#include "cli/model_file.h"

enum status model_file_open(const char *path, struct model_file *ret, struct fault *f)
{
    const char *const slash = strrchr(path, '/');
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum status st = ST_OK;
    void *map = MAP_FAILED;
    struct stat info;

    if (fd < 0)
        return fault_set(f, errno == ENOENT ? ST_NOT_FOUND : ST_INVALID, "file", "%s: %s", path,
                         strerror(errno));
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
        st = fault_set(f, ST_INVALID, "file", "%s is not a file with content", path);
    else if (info.st_size > config_i64("model.max_bytes"))
        st = fault_set(f, ST_TOO_LARGE, "file", "%s is larger than model.max_bytes", path);
    else if ((map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        st = fault_set(f, ST_UNAVAILABLE, "file", "%s: %s", path, strerror(errno));
    close(fd);
    if (st == ST_OK)
        *ret = (struct model_file){ map, (size_t)info.st_size, slash ? slash + 1 : path };
    return st;
}

void model_file_close(struct model_file *m)
{
    if (m->bytes)
        munmap((void *)m->bytes, m->n);
    *m = (struct model_file){ .bytes = NULL };
}
