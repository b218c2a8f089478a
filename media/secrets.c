/* The file of signing secrets: see secrets.h. */
#include "media/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/limits.h"
#include "base/text.h"

enum { LINE_BYTES = 20 + 1 + 2 * SECRET_BYTES + 1, FILE_BYTES = SECRETS_MAX * LINE_BYTES };

static enum status io_fault(struct fault *f, const char *doing)
{
    return fault_set(f, ST_INTERNAL, NULL, "%s the file of signing secrets: %s", doing,
                     strerrordesc_np(errno));
}

static bool parse_line(const char *line, size_t n, struct secrets *s)
{
    const char *blank = memchr(line, ' ', n);
    const size_t digits = blank ? (size_t)(blank - line) : 0;
    int64_t number;

    if (!blank || s->n == SECRETS_MAX || n - digits - 1 != 2 * SECRET_BYTES ||
        !text_i64(line, digits, &number) || number < 1 ||
        (s->n && number >= s->items[s->n - 1].number) ||
        !text_hex(blank + 1, 2 * SECRET_BYTES, s->items[s->n].bytes))
        return false;
    s->items[s->n++].number = number;
    return true;
}

static enum status parse(const char *text, size_t n, struct secrets *ret, struct fault *f)
{
    int line = 1;

    ret->n = 0;
    for (size_t at = 0; at < n; line++) {
        const char *end = memchr(text + at, '\n', n - at);
        const size_t length = end ? (size_t)(end - text) - at : n - at;

        if (!parse_line(text + at, length, ret))
            return fault_set(f, ST_INVALID, NULL,
                             "line %d of the signing secrets is not \"number hex64\", newest first",
                             line);
        at += length + 1;
    }
    return ret->n ? ST_OK : fault_set(f, ST_INVALID, NULL, "the file of signing secrets is empty");
}

enum status secrets_read(const char *path, struct secrets *ret, struct fault *f)
{
    char text[FILE_BYTES + 1];
    enum status st;
    struct stat about;
    ssize_t n;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? fault_set(f, ST_NOT_FOUND, NULL, "there is no file of signing secrets")
                               : io_fault(f, "cannot open");
    n = read(fd, text, sizeof text);
    if (n < 0 || fstat(fd, &about) != 0)
        st = io_fault(f, "cannot read");
    else if (about.st_mode & 007)
        st = fault_set(f, ST_INVALID, NULL, "the file of signing secrets is open to other users");
    else if ((size_t)n > FILE_BYTES)
        st = fault_set(f, ST_INVALID, NULL, "the file of signing secrets is too long");
    else
        st = parse(text, (size_t)n, ret, f);
    close(fd);
    explicit_bzero(text, sizeof text);
    return st;
}

/* Writes a file of its own beside `path`, synced. ret_temporary: its name. */
static enum status write_beside(const char *path, const struct secrets *s,
                                char ret_temporary[LIMIT_PATH_BYTES], struct fault *f)
{
    struct buffer text = { 0 };
    char hex[2 * SECRET_BYTES + 1];
    enum status st = ST_OK;
    uint64_t chance;
    int fd = -1;

    if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
        return io_fault(f, "cannot name");
    if (snprintf(ret_temporary, LIMIT_PATH_BYTES, "%s.%016llx", path, (unsigned long long)chance) >=
        LIMIT_PATH_BYTES)
        return fault_set(f, ST_INVALID, NULL, "the path of the signing secrets is too long");
    for (int i = 0; i < s->n; i++) {
        text_to_hex(s->items[i].bytes, SECRET_BYTES, hex);
        buffer_printf(&text, "%lld %s\n", (long long)s->items[i].number, hex);
    }
    if (text.failed || (fd = open(ret_temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0 ||
        write(fd, text.p, text.n) != (ssize_t)text.n || fsync(fd) != 0) {
        st = io_fault(f, "cannot write");
        if (fd >= 0)
            unlink(ret_temporary);
    }
    if (fd >= 0)
        close(fd);
    if (text.p)
        explicit_bzero(text.p, text.n);
    explicit_bzero(hex, sizeof hex);
    buffer_free(&text);
    return st;
}

/* The folder of a path, open: to make a new name durable, and to lock. -1 with errno. */
static int open_parent(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[LIMIT_PATH_BYTES];
    const int n = slash ? (int)(slash - path) + 1 : 1;

    if (snprintf(folder, sizeof folder, "%.*s", n, slash ? path : ".") >= (int)sizeof folder) {
        errno = ENAMETOOLONG;
        return -1;
    }
    return open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool add_secret(struct secrets *s)
{
    const int64_t now_s = clock_wall_us() / 1000000;

    memmove(&s->items[1], &s->items[0], sizeof s->items - sizeof s->items[0]);
    s->n += s->n < SECRETS_MAX;
    s->items[0].number = s->n > 1 && s->items[1].number >= now_s ? s->items[1].number + 1 : now_s;
    return getrandom(s->items[0].bytes, SECRET_BYTES, 0) == SECRET_BYTES;
}

enum status secrets_create(const char *path, struct fault *f)
{
    char temporary[LIMIT_PATH_BYTES];
    struct secrets s = { 0 };
    enum status st;
    int folder;

    if (access(path, F_OK) == 0)
        return ST_OK;
    if (!add_secret(&s))
        return io_fault(f, "cannot make");
    if ((st = write_beside(path, &s, temporary, f)) != ST_OK)
        return st;
    if (link(temporary, path) != 0 && errno != EEXIST)
        st = io_fault(f, "cannot make");
    unlink(temporary);
    if (st != ST_OK)
        return st;
    if ((folder = open_parent(path)) < 0 || fsync(folder) != 0)
        st = io_fault(f, "cannot make durable");
    if (folder >= 0)
        close(folder);
    explicit_bzero(&s, sizeof s);
    return st;
}

/* A secret signed links until its successor was made; after keep_s more, no link of it is valid. */
static void drop_old(struct secrets *s, int64_t keep_s)
{
    const int64_t now_s = clock_wall_us() / 1000000;

    while (s->n > 1 && s->items[s->n - 2].number < now_s - keep_s)
        s->n--;
}

enum status secrets_rotate(const char *path, int64_t keep_s, struct fault *f)
{
    char temporary[LIMIT_PATH_BYTES];
    struct secrets s = { 0 };
    enum status st;
    const int folder = open_parent(path);

    if (folder < 0 || flock(folder, LOCK_EX) != 0) {
        st = io_fault(f, "cannot lock");
        goto out;
    }
    st = secrets_read(path, &s, f);
    if (st != ST_OK && st != ST_NOT_FOUND)
        goto out;
    if (!add_secret(&s)) {
        st = io_fault(f, "cannot make");
        goto out;
    }
    drop_old(&s, keep_s);
    if ((st = write_beside(path, &s, temporary, f)) != ST_OK)
        goto out;
    if (rename(temporary, path) != 0 || fsync(folder) != 0) {
        st = io_fault(f, "cannot replace");
        unlink(temporary);
    }
out:
    if (folder >= 0)
        close(folder); /* and unlocks */
    explicit_bzero(&s, sizeof s);
    return st;
}
