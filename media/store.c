/*
 * The store at rest: opening it, finding, reading, checking and removing published files. What is on its
 * way in is in spool.c.
 */
#include "media/store_private.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include "base/text.h"

enum {
    FOLDER_MODE = 0750,
    READ_BYTES = 256 << 10, /* stays in the second-level cache between read and hash */
};

bool digest_from_hex(const char *hex, size_t n, struct digest *ret)
{
    struct digest d;

    if (n != DIGEST_HEX || !text_hex(hex, n, d.bytes))
        return false;
    *ret = d;
    return true;
}

void digest_to_hex(const struct digest *d, char ret[DIGEST_HEX + 1])
{
    text_to_hex(d->bytes, DIGEST_BYTES, ret);
}

void store_path(const struct digest *d, char *ret)
{
    char hex[DIGEST_HEX + 1];

    digest_to_hex(d, hex);
    snprintf(ret, 80, "sha256/%.2s/%.2s/%s", hex, hex + 2, hex);
}

enum status store_fault(struct fault *f, int error, const char *doing)
{
    const bool full = error == ENOSPC || error == EDQUOT;
    enum status st = ST_INTERNAL;

    if (full || error == EIO || error == EROFS || error == ENOMEM || error == EMFILE || error == ENFILE)
        st = ST_UNAVAILABLE;
    fault_set(f, st, NULL, "%s failed: %s", doing,
              full ? "the storage is full" : strerrordesc_np(error));
    if (f && st == ST_UNAVAILABLE) {
        f->reason = full ? "storage_full" : "storage_failed";
        f->retry_after_s = full ? 60 : 5;
    }
    return st;
}

/* ---- hashing ---- */

EVP_MD_CTX *store_hash_create(void)
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();

    if (hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1)
        return hash;
    EVP_MD_CTX_free(hash);
    return NULL;
}

enum status store_hash_fd(int fd, EVP_MD_CTX *hash, int64_t *ret_size, struct fault *f)
{
    enum status st = ST_OK;
    int64_t size = 0;
    uint8_t *piece = malloc(READ_BYTES);
    ssize_t n;

    if (!piece)
        return store_fault(f, ENOMEM, "reading the file");
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    for (;;) {
        n = pread(fd, piece, READ_BYTES, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        if (EVP_DigestUpdate(hash, piece, (size_t)n) != 1) {
            st = fault_set(f, ST_INTERNAL, NULL, "hashing failed");
            goto out;
        }
        size += n;
    }
    if (n < 0)
        st = store_fault(f, errno, "reading the file");
    else
        *ret_size = size;
out:
    free(piece);
    return st;
}

/* ---- opening ---- */

static int open_folder(int at, const char *name)
{
    if (mkdirat(at, name, FOLDER_MODE) != 0 && errno != EEXIST)
        return -1;
    return openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

/* The 256 upper folders exist from the start, so that publishing has one level less to make durable. */
static int make_upper_folders(int sha)
{
    for (unsigned i = 0; i < 256; i++) {
        char name[3];

        snprintf(name, sizeof name, "%02x", i);
        if (mkdirat(sha, name, FOLDER_MODE) != 0 && errno != EEXIST)
            return -1;
    }
    return fsync(sha);
}

enum status store_open(const char *root, struct store **ret, struct fault *f)
{
    struct store *s = calloc(1, sizeof *s);
    struct stat about;

    if (!s)
        return store_fault(f, ENOMEM, "opening the store");
    s->tmp = s->sha = -1;
    if ((s->root = open_folder(AT_FDCWD, root)) < 0 || (s->tmp = open_folder(s->root, "tmp")) < 0 ||
        (s->sha = open_folder(s->root, "sha256")) < 0 || make_upper_folders(s->sha) != 0 ||
        fsync(s->root) != 0 || fstat(s->tmp, &about) != 0) {
        const int error = errno;

        store_close(s);
        return store_fault(f, error, "opening the store");
    }
    s->device = about.st_dev;
    *ret = s;
    return ST_OK;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    if (s->sha >= 0)
        close(s->sha);
    if (s->tmp >= 0)
        close(s->tmp);
    if (s->root >= 0)
        close(s->root);
    free(s);
}

/* ---- folders of a digest ---- */

int store_folder(struct store *s, const struct digest *d, bool make)
{
    char name[8];

    snprintf(name, sizeof name, "%02x/%02x", d->bytes[0], d->bytes[1]);
    if (make && mkdirat(s->sha, name, FOLDER_MODE) != 0 && errno != EEXIST)
        return -1;
    return openat(s->sha, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

int store_settle(struct store *s, const struct digest *d)
{
    const unsigned folder = (unsigned)d->bytes[0] << 8 | d->bytes[1];
    const uint8_t bit = (uint8_t)(1U << (folder & 7));
    char name[3];
    int fd, error = 0;

    if (atomic_load(&s->settled[folder / 8]) & bit)
        return 0;
    snprintf(name, sizeof name, "%02x", d->bytes[0]);
    if ((fd = openat(s->sha, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return -1;
    if (fsync(fd) != 0)
        error = errno;
    else
        atomic_fetch_or(&s->settled[folder / 8], bit);
    close(fd);
    errno = error;
    return error ? -1 : 0;
}

/* ---- reading ---- */

int store_open_fd(struct store *s, const struct digest *d)
{
    char path[80];

    store_path(d, path);
    return openat(s->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
}

enum status store_map_fd(int fd, const void **ret, size_t *ret_size, struct fault *f)
{
    struct stat about;
    void *p;

    if (fstat(fd, &about) != 0)
        return store_fault(f, errno, "mapping the file");
    if (about.st_size == 0) {
        *ret = "";
        *ret_size = 0;
        return ST_OK;
    }
    p = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return store_fault(f, errno, "mapping the file");
    *ret = p;
    *ret_size = (size_t)about.st_size;
    return ST_OK;
}

static enum status open_published(struct store *s, const struct digest *d, int *ret, struct fault *f)
{
    const int fd = store_open_fd(s, d);

    if (fd < 0)
        return errno == ENOENT ? fault_set(f, ST_NOT_FOUND, NULL, "the file is not in the store")
                               : store_fault(f, errno, "opening the file");
    *ret = fd;
    return ST_OK;
}

enum status store_map(struct store *s, const struct digest *d, const void **ret, size_t *ret_size,
                      struct fault *f)
{
    enum status st;
    int fd = -1;

    if ((st = open_published(s, d, &fd, f)) != ST_OK)
        return st;
    st = store_map_fd(fd, ret, ret_size, f);
    close(fd);
    return st;
}

void store_unmap(const void *p, size_t n)
{
    if (p && n)
        munmap((void *)(uintptr_t)p, n);
}

enum status store_verify(struct store *s, const struct digest *d, int64_t *ret_size, struct fault *f)
{
    EVP_MD_CTX *hash = NULL;
    struct digest found;
    int64_t size = 0;
    enum status st;
    int fd = -1;

    if ((st = open_published(s, d, &fd, f)) != ST_OK)
        return st;
    if (!(hash = store_hash_create())) {
        st = store_fault(f, ENOMEM, "hashing the file");
        goto out;
    }
    if ((st = store_hash_fd(fd, hash, &size, f)) != ST_OK)
        goto out;
    if (EVP_DigestFinal_ex(hash, found.bytes, NULL) != 1)
        st = fault_set(f, ST_INTERNAL, NULL, "hashing failed");
    else if (memcmp(found.bytes, d->bytes, DIGEST_BYTES) != 0)
        st = fault_set(f, ST_INVALID, NULL, "the bytes of the file do not match its name");
    else
        *ret_size = size;
out:
    EVP_MD_CTX_free(hash);
    close(fd);
    return st;
}

/* ---- housekeeping ---- */

bool store_remove(struct store *s, const struct digest *d)
{
    char path[80];

    store_path(d, path);
    return unlinkat(s->root, path, 0) == 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_hidden(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

struct visit {
    bool (*fn)(const struct digest *d, int64_t size, int64_t mtime_s, void *arg);
    void *arg;
};

/* One folder ab/cd. What is not a published file (wrong name or wrong place) is passed over. */
static bool visit_folder(struct store *s, const char *folder, const struct visit *v)
{
    struct dirent **names = NULL;
    bool more = true;
    const int n = scandirat(s->sha, folder, &names, not_hidden, by_bytes);

    for (int i = 0; i < n; i++) {
        char path[80], want[80], hex[DIGEST_HEX + 1];
        struct digest d;
        struct stat about;

        if (more && digest_from_hex(names[i]->d_name, strlen(names[i]->d_name), &d)) {
            digest_to_hex(&d, hex);
            store_path(&d, path);
            snprintf(want, sizeof want, "sha256/%.5s/%.64s", folder, names[i]->d_name);
            if (strcmp(path, want) == 0 && fstatat(s->root, path, &about, AT_SYMLINK_NOFOLLOW) == 0 &&
                S_ISREG(about.st_mode))
                more = v->fn(&d, about.st_size, about.st_mtime, v->arg);
        }
        free(names[i]);
    }
    free(names);
    return more;
}

void store_each(struct store *s,
                bool (*fn)(const struct digest *d, int64_t size, int64_t mtime_s, void *arg), void *arg)
{
    const struct visit v = { fn, arg };

    for (unsigned folder = 0; folder < STORE_FOLDERS; folder++) {
        char name[8];

        snprintf(name, sizeof name, "%02x/%02x", folder >> 8, folder & 255);
        if (faccessat(s->sha, name, F_OK, 0) == 0 && !visit_folder(s, name, &v))
            return;
    }
}

int store_tmp(const struct store *s)
{
    return s->tmp;
}

int store_sweep(struct store *s, int64_t age_s)
{
    const int64_t now_s = clock_wall_us() / 1000000;
    const int fd = openat(s->tmp, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *folder = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    int removed = 0;

    if (!folder) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    while ((e = readdir(folder))) {
        struct stat about;

        if (e->d_name[0] == '.' || fstatat(fd, e->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(about.st_mode))
            continue;
        /* A file that somebody writes to is not old, however long its upload takes. */
        if (now_s - about.st_mtime >= age_s && unlinkat(fd, e->d_name, 0) == 0)
            removed++;
    }
    closedir(folder);
    return removed;
}
