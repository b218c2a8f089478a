/* Key tables to commands: see decode.h. */
#include "fcgi/decode.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/limits.h"
#include "fcgi/router.h"

static enum status parse_object(struct request *rq, const struct slice *body, struct fault *f)
{
    enum status st;

    if (rq->content_type && strncasecmp(rq->content_type, "application/json", 16) != 0 &&
        !strstr(rq->content_type, "+json"))
        return fault_set(f, ST_UNSUPPORTED, NULL, "send the body as application/json");
    if ((st = json_parse(body->p, body->n, &rq->body, f)) != ST_OK) /* too deep is not too many bytes */
        return st == ST_TOO_LARGE && f->offset >= 0 ? ST_INVALID : st;
    if (!json_object_is_type(rq->body, json_type_object))
        return fault_set(f, ST_INVALID, NULL, "the body must be a JSON object");
    return ST_OK;
}

enum status decode_json(struct request *rq, size_t max, struct fault *f)
{
    struct slice body = { 0 };
    enum status st = request_body(rq, max, &body, f);

    return st == ST_OK ? parse_object(rq, &body, f) : st;
}

enum status decode_body(struct request *rq, struct fault *f)
{
    const enum body_kind kind = rq->route->body;
    struct slice body = { 0 };
    enum status st;

    if (kind == BODY_NONE || kind == BODY_OWN)
        return ST_OK;
    if ((st = request_body(rq, LIMIT_JSON_BODY_BYTES, &body, f)) != ST_OK)
        return st;
    return body.n == 0 && kind == BODY_JSON_OPTIONAL ? ST_OK : parse_object(rq, &body, f);
}

/* n digits with a value between least and most. */
static bool number(const char **s, int n, int least, int most, int *ret)
{
    *ret = 0;
    for (int i = 0; i < n; i++, (*s)++) {
        if (**s < '0' || **s > '9')
            return false;
        *ret = *ret * 10 + (**s - '0');
    }
    return *ret >= least && *ret <= most;
}

static bool one(const char **s, const char *of)
{
    if (!**s || !strchr(of, **s))
        return false;
    (*s)++;
    return true;
}

static int days_in(int year, int month)
{
    static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    return days[month - 1] + (month == 2 && leap);
}

static bool date(const char **s)
{
    int year, month, day;

    return number(s, 4, 1, 9999, &year) && one(s, "-") && number(s, 2, 1, 12, &month) && one(s, "-") &&
           number(s, 2, 1, days_in(year, month), &day);
}

static bool zone(const char **s)
{
    int hours, minutes;

    if (one(s, "Zz"))
        return true;
    if (!one(s, "+- ")) /* an unescaped + of a query arrives as a blank */
        return true;
    return number(s, 2, 0, 15, &hours) && (one(s, ":"), number(s, 2, 0, 59, &minutes));
}

bool text_is_time(const char *s)
{
    int part;

    if (!date(&s))
        return false;
    if (!*s)
        return true;
    if (!one(&s, "Tt ") || !number(&s, 2, 0, 23, &part) || !one(&s, ":") || !number(&s, 2, 0, 59, &part))
        return false;
    if (one(&s, ":") && !number(&s, 2, 0, 59, &part))
        return false;
    if (one(&s, "."))
        while (*s >= '0' && *s <= '9')
            s++;
    return zone(&s) && !*s;
}

static enum status decode_ref(struct request *rq, const struct field *fd, const char *text,
                              struct ref *ret, struct fault *f)
{
    if (rq->dialect->ref_decode(text, rq->arena, ret) != ST_OK)
        return fault_set(f, ST_INVALID, fd->name, "is not a valid id");
    return ST_OK;
}

static enum status bool_from_text(const struct field *fd, const char *text, bool *ret, struct fault *f)
{
    if (!strcasecmp(text, "true") || !strcmp(text, "1"))
        *ret = true;
    else if (!strcasecmp(text, "false") || !strcmp(text, "0"))
        *ret = false;
    else
        return fault_set(f, ST_INVALID, fd->name, "must be true or false");
    return ST_OK;
}

/* "a,b": an empty piece is an entry, refused or not by the field's own rules. */
static enum status texts_from_list(struct request *rq, const struct field *fd, const char *text,
                                   struct texts *ret, struct fault *f)
{
    const char **items;
    size_t n = 1;

    for (const char *p = text; *p; p++)
        n += *p == ',';
    if (fd->max && n > (size_t)fd->max)
        return fault_set(f, ST_INVALID, fd->name, "must have at most %" PRId64 " entries", fd->max);
    if (!(items = arena_array(rq->arena, n, sizeof *items)))
        return fault_set(f, ST_TOO_LARGE, fd->name, "has too many entries");
    for (size_t i = 0; i < n; i++) {
        const size_t length = strcspn(text, ",");

        if (!(items[i] = arena_strndup(rq->arena, text, length)))
            return fault_set(f, ST_TOO_LARGE, fd->name, "has too many entries");
        text += length + 1;
    }
    *ret = (struct texts){ items, n };
    return ST_OK;
}

/* A value of the path, the query or a form. */
static enum status from_text(struct request *rq, const struct field *fd, const char *text, void *out,
                             struct fault *f)
{
    switch (fd->kind) {
    case FIELD_TEXT:
    case FIELD_ENUM:
        *(const char **)out = text;
        return ST_OK;
    case FIELD_TIME:
        if (!text_is_time(text))
            return fault_set(f, ST_INVALID, fd->name, "must be an ISO 8601 date or date-time");
        *(const char **)out = text;
        return ST_OK;
    case FIELD_I64:
        if (!text_i64(text, strlen(text), out))
            return fault_set(f, ST_INVALID, fd->name, "must be an integer");
        return ST_OK;
    case FIELD_F64:
        if (!text_f64(text, strlen(text), out))
            return fault_set(f, ST_INVALID, fd->name, "must be a number");
        return ST_OK;
    case FIELD_BOOL:
        return bool_from_text(fd, text, out, f);
    case FIELD_REF:
        return decode_ref(rq, fd, text, out, f);
    case FIELD_TEXTS:
        return texts_from_list(rq, fd, text, out, f);
    case FIELD_REFS:
    case FIELD_JSON:
    case FIELD_DIGEST:
        break;
    }
    return fault_set(f, ST_INVALID, fd->name, "cannot be given here");
}

static enum status texts_from_json(struct request *rq, const struct field *fd, struct json_object *v,
                                   struct texts *ret, struct fault *f)
{
    const size_t n = json_object_array_length(v);
    const char **items = arena_array(rq->arena, n + 1, sizeof *items);

    for (size_t i = 0; items && i < n; i++) {
        struct json_object *item = json_object_array_get_idx(v, i);

        if (!json_object_is_type(item, json_type_string))
            return fault_set(f, ST_INVALID, fd->name, "entry %zu must be a string", i);
        items[i] = json_object_get_string(item);
    }
    if (!items)
        return fault_set(f, ST_TOO_LARGE, fd->name, "has too many entries");
    *ret = (struct texts){ items, n };
    return ST_OK;
}

static enum status refs_from_json(struct request *rq, const struct field *fd, struct json_object *v,
                                  struct refs *ret, struct fault *f)
{
    struct texts t;
    enum status st = texts_from_json(rq, fd, v, &t, f);
    struct ref *items;

    if (st != ST_OK)
        return st;
    if (fd->max && (int64_t)t.n > fd->max)
        return fault_set(f, ST_INVALID, fd->name, "must have at most %" PRId64 " entries", fd->max);
    if (!(items = arena_array(rq->arena, t.n + 1, sizeof *items)))
        return fault_set(f, ST_TOO_LARGE, fd->name, "has too many entries");
    for (size_t i = 0; i < t.n; i++)
        if ((st = decode_ref(rq, fd, t.items[i], &items[i], f)) != ST_OK)
            return st;
    *ret = (struct refs){ items, t.n };
    return ST_OK;
}

static bool json_fits(enum field_kind kind, enum json_type t)
{
    switch (kind) {
    case FIELD_I64:
        return t == json_type_int;
    case FIELD_F64:
        return t == json_type_int || t == json_type_double;
    case FIELD_BOOL:
        return t == json_type_boolean;
    case FIELD_REFS:
    case FIELD_TEXTS:
        return t == json_type_array;
    case FIELD_JSON:
        return t == json_type_object;
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_TIME:
    case FIELD_REF:
    case FIELD_DIGEST:
        return t == json_type_string;
    }
    return false;
}

static const char *json_wanted(enum field_kind kind)
{
    switch (kind) {
    case FIELD_I64:
        return "an integer";
    case FIELD_F64:
        return "a number";
    case FIELD_BOOL:
        return "true or false";
    case FIELD_REFS:
    case FIELD_TEXTS:
        return "an array of strings";
    case FIELD_JSON:
        return "an object";
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_TIME:
    case FIELD_REF:
    case FIELD_DIGEST:
        break;
    }
    return "a string";
}

static enum status from_json(struct request *rq, const struct field *fd, struct json_object *v,
                             void *out, struct fault *f)
{
    if (!json_fits(fd->kind, json_object_get_type(v)))
        return fault_set(f, ST_INVALID, fd->name, "must be %s", json_wanted(fd->kind));
    switch (fd->kind) {
    case FIELD_I64:
        *(int64_t *)out = json_object_get_int64(v);
        return ST_OK;
    case FIELD_F64:
        *(double *)out = json_object_get_double(v);
        return ST_OK;
    case FIELD_BOOL:
        *(bool *)out = json_object_get_boolean(v);
        return ST_OK;
    case FIELD_TEXTS:
        return texts_from_json(rq, fd, v, out, f);
    case FIELD_REFS:
        return refs_from_json(rq, fd, v, out, f);
    case FIELD_JSON:
        *(const char **)out = arena_strdup(
            rq->arena,
            json_object_to_json_string_ext(v, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE));
        return ST_OK;
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_TIME:
    case FIELD_REF:
    case FIELD_DIGEST:
        break;
    }
    return from_text(rq, fd, json_object_get_string(v), out, f);
}

static const char *form_value(const struct request *rq, const char *name)
{
    for (size_t i = 0; i < rq->nform; i++)
        if (strcmp(rq->form[i].name, name) == 0)
            return rq->form[i].value;
    return NULL;
}

static enum status decode_text(struct request *rq, const struct key *k, const struct field *fd,
                               const char *text, void *command, struct fault *f)
{
    enum status st;

    if (k->word && !(text = k->word(text, rq->arena)))
        return fault_set(f, ST_INVALID, fd->name, "has an unknown value");
    if ((st = from_text(rq, fd, text, field_at(command, fd), f)) == ST_OK)
        field_mark(command, (size_t)k->field);
    return st;
}

static enum status decode_body_key(struct request *rq, const struct key *k, const struct field *fd,
                                   void *command, struct fault *f)
{
    struct json_object *v;
    enum status st;

    if (!rq->body) {
        const char *text = form_value(rq, k->name);

        return text ? decode_text(rq, k, fd, text, command, f) : ST_OK;
    }
    if (!json_object_object_get_ex(rq->body, k->name, &v))
        return ST_OK;
    if (!v) {
        field_mark(command, (size_t)k->field);
        ((struct given *)command)->null |= (uint64_t)1 << k->field;
        return ST_OK;
    }
    if (k->word && json_object_is_type(v, json_type_string))
        return decode_text(rq, k, fd, json_object_get_string(v), command, f);
    if ((st = from_json(rq, fd, v, field_at(command, fd), f)) == ST_OK)
        field_mark(command, (size_t)k->field);
    return st;
}

static enum status decode_key(struct request *rq, const struct key *k, const struct record *r,
                              void *command, struct fault *f)
{
    const struct field *fd = &r->fields[k->field];
    const char *text = NULL;

    switch (k->place) {
    case IN_PATH:
        text = request_path_value(rq, k->name);
        break;
    case IN_QUERY:
        text = request_query(rq, k->name);
        if (text && !*text)
            text = NULL; /* `?search=` is the same as nothing */
        break;
    case IN_BODY:
        return field_given(command, (size_t)k->field) ? ST_OK : decode_body_key(rq, k, fd, command, f);
    }
    if (!text || field_given(command, (size_t)k->field))
        return ST_OK;
    return decode_text(rq, k, fd, text, command, f);
}

enum status decode_fields(struct request *rq, const struct key *keys, size_t nkeys,
                          const struct record *r, void *command, struct fault *f)
{
    enum status st;

    for (size_t i = 0; i < nkeys; i++)
        if ((st = decode_key(rq, &keys[i], r, command, f)) != ST_OK)
            return st;
    command_defaults(r, command);
    return command_check(r, command, f);
}

enum status decode_command(struct request *rq, struct fault *f)
{
    const struct record *r = rq->route->op ? rq->route->op->input : NULL;

    if (!r)
        return ST_OK;
    if (!rq->command && !(rq->command = arena_alloc(rq->arena, r->size)))
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    return decode_fields(rq, rq->route->keys, rq->route->nkeys, r, rq->command, f);
}

const char *dialect_key(const struct request *rq, const char *field, enum key_place *ret_place)
{
    const struct route *route = rq->route;

    *ret_place = IN_BODY;
    if (!field || !route || !route->op || !route->op->input)
        return field;
    for (size_t i = 0; i < route->nkeys; i++) {
        if (strcmp(route->op->input->fields[route->keys[i].field].name, field) == 0) {
            *ret_place = route->keys[i].place;
            return route->keys[i].name;
        }
    }
    return field;
}
