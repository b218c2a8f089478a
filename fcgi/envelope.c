/* Envelopes and cursors: see envelope.h. */
#include "fcgi/envelope.h"

#include <inttypes.h>
#include <string.h>

#include "base/config.h"
#include "base/json.h"

static void write_rows(const struct envelope_input *in, struct buffer *out)
{
    buffer_char(out, '[');
    for (int i = 0; i < in->nrows; i++) {
        if (i)
            buffer_char(out, ',');
        rows_object(in->rows, i, out);
    }
    buffer_char(out, ']');
}

/* Rows are printed once; a twin of the same rows is copied. */
struct copies {
    size_t rows_at, rows_n, row_at, row_n;
};

static void write_once(const struct envelope_input *in, bool all, struct copies *c, struct buffer *out)
{
    size_t *at = all ? &c->rows_at : &c->row_at, *n = all ? &c->rows_n : &c->row_n;

    if (*n) {
        buffer_copy(out, *at, *n);
        return;
    }
    *at = out->n;
    if (all)
        write_rows(in, out);
    else if (in->nrows)
        rows_object(in->rows, 0, out);
    else
        buffer_text(out, "null");
    *n = out->n - *at;
}

static const char *extra(const struct request *rq, const char *name, size_t n)
{
    for (size_t i = 0; i < rq->nextras; i++)
        if (strlen(rq->extras[i].name) == n && memcmp(rq->extras[i].name, name, n) == 0)
            return rq->extras[i].value;
    return "null";
}

static bool is(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && memcmp(s, word, n) == 0;
}

static void write_variable(const char *s, size_t n, const struct request *rq,
                           const struct envelope_input *in, struct copies *c, struct buffer *out)
{
    if (*s == ':') {
        buffer_text(out, extra(rq, s + 1, n - 1));
    } else if (*s == '.') {
        char name[64];

        if (!in->nrows || n > sizeof name) {
            buffer_text(out, "null");
            return;
        }
        memcpy(name, s + 1, n - 1);
        name[n - 1] = '\0';
        rows_value(in->rows, 0, name, out);
    } else if (is(s, n, "rows")) {
        write_once(in, true, c, out);
    } else if (is(s, n, "row")) {
        write_once(in, false, c, out);
    } else if (is(s, n, "members")) {
        if (in->nrows)
            rows_members(in->rows, 0, out);
    } else if (is(s, n, "total")) {
        buffer_printf(out, "%" PRId64, in->total);
    } else if (is(s, n, "limit")) {
        buffer_printf(out, "%" PRId64, rq->page.limit);
    } else if (is(s, n, "offset")) {
        buffer_printf(out, "%" PRId64, rq->page.offset);
    } else if (is(s, n, "page")) {
        buffer_printf(out, "%" PRId64, rq->page.limit ? rq->page.offset / rq->page.limit + 1 : 1);
    } else if (is(s, n, "region")) {
        json_write_string(out, config_text("region"), strlen(config_text("region")));
    } else if (is(s, n, "next")) {
        if (in->next)
            json_write_string(out, in->next, strlen(in->next));
        else
            buffer_text(out, "null");
    }
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

void envelope_write(const char *text, const struct request *rq, const struct envelope_input *in,
                    struct buffer *out)
{
    struct copies c = { 0 };

    while (*text) {
        const char *dollar = strchr(text, '$');
        size_t n = 1;

        if (!dollar) {
            buffer_text(out, text);
            return;
        }
        buffer_bytes(out, text, (size_t)(dollar - text));
        while (is_name(dollar[1 + n]))
            n++;
        write_variable(dollar + 1, n, rq, in, &c, out);
        text = dollar + 1 + n;
    }
}

void cursor_write(int64_t created_us, int64_t id, struct buffer *out)
{
    buffer_printf(out, "%" PRIx64 "-%" PRIx64, (uint64_t)created_us, (uint64_t)id);
}

static bool hex_u64(const char *s, size_t n, int64_t *ret)
{
    uint64_t v = 0;

    if (n == 0 || n > 16)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *digit = strchr("0123456789abcdef", s[i]);

        if (!digit || !s[i])
            return false;
        v = v << 4 | (uint64_t)(digit - "0123456789abcdef");
    }
    *ret = (int64_t)v;
    return true;
}

/* The year 10000: PostgreSQL takes more, but no row is made then. */
#define LAST_US (INT64_C(253402300800) * 1000000)

bool cursor_parse(const char *text, int64_t *ret_us, int64_t *ret_id)
{
    const char *dash = strchr(text, '-');

    return dash && hex_u64(text, (size_t)(dash - text), ret_us) &&
           hex_u64(dash + 1, strlen(dash + 1), ret_id) && *ret_us >= 0 && *ret_us < LAST_US &&
           *ret_id >= 0;
}
