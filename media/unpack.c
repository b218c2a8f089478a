/* Reads archives with libarchive: see unpack.h. */
#include "media/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/limits.h"
#include "base/text.h"

enum { PIECE_BYTES = 64 << 10, FILTERS_MAX = 2 /* gzip, and none */ };

struct unpacker {
    struct archive *archive;
    int fd;
    int64_t at, max_bytes, archive_bytes;
    struct unpacked *ret;
    size_t room; /* in ret->files */
    struct fault *fault;
    char piece[PIECE_BYTES];
};

bool unpack_is_archive(const char *file_name)
{
    static const char *const ends[] = { ".zip", ".tar", ".tar.gz", ".tgz" };
    const size_t n = strlen(file_name);

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (n > strlen(ends[i]) && strcasecmp(file_name + n - strlen(ends[i]), ends[i]) == 0)
            return true;
    return false;
}

int unpack_nameless(int folder)
{
    char name[40];
    int fd = openat(folder, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    snprintf(name, sizeof name, "unpack-%ld-%d", (long)getpid(),
             folder); /* a disk that cannot do that */
    fd = openat(folder, name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        unlinkat(folder, name, 0);
    return fd;
}

static enum status out_of_memory(struct fault *f)
{
    return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
}

/* "./a/b" is "a/b". NULL: a name that leaves the archive, or none at all. */
static const char *plain_name(const char *name)
{
    while (name && name[0] == '.' && name[1] == '/')
        name += 2;
    if (!name || !name[0] || strlen(name) > LIMIT_ZIP_NAME_BYTES || name[0] == '/' ||
        !text_is_utf8(name, strlen(name)))
        return NULL;
    for (const char *p = name; *p; p += strcspn(p, "/"), p += *p == '/') {
        const size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return NULL;
        for (size_t i = 0; i < n; i++)
            if ((unsigned char)p[i] < ' ' || p[i] == '\\')
                return NULL;
    }
    return name;
}

static enum status add_file(struct unpacker *u, const char *name)
{
    struct unpacked *r = u->ret;

    if (r->nfiles >= LIMIT_UNPACK_FILES)
        return fault_set(u->fault, ST_TOO_LARGE, NULL, "the archive has more than %d files",
                         LIMIT_UNPACK_FILES);
    if (r->nfiles == u->room) {
        struct unpacked_file *more;

        u->room = u->room ? u->room * 2 : 16;
        if (!(more = realloc(r->files, u->room * sizeof *more)))
            return out_of_memory(u->fault);
        r->files = more;
    }
    r->files[r->nfiles] = (struct unpacked_file){ .name = strdup(name) };
    return r->files[r->nfiles++].name ? ST_OK : out_of_memory(u->fault);
}

static enum status put(struct unpacker *u, size_t n)
{
    if (u->at + (int64_t)n > u->max_bytes)
        return fault_set(u->fault, ST_TOO_LARGE, NULL, "the archive unpacks to more than %lld bytes",
                         (long long)u->max_bytes);
    if (u->at + (int64_t)n > (u->archive_bytes + PIECE_BYTES) * LIMIT_UNPACK_RATIO)
        return fault_set(u->fault, ST_TOO_LARGE, NULL,
                         "the archive unpacks to more than %d times its size", LIMIT_UNPACK_RATIO);
    for (size_t done = 0; done < n;) {
        const ssize_t w = pwrite(u->fd, u->piece + done, n - done, u->at + (off_t)done);

        if (w <= 0 && errno != EINTR)
            return fault_set(u->fault, ST_UNAVAILABLE, NULL, "the archive cannot be unpacked: %s",
                             strerror(errno));
        done += w > 0 ? (size_t)w : 0;
    }
    u->at += (int64_t)n;
    return ST_OK;
}

static enum status damaged(struct unpacker *u)
{
    return fault_set(u->fault, ST_INVALID, NULL,
                     "the archive is damaged, encrypted, or not a ZIP, tar or tar.gz");
}

static enum status unpack_entry(struct unpacker *u, struct archive_entry *e)
{
    const char *const utf8 = archive_entry_pathname_utf8(e);
    const char *const name = plain_name(utf8 ? utf8 : archive_entry_pathname(e));
    la_ssize_t n;
    enum status st;

    if (archive_filter_count(u->archive) > FILTERS_MAX)
        return fault_set(u->fault, ST_INVALID, NULL, "the archive is compressed more than once");
    if (archive_entry_filetype(e) == AE_IFDIR && !archive_entry_hardlink(e))
        return ST_OK;
    if (!name)
        return fault_set(u->fault, ST_INVALID, NULL, "the archive has a file whose name leaves it");
    if (archive_entry_filetype(e) != AE_IFREG || archive_entry_hardlink(e) || archive_entry_symlink(e))
        return fault_set(u->fault, ST_INVALID, NULL, "the archive holds a link or a device: %.80s",
                         name);
    if ((st = add_file(u, name)) != ST_OK)
        return st;
    while (st == ST_OK && (n = archive_read_data(u->archive, u->piece, PIECE_BYTES)) != 0) {
        if (n < 0)
            return damaged(u);
        st = put(u, (size_t)n);
        u->ret->files[u->ret->nfiles - 1].n += (size_t)n;
    }
    return st;
}

static enum status unpack_all(struct unpacker *u, const void *bytes, size_t n)
{
    struct archive_entry *e;
    enum status st = ST_OK;
    int r;

    archive_read_support_format_zip(u->archive);
    archive_read_support_format_tar(u->archive);
    archive_read_support_filter_gzip(u->archive);
    if (archive_read_open_memory(u->archive, bytes, n) != ARCHIVE_OK)
        return damaged(u);
    while (st == ST_OK && (r = archive_read_next_header(u->archive, &e)) != ARCHIVE_EOF)
        st = r == ARCHIVE_OK || r == ARCHIVE_WARN ? unpack_entry(u, e) : damaged(u);
    return st;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct unpacked_file *)a)->name, ((const struct unpacked_file *)b)->name);
}

/* Gives the files their places in the map, and their order. */
static enum status map_all(struct unpacker *u)
{
    struct unpacked *r = u->ret;
    const uint8_t *p;

    if (u->at > 0) {
        void *map = mmap(NULL, (size_t)u->at, PROT_READ, MAP_PRIVATE, u->fd, 0);

        if (map == MAP_FAILED)
            return out_of_memory(u->fault);
        r->map = map;
        r->map_bytes = (size_t)u->at;
    }
    p = r->map;
    for (size_t i = 0; i < r->nfiles; i++) {
        r->files[i].p = p;
        p = r->files[i].n ? p + r->files[i].n : p;
    }
    if (r->nfiles)
        qsort(r->files, r->nfiles, sizeof *r->files, by_name);
    for (size_t i = 1; i < r->nfiles; i++)
        if (by_name(&r->files[i - 1], &r->files[i]) == 0)
            return fault_set(u->fault, ST_INVALID, NULL, "the archive has two files of one name: %.80s",
                             r->files[i].name);
    return ST_OK;
}

enum status unpack(const void *bytes, size_t n, int folder, int64_t max_bytes, struct unpacked *ret,
                   struct fault *f)
{
    struct unpacked made = { 0 };
    struct unpacker *u = calloc(1, sizeof *u);
    enum status st;

    if (!u || !(u->archive = archive_read_new())) {
        free(u);
        return out_of_memory(f);
    }
    u->ret = &made;
    u->fault = f;
    u->max_bytes = max_bytes;
    u->archive_bytes = (int64_t)n;
    if ((u->fd = unpack_nameless(folder)) < 0)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the archive cannot be unpacked: %s", strerror(errno));
    else if ((st = unpack_all(u, bytes, n)) == ST_OK)
        st = map_all(u);
    if (u->fd >= 0)
        close(u->fd);
    archive_read_free(u->archive);
    free(u);
    if (st == ST_OK)
        *ret = made;
    else
        unpacked_free(&made);
    return st;
}

void unpacked_free(struct unpacked *u)
{
    for (size_t i = 0; i < u->nfiles; i++)
        free((void *)(uintptr_t)u->files[i].name);
    free(u->files);
    if (u->map)
        munmap(u->map, u->map_bytes);
    *u = (struct unpacked){ 0 };
}
