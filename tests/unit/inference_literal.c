/* The reader of Python literals: what repr() prints is read, anything else is refused, nothing is
 * evaluated. */
#include "tests/unit/test.h"

#include "base/limits.h"
#include "inference/literal.h"

static struct arena *arena;
static struct fault fault;

/* The status of a literal; *ret keeps NULL on failure. The arena of the previous call dies. */
static enum status parse(const char *text, size_t n, const struct literal **ret)
{
    arena_free(arena);
    arena = arena_create((size_t)16 << 20);
    fault = FAULT_INIT;
    *ret = NULL;
    return literal_read((struct slice){ text, n }, arena, ret, &fault);
}

static const struct literal *good(const char *text)
{
    const struct literal *l;

    if (parse(text, strlen(text), &l) != ST_OK)
        TEST_FAIL_("%s: %s", text, fault.detail);
    return l;
}

TEST(scalars_keep_their_kind_and_value)
{
    const struct literal *l;

    CHECK(good("None")->kind == LITERAL_NONE);
    CHECK((l = good(" True\n"))->kind == LITERAL_BOOL && l->boolean);
    CHECK((l = good("False"))->kind == LITERAL_BOOL && !l->boolean);
    CHECK((l = good("-9223372036854775808"))->kind == LITERAL_INT && l->integer == INT64_MIN);
    CHECK((l = good("1e-05"))->kind == LITERAL_FLOAT && l->real == 1e-05);
    CHECK((l = good("-0.5"))->kind == LITERAL_FLOAT && l->real == -0.5);
    CHECK((l = good("-inf"))->kind == LITERAL_FLOAT && isinf(l->real) && l->real < 0);
    CHECK((l = good("nan"))->kind == LITERAL_FLOAT && isnan(l->real));
}

TEST(strings_are_unescaped)
{
    static const struct {
        const char *text, *want;
        size_t n;
    } cases[] = {
        { "'person'", "person", 6 },
        { "\"driver's seat\"", "driver's seat", 13 },
        { "'it\\'s \\\"x\\\" \\\\'", "it's \"x\" \\", 10 },
        { "'a\\n\\t\\r'", "a\n\t\r", 4 },
        { "'\\xe9\\u20ac\\U0001f600'", "\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80", 9 },
        { "'caf\xC3\xA9'", "caf\xC3\xA9", 5 },
        { "'a\\x00b'", "a\0b", 3 },
        { "b'\\xff\\x00'", "\xFF\0", 2 },
        { "u'x'", "x", 1 },
        { "''", "", 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct literal *l = good(cases[i].text);

        REQUIRE(l != NULL);
        CHECK(l->kind == LITERAL_STRING);
        CHECK_SIZE(l->text.n, cases[i].n);
        CHECK(memcmp(l->text.p, cases[i].want, cases[i].n + 1) == 0);
    }
}

TEST(containers_nest_and_keep_their_order)
{
    const struct literal *l =
        good("{'batch': 1, 'imgsz': [640, 480,], 'nms': False, 'x': ((), (1,), (2)), 'batch': 7}");
    const struct literal *x;
    int64_t numbers[2];
    size_t n;

    REQUIRE(l != NULL);
    CHECK_SIZE(l->items.n, 5);
    CHECK_I64(literal_get(l, "batch")->integer, 7);
    CHECK(literal_ints(literal_get(l, "imgsz"), numbers, 2, &n));
    CHECK_SIZE(n, 2);
    CHECK_I64(numbers[0], 640);
    CHECK_I64(numbers[1], 480);
    CHECK(literal_get(l, "absent") == NULL && literal_get(NULL, "x") == NULL);
    x = literal_get(l, "x");
    CHECK(x->kind == LITERAL_TUPLE && x->items.n == 3);
    CHECK(x->items.first->kind == LITERAL_TUPLE && x->items.first->items.n == 0);
    CHECK(x->items.first->next->kind == LITERAL_TUPLE && x->items.first->next->items.n == 1);
    CHECK(x->items.first->next->next->kind == LITERAL_INT); /* brackets alone make no tuple */
}

TEST(whole_numbers_come_from_lists_of_them_only)
{
    int64_t numbers[2] = { -1, -1 };
    size_t n = 99;

    CHECK(literal_ints(good("640"), numbers, 2, &n) && n == 1 && numbers[0] == 640);
    CHECK(literal_ints(good("(17, 3)"), numbers, 2, &n) && n == 2 && numbers[1] == 3);
    CHECK(literal_ints(good("[]"), numbers, 2, &n) && n == 0);
    numbers[0] = -1;
    CHECK(!literal_ints(good("[1, 2, 3]"), numbers, 2, &n));
    CHECK(!literal_ints(good("[1, 'a']"), numbers, 2, &n));
    CHECK(!literal_ints(good("[1.0]"), numbers, 2, &n));
    CHECK(!literal_ints(good("'640'"), numbers, 2, &n));
    CHECK(!literal_ints(NULL, numbers, 2, &n));
    CHECK_I64(numbers[0], -1);
}

TEST(names_come_by_index_and_gaps_are_filled)
{
    static const struct {
        const char *text;
        size_t n;
        const char *names[4];
    } cases[] = {
        { "{0: 'person', 1: 'bicycle'}", 2, { "person", "bicycle" } },
        { "{3: 'd', 0: 'a', 2: 'c'}", 4, { "a", "class1", "c", "d" } },
        { "{'1': 'b', '0': 'a'}", 2, { "a", "b" } },
        { "['helmet', 'vest']", 2, { "helmet", "vest" } },
        { "{0: 'old', 0: 'new'}", 1, { "new" } },
        { "{}", 0, { 0 } },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct literal *l = good(cases[i].text);
        char **names = NULL;
        size_t n = 99;

        REQUIRE(literal_names(l, arena, &names, &n, &fault) == ST_OK);
        CHECK_SIZE(n, cases[i].n);
        for (size_t k = 0; k < n && k < 4; k++)
            CHECK_STR(names[k], cases[i].names[k]);
    }
}

TEST(names_of_another_shape_are_refused)
{
    static const struct {
        const char *text;
        enum status want;
    } cases[] = {
        { "'person'", ST_INVALID },
        { "{0: 1}", ST_INVALID },
        { "{-1: 'a'}", ST_INVALID },
        { "{'x': 'a'}", ST_INVALID },
        { "{0.0: 'a'}", ST_INVALID },
        { "{None: 'a'}", ST_INVALID },
        { "[None]", ST_INVALID },
        { "{0: 'a\\x00b'}", ST_INVALID },
        { "{0: b'\\xff'}", ST_INVALID },
        { "{65536: 'a'}", ST_TOO_LARGE },
        { "{9223372036854775807: 'a'}", ST_TOO_LARGE },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct literal *l = good(cases[i].text);
        char **names = NULL;
        size_t n = 0;

        if (literal_names(l, arena, &names, &n, &fault) != cases[i].want || names)
            TEST_FAIL_("%s: %s", cases[i].text, fault.detail);
    }
}

TEST(what_is_not_a_literal_is_refused_with_its_place)
{
    static const struct {
        const char *text;
        int64_t offset;
    } cases[] = {
        { "", 0 },
        { "   ", 3 },
        { "__import__('os')", 0 },
        { "[1, exit()]", 4 },
        { "{1, 2}", 2 },
        { "{'a' 1}", 5 },
        { "[1 2]", 3 },
        { "[1,, 2]", 3 },
        { "[1", 2 },
        { "{[1]: 2}", 4 },
        { "'abc", 1 },
        { "'a\\", 1 },
        { "'\\q'", 2 },
        { "'\\x4'", 3 },
        { "'\\ud800'", 3 },
        { "'a\nb'", 2 },
        { "1 + 2", 2 },
        { "1-2", 0 },
        { "0x10", 1 },
        { "1e999", 0 },
        { "--1", 0 },
        { "Truest", 0 },
        { "9223372036854775808", 0 },
        { "'a' 'b'", 4 },
        { "b'\\u0041'", 3 },
        { "PosixPath('a')", 0 },
        { "1j", 1 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct literal *l;

        if (parse(cases[i].text, strlen(cases[i].text), &l) != ST_INVALID || l ||
            fault.offset != cases[i].offset)
            TEST_FAIL_("%s: offset %lld, %s", cases[i].text, (long long)fault.offset, fault.detail);
    }
    CHECK(parse("'\xFF'", 3, &(const struct literal *){ NULL }) == ST_INVALID);
    CHECK(parse("'\0'\0", 4, &(const struct literal *){ NULL }) == ST_INVALID);
}

TEST(depth_count_and_length_are_limited)
{
    const struct literal *l;
    const size_t n = (size_t)LIMIT_LITERAL_BYTES + 1;
    char *text = malloc(n);

    REQUIRE(text != NULL);
    memset(text, '[', n);
    memset(text + LIMIT_LITERAL_DEPTH, ']', LIMIT_LITERAL_DEPTH);
    CHECK(parse(text, 2 * LIMIT_LITERAL_DEPTH, &l) == ST_OK);
    memset(text, '[', n);
    CHECK(parse(text, n - 1, &l) == ST_TOO_LARGE);
    for (size_t i = 1; i < n; i++)
        text[i] = i % 2 ? '1' : ',';
    CHECK(parse(text, n - 1, &l) == ST_TOO_LARGE);
    memset(text, ' ', n);
    CHECK(parse(text, n, &l) == ST_TOO_LARGE);
    free(text);
}

TEST(a_full_arena_is_reported)
{
    const struct literal *l = NULL;

    arena_free(arena);
    arena = arena_create(512);
    CHECK(literal_read(SLICE_LITERAL("[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]"), arena, &l, &fault) ==
          ST_TOO_LARGE);
    CHECK(l == NULL);
    arena_free(arena);
    arena = NULL;
}
