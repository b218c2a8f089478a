/* Weights files: see model_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/config.h"
#include "cli/model_file.h"
#include "domain/model_bundle.h"
#include "media/unpack.h"

static enum status map_file(int fd, const char *path, struct model_file *ret, struct fault *f)
{
    void *map;
    struct stat info;

    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size == 0)
        return fault_set(f, ST_INVALID, "file", "%s is not a file with content", path);
    if (info.st_size > config_i64("model.max_bytes"))
        return fault_set(f, ST_TOO_LARGE, "file", "%s is larger than model.max_bytes", path);
    if ((map = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0)) == MAP_FAILED)
        return fault_set(f, ST_UNAVAILABLE, "file", "%s: %s", path, strerror(errno));
    ret->bytes = map;
    ret->n = (size_t)info.st_size;
    return ST_OK;
}

static enum status write_sink(void *fd, const void *p, size_t n, struct fault *f)
{
    while (n) {
        const ssize_t w = write(*(int *)fd, p, n);

        if (w <= 0 && errno != EINTR)
            return fault_set(f, ST_UNAVAILABLE, "file", "a temporary file cannot be written: %s",
                             strerror(errno));
        p = (const char *)p + (w > 0 ? w : 0);
        n -= w > 0 ? (size_t)w : 0;
    }
    return ST_OK;
}

/* What is mapped was the archive, and is the model in it afterwards. */
static enum status open_bundle(struct model_file *m, struct fault *f)
{
    const char *const tmp = getenv("TMPDIR");
    const int folder = open(tmp && *tmp ? tmp : "/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int fd = folder >= 0 ? unpack_nameless(folder) : -1;
    struct model_file packed = { .bytes = NULL };
    char name[MODEL_BUNDLE_NAME];
    enum status st;

    if (fd < 0)
        st = fault_set(f, ST_UNAVAILABLE, "file", "no temporary file can be made: %s", strerror(errno));
    else if ((st = model_bundle_pack(m->bytes, m->n, folder, config_i64("model.max_bytes"),
                                     &(struct bundle_sink){ &fd, write_sink }, name, f)) == ST_OK)
        st = map_file(fd, m->file_name, &packed, f);
    if (st == ST_OK && !(packed.file_name = packed.own_name = strdup(name)))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (fd >= 0)
        close(fd);
    if (folder >= 0)
        close(folder);
    if (st == ST_OK) {
        model_file_close(m);
        *m = packed;
    } else {
        model_file_close(&packed);
    }
    return st;
}

enum status model_file_open(const char *path, struct model_file *ret, struct fault *f)
{
    const char *const slash = strrchr(path, '/');
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct model_file m = { .file_name = slash ? slash + 1 : path };
    enum status st;

    if (fd < 0)
        return fault_set(f, errno == ENOENT ? ST_NOT_FOUND : ST_INVALID, "file", "%s: %s", path,
                         strerror(errno));
    st = map_file(fd, path, &m, f);
    close(fd);
    if (st == ST_OK && unpack_is_archive(m.file_name))
        st = open_bundle(&m, f);
    if (st == ST_OK)
        *ret = m;
    else
        model_file_close(&m);
    return st;
}

void model_file_close(struct model_file *m)
{
    if (m->bytes)
        munmap((void *)m->bytes, m->n);
    free(m->own_name);
    *m = (struct model_file){ .bytes = NULL };
}
