/* Outcomes and their explanations: see status.h. */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>

static const char *const names[ST__COUNT] = {
    [ST_OK] = "ok",
    [ST_INVALID] = "invalid",
    [ST_UNAUTHENTICATED] = "unauthenticated",
    [ST_FORBIDDEN] = "forbidden",
    [ST_NOT_FOUND] = "not_found",
    [ST_NO_METHOD] = "no_method",
    [ST_CONFLICT] = "conflict",
    [ST_TOO_LARGE] = "too_large",
    [ST_UNSUPPORTED] = "unsupported",
    [ST_RATE_LIMITED] = "rate_limited",
    [ST_UNAVAILABLE] = "unavailable",
    [ST_INTERNAL] = "internal",
};

const char *status_name(enum status st)
{
    return (unsigned)st < ST__COUNT ? names[st] : "unknown";
}

static void fill(struct fault *f, const char *field, int64_t offset, const char *format, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void fill(struct fault *f, const char *field, int64_t offset, const char *format, va_list ap)
{
    f->field = field;
    f->path[0] = '\0';
    f->offset = offset;
    f->retry_after_s = 0;
    f->reason = NULL;
    vsnprintf(f->detail, sizeof f->detail, format, ap);
}

void fault_fill(struct fault *f, const char *field, const char *format, ...)
{
    va_list ap;

    if (!f)
        return;
    va_start(ap, format);
    fill(f, field, -1, format, ap);
    va_end(ap);
}

void fault_fill_at(struct fault *f, const char *field, int64_t offset, const char *format, ...)
{
    va_list ap;

    if (!f)
        return;
    va_start(ap, format);
    fill(f, field, offset, format, ap);
    va_end(ap);
}
