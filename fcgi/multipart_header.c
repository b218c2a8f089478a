/*
 * Reading header values of multipart bodies: see multipart_header.h.
 *
 * Names are kept as sent: %22 in a quoted name stays three characters, because a file may really be
 * called so; only the escapes \" and \\ are undone, and no other backslash, because old browsers send
 * whole Windows paths.
 */
#include "fcgi/multipart_header.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool header_equal(const char *s, size_t n, const char *word)
{
    if (strlen(word) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (lower(s[i]) != lower(word[i]))
            return false;
    return true;
}

static void skip_blanks(struct header_cursor *c)
{
    while (c->p < c->end && is_blank(*c->p))
        c->p++;
}

static struct slice trim(const char *p, const char *end)
{
    while (p < end && is_blank(*p))
        p++;
    while (end > p && is_blank(end[-1]))
        end--;
    return (struct slice){ p, (size_t)(end - p) };
}

struct slice header_first(struct header_cursor *c)
{
    const char *const first = c->p, *const semicolon = memchr(c->p, ';', (size_t)(c->end - c->p));

    c->p = semicolon ? semicolon : c->end;
    return trim(first, c->p);
}

/* Behind the opening quote; moves behind the closing one. */
static bool read_quoted(struct header_cursor *c, struct header_param *ret)
{
    for (; c->p < c->end && *c->p != '"'; c->p++) {
        if (*c->p == '\\' && c->end - c->p > 1 && (c->p[1] == '"' || c->p[1] == '\\'))
            c->p++;
        if (ret->n == sizeof ret->value - 1)
            return false;
        ret->value[ret->n++] = *c->p;
    }
    if (c->p == c->end)
        return false;
    c->p++;
    return true;
}

static bool read_bare(struct header_cursor *c, struct header_param *ret)
{
    for (; c->p < c->end && *c->p != ';' && !is_blank(*c->p); c->p++) {
        if (*c->p == '"' || ret->n == sizeof ret->value - 1)
            return false;
        ret->value[ret->n++] = *c->p;
    }
    return ret->n > 0;
}

enum header_found header_next(struct header_cursor *c, struct header_param *ret)
{
    size_t n = 0;

    *ret = (struct header_param){ .n = 0 };
    while (c->p < c->end &&
           (*c->p == ';' || is_blank(*c->p))) /* `a; ; b` and a ';' at the end are harmless */
        c->p++;
    if (c->p == c->end)
        return HEADER_END;
    for (; c->p < c->end && *c->p != '=' && *c->p != ';' && !is_blank(*c->p); c->p++) {
        if (n == sizeof ret->name - 1)
            return HEADER_BAD;
        ret->name[n++] = lower(*c->p);
    }
    if (n == 0 || c->p == c->end || *c->p != '=')
        return HEADER_BAD;
    c->p++;
    if (c->p < c->end && *c->p == '"') {
        c->p++;
        if (!read_quoted(c, ret))
            return HEADER_BAD;
    } else if (!read_bare(c, ret)) {
        return HEADER_BAD;
    }
    skip_blanks(c);
    return c->p == c->end || *c->p == ';' ? HEADER_PARAM : HEADER_BAD;
}

/* ---- the request's Content-Type
 * -------------------------------------------------------------------------------- */

static bool is_boundary(const char *s, size_t n)
{
    static const char legal[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'()+_,-./:=? ";

    return n >= 1 && n <= 70 && strlen(s) == n && strspn(s, legal) == n && s[n - 1] != ' ';
}

enum status header_boundary(const char *content_type, char ret[71], struct fault *f)
{
    struct header_cursor c = { content_type,
                               content_type ? content_type + strlen(content_type) : content_type };
    const struct slice type = content_type ? header_first(&c) : (struct slice){ "", 0 };
    struct header_param param;
    enum header_found found;
    bool seen = false;

    if (!header_equal(type.p, type.n, "multipart/form-data"))
        return fault_set(f, ST_UNSUPPORTED, NULL, "the body must be multipart/form-data");
    while ((found = header_next(&c, &param)) == HEADER_PARAM) {
        if (strcmp(param.name, "boundary") != 0)
            continue;
        if (seen || !is_boundary(param.value, param.n))
            return fault_set(f, ST_UNSUPPORTED, NULL, "the boundary in Content-Type is not legal");
        memcpy(ret, param.value, param.n + 1);
        seen = true;
    }
    if (found == HEADER_BAD || !seen)
        return fault_set(f, ST_UNSUPPORTED, NULL, "Content-Type has no readable boundary");
    return ST_OK;
}

/* ---- the headers of a part
 * ------------------------------------------------------------------------------------- */

static bool has_control(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F)
            return true;
    return false;
}

/* Undoes UTF-8'language'percent-encoding in place. */
static bool decode_extended(struct header_param *param)
{
    const char *const quote = memchr(param->value, '\'', param->n);
    const char *const end = param->value + param->n;
    const char *p = quote ? memchr(quote + 1, '\'', (size_t)(end - quote - 1)) : NULL;
    size_t n = 0;

    if (!p || !header_equal(param->value, (size_t)(quote - param->value), "utf-8"))
        return false;
    for (p++; p < end; p++) {
        uint8_t byte = (uint8_t)*p;

        if (*p == '%') {
            if (end - p < 3 || !text_hex(p + 1, 2, &byte))
                return false;
            p += 2;
        }
        param->value[n++] = (char)byte; /* never overtakes p */
    }
    param->value[n] = '\0';
    param->n = n;
    return true;
}

static enum status copy_name(char *ret, size_t size, const char *s, size_t n, const char *what,
                             struct fault *f)
{
    if (n >= size)
        return fault_set(f, ST_INVALID, NULL, "the %s of a part is longer than %zu bytes", what,
                         size - 1);
    if (!text_is_utf8(s, n) || has_control(s, n))
        return fault_set(f, ST_INVALID, NULL, "the %s of a part is not plain UTF-8 text", what);
    memcpy(ret, s, n);
    ret[n] = '\0';
    return ST_OK;
}

/* The last segment; "." and ".." name no file. */
static enum status take_filename(const struct header_param *param, struct multipart_part *ret,
                                 struct fault *f)
{
    const char *name = param->value;

    for (const char *p = param->value; p < param->value + param->n; p++)
        if (*p == '/' || *p == '\\')
            name = p + 1;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        name += strlen(name);
    ret->is_file = true;
    return copy_name(ret->filename, sizeof ret->filename, name, (size_t)(param->value + param->n - name),
                     "file name", f);
}

static enum status read_disposition(struct slice value, struct multipart_part *ret, struct fault *f)
{
    struct header_cursor c = { value.p, value.p + value.n };
    const struct slice type = header_first(&c);
    bool name = false, plain = false, extended = false;
    struct header_param param;
    enum header_found found;
    enum status st = ST_OK;

    if (!header_equal(type.p, type.n, "form-data"))
        return fault_set(f, ST_INVALID, NULL, "a part is not form-data");
    while ((found = header_next(&c, &param)) == HEADER_PARAM && st == ST_OK) {
        if (strcmp(param.name, "name") == 0 && !name) {
            name = true;
            st = copy_name(ret->name, sizeof ret->name, param.value, param.n, "name", f);
        } else if (strcmp(param.name, "filename") == 0 && !plain) {
            plain = true;
            if (!extended) /* filename* is the better of the two, in either order */
                st = take_filename(&param, ret, f);
        } else if (strcmp(param.name, "filename*") == 0 && !extended) {
            extended = true;
            if (!decode_extended(&param))
                return fault_set(f, ST_INVALID, NULL,
                                 "the file name of a part is not encoded as UTF-8''name");
            st = take_filename(&param, ret, f);
        } else if (strncmp(param.name, "name", 4) == 0 || strncmp(param.name, "filename", 8) == 0) {
            return fault_set(f, ST_INVALID, NULL,
                             "the Content-Disposition of a part repeats a parameter");
        }
    }
    if (st == ST_OK && (found == HEADER_BAD || !name))
        return fault_set(f, ST_INVALID, NULL, "the Content-Disposition of a part has no readable name");
    return st;
}

static void read_type(struct slice value, struct multipart_part *ret)
{
    struct header_cursor c = { value.p, value.p + value.n };
    const struct slice type = header_first(&c);

    if (type.n >= sizeof ret->type || has_control(type.p, type.n) || !text_is_utf8(type.p, type.n))
        return; /* informative only: as good as absent */
    for (size_t i = 0; i < type.n; i++)
        ret->type[i] = lower(type.p[i]);
    ret->type[type.n] = '\0';
}

enum status header_part(const char *block, size_t n, struct multipart_part *ret, struct fault *f)
{
    struct multipart_part part = { .is_file = false };
    bool disposition = false;
    enum status st = ST_OK;

    for (const char *p = block, *end = block + n; p < end && st == ST_OK;) {
        const char *const stop = memmem(p, (size_t)(end - p), "\r\n", 2);
        const char *const colon = stop ? memchr(p, ':', (size_t)(stop - p)) : NULL;
        struct slice name, value;

        if (!colon || is_blank(*p)) /* also refuses folded lines */
            return fault_set(f, ST_INVALID, NULL, "a header line of a part is malformed");
        name = (struct slice){ p, (size_t)(colon - p) };
        value = trim(colon + 1, stop);
        p = stop + 2;
        if (header_equal(name.p, name.n, "Content-Disposition")) {
            if (disposition)
                return fault_set(f, ST_INVALID, NULL, "a part has two Content-Disposition headers");
            disposition = true;
            st = read_disposition(value, &part, f);
        } else if (header_equal(name.p, name.n, "Content-Type")) {
            read_type(value, &part);
        } else if (header_equal(name.p, name.n, "Content-Transfer-Encoding") &&
                   !header_equal(value.p, value.n, "binary") &&
                   !header_equal(value.p, value.n, "8bit") && !header_equal(value.p, value.n, "7bit")) {
            return fault_set(f, ST_UNSUPPORTED, NULL,
                             "a part has a transfer encoding; send its bytes as they are");
        }
    }
    if (st == ST_OK && !disposition)
        return fault_set(f, ST_INVALID, NULL, "a part has no Content-Disposition");
    if (st == ST_OK)
        *ret = part;
    return st;
}
