/* Outbound HTTP: no spelling of a forbidden address opens a connection; what is allowed works, within
 * its limits. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strings.h>
#include <sys/un.h>
#include <unistd.h>
#include "base/outbound.h"
#include "tests/unit/test.h"

/* ---- addresses ---- */

static bool allowed(const char *text, const char *allow)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };

    if (inet_pton(AF_INET, text, &in.sin_addr) == 1)
        return outbound_address_allowed((const struct sockaddr *)&in, allow);
    if (inet_pton(AF_INET6, text, &in6.sin6_addr) == 1)
        return outbound_address_allowed((const struct sockaddr *)&in6, allow);
    TEST_FAIL_("no address: %s", text);
    return false;
}

TEST(special_addresses_are_refused_to_their_borders)
{
    static const char *const refused[] = {
        "0.0.0.0",
        "0.0.0.1",
        "0.255.255.255",
        "10.0.0.0",
        "10.1.2.3",
        "10.255.255.255",
        "100.64.0.0",
        "100.127.255.255",
        "127.0.0.0",
        "127.0.0.1",
        "127.1.2.3",
        "127.255.255.255",
        "169.254.0.0",
        "169.254.169.254",
        "169.254.255.255",
        "172.16.0.0",
        "172.31.255.255",
        "192.0.0.0",
        "192.0.0.255",
        "192.0.2.1",
        "192.31.196.1",
        "192.52.193.1",
        "192.88.99.1",
        "192.168.0.0",
        "192.168.255.255",
        "192.175.48.1",
        "198.18.0.0",
        "198.19.255.255",
        "198.51.100.7",
        "203.0.113.255",
        "224.0.0.0",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.0",
        "255.255.255.254",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::8.8.8.8",
        "::ffff:0.0.0.0",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "::ffff:10.0.0.1",
        "::ffff:a9fe:a9fe",
        "::ffff:192.168.1.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::127.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::8.8.8.8",
        "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
        "100::",
        "100::1",
        "2001::",
        "2001::1",
        "2001:0:5ef5:79fd:0:59d:a0e5:ba1",
        "2001:2::1",
        "2001:10::1",
        "2001:20::1",
        "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8::",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002:7f00:1::",
        "2002:a00:1::1",
        "2002:a9fe:a9fe::",
        "2002:c0a8:101::1",
        "2002:e000:1::",
        "2620:4f:8000::1",
        "3fff::1",
        "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff",
        "4000::1",
        "5f00::1",
        "fc00::",
        "fc00::1",
        "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fd00::1",
        "fe80::",
        "fe80::1",
        "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "fec0::1",
        "feff::1",
        "ff00::",
        "ff02::1",
        "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
    };
    static const char *const open[] = {
        "1.0.0.0",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.0.3.0",
        "192.88.98.1",
        "192.88.100.1",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.1",
        "203.0.112.1",
        "203.0.114.1",
        "223.255.255.255",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2000::1",
        "2001:200::1",
        "2001:4860:4860::8888",
        "2001:db7:ffff::1",
        "2001:db9::1",
        "2002:808:808::1",
        "2606:4700::1111",
        "3ffe:ffff::1",
        "3fff:1000::1",
    };

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (allowed(refused[i], ""))
            TEST_FAIL_("open: %s", refused[i]);
    for (size_t i = 0; i < sizeof open / sizeof open[0]; i++)
        if (!allowed(open[i], ""))
            TEST_FAIL_("refused: %s", open[i]);
}

TEST(the_allow_list_opens_exactly_its_networks)
{
    static const struct {
        const char *allow, *address;
        bool open;
    } cases[] = {
        { "127.0.0.0/8", "127.0.0.1", true },
        { "127.0.0.0/8", "::ffff:127.0.0.1", true },
        { "127.0.0.0/8", "64:ff9b::127.0.0.1", true },
        { "127.0.0.0/8", "::1", false },
        { "127.0.0.1", "127.0.0.1", true },
        { "127.0.0.1", "127.0.0.2", false },
        { "10.1.0.0/16", "10.1.255.255", true },
        { "10.1.0.0/16", "10.2.0.0", false },
        { "10.0.0.0/8,fd00::/8", "fd12::1", true },
        { "10.0.0.0/8, fd00::/8", "fd12::1", true },
        { " fd00::/8 ,10.0.0.0/8", "10.9.9.9", true },
        { "10.0.0.0/9", "10.127.0.1", true },
        { "10.0.0.0/9", "10.128.0.1", false },
        { "::1/128", "::1", true },
        { "::/0", "::1", true },
        { "0.0.0.0/0", "127.0.0.1", true },
        { "::/0", "127.0.0.1", false },
        { "::/0", "::ffff:127.0.0.1", false }, /* an IPv4 address, however it is written */
        { "10.0.0.0/33", "10.0.0.1", false },
        { "10.0.0.0/-1", "10.0.0.1", false },
        { "10.0.0.0/", "10.0.0.1", false },
        { "10.0.0.0/8x", "10.0.0.1", false },
        { "10.1.2.3/8", "10.1.2.3", false }, /* bits beyond the prefix: a slip */
        { "10", "10.0.0.1", false },
        { "localhost", "127.0.0.1", false },
        { ",,", "127.0.0.1", false },
        { "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa/8", "10.0.0.1", false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (allowed(cases[i].address, cases[i].allow) != cases[i].open)
            TEST_FAIL_("%s with \"%s\"", cases[i].address, cases[i].allow);
}

TEST(other_families_are_refused)
{
    struct sockaddr_un un = { .sun_family = AF_UNIX, .sun_path = "/run/docker.sock" };

    CHECK(!outbound_address_allowed((const struct sockaddr *)&un, "0.0.0.0/0,::/0"));
}

/* ---- a server on this machine ---- */

/* Answers one request a connection. Bound to every local address, to see a connection by whatever name.
 */
struct server {
    int fd4, fd6, port;
    pthread_t thread;
    atomic_int connections;
    atomic_bool stop;
    char seen[4096]; /* the last request */
};

static void answer(struct server *s, int fd)
{
    char reply[600] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
    size_t n = 0;
    ssize_t got;

    while (n < sizeof s->seen - 1 && (got = read(fd, s->seen + n, sizeof s->seen - 1 - n)) > 0) {
        s->seen[n += (size_t)got] = '\0';
        if (strstr(s->seen, "\r\n\r\n") && (!strstr(s->seen, "POST") || strstr(s->seen, "payload")))
            break;
    }
    if (strstr(s->seen, " /redirect?to=")) {
        char *to = strstr(s->seen, "?to=") + 4;

        snprintf(
            reply, sizeof reply,
            "HTTP/1.1 %s\r\nLocation: %.*s\r\nContent-Length: 9\r\nConnection: close\r\n\r\nelsewhere",
            strstr(s->seen, "307") ? "307 Temporary" : "302 Found", (int)strcspn(to, " "), to);
    } else if (strstr(s->seen, " /big")) {
        snprintf(reply, sizeof reply, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%0500d", 0);
    } else if (strstr(s->seen, " /slow")) {
        poll(NULL, 0, 600);
    } else if (strstr(s->seen, " /old")) {
        snprintf(reply, sizeof reply, "hello from HTTP 0.9");
    }
    if (write(fd, reply, strlen(reply)) < 0)
        reply[0] = '\0';
}

static void *serve(void *arg)
{
    struct server *s = arg;
    struct pollfd fds[2] = { { s->fd4, POLLIN, 0 }, { s->fd6, POLLIN, 0 } };

    while (!atomic_load(&s->stop)) {
        if (poll(fds, 2, 20) <= 0)
            continue;
        for (int i = 0; i < 2; i++) {
            const int fd = fds[i].revents & POLLIN ? accept(fds[i].fd, NULL, NULL) : -1;

            if (fd < 0)
                continue;
            atomic_fetch_add(&s->connections, 1);
            answer(s, fd);
            close(fd);
        }
    }
    return NULL;
}

static bool server_start(struct server *s)
{
    struct sockaddr_in in = { .sin_family = AF_INET };
    struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
    socklen_t size = sizeof in;
    const int one = 1;

    *s = (struct server){ .fd6 = -1 };
    s->fd4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(s->fd4, (struct sockaddr *)&in, sizeof in) != 0 || listen(s->fd4, 8) != 0 ||
        getsockname(s->fd4, (struct sockaddr *)&in, &size) != 0)
        return false;
    s->port = ntohs(in.sin_port);
    in6.sin6_port = in.sin_port;
    s->fd6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd6 >= 0 &&
        (setsockopt(s->fd6, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof one) != 0 ||
         bind(s->fd6, (struct sockaddr *)&in6, sizeof in6) != 0 || listen(s->fd6, 8) != 0)) {
        close(s->fd6);
        s->fd6 = -1;
    }
    return pthread_create(&s->thread, NULL, serve, s) == 0;
}

static void server_stop(struct server *s)
{
    atomic_store(&s->stop, true);
    pthread_join(s->thread, NULL);
    close(s->fd4);
    if (s->fd6 >= 0)
        close(s->fd6);
}

static struct outbound_request request(const char *url)
{
    return (struct outbound_request){ .method = "GET",
                                      .url = url,
                                      .max_bytes = 1000,
                                      .connect_timeout_ms = 1000,
                                      .total_timeout_ms = 2000,
                                      .redirects = 3 };
}

/* Replaces PORT by the server's port. */
static void with_port(const char *template, int port, char ret[600])
{
    const char *at = strstr(template, "PORT");

    if (at)
        snprintf(ret, 600, "%.*s%d%s", (int)(at - template), template, port, at + 4);
    else
        snprintf(ret, 600, "%s", template);
}

TEST(no_spelling_of_this_machine_is_connected_to)
{
    static const char *const urls[] = {
        "http://127.0.0.1:PORT/",
        "http://127.1:PORT/",
        "http://127.0.1:PORT/",
        "http://0177.0.0.1:PORT/",
        "http://0177.1:PORT/",
        "http://0x7f.0.0.1:PORT/",
        "http://0x7f.1:PORT/",
        "http://0X7F.0X0.0X0.0X1:PORT/",
        "http://0x7f000001:PORT/",
        "http://2130706433:PORT/",
        "http://017700000001:PORT/",
        "http://127.0.0.1.:PORT/",
        "http://127.0.0.1..:PORT/",
        "http://127.0.0.01:PORT/",
        "http://127.000.000.001:PORT/",
        "http://127.0.0.0x1:PORT/",
        "http://127.255.255.254:PORT/",
        "http://127.2.3.4:PORT/",
        "http://0.0.0.0:PORT/",
        "http://0:PORT/",
        "http://0.0:PORT/",
        "http://00000:PORT/",
        "http://0x0:PORT/",
        "http://localhost:PORT/",
        "http://LOCALHOST:PORT/",
        "http://localhost.:PORT/",
        "http://LoCaLhOsT:PORT/x",
        "http://[::1]:PORT/",
        "http://[0:0:0:0:0:0:0:1]:PORT/",
        "http://[0000:0000:0000:0000:0000:0000:0000:0001]:PORT/",
        "http://[::]:PORT/",
        "http://[::127.0.0.1]:PORT/",
        "http://[::ffff:127.0.0.1]:PORT/",
        "http://[::FFFF:127.0.0.1]:PORT/",
        "http://[::ffff:7f00:1]:PORT/",
        "http://[0:0:0:0:0:ffff:127.0.0.1]:PORT/",
        "http://[0:0:0:0:0:ffff:7f00:0001]:PORT/",
        "http://[::ffff:0.0.0.0]:PORT/",
        "http://[::ffff:0:127.0.0.1]:PORT/",
        "http://[64:ff9b::127.0.0.1]:PORT/",
        "http://[64:ff9b::7f00:1]:PORT/",
        "http://[64:ff9b:1::7f00:1]:PORT/",
        "http://[2002:7f00:1::]:PORT/",
        "http://[2002:7f00:0001::1]:PORT/",
        "http://[fe80::1%25lo]:PORT/",
        "http://[fe80::1%lo]:PORT/",
        "http://[fe80::1%251]:PORT/",
        "http://[::1%25lo]:PORT/",
        "http://[::1%lo]:PORT/",
        "http://user@127.0.0.1:PORT/",
        "http://user:pass@127.0.0.1:PORT/",
        "http://@127.0.0.1:PORT/",
        "http://8.8.8.8@127.0.0.1:PORT/",
        "http://8.8.8.8:80@127.0.0.1:PORT/",
        "http://example.com%40127.0.0.1:PORT/",
        "http://%31%32%37.0.0.1:PORT/",
        "http://%6c%6f%63%61%6c%68%6f%73%74:PORT/",
        "http://127.0.0.1%2f:PORT/",
        "http://127.0.0.1%00:PORT/",
        "http://127.0.0.1%00.example.com:PORT/",
        "http://127%2e0%2e0%2e1:PORT/",
        "http://\xEF\xBC\x91\xEF\xBC\x92\xEF\xBC\x97.0.0.1:PORT/",
        "http://127\xE3\x80\x82\x30\xE3\x80\x82\x30\xE3\x80\x82\x31:PORT/",
        "http://\xE2\x91\xA0\xE2\x91\xA1\xE2\x91\xA6.0.0.1:PORT/",
        "http://l\xE2\x93\x9E\x63\x61lhost:PORT/",
        "http:/127.0.0.1:PORT/",
        "http:///127.0.0.1:PORT/",
        "http:127.0.0.1:PORT/",
        "http:\\\\127.0.0.1:PORT\\",
        "http://127.0.0.1:PORT\\@8.8.8.8/",
        "//127.0.0.1:PORT/",
        "127.0.0.1:PORT",
        "localhost:PORT/",
        " http://127.0.0.1:PORT/",
        "http://127.0.0.1 :PORT/",
        "http://127.0.0.1\t:PORT/",
        "http://127.0.0.1\r\n:PORT/",
        "http://127.0.0.1:0PORT/",
        "http://127.0.0.1:+PORT/",
        "HTTP://127.0.0.1:PORT/",
        "https://127.0.0.1:PORT/",
        "ftp://127.0.0.1:PORT/",
        "ftps://127.0.0.1:PORT/",
        "sftp://127.0.0.1:PORT/",
        "scp://127.0.0.1:PORT/",
        "gopher://127.0.0.1:PORT/_x",
        "dict://127.0.0.1:PORT/x",
        "telnet://127.0.0.1:PORT/",
        "tftp://127.0.0.1:PORT/x",
        "ldap://127.0.0.1:PORT/",
        "ldaps://127.0.0.1:PORT/",
        "smb://127.0.0.1:PORT/x",
        "smtp://127.0.0.1:PORT/",
        "imap://127.0.0.1:PORT/",
        "pop3://127.0.0.1:PORT/",
        "rtsp://127.0.0.1:PORT/",
        "rtmp://127.0.0.1:PORT/",
        "mqtt://127.0.0.1:PORT/x",
        "ws://127.0.0.1:PORT/",
        "file:///etc/passwd",
        "file://127.0.0.1:PORT/etc/passwd",
        "file:/etc/passwd",
        "jar:http://127.0.0.1:PORT/!/",
        "view-source:http://127.0.0.1:PORT/",
        "data:text/plain,x",
        "javascript:x",
        "unix:/run/x.sock:/",
        "http+unix://%2Frun%2Fx/",
        "",
        ":",
        "/",
        "http://",
        "http:///",
        "http://:PORT/",
        "http://[]:PORT/",
        "http://[127.0.0.1]:PORT/",
        "http://[::1:PORT/",
        "http://::1:PORT/",
        "http://.:PORT/",
    };
    struct server s;
    struct fault f;
    size_t accepted = 0;

    REQUIRE(server_start(&s));
    CHECK(sizeof urls / sizeof urls[0] >= 115);
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct buffer answer = { 0 };
        struct outbound_request rq;
        char url[600];
        int code = 0;

        with_port(urls[i], s.port, url);
        rq = request(url);
        f = FAULT_INIT;
        if (outbound_fetch(&rq, "", &code, &answer, &f) == ST_OK || answer.n || code)
            TEST_FAIL_("fetched: %s", url);
        if (atomic_load(&s.connections) != 0) {
            TEST_FAIL_("connected: %s", url);
            atomic_store(&s.connections, 0);
            accepted++;
        }
        buffer_free(&answer);
    }
    CHECK_SIZE(accepted, 0);
    server_stop(&s);
}

TEST(a_refusal_says_the_same_whatever_the_reason)
{
    static const char *const urls[] = { "http://127.0.0.1:PORT/",  "http://[::1]:PORT/",
                                        "http://10.0.0.1/",        "ftp://8.8.8.8/",
                                        "http://8.8.8.8:22/",      "http://user@8.8.8.8/",
                                        "http://169.254.169.254/", "https://8.8.8.8:25/",
                                        "file:///etc/passwd" };
    struct server s;

    REQUIRE(server_start(&s));
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++) {
        struct buffer answer = { 0 };
        struct fault f = FAULT_INIT;
        struct outbound_request rq;
        char url[600];
        int code;

        with_port(urls[i], s.port, url);
        rq = request(url);
        CHECK_I64(outbound_fetch(&rq, "", &code, &answer, &f), ST_INVALID);
        CHECK_STR(f.detail, "this URL may not be fetched");
        buffer_free(&answer);
    }
    server_stop(&s);
}

/* Fetches from the server with 127.0.0.1 allowed (and nothing else of 127/8). */
static enum status fetch(struct server *s, struct outbound_request rq, const char *template, int *code,
                         struct buffer *answer, struct fault *f)
{
    char url[600];

    with_port(template, s->port, url);
    rq.url = url;
    return outbound_fetch(&rq, "127.0.0.1/32", code, answer, f);
}

TEST(an_allowed_network_is_reached)
{
    const char *const headers[] = { "X-Key: secret", "Content-Type: text/plain", NULL };
    struct outbound_request rq = request("");
    struct fault f = FAULT_INIT;
    struct buffer answer = { 0 };
    struct server s;
    int code = 0;

    REQUIRE(server_start(&s));
    buffer_text(&answer, "before ");
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/a?b=c", &code, &answer, &f), ST_OK);
    CHECK_I64(code, 200);
    CHECK_STR(buffer_terminate(&answer), "before hello");
    CHECK(strstr(s.seen, "GET /a?b=c HTTP/1.1\r\n") == s.seen);
    rq.method = "POST";
    rq.headers = headers;
    rq.body = SLICE_LITERAL("payload");
    CHECK_I64(fetch(&s, rq, "http://127.1:PORT/hook", &code, &answer, &f), ST_OK);
    CHECK(strstr(s.seen, "POST /hook HTTP/1.1\r\n") == s.seen);
    CHECK(strstr(s.seen, "X-Key: secret\r\n") && strstr(s.seen, "\r\n\r\npayload") &&
          !strstr(s.seen, "Expect:"));
    CHECK_I64(atomic_load(&s.connections), 2);
    server_stop(&s);
    buffer_free(&answer);
}

TEST(limits_of_size_and_time_hold)
{
    struct outbound_request rq = request("");
    struct fault f = FAULT_INIT;
    struct buffer answer = { 0 };
    struct server s;
    int code = 0;

    REQUIRE(server_start(&s));
    rq.max_bytes = 4;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/", &code, &answer, &f), ST_TOO_LARGE);
    CHECK_SIZE(answer.n, 0);
    rq.max_bytes = 5;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/", &code, &answer, &f), ST_OK);
    rq.max_bytes = 499;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/big", &code, &answer, &f), ST_TOO_LARGE);
    CHECK_SIZE(answer.n, 5);
    rq.max_bytes = 500;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/big", &code, &answer, &f), ST_OK);
    rq.total_timeout_ms = 200;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/slow", &code, &answer, &f), ST_UNAVAILABLE);
    rq.total_timeout_ms = 2000;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/old", &code, &answer, &f), ST_UNAVAILABLE);
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:1023/", &code, &answer, &f), ST_INVALID);
    rq.method = "DELETE";
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/", &code, &answer, &f), ST_INVALID);
    server_stop(&s);
    buffer_free(&answer);
}

TEST(a_header_with_line_ends_is_not_sent)
{
    const char *const headers[] = { "X-A: b\r\nX-Injected: c", NULL };
    struct outbound_request rq = request("");
    struct fault f = FAULT_INIT;
    struct buffer answer = { 0 };
    struct server s;
    int code = 0;

    REQUIRE(server_start(&s));
    rq.headers = headers;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/", &code, &answer, &f), ST_UNAVAILABLE);
    CHECK_I64(atomic_load(&s.connections), 0);
    server_stop(&s);
    buffer_free(&answer);
}

/* ---- redirects ---- */

TEST(every_hop_is_checked_again)
{
    static const char *const targets[] = {
        "http://127.0.0.2:PORT/", "http://localhost.localdomain:PORT/",
        "http://[::1]:PORT/",     "http://0:PORT/",
        "http://10.0.0.1/",       "http://user@127.0.0.1:PORT/",
        "http://127.0.0.1:22/",   "ftp://127.0.0.1:PORT/",
        "file:///etc/passwd",     "gopher://127.0.0.1:PORT/"
    };
    struct server s;

    REQUIRE(server_start(&s));
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct fault f = FAULT_INIT;
        struct buffer answer = { 0 };
        char url[600], target[600];
        int code = 0;
        enum status st;

        with_port(targets[i], s.port, target);
        snprintf(url, sizeof url, "http://127.0.0.1:PORT/redirect?to=%.500s", target);
        atomic_store(&s.connections, 0);
        st = fetch(&s, request(""), url, &code, &answer, &f);
        if (st == ST_OK || atomic_load(&s.connections) != 1 || answer.n)
            TEST_FAIL_("followed to %s: %s", target, status_name(st));
        buffer_free(&answer);
    }
    server_stop(&s);
}

TEST(redirects_are_followed_and_counted)
{
    struct outbound_request rq = request("");
    struct fault f = FAULT_INIT;
    struct buffer answer = { 0 };
    struct server s;
    int code = 0;

    REQUIRE(server_start(&s));
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/redirect?to=/a", &code, &answer, &f), ST_OK);
    CHECK_I64(code, 200);
    CHECK_STR(buffer_terminate(&answer), "hello");
    CHECK_I64(atomic_load(&s.connections), 2);
    rq.redirects = 0;
    buffer_clear(&answer);
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/redirect?to=/a", &code, &answer, &f), ST_OK);
    CHECK_I64(code, 302);
    CHECK_STR(buffer_terminate(&answer), "elsewhere");
    server_stop(&s);
    buffer_free(&answer);
}

TEST(redirects_without_end_end)
{
    struct outbound_request rq = request("");
    struct fault f = FAULT_INIT;
    struct buffer answer = { 0 };
    struct server s;
    int code = 0;

    REQUIRE(server_start(&s));
    /* each hop strips one level */
    CHECK_I64(fetch(&s, rq,
                    "http://127.0.0.1:PORT/redirect?to=/redirect?to=/redirect?to=/redirect?to=/"
                    "redirect?to=/redirect?to=/a",
                    &code, &answer, &f),
              ST_UNAVAILABLE);
    CHECK_I64(atomic_load(&s.connections), 4);
    CHECK_SIZE(answer.n, 0);
    server_stop(&s);
    buffer_free(&answer);
}

TEST(credentials_stay_with_the_origin_that_they_were_meant_for)
{
    const char *const headers[] = { "X-Key: secret", "Authorization: Bearer secret", "Cookie: secret=1",
                                    "Accept: image/png", NULL };
    struct outbound_request rq = request("");
    struct fault f = FAULT_INIT;
    struct buffer answer = { 0 };
    struct server s, other;
    char url[600];
    int code = 0;

    REQUIRE(server_start(&s));
    REQUIRE(server_start(&other));
    rq.headers = headers;
    CHECK_I64(fetch(&s, rq, "http://127.0.0.1:PORT/redirect?to=/a", &code, &answer, &f), ST_OK);
    CHECK(strstr(s.seen, "X-Key: secret") && strstr(s.seen, "Bearer secret"));
    snprintf(url, sizeof url, "http://127.0.0.1:PORT/redirect?to=http://127.0.0.1:%d/a", other.port);
    CHECK_I64(fetch(&s, rq, url, &code, &answer, &f), ST_OK);
    CHECK(!strstr(other.seen, "secret"));
    CHECK(strstr(other.seen, "Accept: image/png"));
    rq.method = "POST";
    rq.body = SLICE_LITERAL("payload");
    CHECK_I64(fetch(&s, rq, url, &code, &answer, &f), ST_OK);
    CHECK(strstr(other.seen, "GET /a") == other.seen && !strstr(other.seen, "payload"));
    snprintf(url, sizeof url, "http://127.0.0.1:PORT/redirect?to=http://127.0.0.1:%d/307", other.port);
    CHECK_I64(fetch(&s, rq, url, &code, &answer, &f), ST_INVALID);
    server_stop(&s);
    server_stop(&other);
    buffer_free(&answer);
}

TEST(a_proxy_of_the_environment_is_ignored)
{
    struct fault f = FAULT_INIT;
    struct buffer answer = { 0 };
    struct server s, proxy;
    char url[100];
    int code = 0;

    REQUIRE(server_start(&s));
    REQUIRE(server_start(&proxy));
    snprintf(url, sizeof url, "http://127.0.0.1:%d", proxy.port);
    setenv("http_proxy", url, 1);
    setenv("all_proxy", url, 1);
    CHECK_I64(fetch(&s, request(""), "http://127.0.0.1:PORT/", &code, &answer, &f), ST_OK);
    CHECK_I64(atomic_load(&proxy.connections), 0);
    CHECK_I64(atomic_load(&s.connections), 1);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    server_stop(&s);
    server_stop(&proxy);
    buffer_free(&answer);
}
