/* How keys are spelled and hashed; cursors; URL coding. */
#include "fcgi/envelope.h"
#include "fcgi/http.h"
#include "fcgi/keycache.h"
#include "tests/unit/test.h"

#define DIGITS "0123456789abcdef0123456789abcdef01234567"

TEST(a_prefix_is_only_a_spelling_of_a_key)
{
    uint8_t bare[KEY_HASH_BYTES], named[KEY_HASH_BYTES];
    const char *spellings[] = { "ul_" DIGITS, "cpx_live." DIGITS,
                                "ul_0123456789ABCDEF0123456789ABCDEF01234567" };

    REQUIRE(key_hash(DIGITS, 40, bare));
    for (int i = 0; i < 3; i++) {
        REQUIRE(key_hash(spellings[i], strlen(spellings[i]), named));
        CHECK(memcmp(bare, named, sizeof bare) == 0);
    }
}

TEST(what_is_not_forty_hex_digits_is_no_key)
{
    const char *bad[] = { "",
                          "ul_",
                          "ul_" DIGITS "0",
                          "ul_0123456789abcdef0123456789abcdef0123456g",
                          "0123456789abcdef0123456789abcdef0123456",
                          "ul_\n" DIGITS,
                          "averyveryverylongprefix_" DIGITS };
    uint8_t hash[KEY_HASH_BYTES];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!key_hash(bad[i], strlen(bad[i]), hash));
}

TEST(a_cursor_comes_back_as_it_was)
{
    struct buffer b = { 0 };
    int64_t us, id;

    cursor_write(INT64_C(1795302957123456), 42, &b);
    REQUIRE(cursor_parse(buffer_terminate(&b), &us, &id));
    CHECK_I64(us, INT64_C(1795302957123456));
    CHECK_I64(id, 42);
    CHECK(!cursor_parse("12", &us, &id));
    CHECK(!cursor_parse("-", &us, &id));
    CHECK(!cursor_parse("1-2-3", &us, &id));
    CHECK(!cursor_parse("12345678901234567-1", &us, &id));
    buffer_free(&b);
}

TEST(url_decoding_refuses_what_cannot_be_text)
{
    char good[] = "a%20b+c%C3%A9", bad[][16] = { "%", "%4", "%zz", "%00", "%C3", "%ff" };

    CHECK(url_decode(good, true));
    CHECK_STR(good, "a b c\xC3\xA9");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        CHECK(!url_decode(bad[i], false));
}

TEST(url_encoding_leaves_only_unreserved_characters)
{
    struct buffer b = { 0 };

    url_encode(&b, "a/b ?&=%~\xC3\xA9");
    CHECK_STR(buffer_terminate(&b), "a%2Fb%20%3F%26%3D%25~%C3%A9");
    buffer_free(&b);
}
