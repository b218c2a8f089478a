/* How the Ultralytics API spells credentials, ids, pages, errors and limits. */
#include <inttypes.h>
#include <string.h>

#include "base/config.h"
#include "base/json.h"
#include "base/limits.h"
#include "fcgi/auth.h"
#include "fcgi/envelope.h"
#include "fcgi/limiter.h"
#include "handlers/ultralytics/ultralytics.h"

enum status ultralytics_credential(const struct request *rq, struct slice *ret, struct fault *f)
{
    static const char *const schemes[] = { "Bearer", NULL };

    return auth_header_key(rq, schemes, ret, f);
}

/* 24 hex digits: 8 of creation seconds, 16 of the row's id. Anything else names nothing: the answer is
 * 404. */
enum status ultralytics_ref(const char *text, struct arena *a, struct ref *ret)
{
    uint8_t b[12];
    uint64_t id = 0, stamp = 0;

    (void)a;
    ret->kind = REF_UNKNOWN;
    if (strlen(text) != 24 || !text_hex(text, 24, b))
        return ST_OK;
    for (int i = 0; i < 4; i++)
        stamp = stamp << 8 | b[i];
    for (int i = 4; i < 12; i++)
        id = id << 8 | b[i];
    if (id == 0 || id > INT64_MAX)
        return ST_OK;
    *ret = (struct ref){ .kind = REF_STAMPED, .id = (int64_t)id, .stamp = (int64_t)stamp };
    return ST_OK;
}

static enum status number(const struct request *rq, const char *name, int64_t least, int64_t most,
                          int64_t *value, struct fault *f)
{
    const char *text = request_query(rq, name);

    if (!text || !*text)
        return ST_OK;
    if (!text_i64(text, strlen(text), value) || *value < least || *value > most)
        return fault_set(f, ST_INVALID, text_intern(name),
                         "must be an integer between %" PRId64 " and %" PRId64, least, most);
    return ST_OK;
}

enum status ultralytics_page(const struct request *rq, const struct page_rule *rule, struct page *ret,
                             struct fault *f)
{
    const char *cursor = request_query(rq, "cursor");
    int64_t page = 1;
    enum status st;

    *ret = (struct page){ .limit = rule->standard };
    if ((st = number(rq, "limit", 1, rule->most, &ret->limit, f)) != ST_OK ||
        (st = number(rq, "page", 1, LIMIT_PAGE_NUMBER, &page, f)) != ST_OK)
        return st;
    ret->offset = (page - 1) * ret->limit;
    if (cursor) {
        ret->has_cursor = true;
        ret->offset = 0;
        if (!cursor_parse(cursor, &ret->cursor_us, &ret->cursor_id))
            return fault_set(f, ST_INVALID, "cursor", "is not a cursor of this API");
    }
    return ST_OK;
}

static const struct {
    int http;
    const char *code;
} spelling[ST__COUNT] = {
    [ST_INVALID] = { 400, "VALIDATION_ERROR" },   [ST_UNAUTHENTICATED] = { 401, "UNAUTHORIZED" },
    [ST_FORBIDDEN] = { 403, "FORBIDDEN" },        [ST_NOT_FOUND] = { 404, "NOT_FOUND" },
    [ST_NO_METHOD] = { 405, "VALIDATION_ERROR" }, [ST_CONFLICT] = { 409, "VALIDATION_ERROR" },
    [ST_TOO_LARGE] = { 413, "VALIDATION_ERROR" }, [ST_UNSUPPORTED] = { 415, "VALIDATION_ERROR" },
    [ST_RATE_LIMITED] = { 429, "RATE_LIMITED" },  [ST_UNAVAILABLE] = { 503, "INTERNAL_ERROR" },
    [ST_INTERNAL] = { 500, "INTERNAL_ERROR" },
};

static void write_details(const struct request *rq, const char *key, const struct fault *f,
                          struct buffer *out)
{
    buffer_text(out, ",\"details\":{\"requestId\":");
    json_write_string(out, rq->id, strlen(rq->id));
    if (key) {
        buffer_text(out, ",\"field\":");
        json_write_string(out, key, strlen(key));
    }
    if (f->path[0]) {
        buffer_text(out, ",\"path\":");
        json_write_string(out, f->path, strlen(f->path));
    }
    if (f->offset >= 0)
        buffer_printf(out, ",\"offset\":%" PRId64, f->offset);
    if (f->reason) {
        buffer_text(out, ",\"reason\":");
        json_write_string(out, f->reason, strlen(f->reason));
    }
    buffer_char(out, '}');
}

void ultralytics_fault(const struct request *rq, struct response *rs, enum status st,
                       const struct fault *f)
{
    enum key_place place;
    const char *key = dialect_key(rq, f->field, &place);
    struct buffer message = { 0 }, *out = &rs->body;

    rs->status = spelling[st].http;
    if (key)
        buffer_printf(&message, "%s: ", key);
    buffer_text(&message, st == ST_INTERNAL ? "Internal server error" : f->detail);
    if (strcmp(config_text("ultralytics.error_style"), "string") == 0) {
        buffer_text(out, "{\"success\":false,\"error\":");
        json_write_string(out, message.p, message.n);
        buffer_printf(out, ",\"code\":\"%s\"", spelling[st].code);
    } else {
        buffer_printf(out,
                      "{\"success\":false,\"error\":{\"code\":\"%s\",\"message\":", spelling[st].code);
        json_write_string(out, message.p, message.n);
        write_details(rq, key, f, out);
        buffer_char(out, '}');
    }
    buffer_text(out, ",\"message\":");
    json_write_string(out, message.p, message.n);
    buffer_char(out, '}');
    buffer_free(&message);
    if (st == ST_UNAUTHENTICATED)
        response_header(rs, "WWW-Authenticate", "Bearer");
}

void ultralytics_headers(const struct request *rq, struct response *rs)
{
    if (!rq->rate || !rq->authenticated)
        return;
    response_header(rs, "X-RateLimit-Limit", "%" PRId64, rq->rate->limit);
    response_header(rs, "X-RateLimit-Remaining", "%" PRId64, rq->rate->remaining);
    response_header(rs, "X-RateLimit-Reset", "%" PRId64, rq->rate->reset_s);
}
