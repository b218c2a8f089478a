/* Parameters from C values and C values from columns: see db.h. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/db.h"
#include "base/text.h"

struct param p_i64(struct arena *a, int64_t v)
{
    return (struct param){ .text = arena_printf(a, "%" PRId64, v) };
}

struct param p_text(const char *s)
{
    return (struct param){ .text = s };
}

struct param p_bool(bool v)
{
    return (struct param){ .text = v ? "t" : "f" };
}

struct param p_f64(struct arena *a, double v)
{
    return (struct param){ .text = arena_printf(a, "%.17g", v) };
}

struct param p_bytes(const void *p, size_t n)
{
    return (struct param){ .text = p, .length = (int)n, .binary = true };
}

struct param p_null(void)
{
    return (struct param){ 0 };
}

struct param p_texts(struct arena *a, const char *const *items, size_t n)
{
    struct buffer b = { 0 };
    struct param p;

    buffer_char(&b, '{');
    for (size_t i = 0; i < n; i++) {
        buffer_text(&b, i ? ",\"" : "\"");
        for (const char *s = items[i]; *s; s++) {
            if (*s == '"' || *s == '\\')
                buffer_char(&b, '\\');
            buffer_char(&b, *s);
        }
        buffer_char(&b, '"');
    }
    buffer_char(&b, '}');
    p = p_text(b.failed ? NULL : arena_strndup(a, b.p, b.n));
    buffer_free(&b);
    return p;
}

int64_t row_i64(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? 0 : strtoll(PQgetvalue(r, row, column), NULL, 10);
}

const char *row_text(const PGresult *r, int row, int column)
{
    return PQgetisnull(r, row, column) ? NULL : PQgetvalue(r, row, column);
}

bool row_bool(const PGresult *r, int row, int column)
{
    return !PQgetisnull(r, row, column) && PQgetvalue(r, row, column)[0] == 't';
}

bool row_bytes(const PGresult *r, int row, int column, uint8_t *ret, size_t n)
{
    const char *s = row_text(r, row, column);

    return s && strlen(s) == 2 * n + 2 && s[0] == '\\' && s[1] == 'x' && text_hex(s + 2, 2 * n, ret);
}
