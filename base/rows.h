/*
 * The one JSON writer of results: a PGresult's rows become JSON objects by column name and type
 * (sql/README.md). How times and floats look is the dialect's; signed links are made by a callback.
 */
#ifndef BASE_ROWS_H
#define BASE_ROWS_H

#include <libpq-fe.h>
#include <stdbool.h>
#include "base/text.h"

struct json_style {
    int time_digits;  /* digits of the fraction of a second: 0, 3 or 6 */
    bool time_offset; /* +00:00 instead of Z */
    bool float_point; /* 25.0 instead of 25 for floats */
};

/* Makes the URL of a column "key#purpose" from its value, appending a JSON string. */
struct link_maker {
    void (*make)(void *arg, const char *purpose, const char *value, struct buffer *out);
    void *arg;
};

/*
 * What is printed before the value of each column, made once per result. Zero-initialise; release with
 * rows_end. The PGresult must outlive it.
 */
struct rows {
    const PGresult *result;
    const struct json_style *style;
    const struct link_maker *links;
    int first; /* first column that belongs to the row */
    int ncolumns;
    struct rows_column *columns;
    struct buffer keys;
};

bool rows_begin(struct rows *r, const PGresult *result, int first, const struct json_style *style,
                const struct link_maker *links);
void rows_end(struct rows *r);

void rows_object(const struct rows *r, int row, struct buffer *out);  /* {"id":1,...} */
void rows_members(const struct rows *r, int row, struct buffer *out); /* "id":1,... without braces */
/* The value of the column called name (or "#name"), as JSON; "null" when there is none. */
void rows_value(const struct rows *r, int row, const char *name, struct buffer *out);

/* "2026-11-21 22:55:57.123456+00" to ISO 8601 in the style; anything else is printed as it is. */
void json_write_time(struct buffer *out, const char *text, const struct json_style *style);
/* The same text to microseconds since 1970; false when it is not such a text. */
bool time_parse_us(const char *text, int64_t *ret);

#endif
