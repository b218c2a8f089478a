/* Calibrations: ranges of values, and the file that keeps them. */
#include "tests/unit/test.h"

#include "inference/plan/plan.h"
#include "inference/quantise/calibrate.h"
#include "inference/quantise/range.h"

static const char text[] = "fovea-calibration 1\n"
                           "model 000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"
                           "pictures 64\ntensors 2\n-0.25 3 /a/act\n0 1.5e2 b\n";

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
    CHECK(calibration_find(c, "/a/act")->low == -0.25f && calibration_find(c, "b")->high == 150);
    CHECK(!calibration_find(c, "c") && !calibration_find(c, NULL));
    calibration_write(c, &b);
    REQUIRE(read_text(buffer_terminate(&b), &again) == ST_OK);
    CHECK(again->n == 2 && calibration_find(again, "/a/act")->high == 3);
    calibration_free(c);
    calibration_free(again);
    buffer_free(&b);
}

TEST(damaged_calibrations_are_refused)
{
    static const struct {
        const char *from, *to;
    } damage[] = {
        { "calibration 1", "calibration 2" },
        { "0001", "000g" },
        { "0001", "01" },
        { "pictures 64", "pictures -1" },
        { "pictures", "picture" },
        { "tensors 2", "tensors 3" },
        { "tensors 2", "tensors 1" },
        { "tensors 2", "tensors 999999999" },
        { "-0.25 3", "0.25 3" },
        { "-0.25 3", "-0.25 -3" },
        { "-0.25 3", "nan 3" },
        { "-0.25 3", "-1e99 3" },
        { "-0.25 3", "-0.25" },
        { " b\n", " /a/act\n" },
        { " b\n", " b" },
        { " b\n", " \n" },
        { " b\n", " b b\n" },
        { " b\n", " b\n\n" },
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

TEST(ranges_hold_what_is_common_and_clip_what_is_rare)
{
    struct histogram *h = calloc(1, sizeof *h);
    float low, high, x[16];

    for (int i = 0; i < 16; i++)
        x[i] = i == 15 ? 1e9f : (float)i; /* the last of each block is no channel */
    for (int i = 0; i < 20000; i++)
        histogram_add(h, x, 16, 15, 16);
    histogram_range(h, &low, &high);
    CHECK(low == 0 && fabsf(high - 14) < 0.1f);
    histogram_add(h, (const float[]){ 100, -3, NAN, INFINITY, -INFINITY }, 5, 1, 1);
    histogram_range(h, &low, &high);
    CHECK(low <= 0 && low >= -3);
    CHECK(high >= 13 && high < 95);
    free(h);
}

TEST(an_empty_histogram_has_no_range)
{
    struct histogram *h = calloc(1, sizeof *h);
    float low = 1, high = 1;

    histogram_range(h, &low, &high);
    CHECK(low == 0 && high == 0);
    free(h);
}
