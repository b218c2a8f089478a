/* From CGI parameters to a request: path, query, ids, body. See http.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/limits.h"
#include "fcgi/context.h"
#include "fcgi/http.h"

static const char *param(const struct request *rq, const char *name)
{
    return rq->transport->param(rq->transport->arg, name);
}

const char *request_header(const struct request *rq, const char *cgi_name)
{
    const char *v = param(rq, cgi_name);

    return v && *v ? v : NULL;
}

bool request_is_precheck(const struct request *rq)
{
    const char *v = param(rq, "FOVEA_PRECHECK");

    return v && *v == '1';
}

bool url_decode(char *s, bool plus_is_space)
{
    char *out = s, *start = s;

    for (; *s; s++) {
        if (*s == '+' && plus_is_space) {
            *out++ = ' ';
        } else if (*s == '%') {
            const int high = text_hex_digit(s[1]), low = high < 0 ? -1 : text_hex_digit(s[2]);

            if (high < 0 || low < 0 || (high == 0 && low == 0))
                return false;
            *out++ = (char)(high << 4 | low);
            s += 2;
        } else {
            *out++ = *s;
        }
    }
    *out = '\0';
    return text_is_utf8(start, (size_t)(out - start));
}

void url_encode(struct buffer *out, const char *s)
{
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;

        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            strchr("-._~", c))
            buffer_char(out, (char)c);
        else
            buffer_printf(out, "%%%02X", c);
    }
}

const char *request_query(const struct request *rq, const char *name)
{
    for (size_t i = 0; i < rq->nquery; i++)
        if (strcmp(rq->query[i].name, name) == 0)
            return rq->query[i].value;
    return NULL;
}

static enum status parse_query(struct request *rq, struct fault *f)
{
    char *rest = arena_strdup(rq->arena, rq->raw_query), *part;

    while (rest && (part = strsep(&rest, "&"))) {
        char *value = part;

        if (!*part)
            continue;
        strsep(&value, "=");
        if (rq->nquery == REQUEST_PARAMS)
            return fault_set(f, ST_INVALID, NULL, "the query has more than %d parameters",
                             REQUEST_PARAMS);
        if (!url_decode(part, true) || (value && !url_decode(value, true)))
            return fault_set(f, ST_INVALID, NULL, "the query is not well encoded");
        rq->query[rq->nquery++] = (struct pair){ part, value ? value : "" };
    }
    return ST_OK;
}

/* Segments are split before they are decoded: %2F is a character of a segment, not a border. */
static enum status parse_path(struct request *rq, struct fault *f)
{
    char *path = arena_strdup(rq->arena, rq->raw_path), *rest = path, *part;

    if (!path || *path != '/')
        return fault_set(f, ST_NOT_FOUND, NULL, "there is nothing here");
    rest++;
    while ((part = strsep(&rest, "/"))) {
        if (!*part && !rest)
            break; /* a trailing slash is the same resource */
        if (rq->nsegments == REQUEST_SEGMENTS)
            return fault_set(f, ST_NOT_FOUND, NULL, "there is nothing here");
        if (!url_decode(part, false))
            return fault_set(f, ST_NOT_FOUND, NULL, "the path is not well encoded");
        rq->segments[rq->nsegments++] = part;
    }
    rq->path = rq->raw_path;
    return ST_OK;
}

static bool host_is_trusted(const char *host)
{
    const char *list = config_text("trusted_hosts");
    const size_t n = strlen(host);

    while (*list) {
        const size_t word = strcspn(list, ", ");

        if (word == n && strncasecmp(list, host, n) == 0)
            return true;
        list += word;
        list += strspn(list, ", ");
    }
    return false;
}

/* A Host header that the site does not list is never repeated. */
const char *request_base_url(struct request *rq)
{
    const char *scheme = param(rq, "FOVEA_SCHEME"), *host = param(rq, "FOVEA_HOST");
    const char *fixed = config_text("public_url");

    if (rq->base_url)
        return rq->base_url;
    if (host && *host && scheme && host_is_trusted(host))
        rq->base_url = arena_printf(rq->arena, "%s://%s%s", strcmp(scheme, "https") ? "http" : "https",
                                    host, rq->mount);
    else if (!*fixed)
        rq->base_url = arena_printf(rq->arena, "https://%s:%lld%s", config_text("bind"),
                                    (long long)config_i64("https.port"), rq->mount);
    else
        rq->base_url = arena_printf(rq->arena, "%s%s", fixed, rq->mount);
    return rq->base_url;
}

static bool is_request_id(const char *s)
{
    const size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");

    return n > 0 && n <= 64 && s[n] == '\0';
}

/* Errors repeat it. */
static bool is_method(const char *s)
{
    return *s && s[strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_-")] == '\0';
}

enum status request_parse(struct request *rq, struct fault *f)
{
    const char *uri = param(rq, "REQUEST_URI"), *query, *length = param(rq, "CONTENT_LENGTH");
    const char *id = param(rq, "FOVEA_REQUEST_ID"), *body = param(rq, "FOVEA_BODY_FILE");
    enum status st;
    size_t mount;

    rq->method = param(rq, "REQUEST_METHOD");
    rq->mount = param(rq, "FOVEA_MOUNT");
    rq->id = id && is_request_id(id) ? id : "-";
    rq->content_type = request_header(rq, "CONTENT_TYPE");
    rq->body_file = body && *body ? body : NULL;
    rq->content_length = -1;
    rq->raw_path = rq->path = "/";
    rq->raw_query = "";
    if (!rq->mount)
        rq->mount = "";
    if (!rq->method || !is_method(rq->method) || !uri || strlen(uri) > LIMIT_PATH_BYTES)
        return fault_set(f, ST_INVALID, NULL, "the request line is not usable");
    rq->head = strcmp(rq->method, "HEAD") == 0;
    if (rq->head)
        rq->method = "GET";
    if (length && *length && !text_i64(length, strlen(length), &rq->content_length))
        return fault_set(f, ST_INVALID, NULL, "Content-Length is not a number");
    query = strchr(uri, '?');
    mount = strlen(rq->mount);
    if (strncmp(uri, rq->mount, mount) != 0)
        mount = 0;
    rq->raw_path =
        query ? arena_strndup(rq->arena, uri + mount, (size_t)(query - uri) - mount) : uri + mount;
    rq->raw_query = query ? query + 1 : "";
    if (!*rq->raw_path)
        rq->raw_path = "/";
    if ((st = parse_path(rq, f)) != ST_OK)
        return st;
    return parse_query(rq, f);
}

static enum status body_from_file(struct request *rq, size_t max, struct slice *ret, struct fault *f)
{
    const int fd = open(rq->body_file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    struct stat sb;
    char *p = NULL;
    enum status st = ST_OK;
    size_t n = 0;

    if (fd < 0 || fstat(fd, &sb) != 0 || sb.st_size < 0) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the body could not be read");
        goto out;
    }
    if ((size_t)sb.st_size > max) {
        st = fault_set(f, ST_TOO_LARGE, NULL, "the body is larger than %zu bytes", max);
        goto out;
    }
    if (!(p = arena_alloc(rq->arena, (size_t)sb.st_size + 1))) {
        st = fault_set(f, ST_TOO_LARGE, NULL, "the body is too large");
        goto out;
    }
    while (n < (size_t)sb.st_size) {
        const ssize_t got = read(fd, p + n, (size_t)sb.st_size - n);

        if (got <= 0)
            break;
        n += (size_t)got;
    }
    *ret = (struct slice){ p, n };
out:
    if (fd >= 0)
        close(fd);
    return st;
}

enum status request_body(struct request *rq, size_t max, struct slice *ret, struct fault *f)
{
    size_t n = 0, size = rq->content_length > 0 ? (size_t)rq->content_length : 0;
    char *p;

    if (rq->body_file)
        return body_from_file(rq, max, ret, f);
    if (size > max)
        return fault_set(f, ST_TOO_LARGE, NULL, "the body is larger than %zu bytes", max);
    if (!(p = arena_alloc(rq->arena, size + 1)))
        return fault_set(f, ST_TOO_LARGE, NULL, "the body is too large");
    while (n < size) {
        const size_t got = rq->transport->read(rq->transport->arg, p + n, size - n);

        if (!got)
            return fault_set(f, ST_INVALID, NULL, "the body ended before its announced length");
        n += got;
    }
    *ret = (struct slice){ p, n };
    return ST_OK;
}

void request_extra(struct request *rq, const char *name, const char *json)
{
    if (rq->nextras < sizeof rq->extras / sizeof *rq->extras && json)
        rq->extras[rq->nextras++] = (struct pair){ name, json };
}
