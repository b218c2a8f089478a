/*
 * Answers in the OpenAPI document: a route's envelope (fcgi/envelope.h) is JSON with variables, so its
 * schema is that JSON with a schema for each: $row and $rows are the noun, counts are integers, words
 * are constants.
 */
#include <string.h>

#include "fcgi/openapi.h"

/* Reading position in an envelope. Envelopes are ours: they are taken to be well formed. */
struct scan {
    const char *at;
    const struct dialect *d;
    const char *noun; /* NULL: rows are plain objects */
    struct buffer *out;
};

static const struct noun_schema *find(const struct dialect *d, const char *noun)
{
    for (const struct noun_schema *s = d->schemas; s && s->noun && noun; s++)
        if (strcmp(s->dialect, d->name) == 0 && strcmp(s->noun, noun) == 0)
            return s;
    return NULL;
}

static void write_noun(struct scan *s)
{
    if (s->noun)
        buffer_printf(s->out, "{\"$ref\":\"#/components/schemas/%s\"}", s->noun);
    else
        buffer_text(s->out, "{\"type\":\"object\"}");
}

static void write_variable(struct scan *s)
{
    static const char *const counts[] = { "total", "limit", "offset", "page", NULL };
    const char *name = s->at + 1;
    size_t n = strspn(name, ".:");

    n += strspn(name + n, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
    s->at = name + n;
    if (n == 4 && strncmp(name, "rows", n) == 0) {
        buffer_text(s->out, "{\"type\":\"array\",\"items\":");
        write_noun(s);
        buffer_char(s->out, '}');
    } else if (n == 3 && strncmp(name, "row", n) == 0) {
        write_noun(s);
    } else {
        for (size_t i = 0; counts[i]; i++) {
            if (strlen(counts[i]) == n && strncmp(name, counts[i], n) == 0) {
                buffer_text(s->out, "{\"type\":\"integer\"}");
                return;
            }
        }
        buffer_text(s->out, "{}"); /* a column of the row, or what a handler adds */
    }
}

static void write_value(struct scan *s);

/* "a":1,$members,"b":2 -> properties and required; members of the row come in by allOf. */
static void write_object(struct scan *s)
{
    struct buffer required = { 0 }, properties = { 0 }, *out = s->out;
    bool members = false;

    s->out = &properties;
    for (s->at++; *s->at && *s->at != '}'; s->at += *s->at == ',') {
        const char *key = s->at;
        size_t n = strcspn(key + 1, "\"") + 2;

        if (*key == '$') {
            members = true;
            s->at = key + strlen("$members");
            continue;
        }
        buffer_text(&required, required.n ? "," : "");
        buffer_bytes(&required, key, n);
        buffer_text(&properties, properties.n ? "," : "");
        buffer_bytes(&properties, key, n);
        buffer_char(&properties, ':');
        s->at = key + n + 1;
        write_value(s);
    }
    s->at += *s->at == '}';
    s->out = out;
    buffer_text(out, "{");
    if (members) {
        buffer_text(out, "\"allOf\":[");
        write_noun(s);
        buffer_text(out, "],");
    }
    buffer_text(out, "\"type\":\"object\",\"properties\":{");
    buffer_bytes(out, properties.p, properties.n);
    buffer_text(out, "},\"required\":[");
    buffer_bytes(out, required.p, required.n);
    buffer_text(out, "]}");
    buffer_free(&required);
    buffer_free(&properties);
}

static void write_value(struct scan *s)
{
    const char *word = s->at;

    if (*s->at == '{') {
        write_object(s);
    } else if (*s->at == '$') {
        write_variable(s);
    } else {
        s->at += strcspn(s->at, ",}");
        buffer_text(s->out, "{\"const\":");
        buffer_bytes(s->out, word, (size_t)(s->at - word));
        buffer_char(s->out, '}');
    }
}

void openapi_write_answer(const struct dialect *d, const struct route *route, struct buffer *out)
{
    struct scan s = { route->envelope, d, find(d, route->noun) ? route->noun : NULL, out };

    if (route->envelope)
        write_value(&s);
    else
        write_noun(&s); /* a handler writes it whole */
}

void openapi_write_schemas(const struct dialect *d, struct buffer *out)
{
    const char *join = "";

    buffer_text(out, "\"schemas\":{");
    for (const struct noun_schema *s = d->schemas; s && s->noun; s++) {
        if (strcmp(s->dialect, d->name) != 0)
            continue;
        buffer_printf(out, "%s\"%s\":", join, s->noun);
        for (const char *const *line = s->lines; *line; line++)
            buffer_text(out, *line);
        join = ",";
    }
    buffer_char(out, '}');
}
