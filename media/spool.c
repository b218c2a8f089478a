/*
 * A file on its way into the store: written or adopted, hashed in the same pass, then published.
 *
 * The order of publishing is the promise of the store: fsync(file) < link(final name) < fsync(folder). A
 * failed fsync is final: the kernel may have dropped the dirty pages and would report success the next
 * time, so the file is thrown away and never synced again.
 */
#include "media/store_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>
#include "base/failpoint.h"

enum {
    FILE_MODE = 0440, /* published files never change */
    RESERVE_FROM_BYTES = 4 << 20,
    RESERVE_BYTES = 64 << 20,
};

struct spool {
    struct store *store;
    int fd, folder;  /* the file, and the folder that holds its temporary name */
    char name[256];  /* in that folder */
    bool adopted;    /* somebody else's name: removed only once published */
    bool own_folder; /* folder was opened by us */
    bool broken;     /* an error was reported: nothing more may be done with it */
    bool hashed, published;
    int64_t size, max_bytes;
    int64_t reserved; /* room on the disk that was asked for ahead, from the start of the file */
    EVP_MD_CTX *hash;
    struct digest digest;
    const void *map;
    size_t map_size;
};

static enum status break_spool(struct spool *sp, enum status st)
{
    sp->broken = true;
    return st;
}

static enum status too_large(struct fault *f, int64_t max_bytes)
{
    return fault_set(f, ST_TOO_LARGE, NULL, "the file is larger than %lld bytes", (long long)max_bytes);
}

static struct spool *spool_new(struct store *s, int64_t max_bytes)
{
    struct spool *sp = calloc(1, sizeof *sp);

    if (!sp)
        return NULL;
    *sp = (struct spool){ .store = s, .fd = -1, .folder = -1, .max_bytes = max_bytes };
    if (!(sp->hash = store_hash_create())) {
        free(sp);
        return NULL;
    }
    return sp;
}

/* A name that nobody else uses: process, counter, and chance for the other hosts of a shared file
 * system. */
static int create_temporary(struct spool *sp)
{
    for (int attempt = 0; attempt < 8; attempt++) {
        uint64_t chance;
        const unsigned count = atomic_fetch_add(&sp->store->counter, 1);

        if (getrandom(&chance, sizeof chance, 0) != sizeof chance)
            return -1;
        snprintf(sp->name, sizeof sp->name, "in.%ld.%u.%016llx", (long)getpid(), count,
                 (unsigned long long)chance);
        sp->fd = openat(sp->folder, sp->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (sp->fd >= 0)
            return 0;
        sp->name[0] = '\0'; /* not ours: never unlink it */
        if (errno != EEXIST)
            return -1;
    }
    return -1;
}

enum status spool_create(struct store *s, int64_t max_bytes, struct spool **ret, struct fault *f)
{
    struct spool *sp = spool_new(s, max_bytes);
    enum status st;

    if (!sp)
        return store_fault(f, ENOMEM, "storing the file");
    sp->folder = s->tmp;
    if (create_temporary(sp) != 0 || (errno = failpoint("spool_opened"))) {
        st = store_fault(f, errno, "storing the file");
        spool_free(sp);
        return st;
    }
    *ret = sp;
    return ST_OK;
}

/* Room for a large file is asked for in large pieces: cheaper than one block after the other. Where
 * there is none, the write will say so. */
static void reserve(struct spool *sp, size_t n)
{
    if (sp->size < RESERVE_FROM_BYTES || sp->size + (int64_t)n <= sp->reserved)
        return;
    sp->reserved = sp->size + RESERVE_BYTES;
    (void)fallocate(sp->fd, FALLOC_FL_KEEP_SIZE, sp->size, RESERVE_BYTES);
}

enum status spool_write(struct spool *sp, const void *p, size_t n, struct fault *f)
{
    const char *from = p;
    size_t left = n;

    if (sp->broken || sp->hashed)
        return fault_set(f, ST_INTERNAL, NULL, "the file cannot be written any more");
    if (n > INT64_MAX || (int64_t)n > sp->max_bytes - sp->size)
        return break_spool(sp, too_large(f, sp->max_bytes));
    reserve(sp, n);
    while (left) {
        const int pretended = failpoint("spool_write");
        const ssize_t done = pretended ? -1 : write(sp->fd, from, left);

        if (done < 0) {
            const int error = pretended ? pretended : errno;

            if (error == EINTR)
                continue;
            return break_spool(sp, store_fault(f, error, "storing the file"));
        }
        from += done;
        left -= (size_t)done;
    }
    sp->size += (int64_t)n;
    if (EVP_DigestUpdate(sp->hash, p, n) != 1)
        return break_spool(sp, fault_set(f, ST_INTERNAL, NULL, "hashing failed"));
    return ST_OK;
}

/* ---- adopting ---- */

/* The one path segment of `path` below `under`, or NULL when it is anything else. */
static const char *name_directly_under(const char *path, const char *under)
{
    size_t n = strlen(under);
    const char *name;

    while (n > 1 && under[n - 1] == '/')
        n--;
    if (under[0] != '/' || strncmp(path, under, n) != 0 || path[n] != '/')
        return NULL;
    name = path + n + 1;
    if (!*name || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strlen(name) > 255)
        return NULL;
    return name;
}

/* nginx hands a PUT to another process when the first one dies, which may have published the file. */
static enum status gone(struct fault *f)
{
    fault_set(f, ST_UNAVAILABLE, NULL, "the body was lost with the process that had it, send it again");
    if (f)
        f->retry_after_s = 1;
    return ST_UNAVAILABLE;
}

/* Opens what lies there without following links or waiting for the other end of a pipe. */
static enum status open_adopted(struct spool *sp, const char *name, const char *under, struct fault *f)
{
    struct stat about;

    sp->adopted = sp->own_folder = true;
    if ((sp->folder = open(under, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
        return store_fault(f, errno, "opening the spool folder");
    sp->fd = openat(sp->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (sp->fd < 0 && errno == ENOENT)
        return gone(f);
    if (sp->fd < 0 || fstat(sp->fd, &about) != 0)
        return store_fault(f, errno, "opening the spooled file");
    if (!S_ISREG(about.st_mode))
        return fault_set(f, ST_INTERNAL, NULL, "the spooled file is not a regular file");
    if (about.st_dev != sp->store->device)
        return fault_set(f, ST_INTERNAL, NULL,
                         "the spool folder is not on the file system of the store");
    if (about.st_size > sp->max_bytes)
        return too_large(f, sp->max_bytes);
    memcpy(sp->name, name, strlen(name) + 1);
    return ST_OK;
}

enum status spool_adopt(struct store *s, const char *path, const char *under, int64_t max_bytes,
                        struct spool **ret, struct fault *f)
{
    const char *name = name_directly_under(path, under);
    struct spool *sp = NULL;
    enum status st;

    if (!name)
        return fault_set(f, ST_INTERNAL, NULL, "the spooled file is not in the spool folder");
    if (!(sp = spool_new(s, max_bytes)))
        return store_fault(f, ENOMEM, "storing the file");
    if ((st = open_adopted(sp, name, under, f)) != ST_OK)
        goto out;
    if ((errno = failpoint("spool_opened"))) {
        st = store_fault(f, errno, "opening the spooled file");
        goto out;
    }
    if ((st = store_hash_fd(sp->fd, sp->hash, &sp->size, f)) != ST_OK)
        goto out;
    if (sp->size > max_bytes) { /* it grew meanwhile */
        st = too_large(f, max_bytes);
        goto out;
    }
    *ret = sp;
    sp = NULL;
out:
    spool_free(sp);
    return st;
}

/* ---- publishing ---- */

static enum status finish_hash(struct spool *sp, struct fault *f)
{
    int error;

    if (sp->hashed)
        return ST_OK;
    if (EVP_DigestFinal_ex(sp->hash, sp->digest.bytes, NULL) != 1)
        return fault_set(f, ST_INTERNAL, NULL, "hashing failed");
    sp->hashed = true;
    if ((error = failpoint("hash_done")))
        return store_fault(f, error, "storing the file");
    return ST_OK;
}

/* The name is there already. Its bytes may not have reached the disk (another process is a step behind
 * us), so they are synced as if they were ours; a file of another size is damaged, and ours takes its
 * place. */
static int keep_present(struct spool *sp, int folder, const char *hex)
{
    struct stat about;
    int error = 0;
    const int fd = openat(folder, hex, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &about) != 0)
        error = errno;
    else if (about.st_size != sp->size || fsync(fd) != 0)
        error = renameat(sp->folder, sp->name, folder, hex) == 0 ? 0 : errno;
    if (fd >= 0)
        close(fd);
    return error;
}

/* Gives the synced file its final name. 0 or an errno. */
static int link_final(struct spool *sp, int folder)
{
    char hex[DIGEST_HEX + 1];
    int error = 0;

    digest_to_hex(&sp->digest, hex);
    /* Twice: between "it exists" and opening it, the sweeper of unreferenced files may have removed it.
     */
    for (int attempt = 0; attempt < 2; attempt++) {
        if (linkat(sp->folder, sp->name, folder, hex, 0) == 0)
            error = 0;
        else
            error = errno == EEXIST ? keep_present(sp, folder, hex) : errno;
        if (error != ENOENT)
            break;
    }
    return error ? error : failpoint("linked");
}

enum status spool_publish(struct spool *sp, struct digest *ret, int64_t *ret_size, struct fault *f)
{
    const char *doing = "storing the file";
    enum status st;
    int folder = -1, error;

    if (sp->broken)
        return fault_set(f, ST_INTERNAL, NULL, "the file was not received in full");
    if ((st = finish_hash(sp, f)) != ST_OK)
        goto out;
    if (sp->reserved && ftruncate(sp->fd, sp->size) != 0) { /* gives back what was not needed */
        st = store_fault(f, errno, doing);
        goto out;
    }
    if (fchmod(sp->fd, FILE_MODE) != 0 || fsync(sp->fd) != 0 || (errno = failpoint("file_fsynced"))) {
        st = store_fault(f, errno, doing);
        goto out;
    }
    if ((folder = store_folder(sp->store, &sp->digest, true)) < 0) {
        st = store_fault(f, errno, doing);
        goto out;
    }
    if ((error = link_final(sp, folder))) {
        st = store_fault(f, error, doing);
        goto out;
    }
    if (fsync(folder) != 0 || store_settle(sp->store, &sp->digest) != 0 ||
        (errno = failpoint("dir_fsynced"))) {
        st = store_fault(f, errno, doing);
        goto out;
    }
    sp->published = true;
    *ret = sp->digest;
    *ret_size = sp->size;
out:
    if (folder >= 0)
        close(folder);
    return st == ST_OK ? st : break_spool(sp, st);
}

enum status spool_settle(struct spool *sp, struct fault *f)
{
    struct digest digest;
    int64_t size;
    int fd;

    if (!sp->published)
        return fault_set(f, ST_INTERNAL, NULL, "the file was not published");
    if ((fd = store_open_fd(sp->store, &sp->digest)) >= 0) {
        close(fd);
        return ST_OK;
    }
    return spool_publish(sp, &digest, &size, f);
}

enum status spool_map(struct spool *sp, const void **ret, size_t *ret_size, struct fault *f)
{
    enum status st;

    if (sp->broken)
        return fault_set(f, ST_INTERNAL, NULL, "the file was not received in full");
    if (sp->map && sp->map_size != (size_t)sp->size) { /* written to since */
        store_unmap(sp->map, sp->map_size);
        sp->map = NULL;
    }
    if (!sp->map && (st = store_map_fd(sp->fd, &sp->map, &sp->map_size, f)) != ST_OK)
        return st;
    *ret = sp->map;
    *ret_size = sp->map_size;
    return ST_OK;
}

void spool_free(struct spool *sp)
{
    if (!sp)
        return;
    /* An adopted file that was not published stays: nginx removes it, or hands it to another process. */
    if (sp->name[0] && (!sp->adopted || sp->published))
        unlinkat(sp->folder, sp->name, 0);
    store_unmap(sp->map, sp->map_size);
    if (sp->fd >= 0)
        close(sp->fd);
    if (sp->own_folder && sp->folder >= 0)
        close(sp->folder);
    EVP_MD_CTX_free(sp->hash);
    free(sp);
}
