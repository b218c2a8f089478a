/*
 * /healthz (the process lives), /readyz (database, migrations current, media writable), /metrics,
 * /.well-known/api-catalog (RFC 9727), /media/... (signed), <mount>/api/openapi.json. Errors here are
 * RFC 9457.
 */
#include "fcgi/site.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/json.h"
#include "domain/migrate.h"
#include "fcgi/context.h"
#include "fcgi/links.h"
#include "fcgi/metrics.h"
#include "fcgi/openapi.h"

static enum status serve_health(struct request *rq, struct response *rs, struct fault *f)
{
    (void)rq;
    (void)f;
    buffer_text(&rs->body, "{\"status\":\"ok\"}\n");
    return ST_OK;
}

static enum status serve_ready(struct request *rq, struct response *rs, struct fault *f)
{
    bool current = false;
    enum status st;

    if (rq->ctx->draining)
        return fault_set(f, ST_UNAVAILABLE, NULL, "draining");
    if ((st = db_connect(rq->db, f)) != ST_OK)
        return st;
    if ((st = migrate_check(db_connection(rq->db), rq->ctx->sql_dir, &current, f)) != ST_OK)
        return st;
    if (!current)
        return fault_set(f, ST_UNAVAILABLE, NULL,
                         "the database schema is not current: run fovea migrate");
    if (access(config_text("media_dir"), W_OK) != 0)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the media folder is not writable");
    buffer_text(&rs->body, "{\"status\":\"ready\"}\n");
    return ST_OK;
}

static enum status serve_metrics(struct request *rq, struct response *rs, struct fault *f)
{
    (void)f;
    rs->content_type = "text/plain; version=0.0.4";
    metrics_print(rq->ctx->metrics, rq->ctx->router, &rs->body);
    return ST_OK;
}

static enum status serve_catalog(struct request *rq, struct response *rs, struct fault *f)
{
    (void)f;
    rs->content_type = "application/linkset+json";
    buffer_text(&rs->body, "{\"linkset\":[");
    for (size_t i = 0; i < rq->ctx->ndialects; i++)
        buffer_printf(&rs->body,
                      "%s{\"anchor\":\"%s/%s%s\",\"service-desc\":[{\"href\":\"%s/%s/api/openapi.json\","
                      "\"type\":\"application/json\"}]}",
                      i ? "," : "", request_base_url(rq), rq->ctx->dialects[i]->name,
                      rq->ctx->dialects[i]->prefix, request_base_url(rq), rq->ctx->dialects[i]->name);
    buffer_text(&rs->body, "]}\n");
    return ST_OK;
}

static const struct {
    const char *path;
    enum status (*serve)(struct request *rq, struct response *rs, struct fault *f);
} pages[] = {
    { "/healthz", serve_health },
    { "/readyz", serve_ready },
    { "/metrics", serve_metrics },
    { "/.well-known/api-catalog", serve_catalog },
};

static bool is_media(const struct request *rq)
{
    return strncmp(rq->raw_path, "/media/", 7) == 0;
}

static bool is_openapi(const struct request *rq)
{
    return strcmp(rq->raw_path, "/api/openapi.json") == 0 && strcmp(rq->method, "GET") == 0;
}

bool site_serves(const struct request *rq)
{
    return is_media(rq) || is_openapi(rq);
}

static void problem(struct response *rs, enum status st, const struct fault *f)
{
    static const struct {
        int code;
        const char *title;
    } problems[ST__COUNT] = {
        [ST_INVALID] = { 400, "Bad Request" },
        [ST_FORBIDDEN] = { 403, "Forbidden" },
        [ST_NOT_FOUND] = { 404, "Not Found" },
        [ST_NO_METHOD] = { 405, "Method Not Allowed" },
        [ST_TOO_LARGE] = { 413, "Content Too Large" },
        [ST_UNSUPPORTED] = { 415, "Unsupported Media Type" },
        [ST_UNAVAILABLE] = { 503, "Service Unavailable" },
    };
    const int code = problems[st].code ? problems[st].code : 500;

    buffer_clear(&rs->body);
    rs->status = code;
    rs->content_type = "application/problem+json";
    buffer_printf(&rs->body, "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,\"detail\":",
                  problems[st].title ? problems[st].title : "Internal Server Error", code);
    json_write_string(&rs->body, f->detail, strlen(f->detail));
    buffer_text(&rs->body, "}\n");
    if (code == 503)
        response_header(rs, "Retry-After", "%d", f->retry_after_s > 0 ? f->retry_after_s : 1);
}

static enum status serve_page(struct request *rq, struct response *rs, struct fault *f)
{
    const char *dialect = rq->transport->param(rq->transport->arg, "FOVEA_DIALECT");

    /* An API that this release does not serve has no pages either. */
    for (size_t i = 0; dialect && strcmp(dialect, "site") == 0 && i < sizeof pages / sizeof *pages;
         i++) {
        if (strcmp(pages[i].path, rq->raw_path) != 0)
            continue;
        if (strcmp(rq->method, "GET") == 0)
            return pages[i].serve(rq, rs, f);
        response_header(rs, "Allow", "GET");
        return fault_set(f, ST_NO_METHOD, NULL, "this resource does not know %.16s", rq->method);
    }
    return fault_set(f, ST_NOT_FOUND, NULL, "there is no such resource");
}

void site_serve(struct request *rq, struct response *rs, enum status parsed, struct fault *f)
{
    enum status st;

    rs->status = 200;
    rs->content_type = "application/json";
    if (is_media(rq) && request_is_precheck(rq)) {
        rs->status = links_allow(rq) ? 204 : 403;
        return;
    }
    if (is_media(rq)) /* the link checks its own spelling: a path that does not decode is a bad link */
        st = strcmp(rq->method, "PUT") == 0 ? links_receive(rq, rs, f) : links_serve(rq, rs, f);
    else if (parsed != ST_OK)
        st = parsed;
    else if (rq->dialect && is_openapi(rq))
        st = openapi_serve(rq, rs, f);
    else
        st = serve_page(rq, rs, f);
    if (st != ST_OK)
        problem(rs, st, f);
    response_header(rs, "X-Request-ID", "%s", rq->id);
    response_header(rs, "X-Content-Type-Options", "nosniff");
}
