/*
 * The FastCGI reader: no input crashes, and requests, replies and refusals do not depend on how the
 * bytes are cut. Strings of a request end within what was sent, each name is found, the first of two
 * equal ones.
 *
 * Input: the size of the pieces of the second reading, then the bytes of a connection. The corpus is
 * whole connections, so that mutations reach what stands behind a request.
 */
#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "fcgi/fastcgi.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look_at_params(const struct fastcgi *fc, struct buffer *seen)
{
    for (uint32_t i = 0; i < fc->params.n; i++) {
        const struct fastcgi_param *p = &fc->params.all[i];
        const char *found = fastcgi_params_find(&fc->params, p->name);

        assert(p->name >= fc->stream.p && p->value + strlen(p->value) <= fc->stream.p + fc->stream.n);
        assert(found && found <= p->value);
        buffer_text(seen, p->name);
        buffer_char(seen, '=');
        buffer_text(seen, p->value);
        buffer_char(seen, '\n');
    }
}

static void read_all(const char *p, size_t n, size_t step, struct buffer *seen)
{
    struct fastcgi fc = { 0 };
    enum fastcgi_result result = FASTCGI_MORE;

    while (n && result != FASTCGI_CLOSE) {
        const size_t piece = n < step ? n : step;
        size_t used;

        result = fastcgi_feed(&fc, p, piece, &used);
        assert(used <= piece && (used == piece || result != FASTCGI_MORE));
        p += used;
        n -= used;
        buffer_bytes(seen, fc.reply.p, fc.reply.n);
        buffer_clear(&fc.reply);
        if (result == FASTCGI_REQUEST) {
            assert(fc.body.n <= LIMIT_FASTCGI_BODY_BYTES && fc.stream.n <= LIMIT_FASTCGI_PARAMS_BYTES);
            buffer_printf(seen, "request %d %d\n", fc.id, fc.keep);
            look_at_params(&fc, seen);
            buffer_bytes(seen, fc.body.p, fc.body.n);
            fastcgi_reset(&fc);
        }
    }
    if (result == FASTCGI_CLOSE)
        buffer_text(seen, fc.why ? fc.why : "closed");
    else
        buffer_text(seen, fastcgi_is_idle(&fc) ? "idle" : "half");
    fastcgi_free(&fc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = { 0 }, pieces = { 0 };

    /* Replies have a limit for each reading: beyond it the two would rightly differ. */
    if (size < 2 || size > LIMIT_FASTCGI_REPLY_BYTES / 2)
        return 0;
    read_all((const char *)data + 1, size - 1, size - 1, &whole);
    read_all((const char *)data + 1, size - 1, 1 + data[0] % 16, &pieces);
    assert(whole.n == pieces.n && (whole.n == 0 || memcmp(whole.p, pieces.p, whole.n) == 0));
    buffer_free(&whole);
    buffer_free(&pieces);
    return 0;
}
