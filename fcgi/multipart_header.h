/*
 * Header values of multipart bodies: `form-data; name="a"; filename*=UTF-8''b` (RFC 2183, RFC 8187).
 * Pure; for multipart.c alone.
 */
#ifndef FCGI_MULTIPART_HEADER_H
#define FCGI_MULTIPART_HEADER_H

#include "fcgi/multipart.h"

/* The rest of a header value that is still to be read. */
struct header_cursor {
    const char *p, *end;
};

/* The word before the first ';', blanks trimmed. */
struct slice header_first(struct header_cursor *c);

struct header_param {
    char name[32];    /* lower case */
    char value[1024]; /* quotes and their escapes removed */
    size_t n;
};
enum header_found { HEADER_END, HEADER_PARAM, HEADER_BAD };
/* The next `; name=value`. HEADER_BAD: not of that form, or longer than header_param holds. */
enum header_found header_next(struct header_cursor *c, struct header_param *ret);

/* ASCII letters compare alike in both cases. */
bool header_equal(const char *s, size_t n, const char *word);

/*
 * The boundary of `multipart/form-data; boundary=...` into ret, 1..70 legal characters.
 * ST_UNSUPPORTED: another type, no boundary or an illegal one.
 */
enum status header_boundary(const char *content_type, char ret[71], struct fault *f) MUST_USE;

/*
 * The header block of a part (lines ending in CRLF, without the empty line) into *ret. ST_INVALID says
 * what is wrong; ST_UNSUPPORTED: an encoding that would have to be undone.
 */
enum status header_part(const char *block, size_t n, struct multipart_part *ret,
                        struct fault *f) MUST_USE;

#endif
