/* Reader of Python literals: see literal.h. Recursive descent; the depth is limited, so the C stack is
 * too. */
#include "inference/literal.h"

#include <math.h>
#include <string.h>
#include "base/limits.h"

struct reader {
    const char *start, *p, *end;
    struct arena *arena;
    struct fault *fault;
    size_t values;
    int depth;
};

static enum status read_value(struct reader *r, struct literal **ret);

static enum status refuse(const struct reader *r, enum status st, const char *what)
{
    fault_at(r->fault, st, NULL, r->p - r->start, "the Python literal %s at byte %lld", what,
             (long long)(r->p - r->start));
    return st;
}

static enum status refuse_memory(const struct reader *r)
{
    return refuse(r, ST_TOO_LARGE, "needs more memory than is allowed");
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

/* True, and the character consumed, when it comes next after blanks. */
static bool take(struct reader *r, char c)
{
    skip_blanks(r);
    if (r->p == r->end || *r->p != c)
        return false;
    r->p++;
    return true;
}

static enum status new_value(struct reader *r, enum literal_kind kind, struct literal **ret)
{
    struct literal *l;

    if (++r->values > LIMIT_LITERAL_VALUES)
        return refuse(r, ST_TOO_LARGE, "has too many values");
    if (!(l = arena_alloc(r->arena, sizeof *l)))
        return refuse_memory(r);
    l->kind = kind;
    *ret = l;
    return ST_OK;
}

/* Strings */

static char *put_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 0x3F));
        *out++ = (char)(0x80 | (c >> 6 & 0x3F));
        *out++ = (char)(0x80 | (c & 0x3F));
    }
    return out;
}

/* The digits of \xNN, \uNNNN or \UNNNNNNNN; r->p is behind the letter. */
static enum status read_code_point(struct reader *r, size_t digits, uint32_t *ret)
{
    uint8_t bytes[4];
    uint32_t c = 0;

    if ((size_t)(r->end - r->p) < digits || !text_hex(r->p, digits, bytes))
        return refuse(r, ST_INVALID, "has an incomplete escape");
    for (size_t i = 0; i < digits / 2; i++)
        c = c << 8 | bytes[i];
    if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
        return refuse(r, ST_INVALID, "has an escape that is not a character");
    r->p += digits;
    *ret = c;
    return ST_OK;
}

/* r->p is behind the backslash. An escape is never shorter than what it stands for, so *out has room. */
static enum status read_escape(struct reader *r, bool raw_bytes, char **out)
{
    static const char letters[] = "\\'\"abfnrtv", meanings[] = "\\'\"\a\b\f\n\r\t\v";
    const char c = *r->p;
    const char *found = c ? strchr(letters, c) : NULL;
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code = 0;
    enum status st;

    if (found) {
        *(*out)++ = meanings[found - letters];
        r->p++;
        return ST_OK;
    }
    if (!digits || (raw_bytes && c != 'x'))
        return refuse(r, ST_INVALID, "has an unknown escape");
    r->p++;
    if ((st = read_code_point(r, digits, &code)) != ST_OK)
        return st;
    if (raw_bytes)
        *(*out)++ = (char)code;
    else
        *out = put_utf8(*out, code);
    return ST_OK;
}

/* r->p is at the opening quote. */
static enum status read_string(struct reader *r, bool raw_bytes, struct literal **ret)
{
    const char quote = *r->p++;
    const char *close = r->p;
    struct literal *l = NULL;
    char *text, *out;
    enum status st = new_value(r, LITERAL_STRING, &l);

    if (st != ST_OK)
        return st;
    while (close < r->end && *close != quote)
        close += *close == '\\' && r->end - close > 1 ? 2 : 1;
    if (close >= r->end || !(text = out = arena_alloc(r->arena, (size_t)(close - r->p) + 1)))
        return close >= r->end ? refuse(r, ST_INVALID, "has a string without end") : refuse_memory(r);
    while (r->p < close) {
        if (*r->p == '\n')
            return refuse(r, ST_INVALID, "has a line break in a string");
        if (*r->p != '\\') {
            *out++ = *r->p++;
            continue;
        }
        r->p++;
        if ((st = read_escape(r, raw_bytes, &out)) != ST_OK)
            return st;
    }
    r->p = close + 1;
    l->text = (struct slice){ text, (size_t)(out - text) };
    *ret = l;
    return ST_OK;
}

/* Numbers and the named constants */

static enum status read_number(struct reader *r, struct literal **ret)
{
    const char *s = r->p;
    struct literal *l = NULL;
    enum status st = new_value(r, LITERAL_INT, &l);
    size_t n;

    if (st != ST_OK)
        return st;
    if (*s == '-' && r->end - s > 3 && memcmp(s + 1, "inf", 3) == 0) {
        l->kind = LITERAL_FLOAT;
        l->real = -INFINITY;
        r->p += 4;
        *ret = l;
        return ST_OK;
    }
    while (r->p < r->end && *r->p && strchr("0123456789+-.eE", *r->p))
        r->p++;
    n = (size_t)(r->p - s);
    if (!text_i64(s, n, &l->integer)) {
        l->kind = LITERAL_FLOAT;
        if (!memchr(s, '.', n) && !memchr(s, 'e', n) && !memchr(s, 'E', n)) {
            r->p = s;
            return refuse(r, ST_INVALID, "has a number that is not one, or beyond 64 bits,");
        }
        if (!text_f64(s, n, &l->real)) {
            r->p = s;
            return refuse(r, ST_INVALID, "has a malformed number");
        }
    }
    *ret = l;
    return ST_OK;
}

static enum status read_word(struct reader *r, struct literal **ret)
{
    static const struct {
        const char *word;
        struct literal value;
    } words[] = {
        { "None", { .kind = LITERAL_NONE } },
        { "True", { .kind = LITERAL_BOOL, .boolean = true } },
        { "False", { .kind = LITERAL_BOOL, .boolean = false } },
        { "inf", { .kind = LITERAL_FLOAT, .real = INFINITY } },
        { "nan", { .kind = LITERAL_FLOAT, .real = NAN } },
    };
    const char *s = r->p;
    struct literal *l = NULL;
    enum status st;

    while (s < r->end && ((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_'))
        s++;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if ((size_t)(s - r->p) != strlen(words[i].word) ||
            memcmp(r->p, words[i].word, (size_t)(s - r->p)) != 0)
            continue;
        if ((st = new_value(r, words[i].value.kind, &l)) != ST_OK)
            return st;
        *l = words[i].value;
        r->p = s;
        *ret = l;
        return ST_OK;
    }
    return refuse(r, ST_INVALID, "has something other than a constant");
}

/* Containers */

static enum status read_entry(struct reader *r, bool keyed, struct literal **ret)
{
    struct literal *key = NULL, *value = NULL;
    enum status st;

    if (keyed) {
        if ((st = read_value(r, &key)) != ST_OK)
            return st;
        if (key->kind == LITERAL_LIST || key->kind == LITERAL_DICT)
            return refuse(r, ST_INVALID, "has a key that cannot be one");
        if (!take(r, ':'))
            return refuse(r, ST_INVALID, "lacks a colon behind a key");
    }
    if ((st = read_value(r, &value)) != ST_OK)
        return st;
    value->key = key;
    *ret = value;
    return ST_OK;
}

/* r->p is behind the opening bracket. "(1)" is the number, "(1,)" the tuple. */
static enum status read_items(struct reader *r, enum literal_kind kind, char close, struct literal **ret)
{
    struct literal *l = NULL, *item = NULL;
    const struct literal **tail;
    bool comma = true;
    enum status st;

    if (++r->depth > LIMIT_LITERAL_DEPTH)
        return refuse(r, ST_TOO_LARGE, "is nested too deeply");
    if ((st = new_value(r, kind, &l)) != ST_OK)
        return st;
    tail = &l->items.first;
    while (!take(r, close)) {
        if (!comma)
            return refuse(r, ST_INVALID, "lacks a comma or a closing bracket");
        if ((st = read_entry(r, kind == LITERAL_DICT, &item)) != ST_OK)
            return st;
        *tail = item;
        tail = &item->next;
        l->items.n++;
        comma = take(r, ',');
    }
    r->depth--;
    *ret = kind == LITERAL_TUPLE && l->items.n == 1 && !comma ? item : l;
    return ST_OK;
}

static enum status read_value(struct reader *r, struct literal **ret)
{
    skip_blanks(r);
    if (r->p == r->end)
        return refuse(r, ST_INVALID, "ends too early");
    switch (*r->p) {
    case '{':
        r->p++;
        return read_items(r, LITERAL_DICT, '}', ret);
    case '[':
        r->p++;
        return read_items(r, LITERAL_LIST, ']', ret);
    case '(':
        r->p++;
        return read_items(r, LITERAL_TUPLE, ')', ret);
    case '\'':
    case '"':
        return read_string(r, false, ret);
    case 'b':
    case 'u':
        if (r->end - r->p > 1 && (r->p[1] == '\'' || r->p[1] == '"'))
            return read_string(r, *r->p++ == 'b', ret);
        return read_word(r, ret);
    default:
        return strchr("0123456789+-.", *r->p) && *r->p ? read_number(r, ret) : read_word(r, ret);
    }
}

enum status literal_read(struct slice text, struct arena *a, const struct literal **ret, struct fault *f)
{
    struct reader r = { .start = text.p, .p = text.p, .end = text.p + text.n, .arena = a, .fault = f };
    struct literal *l = NULL;
    enum status st;

    if (text.n > LIMIT_LITERAL_BYTES)
        return refuse(&r, ST_TOO_LARGE, "is too long");
    if (!text_is_utf8(text.p, text.n))
        return refuse(&r, ST_INVALID, "is not UTF-8");
    if ((st = read_value(&r, &l)) != ST_OK)
        return st;
    skip_blanks(&r);
    if (r.p != r.end)
        return refuse(&r, ST_INVALID, "is followed by something else");
    *ret = l;
    return ST_OK;
}

/* Helpers */

static bool is_text(const struct literal *l, const char *s)
{
    return l && l->kind == LITERAL_STRING && l->text.n == strlen(s) &&
           memcmp(l->text.p, s, l->text.n) == 0;
}

const struct literal *literal_get(const struct literal *dict, const char *key)
{
    const struct literal *found = NULL;

    if (!dict || dict->kind != LITERAL_DICT)
        return NULL;
    for (const struct literal *l = dict->items.first; l; l = l->next)
        if (is_text(l->key, key))
            found = l;
    return found;
}

bool literal_ints(const struct literal *l, int64_t ret[], size_t max, size_t *ret_n)
{
    size_t n = 0;

    if (l && l->kind == LITERAL_INT && max > 0) {
        ret[0] = l->integer;
        *ret_n = 1;
        return true;
    }
    if (!l || (l->kind != LITERAL_LIST && l->kind != LITERAL_TUPLE) || l->items.n > max)
        return false;
    for (const struct literal *i = l->items.first; i; i = i->next)
        if (i->kind != LITERAL_INT)
            return false;
    for (const struct literal *i = l->items.first; i; i = i->next)
        ret[n++] = i->integer;
    *ret_n = n;
    return true;
}

/* The class index that stands at a name: its key, or its position in a list. */
static bool name_index(const struct literal *name, int64_t position, int64_t *ret)
{
    if (!name->key) {
        *ret = position;
        return true;
    }
    if (name->key->kind == LITERAL_STRING)
        return text_i64(name->key->text.p, name->key->text.n, ret);
    *ret = name->key->integer;
    return name->key->kind == LITERAL_INT;
}

static enum status check_name(const struct literal *name, int64_t position, int64_t *ret_index,
                              struct fault *f)
{
    if (!name_index(name, position, ret_index) || *ret_index < 0 || name->kind != LITERAL_STRING)
        return fault_set(f, ST_INVALID, NULL, "class names must map numbers from 0 up to strings");
    if (*ret_index >= LIMIT_MODEL_CLASSES)
        return fault_set(f, ST_TOO_LARGE, NULL, "class %lld is beyond the limit of %d classes",
                         (long long)*ret_index, LIMIT_MODEL_CLASSES);
    if (name->text.n > LIMIT_CLASS_NAME_BYTES)
        return fault_set(f, ST_TOO_LARGE, NULL, "the name of class %lld has more than %d bytes",
                         (long long)*ret_index, LIMIT_CLASS_NAME_BYTES);
    for (size_t i = 0; i < name->text.n; i++)
        if ((unsigned char)name->text.p[i] < 0x20)
            return fault_set(f, ST_INVALID, NULL, "the name of class %lld has a control character",
                             (long long)*ret_index);
    if (!text_is_utf8(name->text.p, name->text.n))
        return fault_set(f, ST_INVALID, NULL, "the name of class %lld is not UTF-8",
                         (long long)*ret_index);
    return ST_OK;
}

enum status literal_names(const struct literal *l, struct arena *a, char ***ret, size_t *ret_n,
                          struct fault *f)
{
    int64_t index = 0, position = 0, largest = -1;
    char **names;
    enum status st;

    if (!l || (l->kind != LITERAL_DICT && l->kind != LITERAL_LIST && l->kind != LITERAL_TUPLE))
        return fault_set(f, ST_INVALID, NULL, "class names must be a dict or a list");
    for (const struct literal *i = l->items.first; i; i = i->next) {
        if ((st = check_name(i, position++, &index, f)) != ST_OK)
            return st;
        largest = index > largest ? index : largest;
    }
    if (!(names = arena_array(a, (size_t)largest + 2, sizeof *names)))
        return fault_set(f, ST_TOO_LARGE, NULL, "class names need more memory than is allowed");
    position = 0;
    for (const struct literal *i = l->items.first; i; i = i->next)
        if (name_index(i, position++, &index))
            names[index] = arena_strndup(a, i->text.p, i->text.n);
    for (int64_t i = 0; i <= largest; i++)
        if (!names[i])
            names[i] = arena_printf(a, "class%lld", (long long)i);
    if (arena_failed(a))
        return fault_set(f, ST_TOO_LARGE, NULL, "class names need more memory than is allowed");
    *ret = names;
    *ret_n = (size_t)(largest + 1);
    return ST_OK;
}
