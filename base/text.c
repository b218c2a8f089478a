/* Buffers and strict conversions: see text.h. */
#include "base/text.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void buffer_free(struct buffer *b)
{
    free(b->p);
    *b = (struct buffer){ .max = b->max };
}

void buffer_clear(struct buffer *b)
{
    b->n = 0;
    b->failed = false;
}

bool buffer_grow(struct buffer *b, size_t more)
{
    size_t need, cap;
    char *p;

    if (b->failed)
        return false;
    if (__builtin_add_overflow(b->n, more, &need) || need == SIZE_MAX || (b->max && need > b->max)) {
        b->failed = true;
        return false;
    }
    need++; /* room for the NUL of buffer_terminate */
    if (need <= b->cap)
        return true;
    cap = b->cap ? b->cap : 256;
    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (b->max && b->max < SIZE_MAX && cap > b->max + 1)
        cap = b->max + 1; /* no room is ever made beyond the limit: who finds room may use it */
    if (!(p = realloc(b->p, cap))) {
        b->failed = true;
        return false;
    }
    b->p = p;
    b->cap = cap;
    return true;
}

void buffer_copy(struct buffer *b, size_t at, size_t n)
{
    if (!buffer_reserve(b, n) || n == 0)
        return;
    memcpy(b->p + b->n, b->p + at, n);
    b->n += n;
}

void buffer_vprintf(struct buffer *b, const char *format, va_list ap)
{
    char small[256];
    va_list again;
    int n;

    va_copy(again, ap);
    n = vsnprintf(small, sizeof small, format, ap);
    if (n >= 0 && (size_t)n < sizeof small) {
        buffer_bytes(b, small, (size_t)n);
    } else if (n >= 0 && buffer_reserve(b, (size_t)n)) {
        vsnprintf(b->p + b->n, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

void buffer_printf(struct buffer *b, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    buffer_vprintf(b, format, ap);
    va_end(ap);
}

const char *buffer_terminate(struct buffer *b)
{
    if (!buffer_reserve(b, 0))
        return "";
    b->p[b->n] = '\0';
    return b->p;
}

bool text_i64(const char *s, size_t n, int64_t *ret)
{
    uint64_t value = 0;
    const uint64_t most = (uint64_t)INT64_MAX;
    bool negative = false;
    size_t i = 0;

    if (n && (s[0] == '-' || s[0] == '+')) {
        negative = s[0] == '-';
        i = 1;
    }
    if (i == n)
        return false;
    for (; i < n; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10U, &value) ||
            __builtin_add_overflow(value, (uint64_t)(s[i] - '0'), &value) ||
            value > most + (negative ? 1 : 0))
            return false;
    }
    if (negative)
        *ret = value == most + 1 ? INT64_MIN : -(int64_t)value;
    else
        *ret = (int64_t)value;
    return true;
}

bool text_f64(const char *s, size_t n, double *ret)
{
    char copy[64], *end;
    double value;

    if (n == 0 || n >= sizeof copy)
        return false;
    for (size_t i = 0; i < n; i++)
        if (!strchr("0123456789+-.eE", s[i]) || !s[i]) /* no hex, inf, nan or blanks */
            return false;
    memcpy(copy, s, n);
    copy[n] = '\0';
    errno = 0;
    value = strtod(copy, &end);
    if (*end || !isfinite(value))
        return false;
    *ret = value;
    return true;
}

int text_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

bool text_hex(const char *s, size_t n, uint8_t *ret)
{
    if (n == 0 || n % 2)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        const int high = text_hex_digit(s[i]), low = text_hex_digit(s[i + 1]);

        if (high < 0 || low < 0)
            return false;
        ret[i / 2] = (uint8_t)(high << 4 | low);
    }
    return true;
}

bool text_uuid(const char *s, size_t n, uint8_t ret[16])
{
    char digits[32];
    size_t k = 0;

    if (n != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s[i] != '-')
                return false;
        } else {
            digits[k++] = s[i];
        }
    }
    return text_hex(digits, 32, ret);
}

void text_to_hex(const uint8_t *p, size_t n, char *ret)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < n; i++) {
        ret[2 * i] = digits[p[i] >> 4];
        ret[2 * i + 1] = digits[p[i] & 15];
    }
    ret[2 * n] = '\0';
}

size_t text_utf8_sequence(const char *p, size_t n)
{
    const unsigned char *const s = (const unsigned char *)p;
    const unsigned char c = n ? s[0] : 0x80;

    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return n >= 2 && (s[1] & 0xC0) == 0x80 ? 2 : 0;
    if (c >= 0xE0 && c <= 0xEF) {
        const unsigned char low = c == 0xE0 ? 0xA0 : 0x80, high = c == 0xED ? 0x9F : 0xBF;

        return n >= 3 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 ? 3 : 0;
    }
    if (c >= 0xF0 && c <= 0xF4) {
        const unsigned char low = c == 0xF0 ? 0x90 : 0x80, high = c == 0xF4 ? 0x8F : 0xBF;

        return n >= 4 && s[1] >= low && s[1] <= high && (s[2] & 0xC0) == 0x80 && (s[3] & 0xC0) == 0x80
                   ? 4
                   : 0;
    }
    return 0;
}

bool text_is_utf8(const char *s, size_t n)
{
    for (size_t i = 0; i < n;) {
        const size_t step = text_utf8_sequence(s + i, n - i);

        if (!step)
            return false;
        i += step;
    }
    return true;
}

size_t text_code_points(const char *s, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xC0) != 0x80;
    return count;
}

bool text_equal_secret(const void *a, const void *b, size_t n)
{
    const volatile unsigned char *p = a, *q = b;
    unsigned char diff = 0;

    for (size_t i = 0; i < n; i++)
        diff = (unsigned char)(diff | (p[i] ^ q[i]));
    return diff == 0;
}

int64_t clock_monotonic_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_wall_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}
