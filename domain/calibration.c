/* Calibrations as files and rows: see calibration.h. */
#include "domain/calibration.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/version.h"

enum { ARENA_BYTES = 64 << 10 };

_Static_assert((int)CALIBRATION_DIGEST == (int)DIGEST_BYTES,
               "the store and calibrations name files alike");

static const char *const sources[] = { [CALIBRATED_DATASET] = "dataset", [CALIBRATED_GIVEN] = "given" };

enum status model_calibration_read(struct store *store, const struct digest *weights,
                                   const struct digest *digest, struct calibration **ret,
                                   struct fault *f)
{
    struct calibration *c = NULL;
    const void *bytes;
    size_t n;
    enum status st = store_map(store, digest, &bytes, &n, f);

    if (st != ST_OK)
        return st;
    st = calibration_read(bytes, n, &c, f);
    store_unmap(bytes, n);
    if (st == ST_OK && memcmp(c->model, weights->bytes, DIGEST_BYTES) != 0) {
        calibration_free(c);
        return fault_set(f, ST_INVALID, "calibration", "was made for another model file");
    }
    if (st == ST_OK)
        *ret = c;
    return st;
}

enum status model_calibration_find(struct db *db, int64_t file, struct kept_calibration *ret,
                                   bool *ret_found, struct fault *f)
{
    struct arena *a = arena_create(ARENA_BYTES);
    PGresult *r = NULL;
    struct param id;
    enum status st;

    if (!a)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    id = p_i64(a, file);
    st = db_read(db,
                 "SELECT c.digest, c.pictures_held, c.source, c.release FROM domain.calibration AS c"
                 " WHERE c.model_file_id = $1",
                 &id, 1, &r, f);
    if (st == ST_OK)
        *ret_found = PQntuples(r) == 1 && row_bytes(r, 0, 0, ret->digest.bytes, DIGEST_BYTES);
    if (st == ST_OK && *ret_found) {
        ret->held = row_i64(r, 0, 1);
        ret->source = strcmp(row_text(r, 0, 2), sources[CALIBRATED_GIVEN]) == 0 ? CALIBRATED_GIVEN
                                                                                : CALIBRATED_DATASET;
        ret->own_release = strcmp(row_text(r, 0, 3), FOVEA_VERSION) == 0;
    }
    PQclear(r);
    arena_free(a);
    return st;
}

/* The file is there when the row is committed, whatever a sweeper did in between. */
static enum status settle(void *spool, struct fault *f)
{
    (void)failpoint("calibration_row");
    return spool_settle(spool, f);
}

static enum status write_row(struct db *db, struct arena *a, const struct calibration_subject *s,
                             struct spool *sp, const struct digest *digest, int64_t size, int pictures,
                             enum calibration_source source, struct fault *f)
{
    const struct param params[] = {
        p_i64(a, s->file),       p_bytes(digest->bytes, DIGEST_BYTES),
        p_i64(a, size),          p_i64(a, pictures),
        p_text(sources[source]), p_text(FOVEA_VERSION),
        p_i64(a, s->held),
    };
    const struct db_call call = {
        "SELECT domain.calibration_set($1, $2, $3, $4::integer, $5, $6, $7::integer)", params, 7
    };
    PGresult *r = NULL;
    enum status st = db_write_checked(db, &call, 1, settle, sp, &r, f);

    if (st == ST_OK && !row_bool(r, 0, 0))
        st = fault_set(f, ST_NOT_FOUND, "model", "the weights are gone");
    PQclear(r);
    return st;
}

/* File durable and published < row written < file seen once more < commit. */
enum status model_calibration_keep(struct db *db, struct store *store,
                                   const struct calibration_subject *s, const struct buffer *bytes,
                                   int pictures, enum calibration_source source, struct digest *ret,
                                   struct fault *f)
{
    struct arena *a = arena_create(ARENA_BYTES);
    struct fault ignored = FAULT_INIT;
    struct spool *sp = NULL;
    struct digest digest;
    int64_t size;
    enum status st;

    if (!a)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    (void)failpoint("calibration_made");
    if ((st = spool_create(store, LIMIT_CALIBRATION_BYTES, &sp, f)) != ST_OK ||
        (st = spool_write(sp, bytes->p, bytes->n, f)) != ST_OK ||
        (st = spool_publish(sp, &digest, &size, f)) != ST_OK)
        goto out;
    (void)failpoint("calibration_published");
    if ((st = write_row(db, a, s, sp, &digest, size, pictures, source, f)) == ST_OK)
        *ret = digest;
    else if (blob_discard(db, store, &digest, size, &ignored) != ST_OK)
        log_event(LOG_LEVEL_WARNING, "calibration_left_to_gc", "detail", ignored.detail, NULL);
out:
    spool_free(sp);
    arena_free(a);
    return st;
}
