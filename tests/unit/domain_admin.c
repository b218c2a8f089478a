/* New API keys: their form, what is stored of them, and that no two are alike. */
#include "tests/unit/test.h"

#include <openssl/sha.h>
#include "domain/admin.h"

TEST(a_key_is_its_prefix_and_forty_hex_digits)
{
    static const char *const prefixes[] = { "", "ul_", "cpx_", "cpx_live.", "ninechars" };

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        const size_t n = strlen(prefixes[i]);
        struct fault f = FAULT_INIT;
        struct new_key key;

        REQUIRE(key_mint(prefixes[i], &key, &f) == ST_OK);
        CHECK_SIZE(strlen(key.text), n + 40);
        CHECK(strncmp(key.text, prefixes[i], n) == 0);
        CHECK_SIZE(strspn(key.text + n, "0123456789abcdef"), 40);
        CHECK_SIZE(strlen(key.display), 11);
        CHECK(strncmp(key.display, key.text, 11) == 0);
    }
}

TEST(the_hash_is_of_the_digits_alone)
{
    struct fault f = FAULT_INIT;
    struct new_key key;
    uint8_t want[SHA256_DIGEST_LENGTH];

    REQUIRE(key_mint("ul_", &key, &f) == ST_OK);
    SHA256((const unsigned char *)key.text + 3, 40, want);
    CHECK(memcmp(key.hash, want, sizeof want) == 0);
}

TEST(keys_differ)
{
    struct fault f = FAULT_INIT;
    struct new_key keys[100];

    for (size_t i = 0; i < 100; i++) {
        REQUIRE(key_mint("", &keys[i], &f) == ST_OK);
        for (size_t k = 0; k < i; k++)
            CHECK(strcmp(keys[i].text, keys[k].text) != 0);
    }
}

TEST(prefixes_that_no_request_could_present_are_refused)
{
    static const char *const prefixes[] = { "tencharact", "a b", "a\n", "a:",  "\xC3\xA9",
                                            "\"",         "Ul_", "ul-", "ul2_" };

    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++) {
        struct fault f = FAULT_INIT;
        struct new_key key;

        CHECK_I64(key_mint(prefixes[i], &key, &f), ST_INVALID);
        CHECK_STR(f.field, "prefix");
    }
}
