/* The second gate: meaning, from the record. Decoding was the first; PostgreSQL's constraints are the
 * last. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "domain/record.h"

static bool is_blank(const char *s)
{
    return s[strspn(s, " \t\r\n\v\f")] == '\0';
}

static bool has_control(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || (unsigned char)*s == 0x7f)
            return true;
    return false;
}

/* As the constraint account_email_malformed has it. */
static bool is_email(const char *s)
{
    static const char blank[] = " \t\r\n\v\f";
    const char *at;
    size_t name, host;

    s += strspn(s, blank);
    name = strcspn(s, "@ \t\r\n\v\f");
    at = s + name;
    host = *at == '@' ? strcspn(at + 1, "@ \t\r\n\v\f") : 0;
    return name && host && is_blank(at + 1 + host);
}

static enum status check_text(const struct field *fd, const char *s, struct fault *f)
{
    const size_t bytes = strlen(s), chars = text_code_points(s, bytes);

    if (!text_is_utf8(s, bytes))
        return fault_set(f, ST_INVALID, fd->name, "must be valid UTF-8");
    if (fd->not_blank && is_blank(s))
        return fault_set(f, ST_INVALID, fd->name, "must not be empty");
    if ((int64_t)chars < fd->min)
        return fault_set(f, ST_INVALID, fd->name, "must have at least %" PRId64 " characters", fd->min);
    if (fd->max && (int64_t)chars > fd->max)
        return fault_set(f, ST_INVALID, fd->name, "must have at most %" PRId64 " characters, got %zu",
                         fd->max, chars);
    if (fd->one_line && has_control(s))
        return fault_set(f, ST_INVALID, fd->name, "must not contain control characters");
    if (fd->email && !is_email(s))
        return fault_set(f, ST_INVALID, fd->name, "must be an e-mail address");
    return ST_OK;
}

static enum status check_enum(const struct field *fd, const char *s, struct fault *f)
{
    char list[120] = "";
    size_t n = 0;

    for (size_t i = 0; fd->one_of[i]; i++) {
        const size_t length = strlen(fd->one_of[i]);

        if (strcmp(fd->one_of[i], s) == 0)
            return ST_OK;
        if (n + length + 3 < sizeof list) {
            memcpy(list + n, i ? ", " : "", i ? 2 : 0);
            n += i ? 2 : 0;
            memcpy(list + n, fd->one_of[i], length + 1);
            n += length;
        }
    }
    return fault_set(f, ST_INVALID, fd->name, "must be one of %s; got '%.40s'", list, s);
}

static enum status check_i64(const struct field *fd, int64_t v, struct fault *f)
{
    if (v < fd->min || (fd->max && v > fd->max))
        return fault_set(f, ST_INVALID, fd->name,
                         "must be between %" PRId64 " and %" PRId64 ", got %" PRId64, fd->min, fd->max,
                         v);
    return ST_OK;
}

static enum status check_texts(const struct field *fd, const struct texts *t, struct fault *f)
{
    if (fd->max && (int64_t)t->n > fd->max)
        return fault_set(f, ST_INVALID, fd->name, "must have at most %" PRId64 " entries, got %zu",
                         fd->max, t->n);
    for (size_t i = 0; i < t->n; i++) {
        const struct field item = {
            .name = fd->name, .min = fd->min, .max = fd->item_max, .one_line = true
        };
        enum status st = fd->one_of ? check_enum(fd, t->items[i], f) : check_text(&item, t->items[i], f);

        if (st != ST_OK)
            return st;
    }
    return ST_OK;
}

static enum status check_field(const struct field *fd, const void *value, struct fault *f)
{
    switch (fd->kind) {
    case FIELD_TEXT:
        return check_text(fd, *(const char *const *)value, f);
    case FIELD_ENUM:
        return check_enum(fd, *(const char *const *)value, f);
    case FIELD_I64:
        return check_i64(fd, *(const int64_t *)value, f);
    case FIELD_F64: {
        const double v = *(const double *)value;

        if (isnan(v) || (fd->bounded && !(v >= fd->fmin && v <= fd->fmax)))
            return fault_set(f, ST_INVALID, fd->name, "must be between %g and %g, got %g", fd->fmin,
                             fd->fmax, v);
        return ST_OK;
    }
    case FIELD_TEXTS:
        return check_texts(fd, value, f);
    case FIELD_REFS:
        if (fd->max && (int64_t)((const struct refs *)value)->n > fd->max)
            return fault_set(f, ST_INVALID, fd->name, "must have at most %" PRId64 " entries", fd->max);
        return ST_OK;
    case FIELD_JSON:
        if (fd->max && strlen(*(const char *const *)value) > (size_t)fd->max)
            return fault_set(f, ST_INVALID, fd->name, "must have at most %" PRId64 " bytes", fd->max);
        return ST_OK;
    case FIELD_BOOL:
    case FIELD_REF:
    case FIELD_TIME:
    case FIELD_DIGEST:
        return ST_OK;
    }
    return ST_OK;
}

enum status command_check(const struct record *r, const void *command, struct fault *f)
{
    const struct given *given = command;

    for (size_t i = 0; i < r->nfields; i++) {
        const struct field *fd = &r->fields[i];
        const bool is_null = (given->null >> i & 1) != 0;
        enum status st;

        if (!field_given(command, i)) {
            if (fd->required)
                return fault_set(f, ST_INVALID, fd->name, "is required");
            continue;
        }
        if (is_null && !fd->nullable)
            return fault_set(f, ST_INVALID, fd->name, "must not be null");
        if (!is_null && (st = check_field(fd, field_of(command, fd), f)) != ST_OK)
            return st;
    }
    return ST_OK;
}

void command_defaults(const struct record *r, void *command)
{
    for (size_t i = 0; i < r->nfields; i++) {
        const struct field *fd = &r->fields[i];

        if (!field_given(command, i) && fd->absent &&
            (fd->kind == FIELD_TEXT || fd->kind == FIELD_ENUM)) {
            *(const char **)field_at(command, fd) = fd->absent;
            field_mark(command, i);
        }
    }
}
