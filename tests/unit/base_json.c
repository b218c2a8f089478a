/* The strict scanner against its own table, JSONTestSuite where present, and the json-c tree behind it.
 */
#include "tests/unit/test.h"

#include <dirent.h>
#include "base/json.h"
#include "base/limits.h"

static char *read_whole(const char *path, size_t *ret_n)
{
    FILE *in = fopen(path, "rb");
    char *text = malloc(1 << 20);

    *ret_n = in && text ? fread(text, 1, 1 << 20, in) : 0;
    if (in)
        fclose(in);
    return text;
}

/* Scans a copy of exactly n bytes, so that the sanitizer sees one byte too far. */
static enum status scan_exact(const char *text, size_t n, struct fault *f)
{
    char *copy = malloc(n ? n : 1);
    enum status st;

    if (n)
        memcpy(copy, text, n);
    *f = FAULT_INIT;
    st = json_scan(copy, n, f);
    free(copy);
    return st;
}

TEST(every_kind_of_text_is_accepted_or_refused_with_its_place)
{
    static const struct {
        const char *text;
        int64_t offset; /* -1: accepted */
        const char *reason;
    } cases[] = {
        { "null", -1, NULL },
        { " \t\r\n[ 1 , -0.5e+3 , \"\\u00e9\\ud83d\\ude00\" , { \"a\" : { } } , [ ] ]\n", -1, NULL },
        { "9223372036854775807", -1, NULL },
        { "-9223372036854775808", -1, NULL },
        { "1e-999", -1, NULL }, /* underflow is zero, as everywhere */
        { "\"\x7F\xEF\xBF\xBF\"", -1, NULL },
        { "", 0, JSON_SYNTAX },
        { "  ", 2, JSON_SYNTAX },
        { "{", 1, JSON_SYNTAX },
        { "[1 2]", 3, JSON_SYNTAX },
        { "[1,]", 3, JSON_SYNTAX },
        { "{\"a\" 1}", 5, JSON_SYNTAX },
        { "{\"a\":1,}", 7, JSON_SYNTAX },
        { "{a:1}", 1, JSON_SYNTAX },
        { "{\"a\":1]", 6, JSON_SYNTAX },
        { "[}", 1, JSON_SYNTAX },
        { "nul", 0, JSON_SYNTAX },
        { "nullx", 4, JSON_SYNTAX },
        { "1 2", 2, JSON_SYNTAX },
        { "01", 0, JSON_SYNTAX },
        { "-", 1, JSON_SYNTAX },
        { "1.", 2, JSON_SYNTAX },
        { "1e", 2, JSON_SYNTAX },
        { "\"a", 0, JSON_SYNTAX },
        { "\"\\", 1, JSON_SYNTAX },
        { "\"\\x\"", 1, JSON_SYNTAX },
        { "\"\\u12g4\"", 1, JSON_SYNTAX },
        { "\"a\nb\"", 2, JSON_SYNTAX },
        { "\"a\xC0\x80\"", 2, JSON_SYNTAX },
        { "\"\xED\xA0\x80\"", 1, JSON_SYNTAX }, /* a surrogate in UTF-8 */
        { "\xEF\xBB\xBF{}", 0, JSON_SYNTAX },
        { "9223372036854775808", 0, JSON_CONTENT },
        { "[1e999]", 1, JSON_CONTENT },
        { "[\"\\u0000\"]", 2, JSON_CONTENT },
        { "\"\\ud800\"", 1, JSON_CONTENT },
        { "\"\\ud800\\n\"", 1, JSON_CONTENT },
        { "\"\\ud800\\u0061\"", 1, JSON_CONTENT },
        { "\"\\udc00\"", 1, JSON_CONTENT },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fault f;
        const enum status st = scan_exact(cases[i].text, strlen(cases[i].text), &f);

        if (st != (cases[i].reason ? ST_INVALID : ST_OK) || f.offset != cases[i].offset ||
            strcmp(f.reason ? f.reason : "", cases[i].reason ? cases[i].reason : "") != 0)
            TEST_FAIL_("%s: got %s at %lld: %s", cases[i].text, status_name(st), (long long)f.offset,
                       f.detail);
    }
}

TEST(a_raw_nul_is_refused_everywhere)
{
    struct fault f;

    CHECK_I64(scan_exact("\"a\0b\"", 5, &f), ST_INVALID);
    CHECK_I64(f.offset, 2);
    CHECK_I64(scan_exact("{}\0", 3, &f), ST_INVALID);
    CHECK_I64(scan_exact("\"\\\0\"", 4, &f), ST_INVALID);
}

TEST(repeated_keys_are_found_however_they_are_spelled)
{
    static const struct {
        const char *text;
        int64_t offset; /* of the repetition; -1: none */
    } cases[] = {
        { "{\"a\":1,\"b\":2}", -1 },
        { "{\"a\":{\"a\":1},\"b\":[{\"a\":1},{\"a\":1}]}", -1 },
        { "{\"a\":1,\"a\":1}", 7 },
        { "{\"a\":1,\"\\u0061\":1}", 7 },
        { "{\"\\u00E9\":1,\"\xC3\xA9\":1}", 12 },
        { "{\"\\uD83D\\uDE00\":1,\"\xF0\x9F\x98\x80\":1}", 18 },
        { "{\"\\/\":1,\"/\":1}", 8 },
        { "{\"\":1,\"\":1}", 6 },
        { "{\"a\":1,\"ab\":1,\"\\u0061b\\n\":1}", -1 },
        { "{\"b\":0,\"a\":1,\"b\":2,\"a\":3}", 13 },
        { "{\"x\":{\"k\":1,\"k\":2}}", 12 },
        { "{\"x\":1,\"y\":{\"k\":1},\"x\":2}", 19 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fault f;
        const enum status st = scan_exact(cases[i].text, strlen(cases[i].text), &f);

        if (st != (cases[i].offset < 0 ? ST_OK : ST_INVALID) || f.offset != cases[i].offset)
            TEST_FAIL_("%s: got %s at %lld", cases[i].text, status_name(st), (long long)f.offset);
    }
}

TEST(depth_is_limited_and_costs_no_stack)
{
    enum { N = 100000 };
    static char text[2 * N];
    struct fault f;

    memset(text, '[', N);
    memset(text + N, ']', N);
    CHECK_I64(scan_exact(text + N - LIMIT_JSON_DEPTH, 2 * LIMIT_JSON_DEPTH, &f), ST_OK);
    CHECK_I64(scan_exact(text + N - LIMIT_JSON_DEPTH - 1, 2 * LIMIT_JSON_DEPTH + 2, &f), ST_TOO_LARGE);
    CHECK_I64(f.offset, LIMIT_JSON_DEPTH);
    CHECK_I64(scan_exact(text, sizeof text, &f), ST_TOO_LARGE);
    CHECK_I64(f.offset, LIMIT_JSON_DEPTH);
}

TEST(the_number_of_values_is_limited)
{
    struct buffer b = { .n = 0 };
    struct fault f;

    buffer_text(&b, "[0");
    for (int i = 2; i < LIMIT_JSON_MEMBERS; i++)
        buffer_text(&b, ",0");
    buffer_char(&b, ']');
    CHECK_I64(scan_exact(b.p, b.n, &f), ST_OK);
    b.n--;
    buffer_text(&b, ",0]");
    CHECK_I64(scan_exact(b.p, b.n, &f), ST_TOO_LARGE);
    CHECK_I64(f.offset, b.n - 2);
    buffer_free(&b);
}

TEST(many_keys_are_compared_in_reasonable_time)
{
    struct buffer b = { .n = 0 };
    struct fault f;
    int64_t begin;

    buffer_char(&b, '{');
    for (int i = 0; i < LIMIT_JSON_MEMBERS - 2; i++)
        buffer_printf(&b, "\"a%06d\":0,", i * 7919 % 99991 + (i / 99991) * 99991);
    buffer_text(&b, "\"z\":0}");
    begin = clock_monotonic_ms();
    CHECK_I64(scan_exact(b.p, b.n, &f), ST_OK);
    CHECK(clock_monotonic_ms() - begin < 5000); /* a hundred times what it takes, far below n squared */
    buffer_free(&b);
}

TEST(a_number_of_too_many_digits_is_refused)
{
    char text[LIMIT_JSON_NUMBER_BYTES + 2];
    struct fault f;

    memset(text, '1', sizeof text);
    text[1] = '.';
    CHECK_I64(scan_exact(text, LIMIT_JSON_NUMBER_BYTES, &f), ST_OK);
    CHECK_I64(scan_exact(text, LIMIT_JSON_NUMBER_BYTES + 1, &f), ST_TOO_LARGE);
}

/* ---- JSONTestSuite
 * --------------------------------------------------------------------------------------------- */

/* Valid JSON that we decline, never as a syntax error. */
static const char *const declined[] = {
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
    "y_object_escaped_null_in_key.json",
    "y_string_null_escape.json",
};

/* What the standard leaves open: one answer each. */
static const struct {
    const char *name;
    enum status want;
    const char *reason;
} open_cases[] = {
    { "i_number_double_huge_neg_exp.json", ST_OK, NULL },
    { "i_number_huge_exp.json", ST_INVALID, JSON_CONTENT },
    { "i_number_neg_int_huge_exp.json", ST_INVALID, JSON_CONTENT },
    { "i_number_pos_double_huge_exp.json", ST_INVALID, JSON_CONTENT },
    { "i_number_real_neg_overflow.json", ST_INVALID, JSON_CONTENT },
    { "i_number_real_pos_overflow.json", ST_INVALID, JSON_CONTENT },
    { "i_number_real_underflow.json", ST_OK, NULL },
    { "i_number_too_big_neg_int.json", ST_INVALID, JSON_CONTENT },
    { "i_number_too_big_pos_int.json", ST_INVALID, JSON_CONTENT },
    { "i_number_very_big_negative_int.json", ST_INVALID, JSON_CONTENT },
    { "i_object_key_lone_2nd_surrogate.json", ST_INVALID, JSON_CONTENT },
    { "i_string_1st_surrogate_but_2nd_missing.json", ST_INVALID, JSON_CONTENT },
    { "i_string_1st_valid_surrogate_2nd_invalid.json", ST_INVALID, JSON_CONTENT },
    { "i_string_UTF-16LE_with_BOM.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_UTF-8_invalid_sequence.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_UTF8_surrogate_U+D800.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_incomplete_surrogate_and_escape_valid.json", ST_INVALID, JSON_CONTENT },
    { "i_string_incomplete_surrogate_pair.json", ST_INVALID, JSON_CONTENT },
    { "i_string_incomplete_surrogates_escape_valid.json", ST_INVALID, JSON_CONTENT },
    { "i_string_invalid_lonely_surrogate.json", ST_INVALID, JSON_CONTENT },
    { "i_string_invalid_surrogate.json", ST_INVALID, JSON_CONTENT },
    { "i_string_invalid_utf-8.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_inverted_surrogates_U+1D11E.json", ST_INVALID, JSON_CONTENT },
    { "i_string_iso_latin_1.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_lone_second_surrogate.json", ST_INVALID, JSON_CONTENT },
    { "i_string_lone_utf8_continuation_byte.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_not_in_unicode_range.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_overlong_sequence_2_bytes.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_overlong_sequence_6_bytes.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_overlong_sequence_6_bytes_null.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_truncated-utf-8.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_utf16BE_no_BOM.json", ST_INVALID, JSON_SYNTAX },
    { "i_string_utf16LE_no_BOM.json", ST_INVALID, JSON_SYNTAX },
    { "i_structure_500_nested_arrays.json", ST_TOO_LARGE, JSON_CONTENT },
    { "i_structure_UTF-8_BOM_empty_object.json", ST_INVALID, JSON_SYNTAX },
};

static bool is_declined(const char *name)
{
    for (size_t i = 0; i < sizeof declined / sizeof *declined; i++)
        if (strcmp(declined[i], name) == 0)
            return true;
    return false;
}

static void check_open(const char *name, enum status st, const struct fault *f)
{
    for (size_t i = 0; i < sizeof open_cases / sizeof *open_cases; i++) {
        if (strcmp(open_cases[i].name, name) != 0)
            continue;
        if (st != open_cases[i].want || (st != ST_OK && strcmp(f->reason, open_cases[i].reason) != 0))
            TEST_FAIL_("%s: got %s (%s)", name, status_name(st), f->detail);
        return;
    }
    TEST_FAIL_("%s: no decision", name);
}

static void check_suite_file(const char *name, const char *text, size_t n)
{
    struct json_object *tree = NULL;
    struct fault f = FAULT_INIT;
    const enum status st = json_parse(text, n, &tree, &f);

    if (name[0] == 'i')
        check_open(name, st, &f);
    else if (name[0] == 'n' &&
             ((st != ST_INVALID && st != ST_TOO_LARGE) || f.offset < 0 || !f.detail[0]))
        TEST_FAIL_("%s: not refused with a place: %s", name, status_name(st));
    else if (name[0] == 'y' && is_declined(name) &&
             (st != ST_INVALID || strcmp(f.reason, JSON_CONTENT) != 0))
        TEST_FAIL_("%s: not declined by its content: %s", name, status_name(st));
    else if (name[0] == 'y' && !is_declined(name) && st != ST_OK)
        TEST_FAIL_("%s: refused: %s", name, f.detail);
    json_object_put(tree);
}

TEST(the_json_test_suite_is_answered_as_decided)
{
    const char *const fixtures = test_fixtures();
    char path[1024];
    struct dirent *e;
    int count = 0;
    DIR *folder;

    if (!fixtures)
        SKIP("fixtures are absent");
    snprintf(path, sizeof path, "%s/hostile/json", fixtures);
    if (!(folder = opendir(path)))
        SKIP("the JSON test suite is absent");
    while ((e = readdir(folder))) {
        const size_t len = strlen(e->d_name);
        char *text;
        size_t n;

        if (len < 5 || strcmp(e->d_name + len - 5, ".json") != 0)
            continue;
        snprintf(path, sizeof path, "%s/hostile/json/%s", fixtures, e->d_name);
        text = read_whole(path, &n);
        check_suite_file(e->d_name, text, n);
        free(text);
        count++;
    }
    closedir(folder);
    CHECK_I64(count, 318);
}

/* ---- the tree and the writer
 * ------------------------------------------------------------------------------------ */

TEST(the_tree_holds_what_the_text_says)
{
    static const char text[] =
        " {\"a\":[1,-2.5,\"\\u00e9\\ud83d\\ude00\",true,null],\"b\":9223372036854775807} ";
    struct json_object *tree = NULL;
    struct fault f = FAULT_INIT;

    REQUIRE(json_parse(text, sizeof text - 1, &tree, &f) == ST_OK);
    CHECK_STR(json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN),
              "{\"a\":[1,-2.5,\"\xC3\xA9\xF0\x9F\x98\x80\",true,null],\"b\":9223372036854775807}");
    json_object_put(tree);
}

TEST(bare_values_are_documents)
{
    static const char *const texts[] = { "1", "-2.5", "\"x\"", "true", " 17 ", "[]" };

    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct json_object *tree = NULL;
        struct fault f = FAULT_INIT;
        char *exact = malloc(strlen(texts[i]));

        memcpy(exact, texts[i], strlen(texts[i]));
        CHECK_I64(json_parse(exact, strlen(texts[i]), &tree, &f), ST_OK);
        CHECK(tree != NULL);
        json_object_put(tree);
        free(exact);
    }
}

TEST(null_is_a_document_without_a_tree)
{
    struct json_object *tree = NULL;
    struct fault f = FAULT_INIT;

    CHECK_I64(json_parse("null", 4, &tree, &f), ST_OK);
    CHECK(tree == NULL);
}

TEST(the_deepest_document_that_is_accepted_becomes_a_tree)
{
    char text[2 * LIMIT_JSON_DEPTH];
    struct json_object *tree = NULL;
    struct fault f = FAULT_INIT;

    memset(text, '[', LIMIT_JSON_DEPTH);
    memset(text + LIMIT_JSON_DEPTH, ']', LIMIT_JSON_DEPTH);
    CHECK_I64(json_parse(text, sizeof text, &tree, &f), ST_OK);
    json_object_put(tree);
}

TEST(written_strings_read_back_equal)
{
    struct buffer b = { .n = 0 };
    struct json_object *tree = NULL;
    struct fault f = FAULT_INIT;
    char all[0x80 - 1 + 4];

    for (int c = 1; c < 0x80; c++)
        all[c - 1] = (char)c;
    memcpy(all + 0x7F, "\xF0\x9F\x98\x80", 4);
    json_write_string(&b, all, sizeof all);
    REQUIRE(json_parse(b.p, b.n, &tree, &f) == ST_OK);
    CHECK_SIZE(json_object_get_string_len(tree), sizeof all);
    CHECK(memcmp(json_object_get_string(tree), all, sizeof all) == 0);
    json_object_put(tree);
    buffer_clear(&b);
    json_write_string(&b, "a\"\\\n\x01/", 6);
    CHECK_STR(buffer_terminate(&b), "\"a\\\"\\\\\\n\\u0001/\"");
    buffer_clear(&b);
    json_write_string(&b, "", 0);
    CHECK_STR(buffer_terminate(&b), "\"\"");
    buffer_free(&b);
}
