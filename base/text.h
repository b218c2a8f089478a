/*
 * Text: a growing byte buffer, and small checked conversions. No locale, no allocation but the buffer's.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A run of bytes that somebody else owns; not terminated. */
struct slice {
    const char *p;
    size_t n;
};
#define SLICE_LITERAL(s) ((struct slice){ (s), sizeof(s) - 1 })

/*
 * A growing buffer. Zero-initialise, release with buffer_free. When memory or max (0 = no limit) is
 * exceeded it becomes failed: further writes are ignored, so a writer may check once, at the end.
 */
struct buffer {
    char *p;
    size_t n, cap, max;
    bool failed;
};
void buffer_free(struct buffer *b);
void buffer_clear(struct buffer *b);             /* empty, keeps the memory */
bool buffer_grow(struct buffer *b, size_t more); /* the slow half of buffer_reserve */

/* Room for more bytes and a NUL behind them; false when the buffer is or becomes failed. */
static inline bool buffer_reserve(struct buffer *b, size_t more)
{
    return (!b->failed && b->cap > b->n && b->cap - b->n > more) || buffer_grow(b, more);
}
void buffer_copy(struct buffer *b, size_t at, size_t n); /* appends n bytes of its own, from at */

/* Here and not in text.c: answers are written in pieces of a few bytes. */
static inline void buffer_bytes(struct buffer *b, const void *p, size_t n)
{
    if (n == 0 || !buffer_reserve(b, n))
        return;
    memcpy(b->p + b->n, p, n);
    b->n += n;
}
static inline void buffer_char(struct buffer *b, char c)
{
    if (buffer_reserve(b, 1))
        b->p[b->n++] = c;
}
static inline void buffer_text(struct buffer *b, const char *s)
{
    buffer_bytes(b, s, strlen(s));
}
void buffer_printf(struct buffer *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buffer_vprintf(struct buffer *b, const char *format, va_list ap)
    __attribute__((format(printf, 2, 0)));
const char *buffer_terminate(struct buffer *b); /* adds a NUL that n does not count; "" when failed */

/* Strict conversions of the whole slice: false when it is empty, is anything else or does not fit. */
bool text_i64(const char *s, size_t n, int64_t *ret);
bool text_f64(const char *s, size_t n, double *ret);      /* finite decimal numbers only */
int text_hex_digit(char c);                               /* 0..15, either case; -1 for anything else */
bool text_hex(const char *s, size_t n, uint8_t *ret);     /* n even; n / 2 bytes; either case */
bool text_uuid(const char *s, size_t n, uint8_t ret[16]); /* 8-4-4-4-12, either case */
void text_to_hex(const uint8_t *p, size_t n, char *ret);  /* 2n lower-case digits and a NUL */

bool text_is_utf8(const char *s, size_t n); /* well-formed by RFC 3629: no overlong form, no surrogate */
/* Bytes of the well-formed character at s, 1..4; 0: malformed. */
size_t text_utf8_sequence(const char *s, size_t n);
size_t text_code_points(const char *s, size_t n); /* of well-formed UTF-8 */

/* Equal in a time that depends on n alone. */
bool text_equal_secret(const void *a, const void *b, size_t n);

/* Milliseconds of the monotonic clock; microseconds since 1970. */
int64_t clock_monotonic_ms(void);
int64_t clock_wall_us(void);

#endif
