/*
 * What administration and housekeeping do beyond one SQL call: new keys, and the agreement of rows with
 * files. Used by cli/ and worker/; the connection is the owner's. Not thread-safe on one connection.
 */
#ifndef DOMAIN_ADMIN_H
#define DOMAIN_ADMIN_H

#include <stdbool.h>
#include <stdint.h>
#include "base/db.h"
#include "base/status.h"
#include "media/store.h"

/*
 * An API key: a prefix that is only a spelling, then 40 hex digits of 20 random bytes. What is stored is
 * the SHA-256 of the 40 digits alone, so that a key works with any prefix or none, and the first 11
 * characters, to be shown.
 */
enum { KEY_PREFIX_MOST = 9, KEY_HASH_BYTES = 32 };
struct new_key {
    char text[KEY_PREFIX_MOST + 40 + 1];
    char display[12];
    uint8_t hash[KEY_HASH_BYTES];
};
/* prefix: up to KEY_PREFIX_MOST of a-z, '_' and '.', which is what a presented key may begin with:
 * "ul_", "cpx_", "cpx_live.". ST_INVALID otherwise. */
enum status key_mint(const char *prefix, struct new_key *ret, struct fault *f) MUST_USE;

/* Called between steps of long work; false: stop now. The work so far is kept and ST_OK is returned. */
struct stepper {
    bool (*step)(void *arg);
    void *arg;
};

struct sweep_result {
    int64_t adopted; /* files that no row knew */
    int64_t removed; /* files removed; in a dry run: that would be */
    int64_t removed_bytes;
};
/*
 * Removes files that nothing refers to and that are older than grace_s: files without a row are adopted,
 * rows without a reference are marked, then each marked row is deleted, its file unlinked and the
 * deletion committed, in this order, under the row's lock. A crash anywhere leaves a marked row or an
 * unknown file for the next sweep; an upload of the same bytes waits for the lock and then finds that
 * its file is gone (it must look, and publish again). dry_run: only counts. step may be NULL.
 */
enum status sweep_blobs(struct db *db, struct store *store, int64_t grace_s, bool dry_run,
                        const struct stepper *step, struct sweep_result *ret, struct fault *f) MUST_USE;

/*
 * Takes back a file that was published for a write that then failed, by the sweeper's own steps: when
 * any row refers to the same bytes, or comes to meanwhile, the file stays.
 */
enum status blob_discard(struct db *db, struct store *store, const struct digest *digest, int64_t size,
                         struct fault *f) MUST_USE;

enum blob_problem { BLOB_MISSING, BLOB_OTHER_SIZE, BLOB_DAMAGED };
struct check_result {
    int64_t rows, files;
    int64_t problems;
    int64_t unknown; /* files without a row: no problem, the sweeper's */
};
/*
 * Compares every row of data.blob with its file: there, of the stated size and, when deep, of the
 * content that its name says. One pass over both in digest order; constant memory. report is called for
 * each problem.
 */
enum status check_blobs(struct db *db, struct store *store, bool deep,
                        void (*report)(void *arg, enum blob_problem what, const struct digest *d),
                        void *arg, struct check_result *ret, struct fault *f) MUST_USE;

#endif
