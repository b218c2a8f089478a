/*
 * One request: dialect and route -> credential -> plan limit -> scope -> command -> operation ->
 * envelope. Every failure ends in the dialect's own form.
 */
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "fcgi/auth.h"
#include "fcgi/context.h"
#include "fcgi/dbpool.h"
#include "fcgi/decode.h"
#include "fcgi/limiter.h"
#include "fcgi/metrics.h"
#include "fcgi/router.h"
#include "fcgi/server.h"
#include "fcgi/site.h"

const struct dialect *context_dialect(const struct context *ctx, const char *name)
{
    for (size_t i = 0; i < ctx->ndialects; i++)
        if (name && strcmp(ctx->dialects[i]->name, name) == 0)
            return ctx->dialects[i];
    return NULL;
}

static enum status run_route(struct request *rq, struct response *rs, struct fault *f)
{
    const struct route *route = rq->route;
    enum status st;

    if ((st = decode_body(rq, f)) != ST_OK)
        return st;
    if (route->page.most && (st = rq->dialect->page(rq, &route->page, &rq->page, f)) != ST_OK)
        return st;
    if (route->body != BODY_OWN && (st = decode_command(rq, f)) != ST_OK)
        return st;
    rs->status = route->status;
    rs->content_type = "application/json; charset=utf-8";
    return route->handler ? route->handler(rq, rs, f) : respond_operation(rq, rs, f);
}

static enum status serve_dialect(struct request *rq, struct response *rs, struct fault *f)
{
    char allow[64];
    enum status st = router_find(rq->ctx->router, rq, allow, f);

    if (st == ST_NO_METHOD)
        response_header(rs, "Allow", "%s", allow);
    if (st == ST_NO_METHOD &&
        strcmp(rq->method, "OPTIONS") == 0) { /* which methods there are is no secret */
        rs->status = 204;
        return ST_OK;
    }
    if (st != ST_OK)
        return st;
    if ((st = auth_request_key(rq, f)) != ST_OK || (st = auth_count(rq, f)) != ST_OK ||
        (st = auth_scope(rq, f)) != ST_OK)
        return st;
    (void)failpoint("credential_ok");
    return run_route(rq, rs, f);
}

/* A failure may have left half an answer: it is thrown away. */
static void answer_fault(struct request *rq, struct response *rs, enum status st, const struct fault *f)
{
    if (rs->streaming) {
        log_event(LOG_LEVEL_ERROR, "stream_cut", "detail", f->detail, NULL);
        return;
    }
    buffer_clear(&rs->body);
    if (st == ST_INTERNAL)
        log_event(LOG_LEVEL_ERROR, "request_failed", "detail", f->detail, NULL);
    rs->content_type = "application/json; charset=utf-8";
    rq->dialect->fault(rq, rs, st, f);
    if (f->retry_after_s > 0)
        response_header(rs, "Retry-After", "%d", f->retry_after_s);
}

/* nginx asks before it reads an upload's body. In doubt the answer is yes: the handler will say it
 * properly. */
static void serve_precheck(struct request *rq, struct response *rs)
{
    struct fault f = FAULT_INIT;
    char allow[64];
    enum status st;

    rs->status = 204;
    if (router_find(rq->ctx->router, rq, allow, &f) != ST_OK)
        return;
    if ((st = auth_request_key(rq, &f)) == ST_OK)
        st = auth_scope(rq, &f);
    if (st != ST_UNAUTHENTICATED && st != ST_FORBIDDEN)
        return;
    rq->dialect->fault(rq, rs, st,
                       &f); /* for WWW-Authenticate, which nginx passes on; the body is nginx's own */
    buffer_clear(&rs->body);
    rs->status = st == ST_UNAUTHENTICATED ? 401 : 403;
}

static void common_headers(struct request *rq, struct response *rs)
{
    const char *trace = request_header(rq, "HTTP_TRACEPARENT");

    response_header(rs, "X-Request-ID", "%s", rq->id);
    if (trace && strspn(trace, "0123456789abcdef-") == strlen(trace) && strlen(trace) == 55)
        response_header(rs, "traceparent", "%s", trace);
    response_header(rs, "X-Content-Type-Options", "nosniff");
    if (rq->dialect && rq->dialect->headers)
        rq->dialect->headers(rq, rs);
}

void serve_request(struct request *rq, struct response *rs)
{
    struct fault f = FAULT_INIT;
    const char *dialect = rq->transport->param(rq->transport->arg, "FOVEA_DIALECT");
    enum status st = request_parse(rq, &f), leased = request_db_lease(rq, &f);

    if (st == ST_OK)
        st = leased;
    rq->dialect = context_dialect(rq->ctx, dialect);
    log_set_request(rq->id, dialect ? dialect : "", "");
    if (!rq->dialect || site_serves(rq)) {
        site_serve(rq, rs, st, &f);
        return;
    }
    if (request_is_precheck(rq) && rq->db) {
        serve_precheck(rq, rs);
        return;
    }
    if (st == ST_OK)
        st = serve_dialect(rq, rs, &f);
    if (rs->body.failed && st == ST_OK && !rs->streaming)
        st = fault_set(&f, ST_UNAVAILABLE, NULL, "the answer is too large");
    if (st != ST_OK)
        answer_fault(rq, rs, st, &f);
    if (!rs->streaming)
        common_headers(rq, rs);
    if (rq->body)
        json_object_put(rq->body);
    rq->body = NULL;
}
