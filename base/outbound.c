/*
 * The one function for outbound HTTP: see outbound.h. Redirects are followed by us, one transfer each,
 * so that every hop passes the same checks as the first.
 */
#include "base/outbound.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>
#include "base/limits.h"

/* One hop, from the caller's request or from a redirect. */
struct hop {
    CURLU *url;
    bool post;
    bool foreign; /* another origin than the caller named: only harmless headers go there */
};

struct transfer {
    const struct outbound_request *rq;
    const char *allow;
    struct buffer *answer;
    size_t start; /* answer->n before this hop */
    int64_t deadline_ms;
    bool refused; /* an address was refused */
    bool too_large;
};

static enum status refuse(struct fault *f)
{
    return fault_set(f, ST_INVALID, "url", "this URL may not be fetched");
}

static pthread_once_t once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void start_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

/* ---- URLs ---- */

static bool port_allowed(int64_t port)
{
    return port == 80 || port == 443 || (port >= 1024 && port <= 65535);
}

/* Scheme, port and absence of user information. The host is judged by its address, when the socket is
 * opened. */
static bool url_allowed(CURLU *url)
{
    char *scheme = NULL, *port = NULL, *host = NULL, *user = NULL;
    int64_t number;
    bool ok;

    ok = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
         (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
         curl_url_get(url, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] &&
         curl_url_get(url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
         text_i64(port, strlen(port), &number) && port_allowed(number) &&
         curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER;
    curl_free(scheme);
    curl_free(port);
    curl_free(host);
    curl_free(user);
    return ok;
}

static char *url_part(CURLU *url, CURLUPart part)
{
    char *text = NULL;

    return curl_url_get(url, part, &text, CURLU_DEFAULT_PORT) == CURLUE_OK ? text : NULL;
}

static bool same_part(CURLU *a, CURLU *b, CURLUPart part)
{
    char *one = url_part(a, part), *two = url_part(b, part);
    const bool same = one && two && strcasecmp(one, two) == 0;

    curl_free(one);
    curl_free(two);
    return same;
}

static bool same_origin(CURLU *a, CURLU *b)
{
    return same_part(a, b, CURLUPART_SCHEME) && same_part(a, b, CURLUPART_HOST) &&
           same_part(a, b, CURLUPART_PORT);
}

/* ---- one hop ---- */

static curl_socket_t on_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct transfer *t = arg;
    int64_t port = -1;

    if (address->family == AF_INET)
        port = ntohs(((const struct sockaddr_in *)(const void *)&address->addr)->sin_port);
    else if (address->family == AF_INET6)
        port = ntohs(((const struct sockaddr_in6 *)(const void *)&address->addr)->sin6_port);
    if (purpose != CURLSOCKTYPE_IPCXN || !port_allowed(port) ||
        !outbound_address_allowed(&address->addr, t->allow)) {
        t->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t on_body(char *p, size_t size, size_t n, void *arg)
{
    struct transfer *t = arg;
    const size_t bytes = size * n, have = t->answer->n - t->start;

    if (t->rq->max_bytes < 0 || have > (uint64_t)t->rq->max_bytes ||
        bytes > (uint64_t)t->rq->max_bytes - have) {
        t->too_large = true;
        return 0;
    }
    buffer_bytes(t->answer, p, bytes);
    t->too_large = t->answer->failed;
    return t->too_large ? 0 : bytes;
}

/* Headers that say nothing of who asks. */
static bool harmless(const char *header)
{
    static const char *const names[] = { "Accept:", "Accept-Language:", "Content-Type:", "User-Agent:" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncasecmp(header, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* The list for curl, to be released; NULL with *ret_ok false when memory ran out or a header has line
 * ends. */
static struct curl_slist *header_list(const struct outbound_request *rq, const struct hop *hop,
                                      bool *ret_ok)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"); /* no waiting for "100 Continue" */

    *ret_ok = list != NULL;
    for (const char *const *h = rq->headers; h && *h && *ret_ok; h++) {
        struct curl_slist *longer;

        if (hop->foreign && !harmless(*h))
            continue;
        longer = strpbrk(*h, "\r\n") ? NULL : curl_slist_append(list, *h);
        *ret_ok = longer != NULL;
        list = longer ? longer : list;
    }
    return list;
}

/* Everything that curl might do on its own is switched off: proxies and credentials of the environment,
 * cookies, redirects, old protocols, reuse of connections. */
static bool configure(CURL *curl, struct transfer *t, const struct hop *hop,
                      const struct curl_slist *headers)
{
    const int64_t left_ms = t->deadline_ms - clock_monotonic_ms();
    CURLcode bad = CURLE_OK;

#define SET(option, value) (bad = bad ? bad : curl_easy_setopt(curl, option, value))
    SET(CURLOPT_CURLU, hop->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_OPENSOCKETFUNCTION, on_socket);
    SET(CURLOPT_OPENSOCKETDATA, t);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, t);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_USERAGENT, "fovea");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_FRESH_CONNECT, 1L);
    SET(CURLOPT_FORBID_REUSE, 1L);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)t->rq->connect_timeout_ms);
    SET(CURLOPT_TIMEOUT_MS, left_ms > 1 ? (long)left_ms : 1L);
    if (hop->post) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->rq->body.n);
        SET(CURLOPT_POSTFIELDS, t->rq->body.n ? t->rq->body.p : "");
    }
#undef SET
    return bad == CURLE_OK;
}

/* ret_next: where a redirect points to, or NULL; released with free. */
static enum status run_hop(struct transfer *t, const struct hop *hop, long *ret_code, char **ret_next,
                           struct fault *f)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL;
    enum status st = ST_OK;
    const char *next = NULL;
    CURLcode done;
    bool ok = false;

    t->refused = t->too_large = false;
    t->start = t->answer->n;
    if (curl)
        headers = header_list(t->rq, hop, &ok);
    if (!ok || !configure(curl, t, hop, headers)) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "the request cannot be made");
        goto out;
    }
    done = curl_easy_perform(curl);
    if (t->too_large)
        st = fault_set(f, ST_TOO_LARGE, "url", "the answer is larger than %lld bytes",
                       (long long)t->rq->max_bytes);
    else if (done != CURLE_OK && (t->refused || done == CURLE_URL_MALFORMAT))
        st = refuse(f);
    else if (done != CURLE_OK)
        st = fault_set(f, ST_UNAVAILABLE, "url", "the other side does not answer");
    if (st != ST_OK)
        goto out;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, ret_code);
    curl_easy_getinfo(curl, CURLINFO_REDIRECT_URL, &next);
    if (next && !(*ret_next = strdup(next)))
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
out:
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    return st;
}

/* Turns the hop into the next one. From https no way leads back to http; a body is sent to no other
 * origin. */
static enum status follow(struct hop *hop, const char *next, long code, struct fault *f)
{
    CURLU *url = curl_url();
    enum status st = ST_OK;
    bool foreign, was_https;
    char *scheme;

    if (!url || curl_url_set(url, CURLUPART_URL, next, CURLU_DISALLOW_USER) != CURLUE_OK ||
        !url_allowed(url)) {
        st = refuse(f);
        goto out;
    }
    foreign = !same_origin(hop->url, url);
    scheme = url_part(hop->url, CURLUPART_SCHEME);
    was_https = scheme && strcmp(scheme, "https") == 0;
    curl_free(scheme);
    if (was_https && !same_part(hop->url, url, CURLUPART_SCHEME)) {
        st = refuse(f);
        goto out;
    }
    if (hop->post && (code == 307 || code == 308) && foreign) {
        st = refuse(f);
        goto out;
    }
    hop->post = hop->post && (code == 307 || code == 308);
    hop->foreign = hop->foreign || foreign;
    curl_url_cleanup(hop->url);
    hop->url = url;
    url = NULL;
out:
    curl_url_cleanup(url);
    return st;
}

enum status outbound_fetch(const struct outbound_request *rq, const char *allow, int *ret_code,
                           struct buffer *answer, struct fault *f)
{
    struct transfer t = { .rq = rq, .allow = allow, .answer = answer };
    struct hop hop = { .post = strcmp(rq->method, "POST") == 0 };
    enum status st;
    long code = 0;

    pthread_once(&once, start_curl);
    if (curl_ready != CURLE_OK)
        return fault_set(f, ST_UNAVAILABLE, NULL, "the HTTP library cannot be started");
    t.deadline_ms = clock_monotonic_ms() + rq->total_timeout_ms;
    if ((!hop.post && strcmp(rq->method, "GET") != 0) || strlen(rq->url) > LIMIT_PATH_BYTES ||
        !(hop.url = curl_url()) ||
        curl_url_set(hop.url, CURLUPART_URL, rq->url, CURLU_DISALLOW_USER) != CURLUE_OK ||
        !url_allowed(hop.url)) {
        st = refuse(f);
        goto out;
    }
    for (int redirects = 0;; redirects++) {
        char *next = NULL;

        if ((st = run_hop(&t, &hop, &code, &next, f)) == ST_OK && next && rq->redirects > 0) {
            answer->n = t.start; /* the body of a redirect is nobody's answer */
            st = redirects < rq->redirects
                     ? follow(&hop, next, code, f)
                     : fault_set(f, ST_UNAVAILABLE, "url", "the URL is redirected too often");
        } else {
            free(next);
            break;
        }
        free(next);
        if (st != ST_OK)
            break;
    }
    if (st == ST_OK)
        *ret_code = (int)code;
    else if (hop.url && answer->n > t.start)
        answer->n = t.start; /* nothing of a failed answer */
out:
    curl_url_cleanup(hop.url);
    return st;
}
