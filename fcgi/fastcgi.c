/* See fastcgi.h. */
#include "fcgi/fastcgi.h"

#include <string.h>

#include "base/limits.h"

enum { VERSION = 1, ROLE_RESPONDER = 1, KEEP_CONN = 1, BEGIN_BYTES = 8, KEPT_BYTES = 64 << 10 };
enum { REQUEST_COMPLETE = 0, CANT_MPX_CONN = 1, UNKNOWN_ROLE = 3 };

void fastcgi_frame(uint8_t ret[FASTCGI_HEADER_BYTES], enum fastcgi_type type, uint16_t id,
                   size_t content)
{
    ret[0] = VERSION;
    ret[1] = (uint8_t)type;
    ret[2] = (uint8_t)(id >> 8);
    ret[3] = (uint8_t)id;
    ret[4] = (uint8_t)(content >> 8);
    ret[5] = (uint8_t)content;
    ret[6] = ret[7] = 0;
}

void fastcgi_frame_end(uint8_t ret[FASTCGI_END_BYTES], uint16_t id, uint8_t protocol_status)
{
    memset(ret, 0, FASTCGI_END_BYTES);
    fastcgi_frame(ret, FASTCGI_END_REQUEST, id, FASTCGI_END_BYTES - FASTCGI_HEADER_BYTES);
    ret[FASTCGI_HEADER_BYTES + 4] = protocol_status;
}

static enum fastcgi_type record_type(const struct fastcgi *fc)
{
    return (enum fastcgi_type)fc->header[1];
}

static uint16_t record_id(const struct fastcgi *fc)
{
    return (uint16_t)(fc->header[2] << 8 | fc->header[3]);
}

static size_t record_bytes(const struct fastcgi *fc)
{
    return (size_t)fc->header[4] << 8 | fc->header[5];
}

static enum fastcgi_result broken(struct fastcgi *fc, const char *why)
{
    fc->closed = true;
    fc->why = why;
    return FASTCGI_CLOSE;
}

static enum fastcgi_result reply_end(struct fastcgi *fc, uint16_t id, uint8_t status, bool keep)
{
    uint8_t end[FASTCGI_END_BYTES];

    fastcgi_frame_end(end, id, status);
    buffer_bytes(&fc->reply, end, sizeof end);
    return keep ? FASTCGI_MORE : broken(fc, NULL);
}

/* Of the names that the standard knows, those that were asked for. */
static enum fastcgi_result reply_values(struct fastcgi *fc)
{
    static const char known[][3][20] = {
        /* name, value, both with their lengths in front */
        { "FCGI_MAX_CONNS", "4096", "\x0e\x04" },
        { "FCGI_MAX_REQS", "4096", "\x0d\x04" },
        { "FCGI_MPXS_CONNS", "0", "\x0f\x01" },
    };
    struct fastcgi_params asked = { 0 };
    struct buffer out = { 0 };
    uint8_t header[FASTCGI_HEADER_BYTES];

    (void)buffer_terminate(&fc->small);
    if (fc->small.failed || !fastcgi_params_parse(&asked, fc->small.p, fc->small.n)) {
        fastcgi_params_free(&asked);
        return broken(fc, "FCGI_GET_VALUES cannot be read");
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!fastcgi_params_find(&asked, known[i][0]))
            continue;
        buffer_bytes(&out, known[i][2], 2);
        buffer_text(&out, known[i][0]);
        buffer_text(&out, known[i][1]);
    }
    fastcgi_frame(header, FASTCGI_GET_VALUES_RESULT, 0, out.n);
    buffer_bytes(&fc->reply, header, sizeof header);
    buffer_bytes(&fc->reply, out.p, out.n);
    buffer_free(&out);
    fastcgi_params_free(&asked);
    return FASTCGI_MORE;
}

static enum fastcgi_result reply_unknown(struct fastcgi *fc)
{
    uint8_t record[FASTCGI_HEADER_BYTES * 2] = { 0 };

    fastcgi_frame(record, FASTCGI_UNKNOWN_TYPE, 0, FASTCGI_HEADER_BYTES);
    record[FASTCGI_HEADER_BYTES] = fc->header[1];
    buffer_bytes(&fc->reply, record, sizeof record);
    return FASTCGI_MORE;
}

/* ---- where the content of a record goes, by its header */

static enum fastcgi_result open_stream(struct fastcgi *fc)
{
    const bool params = record_type(fc) == FASTCGI_PARAMS;

    if (fc->phase == FASTCGI_IDLE || record_id(fc) != fc->id)
        return FASTCGI_MORE; /* of a request that is over, or was refused */
    if (params != (fc->phase == FASTCGI_IN_PARAMS))
        return broken(fc, "streams come in the wrong order");
    if (params && fc->content > LIMIT_FASTCGI_PARAMS_BYTES - fc->stream.n)
        return broken(fc, "the parameters are too large");
    fc->sink = params ? FASTCGI_TO_PARAMS : FASTCGI_TO_BODY;
    return FASTCGI_MORE;
}

static enum fastcgi_result open_record(struct fastcgi *fc)
{
    if (fc->header[0] != VERSION)
        return broken(fc, "the version is not 1");
    fc->content = record_bytes(fc);
    fc->padding = fc->header[6];
    fc->sink = FASTCGI_SKIP;
    buffer_clear(&fc->small);
    switch (record_type(fc)) {
    case FASTCGI_BEGIN_REQUEST:
        if (fc->content != BEGIN_BYTES || record_id(fc) == 0)
            return broken(fc, "FCGI_BEGIN_REQUEST cannot be read");
        fc->sink = FASTCGI_TO_SMALL;
        return FASTCGI_MORE;
    case FASTCGI_GET_VALUES:
        if (fc->content > LIMIT_FASTCGI_VALUES_BYTES)
            return broken(fc, "FCGI_GET_VALUES is too large");
        fc->sink = FASTCGI_TO_SMALL;
        return FASTCGI_MORE;
    case FASTCGI_PARAMS:
    case FASTCGI_STDIN:
        return open_stream(fc);
    default:
        return FASTCGI_MORE;
    }
}

static enum fastcgi_result take_content(struct fastcgi *fc, const char *p, size_t n)
{
    struct buffer *out = &fc->small;

    if (fc->sink == FASTCGI_SKIP)
        return FASTCGI_MORE;
    if (fc->sink == FASTCGI_TO_PARAMS)
        out = &fc->stream;
    if (fc->sink == FASTCGI_TO_BODY) {
        out = &fc->body;
        if (n > LIMIT_FASTCGI_BODY_BYTES - out->n) /* the handler tells by CONTENT_LENGTH, and says so */
            n = LIMIT_FASTCGI_BODY_BYTES - out->n;
    }
    buffer_bytes(out, p, n);
    return out->failed ? broken(fc, "out of memory") : FASTCGI_MORE;
}

/* ---- what a record means once all of it is there */

static enum fastcgi_result close_begin(struct fastcgi *fc)
{
    const uint8_t *p = (const uint8_t *)fc->small.p;
    const bool keep = p[2] & KEEP_CONN;

    if (fc->phase != FASTCGI_IDLE && record_id(fc) == fc->id)
        return broken(fc, "a request begins twice");
    if (fc->phase != FASTCGI_IDLE)
        return reply_end(fc, record_id(fc), CANT_MPX_CONN, true);
    if ((p[0] << 8 | p[1]) != ROLE_RESPONDER)
        return reply_end(fc, record_id(fc), UNKNOWN_ROLE, keep);
    fc->id = record_id(fc);
    fc->keep = keep;
    fc->phase = FASTCGI_IN_PARAMS;
    return FASTCGI_MORE;
}

static enum fastcgi_result close_params(struct fastcgi *fc)
{
    if (record_bytes(fc) || fc->sink != FASTCGI_TO_PARAMS)
        return FASTCGI_MORE;
    (void)buffer_terminate(&fc->stream);
    if (fc->stream.failed || !fastcgi_params_parse(&fc->params, fc->stream.p, fc->stream.n))
        return broken(fc, "the parameters cannot be read");
    fc->phase = FASTCGI_IN_BODY;
    return FASTCGI_MORE;
}

static enum fastcgi_result close_stdin(struct fastcgi *fc)
{
    if (record_bytes(fc) || fc->sink != FASTCGI_TO_BODY)
        return FASTCGI_MORE;
    fc->phase = FASTCGI_WHOLE;
    return FASTCGI_REQUEST;
}

static enum fastcgi_result close_abort(struct fastcgi *fc)
{
    const bool keep = fc->keep;

    if (fc->phase == FASTCGI_IDLE || record_id(fc) != fc->id)
        return FASTCGI_MORE;
    fastcgi_reset(fc);
    return reply_end(fc, record_id(fc), REQUEST_COMPLETE, keep);
}

static enum fastcgi_result close_record(struct fastcgi *fc)
{
    fc->at = fc->padding ? FASTCGI_AT_PADDING : FASTCGI_AT_HEADER;
    fc->nheader = fc->padding ? fc->nheader : 0;
    switch (record_type(fc)) {
    case FASTCGI_BEGIN_REQUEST:
        return close_begin(fc);
    case FASTCGI_PARAMS:
        return close_params(fc);
    case FASTCGI_STDIN:
        return close_stdin(fc);
    case FASTCGI_ABORT_REQUEST:
        return close_abort(fc);
    case FASTCGI_GET_VALUES:
        return reply_values(fc);
    default:
        return record_id(fc) ? FASTCGI_MORE : reply_unknown(fc);
    }
}

/* ---- bytes */

static size_t take_header(struct fastcgi *fc, const char *p, size_t n, enum fastcgi_result *ret)
{
    const size_t wanted = sizeof fc->header - fc->nheader, taken = n < wanted ? n : wanted;

    memcpy(fc->header + fc->nheader, p, taken);
    fc->nheader += taken;
    if (fc->nheader < sizeof fc->header)
        return taken;
    fc->at = FASTCGI_AT_CONTENT;
    *ret = open_record(fc);
    if (*ret == FASTCGI_MORE && fc->content == 0)
        *ret = close_record(fc);
    return taken;
}

static size_t take_some(struct fastcgi *fc, const char *p, size_t n, enum fastcgi_result *ret)
{
    size_t *left = fc->at == FASTCGI_AT_CONTENT ? &fc->content : &fc->padding;
    const size_t taken = n < *left ? n : *left;

    if (fc->at == FASTCGI_AT_HEADER)
        return take_header(fc, p, n, ret);
    *left -= taken;
    if (fc->at == FASTCGI_AT_PADDING) {
        if (fc->padding == 0) {
            fc->at = FASTCGI_AT_HEADER;
            fc->nheader = 0;
        }
        return taken;
    }
    *ret = take_content(fc, p, taken);
    if (*ret == FASTCGI_MORE && fc->content == 0)
        *ret = close_record(fc);
    return taken;
}

enum fastcgi_result fastcgi_feed(struct fastcgi *fc, const char *p, size_t n, size_t *ret_used)
{
    enum fastcgi_result result = FASTCGI_MORE;
    size_t used = 0;

    *ret_used = 0;
    if (fc->closed || fc->phase == FASTCGI_WHOLE)
        return fc->closed ? FASTCGI_CLOSE : FASTCGI_REQUEST;
    fc->reply.max = LIMIT_FASTCGI_REPLY_BYTES;
    while (result == FASTCGI_MORE && used < n)
        used += take_some(fc, p + used, n - used, &result);
    *ret_used = used;
    return fc->reply.failed ? broken(fc, "too much is asked at once") : result;
}

static void forget(struct buffer *b)
{
    buffer_clear(b);
    if (b->cap > KEPT_BYTES)
        buffer_free(b);
}

void fastcgi_reset(struct fastcgi *fc)
{
    fc->phase = FASTCGI_IDLE;
    fc->id = 0;
    fastcgi_params_clear(&fc->params);
    forget(&fc->stream);
    forget(&fc->body);
}

void fastcgi_clear(struct fastcgi *fc)
{
    fastcgi_reset(fc);
    forget(&fc->reply);
    forget(&fc->small);
    fc->at = FASTCGI_AT_HEADER;
    fc->nheader = 0;
    fc->closed = false;
    fc->why = NULL;
}

void fastcgi_free(struct fastcgi *fc)
{
    fastcgi_params_free(&fc->params);
    buffer_free(&fc->stream);
    buffer_free(&fc->body);
    buffer_free(&fc->reply);
    buffer_free(&fc->small);
    *fc = (struct fastcgi){ 0 };
}

bool fastcgi_is_idle(const struct fastcgi *fc)
{
    return fc->phase == FASTCGI_IDLE && fc->at == FASTCGI_AT_HEADER && fc->nheader == 0;
}
