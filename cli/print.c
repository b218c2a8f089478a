/* Rows of a result as a table for people, or as JSON for programs. */
#include <stdio.h>
#include <string.h>
#include "base/rows.h"
#include "base/text.h"
#include "cli/cli.h"

static const struct json_style style = { .time_digits = 3 };

static const char *cell(const PGresult *r, int row, int column)
{
    enum { TYPE_BOOL = 16 }; /* its number in every PostgreSQL */

    if (PQgetisnull(r, row, column))
        return "-";
    if (PQftype(r, column) == TYPE_BOOL)
        return *PQgetvalue(r, row, column) == 't' ? "yes" : "no";
    return PQgetvalue(r, row, column);
}

static int width_of(const char *s)
{
    return (int)text_code_points(s, strlen(s));
}

/* The last column is not padded: no blanks at the end of a line. */
static void print_cell(const char *s, int width, bool last)
{
    printf("%s%*s", s, last ? 0 : width - width_of(s) + 2, "");
}

static void print_table(const PGresult *r)
{
    enum { MOST_COLUMNS = 32 };
    const int ncolumns = PQnfields(r) < MOST_COLUMNS ? PQnfields(r) : MOST_COLUMNS;
    int width[MOST_COLUMNS];

    for (int c = 0; c < ncolumns; c++) {
        width[c] = width_of(PQfname(r, c));
        for (int row = 0; row < PQntuples(r); row++)
            if (width_of(cell(r, row, c)) > width[c])
                width[c] = width_of(cell(r, row, c));
    }
    for (int row = -1; row < PQntuples(r); row++) {
        for (int c = 0; c < ncolumns; c++)
            print_cell(row < 0 ? PQfname(r, c) : cell(r, row, c), width[c], c == ncolumns - 1);
        putchar('\n');
    }
}

static enum status print_json(const PGresult *r, bool list, struct fault *f)
{
    struct buffer out = { .n = 0 };
    struct rows rows = { .result = NULL };
    bool failed = !rows_begin(&rows, r, 0, &style, NULL);

    if (list)
        buffer_char(&out, '[');
    for (int row = 0; !failed && row < (list ? PQntuples(r) : 1); row++) {
        if (row)
            buffer_char(&out, ',');
        rows_object(&rows, row, &out);
    }
    if (list)
        buffer_char(&out, ']');
    failed = failed || out.failed;
    if (!failed)
        printf("%s\n", buffer_terminate(&out));
    rows_end(&rows);
    buffer_free(&out);
    return failed ? fault_set(f, ST_UNAVAILABLE, NULL, "out of memory") : ST_OK;
}

enum status cli_list(struct cli *c, const char *sql, const struct param params[], size_t n,
                     struct fault *f)
{
    struct db *db;
    PGresult *r = NULL;
    enum status st = cli_db(c, &db, f);

    if (st == ST_OK)
        st = db_read(db, sql, params, n, &r, f);
    if (st == ST_OK && c->json)
        st = print_json(r, true, f);
    else if (st == ST_OK)
        print_table(r);
    PQclear(r);
    return st;
}

enum status cli_print_one(const struct cli *c, const PGresult *r, const char *noun, struct fault *f)
{
    int width = 0;

    if (PQntuples(r) == 0)
        return fault_set(f, ST_NOT_FOUND, noun, "not found");
    if (c->json)
        return print_json(r, false, f);
    for (int i = 0; i < PQnfields(r); i++)
        if (width_of(PQfname(r, i)) > width)
            width = width_of(PQfname(r, i));
    for (int i = 0; i < PQnfields(r); i++) {
        print_cell(PQfname(r, i), width, false);
        puts(cell(r, 0, i));
    }
    return ST_OK;
}

enum status cli_write(struct cli *c, const struct db_call calls[], size_t n, const char *noun,
                      struct fault *f)
{
    struct db *db;
    PGresult *r = NULL;
    enum status st = cli_db(c, &db, f);

    if (st == ST_OK)
        st = db_write(db, calls, n, &r, f);
    if (st == ST_OK)
        st = cli_print_one(c, r, noun, f);
    PQclear(r);
    return st;
}
