/* Rows to JSON: see rows.h. */
#include "base/rows.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/json.h"

enum column_kind {
    PRINT_RAW,
    PRINT_TEXT,
    PRINT_FLOAT,
    PRINT_BOOL,
    PRINT_TIME,
    PRINT_LINK,
    PRINT_HIDDEN
};

struct rows_column {
    enum column_kind kind;
    bool optional;
    size_t key_at, key_n;   /* `"name":` in keys */
    size_t twin_at, twin_n; /* `,"other":`; none: 0 */
    const char *purpose;    /* PRINT_LINK */
};

/* Type numbers of PostgreSQL's catalogue, fixed for ever (pg_type.dat). */
static enum column_kind kind_of_type(Oid type)
{
    switch (type) {
    case 16:
        return PRINT_BOOL;
    case 20: /* int8 */
    case 21:
    case 23:
    case 114:  /* json */
    case 3802: /* jsonb */
        return PRINT_RAW;
    case 700:
    case 701:
    case 1700: /* numeric */
        return PRINT_FLOAT;
    case 1184: /* timestamptz */
        return PRINT_TIME;
    default:
        return PRINT_TEXT;
    }
}

static void column_begin(struct rows *r, int i)
{
    struct rows_column *c = &r->columns[i];
    const char *name = PQfname(r->result, r->first + i), *mark;
    size_t n = strlen(name), twin = 0;

    c->kind = kind_of_type(PQftype(r->result, r->first + i));
    if (name[0] == '#') {
        c->kind = PRINT_HIDDEN;
        return;
    }
    if (n && name[n - 1] == '?') {
        c->optional = true;
        n--;
    } else if ((mark = strchr(name, '#'))) {
        c->kind = PRINT_LINK;
        c->purpose = mark + 1;
        n = (size_t)(mark - name);
    } else if ((mark = strchr(name, ','))) {
        twin = n - (size_t)(mark - name) - 1;
        n = (size_t)(mark - name);
    }
    c->key_at = r->keys.n;
    json_write_string(&r->keys, name, n);
    buffer_char(&r->keys, ':');
    c->key_n = r->keys.n - c->key_at;
    if (twin) {
        c->twin_at = r->keys.n;
        buffer_char(&r->keys, ',');
        json_write_string(&r->keys, name + n + 1, twin);
        buffer_char(&r->keys, ':');
        c->twin_n = r->keys.n - c->twin_at;
    }
}

bool rows_begin(struct rows *r, const PGresult *result, int first, const struct json_style *style,
                const struct link_maker *links)
{
    *r = (struct rows){ .result = result, .style = style, .links = links, .first = first };
    r->ncolumns = PQnfields(result) - first;
    if (r->ncolumns < 0)
        r->ncolumns = 0;
    r->columns = calloc((size_t)r->ncolumns + 1, sizeof *r->columns);
    if (!r->columns)
        return false;
    for (int i = 0; i < r->ncolumns; i++)
        column_begin(r, i);
    return !r->keys.failed;
}

void rows_end(struct rows *r)
{
    buffer_free(&r->keys);
    free(r->columns);
    *r = (struct rows){ 0 };
}

static void write_float(struct buffer *out, const char *s, bool point)
{
    if (*s == 'N' || strchr(s, 'I')) { /* NaN, Infinity: JSON has neither */
        buffer_text(out, "null");
        return;
    }
    buffer_text(out, s);
    if (point && !strpbrk(s, ".e"))
        buffer_text(out, ".0");
}

void json_write_time(struct buffer *out, const char *s, const struct json_style *style)
{
    const size_t n = strlen(s);
    const char *fraction;
    char digits[6] = { '0', '0', '0', '0', '0', '0' };

    if (n < 22 || s[10] != ' ' || (strcmp(s + n - 3, "+00") != 0)) {
        json_write_string(out, s, n);
        return;
    }
    buffer_char(out, '"');
    buffer_bytes(out, s, 10);
    buffer_char(out, 'T');
    buffer_bytes(out, s + 11, 8);
    fraction = s[19] == '.' ? s + 20 : "";
    for (int i = 0; i < 6 && fraction[i] >= '0' && fraction[i] <= '9'; i++)
        digits[i] = fraction[i];
    if (style->time_digits > 0) {
        buffer_char(out, '.');
        buffer_bytes(out, digits, (size_t)style->time_digits);
    }
    buffer_text(out, style->time_offset ? "+00:00\"" : "Z\"");
}

bool time_parse_us(const char *s, int64_t *ret)
{
    struct tm t = { 0 };
    int64_t us = 0, scale = 100000;
    const char *rest = strptime(s, "%Y-%m-%d %H:%M:%S", &t);
    time_t seconds;

    if (!rest)
        return false;
    if (*rest == '.')
        for (rest++; *rest >= '0' && *rest <= '9'; rest++, scale /= 10)
            us += (*rest - '0') * scale;
    if (strcmp(rest, "+00") != 0)
        return false;
    seconds = timegm(&t);
    *ret = (int64_t)seconds * 1000000 + us;
    return true;
}

static void write_value(const struct rows *r, int row, int i, struct buffer *out)
{
    const struct rows_column *c = &r->columns[i];
    const int column = r->first + i;
    const char *s;
    enum column_kind kind = c->kind;

    if (PQgetisnull(r->result, row, column)) {
        buffer_text(out, "null");
        return;
    }
    s = PQgetvalue(r->result, row, column);
    if (kind == PRINT_HIDDEN)
        kind = kind_of_type(PQftype(r->result, column));
    switch (kind) {
    case PRINT_RAW:
        buffer_bytes(out, s, (size_t)PQgetlength(r->result, row, column));
        break;
    case PRINT_FLOAT:
        write_float(out, s, r->style->float_point);
        break;
    case PRINT_BOOL:
        buffer_text(out, *s == 't' ? "true" : "false");
        break;
    case PRINT_TIME:
        json_write_time(out, s, r->style);
        break;
    case PRINT_LINK:
        if (r->links)
            r->links->make(r->links->arg, c->purpose, s, out);
        else
            buffer_text(out, "null");
        break;
    case PRINT_TEXT:
    case PRINT_HIDDEN:
        json_write_string(out, s, (size_t)PQgetlength(r->result, row, column));
        break;
    }
}

void rows_members(const struct rows *r, int row, struct buffer *out)
{
    bool comma = false;

    for (int i = 0; i < r->ncolumns; i++) {
        const struct rows_column *c = &r->columns[i];

        if (c->kind == PRINT_HIDDEN || (c->optional && PQgetisnull(r->result, row, r->first + i)))
            continue;
        if (comma)
            buffer_char(out, ',');
        buffer_bytes(out, r->keys.p + c->key_at, c->key_n);
        write_value(r, row, i, out);
        if (c->twin_n) {
            buffer_bytes(out, r->keys.p + c->twin_at, c->twin_n);
            write_value(r, row, i, out);
        }
        comma = true;
    }
}

void rows_object(const struct rows *r, int row, struct buffer *out)
{
    buffer_char(out, '{');
    rows_members(r, row, out);
    buffer_char(out, '}');
}

static bool column_is(const char *column, const char *name)
{
    const size_t n = strlen(name);

    if (*column == '#')
        return strcmp(column + 1, name) == 0;
    return strncmp(column, name, n) == 0 && strchr("?#,", column[n]); /* its NUL counts too */
}

void rows_value(const struct rows *r, int row, const char *name, struct buffer *out)
{
    for (int i = 0; i < r->ncolumns; i++) {
        if (column_is(PQfname(r->result, r->first + i), name)) {
            write_value(r, row, i, out);
            return;
        }
    }
    buffer_text(out, "null");
}
