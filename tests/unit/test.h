/*
 * A small TAP harness. A test file includes this once, defines TEST(name) cases and nothing else: main()
 * is here. A test's name is the sentence it proves. CHECK* report the place and go on; SKIP(reason) ends
 * the case. Run with a substring as argument to run only the cases whose name contains it.
 */
#ifndef TESTS_UNIT_TEST_H
#define TESTS_UNIT_TEST_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_case {
    const char *name;
    void (*run)(void);
    struct test_case *next;
};

static struct test_case *test_first, **test_tail = &test_first;
static int test_failures_;
static const char *test_skip_;

#define TEST(id)                                                                                        \
    static void test_##id(void);                                                                        \
    static struct test_case test_case_##id = { #id, test_##id, NULL };                                  \
    __attribute__((constructor)) static void test_register_##id(void)                                   \
    {                                                                                                   \
        *test_tail = &test_case_##id;                                                                   \
        test_tail = &test_case_##id.next;                                                               \
    }                                                                                                   \
    static void test_##id(void)

#define TEST_FAIL_(...)                                                                                 \
    do {                                                                                                \
        printf("# %s:%d: ", __FILE__, __LINE__);                                                        \
        printf(__VA_ARGS__);                                                                            \
        putchar('\n');                                                                                  \
        test_failures_++;                                                                               \
    } while (0)

#define CHECK(cond)                                                                                     \
    do {                                                                                                \
        if (!(cond))                                                                                    \
            TEST_FAIL_("not true: %s", #cond);                                                          \
    } while (0)

#define CHECK_I64(got, want)                                                                            \
    do {                                                                                                \
        const int64_t got_ = (int64_t)(got), want_ = (int64_t)(want);                                   \
        if (got_ != want_)                                                                              \
            TEST_FAIL_("%s: got %lld, want %lld", #got, (long long)got_, (long long)want_);             \
    } while (0)

#define CHECK_SIZE(got, want) CHECK_I64((got), (want))

#define CHECK_NEAR(got, want, tolerance)                                                                \
    do {                                                                                                \
        const double got_ = (double)(got), want_ = (double)(want);                                      \
        if (!(fabs(got_ - want_) <= (double)(tolerance)))                                               \
            TEST_FAIL_("%s: got %.9g, want %.9g", #got, got_, want_);                                   \
    } while (0)

#define CHECK_STR(got, want)                                                                            \
    do {                                                                                                \
        const char *got_ = (got), *want_ = (want);                                                      \
        if (!got_ || !want_ ? got_ != want_ : strcmp(got_, want_) != 0)                                 \
            TEST_FAIL_("%s: got \"%s\", want \"%s\"", #got, got_ ? got_ : "(null)",                     \
                       want_ ? want_ : "(null)");                                                       \
    } while (0)

/* Ends the case. */
#define SKIP(reason)                                                                                    \
    do {                                                                                                \
        test_skip_ = (reason);                                                                          \
        return;                                                                                         \
    } while (0)

/* Ends the case when a precondition does not hold. */
#define REQUIRE(cond)                                                                                   \
    do {                                                                                                \
        if (!(cond)) {                                                                                  \
            TEST_FAIL_("required: %s", #cond);                                                          \
            return;                                                                                     \
        }                                                                                               \
    } while (0)

/* Folder of the large fixtures, or NULL: such tests SKIP("fixtures are absent"). */
static inline const char *test_fixtures(void)
{
    static const char *places[] = { "../shared/fixtures", NULL };
    const char *named = getenv("FOVEA_FIXTURES");
    FILE *f;
    char path[512];
    int i;

    if (named)
        return named;
    for (i = 0; places[i]; i++) {
        snprintf(path, sizeof path, "%s/README.md", places[i]);
        if ((f = fopen(path, "r"))) {
            fclose(f);
            return places[i];
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int n = 0, bad = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (struct test_case *t = test_first; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1]))
            continue;
        test_failures_ = 0;
        test_skip_ = NULL;
        t->run();
        n++;
        if (test_skip_ && !test_failures_)
            printf("ok %d - %s # SKIP %s\n", n, t->name, test_skip_);
        else
            printf("%sok %d - %s\n", test_failures_ ? "not " : "", n, t->name);
        bad += test_failures_ > 0;
    }
    printf("1..%d\n", n);
    return bad ? 1 : 0;
}

#endif
