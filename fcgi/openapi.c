/*
 * OpenAPI 3.1 from the tables: paths and parameters from routes and keys, types and limits from the
 * commands' records, so that the document cannot say what the server does not do. Schemas of answers are
 * one file per noun in docs/api/schemas/<dialect>/, compared with real answers by the tests.
 */
#include "fcgi/openapi.h"

#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "base/version.h"

static void write_text(struct buffer *out, const char *s)
{
    json_write_string(out, s, strlen(s));
}

static void write_words(const char *const *words, struct buffer *out)
{
    buffer_text(out, ",\"enum\":[");
    for (size_t i = 0; words[i]; i++) {
        if (i)
            buffer_char(out, ',');
        write_text(out, words[i]);
    }
    buffer_char(out, ']');
}

static void write_type(const struct field *fd, enum ref_kind ref, struct buffer *out)
{
    switch (fd->kind) {
    case FIELD_I64:
        buffer_printf(out, "\"type\":\"integer\",\"minimum\":%" PRId64, fd->min);
        if (fd->max)
            buffer_printf(out, ",\"maximum\":%" PRId64, fd->max);
        break;
    case FIELD_F64:
        buffer_text(out, "\"type\":\"number\"");
        if (fd->bounded)
            buffer_printf(out, ",\"minimum\":%g,\"maximum\":%g", fd->fmin, fd->fmax);
        break;
    case FIELD_BOOL:
        buffer_text(out, "\"type\":\"boolean\"");
        break;
    case FIELD_TEXTS:
    case FIELD_REFS:
        buffer_text(out, "\"type\":\"array\",\"items\":{\"type\":\"string\"");
        if (fd->one_of)
            write_words(fd->one_of, out);
        buffer_char(out, '}');
        if (fd->max)
            buffer_printf(out, ",\"maxItems\":%" PRId64, fd->max);
        break;
    case FIELD_JSON:
        buffer_text(out, "\"type\":\"object\"");
        break;
    case FIELD_REF:
        buffer_text(out, "\"type\":\"string\"");
        buffer_text(out, ref == REF_UUID ? ",\"format\":\"uuid\"" : ",\"pattern\":\"^[0-9a-f]{24}$\"");
        break;
    case FIELD_TEXT:
    case FIELD_ENUM:
    case FIELD_TIME:
    case FIELD_DIGEST:
        buffer_text(out, "\"type\":\"string\"");
        if (fd->kind == FIELD_ENUM && fd->one_of)
            write_words(fd->one_of, out);
        if (fd->kind == FIELD_TEXT && fd->max)
            buffer_printf(out, ",\"maxLength\":%" PRId64, fd->max);
        if (fd->kind == FIELD_TEXT && fd->min)
            buffer_printf(out, ",\"minLength\":%" PRId64, fd->min);
        if (fd->absent) {
            buffer_text(out, ",\"default\":");
            write_text(out, fd->absent);
        }
        break;
    }
}

static void write_parameter(const struct dialect *d, const struct route *route, const struct key *k,
                            struct buffer *out)
{
    const struct field *fd = &route->op->input->fields[k->field];

    buffer_text(out, "{\"name\":");
    write_text(out, k->name);
    buffer_printf(out, ",\"in\":\"%s\",\"required\":%s,\"schema\":{",
                  k->place == IN_PATH ? "path" : "query", k->place == IN_PATH ? "true" : "false");
    write_type(fd, d->ref, out);
    buffer_text(out, fd->kind == FIELD_TEXTS ? "},\"style\":\"form\",\"explode\":false}" : "}}");
}

static void write_page_parameter(const char *name, int64_t least, int64_t most, struct buffer *out)
{
    buffer_printf(
        out,
        ",{\"name\":\"%s\",\"in\":\"query\",\"required\":false,\"schema\":{\"type\":\"integer\","
        "\"minimum\":%" PRId64,
        name, least);
    if (most)
        buffer_printf(out, ",\"maximum\":%" PRId64, most);
    buffer_text(out, "}}");
}

static void write_parameters(const struct dialect *d, const struct route *route, struct buffer *out)
{
    bool comma = false;
    const size_t at = out->n;

    buffer_text(out, ",\"parameters\":[");
    for (size_t i = 0; i < route->nkeys; i++) {
        if (route->keys[i].place == IN_BODY)
            continue;
        if (comma)
            buffer_char(out, ',');
        write_parameter(d, route, &route->keys[i], out);
        comma = true;
    }
    if (route->page.most) {
        const size_t mark = out->n;

        write_page_parameter("limit", 1, route->page.most, out);
        write_page_parameter(d->ref == REF_UUID ? "offset" : "page", d->ref == REF_UUID ? 0 : 1, 0, out);
        if (!route->op || !route->op->ascending) /* cursors go from the newest back */
            buffer_text(out, ",{\"name\":\"cursor\",\"in\":\"query\",\"required\":false,\"schema\":{"
                             "\"type\":\"string\"}}");
        if (!comma)
            out->p[mark] = ' '; /* the first of the list has no comma */
        comma = true;
    }
    buffer_char(out, ']');
    if (!comma)
        out->n = at;
}

static void write_body(const struct dialect *d, const struct route *route, struct buffer *out)
{
    const char *type = route->body == BODY_OWN ? "multipart/form-data" : "application/json";
    bool comma = false, required = false;

    if (route->body == BODY_NONE || !route->op || !route->op->input)
        return;
    buffer_printf(
        out,
        ",\"requestBody\":{\"required\":%s,\"content\":{\"%s\":{\"schema\":{\"type\":\"object\","
        "\"properties\":{",
        route->body == BODY_JSON_OPTIONAL ? "false" : "true", type);
    if (route->body == BODY_OWN) {
        buffer_text(out, "\"file\":{\"type\":\"string\",\"format\":\"binary\"}");
        comma = true;
    }
    for (size_t i = 0; i < route->nkeys; i++) {
        const struct field *fd = &route->op->input->fields[route->keys[i].field];

        if (route->keys[i].place != IN_BODY)
            continue;
        if (comma)
            buffer_char(out, ',');
        write_text(out, route->keys[i].name);
        buffer_text(out, ":{");
        write_type(fd, d->ref, out);
        buffer_char(out, '}');
        comma = true;
        required |= fd->required;
    }
    buffer_char(out, '}');
    if (required) {
        buffer_text(out, ",\"required\":[");
        comma = false;
        for (size_t i = 0; i < route->nkeys; i++) {
            if (route->keys[i].place != IN_BODY ||
                !route->op->input->fields[route->keys[i].field].required)
                continue;
            if (comma)
                buffer_char(out, ',');
            write_text(out, route->keys[i].name);
            comma = true;
        }
        buffer_char(out, ']');
    }
    buffer_text(out, "}}}}");
}

static void write_route(const struct dialect *d, const struct route *route, struct buffer *out)
{
    char method[8] = "";

    for (size_t i = 0; route->method[i] && i + 1 < sizeof method; i++)
        method[i] = (char)(route->method[i] | 0x20);
    buffer_printf(out, "\"%s\":{\"summary\":", method);
    write_text(out, route->summary ? route->summary : route->pattern);
    buffer_text(out, ",\"operationId\":");
    buffer_printf(out, "\"%s_", method);
    for (const char *s = route->pattern + 1; *s; s++)
        if (*s != '{' && *s != '}')
            buffer_char(out, *s == '/' || *s == '-' ? '_' : *s);
    buffer_char(out, '"');
    write_parameters(d, route, out);
    write_body(d, route, out);
    buffer_printf(out, ",\"responses\":{\"%d\":{\"description\":\"Success\",\"content\":{\"%s\":{",
                  route->status, route->media_type ? route->media_type : "application/json");
    if (!route->media_type) {
        buffer_text(out, "\"schema\":");
        openapi_write_answer(d, route, out);
    }
    buffer_text(out, "}}},\"default\":{\"description\":\"Failure, in this API's form\"}}}");
}

static bool seen_before(const struct dialect *d, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(d->routes[k].pattern, d->routes[i].pattern) == 0)
            return true;
    return false;
}

void openapi_write(const struct dialect *d, const char *server_url, struct buffer *out)
{
    bool comma = false;

    buffer_text(out, "{\"openapi\":\"3.1.0\",\"info\":{\"title\":");
    write_text(out, d->title);
    buffer_text(out, ",\"version\":\"" FOVEA_VERSION "\",\"description\":");
    write_text(out, d->docs_note ? d->docs_note : "");
    buffer_text(out, "},\"servers\":[{\"url\":");
    write_text(out, server_url);
    buffer_text(
        out,
        "}],\"security\":[{\"key\":[]}],\"components\":{\"securitySchemes\":{\"key\":{\"type\":\"http\","
        "\"scheme\":\"bearer\"}},");
    openapi_write_schemas(d, out);
    buffer_text(out, "},\"paths\":{");
    for (size_t i = 0; i < d->nroutes; i++) {
        bool first = true;

        if (seen_before(d, i))
            continue;
        if (comma)
            buffer_char(out, ',');
        comma = true;
        buffer_char(out, '"');
        buffer_text(out, d->prefix);
        buffer_text(out, d->routes[i].pattern);
        buffer_text(out, "\":{");
        for (size_t k = i; k < d->nroutes; k++) {
            if (strcmp(d->routes[k].pattern, d->routes[i].pattern) != 0)
                continue;
            if (!first)
                buffer_char(out, ',');
            first = false;
            write_route(d, &d->routes[k], out);
        }
        buffer_char(out, '}');
    }
    buffer_text(out, "}}\n");
}

enum status openapi_serve(struct request *rq, struct response *rs, struct fault *f)
{
    (void)f;
    rs->content_type = "application/json; charset=utf-8";
    response_header(rs, "Cache-Control", "public, max-age=300");
    openapi_write(rq->dialect, request_base_url(rq), &rs->body);
    return ST_OK;
}
