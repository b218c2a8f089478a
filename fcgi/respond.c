/*
 * Shaped out: the route's operation runs, its rows go through the one writer into the route's envelope.
 * Here too: Idempotency-Key, cursors and signed links.
 */
#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "fcgi/context.h"
#include "fcgi/dialect.h"
#include "fcgi/envelope.h"
#include "fcgi/links.h"

enum { IDEMPOTENCY_KEY_CHARS = 255 };

static void write_answer(struct request *rq, struct response *rs, const PGresult *r, int first,
                         int nrows, int64_t total, const char *next)
{
    const struct link_maker links = { link_make, rq };
    struct envelope_input in = { .nrows = nrows, .total = total, .next = next };
    struct rows rows = { 0 };

    if (r && !rows_begin(&rows, r, first, &rq->dialect->style, &links)) {
        rs->body.failed = true;
        return;
    }
    in.rows = r ? &rows : NULL;
    envelope_write(rq->route->envelope, rq, &in, &rs->body);
    rows_end(&rows);
}

/* Link: <...&cursor=...>; rel="next" when more rows follow; the same cursor for the envelope. */
static const char *next_cursor(struct request *rq, struct response *rs, const PGresult *r, int nrows,
                               int64_t total)
{
    const struct operation *op = rq->route->op;
    struct buffer text = { 0 }, query = { 0 };
    const char *cursor = NULL;
    int64_t us;

    if (op->nsorts > 1 && op->sort_field >= 0 &&
        (field_given(rq->command, (size_t)op->sort_field) ||
         field_given(rq->command, (size_t)op->direction_field)))
        return NULL; /* cursors follow the standard order alone */
    if (!nrows || nrows < rq->page.limit || op->ascending ||
        (!rq->page.has_cursor && rq->page.offset + nrows >= total) ||
        !time_parse_us(PQgetvalue(r, nrows - 1, 2), &us))
        return NULL;
    cursor_write(us, row_i64(r, nrows - 1, 1), &text);
    cursor = arena_strdup(rq->arena, buffer_terminate(&text));
    for (size_t i = 0; i < rq->nquery; i++) {
        const char *name = rq->query[i].name;

        if (!strcmp(name, "cursor") || !strcmp(name, "page") || !strcmp(name, "offset") ||
            !strcmp(name, "api_key"))
            continue;
        url_encode(&query, name);
        buffer_char(&query, '=');
        url_encode(&query, rq->query[i].value);
        buffer_char(&query, '&');
    }
    if (cursor)
        response_header(rs, "Link", "<%s%s?%scursor=%s>; rel=\"next\"", request_base_url(rq), rq->path,
                        buffer_terminate(&query), cursor);
    buffer_free(&text);
    buffer_free(&query);
    return cursor;
}

/* An empty page of a list: none there are, or the page is behind the last. */
static enum status respond_empty(struct request *rq, struct response *rs, const PGresult *page,
                                 struct fault *f)
{
    struct sentence s;
    PGresult *r;
    enum status st = operation_total(rq->route->op, &rq->who, rq->command, rq->arena, &s, f);

    if (st != ST_OK || (st = db_read(rq->db, s.sql, s.params, s.n, &r, f)) != ST_OK)
        return st;
    if (PQntuples(r) == 0)
        st = fault_set(f, ST_NOT_FOUND, NULL, "not found");
    else
        write_answer(rq, rs, page, OPERATION_HIDDEN, 0, row_i64(r, 0, 0), NULL);
    PQclear(r);
    return st;
}

static enum status respond_read(struct request *rq, struct response *rs, struct fault *f)
{
    const struct operation *op = rq->route->op;
    const struct asker asker = { request_base_url(rq) };
    const struct shape shape = { rq->dialect->name, rq->route->shape, rq->route->beside };
    struct sentence s;
    PGresult *r;
    enum status st =
        operation_read(op, &rq->who, &asker, &shape, rq->command, &rq->page, rq->arena, &s, f);

    if (st != ST_OK || (st = db_read(rq->db, s.sql, s.params, s.n, &r, f)) != ST_OK)
        return st;
    if (PQntuples(r) == 0) {
        st = op->kind == OP_LIST ? respond_empty(rq, rs, r, f)
                                 : fault_set(f, ST_NOT_FOUND, NULL, "not found");
    } else if (op->kind == OP_LIST) {
        const int64_t total = row_i64(r, 0, 0);
        const int n = PQntuples(r);

        write_answer(rq, rs, r, OPERATION_HIDDEN, n, total, next_cursor(rq, rs, r, n, total));
    } else {
        write_answer(rq, rs, r, 0, 1, 1, NULL);
    }
    PQclear(r);
    return st;
}

/* The request as a digest: the write's sentence and its values, without the actor. */
static void sentence_digest(const struct sentence *s, uint8_t ret[32])
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned n = 32;

    EVP_DigestInit_ex(c, EVP_sha256(), NULL);
    EVP_DigestUpdate(c, s->sql, strlen(s->sql));
    for (size_t i = 1; i < s->n; i++) {
        const struct param *p = &s->params[i];
        const size_t size = !p->text ? 0 : p->binary ? (size_t)p->length : strlen(p->text);
        char head[32];

        snprintf(head, sizeof head, "%zu:%c:", size,
                 p->text ? 'v' : 'n'); /* lengths keep borders apart */
        EVP_DigestUpdate(c, head, strlen(head));
        EVP_DigestUpdate(c, p->text ? p->text : "", size);
    }
    EVP_DigestFinal_ex(c, ret, &n);
    EVP_MD_CTX_free(c);
}

/* What Idempotency-Key asks for. */
struct once {
    const char *key; /* NULL: not asked */
    const char *route;
    uint8_t digest[32];
    bool replay;
    int64_t row;
};

/* The key is a header: no key of the body is at fault. */
static enum status blame_header(enum status st, struct fault *f)
{
    if (st != ST_OK && f->field && strcmp(f->field, "idempotency_key") == 0)
        f->field = NULL;
    return st;
}

static enum status once_begin(struct request *rq, const struct sentence *write, struct once *o,
                              struct fault *f)
{
    struct param params[4];
    PGresult *r;
    enum status st;

    *o =
        (struct once){ .key = request_header(rq, "HTTP_IDEMPOTENCY_KEY"), .route = rq->route->op->name };
    if (!o->key)
        return ST_OK;
    if (rq->route->secret)
        return fault_set(f, ST_INVALID, NULL,
                         "Idempotency-Key is not possible here: the answer holds a secret");
    if (!rq->route->op->creates) {
        o->key = NULL;
        return ST_OK;
    }
    if (strlen(o->key) > IDEMPOTENCY_KEY_CHARS || !text_is_utf8(o->key, strlen(o->key)))
        return fault_set(f, ST_INVALID, NULL, "Idempotency-Key must have at most %d characters",
                         IDEMPOTENCY_KEY_CHARS);
    sentence_digest(write, o->digest);
    params[0] = p_text(actor_literal(&rq->who, rq->arena));
    params[1] = p_text(o->key);
    params[2] = p_text(o->route);
    params[3] = p_bytes(o->digest, 32);
    st = db_read(rq->db, "SELECT row_id FROM domain.idempotency_find($1, $2, $3, $4) AS t(row_id)",
                 params, 4, &r, f);
    if (st != ST_OK)
        return blame_header(st, f);
    o->replay = PQntuples(r) > 0 && !PQgetisnull(r, 0, 0);
    o->row = o->replay ? row_i64(r, 0, 0) : 0;
    PQclear(r);
    return ST_OK;
}

static enum status replay(struct request *rq, struct response *rs, const struct once *o,
                          const struct asker *asker, const struct shape *shape, struct fault *f)
{
    struct sentence s;
    PGresult *r;
    enum status st = operation_reread(rq->route->op, &rq->who, asker, shape, o->row, rq->arena, &s, f);

    if (st != ST_OK || (st = db_read(rq->db, s.sql, s.params, s.n, &r, f)) != ST_OK)
        return st;
    if (PQntuples(r) == 0)
        st = fault_set(f, ST_NOT_FOUND, NULL, "what this Idempotency-Key made is gone");
    else
        write_answer(rq, rs, r, 0, 1, 1, NULL);
    response_header(rs, "Idempotent-Replayed", "true");
    PQclear(r);
    return st;
}

static enum status respond_write(struct request *rq, struct response *rs, struct fault *f)
{
    const struct operation *op = rq->route->op;
    const struct asker asker = { request_base_url(rq) };
    const struct shape shape = { rq->dialect->name, rq->route->shape, rq->route->beside };
    struct sentence write, read;
    struct db_call calls[3];
    struct param remember[4];
    struct once once;
    size_t n = 0;
    PGresult *r;
    enum status st =
        operation_write(op, &rq->who, &asker, &shape, rq->command, rq->arena, &write, &read, f);

    if (st != ST_OK || (st = once_begin(rq, &write, &once, f)) != ST_OK)
        return st;
    if (once.replay)
        return replay(rq, rs, &once, &asker, &shape, f);
    calls[n++] = (struct db_call){ write.sql, write.params, write.n };
    if (once.key) {
        remember[0] = p_text(actor_literal(&rq->who, rq->arena));
        remember[1] = p_text(once.key);
        remember[2] = p_text(once.route);
        remember[3] = p_bytes(once.digest, 32);
        calls[n++] = (struct db_call){ "SELECT domain.idempotency_store($1, $2, $3, $4)", remember, 4 };
    }
    if (read.sql)
        calls[n++] = (struct db_call){ read.sql, read.params, read.n };
    st = rq->before_commit
             ? db_write_checked(rq->db, calls, n, rq->before_commit, rq->before_commit_arg, &r, f)
             : db_write(rq->db, calls, n, &r, f);
    if (st != ST_OK)
        return blame_header(st, f);
    (void)failpoint("committed");
    if (read.sql && PQntuples(r) == 0)
        st = fault_set(f, ST_NOT_FOUND, NULL, "not found");
    else
        write_answer(rq, rs, r, 0, read.sql ? 1 : 0, read.sql ? 1 : row_i64(r, 0, 0), NULL);
    PQclear(r);
    return st;
}

enum status respond_operation(struct request *rq, struct response *rs, struct fault *f)
{
    return rq->route->op->kind == OP_WRITE ? respond_write(rq, rs, f) : respond_read(rq, rs, f);
}
