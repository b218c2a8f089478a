/* Archives that we write: libzip, a stranger to the writer, must find what was put in. */
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zip.h>
#include "base/text.h"
#include "media/zip.h"
#include "tests/unit/test.h"

/* Collects an archive; fails once more than `most` bytes came (0: never). */
struct receiver {
    struct buffer bytes;
    size_t most, total;
    bool discard;
};

static enum status receive(void *arg, const void *p, size_t n, struct fault *f)
{
    struct receiver *r = arg;

    CHECK(n > 0 && n <= 65536);
    r->total += n;
    if (r->most && r->total > r->most)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the client is gone");
    if (!r->discard)
        buffer_bytes(&r->bytes, p, n);
    return ST_OK;
}

static struct zip_writer *writer(struct receiver *r)
{
    const struct zip_sink sink = { r, receive };
    struct fault f = FAULT_INIT;
    struct zip_writer *z = NULL;

    CHECK_I64(zip_create(&sink, &z, &f), ST_OK);
    return z;
}

/* Content of an entry as libzip reads it (with CRC check), or false. */
static bool entry_is(zip_t *archive, const char *name, const void *want, size_t n)
{
    zip_file_t *file = zip_fopen(archive, name, ZIP_FL_ENC_UTF_8);
    char *got = malloc(n + 1);
    const bool same = file && zip_fread(file, got, n + 1) == (zip_int64_t)n &&
                      (!n || memcmp(got, want, n) == 0) && zip_fclose(file) == 0;

    free(got);
    return same;
}

static zip_t *reader(const struct receiver *r)
{
    zip_error_t error = { 0 };
    zip_source_t *source = zip_source_buffer_create(r->bytes.p, r->bytes.n, 0, &error);
    zip_t *archive = source ? zip_open_from_source(source, ZIP_RDONLY, &error) : NULL;

    if (!archive)
        TEST_FAIL_("libzip: error %d", zip_error_code_zip(&error));
    return archive;
}

static int temporary_file(const void *p, size_t n)
{
    char path[] = "/tmp/fovea-zip-XXXXXX";
    const int fd = mkstemp(path);

    unlink(path);
    return fd >= 0 && write(fd, p, n) == (ssize_t)n ? fd : -1;
}

TEST(what_was_put_in_comes_out)
{
    static const char utf8[] = "\xE5\x9B\xBE/\xF0\x9F\xA6\x8A name.txt";
    struct fault f = FAULT_INIT;
    struct receiver r = { .most = 0 };
    char text[5000], hex[DIGEST_HEX + 1];
    struct digest digest;
    struct zip_writer *z;
    zip_t *archive;
    zip_stat_t about;
    int fd;

    memset(text, 'a', sizeof text);
    REQUIRE((z = writer(&r)));
    REQUIRE((fd = temporary_file("abc", 3)) >= 0);
    CHECK_I64(zip_entry_bytes(z, &(struct zip_entry){ "manifest.json", 1700000000, true }, text,
                              sizeof text, &f),
              ST_OK);
    CHECK_I64(zip_entry_file(z, &(struct zip_entry){ "images/a.jpg", 1700000000, false }, fd, 0, 3,
                             &digest, &f),
              ST_OK);
    CHECK_I64(zip_entry_bytes(z, &(struct zip_entry){ utf8, 1700000000, false }, "x", 1, &f), ST_OK);
    CHECK_I64(zip_entry_bytes(z, &(struct zip_entry){ "empty", 1700000000, true }, "", 0, &f), ST_OK);
    CHECK_I64(zip_entry_file(z, &(struct zip_entry){ "rest", 0, false }, fd, 1, 2, NULL, &f), ST_OK);
    CHECK_I64(zip_finish(z, &f), ST_OK);
    zip_free(z);
    close(fd);
    digest_to_hex(&digest, hex);
    CHECK_STR(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");

    REQUIRE((archive = reader(&r)));
    CHECK_I64(zip_get_num_entries(archive, 0), 5);
    CHECK(entry_is(archive, "manifest.json", text, sizeof text));
    CHECK(entry_is(archive, "images/a.jpg", "abc", 3));
    CHECK(entry_is(archive, utf8, "x", 1));
    CHECK(entry_is(archive, "empty", "", 0));
    CHECK(entry_is(archive, "rest", "bc", 2));
    CHECK_STR(zip_get_name(archive, 2, ZIP_FL_ENC_STRICT), utf8); /* flagged as UTF-8 */
    CHECK_I64(zip_stat_index(archive, 0, 0, &about), 0);
    CHECK_I64(about.comp_method, ZIP_CM_DEFLATE);
    CHECK(about.comp_size < 100);
    CHECK_I64(zip_stat_index(archive, 1, 0, &about), 0);
    CHECK_I64(about.comp_method, ZIP_CM_STORE);
    CHECK_I64(about.mtime, 1700000000);
    zip_discard(archive);
    buffer_free(&r.bytes);
}

TEST(names_that_leave_the_folder_are_refused)
{
    static const char *const bad[] = {
        "",     "/etc/passwd", "../x", "a/../x", "a/..", "..",     ".",    "./a",   "a/./b",
        "a//b", "a/",          "C:/x", "c:x",    "a\\b", "..\\..", "a\nb", "a\x7F", "\xC0\xAE\xC0\xAE/x",
        "\xFF", "a/\x01"
    };
    static const char *const good[] = {
        "a", "...", "..a", "a..", "a/..b/c", ".hidden", "a b/c'd\".txt"
    };
    struct receiver r = { .most = 0 };
    struct fault f = FAULT_INIT;
    struct zip_writer *z;
    char longest[1026];

    REQUIRE((z = writer(&r)));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (zip_entry_bytes(z, &(struct zip_entry){ bad[i], 0, false }, "x", 1, &f) != ST_INVALID)
            TEST_FAIL_("accepted: %s", bad[i]);
        CHECK_STR(f.field, "name");
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) /* a refused name breaks nothing */
        if (zip_entry_bytes(z, &(struct zip_entry){ good[i], 0, false }, "x", 1, &f) != ST_OK)
            TEST_FAIL_("refused: %s", good[i]);
    memset(longest, 'a', sizeof longest);
    longest[1025] = '\0';
    CHECK_I64(zip_entry_bytes(z, &(struct zip_entry){ longest, 0, false }, "x", 1, &f), ST_INVALID);
    longest[1024] = '\0';
    CHECK_I64(zip_entry_bytes(z, &(struct zip_entry){ longest, 0, false }, "x", 1, &f), ST_OK);
    CHECK_I64(zip_finish(z, &f), ST_OK);
    zip_free(z);
    buffer_free(&r.bytes);
}

TEST(a_receiver_that_fails_ends_the_archive_with_its_own_words)
{
    static char bytes[200000];

    for (size_t most = 1; most < 200000; most += 40000) {
        struct receiver r = { .most = most };
        struct fault f = FAULT_INIT;
        struct zip_writer *z;
        enum status st;

        REQUIRE((z = writer(&r)));
        st = zip_entry_bytes(z, &(struct zip_entry){ "a", 0, false }, bytes, sizeof bytes, &f);
        if (st == ST_OK)
            st = zip_finish(z, &f);
        CHECK_I64(st, ST_UNAVAILABLE);
        CHECK_STR(f.detail, "the client is gone");
        CHECK_I64(zip_entry_bytes(z, &(struct zip_entry){ "b", 0, false }, "", 0, &f), ST_INTERNAL);
        CHECK_I64(zip_finish(z, &f), ST_INTERNAL);
        zip_free(z);
        buffer_free(&r.bytes);
    }
}

TEST(a_file_that_shrank_is_an_error_not_an_archive)
{
    const int fd = temporary_file("abc", 3);
    struct receiver r = { .most = 0 };
    struct fault f = FAULT_INIT;
    struct digest digest;
    struct zip_writer *z;

    REQUIRE(fd >= 0 && (z = writer(&r)));
    CHECK_I64(zip_entry_file(z, &(struct zip_entry){ "a", 0, false }, fd, 0, 4, &digest, &f),
              ST_INTERNAL);
    CHECK_I64(zip_finish(z, &f), ST_INTERNAL);
    zip_free(z);
    close(fd);
    buffer_free(&r.bytes);
}

TEST(an_abandoned_archive_writes_nothing_more)
{
    struct receiver r = { .most = 0 };
    struct fault f = FAULT_INIT;
    struct zip_writer *z;
    size_t before;

    REQUIRE((z = writer(&r)));
    CHECK_I64(zip_entry_bytes(z, &(struct zip_entry){ "a", 0, false }, "x", 1, &f), ST_OK);
    before = r.total;
    zip_free(z);
    CHECK_SIZE(r.total, before);
    buffer_free(&r.bytes);
}

/* 4.5 GB through a sparse file: beyond 32-bit sizes, in the memory of a small one. */
TEST(more_than_four_gigabytes_need_no_more_memory)
{
    const int64_t size = (int64_t)4500 << 20;
    const int fd = temporary_file("", 0);
    struct receiver r = { .discard = true };
    struct fault f = FAULT_INIT;
    struct rusage before, after;
    struct zip_writer *z;

    if (!getenv("FOVEA_SLOW"))
        SKIP("FOVEA_SLOW is not set");
    REQUIRE(fd >= 0 && ftruncate(fd, size) == 0 && (z = writer(&r)));
    getrusage(RUSAGE_SELF, &before);
    CHECK_I64(zip_entry_file(z, &(struct zip_entry){ "big", 0, false }, fd, 0, size, NULL, &f), ST_OK);
    CHECK_I64(zip_finish(z, &f), ST_OK);
    getrusage(RUSAGE_SELF, &after);
    CHECK(r.total > (size_t)size);
    CHECK(after.ru_maxrss - before.ru_maxrss < 8 << 10);
    zip_free(z);
    close(fd);
}

/* Beyond 16-bit counts the directory needs ZIP64, too. */
TEST(more_than_65535_entries_are_all_found)
{
    struct receiver r = { .most = 0 };
    struct fault f = FAULT_INIT;
    struct zip_writer *z;
    zip_t *archive;
    char name[32];

    REQUIRE((z = writer(&r)));
    for (int i = 0; i < 70000; i++) {
        snprintf(name, sizeof name, "labels/%d.txt", i);
        REQUIRE(zip_entry_bytes(z, &(struct zip_entry){ name, 0, false }, name, strlen(name), &f) ==
                ST_OK);
    }
    CHECK_I64(zip_finish(z, &f), ST_OK);
    zip_free(z);
    REQUIRE((archive = reader(&r)));
    CHECK_I64(zip_get_num_entries(archive, 0), 70000);
    CHECK(entry_is(archive, "labels/69999.txt", "labels/69999.txt", 16));
    zip_discard(archive);
    buffer_free(&r.bytes);
}
