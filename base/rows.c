/* Rows to JSON: see rows.h. */
#include "base/rows.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"

enum column_kind {
    PRINT_RAW,
    PRINT_TEXT,
    PRINT_FLOAT,
    PRINT_BOOL,
    PRINT_TIME,
    PRINT_LINK,
    PRINT_STAMPED,
    PRINT_HIDDEN
};

struct rows_column {
    enum column_kind kind;
    bool optional;
    size_t key_at, key_n;   /* `,"name":` in keys */
    size_t twin_at, twin_n; /* `,"other":`; none: 0 */
    const char *purpose;    /* PRINT_LINK */
    int time;               /* PRINT_STAMPED: the column with the time; -1: there is none */
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

static bool column_is(const char *column, const char *name)
{
    const size_t n = strlen(name);

    if (*column == '#')
        return strcmp(column + 1, name) == 0;
    return strncmp(column, name, n) == 0 && strchr("?#,@", column[n]); /* its NUL counts too */
}

/* The number in the result of the column called name (or "#name"), or -1. */
static int column_find(const struct rows *r, const char *name)
{
    for (int i = r->first; i < r->first + r->ncolumns; i++)
        if (column_is(PQfname(r->result, i), name))
            return i;
    return -1;
}

static void key_begin(struct rows *r, const char *name, size_t n, size_t *ret_at, size_t *ret_n)
{
    *ret_at = r->keys.n;
    buffer_char(&r->keys, ',');
    json_write_string(&r->keys, name, n);
    buffer_char(&r->keys, ':');
    *ret_n = r->keys.n - *ret_at;
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
    } else if ((mark = strchr(name, '@'))) {
        c->kind = PRINT_STAMPED;
        c->time = column_find(r, mark + 1);
        n = (size_t)(mark - name);
    }
    if ((mark = memchr(name, ',', n))) {
        twin = n - (size_t)(mark - name) - 1;
        n = (size_t)(mark - name);
    }
    key_begin(r, name, n, &c->key_at, &c->key_n);
    if (twin)
        key_begin(r, name + n + 1, twin, &c->twin_at, &c->twin_n);
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

static bool digits(const char *s, size_t n, int64_t *ret)
{
    int64_t v = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        v = v * 10 + (s[i] - '0');
    }
    *ret = v;
    return true;
}

/*
 * Days from 1970-01-01 in the Gregorian calendar. Years begin in March, so that the day that comes and
 * goes is the last of its year.
 */
static int64_t days_of(int64_t year, int64_t month, int64_t day)
{
    const int64_t y = month > 2 ? year : year - 1, m = (month + 9) % 12;

    return y * 365 + y / 4 - y / 100 + y / 400 + (m * 306 + 5) / 10 + day - 1 - 719468;
}

bool time_parse_us(const char *s, int64_t *ret)
{
    const size_t n = strlen(s);
    int64_t year, month, day, hour, minute, second, us = 0, scale = 100000;

    if (n < 22 || s[4] != '-' || s[7] != '-' || s[10] != ' ' || s[13] != ':' || s[16] != ':' ||
        !digits(s, 4, &year) || !digits(s + 5, 2, &month) || !digits(s + 8, 2, &day) ||
        !digits(s + 11, 2, &hour) || !digits(s + 14, 2, &minute) || !digits(s + 17, 2, &second))
        return false;
    s += 19;
    if (*s == '.')
        for (s++; *s >= '0' && *s <= '9'; s++, scale /= 10)
            us += (*s - '0') * scale;
    if (strcmp(s, "+00") != 0 || month < 1 || month > 12)
        return false;
    *ret = ((days_of(year, month, day) * 24 + hour) * 60 + minute) * INT64_C(60000000) +
           second * 1000000 + us;
    return true;
}

/* 24 hex digits as a string: the seconds of the time, then the id. */
static void write_stamped(const struct rows *r, int row, const struct rows_column *c, const char *id,
                          struct buffer *out)
{
    static const char hex[16] = "0123456789abcdef";
    char s[26];
    int64_t us, n;
    uint64_t rest;

    if (c->time < 0 || !text_i64(id, strlen(id), &n) ||
        !time_parse_us(PQgetvalue(r->result, row, c->time), &us)) {
        buffer_text(out, "null");
        return;
    }
    s[0] = s[25] = '"';
    rest = (uint64_t)n;
    for (int i = 24; i > 8; i--, rest >>= 4)
        s[i] = hex[rest & 15];
    rest = (uint64_t)(us / 1000000);
    for (int i = 8; i > 0; i--, rest >>= 4)
        s[i] = hex[rest & 15];
    buffer_bytes(out, s, sizeof s);
}

static void write_value(const struct rows *r, int row, int i, struct buffer *out)
{
    const struct rows_column *c = &r->columns[i];
    const int column = r->first + i;
    const char *s;
    size_t n;
    enum column_kind kind = c->kind;

    n = (size_t)PQgetlength(r->result, row, column);
    if (n == 0 && PQgetisnull(r->result, row, column)) {
        buffer_text(out, "null");
        return;
    }
    s = PQgetvalue(r->result, row, column);
    if (kind == PRINT_HIDDEN)
        kind = kind_of_type(PQftype(r->result, column));
    switch (kind) {
    case PRINT_RAW:
        buffer_bytes(out, s, n);
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
    case PRINT_STAMPED:
        write_stamped(r, row, c, s, out);
        break;
    case PRINT_TEXT:
    case PRINT_HIDDEN:
        json_write_string(out, s, n);
        break;
    }
}

void rows_members(const struct rows *r, int row, struct buffer *out)
{
    size_t comma = 1; /* the first key goes without its comma */

    for (int i = 0; i < r->ncolumns; i++) {
        const struct rows_column *c = &r->columns[i];
        size_t at;

        if (c->kind == PRINT_HIDDEN || (c->optional && PQgetisnull(r->result, row, r->first + i)))
            continue;
        buffer_bytes(out, r->keys.p + c->key_at + comma, c->key_n - comma);
        at = out->n;
        write_value(r, row, i, out);
        if (c->twin_n) {
            const size_t n = out->n - at;

            buffer_bytes(out, r->keys.p + c->twin_at, c->twin_n);
            buffer_copy(out, at, n);
        }
        comma = 0;
    }
}

void rows_object(const struct rows *r, int row, struct buffer *out)
{
    buffer_char(out, '{');
    rows_members(r, row, out);
    buffer_char(out, '}');
}

void rows_value(const struct rows *r, int row, const char *name, struct buffer *out)
{
    const int i = column_find(r, name);

    if (i < 0)
        buffer_text(out, "null");
    else
        write_value(r, row, i - r->first, out);
}
