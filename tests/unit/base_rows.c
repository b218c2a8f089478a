/* Times as PostgreSQL prints them, in the styles of the dialects. */
#include "base/rows.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "tests/unit/test.h"

static const char *spelled(const char *text, struct json_style style)
{
    static struct buffer b;

    buffer_clear(&b);
    json_write_time(&b, text, &style);
    return buffer_terminate(&b);
}

TEST(a_time_is_cut_to_the_digits_of_the_dialect)
{
    CHECK_STR(spelled("2026-11-21 22:55:57.123456+00", (struct json_style){ 0 }),
              "\"2026-11-21T22:55:57Z\"");
    CHECK_STR(spelled("2026-11-21 22:55:57.123456+00", (struct json_style){ .time_digits = 3 }),
              "\"2026-11-21T22:55:57.123Z\"");
    CHECK_STR(spelled("2026-11-21 22:55:57.1+00",
                      (struct json_style){ .time_digits = 6, .time_offset = true }),
              "\"2026-11-21T22:55:57.100000+00:00\"");
    CHECK_STR(spelled("2026-11-21 22:55:57+00", (struct json_style){ .time_digits = 3 }),
              "\"2026-11-21T22:55:57.000Z\"");
}

TEST(what_is_no_such_time_is_printed_as_text)
{
    CHECK_STR(spelled("infinity", (struct json_style){ 0 }), "\"infinity\"");
}

TEST(a_time_becomes_microseconds)
{
    int64_t us;

    REQUIRE(time_parse_us("1970-01-02 00:00:01.000002+00", &us));
    CHECK_I64(us, INT64_C(86401000002));
    REQUIRE(time_parse_us("2026-11-21 22:55:57.1+00", &us));
    CHECK_I64(us % 1000000, 100000);
    CHECK(!time_parse_us("2026-11-21 22:55:57+02", &us));
    CHECK(!time_parse_us("soon", &us));
}

TEST(a_value_with_two_names_is_printed_under_both)
{
    PGresAttDesc columns[2] = { { .name = (char[]){ "id,_id" }, .typid = 25 },
                                { .name = (char[]){ "n" }, .typid = 20 } };
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    const struct json_style style = { 0 };
    struct buffer out = { 0 };
    struct rows rows = { 0 };

    REQUIRE(r && PQsetResultAttrs(r, 2, columns));
    REQUIRE(PQsetvalue(r, 0, 0, (char[]){ "a\"b" }, 3) && PQsetvalue(r, 0, 1, (char[]){ "7" }, 1));
    REQUIRE(rows_begin(&rows, r, 0, &style, NULL));
    rows_object(&rows, 0, &out);
    CHECK_STR(buffer_terminate(&out), "{\"id\":\"a\\\"b\",\"_id\":\"a\\\"b\",\"n\":7}");
    buffer_clear(&out);
    rows_value(&rows, 0, "id", &out);
    CHECK_STR(buffer_terminate(&out), "\"a\\\"b\"");
    rows_end(&rows);
    buffer_free(&out);
    PQclear(r);
}

TEST(an_id_is_the_seconds_of_a_time_and_the_number)
{
    static const struct {
        const char *id, *time, *want;
    } cases[] = {
        { "1", "2026-11-21 23:33:00.999999+00", "\"6b022a2c0000000000000001\"" },
        { "9223372036854775807", "1970-01-01 00:00:00+00", "\"000000007fffffffffffffff\"" },
        { "255", "2106-02-07 06:28:15+00", "\"ffffffff00000000000000ff\"" },
        { "7", "", "null" },
        { "", "2026-11-21 23:33:00+00", "null" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        PGresAttDesc columns[2] = { { .name = (char[]){ "id,_id@at" }, .typid = 20 },
                                    { .name = (char[]){ "#at" }, .typid = 1184 } };
        PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
        const struct json_style style = { 0 };
        struct buffer out = { 0 };
        char want[128];
        struct rows rows = { 0 };

        REQUIRE(r && PQsetResultAttrs(r, 2, columns));
        REQUIRE(PQsetvalue(r, 0, 0, (char *)(uintptr_t)cases[i].id, (int)strlen(cases[i].id)));
        REQUIRE(PQsetvalue(r, 0, 1, (char *)(uintptr_t)cases[i].time, (int)strlen(cases[i].time)));
        REQUIRE(rows_begin(&rows, r, 0, &style, NULL));
        rows_object(&rows, 0, &out);
        snprintf(want, sizeof want, "{\"id\":%s,\"_id\":%s}", cases[i].want, cases[i].want);
        CHECK_STR(buffer_terminate(&out), want);
        buffer_clear(&out);
        rows_value(&rows, 0, "id", &out);
        CHECK_STR(buffer_terminate(&out), cases[i].want);
        rows_end(&rows);
        buffer_free(&out);
        PQclear(r);
    }
}

TEST(days_are_those_of_the_calendar)
{
    for (int64_t day = -25567; day < 49710; day++) { /* 1900 to 2106 */
        const time_t seconds = (time_t)(day * 86400);
        struct tm t;
        char text[64];
        int64_t us;

        REQUIRE(gmtime_r(&seconds, &t) != NULL);
        strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S+00", &t);
        REQUIRE(time_parse_us(text, &us));
        if (us != day * INT64_C(86400000000))
            TEST_FAIL_("%s is %lld", text, (long long)us);
    }
}
