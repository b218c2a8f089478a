/* The content-addressed store: what is published is there, is what its name says, and nothing else stays
 * behind. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/failpoint.h"
#include "media/store.h"
#include "tests/unit/test.h"

static const char abc_hex[] = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
static const char empty_hex[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/* A store in a folder of its own; every case opens and removes one. */
struct bench {
    char folder[64], root[80], spool[80];
    struct store *s;
    struct fault f;
};

static bool bench_open(struct bench *b)
{
    *b = (struct bench){ .f = FAULT_INIT };
    snprintf(b->folder, sizeof b->folder, "/tmp/fovea-store-XXXXXX");
    if (!mkdtemp(b->folder))
        return false;
    snprintf(b->root, sizeof b->root, "%s/media", b->folder);
    snprintf(b->spool, sizeof b->spool, "%s/spool", b->folder);
    return mkdir(b->spool, 0700) == 0 && store_open(b->root, &b->s, &b->f) == ST_OK;
}

static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where)
{
    (void)about;
    (void)type;
    (void)where;
    return remove(path);
}

static void bench_close(struct bench *b)
{
    store_close(b->s);
    CHECK_I64(nftw(b->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static int files_in(const char *folder)
{
    DIR *d = opendir(folder);
    int n = 0;

    for (struct dirent *e; d && (e = readdir(d));)
        n += e->d_name[0] != '.';
    if (d)
        closedir(d);
    return n;
}

static int temporaries(const struct bench *b)
{
    char path[96];

    snprintf(path, sizeof path, "%s/tmp", b->root);
    return files_in(path);
}

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");

    REQUIRE(out);
    CHECK(fputs(text, out) >= 0);
    fclose(out);
}

static enum status publish_text(struct bench *b, const char *text, struct digest *d, int64_t *size)
{
    struct spool *sp = NULL;
    enum status st = spool_create(b->s, 1 << 20, &sp, &b->f);

    if (st == ST_OK)
        st = spool_write(sp, text, strlen(text), &b->f);
    if (st == ST_OK)
        st = spool_publish(sp, d, size, &b->f);
    spool_free(sp);
    return st;
}

TEST(a_published_file_lies_under_its_hash_and_is_read_back)
{
    char hex[DIGEST_HEX + 1], path[80], full[200];
    struct digest d;
    struct bench b;
    struct stat about;
    const void *p;
    int64_t size;
    size_t n;

    REQUIRE(bench_open(&b));
    REQUIRE(publish_text(&b, "abc", &d, &size) == ST_OK);
    digest_to_hex(&d, hex);
    CHECK_STR(hex, abc_hex);
    CHECK_I64(size, 3);
    store_path(&d, path);
    CHECK(strncmp(path, "sha256/ba/78/ba7816bf", 21) == 0);
    snprintf(full, sizeof full, "%s/%s", b.root, path);
    CHECK_I64(stat(full, &about), 0);
    CHECK_I64(about.st_mode & 07777, 0440);
    CHECK_I64(about.st_nlink, 1);
    CHECK_I64(temporaries(&b), 0);
    REQUIRE(store_map(b.s, &d, &p, &n, &b.f) == ST_OK);
    CHECK(n == 3 && memcmp(p, "abc", 3) == 0);
    store_unmap(p, n);
    CHECK_I64(store_verify(b.s, &d, &size, &b.f), ST_OK);
    bench_close(&b);
}

TEST(an_empty_file_is_a_file)
{
    char hex[DIGEST_HEX + 1];
    struct digest d;
    struct bench b;
    const void *p;
    int64_t size;
    size_t n;

    REQUIRE(bench_open(&b));
    REQUIRE(publish_text(&b, "", &d, &size) == ST_OK);
    digest_to_hex(&d, hex);
    CHECK_STR(hex, empty_hex);
    REQUIRE(store_map(b.s, &d, &p, &n, &b.f) == ST_OK);
    CHECK(p && n == 0);
    store_unmap(p, n);
    bench_close(&b);
}

TEST(pieces_hash_like_the_whole_and_can_be_looked_at_before_publishing)
{
    static const char *const pieces[] = { "a", "", "b", "c" };
    struct spool *sp = NULL;
    char hex[DIGEST_HEX + 1];
    struct digest d;
    struct bench b;
    const void *p;
    int64_t size;
    size_t n;

    REQUIRE(bench_open(&b));
    REQUIRE(spool_create(b.s, 3, &sp, &b.f) == ST_OK);
    CHECK_I64(temporaries(&b), 1);
    for (int i = 0; i < 4; i++) {
        CHECK_I64(spool_write(sp, pieces[i], strlen(pieces[i]), &b.f), ST_OK);
        CHECK_I64(spool_map(sp, &p, &n, &b.f), ST_OK);
        CHECK(memcmp(p, "abc", n) == 0);
    }
    CHECK_SIZE(n, 3);
    CHECK_I64(spool_publish(sp, &d, &size, &b.f), ST_OK);
    digest_to_hex(&d, hex);
    CHECK_STR(hex, abc_hex);
    CHECK_I64(spool_write(sp, "d", 1, &b.f), ST_INTERNAL);
    spool_free(sp);
    bench_close(&b);
}

TEST(equal_bytes_are_stored_once)
{
    struct digest one, two;
    struct bench b;
    struct stat first, second;
    char path[80], full[200];
    int64_t size;

    REQUIRE(bench_open(&b));
    REQUIRE(publish_text(&b, "twice", &one, &size) == ST_OK);
    store_path(&one, path);
    snprintf(full, sizeof full, "%s/%s", b.root, path);
    CHECK_I64(stat(full, &first), 0);
    REQUIRE(publish_text(&b, "twice", &two, &size) == ST_OK);
    CHECK(memcmp(&one, &two, sizeof one) == 0);
    CHECK_I64(stat(full, &second), 0);
    CHECK_I64(first.st_ino, second.st_ino);
    CHECK_I64(second.st_nlink, 1);
    CHECK_I64(temporaries(&b), 0);
    bench_close(&b);
}

TEST(publishing_again_after_the_file_was_swept_brings_it_back)
{
    struct spool *sp = NULL;
    struct digest d;
    struct bench b;
    int64_t size;

    REQUIRE(bench_open(&b));
    REQUIRE(spool_create(b.s, 100, &sp, &b.f) == ST_OK);
    CHECK_I64(spool_write(sp, "again", 5, &b.f), ST_OK);
    CHECK_I64(spool_publish(sp, &d, &size, &b.f), ST_OK);
    CHECK(store_remove(b.s, &d));
    CHECK_I64(store_verify(b.s, &d, &size, &b.f), ST_NOT_FOUND);
    CHECK_I64(spool_publish(sp, &d, &size, &b.f), ST_OK);
    CHECK_I64(store_verify(b.s, &d, &size, &b.f), ST_OK);
    spool_free(sp);
    bench_close(&b);
}

TEST(a_file_swept_between_publishing_and_its_row_is_published_again)
{
    struct spool *sp = NULL;
    struct digest d;
    struct bench b;
    int64_t size;

    REQUIRE(bench_open(&b));
    REQUIRE(spool_create(b.s, 100, &sp, &b.f) == ST_OK);
    REQUIRE(spool_write(sp, "abc", 3, &b.f) == ST_OK);
    CHECK_I64(spool_settle(sp, &b.f), ST_INTERNAL);
    REQUIRE(spool_publish(sp, &d, &size, &b.f) == ST_OK);
    CHECK_I64(spool_settle(sp, &b.f), ST_OK);
    CHECK(store_remove(b.s, &d));
    CHECK_I64(spool_settle(sp, &b.f), ST_OK);
    spool_free(sp);
    CHECK_I64(store_verify(b.s, &d, &size, &b.f), ST_OK);
    CHECK_I64(size, 3);
    CHECK_I64(temporaries(&b), 0);
    bench_close(&b);
}

TEST(a_damaged_file_is_found_and_mended_by_the_next_upload)
{
    char path[80], full[200];
    struct digest d;
    struct bench b;
    int64_t size;

    REQUIRE(bench_open(&b));
    REQUIRE(publish_text(&b, "precious", &d, &size) == ST_OK);
    store_path(&d, path);
    snprintf(full, sizeof full, "%s/%s", b.root, path);
    CHECK_I64(chmod(full, 0600), 0);
    CHECK_I64(truncate(full, 4), 0);
    CHECK_I64(store_verify(b.s, &d, &size, &b.f), ST_INVALID);
    REQUIRE(publish_text(&b, "precious", &d, &size) == ST_OK);
    CHECK_I64(store_verify(b.s, &d, &size, &b.f), ST_OK);
    CHECK_I64(temporaries(&b), 0);
    bench_close(&b);
}

TEST(more_than_the_limit_is_refused_and_leaves_nothing)
{
    struct spool *sp = NULL;
    struct digest d;
    struct bench b;
    int64_t size;

    REQUIRE(bench_open(&b));
    REQUIRE(spool_create(b.s, 4, &sp, &b.f) == ST_OK);
    CHECK_I64(spool_write(sp, "1234", 4, &b.f), ST_OK);
    CHECK_I64(spool_write(sp, "5", 1, &b.f), ST_TOO_LARGE);
    CHECK_I64(spool_write(sp, "", 0, &b.f), ST_INTERNAL); /* no way back from an error */
    CHECK_I64(spool_publish(sp, &d, &size, &b.f), ST_INTERNAL);
    spool_free(sp);
    CHECK_I64(temporaries(&b), 0);
    bench_close(&b);
}

/* ---- adopting nginx's file ---- */

TEST(an_adopted_file_is_linked_not_copied)
{
    char from[120], path[80], full[200];
    struct spool *sp = NULL;
    struct stat before, after;
    struct digest d;
    struct bench b;
    const void *p;
    int64_t size;
    size_t n;

    REQUIRE(bench_open(&b));
    snprintf(from, sizeof from, "%s/0000000001", b.spool);
    write_file(from, "abc");
    CHECK_I64(stat(from, &before), 0);
    REQUIRE(spool_adopt(b.s, from, b.spool, 3, &sp, &b.f) == ST_OK);
    CHECK_I64(spool_map(sp, &p, &n, &b.f), ST_OK);
    CHECK(n == 3 && memcmp(p, "abc", 3) == 0);
    CHECK_I64(spool_publish(sp, &d, &size, &b.f), ST_OK);
    CHECK_I64(size, 3);
    spool_free(sp);
    CHECK(access(from, F_OK) != 0);
    store_path(&d, path);
    snprintf(full, sizeof full, "%s/%s", b.root, path);
    CHECK_I64(stat(full, &after), 0);
    CHECK_I64(before.st_ino, after.st_ino);
    CHECK_I64(after.st_nlink, 1);
    bench_close(&b);
}

TEST(an_adopted_file_that_is_not_published_stays_for_nginx)
{
    struct spool *sp = NULL;
    struct bench b;
    char from[120];

    REQUIRE(bench_open(&b));
    snprintf(from, sizeof from, "%s/0000000001", b.spool);
    write_file(from, "abc");
    CHECK_I64(spool_adopt(b.s, from, b.spool, 2, &sp, &b.f), ST_TOO_LARGE);
    CHECK_I64(spool_adopt(b.s, from, b.spool, 3, &sp, &b.f), ST_OK);
    spool_free(sp);
    CHECK_I64(access(from, F_OK), 0);
    bench_close(&b);
}

TEST(only_regular_files_directly_in_the_spool_folder_are_adopted)
{
    static const char *const names[] = { "spool/../secret",
                                         "secret",
                                         "spool/link",
                                         "spool/pipe",
                                         "spool/deep/file",
                                         "spool/deep",
                                         "spool/",
                                         "spool/.",
                                         "spool/..",
                                         "spool",
                                         "spool//plain",
                                         "spoolx/file",
                                         "spool/../spool/plain" };
    char path[160], target[120];
    struct bench b;

    REQUIRE(bench_open(&b));
    snprintf(path, sizeof path, "%s/secret", b.folder);
    write_file(path, "secret");
    snprintf(target, sizeof target, "%s/link", b.spool);
    CHECK_I64(symlink(path, target), 0);
    snprintf(path, sizeof path, "%s/pipe", b.spool);
    CHECK_I64(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/deep", b.spool);
    CHECK_I64(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/deep/file", b.spool);
    write_file(path, "deep");
    snprintf(path, sizeof path, "%s/plain", b.spool);
    write_file(path, "plain");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct spool *sp = NULL;
        enum status st;

        snprintf(path, sizeof path, "%s/%s", b.folder, names[i]);
        if ((st = spool_adopt(b.s, path, b.spool, 100, &sp, &b.f)) != ST_INTERNAL)
            TEST_FAIL_("%s: %s", names[i], status_name(st));
        spool_free(sp);
    }
    bench_close(&b);
}

TEST(a_large_file_takes_the_room_of_its_bytes_only)
{
    enum { PIECE = 1 << 20, PIECES = 9 };
    char *piece = calloc(1, PIECE), path[160], name[80];
    struct spool *sp = NULL;
    struct digest d;
    struct stat about;
    struct bench b;
    int64_t size;

    REQUIRE(bench_open(&b));
    REQUIRE(spool_create(b.s, (int64_t)PIECE * PIECES, &sp, &b.f) == ST_OK);
    for (int i = 0; i < PIECES; i++)
        CHECK_I64(spool_write(sp, piece, PIECE, &b.f), ST_OK);
    REQUIRE(spool_publish(sp, &d, &size, &b.f) == ST_OK);
    CHECK_I64(size, (int64_t)PIECE * PIECES);
    spool_free(sp);
    store_path(&d, name);
    snprintf(path, sizeof path, "%s/%s", b.root, name);
    REQUIRE(stat(path, &about) == 0);
    CHECK_I64(about.st_size, size);
    CHECK(about.st_blocks * 512 <= size + 65536);
    free(piece);
    bench_close(&b);
}

/* A PUT that nginx repeats after its first process died with the file published. */
TEST(a_body_that_is_gone_is_asked_for_again)
{
    struct spool *sp = NULL;
    char path[160];
    struct bench b;

    REQUIRE(bench_open(&b));
    snprintf(path, sizeof path, "%s/0000000001", b.spool);
    CHECK_I64(spool_adopt(b.s, path, b.spool, 100, &sp, &b.f), ST_UNAVAILABLE);
    CHECK_I64(b.f.retry_after_s, 1);
    bench_close(&b);
}

TEST(a_file_of_another_file_system_is_not_adopted)
{
    char folder[] = "/dev/shm/fovea-store-XXXXXX", from[80];
    struct spool *sp = NULL;
    struct stat shm, tmp;
    struct bench b;

    if (stat("/dev/shm", &shm) != 0 || stat("/tmp", &tmp) != 0 || shm.st_dev == tmp.st_dev ||
        !mkdtemp(folder))
        SKIP("no second file system");
    REQUIRE(bench_open(&b));
    snprintf(from, sizeof from, "%s/file", folder);
    write_file(from, "abc");
    CHECK_I64(spool_adopt(b.s, from, folder, 100, &sp, &b.f), ST_INTERNAL);
    CHECK(strstr(b.f.detail, "file system"));
    unlink(from);
    rmdir(folder);
    bench_close(&b);
}

/* ---- housekeeping ---- */

struct seen {
    char last[DIGEST_HEX + 1];
    int n, stop_after;
    int64_t bytes;
};

static bool see(const struct digest *d, int64_t size, int64_t mtime_s, void *arg)
{
    struct seen *seen = arg;
    char hex[DIGEST_HEX + 1];

    digest_to_hex(d, hex);
    CHECK(strcmp(hex, seen->last) > 0);
    CHECK(mtime_s > 0);
    memcpy(seen->last, hex, sizeof hex);
    seen->bytes += size;
    return ++seen->n != seen->stop_after;
}

TEST(every_published_file_is_visited_once_in_name_order)
{
    struct seen seen = { .n = 0 }, some = { .stop_after = 3 };
    struct digest d;
    struct bench b;
    char text[32], stray[160];
    int64_t size;

    REQUIRE(bench_open(&b));
    for (int i = 0; i < 20; i++) {
        snprintf(text, sizeof text, "file %d", i);
        REQUIRE(publish_text(&b, text, &d, &size) == ST_OK);
    }
    snprintf(stray, sizeof stray, "%s/sha256/00/stray", b.root);
    write_file(stray, "not a blob");
    store_each(b.s, see, &seen);
    CHECK_I64(seen.n, 20);
    CHECK_I64(seen.bytes, 10 * 6 + 10 * 7);
    store_each(b.s, see, &some);
    CHECK_I64(some.n, 3);
    bench_close(&b);
}

TEST(the_sweeper_removes_old_temporaries_only)
{
    struct timespec old[2] = { { 1000, 0 }, { 1000, 0 } };
    struct spool *sp = NULL;
    struct bench b;
    char path[120];

    REQUIRE(bench_open(&b));
    snprintf(path, sizeof path, "%s/tmp/in.1.2.3", b.root);
    write_file(path, "left by a crash");
    CHECK_I64(utimensat(AT_FDCWD, path, old, 0), 0);
    REQUIRE(spool_create(b.s, 100, &sp, &b.f) == ST_OK);
    CHECK_I64(store_sweep(b.s, 3600), 1);
    CHECK_I64(temporaries(&b), 1);
    spool_free(sp);
    bench_close(&b);
}

TEST(digests_are_64_hex_digits_of_either_case)
{
    char hex[DIGEST_HEX + 1], upper[DIGEST_HEX + 1];
    struct digest d;

    CHECK(digest_from_hex(abc_hex, 64, &d));
    for (int i = 0; i <= DIGEST_HEX; i++)
        upper[i] = (char)(abc_hex[i] >= 'a' ? abc_hex[i] - 32 : abc_hex[i]);
    CHECK(digest_from_hex(upper, 64, &d));
    digest_to_hex(&d, hex);
    CHECK_STR(hex, abc_hex);
    CHECK(!digest_from_hex(abc_hex, 63, &d));
    CHECK(!digest_from_hex("../../../../../../../../../../../../../../../../../../etc/passwd", 64, &d));
}

/* ---- many at once ---- */

static void *upload_many(void *arg)
{
    struct bench b = *(struct bench *)arg;
    struct digest d;
    char text[32];
    int64_t size;

    for (int i = 0; i < 50; i++) {
        snprintf(text, sizeof text, "shared %d", i % 10);
        if (publish_text(&b, text, &d, &size) != ST_OK || store_verify(b.s, &d, &size, &b.f) != ST_OK)
            return arg;
    }
    return NULL;
}

TEST(threads_that_upload_equal_files_all_succeed)
{
    struct seen seen = { .n = 0 };
    pthread_t threads[4];
    struct bench b;
    void *failed;

    REQUIRE(bench_open(&b));
    for (int i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, upload_many, &b) == 0);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], &failed);
        CHECK(!failed);
    }
    store_each(b.s, see, &seen);
    CHECK_I64(seen.n, 10);
    CHECK_I64(temporaries(&b), 0);
    bench_close(&b);
}

/* ---- when the disk or the process fails ---- */

#ifdef FOVEA_FAILPOINTS

static const char *const points[] = { "spool_opened", "spool_write", "hash_done",
                                      "file_fsynced", "linked",      "dir_fsynced" };
enum { NPOINTS = sizeof points / sizeof points[0] };

TEST(a_failing_disk_is_never_a_success_and_the_next_upload_works)
{
    for (int i = 0; i < NPOINTS; i++) {
        for (int full = 0; full < 2; full++) {
            struct digest d;
            struct bench b;
            char plan[64];
            int64_t size = -1;

            REQUIRE(bench_open(&b));
            snprintf(plan, sizeof plan, "%s:1:%s", points[i], full ? "enospc" : "eio");
            failpoint_arm(plan);
            CHECK_I64(publish_text(&b, "abc", &d, &size), ST_UNAVAILABLE);
            CHECK_STR(b.f.reason, full ? "storage_full" : "storage_failed");
            CHECK(b.f.retry_after_s > 0);
            CHECK_I64(size, -1);
            CHECK_I64(temporaries(&b), 0);
            CHECK_I64(publish_text(&b, "abc", &d, &size), ST_OK);
            CHECK_I64(store_verify(b.s, &d, &size, &b.f), ST_OK);
            failpoint_arm(NULL);
            bench_close(&b);
        }
    }
}

TEST(a_spool_whose_fsync_failed_is_not_tried_again)
{
    struct spool *sp = NULL;
    struct digest d;
    struct bench b;
    int64_t size;

    REQUIRE(bench_open(&b));
    failpoint_arm("file_fsynced:1:eio");
    REQUIRE(spool_create(b.s, 100, &sp, &b.f) == ST_OK);
    CHECK_I64(spool_write(sp, "abc", 3, &b.f), ST_OK);
    CHECK_I64(spool_publish(sp, &d, &size, &b.f), ST_UNAVAILABLE);
    CHECK_I64(spool_publish(sp, &d, &size, &b.f), ST_INTERNAL);
    spool_free(sp);
    failpoint_arm(NULL);
    bench_close(&b);
}

/* The child dies at the point; what is visible afterwards is nothing, or the whole file. */
TEST(a_process_killed_at_any_point_leaves_nothing_or_the_whole_file)
{
    for (int i = 0; i < NPOINTS; i++) {
        struct digest d;
        struct bench b;
        int64_t size;
        enum status st;
        int how;
        pid_t child;

        REQUIRE(bench_open(&b));
        if ((child = fork()) == 0) {
            char plan[64];

            snprintf(plan, sizeof plan, "%s:1:kill", points[i]);
            failpoint_arm(plan);
            st = publish_text(&b, "abc", &d, &size);
            _exit(st == ST_OK ? 0 : 1);
        }
        CHECK(waitpid(child, &how, 0) == child && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL);
        CHECK(digest_from_hex(abc_hex, DIGEST_HEX, &d));
        st = store_verify(b.s, &d, &size, &b.f);
        CHECK_I64(st, i < 4 ? ST_NOT_FOUND : ST_OK);
        CHECK_I64(temporaries(&b), 1);
        CHECK_I64(store_sweep(b.s, 0), 1);
        CHECK_I64(store_verify(b.s, &d, &size, &b.f), st);
        CHECK_I64(publish_text(&b, "abc", &d, &size), ST_OK);
        bench_close(&b);
    }
}

#endif

TEST(a_full_disk_is_storage_full)
{
    /* The kernel's own error, not a pretended one: a file size limit gives EFBIG, a full device ENOSPC.
     */
    struct spool *sp = NULL;
    struct bench b;
    char piece[4096] = { 0 };
    int full;

    REQUIRE(bench_open(&b));
    if ((full = open("/dev/full", O_RDWR)) < 0) {
        bench_close(&b);
        SKIP("no /dev/full");
    }
    REQUIRE(spool_create(b.s, 1 << 20, &sp, &b.f) == ST_OK);
    /* The spool's descriptor is the newest but one: aim it at the full device. */
    for (int fd = full + 1; fd < full + 8; fd++) {
        struct stat about;

        if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))
            CHECK(dup2(full, fd) == fd);
    }
    CHECK_I64(spool_write(sp, piece, sizeof piece, &b.f), ST_UNAVAILABLE);
    CHECK_STR(b.f.reason, "storage_full");
    spool_free(sp);
    close(full);
    CHECK_I64(temporaries(&b), 0);
    bench_close(&b);
}
