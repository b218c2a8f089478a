/*
 * Content-addressed files: <root>/sha256/ab/cd/<64 hex>. The only truth about bytes; rows in data.blob
 * point here.
 *
 * Publishing is durable and atomic: fsync(file) < link(final name) < fsync(folder); a name that is there
 * already means deduplicated, and is fsynced all the same. Only after that may a row be committed and an
 * answer given. Temporary files live in <root>/tmp on the same file system and carry the process id; a
 * sweeper removes old ones. All functions are thread-safe: the store is immutable after open.
 */
#ifndef MEDIA_STORE_H
#define MEDIA_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

enum { DIGEST_BYTES = 32, DIGEST_HEX = 64 };

struct digest {
    uint8_t bytes[DIGEST_BYTES];
};

struct store;

enum status store_open(const char *root, struct store **ret,
                       struct fault *f) MUST_USE; /* makes the folders */
void store_close(struct store *s);

/* A file on its way in. Written and hashed in one pass. */
struct spool;
enum status spool_create(struct store *s, int64_t max_bytes, struct spool **ret,
                         struct fault *f) MUST_USE;
enum status spool_write(struct spool *sp, const void *p, size_t n,
                        struct fault *f) MUST_USE; /* ST_TOO_LARGE */
/* Takes over a file that nginx spooled (same file system): no copy; hashes it. The path is a parameter
 * that nginx set itself (body file), never client text; must lie under the folder `under`. */
enum status spool_adopt(struct store *s, const char *path, const char *under, int64_t max_bytes,
                        struct spool **ret, struct fault *f) MUST_USE;
enum status spool_publish(struct spool *sp, struct digest *ret, int64_t *ret_size,
                          struct fault *f) MUST_USE;
/* Inside the transaction that wrote the reference: the published file is there, or is published again.
 * The sweeper may have taken a file of the same bytes between spool_publish and the row; from the row on
 * it can't. */
enum status spool_settle(struct spool *sp, struct fault *f) MUST_USE;
/* Read access before publishing, to check what it is: a read-only map of the whole file, valid until
 * spool_free. Nobody truncates the file under the map: a file that we write is ours alone, nginx never
 * shortens a body that it has handed over, and a published file is never written to. What is left is a
 * disk that cannot read a page back: SIGBUS ends the process, and supervision starts another. */
enum status spool_map(struct spool *sp, const void **ret, size_t *ret_size, struct fault *f) MUST_USE;
void spool_free(struct spool *sp); /* removes the temporary file unless published; accepts NULL */

/* Published files. store_map: ST_NOT_FOUND when the file is missing. Release with store_unmap. */
enum status store_map(struct store *s, const struct digest *d, const void **ret, size_t *ret_size,
                      struct fault *f) MUST_USE;
void store_unmap(const void *p, size_t n);
int store_open_fd(struct store *s, const struct digest *d); /* -1: missing; caller closes */
/* Path below the root: "sha256/ab/cd/<hex>", for X-Accel-Redirect and tools. ret holds at least 80
 * bytes. */
void store_path(const struct digest *d, char *ret);
bool store_remove(struct store *s, const struct digest *d); /* gc only */
/* Re-hashes a published file. ST_INVALID when the bytes do not match the name. */
enum status store_verify(struct store *s, const struct digest *d, int64_t *ret_size,
                         struct fault *f) MUST_USE;
/* Calls fn for every published file, in name order; stops when fn returns false. */
void store_each(struct store *s,
                bool (*fn)(const struct digest *d, int64_t size, int64_t mtime_s, void *arg), void *arg);
/* The folder of temporary files, for openat; the store's own. */
int store_tmp(const struct store *s);
/* Removes temporary files older than age_s; returns how many. */
int store_sweep(struct store *s, int64_t age_s);

bool digest_from_hex(const char *hex, size_t n, struct digest *ret);
void digest_to_hex(const struct digest *d, char ret[DIGEST_HEX + 1]);

#endif
