/* A file as shared memory: see shared.h. */
#include "fcgi/shared.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum status shared_map(const char *path, uint64_t magic, size_t size, void **ret, struct fault *f)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    uint64_t found = 0;
    struct stat sb;
    void *p = MAP_FAILED;

    if (fd < 0 || flock(fd, LOCK_EX) != 0) /* one process at a time decides what the file is */
        goto out;
    if (fstat(fd, &sb) != 0)
        goto out;
    if (sb.st_size >= 8 && pread(fd, &found, sizeof found, 0) != sizeof found)
        goto out;
    if ((found != magic || (size_t)sb.st_size != size) &&
        (ftruncate(fd, 0) != 0 || ftruncate(fd, (off_t)size) != 0 ||
         pwrite(fd, &magic, sizeof magic, 0) != sizeof magic))
        goto out;
    p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
out:
    if (fd >= 0) {
        flock(fd, LOCK_UN); /* the mapping keeps the open file, and with it the lock, alive */
        close(fd);
    }
    if (p == MAP_FAILED)
        return fault_set(f, ST_UNAVAILABLE, NULL, "cannot map the shared file %.120s", path);
    *ret = p;
    return ST_OK;
}
