/* The arena: zeroed, aligned, apart, capped; size arithmetic reports overflow. */
#include "tests/unit/test.h"

#include <stdalign.h>
#include "base/arena.h"

TEST(memory_is_zeroed_aligned_and_apart)
{
    struct arena *a = arena_create(1 << 20);
    unsigned char *earlier[200];

    REQUIRE(a);
    for (size_t i = 0; i < 200; i++) {
        const size_t n = i * 7 % 61 + 1;

        REQUIRE((earlier[i] = arena_alloc(a, n)) != NULL);
        CHECK_SIZE((uintptr_t)earlier[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < n; k++)
            CHECK(earlier[i][k] == 0);
        memset(earlier[i], (int)i, n);
    }
    for (size_t i = 0; i < 200; i++)
        for (size_t k = 0; k < i * 7 % 61 + 1; k++)
            CHECK(earlier[i][k] == (unsigned char)i);
    arena_free(a);
}

TEST(the_cap_is_kept_and_failure_stays_until_reset)
{
    struct arena *a = arena_create(100000);
    size_t total = 0;

    while (arena_alloc(a, 1000))
        total += 1000;
    CHECK(total >= 50000 && total <= 100000);
    CHECK(arena_failed(a));
    CHECK(arena_alloc(a, 100001) == NULL);
    arena_reset(a);
    CHECK(!arena_failed(a));
    CHECK(arena_alloc(a, 1000) != NULL);
    arena_free(a);
}

TEST(reset_memory_is_zeroed_again)
{
    struct arena *a = arena_create(1 << 20);
    unsigned char *p = arena_alloc(a, 64);

    REQUIRE(p);
    memset(p, 0xFF, 64);
    arena_reset(a);
    REQUIRE((p = arena_alloc(a, 64)) != NULL);
    for (int i = 0; i < 64; i++)
        CHECK(p[i] == 0);
    arena_free(a);
}

TEST(a_request_of_exactly_the_cap_fits_and_one_more_does_not)
{
    struct arena *a = arena_create(1 << 16);

    CHECK(arena_alloc(a, 1 << 16) != NULL);
    CHECK(arena_alloc(a, 1) == NULL);
    arena_reset(a);
    CHECK(arena_alloc(a, (1 << 16) + 1) == NULL);
    arena_free(a);
}

TEST(resets_keep_memory_bounded)
{
    struct arena *a = arena_create(1 << 20);

    for (int round = 0; round < 1000; round++) {
        CHECK(arena_alloc(a, 700000) != NULL);
        CHECK(arena_alloc(a, 10) != NULL);
        CHECK(!arena_failed(a));
        arena_reset(a);
    }
    arena_free(a);
}

TEST(overflowing_sizes_fail_instead_of_wrapping)
{
    struct arena *a = arena_create(1 << 20);
    size_t n = 42;

    CHECK(arena_alloc(a, SIZE_MAX) == NULL);
    CHECK(arena_failed(a));
    arena_reset(a);
    CHECK(arena_array(a, SIZE_MAX / 2, 3) == NULL);
    CHECK(arena_failed(a));
    arena_reset(a);
    CHECK(arena_strndup(a, "x", SIZE_MAX) == NULL);
    CHECK(arena_failed(a));
    CHECK(!size_mul(SIZE_MAX / 2 + 1, 2, &n) && n == 42);
    CHECK(!size_add(SIZE_MAX, 1, &n) && n == 42);
    CHECK(size_mul(6, 7, &n) && n == 42);
    CHECK(size_add(40, 2, &n) && n == 42);
    arena_free(a);
}

TEST(texts_are_copied)
{
    struct arena *a = arena_create(1 << 20);
    char long_text[5000];

    memset(long_text, 'x', sizeof long_text);
    long_text[sizeof long_text - 1] = '\0';
    CHECK_STR(arena_strdup(a, "abc"), "abc");
    CHECK_STR(arena_strdup(a, ""), "");
    CHECK(arena_strdup(a, NULL) == NULL && !arena_failed(a));
    CHECK_STR(arena_strndup(a, "abcdef", 3), "abc");
    CHECK_STR(arena_printf(a, "%s-%d", "n", 7), "n-7");
    CHECK_STR(arena_printf(a, "%s", long_text), long_text);
    arena_free(a);
    arena_free(NULL);
}

TEST(an_empty_request_is_a_valid_pointer)
{
    struct arena *a = arena_create(1 << 20);

    CHECK(arena_alloc(a, 0) != NULL);
    CHECK(arena_array(a, 0, 100) != NULL);
    CHECK(!arena_failed(a));
    arena_free(a);
}

TEST(no_memory_at_all_is_a_failure_not_a_crash)
{
    struct arena *a = arena_create(0);

    CHECK(arena_alloc(a, 1) == NULL);
    CHECK(arena_strdup(a, "x") == NULL);
    CHECK(arena_printf(a, "%d", 1) == NULL);
    CHECK(arena_failed(a));
    arena_free(a);
}
