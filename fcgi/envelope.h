/*
 * The body of an answer as text with variables, so that a dialect's envelope is read at a glance in its
 * route table:
 *
 *   {"success":true,"data":$rows,"meta":{"page":$page,"limit":$limit,"total":$total}}
 *
 *   $rows      array of all rows            $row      the first row        $members  its members without
 * braces $total     rows before paging           $limit, $offset, $page         as asked or by default
 *   $.column   one column of the first row  $:name    a JSON text that the handler set (request_extra),
 * or null $region    the setting `region` $next      the cursor of the next page as a string, or null
 */
#ifndef FCGI_ENVELOPE_H
#define FCGI_ENVELOPE_H

#include <libpq-fe.h>
#include "base/rows.h"
#include "fcgi/http.h"

struct envelope_input {
    const struct rows *rows; /* NULL: no result was read */
    int nrows;               /* rows of the result that are rows of the answer */
    int64_t total;
    const char *next; /* cursor text or NULL */
};

void envelope_write(const char *text, const struct request *rq, const struct envelope_input *in,
                    struct buffer *out);

/* Cursors: opaque text of (created_at, id) of the last row of a page. */
void cursor_write(int64_t created_us, int64_t id, struct buffer *out);
bool cursor_parse(const char *text, int64_t *ret_us, int64_t *ret_id);

#endif
