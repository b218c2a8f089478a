/* The FastCGI reader: a request is the same however its bytes are cut; what is no request is answered or
 * refused. */
#include "tests/unit/test.h"

#include "base/limits.h"
#include "fcgi/fastcgi.h"

enum { KEEP = 1, RESPONDER = 1, AUTHORIZER = 2 };

static void record(struct buffer *out, int type, int id, const void *p, size_t n, size_t padding)
{
    uint8_t header[FASTCGI_HEADER_BYTES];

    fastcgi_frame(header, (enum fastcgi_type)type, (uint16_t)id, n);
    header[6] = (uint8_t)padding;
    buffer_bytes(out, header, sizeof header);
    buffer_bytes(out, p, n);
    for (size_t i = 0; i < padding; i++)
        buffer_char(out, '?');
}

static void begin(struct buffer *out, int id, int role, int flags)
{
    const uint8_t body[8] = { 0, (uint8_t)role, (uint8_t)flags };

    record(out, FASTCGI_BEGIN_REQUEST, id, body, sizeof body, 0);
}

/* A length as four bytes when it must be, or when long_form says so. */
static void length(struct buffer *out, size_t n, bool long_form)
{
    if (n < 128 && !long_form) {
        buffer_char(out, (char)n);
        return;
    }
    buffer_char(out, (char)(0x80 | n >> 24));
    buffer_char(out, (char)(n >> 16));
    buffer_char(out, (char)(n >> 8));
    buffer_char(out, (char)n);
}

static void pair(struct buffer *out, const char *name, const char *value, bool long_form)
{
    length(out, strlen(name), long_form);
    length(out, strlen(value), long_form);
    buffer_text(out, name);
    buffer_text(out, value);
}

/* Everything that a session with the reader says, as text; fed in pieces of at most `step` bytes. */
static void said(const struct buffer *bytes, size_t first, size_t step, struct buffer *out)
{
    struct fastcgi fc = { 0 };
    size_t at = 0, piece = first;
    enum fastcgi_result result = FASTCGI_MORE;

    while (at < bytes->n && result != FASTCGI_CLOSE) {
        size_t used;

        piece = piece > bytes->n - at ? bytes->n - at : piece;
        result = fastcgi_feed(&fc, bytes->p + at, piece, &used);
        at += used;
        CHECK(used == piece || result != FASTCGI_MORE);
        for (size_t i = 0; i < fc.reply.n; i++)
            buffer_printf(out, "%02x", (unsigned char)fc.reply.p[i]);
        buffer_clear(&fc.reply);
        if (result == FASTCGI_REQUEST) {
            buffer_printf(out, "[%d%s", fc.id, fc.keep ? " keep" : "");
            for (uint32_t i = 0; i < fc.params.n; i++)
                buffer_printf(out, " %s=%s", fc.params.all[i].name, fc.params.all[i].value);
            buffer_printf(out, " body %zu]", fc.body.n);
            fastcgi_reset(&fc);
        }
        if (result == FASTCGI_CLOSE)
            buffer_printf(out, "(%s)", fc.why ? fc.why : "close");
        piece = step;
    }
    if (result != FASTCGI_CLOSE)
        buffer_text(out, fastcgi_is_idle(&fc) ? "." : "...");
    fastcgi_free(&fc);
}

static void check_said(const struct buffer *bytes, const char *want)
{
    struct buffer out = { 0 };

    said(bytes, bytes->n, bytes->n, &out);
    CHECK_STR(buffer_terminate(&out), want);
    buffer_free(&out);
}

static void small_request(struct buffer *out, int id)
{
    struct buffer pairs = { 0 };

    pair(&pairs, "REQUEST_METHOD", "POST", false);
    pair(&pairs, "HTTP_EMPTY", "", true);
    pair(&pairs, "HTTP_TWICE", "first", false);
    pair(&pairs, "HTTP_TWICE", "second", false);
    begin(out, id, RESPONDER, KEEP);
    record(out, FASTCGI_PARAMS, id, pairs.p, 7, 3); /* a length and a name are cut in two */
    record(out, FASTCGI_PARAMS, id, pairs.p + 7, pairs.n - 7, 0);
    record(out, FASTCGI_PARAMS, id, NULL, 0, 5);
    record(out, FASTCGI_STDIN, id, "hello", 5, 1);
    record(out, FASTCGI_STDIN, id, NULL, 0, 2);
    buffer_free(&pairs);
}

#define SMALL(id)                                                                                       \
    "[" #id " keep REQUEST_METHOD=POST HTTP_EMPTY= HTTP_TWICE=first HTTP_TWICE=second body 5]"

TEST(a_request_is_the_same_however_it_is_cut)
{
    struct buffer bytes = { 0 }, out = { 0 };

    small_request(&bytes, 1);
    small_request(&bytes, 513);
    check_said(&bytes, SMALL(1) SMALL(513) ".");
    for (size_t first = 1; first < bytes.n; first++) {
        buffer_clear(&out);
        said(&bytes, first, bytes.n, &out);
        CHECK_STR(buffer_terminate(&out), SMALL(1) SMALL(513) ".");
    }
    for (size_t step = 1; step < 32; step++) {
        buffer_clear(&out);
        said(&bytes, step, step, &out);
        CHECK_STR(buffer_terminate(&out), SMALL(1) SMALL(513) ".");
    }
    for (size_t n = 1; n < bytes.n / 2 - 2;
         n++) { /* the first request, its last record's padding apart */
        const struct buffer part = { .p = bytes.p, .n = n };

        buffer_clear(&out);
        said(&part, n, n, &out);
        CHECK_STR(buffer_terminate(&out), "...");
    }
    buffer_free(&bytes);
    buffer_free(&out);
}

TEST(parameters_are_found_by_name_and_the_first_of_two_counts)
{
    struct buffer stream = { 0 };
    struct fastcgi_params ps = { 0 };
    char name[32];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "NAME_%d", i);
        pair(&stream, name, name + 5, i % 2);
    }
    pair(&stream, "NAME_7", "again", false);
    (void)buffer_terminate(&stream);
    CHECK(fastcgi_params_parse(&ps, stream.p, stream.n));
    CHECK_SIZE(ps.n, 1001);
    CHECK_STR(fastcgi_params_find(&ps, "NAME_7"), "7");
    CHECK_STR(fastcgi_params_find(&ps, "NAME_0"), "0");
    CHECK_STR(fastcgi_params_find(&ps, "NAME_999"), "999");
    CHECK(!fastcgi_params_find(&ps, "NAME_1000"));
    CHECK(!fastcgi_params_find(&ps, ""));
    fastcgi_params_clear(&ps);
    CHECK(!fastcgi_params_find(&ps, "NAME_7"));
    fastcgi_params_free(&ps);
    buffer_free(&stream);
}

TEST(pairs_that_do_not_fit_are_refused)
{
    static const struct {
        const char *bytes;
        size_t n;
    } cases[] = {
        { "\x01", 1 },     /* no second length */
        { "\x01\x00", 2 }, /* no name */
        { "\x01\x02"       /* half a value */
          "AB",
          4 },
        { "\x80\x00\x00", 3 }, /* half a length */
        { "\xff\xff\xff\xff\xff\xff\xff\xff", 8 },
        { "\x01\x01\0B", 4 }, /* NUL in a name */
        { "\x01\x02"
          "AB\0",
          5 }, /* in a value */
        { "\x01\x01"
          "AB\x01",
          5 }, /* a good pair, then half a one */
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fastcgi_params ps = { 0 };
        char stream[16] = { 0 };

        memcpy(stream, cases[i].bytes, cases[i].n);
        CHECK(!fastcgi_params_parse(&ps, stream, cases[i].n));
        CHECK_SIZE(ps.n, 0);
        fastcgi_params_free(&ps);
    }
}

TEST(one_request_at_a_time)
{
    struct buffer bytes = { 0 };

    begin(&bytes, 1, RESPONDER, KEEP);
    begin(&bytes, 2, RESPONDER, KEEP);
    record(&bytes, FASTCGI_PARAMS, 2,
           "\x01\x01"
           "AB",
           4, 0); /* of the refused one: skipped */
    record(&bytes, FASTCGI_PARAMS, 2, NULL, 0, 0);
    record(&bytes, FASTCGI_STDIN, 2, NULL, 0, 0);
    record(&bytes, FASTCGI_PARAMS, 1, NULL, 0, 0);
    record(&bytes, FASTCGI_STDIN, 1, NULL, 0, 0);
    check_said(&bytes, "01030002000800000000000001000000[1 keep body 0].");
    buffer_free(&bytes);
}

TEST(only_the_responder_role_is_played)
{
    struct buffer bytes = { 0 };

    begin(&bytes, 1, AUTHORIZER, KEEP);
    record(&bytes, FASTCGI_PARAMS, 1, NULL, 0, 0);
    check_said(&bytes, "01030001000800000000000003000000.");
    buffer_clear(&bytes);
    begin(&bytes, 1, AUTHORIZER, 0);
    check_said(&bytes, "01030001000800000000000003000000(close)");
    buffer_free(&bytes);
}

TEST(an_aborted_request_is_ended_and_forgotten)
{
    struct buffer bytes = { 0 };

    begin(&bytes, 1, RESPONDER, KEEP);
    record(&bytes, FASTCGI_PARAMS, 1,
           "\x01\x01"
           "AB",
           4, 0);
    record(&bytes, FASTCGI_ABORT_REQUEST, 2, NULL, 0, 0); /* another's */
    record(&bytes, FASTCGI_ABORT_REQUEST, 1, NULL, 0, 0);
    begin(&bytes, 1, RESPONDER, 0);
    record(&bytes, FASTCGI_PARAMS, 1, NULL, 0, 0);
    record(&bytes, FASTCGI_STDIN, 1, NULL, 0, 0);
    check_said(&bytes, "01030001000800000000000000000000[1 body 0].");
    buffer_free(&bytes);
}

TEST(management_records_are_answered_at_any_time)
{
    struct buffer bytes = { 0 }, names = { 0 };

    pair(&names, "FCGI_MPXS_CONNS", "", false);
    pair(&names, "FCGI_NO_SUCH", "", false);
    begin(&bytes, 1, RESPONDER, KEEP);
    record(&bytes, FASTCGI_GET_VALUES, 0, names.p, names.n, 1);
    record(&bytes, 77, 0, "xy", 2, 0);
    record(&bytes, FASTCGI_PARAMS, 1, NULL, 0, 0);
    record(&bytes, 77, 1, "xy", 2, 0);
    record(&bytes, FASTCGI_STDIN, 1, NULL, 0, 0);
    check_said(&bytes, "010a0000001200000f01464347495f4d5058535f434f4e4e5330" /* FCGI_MPXS_CONNS=0 */
                       "010b0000000800004d00000000000000[1 keep body 0].");
    buffer_free(&bytes);
    buffer_free(&names);
}

TEST(what_is_no_fastcgi_closes_the_connection)
{
    static const uint8_t eight[8] = { 0, RESPONDER, KEEP };
    static const struct {
        int type, id;
        size_t n;
        const char *said;
    } after_begin[] = {
        { FASTCGI_BEGIN_REQUEST, 1, 8, "(a request begins twice)" },
        { FASTCGI_BEGIN_REQUEST, 2, 7, "(FCGI_BEGIN_REQUEST cannot be read)" },
        { FASTCGI_BEGIN_REQUEST, 0, 8, "(FCGI_BEGIN_REQUEST cannot be read)" },
        { FASTCGI_STDIN, 1, 0, "(streams come in the wrong order)" },
        { FASTCGI_GET_VALUES, 0, 1, "(FCGI_GET_VALUES cannot be read)" },
    };
    struct buffer bytes = { 0 };

    for (size_t i = 0; i < sizeof after_begin / sizeof *after_begin; i++) {
        buffer_clear(&bytes);
        begin(&bytes, 1, RESPONDER, KEEP);
        record(&bytes, after_begin[i].type, after_begin[i].id, i == 4 ? (const void *)"\x05" : eight,
               after_begin[i].n, 0);
        small_request(&bytes, 3);
        check_said(&bytes, after_begin[i].said);
    }
    buffer_clear(&bytes);
    buffer_text(&bytes, "GET / HTTP/1.1\r\n\r\n");
    check_said(&bytes, "(the version is not 1)");
    buffer_free(&bytes);
}

TEST(too_many_parameters_close_the_connection_and_too_long_a_body_is_cut)
{
    static char zeros[65535];
    struct buffer bytes = { 0 };

    begin(&bytes, 1, RESPONDER, KEEP);
    for (size_t n = 0; n <= LIMIT_FASTCGI_PARAMS_BYTES; n += sizeof zeros)
        record(&bytes, FASTCGI_PARAMS, 1, zeros, sizeof zeros, 0);
    check_said(&bytes, "(the parameters are too large)");
    buffer_clear(&bytes);
    begin(&bytes, 1, RESPONDER, 0);
    record(&bytes, FASTCGI_PARAMS, 1, NULL, 0, 0);
    for (size_t n = 0; n <= LIMIT_FASTCGI_BODY_BYTES; n += sizeof zeros)
        record(&bytes, FASTCGI_STDIN, 1, zeros, sizeof zeros, 0);
    record(&bytes, FASTCGI_STDIN, 1, NULL, 0, 0);
    check_said(&bytes, "[1 body 16777216].");
    buffer_free(&bytes);
}

TEST(an_answer_to_each_of_many_questions_has_a_limit)
{
    struct buffer bytes = { 0 };
    struct fastcgi fc = { 0 };
    size_t used;

    for (int i = 0; i < LIMIT_FASTCGI_REPLY_BYTES / 16 + 1; i++)
        record(&bytes, 77, 0, NULL, 0, 0);
    CHECK_I64(fastcgi_feed(&fc, bytes.p, bytes.n, &used), FASTCGI_CLOSE);
    CHECK_STR(fc.why, "too much is asked at once");
    CHECK_I64(fastcgi_feed(&fc, bytes.p, bytes.n, &used), FASTCGI_CLOSE);
    CHECK_SIZE(used, 0);
    fastcgi_clear(&fc);
    CHECK(fastcgi_is_idle(&fc));
    CHECK_I64(fastcgi_feed(&fc, bytes.p, 8, &used), FASTCGI_MORE);
    fastcgi_free(&fc);
    buffer_free(&bytes);
}
