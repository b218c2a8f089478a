/* A form in a spooled body: its file arrives whole, and what was read of a POST takes no room any more.
 */
#include "tests/unit/test.h"

#include <fcntl.h>
#include <ftw.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fcgi/context.h"
#include "fcgi/upload.h"

enum { FILE_BYTES = 24 << 20 };

struct bench {
    char folder[64], root[80], body[80];
    struct context ctx;
    struct request rq;
};

static const char head[] =
    "--b\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nlarge\r\n"
    "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"m.onnx\"\r\n\r\n";

/* Byte i of the file; full of what begins a boundary. */
static char byte_at(size_t i)
{
    static const char pattern[] = "weights \r\n\r\n--c \r\n--";

    return i % 251 < sizeof pattern - 1 ? pattern[i % 251] : (char)(i * 31 >> 8 & 0x3f);
}

static bool write_body(const char *path, size_t n)
{
    char *file = malloc(n + 1);
    FILE *out = fopen(path, "wb");
    bool ok = file && out;

    for (size_t i = 0; file && i < n; i++)
        file[i] = byte_at(i);
    ok = ok && fwrite(head, 1, sizeof head - 1, out) == sizeof head - 1 &&
         fwrite(file, 1, n, out) == n && fputs("\r\n--b--\r\n", out) >= 0;
    if (out)
        ok = fclose(out) == 0 && ok;
    free(file);
    return ok;
}

static bool bench_open(struct bench *b, const char *method)
{
    struct fault f = FAULT_INIT;

    *b = (struct bench){ .rq = { .method = method, .content_type = "multipart/form-data; boundary=b" } };
    snprintf(b->folder, sizeof b->folder, "/tmp/fovea-upload-XXXXXX");
    if (!mkdtemp(b->folder))
        return false;
    snprintf(b->root, sizeof b->root, "%s/media", b->folder);
    snprintf(b->body, sizeof b->body, "%s/body", b->folder);
    b->rq.ctx = &b->ctx;
    b->rq.body_file = b->body;
    b->rq.arena = arena_create(1 << 20);
    return b->rq.arena && write_body(b->body, FILE_BYTES) &&
           store_open(b->root, &b->ctx.store, &f) == ST_OK;
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
    store_close(b->ctx.store);
    arena_free(b->rq.arena);
    CHECK_I64(nftw(b->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static bool same_file(struct upload *up)
{
    struct fault f = FAULT_INIT;
    const void *p;
    size_t n;

    if (!up->spool || spool_map(up->spool, &p, &n, &f) != ST_OK || n != FILE_BYTES)
        return false;
    for (size_t i = 0; i < n; i++)
        if (((const char *)p)[i] != byte_at(i))
            return false;
    return true;
}

/* Bytes of the body that are still there once the form has been read. */
static int64_t left_behind(const char *method)
{
    struct upload up = { 0 };
    struct fault f = FAULT_INIT;
    struct stat about;
    struct bench b;
    int64_t left = -1;

    if (!bench_open(&b, method))
        return -1;
    if (upload_to_store(&b.rq, "file", 1 << 30, &up, &f) == ST_OK && same_file(&up) &&
        stat(b.body, &about) == 0)
        left = (int64_t)about.st_blocks * 512;
    CHECK_STR(up.filename, "m.onnx");
    CHECK_SIZE(b.rq.nform, 1);
    CHECK_STR(b.rq.nform ? b.rq.form[0].value : "", "large");
    upload_free(&up);
    bench_close(&b);
    return left;
}

static bool can_give_back(void)
{
    char path[] = "/tmp/fovea-upload-XXXXXX";
    const int fd = mkstemp(path);
    const bool can = fd >= 0 && ftruncate(fd, 1 << 20) == 0 &&
                     fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 1 << 19) == 0;

    if (fd >= 0)
        close(fd);
    unlink(path);
    return can;
}

TEST(the_body_of_a_post_shrinks_while_its_file_is_copied_out)
{
    int64_t left;

    if (!can_give_back())
        SKIP("the file system of /tmp cannot give back a part of a file");
    left = left_behind("POST");
    CHECK(left >= 0 && left <= 10 << 20);
}

/* nginx may send an idempotent request to a second process: the body has to be whole for that one. */
TEST(the_body_of_a_put_stays_whole)
{
    CHECK(left_behind("PUT") >= FILE_BYTES);
}

TEST(a_file_over_the_limit_is_refused_and_leaves_nothing)
{
    struct upload up = { 0 };
    struct fault f = FAULT_INIT;
    struct bench b;

    REQUIRE(bench_open(&b, "POST"));
    CHECK_I64(upload_to_store(&b.rq, "file", FILE_BYTES - 1, &up, &f), ST_TOO_LARGE);
    CHECK(up.spool == NULL);
    bench_close(&b);
}
