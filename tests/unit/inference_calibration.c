/* Calibrations: ranges of values, and the file that keeps them. */
#include "tests/unit/test.h"

#include "inference/plan/plan.h"
#include "inference/quantise/calibrate.h"
#include "inference/quantise/range.h"

static const char text[] = "fovea-calibration 2\n"
                           "model 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
                           "pictures 64\ntensors 2\nchannels 3\n"
                           "2 /a/act\n-0.25 3 0.5\n0 4 1\n1 b\n0 1.5e2 7\n";

static enum status read_text(const char *s, struct calibration **ret)
{
    struct fault f = FAULT_INIT;

    *ret = NULL;
    return calibration_read(s, strlen(s), ret, &f);
}

TEST(a_calibration_is_written_as_it_was_read)
{
    struct buffer b = { .n = 0 };
    struct calibration *c, *again;

    REQUIRE(read_text(text, &c) == ST_OK);
    CHECK(c->pictures == 64 && c->n == 2 && c->model[31] == 31);
    CHECK(calibration_find(c, "/a/act")->nchannels == 2 && calibration_find(c, "b")->nchannels == 1);
    CHECK(calibration_find(c, "/a/act")->channels[0].low == -0.25f);
    CHECK(calibration_find(c, "b")->channels[0].high == 150 &&
          calibration_find(c, "b")->channels[0].mean == 7);
    CHECK(!calibration_find(c, "c") && !calibration_find(c, NULL));
    calibration_write(c, &b);
    REQUIRE(read_text(buffer_terminate(&b), &again) == ST_OK);
    CHECK(again->n == 2 && calibration_find(again, "/a/act")->channels[1].high == 4);
    calibration_free(c);
    calibration_free(again);
    buffer_free(&b);
}

TEST(damaged_calibrations_are_refused)
{
    static const struct {
        const char *from, *to;
    } damage[] = {
        { "calibration 2", "calibration 1" },
        { "0001", "000g" },
        { "0001", "01" },
        { "pictures 64", "pictures -1" },
        { "pictures", "picture" },
        { "tensors 2", "tensors 3" },
        { "tensors 2", "tensors 1" },
        { "tensors 2", "tensors 999999999" },
        { "channels 3", "channels 2" },
        { "channels 3", "channels 4" },
        { "channels 3", "channels 999999999" },
        { "2 /a", "0 /a" },
        { "2 /a", "1 /a" },
        { "2 /a", "3 /a" },
        { "2 /a", "-2 /a" },
        { "-0.25 3 0.5", "0.25 3 0.5" },
        { "-0.25 3 0.5", "-0.25 -3 0.5" },
        { "-0.25 3 0.5", "nan 3 0.5" },
        { "-0.25 3 0.5", "-1e99 3 0.5" },
        { "-0.25 3 0.5", "-0.25 3 inf" },
        { "-0.25 3 0.5", "-0.25 3" },
        { "-0.25 3 0.5", "-0.25 3 0.5 1" },
        { " b\n", " /a/act\n" },
        { " b\n", " \n" },
        { " b\n", " b b\n" },
        { " 7\n", " 7" },
        { " 7\n", " 7\n\n" },
    };

    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        const char *at = strstr(text, damage[i].from);
        struct calibration *c;
        char s[512];
        snprintf(s, sizeof s, "%.*s%s%s", (int)(at - text), text, damage[i].to,
                 at + strlen(damage[i].from));
        if (read_text(s, &c) != ST_INVALID)
            TEST_FAIL_("accepted with \"%s\"", damage[i].to);
        calibration_free(c);
    }
}

TEST(a_calibration_is_for_one_file)
{
    struct fault f = FAULT_INIT;
    struct calibration *c;

    REQUIRE(read_text(text, &c) == ST_OK);
    calibration_digest("model", 5, c->model);
    CHECK(calibration_check(c, "model", 5, &f) == ST_OK);
    CHECK(calibration_check(c, "modem", 5, &f) == ST_INVALID);
    CHECK_STR(f.field, "calibration");
    calibration_free(c);
}

TEST(ranges_hold_all_that_was_seen)
{
    static const float x[] = { 1, -2, NAN, 3, INFINITY, -INFINITY, 0, 2 };
    struct range r = { .n = 0 };
    float low, high;

    range_add(&r, x, 8, 1);
    range_ends(&r, &low, &high);
    CHECK(low == -2 && high == 3);
    CHECK(fabsf(range_mean(&r) - 4.0f / 5) < 1e-6f);
    range_add(&r, x + 1, 2, 6); /* -2 and 2 */
    CHECK(fabsf(range_mean(&r) - 4.0f / 7) < 1e-6f);
}

TEST(ranges_leave_room_where_extremes_vary)
{
    struct range steady = { .n = 0 }, varying = { .n = 0 };
    float low, high;

    for (int i = 0; i < 64; i++) {
        range_add(&steady, (const float[]){ -0.25f, 5 }, 2, 1);
        range_add(&varying, (const float[]){ -0.25f, i % 2 ? 4 : 5 }, 2, 1);
    }
    range_ends(&steady, &low, &high);
    CHECK(low == -0.25f && high == 5);
    range_ends(&varying, &low, &high);
    CHECK(low == -0.25f && high > 6 && high < 10);
}

TEST(a_range_of_nothing_is_empty)
{
    const struct range r = { .n = 0 };
    float low = 1, high = 1;

    range_ends(&r, &low, &high);
    CHECK(low == 0 && high == 0 && range_mean(&r) == 0);
}
