/* What store.c and spool.c share: the open store, its hash and its way to report failed system calls. */
#ifndef MEDIA_STORE_PRIVATE_H
#define MEDIA_STORE_PRIVATE_H

#include <openssl/evp.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include "media/store.h"

enum { STORE_FOLDERS = 65536 };

struct store {
    int root, tmp, sha; /* folders: the root, root/tmp, root/sha256 */
    dev_t device;
    atomic_uint counter; /* makes temporary names differ within the process */
    /* Bit set: sha256/ab/cd is known to be durable in its parent, so publishing need not sync sha256/ab
     * again. */
    _Atomic uint8_t settled[STORE_FOLDERS / 8];
};

/* errno of a failed call as a status: ST_UNAVAILABLE for what an operator can mend, ST_INTERNAL for the
 * rest. */
enum status store_fault(struct fault *f, int error, const char *doing);

/* Reads the whole of fd from offset 0 through the hash; *ret_size is what was read. */
enum status store_hash_fd(int fd, EVP_MD_CTX *hash, int64_t *ret_size, struct fault *f) MUST_USE;
EVP_MD_CTX *store_hash_create(void); /* SHA-256, started; NULL: out of memory */

/* The folder sha256/ab/cd of a digest, made when absent; -1 with errno. */
int store_folder(struct store *s, const struct digest *d, bool make);
/* Makes the folder's own name durable; once per folder and process. 0, or -1 with errno. */
int store_settle(struct store *s, const struct digest *d);

/* A read-only map of a whole open file; an empty file gives an address that must not be read. */
enum status store_map_fd(int fd, const void **ret, size_t *ret_size, struct fault *f) MUST_USE;

#endif
