/*
 * Signed URLs. There is one spelling of each link: what sign_parse reads is spelled anew and must be
 * what was sent, so that no encoding trick needs a rule of its own.
 */
#include "media/sign.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "media/secrets.h"

enum {
    MAC_BYTES = 32,
    MAC_CHARS = 43,
    NAME_BYTES = 200,
    LINK_BYTES = 1 << 10, /* longest: a name of 200 encoded bytes and the rest */
};

/* What was read from the file once; never changed. Older ones stay until the end, because readers hold
 * no lock. */
struct snapshot {
    struct snapshot *older;
    struct secrets secrets;
    struct timespec changed;
    ino_t inode;
};

struct signer {
    char *path;
    _Atomic(struct snapshot *) current;
    pthread_mutex_t refreshing;
};

/* ---- secrets ---- */

static enum status take_snapshot(struct signer *s, struct fault *f)
{
    struct snapshot *new = calloc(1, sizeof *new);
    struct stat about;
    enum status st;

    if (!new)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (stat(s->path, &about) != 0) /* before reading: a later change is then seen as one */
        st = fault_set(f, ST_INTERNAL, NULL, "the file of signing secrets is gone");
    else
        st = secrets_read(s->path, &new->secrets, f);
    if (st != ST_OK) {
        free(new);
        return st;
    }
    new->changed = about.st_mtim;
    new->inode = about.st_ino;
    new->older = atomic_load(&s->current);
    atomic_store(&s->current, new);
    return ST_OK;
}

enum status signer_open(const char *path, struct signer **ret, struct fault *f)
{
    struct signer *s = calloc(1, sizeof *s);
    enum status st;

    if (!s || !(s->path = strdup(path))) {
        free(s);
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    pthread_mutex_init(&s->refreshing, NULL);
    if ((st = secrets_create(path, f)) != ST_OK || (st = take_snapshot(s, f)) != ST_OK) {
        signer_close(s);
        return st;
    }
    *ret = s;
    return ST_OK;
}

void signer_close(struct signer *s)
{
    if (!s)
        return;
    for (struct snapshot *older, *p = atomic_load(&s->current); p; p = older) {
        older = p->older;
        explicit_bzero(p, sizeof *p);
        free(p);
    }
    pthread_mutex_destroy(&s->refreshing);
    free(s->path);
    free(s);
}

static bool file_changed(const struct signer *s)
{
    const struct snapshot *current = atomic_load(&s->current);
    struct stat about;

    return stat(s->path, &about) == 0 &&
           (about.st_ino != current->inode || about.st_mtim.tv_sec != current->changed.tv_sec ||
            about.st_mtim.tv_nsec != current->changed.tv_nsec);
}

void signer_refresh(struct signer *s)
{
    struct fault ignored;

    if (!file_changed(s) || pthread_mutex_trylock(&s->refreshing) != 0)
        return;
    /* A file that cannot be read, perhaps half edited by hand, leaves the old secrets in force. */
    if (file_changed(s) && take_snapshot(s, &ignored) != ST_OK)
        ignored.detail[0] = '\0';
    pthread_mutex_unlock(&s->refreshing);
}

enum status signer_rotate(const char *path, int64_t keep_s, struct fault *f)
{
    return secrets_rotate(path, keep_s, f);
}

/* ---- what is signed ---- */

/* Each field with its length before it: no two different links give the same bytes. */
static void put_field(struct buffer *b, const char *p, size_t n)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        buffer_char(b, (char)((uint64_t)n >> shift & 255));
    buffer_bytes(b, p, n);
}

static void put_number(struct buffer *b, int64_t number)
{
    char digits[24];
    const int n = snprintf(digits, sizeof digits, "%lld", (long long)number);

    put_field(b, digits, (size_t)n);
}

static bool compute_mac(const uint8_t secret[SECRET_BYTES], const struct signed_link *link,
                        uint8_t ret[MAC_BYTES])
{
    struct buffer message = { 0 };
    unsigned n = 0;
    bool done;

    put_field(&message, "fovea link 1", 12);
    put_field(&message, link->access == SIGN_WRITE ? "write" : "read",
              link->access == SIGN_WRITE ? 5 : 4);
    put_field(&message, link->purpose, strlen(link->purpose));
    put_number(&message, link->id);
    put_number(&message, link->tenant);
    put_field(&message, link->name, strlen(link->name));
    put_number(&message, link->expires_s);
    done = !message.failed && HMAC(EVP_sha256(), secret, SECRET_BYTES, (const unsigned char *)message.p,
                                   message.n, ret, &n);
    buffer_free(&message);
    return done && n == MAC_BYTES;
}

/* ---- spelling ---- */

static const char base64url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void put_mac(struct buffer *out, const uint8_t mac[MAC_BYTES])
{
    for (int i = 0; i < MAC_CHARS; i++) {
        const int bit = i * 6, byte = bit / 8;
        const unsigned pair = (unsigned)mac[byte] << 8 | (byte + 1 < MAC_BYTES ? mac[byte + 1] : 0);

        buffer_char(out, base64url[pair >> (10 - bit % 8) & 63]);
    }
}

/* The one spelling of 32 bytes: the two bits too many are zero. */
static bool read_mac(const char *p, size_t n, uint8_t ret[MAC_BYTES])
{
    unsigned bits = 0;
    int have = 0, at = 0;

    if (n != MAC_CHARS)
        return false;
    for (size_t i = 0; i < n; i++) {
        const char *found = p[i] ? strchr(base64url, p[i]) : NULL;

        if (!found)
            return false;
        bits = (bits << 6 | (unsigned)(found - base64url)) & 0xFFFF;
        have += 6;
        if (have >= 8) {
            have -= 8;
            ret[at++] = (uint8_t)(bits >> have);
        }
    }
    return (bits & 3) == 0;
}

static bool is_unreserved(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("-._~", c));
}

static void put_path(struct buffer *out, const char *purpose, int64_t id, const char *name)
{
    buffer_printf(out, "/media/%s/%lld/", purpose, (long long)id);
    for (const char *c = name; *c; c++)
        if (is_unreserved(*c))
            buffer_char(out, *c);
        else
            buffer_printf(out, "%%%02X", (unsigned char)*c);
}

static bool is_unsafe(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7F || c == '/' || c == '\\';
}

/* What a link can carry: one path segment of 1..200 bytes of UTF-8 without separators and control
 * characters. */
static bool name_is_clean(const char *name, size_t n)
{
    if (n < 1 || n > NAME_BYTES || !text_is_utf8(name, n) || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return false;
    for (size_t i = 0; i < n; i++)
        if (is_unsafe(name[i]))
            return false;
    return true;
}

/* Any name of a row as the nearest clean one: offending bytes become '_', too long ones lose their end.
 */
static void clean_name(const char *name, char ret[NAME_BYTES + 1])
{
    size_t n = strlen(name);
    const bool utf8 = text_is_utf8(name, n);

    if (n > NAME_BYTES)
        for (n = NAME_BYTES; utf8 && ((unsigned char)name[n] & 0xC0) == 0x80;)
            n--;
    for (size_t i = 0; i < n; i++)
        ret[i] = (char)(is_unsafe(name[i]) || (!utf8 && (unsigned char)name[i] >= 0x80) ? '_' : name[i]);
    ret[n] = '\0';
    if (n == 0 || strcmp(ret, ".") == 0 || strcmp(ret, "..") == 0)
        memcpy(ret, "file", 5);
}

void sign_link(const struct signer *s, const struct signed_link *link, struct buffer *out)
{
    const struct snapshot *current = atomic_load(&s->current);
    struct signed_link clean = *link;
    char name[NAME_BYTES + 1];
    uint8_t mac[MAC_BYTES];

    clean_name(link->name, name);
    clean.name = name;
    if (!compute_mac(current->secrets.items[0].bytes, &clean, mac)) {
        out->failed = true;
        return;
    }
    put_path(out, clean.purpose, clean.id, name);
    buffer_printf(out, "?exp=%lld&k=%lld&sig=", (long long)clean.expires_s,
                  (long long)current->secrets.items[0].number);
    put_mac(out, mac);
}

/* ---- reading ---- */

static enum status refuse(struct fault *f)
{
    return fault_set(f, ST_FORBIDDEN, NULL, "the link is not valid or has expired");
}

struct cursor {
    const char *p, *end;
};

static bool take_literal(struct cursor *c, const char *literal)
{
    const size_t n = strlen(literal);

    if ((size_t)(c->end - c->p) < n || memcmp(c->p, literal, n) != 0)
        return false;
    c->p += n;
    return true;
}

/* A positive decimal number as we print it: no sign, no leading zero. Ends before `stop` or at the end.
 */
static bool take_number(struct cursor *c, int64_t *ret)
{
    const char *start = c->p;

    while (c->p < c->end && *c->p >= '0' && *c->p <= '9')
        c->p++;
    return c->p > start && *start != '0' && text_i64(start, (size_t)(c->p - start), ret);
}

static bool take_purpose(struct cursor *c, char ret[17])
{
    size_t n = 0;

    for (; c->p < c->end && *c->p >= 'a' && *c->p <= 'z'; c->p++) {
        if (n == 16)
            return false;
        ret[n++] = *c->p;
    }
    ret[n] = '\0';
    return n > 0;
}

/* The rest of the path, decoded. */
static bool take_name(struct cursor *c, char ret[NAME_BYTES + 1])
{
    size_t n = 0;

    while (c->p < c->end) {
        uint8_t byte = (uint8_t)*c->p;
        size_t step = 1;

        if (byte == '%') {
            if (c->end - c->p < 3 || !text_hex(c->p + 1, 2, &byte))
                return false;
            step = 3;
        }
        if (n == NAME_BYTES || byte == 0)
            return false;
        ret[n++] = (char)byte;
        c->p += step;
    }
    ret[n] = '\0';
    return name_is_clean(ret, n);
}

static bool is_our_spelling(const struct signed_request *rq, const char *path, size_t n)
{
    struct buffer again = { .max = LINK_BYTES };
    bool same;

    put_path(&again, rq->purpose, rq->id, rq->name);
    same = !again.failed && again.n == n && memcmp(again.p, path, n) == 0;
    buffer_free(&again);
    return same;
}

static bool read_query(const char *query, size_t n, struct signed_request *rq)
{
    struct cursor c = { query, query + n };

    return take_literal(&c, "exp=") && take_number(&c, &rq->expires_s) && take_literal(&c, "&k=") &&
           take_number(&c, &rq->secret) && take_literal(&c, "&sig=") &&
           read_mac(c.p, (size_t)(c.end - c.p), rq->mac);
}

enum status sign_parse(const char *path, size_t path_n, const char *query, size_t query_n, int64_t now_s,
                       struct signed_request *ret, struct fault *f)
{
    struct cursor c = { path, path + path_n };
    struct signed_request rq = { .id = 0 };

    if (path_n > LINK_BYTES || query_n > LINK_BYTES || !take_literal(&c, "/media/") ||
        !take_purpose(&c, rq.purpose) || !take_literal(&c, "/") || !take_number(&c, &rq.id) ||
        !take_literal(&c, "/") || !take_name(&c, rq.name) || !is_our_spelling(&rq, path, path_n) ||
        !read_query(query, query_n, &rq) || rq.expires_s <= now_s)
        return refuse(f);
    *ret = rq;
    return ST_OK;
}

enum status sign_verify(const struct signer *s, const struct signed_request *rq, enum sign_class access,
                        int64_t tenant, struct fault *f)
{
    const struct secrets *secrets = &atomic_load(&s->current)->secrets;
    const struct signed_link link = { access, rq->purpose, rq->id, tenant, rq->name, rq->expires_s };
    uint8_t mac[MAC_BYTES];
    int found = -1;
    bool equal;

    for (int i = 0; i < secrets->n; i++)
        if (secrets->items[i].number == rq->secret)
            found = i;
    /* An unknown number costs what a known one does. */
    if (!compute_mac(secrets->items[found < 0 ? 0 : found].bytes, &link, mac))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    equal = text_equal_secret(mac, rq->mac, MAC_BYTES);
    return equal && found >= 0 ? ST_OK : refuse(f);
}
