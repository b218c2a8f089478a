/* Signed links: what we sign verifies, and nothing else does. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>
#include "media/sign.h"
#include "tests/unit/test.h"

static const int64_t now_s = 1800000000;

/* A folder, a signer in it, and one good link. */
struct bench {
    char folder[40], path[60];
    struct signer *s;
    struct fault f;
    struct buffer link;
};

static const struct signed_link good = { SIGN_READ, "weights", 4711, 42, "best.pt", 1800000600 };

static bool bench_open(struct bench *b)
{
    *b = (struct bench){ .f = FAULT_INIT, .folder = "/tmp/fovea-sign-XXXXXX" };
    if (!mkdtemp(b->folder))
        return false;
    snprintf(b->path, sizeof b->path, "%s/secrets", b->folder);
    if (signer_open(b->path, &b->s, &b->f) != ST_OK)
        return false;
    sign_link(b->s, &good, &b->link);
    buffer_terminate(&b->link);
    return true;
}

static void bench_close(struct bench *b)
{
    signer_close(b->s);
    buffer_free(&b->link);
    unlink(b->path);
    rmdir(b->folder);
}

/* Both steps over a whole link, as a handler does them. */
static enum status open_link(struct bench *b, const char *link, size_t n, enum sign_class access,
                             int64_t tenant, int64_t now, struct signed_request *rq)
{
    const char *mark = memchr(link, '?', n);
    const size_t path_n = mark ? (size_t)(mark - link) : n;
    const enum status st =
        sign_parse(link, path_n, mark ? mark + 1 : "", mark ? n - path_n - 1 : 0, now, rq, &b->f);

    return st == ST_OK ? sign_verify(b->s, rq, access, tenant, &b->f) : st;
}

static enum status open_text(struct bench *b, const char *link)
{
    struct signed_request rq;

    return open_link(b, link, strlen(link), SIGN_READ, good.tenant, now_s, &rq);
}

TEST(a_link_has_the_documented_form_and_opens)
{
    struct signed_request rq;
    struct bench b;

    REQUIRE(bench_open(&b));
    CHECK(strncmp(b.link.p, "/media/weights/4711/best.pt?exp=1800000600&k=", 45) == 0);
    CHECK(strlen(strstr(b.link.p, "&sig=") + 5) == 43);
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq), ST_OK);
    CHECK_STR(rq.purpose, "weights");
    CHECK_STR(rq.name, "best.pt");
    CHECK_I64(rq.id, 4711);
    CHECK_I64(rq.expires_s, 1800000600);
    bench_close(&b);
}

TEST(awkward_names_survive_the_way_through_a_url)
{
    static const char *const names[][2] = {
        { "two words.pt", "two words.pt" },
        { "quote\".pt", "quote\".pt" },
        { "it's 100%.pt", "it's 100%.pt" },
        { "a?b=c&d#e;f+g.pt", "a?b=c&d#e;f+g.pt" },
        { "%2e%2e", "%2e%2e" },
        { "\xE6\xA8\xA1\xE5\x9E\x8B \xF0\x9F\xA6\x8A.onnx",
          "\xE6\xA8\xA1\xE5\x9E\x8B \xF0\x9F\xA6\x8A.onnx" },
        { "e\xCC\x81.png", "e\xCC\x81.png" }, /* not composed: kept as it is */
        { "...", "..." },
        /* names that no link can carry become the nearest that one can */
        { "..", "file" },
        { "", "file" },
        { "../../etc/passwd", ".._.._etc_passwd" },
        { "a\\b\r\nSet-Cookie: x", "a_b__Set-Cookie: x" },
        { "latin \xE9.pt", "latin _.pt" },
    };
    struct signed_request rq;
    struct bench b;

    REQUIRE(bench_open(&b));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct signed_link link = good;
        enum status st;

        link.name = names[i][0];
        buffer_clear(&b.link);
        sign_link(b.s, &link, &b.link);
        if ((st = open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq)) != ST_OK)
            TEST_FAIL_("%s: %s", names[i][1], status_name(st));
        else
            CHECK_STR(rq.name, names[i][1]);
        for (size_t at = 0; at < b.link.n; at++)
            CHECK(b.link.p[at] > ' ' && b.link.p[at] < 127 && !strchr("\"'\\;#", b.link.p[at]));
    }
    bench_close(&b);
}

TEST(a_long_name_is_cut_between_characters)
{
    struct signed_link link = good;
    struct signed_request rq;
    struct bench b;
    char name[301];

    for (int i = 0; i < 100; i++)
        memcpy(name + 3 * i, "\xE6\xA8\xA1", 3);
    name[300] = '\0';
    link.name = name;
    REQUIRE(bench_open(&b));
    buffer_clear(&b.link);
    sign_link(b.s, &link, &b.link);
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq), ST_OK);
    CHECK_SIZE(strlen(rq.name), 198);
    bench_close(&b);
}

/* ---- attacks ---- */

/* A link made from the good one by replacing `from` by `to` (the whole link when from is NULL). Caller
 * frees. */
static char *replaced(const char *link, const char *from, const char *to)
{
    const char *at = from ? strstr(link, from) : link;
    const size_t cut = from ? strlen(from) : strlen(link), before = at ? (size_t)(at - link) : 0;
    char *new = malloc(strlen(link) + strlen(to) + 1);

    if (!at || !new) {
        free(new);
        return NULL;
    }
    snprintf(new, strlen(link) + strlen(to) + 1, "%.*s%s%s", (int)before, link, to, at + cut);
    return new;
}

TEST(every_change_of_a_link_is_refused_alike)
{
    static const struct {
        const char *from, *to;
    } attacks[] = {
        /* expiry */
        { "exp=1800000600", "exp=1800000601" },
        { "exp=1800000600", "exp=1799999999" },
        { "exp=1800000600", "exp=1800000000" },
        { "exp=1800000600", "exp=-1800000600" },
        { "exp=1800000600", "exp=01800000600" },
        { "exp=1800000600", "exp=+1800000600" },
        { "exp=1800000600", "exp=%201800000600" },
        { "exp=1800000600", "exp= 1800000600" },
        { "exp=1800000600", "exp=1800000600 " },
        { "exp=1800000600", "exp=1800000600.0" },
        { "exp=1800000600", "exp=1.8e9" },
        { "exp=1800000600", "exp=0x6b49d458" },
        { "exp=1800000600", "exp=9223372036854775807" },
        { "exp=1800000600", "exp=9223372036854775808" },
        { "exp=1800000600", "exp=18446744075509552216" },
        { "exp=1800000600", "exp=" },
        { "exp=1800000600&", "" },
        { "exp=1800000600", "exp=1800000600&exp=1900000000" },
        { "exp=1800000600", "exp=1900000000&exp=1800000600" },
        { "exp=", "EXP=" },
        { "exp=", "%65xp=" },
        /* parameters */
        { "?exp", "?response-content-type=text/html&exp" },
        { "&k=", "&filename=x&k=" },
        { "&k=", "&&k=" },
        { "&k=", ";k=" },
        { "?exp", "?&exp" },
        { "?exp", "??exp" },
        { "&sig=", "&sig=&sig=" },
        { "&sig=", "&Sig=" },
        { "&sig=", "&sig==" },
        { "&sig=", "&sig= " },
        { "&sig=", "#&sig=" },
        { "&k=", "&k=0" },
        { "&k=", "&k=-" },
        { "&k=", "&k=9" },
        /* purpose, id, name */
        { "weights", "exports" },
        { "weights", "Weights" },
        { "weights", "weight" },
        { "weights", "%77eights" },
        { "weights/", "weights//" },
        { "weights/4711", "weights4711/" },
        { "/4711/", "/4712/" },
        { "/4711/", "/04711/" },
        { "/4711/", "/+4711/" },
        { "/4711/", "/-4711/" },
        { "/4711/", "/4711/4711/" },
        { "/4711/", "/%34711/" },
        { "/4711/", "/4711/./" },
        { "/4711/", "/4711/../4711/" },
        { "/4711/", "/4711%2f" },
        { "/4711/", "/471/1" },
        { "/4711/best", "/471/1best" }, /* field boundary */
        { "/media/", "/media//" },
        { "/media/", "//media/" },
        { "/media/", "/./media/" },
        { "/media/", "/Media/" },
        { "/media/", "media/" },
        { "/media/", "http://host/media/" },
        { "/media/", "/other/../media/" },
        { "best.pt", "worst.pt" },
        { "best.pt", "BEST.pt" },
        { "best.pt", "best.pt/" },
        { "best.pt", "best%2Ept" },
        { "best.pt", "best%2ept" },
        { "best.pt", "best%252Ept" },
        { "best.pt", "%62est.pt" },
        { "best.pt", "%2e%2e" },
        { "best.pt", "%2E%2E" },
        { "best.pt", ".." },
        { "best.pt", "." },
        { "best.pt", "" },
        { "best.pt", "x/../best.pt" },
        { "best.pt", "%2e%2e/best.pt" },
        { "best.pt", "..%2fbest.pt" },
        { "best.pt", "..%252fbest.pt" },
        { "best.pt", "..%5Cbest.pt" },
        { "best.pt", "..\\best.pt" },
        { "best.pt", "%c0%ae%c0%ae" },
        { "best.pt", "%E0%80%AE.pt" },
        { "best.pt", "best.pt;x" },
        { "best.pt", "best.pt;x=1" },
        { "best.pt", "best.pt%3Bx" },
        { "best.pt", "best.pt%00" },
        { "best.pt", "best.pt%00.png" },
        { "best.pt", "best.pt%0D%0ASet-Cookie:x" },
        { "best.pt", "best.pt%20" },
        { "best.pt", "best.pt " },
        { "best.pt", "best.pt%" },
        { "best.pt", "best.pt%2" },
        { "best.pt", "best.pt%zz" },
        { "best.pt", "best+.pt" },
        { "best.pt", "best.p\xC5\xA5" },
        { "best.pt", "best.pt%FF" },
        { "best.pt", "best.pt#x" },
        { NULL, "" },
        { NULL, "/media" },
        { NULL, "/media/" },
        { NULL, "/media/weights/4711/best.pt" },
        { NULL, "/media/weights/4711/best.pt?" },
        { NULL, "/media/weights/4711/best.pt?exp=1800000600&k=1&sig=" },
    };
    const char *sentence = "the link is not valid or has expired";
    struct bench b;

    REQUIRE(bench_open(&b));
    CHECK_I64(open_text(&b, b.link.p), ST_OK);
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        char *link = replaced(b.link.p, attacks[i].from, attacks[i].to);

        REQUIRE(link);
        b.f = FAULT_INIT;
        if (open_text(&b, link) != ST_FORBIDDEN || strcmp(b.f.detail, sentence) != 0 || b.f.reason ||
            b.f.field)
            TEST_FAIL_("accepted or explained: %s", link);
        free(link);
    }
    bench_close(&b);
}

TEST(every_change_of_a_signature_is_refused)
{
    struct signed_request rq;
    struct bench b;
    size_t start;
    char last;

    REQUIRE(bench_open(&b));
    start = b.link.n - 43;
    for (size_t n = start; n < b.link.n; n++) /* truncated */
        CHECK_I64(open_link(&b, b.link.p, n, SIGN_READ, 42, now_s, &rq), ST_FORBIDDEN);
    for (size_t i = start; i < b.link.n;
         i++) { /* every bit of every character, so also other case and alphabets */
        for (int bit = 0; bit < 8; bit++) {
            b.link.p[i] = (char)(b.link.p[i] ^ 1 << bit);
            CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq), ST_FORBIDDEN);
            b.link.p[i] = (char)(b.link.p[i] ^ 1 << bit);
        }
    }
    /* the two spare bits of the last character: same bytes, other spelling */
    last = b.link.p[b.link.n - 1];
    for (const char *c = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/="; *c;
         c++) {
        b.link.p[b.link.n - 1] = *c;
        CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq),
                  *c == last ? ST_OK : ST_FORBIDDEN);
    }
    b.link.p[b.link.n - 1] = last;
    buffer_char(&b.link, '=');
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq), ST_FORBIDDEN);
    bench_close(&b);
}

TEST(tenant_method_class_and_time_are_signed)
{
    struct signed_request rq;
    struct bench b, other;

    REQUIRE(bench_open(&b));
    REQUIRE(bench_open(&other));
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 43, now_s, &rq), ST_FORBIDDEN);
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_WRITE, 42, now_s, &rq), ST_FORBIDDEN);
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, 1800000599, &rq), ST_OK);
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, 1800000600, &rq), ST_FORBIDDEN);
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, 1800000601, &rq), ST_FORBIDDEN);
    CHECK_I64(open_link(&other, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq), ST_FORBIDDEN);
    bench_close(&b);
    bench_close(&other);
}

TEST(moving_bytes_between_fields_changes_the_signature)
{
    struct signed_link one = good, two = good;
    struct buffer first = { 0 }, second = { 0 };
    struct bench b;

    REQUIRE(bench_open(&b));
    one.id = 1;
    one.tenant = 23;
    two.id = 12;
    two.tenant = 3;
    sign_link(b.s, &one, &first);
    sign_link(b.s, &two, &second);
    CHECK(memcmp(first.p + first.n - 43, second.p + second.n - 43, 43) != 0);
    buffer_free(&first);
    buffer_free(&second);
    bench_close(&b);
}

/* ---- secrets ---- */

TEST(old_links_outlive_a_rotation_and_die_after_the_grace)
{
    struct signed_request rq;
    struct buffer newer = { 0 };
    struct bench b;

    REQUIRE(bench_open(&b));
    CHECK_I64(signer_rotate(b.path, 3600, &b.f), ST_OK);
    signer_refresh(b.s);
    CHECK_I64(open_text(&b, b.link.p), ST_OK);
    sign_link(b.s, &good, &newer);
    buffer_terminate(&newer);
    CHECK(strcmp(newer.p, b.link.p) != 0); /* signed by the new secret */
    CHECK_I64(open_text(&b, newer.p), ST_OK);
    /* nothing is kept: the first secret was replaced before -1 seconds of grace began */
    CHECK_I64(signer_rotate(b.path, -10, &b.f), ST_OK);
    signer_refresh(b.s);
    CHECK_I64(open_link(&b, b.link.p, b.link.n, SIGN_READ, 42, now_s, &rq), ST_FORBIDDEN);
    CHECK_I64(open_text(&b, newer.p), ST_FORBIDDEN);
    buffer_free(&newer);
    bench_close(&b);
}

TEST(the_secret_file_is_private_and_shared_by_all_who_open_it)
{
    struct signed_request rq;
    struct signer *again = NULL;
    struct stat about;
    struct bench b;

    REQUIRE(bench_open(&b));
    CHECK_I64(stat(b.path, &about), 0);
    CHECK_I64(about.st_mode & 0777, 0600);
    REQUIRE(signer_open(b.path, &again, &b.f) == ST_OK);
    CHECK_I64(sign_parse(b.link.p, 27, b.link.p + 28, b.link.n - 28, now_s, &rq, &b.f), ST_OK);
    CHECK_I64(sign_verify(again, &rq, SIGN_READ, 42, &b.f), ST_OK);
    signer_close(again);
    again = NULL;
    CHECK_I64(chmod(b.path, 0644), 0);
    CHECK_I64(signer_open(b.path, &again, &b.f), ST_INVALID);
    bench_close(&b);
}

TEST(a_spoiled_secret_file_is_refused_and_leaves_old_secrets_in_force)
{
    static const char *const texts[] = { "", "\n", "1 abc\n", "x 00\n", "1", "2 zz\n" };
    struct signer *again = NULL;
    struct bench b;

    REQUIRE(bench_open(&b));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        const int fd = open(b.path, O_WRONLY | O_TRUNC);

        CHECK(write(fd, texts[i], strlen(texts[i])) == (ssize_t)strlen(texts[i]));
        close(fd);
        CHECK_I64(signer_open(b.path, &again, &b.f), ST_INVALID);
        signer_refresh(b.s);
        CHECK_I64(open_text(&b, b.link.p), ST_OK);
    }
    bench_close(&b);
}

static void *use_signer(void *arg)
{
    struct bench *b = arg;

    for (int i = 0; i < 300; i++) {
        struct buffer link = { 0 };
        struct signed_request rq;
        struct bench own = *b;
        enum status st;

        signer_refresh(b->s);
        sign_link(b->s, &good, &link);
        signer_refresh(b->s);
        st = open_link(&own, link.p, link.n, SIGN_READ, 42, now_s, &rq);
        buffer_free(&link);
        if (st != ST_OK)
            return arg;
    }
    return NULL;
}

TEST(threads_sign_and_verify_while_secrets_rotate)
{
    pthread_t threads[3];
    struct bench b;
    void *failed;

    REQUIRE(bench_open(&b));
    for (int i = 0; i < 3; i++)
        REQUIRE(pthread_create(&threads[i], NULL, use_signer, &b) == 0);
    for (int i = 0; i < 10; i++)
        CHECK_I64(signer_rotate(b.path, 3600, &b.f), ST_OK);
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], &failed);
        CHECK(!failed);
    }
    CHECK_I64(open_text(&b, b.link.p), ST_OK);
    bench_close(&b);
}
