/* Responses: see http.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "fcgi/http.h"
#include "fcgi/server.h"

void response_header(struct response *rs, const char *name, const char *format, ...)
{
    struct buffer *out = &rs->headers;
    va_list ap;
    size_t at;

    buffer_text(out, name);
    buffer_text(out, ": ");
    at = out->n;
    va_start(ap, format);
    if (strcmp(format, "%s") == 0) /* most of them, on every answer */
        buffer_text(out, va_arg(ap, const char *));
    else
        buffer_vprintf(out, format, ap);
    va_end(ap);
    for (; !out->failed && at < out->n; at++)
        if (out->p[at] == '\r' || out->p[at] == '\n') /* a value can't begin another header */
            out->p[at] = ' ';
    buffer_text(out, "\r\n");
}

void response_file(struct response *rs, const char *store_path, const char *content_type)
{
    rs->content_type = content_type;
    rs->handed_over = true;
    response_header(rs, "X-Accel-Redirect", "/_store/%s", store_path);
}

/* Without a phrase nginx leaves out the blank before it too, which RFC 9112 wants and strict clients
 * miss. */
static const char *reason(int status)
{
    static const struct {
        int status;
        const char *text;
    } reasons[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 409, "Conflict" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 422, "Unprocessable Content" },
        { 429, "Too Many Requests" },
        { 500, "Internal Server Error" },
        { 503, "Service Unavailable" },
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].text;
    return "Other";
}

static void write_head(const struct response *rs, struct buffer *out)
{
    const int status = rs->status ? rs->status : 200;

    buffer_printf(out, "Status: %d %s\r\n", status, reason(status));
    if (rs->content_type) {
        buffer_text(out, "Content-Type: ");
        buffer_text(out, rs->content_type);
        buffer_text(out, "\r\n");
    }
    buffer_bytes(out, rs->headers.p, rs->headers.n);
}

bool response_stream_begin(struct request *rq, struct response *rs)
{
    struct buffer head = { 0 };

    write_head(rs, &head);
    buffer_text(&head, "X-Accel-Buffering: no\r\n\r\n");
    rs->streaming = true;
    rs->client_gone = head.failed || !rq->transport->write(rq->transport->arg, head.p, head.n);
    buffer_free(&head);
    return !rs->client_gone;
}

bool response_stream(struct request *rq, struct response *rs, const void *p, size_t n)
{
    if (rs->client_gone || rq->head)
        return !rs->client_gone;
    rs->client_gone = !rq->transport->write(rq->transport->arg, p, n);
    rs->streamed_bytes += (int64_t)n;
    return !rs->client_gone;
}

void response_send(struct request *rq, struct response *rs)
{
    struct buffer *out = &rs->body, head = { 0 };
    const bool has_body = !rq->head && rs->status != 204 && rs->status != 304;

    if (rs->streaming)
        return;
    write_head(rs, &head);
    if (rs->status != 204)
        buffer_printf(&head, "Content-Length: %zu\r\n", out->n);
    buffer_text(&head, "\r\n");
    if (!head.failed)
        rs->client_gone = !rq->transport->answer(rq->transport->arg, (struct slice){ head.p, head.n },
                                                 (struct slice){ out->p, has_body ? out->n : 0 });
    buffer_free(&head);
}
