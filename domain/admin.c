/*
 * Keys, the sweeper of files and the check of rows against files: see admin.h.
 *
 * Rows and files are walked together, both in the order of their digests: a merge join, with the rows
 * read in pages.
 */
#include "domain/admin.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/failpoint.h"
#include "base/text.h"

enum { KEY_RANDOM_BYTES = 20, PAGE_ROWS = 1000 };

/* ---- keys
 * ------------------------------------------------------------------------------------------------------
 */

enum status key_mint(const char *prefix, struct new_key *ret, struct fault *f)
{
    static const char legal[] = "abcdefghijklmnopqrstuvwxyz_.";
    uint8_t random[KEY_RANDOM_BYTES];
    const size_t n = strlen(prefix);
    char digits[2 * KEY_RANDOM_BYTES + 1];

    if (n > KEY_PREFIX_MOST || strspn(prefix, legal) != n)
        return fault_set(f, ST_INVALID, "prefix", "must be at most %d of a-z, '_' and '.'",
                         KEY_PREFIX_MOST);
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) /* so short a read is never cut */
        return fault_set(f, ST_UNAVAILABLE, NULL, "no random bytes");
    text_to_hex(random, sizeof random, digits);
    SHA256((const unsigned char *)digits, sizeof digits - 1, ret->hash);
    snprintf(ret->text, sizeof ret->text, "%s%s", prefix, digits);
    snprintf(ret->display, sizeof ret->display, "%.11s", ret->text);
    return ST_OK;
}

/* ---- rows of data.blob in the order of their digests
 * ------------------------------------------------------------ */

struct blob_rows {
    struct db *db;
    PGresult *page;
    int next;
    bool ended;
    struct digest last;
    bool any;
};

struct blob_row {
    struct digest digest;
    int64_t size;
    bool marked;
};

static enum status next_page(struct blob_rows *b, struct fault *f)
{
    struct arena *a = arena_create(4096);
    const struct param params[] = { b->any ? p_bytes(b->last.bytes, DIGEST_BYTES) : p_null(),
                                    a ? p_i64(a, PAGE_ROWS) : p_null() };
    enum status st;

    PQclear(b->page);
    b->page = NULL;
    b->next = 0;
    st = db_read(b->db,
                 "SELECT b.digest, b.size, b.gc_marked_at IS NOT NULL FROM domain.blob_each($1, "
                 "$2::integer) AS b",
                 params, 2, &b->page, f);
    if (st == ST_OK && PQntuples(b->page) == 0)
        b->ended = true;
    arena_free(a);
    return st;
}

/* The row at the front, into *ret; *ret_there: there is one. It stays until blob_rows_drop. */
static enum status blob_rows_front(struct blob_rows *b, struct blob_row *ret, bool *ret_there,
                                   struct fault *f)
{
    enum status st = ST_OK;

    if (!b->ended && (!b->page || b->next == PQntuples(b->page)))
        st = next_page(b, f);
    if (st != ST_OK)
        return st;
    *ret_there = !b->ended;
    if (b->ended)
        return ST_OK;
    if (!row_bytes(b->page, b->next, 0, ret->digest.bytes, DIGEST_BYTES))
        return fault_set(f, ST_INTERNAL, NULL, "a row of data.blob has no digest");
    ret->size = row_i64(b->page, b->next, 1);
    ret->marked = row_bool(b->page, b->next, 2);
    b->last = ret->digest;
    b->any = true;
    return ST_OK;
}

static void blob_rows_drop(struct blob_rows *b)
{
    b->next++;
}

/* ---- the merge
 * ------------------------------------------------------------------------------------------------- */

/* One step: row or file may be NULL, not both. Anything but ST_OK ends the walk. */
struct merge {
    struct blob_rows rows;
    enum status (*visit)(void *arg, const struct blob_row *row, const struct digest *file, int64_t size,
                         int64_t mtime_s, struct fault *f);
    void *arg;
    enum status st;
    struct fault *f;
};

/* Visits rows that come before `file`, or all that are left when it is NULL; *ret_same: the file's own
 * row is next. */
static enum status merge_rows(struct merge *m, const struct digest *file, struct blob_row *ret,
                              bool *ret_same)
{
    for (;;) {
        bool there;
        int order;
        enum status st = blob_rows_front(&m->rows, ret, &there, m->f);

        *ret_same = false;
        if (st != ST_OK || !there)
            return st;
        order = file ? memcmp(ret->digest.bytes, file->bytes, DIGEST_BYTES) : -1;
        *ret_same = order == 0;
        if (order >= 0)
            return ST_OK;
        blob_rows_drop(&m->rows);
        if ((st = m->visit(m->arg, ret, NULL, 0, 0, m->f)) != ST_OK)
            return st;
    }
}

static bool merge_file(const struct digest *d, int64_t size, int64_t mtime_s, void *arg)
{
    struct merge *const m = arg;
    struct blob_row row;
    bool same;

    if ((m->st = merge_rows(m, d, &row, &same)) == ST_OK) {
        if (same)
            blob_rows_drop(&m->rows);
        m->st = m->visit(m->arg, same ? &row : NULL, d, size, mtime_s, m->f);
    }
    return m->st == ST_OK;
}

static enum status merge_run(struct merge *m, struct store *store)
{
    struct blob_row row;
    bool same;

    store_each(store, merge_file, m);
    if (m->st == ST_OK)
        m->st = merge_rows(m, NULL, &row, &same);
    PQclear(m->rows.page);
    return m->st;
}

/* ---- check
 * -----------------------------------------------------------------------------------------------------
 */

struct check {
    struct store *store;
    bool deep;
    void (*report)(void *arg, enum blob_problem what, const struct digest *d);
    void *arg;
    struct check_result result;
};

static void problem(struct check *c, enum blob_problem what, const struct digest *d)
{
    c->result.problems++;
    c->report(c->arg, what, d);
}

/* A row that was read before its file was published or swept may look wrong: look at the file once more.
 */
static bool file_is_there(struct store *s, const struct digest *d)
{
    const int fd = store_open_fd(s, d);

    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static enum status check_visit(void *arg, const struct blob_row *row, const struct digest *file,
                               int64_t size, int64_t mtime_s, struct fault *f)
{
    struct check *const c = arg;
    struct fault ignored = FAULT_INIT;

    (void)mtime_s;
    (void)f;
    c->result.rows += row != NULL;
    c->result.files += file != NULL;
    if (!row)
        c->result.unknown++;
    else if (!file && !row->marked && !file_is_there(c->store, &row->digest)) /* marked: being swept */
        problem(c, BLOB_MISSING, &row->digest);
    else if (file && size != row->size)
        problem(c, BLOB_OTHER_SIZE, file);
    else if (file && c->deep && store_verify(c->store, file, &size, &ignored) != ST_OK)
        problem(c, BLOB_DAMAGED, file);
    return ST_OK;
}

enum status check_blobs(struct db *db, struct store *store, bool deep,
                        void (*report)(void *arg, enum blob_problem what, const struct digest *d),
                        void *arg, struct check_result *ret, struct fault *f)
{
    struct check c = { .store = store, .deep = deep, .report = report, .arg = arg };
    struct merge m = { .rows = { .db = db }, .visit = check_visit, .arg = &c, .f = f };
    const enum status st = merge_run(&m, store);

    if (st == ST_OK)
        *ret = c.result;
    return st;
}

/* ---- sweep
 * -----------------------------------------------------------------------------------------------------
 */

struct sweep {
    struct db *db;
    struct store *store;
    struct arena *arena;
    int64_t grace_s, now_s;
    bool dry_run, stopped;
    const struct stepper *step;
    struct sweep_result result;
};

/* False: somebody wants us to stop. */
static bool may_go_on(struct sweep *s)
{
    if (!s->stopped && s->step && !s->step->step(s->step->arg))
        s->stopped = true;
    return !s->stopped;
}

static enum status adopt(struct sweep *s, const struct digest *file, int64_t size, struct fault *f)
{
    const struct param params[] = { p_bytes(file->bytes, DIGEST_BYTES), p_i64(s->arena, size) };
    const struct db_call call = { "SELECT domain.blob_adopt($1, $2)", params, 2 };
    PGresult *r = NULL;
    const enum status st = db_write(s->db, &call, 1, &r, f);

    PQclear(r);
    arena_reset(s->arena);
    return st;
}

static enum status adopt_visit(void *arg, const struct blob_row *row, const struct digest *file,
                               int64_t size, int64_t mtime_s, struct fault *f)
{
    struct sweep *const s = arg;

    if (row || mtime_s > s->now_s - s->grace_s || !may_go_on(s))
        return ST_OK;
    s->result.adopted++;
    if (!s->dry_run)
        return adopt(s, file, size, f);
    s->result.removed++;
    s->result.removed_bytes += size;
    return ST_OK;
}

static enum status adopt_unknown(struct sweep *s, struct fault *f)
{
    struct merge m = { .rows = { .db = s->db }, .visit = adopt_visit, .arg = s, .f = f };

    return merge_run(&m, s->store);
}

/* Rows to remove: in a dry run only looked for, else marked; the marks are committed when this returns.
 */
static enum status mark(struct sweep *s, PGresult **ret, struct fault *f)
{
    const struct param grace = p_i64(s->arena, s->grace_s);
    const struct db_call call = {
        "SELECT b.digest, b.size FROM domain.blob_mark_unreferenced(make_interval(secs => $1::integer)) "
        "AS b",
        &grace, 1
    };

    if (s->dry_run)
        return db_read(s->db,
                       "SELECT b.digest, b.size FROM domain.blob_unreferenced(make_interval(secs => "
                       "$1::integer)) AS b",
                       &grace, 1, ret, f);
    return db_write(s->db, &call, 1, ret, f);
}

/* Deletes the row and unlinks the file inside an open transaction; *ret_gone: neither is wanted any
 * more. */
static enum status forget_and_unlink(struct sweep *s, const struct digest *d, bool *ret_gone,
                                     struct fault *f)
{
    const struct param digest = p_bytes(d->bytes, DIGEST_BYTES);
    const struct db_call call = { "SELECT domain.blob_forget($1)", &digest, 1 };
    PGresult *r = NULL;
    enum status st = db_write(s->db, &call, 1, &r, f);

    if (st != ST_OK)
        return st;
    *ret_gone = row_bool(r, 0, 0);
    PQclear(r);
    /* A reconnection in between would have lost the row's lock: then the file must stay. */
    if (PQtransactionStatus(db_connection(s->db)) != PQTRANS_INTRANS)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the database connection was lost");
    if (*ret_gone && !store_remove(s->store, d) && file_is_there(s->store, d))
        return fault_set(f, ST_UNAVAILABLE, NULL, "a file of the media store cannot be removed");
    return ST_OK;
}

static enum status remove_blob(struct sweep *s, const struct digest *d, int64_t size, struct fault *f)
{
    struct fault ignored = FAULT_INIT;
    bool gone = false;
    enum status st = db_command(s->db, "BEGIN", f);

    if (st == ST_OK)
        st = forget_and_unlink(s, d, &gone, f);
    if (st == ST_OK) {
        (void)failpoint("gc_unlinked");
        st = db_command(s->db, "COMMIT", f);
    } else if (db_command(s->db, "ROLLBACK", &ignored) != ST_OK)
        return st; /* no connection, no transaction */
    if (st == ST_OK && gone) {
        s->result.removed++;
        s->result.removed_bytes += size;
    }
    return st;
}

static enum status remove_marked(struct sweep *s, const PGresult *marked, struct fault *f)
{
    enum status st = ST_OK;

    for (int i = 0; i < PQntuples(marked) && st == ST_OK && may_go_on(s); i++) {
        const int64_t size = row_i64(marked, i, 1);
        struct digest d;

        if (!row_bytes(marked, i, 0, d.bytes, DIGEST_BYTES))
            return fault_set(f, ST_INTERNAL, NULL, "a row of data.blob has no digest");
        if (s->dry_run) {
            s->result.removed++;
            s->result.removed_bytes += size;
        } else {
            st = remove_blob(s, &d, size, f);
        }
    }
    return st;
}

enum status blob_discard(struct db *db, struct store *store, const struct digest *digest, int64_t size,
                         struct fault *f)
{
    struct sweep s = { .db = db, .store = store, .arena = arena_create(1 << 12) };
    enum status st;

    if (!s.arena)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = adopt(&s, digest, size, f)) == ST_OK)
        st = remove_blob(&s, digest, size, f);
    arena_free(s.arena);
    return st;
}

enum status sweep_blobs(struct db *db, struct store *store, int64_t grace_s, bool dry_run,
                        const struct stepper *step, struct sweep_result *ret, struct fault *f)
{
    struct sweep s = { .db = db,
                       .store = store,
                       .grace_s = grace_s,
                       .now_s = time(NULL),
                       .dry_run = dry_run,
                       .step = step };
    PGresult *marked = NULL;
    enum status st;

    if (!(s.arena = arena_create(1 << 16)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = adopt_unknown(&s, f)) != ST_OK || s.stopped)
        goto out;
    if ((st = mark(&s, &marked, f)) != ST_OK)
        goto out;
    if (PQntuples(marked))
        (void)failpoint("gc_marked");
    st = remove_marked(&s, marked, f);
out:
    PQclear(marked);
    arena_free(s.arena);
    if (st == ST_OK)
        *ret = s.result;
    return st;
}
