/*
 * A strict, iterative JSON scanner (RFC 8259), the tree by json-c, and the writer of strings: see
 * json.h.
 *
 * The scanner is a small machine: `enum expect` says what may come next, and a stack of LIMIT_JSON_DEPTH
 * levels says what is open. The keys of all open objects lie on one growing stack; when an object
 * closes, its own keys are sorted and neighbours compared, so that repeated keys cost n log n whatever
 * the sender chooses.
 */
#include "base/json.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"

struct key {
    const char *p; /* between the quotes, as written */
    size_t n;
    bool escaped; /* has a backslash: compare decoded */
};

struct level {
    bool object;
    size_t first_key; /* index into scan.keys */
};

struct scan {
    const char *start, *p, *end;
    size_t values;
    struct key *keys;
    size_t nkeys, cap_keys;
    struct level stack[LIMIT_JSON_DEPTH];
    size_t depth;
    struct fault *f;
};

enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* just after '[' */
    EXPECT_KEY,
    EXPECT_KEY_OR_END, /* just after '{' */
    EXPECT_COMMA_OR_END,
    EXPECT_NOTHING /* the document is complete */
};

static enum status refuse(const struct scan *s, enum status st, const char *at, const char *reason,
                          const char *sentence)
{
    (void)fault_at(s->f, st, NULL, at - s->start, "%s", sentence);
    if (s->f)
        s->f->reason = reason;
    return st;
}

static enum status refuse_syntax(const struct scan *s, const char *at, const char *sentence)
{
    return refuse(s, ST_INVALID, at, JSON_SYNTAX, sentence);
}

static enum status refuse_content(const struct scan *s, const char *at, const char *sentence)
{
    return refuse(s, ST_INVALID, at, JSON_CONTENT, sentence);
}

static void skip_blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r'))
        s->p++;
}

/* ---- strings
 * -------------------------------------------------------------------------------------------------- */

/* The four digits after "\u" at p, or -1. */
static long unicode_unit(const char *p, const char *end)
{
    long unit = 0;

    if (end - p < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        const int digit = text_hex_digit(p[i]);

        if (digit < 0)
            return -1;
        unit = unit << 4 | digit;
    }
    return unit;
}

/* At the backslash of an escape; moves behind it. */
static enum status scan_escape(struct scan *s)
{
    const char *const at = s->p++;
    long unit, low;

    if (s->p == s->end)
        return refuse_syntax(s, at, "the text ends within a string");
    if (strchr("\"\\/bfnrt", *s->p) && *s->p) {
        s->p++;
        return ST_OK;
    }
    if (*s->p != 'u')
        return refuse_syntax(s, at, "unknown escape after a backslash");
    if ((unit = unicode_unit(++s->p, s->end)) < 0)
        return refuse_syntax(s, at, "expected four hexadecimal digits after \\u");
    s->p += 4;
    if (unit == 0)
        return refuse_content(s, at, "a string must not contain U+0000");
    if (unit >= 0xDC00 && unit <= 0xDFFF)
        return refuse_content(s, at, "the second half of a surrogate pair stands alone");
    if (unit < 0xD800 || unit > 0xDBFF)
        return ST_OK;
    if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
        return refuse_content(s, at, "the first half of a surrogate pair stands alone");
    if ((low = unicode_unit(s->p + 2, s->end)) < 0)
        return refuse_syntax(s, s->p, "expected four hexadecimal digits after \\u");
    if (low < 0xDC00 || low > 0xDFFF)
        return refuse_content(s, at, "the first half of a surrogate pair stands alone");
    s->p += 6;
    return ST_OK;
}

/* At the opening quote; moves behind the closing one. *ret: what stands between them. */
static enum status scan_string(struct scan *s, struct key *ret)
{
    const char *const open = s->p++;
    bool escaped = false;

    while (s->p < s->end && *s->p != '"') {
        const unsigned char c = (unsigned char)*s->p;
        enum status st = ST_OK;

        if (c == '\\') {
            escaped = true;
            st = scan_escape(s);
        } else if (c < 0x20) {
            st = refuse_syntax(s, s->p, "a control character in a string must be escaped");
        } else if (c < 0x80) {
            s->p++;
        } else {
            const size_t step = text_utf8_sequence(s->p, (size_t)(s->end - s->p));

            if (!step)
                st = refuse_syntax(s, s->p, "not valid UTF-8");
            s->p += step;
        }
        if (st != ST_OK)
            return st;
    }
    if (s->p == s->end)
        return refuse_syntax(s, open, "a string is not closed");
    s->p++;
    *ret = (struct key){ open + 1, (size_t)(s->p - open) - 2, escaped };
    return ST_OK;
}

/* ---- numbers
 * -------------------------------------------------------------------------------------------------- */

static bool skip_digits(struct scan *s)
{
    const char *const first = s->p;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > first;
}

/* The grammar was checked: does the value fit? */
static enum status check_number(const struct scan *s, const char *first, bool integer)
{
    const size_t n = (size_t)(s->p - first);
    char copy[LIMIT_JSON_NUMBER_BYTES + 1];
    int64_t whole;

    if (n > LIMIT_JSON_NUMBER_BYTES)
        return refuse(s, ST_TOO_LARGE, first, JSON_CONTENT, "a number has too many digits");
    if (integer)
        return text_i64(first, n, &whole)
                   ? ST_OK
                   : refuse_content(s, first, "an integer is outside the range of 64 bits");
    memcpy(copy, first, n);
    copy[n] = '\0';
    return isfinite(strtod(copy, NULL)) ? ST_OK
                                        : refuse_content(s, first, "a number is too large for a double");
}

static enum status scan_number(struct scan *s)
{
    const char *const first = s->p;
    bool integer = true;

    if (*s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!skip_digits(s))
        return refuse_syntax(s, s->p, "expected a digit");
    if (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        return refuse_syntax(s, first, "a number must not begin with 0");
    if (s->p < s->end && *s->p == '.') {
        integer = false;
        s->p++;
        if (!skip_digits(s))
            return refuse_syntax(s, s->p, "expected a digit after the decimal point");
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        integer = false;
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        if (!skip_digits(s))
            return refuse_syntax(s, s->p, "expected a digit in the exponent");
    }
    return check_number(s, first, integer);
}

/* ---- keys
 * -----------------------------------------------------------------------------------------------------
 */

/* The next byte of a key's meaning in UTF-8; `held` carries the rest of an escaped character. */
struct key_cursor {
    const char *p, *end;
    unsigned char held[4];
    int nheld, next;
};

static void hold_character(struct key_cursor *c, unsigned long code)
{
    c->next = c->nheld = 0;
    if (code < 0x80) {
        c->held[c->nheld++] = (unsigned char)code;
    } else if (code < 0x800) {
        c->held[c->nheld++] = (unsigned char)(0xC0 | code >> 6);
        c->held[c->nheld++] = (unsigned char)(0x80 | (code & 0x3F));
    } else if (code < 0x10000) {
        c->held[c->nheld++] = (unsigned char)(0xE0 | code >> 12);
        c->held[c->nheld++] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        c->held[c->nheld++] = (unsigned char)(0x80 | (code & 0x3F));
    } else {
        c->held[c->nheld++] = (unsigned char)(0xF0 | code >> 18);
        c->held[c->nheld++] = (unsigned char)(0x80 | (code >> 12 & 0x3F));
        c->held[c->nheld++] = (unsigned char)(0x80 | (code >> 6 & 0x3F));
        c->held[c->nheld++] = (unsigned char)(0x80 | (code & 0x3F));
    }
}

/* The key was scanned: every escape is well-formed. */
static void decode_escape(struct key_cursor *c)
{
    static const char letters[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char letter = c->p[1];
    unsigned long code;

    if (letter != 'u') {
        hold_character(c, (unsigned char)meanings[strchr(letters, letter) - letters]);
        c->p += 2;
        return;
    }
    code = (unsigned long)unicode_unit(c->p + 2, c->end);
    c->p += 6;
    if (code >= 0xD800 && code <= 0xDBFF) {
        code =
            0x10000 + ((code - 0xD800) << 10) + ((unsigned long)unicode_unit(c->p + 2, c->end) - 0xDC00);
        c->p += 6;
    }
    hold_character(c, code);
}

/* -1 at the end. */
static int key_byte(struct key_cursor *c)
{
    if (c->next < c->nheld)
        return c->held[c->next++];
    if (c->p == c->end)
        return -1;
    if (*c->p != '\\')
        return (unsigned char)*c->p++;
    decode_escape(c);
    return c->held[c->next++];
}

/* Order of two keys by what they mean: "a" and "\u0061" are one key. */
static int compare_meaning(const struct key *x, const struct key *y)
{
    struct key_cursor a = { .p = x->p, .end = x->p + x->n }, b = { .p = y->p, .end = y->p + y->n };
    int i, j;

    do {
        i = key_byte(&a);
        j = key_byte(&b);
    } while (i == j && i >= 0);
    return (i > j) - (i < j);
}

static int compare_text(const struct key *x, const struct key *y)
{
    const int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);

    return order ? order : (x->n > y->n) - (x->n < y->n);
}

static int compare_keys(const void *left, const void *right)
{
    const struct key *x = left, *y = right;
    const int order = x->escaped || y->escaped ? compare_meaning(x, y) : compare_text(x, y);

    return order ? order : (x->p > y->p) - (x->p < y->p); /* equal keys in the order of the text */
}

static bool keys_equal(const struct key *x, const struct key *y)
{
    return (x->escaped || y->escaped ? compare_meaning(x, y) : compare_text(x, y)) == 0;
}

/* The object on top of the stack closes: its keys must differ. Names the first repetition in the text.
 */
static enum status check_keys(struct scan *s)
{
    const size_t first = s->stack[s->depth - 1].first_key, n = s->nkeys - first;
    const char *repeated = NULL;
    struct key *keys;

    s->nkeys = first;
    if (n < 2)
        return ST_OK;
    keys = s->keys + first; /* none are held before the first */
    qsort(keys, n, sizeof *keys, compare_keys);
    for (size_t i = 1; i < n; i++)
        if (keys_equal(&keys[i - 1], &keys[i]) && (!repeated || keys[i].p < repeated))
            repeated = keys[i].p;
    return repeated ? refuse_content(s, repeated - 1, "a key is repeated in its object") : ST_OK;
}

static enum status push_key(struct scan *s, const struct key *key)
{
    if (s->nkeys == s->cap_keys) {
        const size_t cap = s->cap_keys ? s->cap_keys * 2 : 32;
        struct key *const more =
            realloc(s->keys, cap * sizeof *more); /* bounded by LIMIT_JSON_MEMBERS */

        if (!more)
            return fault_set(s->f, ST_UNAVAILABLE, NULL, "out of memory");
        s->keys = more;
        s->cap_keys = cap;
    }
    s->keys[s->nkeys++] = *key;
    return ST_OK;
}

/* ---- the machine
 * ---------------------------------------------------------------------------------------------- */

static enum expect after_value(const struct scan *s)
{
    return s->depth ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static enum status open_level(struct scan *s, bool object, enum expect *next)
{
    if (s->depth == LIMIT_JSON_DEPTH)
        return refuse(s, ST_TOO_LARGE, s->p, JSON_CONTENT, "nested too deep");
    s->stack[s->depth++] = (struct level){ object, s->nkeys };
    s->p++;
    *next = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
    return ST_OK;
}

static enum status close_level(struct scan *s, enum expect *next)
{
    enum status st = s->stack[s->depth - 1].object ? check_keys(s) : ST_OK;

    s->p++;
    s->depth--;
    *next = after_value(s);
    return st;
}

static enum status scan_word(struct scan *s)
{
    static const char *const words[] = { "true", "false", "null" };

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const size_t n = strlen(words[i]);

        if ((size_t)(s->end - s->p) >= n && memcmp(s->p, words[i], n) == 0) {
            s->p += n;
            return ST_OK;
        }
    }
    return refuse_syntax(s, s->p, "expected a value");
}

static enum status step_value(struct scan *s, enum expect *next)
{
    struct key ignored;

    if (s->p == s->end)
        return refuse_syntax(s, s->p, "the text ends where a value is expected");
    if (++s->values > LIMIT_JSON_MEMBERS)
        return refuse(s, ST_TOO_LARGE, s->p, JSON_CONTENT, "too many values");
    *next = after_value(s);
    switch (*s->p) {
    case '{':
        return open_level(s, true, next);
    case '[':
        return open_level(s, false, next);
    case '"':
        return scan_string(s, &ignored);
    default:
        return *s->p == '-' || (*s->p >= '0' && *s->p <= '9') ? scan_number(s) : scan_word(s);
    }
}

static enum status step_key(struct scan *s, enum expect *next)
{
    struct key key;
    enum status st;

    if (s->p == s->end || *s->p != '"')
        return refuse_syntax(s, s->p, "expected a key in double quotes");
    if ((st = scan_string(s, &key)) != ST_OK || (st = push_key(s, &key)) != ST_OK)
        return st;
    skip_blanks(s);
    if (s->p == s->end || *s->p != ':')
        return refuse_syntax(s, s->p, "expected ':' after a key");
    s->p++;
    *next = EXPECT_VALUE;
    return ST_OK;
}

static enum status step_comma(struct scan *s, enum expect *next)
{
    const bool object = s->stack[s->depth - 1].object;

    if (s->p == s->end || *s->p != ',')
        return refuse_syntax(s, s->p, object ? "expected ',' or '}'" : "expected ',' or ']'");
    s->p++;
    *next = object ? EXPECT_KEY : EXPECT_VALUE;
    return ST_OK;
}

static bool at_end_of_level(const struct scan *s)
{
    return s->depth && s->p < s->end && *s->p == (s->stack[s->depth - 1].object ? '}' : ']');
}

static enum status step(struct scan *s, enum expect *next)
{
    switch (*next) {
    case EXPECT_VALUE_OR_END:
    case EXPECT_KEY_OR_END:
    case EXPECT_COMMA_OR_END:
        if (at_end_of_level(s))
            return close_level(s, next);
        if (*next == EXPECT_COMMA_OR_END)
            return step_comma(s, next);
        return *next == EXPECT_KEY_OR_END ? step_key(s, next) : step_value(s, next);
    case EXPECT_KEY:
        return step_key(s, next);
    default:
        return step_value(s, next);
    }
}

enum status json_scan(const char *p, size_t n, struct fault *f)
{
    struct scan s = { .start = p, .p = p, .end = p + n, .f = f };
    enum expect next = EXPECT_VALUE;
    enum status st = ST_OK;

    if (n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        return refuse_syntax(&s, p, "the text begins with a byte order mark");
    skip_blanks(&s);
    while (st == ST_OK && next != EXPECT_NOTHING) {
        st = step(&s, &next);
        skip_blanks(&s);
    }
    if (st == ST_OK && s.p < s.end)
        st = refuse_syntax(&s, s.p, "text follows the end of the document");
    free(s.keys);
    return st;
}

enum status json_parse(const char *p, size_t n, struct json_object **ret, struct fault *f)
{
    struct json_tokener *tok = NULL;
    struct json_object *tree = NULL;
    enum json_tokener_error error;
    enum status st;

    if (n > INT_MAX)
        return fault_set(f, ST_TOO_LARGE, NULL, "the document is too long");
    if ((st = json_scan(p, n, f)) != ST_OK)
        return st;
    if (!(tok = json_tokener_new_ex(LIMIT_JSON_DEPTH + 1)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    tree = json_tokener_parse_ex(tok, p, (int)n);
    error = json_tokener_get_error(tok);
    if (error == json_tokener_continue) { /* a bare number ends only where a terminator says so */
        tree = json_tokener_parse_ex(tok, "", 1);
        error = json_tokener_get_error(tok);
    }
    json_tokener_free(tok);
    if (error != json_tokener_success) {
        json_object_put(tree);
        return fault_set(f, ST_INTERNAL, NULL, "json-c refused a scanned document: %s",
                         json_tokener_error_desc(error));
    }
    *ret = tree;
    return ST_OK;
}

/* ---- out
 * ------------------------------------------------------------------------------------------------------
 */

void json_write_string(struct buffer *b, const char *s, size_t n)
{
    size_t plain = 0; /* where the run of bytes that need no escape began */

    buffer_char(b, '"');
    for (size_t i = 0; i < n; i++) {
        static const char letters[0x20] = {
            ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'
        };
        const unsigned char c = (unsigned char)s[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buffer_bytes(b, s + plain, i - plain);
        plain = i + 1;
        if (c >= 0x20)
            buffer_printf(b, "\\%c", c);
        else if (letters[c])
            buffer_printf(b, "\\%c", letters[c]);
        else
            buffer_printf(b, "\\u%04x", c);
    }
    buffer_bytes(b, s + plain, n - plain);
    buffer_char(b, '"');
}
