/*
 * The closed set of outcomes. HTTP numbers live in fcgi/ and handlers/ alone. A function that can fail
 * returns enum status (an unused one is a warning, hence an error), fills its ret_ parameters only on
 * ST_OK and explains a failure in a struct fault.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdint.h>

enum status {
    ST_OK,
    ST_INVALID,         /* the request says something that cannot be: names the field */
    ST_UNAUTHENTICATED, /* no key, or one that is not valid */
    ST_FORBIDDEN,       /* known caller, visible object, not allowed */
    ST_NOT_FOUND,       /* unknown, or another tenant's */
    ST_NO_METHOD,       /* the path exists, not with this method */
    ST_CONFLICT,        /* collides with what is there */
    ST_TOO_LARGE,       /* a named limit of length, count or pixels */
    ST_UNSUPPORTED,     /* media type or file format */
    ST_RATE_LIMITED,
    ST_UNAVAILABLE, /* try again: database away, queue full, disk full */
    ST_INTERNAL,    /* a bug; logged, never explained to the client */
    ST__COUNT
};

struct fault {
    const char *field;  /* domain field at fault, or NULL; the dialect translates it back */
    char path[96];      /* where in a nested body: "shapes.1.points", or empty */
    int64_t offset;     /* byte in the body where parsing failed, or -1 */
    int retry_after_s;  /* ST_RATE_LIMITED and ST_UNAVAILABLE: when to come back; 0 = unknown */
    const char *reason; /* constant machine-readable word for the client, or NULL */
    char detail[200];   /* one sentence for the client: no path, SQL or secret */
};

#define MUST_USE __attribute__((warn_unused_result))

/* A fault with nothing in it: offset -1. */
#define FAULT_INIT ((struct fault){ .offset = -1 })

/*
 * Fills f (may be NULL) and gives back st, so that a check can end in one line:
 *     return fault_set(f, ST_INVALID, "iou", "must be between 0 and 1, got %g", iou);
 * field is a constant string or NULL. fault_at is the same for a failure at a byte offset of the input.
 * (Macros, so that readers of the code, compilers among them, see that the result is st.)
 */
#define fault_set(f, st, ...)       status_same((st), (fault_fill((f), __VA_ARGS__), 0))
#define fault_at(f, st, field, ...) status_same((st), (fault_fill_at((f), (field), __VA_ARGS__), 0))

static inline enum status status_same(enum status st, int filled)
{
    (void)filled;
    return st;
}
void fault_fill(struct fault *f, const char *field, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void fault_fill_at(struct fault *f, const char *field, int64_t offset, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* "invalid", "not_found" ...: for logs. */
const char *status_name(enum status st);

#endif
