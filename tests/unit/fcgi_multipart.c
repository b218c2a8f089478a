/* The multipart parser: every split of a body gives the same parts; each limit and malformation is
 * refused. */
#include "tests/unit/test.h"

#include "base/limits.h"
#include "fcgi/multipart.h"

/* What a sink saw, as text: "F name|file|type|bytes;" or "T name|value;". */
struct record {
    struct buffer log, file;
    struct multipart_part part;
    int pieces;
};

static enum status on_begin(void *arg, const struct multipart_part *part, struct fault *f)
{
    struct record *r = arg;

    (void)f;
    r->part = *part;
    buffer_clear(&r->file);
    return ST_OK;
}

static enum status on_bytes(void *arg, const void *p, size_t n, struct fault *f)
{
    struct record *r = arg;

    (void)f;
    CHECK(n > 0);
    r->pieces++;
    buffer_bytes(&r->file, p, n);
    return ST_OK;
}

static enum status on_end(void *arg, struct fault *f)
{
    struct record *r = arg;

    (void)f;
    buffer_printf(&r->log, "F %s|%s|%s|", r->part.name, r->part.filename, r->part.type);
    buffer_bytes(&r->log, r->file.p, r->file.n);
    buffer_char(&r->log, ';');
    return ST_OK;
}

static enum status on_text(void *arg, const struct multipart_part *part, const char *value, size_t n,
                           struct fault *f)
{
    struct record *r = arg;

    (void)f;
    CHECK(value[n] == '\0');
    buffer_printf(&r->log, "T %s|", part->name);
    buffer_bytes(&r->log, value, n);
    buffer_char(&r->log, ';');
    return ST_OK;
}

static void record_free(struct record *r)
{
    buffer_free(&r->log);
    buffer_free(&r->file);
}

static const char form[] = "multipart/form-data; boundary=XyZ";

/* Feeds the body in two pieces, cut at `cut`; n bytes at a time when step > 0. */
static enum status parse(const char *type, const char *body, size_t n, size_t cut, size_t step,
                         struct record *r, struct fault *f)
{
    const struct multipart_sink sink = { r, on_begin, on_bytes, on_end, on_text };
    struct multipart *m = NULL;
    enum status st = multipart_create(type, &sink, &m, f);

    if (st == ST_OK && step) {
        for (size_t i = 0; i < n && st == ST_OK; i += step)
            st = multipart_feed(m, body + i, n - i < step ? n - i : step, f);
    } else if (st == ST_OK) {
        st = multipart_feed(m, body, cut, f);
        if (st == ST_OK)
            st = multipart_feed(m, body + cut, n - cut, f);
    }
    if (st == ST_OK)
        st = multipart_finish(m, f);
    multipart_free(m);
    return st;
}

/* Full of half boundaries: CR, CRLF, CRLF-, CRLF--Xy just before other text and before the real one. */
static const char sample[] =
    "a preamble that is ignored\r\n--Xy\r\n"
    "--XyZ\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nhello\r\nworld\r\n"
    "--XyZ \t\r\ncontent-disposition:form-data;name=file; filename=\"a.bin\"\r\nContent-Type: "
    "Image/PNG; x=y\r\n\r\n"
    "\r\r\n\r\n-\r\n--\r\n--Xy\r\n--Xy--XyZ\r\r\r\n--XyZ\r\n"
    "Content-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n"
    "--XyZ\r\nContent-Disposition: form-data; name=\"none\"\r\n\r\n--XyZ--\r\nan epilogue\r\n--XyZ\r\n";
static const char parts[] =
    "T title|hello\r\nworld;F file|a.bin|image/png|\r\r\n\r\n-\r\n--\r\n--Xy\r\n--Xy--XyZ\r\r;"
    "T empty|;T none|;";

TEST(every_split_of_a_body_gives_the_same_parts)
{
    const size_t n = sizeof sample - 1;

    for (size_t cut = 0; cut <= n; cut++) {
        struct record r = { .pieces = 0 };
        struct fault f = FAULT_INIT;

        CHECK_I64(parse(form, sample, n, cut, 0, &r, &f), ST_OK);
        CHECK_STR(buffer_terminate(&r.log), parts);
        record_free(&r);
    }
}

TEST(pieces_of_every_size_give_the_same_parts)
{
    const size_t n = sizeof sample - 1;

    for (size_t step = 1; step <= 40; step++) {
        struct record r = { .pieces = 0 };
        struct fault f = FAULT_INIT;

        CHECK_I64(parse(form, sample, n, 0, step, &r, &f), ST_OK);
        CHECK_STR(buffer_terminate(&r.log), parts);
        record_free(&r);
    }
}

TEST(random_bytes_in_random_pieces_come_through_unchanged)
{
    static const char alphabet[] = "\r\n-Xy\0Z";
    unsigned seed = 20261121;

    for (int round = 0; round < 300; round++) {
        struct record r = { .pieces = 0 };
        struct fault f = FAULT_INIT;
        struct buffer body = { .n = 0 }, want = { .n = 0 };

        for (int i = 0; i < 200; i++) {
            seed = seed * 1103515245 + 12345;
            buffer_char(&want, alphabet[seed >> 16 & 7 ? (seed >> 20) % 7 : 5]);
        }
        buffer_terminate(&want);
        if (memmem(want.p, want.n, "\r\n--XyZ", 7) || memcmp(want.p, "--XyZ", 5) == 0) {
            buffer_free(&want);
            continue;
        }
        buffer_text(&body, "--XyZ\r\nContent-Disposition: form-data; name=f; filename=g\r\n\r\n");
        buffer_bytes(&body, want.p, want.n);
        buffer_text(&body, "\r\n--XyZ--");
        CHECK_I64(parse(form, body.p, body.n, 0, 1 + seed % 17, &r, &f), ST_OK);
        CHECK_SIZE(r.file.n, want.n);
        CHECK(r.file.n == want.n && memcmp(r.file.p, want.p, want.n) == 0);
        buffer_free(&body);
        buffer_free(&want);
        record_free(&r);
    }
}

TEST(the_boundary_is_read_from_content_type_or_refused)
{
    static const struct {
        const char *type;
        enum status want;
    } cases[] = {
        { "multipart/form-data; boundary=XyZ", ST_OK },
        { "Multipart/Form-Data;charset=utf-8 ;BOUNDARY=\"XyZ\";", ST_OK },
        { "multipart/form-data; boundary=\"X\\yZ\"",
          ST_UNSUPPORTED }, /* a backslash is no boundary character */
        { "multipart/form-data", ST_UNSUPPORTED },
        { "multipart/form-data; boundary=", ST_UNSUPPORTED },
        { "multipart/form-data; boundary=\"\"", ST_UNSUPPORTED },
        { "multipart/form-data; boundary=\"XyZ", ST_UNSUPPORTED },
        { "multipart/form-data; boundary=\"XyZ \"", ST_UNSUPPORTED },
        { "multipart/form-data; boundary=XyZ; boundary=XyZ", ST_UNSUPPORTED },
        { "multipart/form-data; boundary=X\r\nyZ", ST_UNSUPPORTED },
        { "multipart/form-data; "
          "boundary=1234567890123456789012345678901234567890123456789012345678901234567890A",
          ST_UNSUPPORTED },
        { "multipart/mixed; boundary=XyZ", ST_UNSUPPORTED },
        { "application/json", ST_UNSUPPORTED },
        { "", ST_UNSUPPORTED },
        { NULL, ST_UNSUPPORTED },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record r = { .pieces = 0 };
        struct fault f = FAULT_INIT;
        const enum status got = parse(cases[i].type, "--XyZ--", 7, 0, 0, &r, &f);

        if (got != cases[i].want)
            TEST_FAIL_("%s: got %s", cases[i].type, status_name(got));
        record_free(&r);
    }
}

TEST(the_headers_of_a_part_are_read_or_refused)
{
    static const struct {
        const char *disposition;
        const char *want; /* NULL: refused */
    } cases[] = {
        { "form-data; name=a", "T a|v;" },
        { "FORM-DATA; Name=\"a\"", "T a|v;" },
        { "form-data; name=\"a\\\"b\\\\c\"", "T a\"b\\c|v;" },
        { "form-data; name=\"a;b\"; filename=\"c;d\"", "F a;b|c;d||v;" },
        { "form-data; name=\"a\"; filename=\"\"", "F a|||v;" },
        { "form-data; name=\"a\"; filename=\"C:\\dir\\b.jpg\"", "F a|b.jpg||v;" },
        { "form-data; name=\"a\"; filename=\"../../etc/passwd\"", "F a|passwd||v;" },
        { "form-data; name=\"a\"; filename=\"x/..\"", "F a|||v;" },
        { "form-data; name=\"a\"; filename=\"k%22l.png\"", "F a|k%22l.png||v;" },
        { "form-data; name=\"a\"; filename*=UTF-8''%e2%82%ac%20rates.txt",
          "F a|\xE2\x82\xAC rates.txt||v;" },
        { "form-data; name=\"a\"; filename=\"plain\"; filename*=utf-8'en'better", "F a|better||v;" },
        { "form-data; name=\"a\"; filename*=utf-8'en'better; filename=\"plain\"", "F a|better||v;" },
        { "form-data; name=\"a\"; filename*=UTF-8''..%2F..%2Fx", "F a|x||v;" },
        { "form-data; name=\"a\"; filename*=UTF-8''%00", NULL },
        { "form-data; name=\"a\"; filename*=UTF-8''%e2%82", NULL },
        { "form-data; name=\"a\"; filename*=UTF-8''%4", NULL },
        { "form-data; name=\"a\"; filename*=ISO-8859-1''x", NULL },
        { "form-data; name=\"a\"; filename*=x", NULL },
        { "form-data; name=\"a\"; name=\"b\"", NULL },
        { "form-data; name=\"a\"; filename=b; filename=c", NULL },
        { "form-data; name=\"a", NULL },
        { "form-data; name=\"a\"b", NULL },
        { "form-data; name=", NULL },
        { "form-data; name", NULL },
        { "form-data", NULL },
        { "attachment; name=a", NULL },
        { "form-data; name=\"\xFF\"", NULL },
        { "form-data; name=\"a\tb\"", NULL },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record r = { .pieces = 0 };
        struct fault f = FAULT_INIT;
        struct buffer body = { .n = 0 };
        enum status st;

        buffer_printf(&body, "--XyZ\r\nX-Other: 1\r\nContent-Disposition: %s\r\n\r\nv\r\n--XyZ--\r\n",
                      cases[i].disposition);
        st = parse(form, body.p, body.n, 0, 7, &r, &f);
        if (!cases[i].want) {
            if (st != ST_INVALID || !f.detail[0] || f.offset < 0)
                TEST_FAIL_("%s: not refused with a place", cases[i].disposition);
        } else if (st != ST_OK || strcmp(buffer_terminate(&r.log), cases[i].want) != 0) {
            TEST_FAIL_("%s: got %s %s", cases[i].disposition, f.detail, buffer_terminate(&r.log));
        }
        buffer_free(&body);
        record_free(&r);
    }
}

TEST(malformed_bodies_are_refused)
{
    static const struct {
        const char *body;
        enum status want;
    } cases[] = {
        { "", ST_INVALID },
        { "--XyZ", ST_INVALID },
        { "--XyZ\r\n", ST_INVALID },
        { "--XyZ-", ST_INVALID },
        { "--XyZ--", ST_OK },
        { "--XyZ--trailing", ST_OK },
        { "\r\n--XyZ--", ST_OK },
        { " --XyZ--", ST_INVALID },   /* no delimiter: not at the start of a line */
        { "--XyZQ\r\n", ST_INVALID }, /* a boundary with more behind it */
        { "--XyZ\n", ST_INVALID },
        { "--XyZ\r\n\r\nv\r\n--XyZ--", ST_INVALID }, /* no Content-Disposition */
        { "--XyZ\r\nContent-Disposition: form-data; name=a\r\n folded\r\n\r\nv\r\n--XyZ--", ST_INVALID },
        { "--XyZ\r\nContent-Disposition\r\n\r\nv\r\n--XyZ--", ST_INVALID },
        { "--XyZ\r\nContent-Disposition: form-data; name=a\r\nContent-Disposition: form-data; "
          "name=a\r\n\r\nv\r\n--XyZ--",
          ST_INVALID },
        { "--XyZ\r\nContent-Disposition: form-data; name=a\r\nContent-Transfer-Encoding: "
          "base64\r\n\r\nv\r\n--XyZ--",
          ST_UNSUPPORTED },
        { "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n--XyZ\r\n", ST_INVALID },
        { "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nv", ST_INVALID },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = strlen(cases[i].body);

        for (size_t cut = 0; cut <= n; cut++) {
            struct record r = { .pieces = 0 };
            struct fault f = FAULT_INIT;
            const enum status got = parse(form, cases[i].body, n, cut, 0, &r, &f);

            if (got != cases[i].want)
                TEST_FAIL_("%s cut at %zu: got %s", cases[i].body, cut, status_name(got));
            record_free(&r);
        }
    }
}

TEST(too_many_parts_are_refused)
{
    for (int n = LIMIT_MULTIPART_PARTS; n <= LIMIT_MULTIPART_PARTS + 1; n++) {
        struct record r = { .pieces = 0 };
        struct fault f = FAULT_INIT;
        struct buffer body = { .n = 0 };

        for (int i = 0; i < n; i++)
            buffer_text(&body, "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\nv\r\n");
        buffer_text(&body, "--XyZ--");
        CHECK_I64(parse(form, body.p, body.n, 0, 0, &r, &f),
                  n > LIMIT_MULTIPART_PARTS ? ST_TOO_LARGE : ST_OK);
        buffer_free(&body);
        record_free(&r);
    }
}

TEST(long_headers_are_refused)
{
    struct record r = { .pieces = 0 };
    struct fault f = FAULT_INIT;
    struct buffer body = { .n = 0 };

    buffer_text(&body, "--XyZ\r\nX: ");
    for (int i = 0; i < LIMIT_MULTIPART_HEADER_BYTES; i++)
        buffer_char(&body, 'a');
    CHECK_I64(parse(form, body.p, body.n, 0, 0, &r, &f), ST_TOO_LARGE);
    CHECK_I64(f.offset, 7 + LIMIT_MULTIPART_HEADER_BYTES);
    buffer_free(&body);
    record_free(&r);
}

TEST(names_at_their_limits_fit_and_longer_ones_are_refused)
{
    for (int more = 0; more <= 1; more++) {
        struct record r = { .pieces = 0 };
        struct fault f = FAULT_INIT;
        struct buffer body = { .n = 0 };

        buffer_printf(
            &body,
            "--XyZ\r\nContent-Disposition: form-data; name=%0*d; filename=%0*d\r\n\r\n\r\n--XyZ--",
            127 + more, 1, 255 + more, 2);
        CHECK_I64(parse(form, body.p, body.n, 0, 0, &r, &f), more ? ST_INVALID : ST_OK);
        buffer_free(&body);
        record_free(&r);
    }
}

TEST(a_text_part_is_limited_and_a_file_is_not)
{
    static const char piece[1 << 16];

    for (int is_file = 0; is_file <= 1; is_file++) {
        struct record r = { .pieces = 0 };
        const struct multipart_sink sink = { &r, on_begin, on_bytes, on_end, on_text };
        struct fault f = FAULT_INIT;
        struct multipart *m = NULL;
        enum status st = multipart_create(form, &sink, &m, &f);
        const char *const head =
            is_file ? "--XyZ\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\n"
                    : "--XyZ\r\nContent-Disposition: form-data; name=a\r\n\r\n";

        REQUIRE(st == ST_OK);
        st = multipart_feed(m, head, strlen(head), &f);
        for (size_t sent = 0; st == ST_OK && sent <= LIMIT_MULTIPART_TEXT_BYTES; sent += sizeof piece) {
            st = multipart_feed(m, piece, sizeof piece, &f);
            buffer_clear(&r.file);
        }
        CHECK_I64(st, is_file ? ST_OK : ST_TOO_LARGE);
        CHECK_I64(multipart_feed(m, "x", 1, &f),
                  is_file ? ST_OK : ST_INVALID); /* a refused body stays refused */
        multipart_free(m);
        record_free(&r);
    }
}

static enum status refuse_bytes(void *arg, const void *p, size_t n, struct fault *f)
{
    (void)arg, (void)p, (void)n;
    return fault_set(f, ST_TOO_LARGE, "file", "too large");
}

TEST(a_refusal_of_the_sink_comes_back_as_it_is)
{
    struct record r = { .pieces = 0 };
    const struct multipart_sink sink = { &r, on_begin, refuse_bytes, on_end, on_text };
    static const char body[] =
        "--XyZ\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nv\r\n--XyZ--";
    struct multipart *m = NULL;
    struct fault f = FAULT_INIT;
    enum status st = multipart_create(form, &sink, &m, &f);

    REQUIRE(st == ST_OK);
    CHECK_I64(multipart_feed(m, body, sizeof body - 1, &f), ST_TOO_LARGE);
    CHECK_STR(f.field, "file");
    CHECK_I64(f.offset, -1);
    multipart_free(m);
    record_free(&r);
}
