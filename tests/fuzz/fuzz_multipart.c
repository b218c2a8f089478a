/*
 * The multipart parser: no input crashes, and the parts do not depend on how the body is cut into
 * pieces. The first byte of the input is the size of the pieces of the second reading; the boundary is
 * "b".
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "fcgi/multipart.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status on_begin(void *arg, const struct multipart_part *part, struct fault *f)
{
    (void)f;
    assert(text_is_utf8(part->filename, strlen(part->filename)) && !strchr(part->filename, '/'));
    buffer_printf(arg, "F %s|%s|%s|", part->name, part->filename, part->type);
    return ST_OK;
}

static enum status on_bytes(void *arg, const void *p, size_t n, struct fault *f)
{
    (void)f;
    buffer_bytes(arg, p, n);
    return ST_OK;
}

static enum status on_end(void *arg, struct fault *f)
{
    (void)f;
    buffer_char(arg, ';');
    return ST_OK;
}

static enum status on_text(void *arg, const struct multipart_part *part, const char *value, size_t n,
                           struct fault *f)
{
    (void)f;
    buffer_printf(arg, "T %s|", part->name);
    buffer_bytes(arg, value, n);
    buffer_char(arg, ';');
    return ST_OK;
}

static enum status parse(const uint8_t *p, size_t n, size_t step, struct buffer *seen)
{
    const struct multipart_sink sink = { seen, on_begin, on_bytes, on_end, on_text };
    struct multipart *m = NULL;
    enum status st = multipart_create("multipart/form-data; boundary=b", &sink, &m, NULL);

    for (size_t i = 0; i < n && st == ST_OK; i += step)
        st = multipart_feed(m, p + i, n - i < step ? n - i : step, NULL);
    if (st == ST_OK)
        st = multipart_finish(m, NULL);
    multipart_free(m);
    return st;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buffer whole = { .n = 0 }, cut = { .n = 0 };
    enum status st;

    if (size == 0)
        return 0;
    st = parse(data + 1, size - 1, size, &whole);
    if (st != parse(data + 1, size - 1, (size_t)data[0] + 1, &cut))
        abort();
    if (st == ST_OK && (whole.n != cut.n || (whole.n && memcmp(whole.p, cut.p, whole.n) != 0)))
        abort();
    buffer_free(&whole);
    buffer_free(&cut);
    return 0;
}
