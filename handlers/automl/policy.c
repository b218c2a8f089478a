/* How the AutoML Projects API spells credentials, ids, pages and errors. */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "fcgi/auth.h"
#include "fcgi/envelope.h"
#include "handlers/automl/automl.h"

enum status automl_credential(const struct request *rq, struct slice *ret, struct fault *f)
{
    static const char *const schemes[] = { "Bearer", NULL };

    return auth_header_key(rq, schemes, ret, f);
}

enum status automl_ref(const char *text, struct arena *a, struct ref *ret)
{
    uint8_t bytes[16];
    char *uuid;

    if (!text_uuid(text, strlen(text), bytes) || !(uuid = arena_strdup(a, text)))
        return ST_INVALID;
    for (char *s = uuid; *s; s++)
        if (*s >= 'A' && *s <= 'F')
            *s = (char)(*s + 32);
    *ret = (struct ref){ .kind = REF_UUID, .uuid = uuid };
    return ST_OK;
}

static enum status number(const struct request *rq, const char *name, int64_t least, int64_t most,
                          int64_t *value, struct fault *f)
{
    const char *text = request_query(rq, name);

    if (!text)
        return ST_OK;
    if (!text_i64(text, strlen(text), value))
        return fault_set(f, ST_INVALID, text_intern(name), "must be an integer");
    if (*value < least || *value > most)
        return fault_set(f, ST_INVALID, text_intern(name), "must be between %" PRId64 " and %" PRId64,
                         least, most);
    return ST_OK;
}

enum status automl_page(const struct request *rq, const struct page_rule *rule, struct page *ret,
                        struct fault *f)
{
    const char *cursor = request_query(rq, "cursor");
    enum status st;

    *ret = (struct page){ .limit = rule->standard };
    if ((st = number(rq, "limit", 1, rule->most, &ret->limit, f)) != ST_OK ||
        (st = number(rq, "offset", 0, INT64_C(1) << 40, &ret->offset, f)) != ST_OK)
        return st;
    if (cursor) {
        ret->has_cursor = true;
        ret->offset = 0;
        if (!cursor_parse(cursor, &ret->cursor_us, &ret->cursor_id))
            return fault_set(f, ST_INVALID, "cursor", "is not a cursor of this API");
        if (rq->route->op->ascending || request_query(rq, "sort_field") ||
            request_query(rq, "sort_direction"))
            return fault_set(f, ST_INVALID, "cursor", "goes with the order of newest first alone");
    }
    return ST_OK;
}

static const int http[ST__COUNT] = {
    [ST_INVALID] = 422,      [ST_UNAUTHENTICATED] = 401, [ST_FORBIDDEN] = 403, [ST_NOT_FOUND] = 404,
    [ST_NO_METHOD] = 405,    [ST_CONFLICT] = 409,        [ST_TOO_LARGE] = 413, [ST_UNSUPPORTED] = 415,
    [ST_RATE_LIMITED] = 429, [ST_UNAVAILABLE] = 503,     [ST_INTERNAL] = 500,
};

/* The words that readers of such errors know. */
static const char *error_type(const struct fault *f)
{
    if (f->reason && strcmp(f->reason, JSON_SYNTAX) == 0)
        return "json_invalid";
    return strcmp(f->detail, "is required") == 0 ? "missing" : "value_error";
}

static void write_validation(const struct request *rq, const struct fault *f, struct buffer *out)
{
    static const char *const places[] = { [IN_PATH] = "path", [IN_QUERY] = "query", [IN_BODY] = "body" };
    enum key_place place;
    const char *key = dialect_key(rq, f->field, &place);

    if (key && (!strcmp(key, "limit") || !strcmp(key, "offset") || !strcmp(key, "cursor")))
        place = IN_QUERY;
    if (!rq->route) /* the query could not be read */
        place = IN_QUERY;
    buffer_printf(out, "{\"detail\":[{\"loc\":[\"%s\"", places[place]);
    if (f->offset >= 0) {
        buffer_printf(out, ",%" PRId64, f->offset);
    } else if (key) {
        buffer_char(out, ',');
        json_write_string(out, key, strlen(key));
    }
    buffer_text(out, "],\"msg\":");
    json_write_string(out, f->detail, strlen(f->detail));
    buffer_printf(out, ",\"type\":\"%s\"}]}", error_type(f));
}

void automl_fault(const struct request *rq, struct response *rs, enum status st, const struct fault *f)
{
    struct buffer *out = &rs->body;

    rs->status = http[st];
    if (st == ST_UNAUTHENTICATED)
        response_header(rs, "WWW-Authenticate", "Bearer");
    if (st == ST_INVALID) {
        write_validation(rq, f, out);
        return;
    }
    buffer_text(out, "{\"detail\":");
    if (st == ST_INTERNAL)
        buffer_text(out, "\"Internal server error\"");
    else if (st == ST_NOT_FOUND && !f->field) /* one body for unknown and for not yours */
        buffer_text(out, "\"Not found\"");
    else
        json_write_string(out, f->detail, strlen(f->detail));
    buffer_char(out, '}');
}
