/* Buffers and strict conversions, by tables of cases. */
#include "tests/unit/test.h"

#include "base/text.h"

TEST(buffers_grow_and_hold_any_bytes)
{
    struct buffer b = { .n = 0 };
    char long_text[1000];

    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    CHECK_STR(buffer_terminate(&b), "");
    buffer_bytes(&b, "a\0b", 3);
    buffer_text(&b, "cd");
    buffer_char(&b, 'e');
    buffer_printf(&b, "%d%s", 7, long_text);
    CHECK_SIZE(b.n, 7 + 999);
    CHECK(memcmp(b.p, "a\0bcde7xxx", 10) == 0);
    CHECK_SIZE(strlen(buffer_terminate(&b)), 1);
    CHECK_SIZE(b.n, 7 + 999);
    buffer_clear(&b);
    CHECK_STR(buffer_terminate(&b), "");
    buffer_free(&b);
    CHECK(b.p == NULL && b.n == 0);
}

TEST(a_full_buffer_fails_and_ignores_the_rest)
{
    struct buffer b = { .max = 5 };

    buffer_text(&b, "abcde");
    CHECK(!b.failed);
    CHECK_STR(buffer_terminate(&b), "abcde");
    buffer_char(&b, 'f');
    CHECK(b.failed);
    CHECK_SIZE(b.n, 5);
    buffer_text(&b, "");
    CHECK_STR(buffer_terminate(&b), "");
    buffer_clear(&b);
    buffer_printf(&b, "%s", "xyz");
    CHECK_STR(buffer_terminate(&b), "xyz");
    buffer_free(&b);
    CHECK_SIZE(b.max, 5);
}

TEST(integers_are_read_whole_or_not_at_all)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t want;
    } cases[] = {
        { "0", true, 0 },
        { "-0", true, 0 },
        { "+7", true, 7 },
        { "007", true, 7 },
        { "9223372036854775807", true, INT64_MAX },
        { "-9223372036854775808", true, INT64_MIN },
        { "9223372036854775808", false, 0 },
        { "-9223372036854775809", false, 0 },
        { "18446744073709551616", false, 0 },
        { "18446744073709551615", false, 0 },
        { "-18446744073709551615", false, 0 },
        { "", false, 0 },
        { "-", false, 0 },
        { "+", false, 0 },
        { "--1", false, 0 },
        { " 1", false, 0 },
        { "1 ", false, 0 },
        { "1.0", false, 0 },
        { "0x10", false, 0 },
        { "1e3", false, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t got = -1;
        const bool ok = text_i64(cases[i].text, strlen(cases[i].text), &got);

        if (ok != cases[i].ok || got != (ok ? cases[i].want : -1))
            TEST_FAIL_("\"%s\": got %d, %lld", cases[i].text, ok, (long long)got);
    }
}

TEST(numbers_are_finite_decimals)
{
    static const struct {
        const char *text;
        bool ok;
        double want;
    } cases[] = {
        { "0", true, 0 },      { "-1.5", true, -1.5 }, { "1e3", true, 1000 }, { ".5", true, 0.5 },
        { "1e-400", true, 0 }, { "", false, 0 },       { "nan", false, 0 },   { "inf", false, 0 },
        { "0x10", false, 0 },  { "1e999", false, 0 },  { "1,5", false, 0 },   { " 1", false, 0 },
        { "1e", false, 0 },    { ".", false, 0 },      { "1.2.3", false, 0 }, { "--1", false, 0 },
        { "1-1", false, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double got = -7;
        const bool ok = text_f64(cases[i].text, strlen(cases[i].text), &got);

        if (ok != cases[i].ok || (ok && fabs(got - cases[i].want) > 1e-12) || (!ok && got > -6))
            TEST_FAIL_("\"%s\": got %d, %g", cases[i].text, ok, got);
    }
    CHECK(!text_f64("1\0", 2, &(double){ 0 }));
}

TEST(hexadecimal_goes_both_ways)
{
    uint8_t bytes[4] = { 0 };
    char digits[9];

    CHECK(text_hex("00fFA5c3", 8, bytes));
    CHECK(memcmp(bytes, "\x00\xFF\xA5\xC3", 4) == 0);
    text_to_hex(bytes, 4, digits);
    CHECK_STR(digits, "00ffa5c3");
    CHECK(!text_hex("0", 1, bytes));
    CHECK(!text_hex("0g", 2, bytes));
    CHECK(!text_hex("g0", 2, bytes));
    CHECK(!text_hex("", 0, bytes)); /* empty is refused, as by every conversion */
    CHECK(!text_hex("/0", 2, bytes) && !text_hex(":0", 2, bytes) && !text_hex("@0", 2, bytes) &&
          !text_hex("`0", 2, bytes));
}

TEST(uuids_have_one_form)
{
    uint8_t id[16];

    CHECK(text_uuid("00112233-4455-6677-8899-AABBCCddeeff", 36, id));
    CHECK(memcmp(id, "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xAA\xBB\xCC\xDD\xEE\xFF", 16) == 0);
    CHECK(!text_uuid("00112233445566778899aabbccddeeff", 32, id));
    CHECK(!text_uuid("{0112233-4455-6677-8899-aabbccddeef}", 36, id));
    CHECK(!text_uuid("00112233-4455-6677-8899-aabbccddeefg", 36, id));
    CHECK(!text_uuid("001122330-455-6677-8899-aabbccddeeff", 36, id));
    CHECK(!text_uuid("00112233-4455-6677-8899-aabbccddeeff0", 37, id));
}

TEST(utf8_is_well_formed_or_not)
{
    static const struct {
        const char *text;
        size_t points; /* SIZE_MAX: malformed */
    } cases[] = {
        { "", 0 },
        { "abc", 3 },
        { "\x7F", 1 },
        { "\xC2\x80", 1 },
        { "\xDF\xBF", 1 },
        { "\xE0\xA0\x80", 1 },
        { "\xED\x9F\xBF", 1 },
        { "\xEE\x80\x80", 1 },
        { "\xEF\xBF\xBF", 1 },
        { "\xF0\x90\x80\x80", 1 },
        { "\xF4\x8F\xBF\xBF", 1 },
        { "a\xC3\xA9z", 3 },
        { "\x80", SIZE_MAX },
        { "\xC0\x80", SIZE_MAX },
        { "\xC1\xBF", SIZE_MAX },
        { "\xC2", SIZE_MAX },
        { "\xC2\x41", SIZE_MAX },
        { "\xE0\x9F\xBF", SIZE_MAX },
        { "\xE2\x82", SIZE_MAX },
        { "\xED\xA0\x80", SIZE_MAX },
        { "\xED\xBF\xBF", SIZE_MAX },
        { "\xF0\x8F\xBF\xBF", SIZE_MAX },
        { "\xF4\x90\x80\x80", SIZE_MAX },
        { "\xF5\x80\x80\x80", SIZE_MAX },
        { "\xF0\x9F\x98", SIZE_MAX },
        { "\xFE", SIZE_MAX },
        { "\xFF", SIZE_MAX },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const size_t n = strlen(cases[i].text);
        char *exact = malloc(n ? n : 1); /* the sanitizer sees one byte too far */

        memcpy(exact, cases[i].text, n);
        if (text_is_utf8(exact, n) != (cases[i].points != SIZE_MAX))
            TEST_FAIL_("case %zu: text_is_utf8", i);
        if (cases[i].points != SIZE_MAX)
            CHECK_SIZE(text_code_points(exact, n), cases[i].points);
        free(exact);
    }
    CHECK_SIZE(text_utf8_sequence("\xE2\x82\xACx", 4), 3);
    CHECK_SIZE(text_utf8_sequence("", 0), 0);
}

TEST(secrets_compare_by_every_byte)
{
    char a[32], b[32];

    memset(a, 7, sizeof a);
    for (size_t i = 0; i < sizeof a; i++) {
        memset(b, 7, sizeof b);
        CHECK(text_equal_secret(a, b, sizeof a));
        b[i] = 8;
        CHECK(!text_equal_secret(a, b, sizeof a));
    }
    CHECK(text_equal_secret(a, b, 0));
}

TEST(clocks_run)
{
    const int64_t first = clock_monotonic_ms();

    CHECK(clock_monotonic_ms() >= first);
    CHECK(clock_wall_us() > INT64_C(1750000000) * 1000000);
}

TEST(a_limited_buffer_takes_its_limit_byte_by_byte_and_no_more)
{
    for (size_t max = 250; max < 262; max++) { /* around the first capacity */
        struct buffer b = { .max = max };

        for (size_t i = 0; i < max; i++)
            buffer_char(&b, 'x');
        CHECK(!b.failed);
        CHECK_SIZE(strlen(buffer_terminate(&b)), max);
        buffer_char(&b, 'x');
        CHECK(b.failed);
        CHECK_SIZE(b.n, max);
        buffer_text(&b, "y");
        CHECK_SIZE(b.n, max);
        buffer_free(&b);
    }
}

TEST(a_buffer_appends_bytes_of_its_own)
{
    struct buffer b = { 0 };

    buffer_text(&b, "abc");
    for (int i = 0; i < 10; i++)
        buffer_copy(&b, 0, b.n); /* grows meanwhile */
    CHECK_SIZE(b.n, 3072);
    CHECK(memcmp(b.p + 3069, "abc", 3) == 0);
    buffer_copy(&b, 1, 0);
    CHECK_SIZE(b.n, 3072);
    buffer_free(&b);
}
