/*
 * Which addresses a connection may be opened to: see outbound.h. Sources: the IANA registries of
 * special-purpose addresses for IPv4 and IPv6 (RFC 6890 and its updates).
 */
#include "base/outbound.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

/* An address or network of either family, in network order. */
struct network {
    int family;
    uint8_t bytes[16];
    int prefix; /* bits */
};

/* Refused of IPv4. */
static const struct network refused4[] = {
    { AF_INET, { 0 }, 8 },             /* this network */
    { AF_INET, { 10 }, 8 },            /* private */
    { AF_INET, { 100, 64 }, 10 },      /* carriers' shared space */
    { AF_INET, { 127 }, 8 },           /* loopback */
    { AF_INET, { 169, 254 }, 16 },     /* link-local, clouds' metadata */
    { AF_INET, { 172, 16 }, 12 },      /* private */
    { AF_INET, { 192, 0, 0 }, 24 },    /* protocol assignments */
    { AF_INET, { 192, 0, 2 }, 24 },    /* documentation */
    { AF_INET, { 192, 31, 196 }, 24 }, /* AS112 */
    { AF_INET, { 192, 52, 193 }, 24 }, /* automatic multicast tunnelling */
    { AF_INET, { 192, 88, 99 }, 24 },  /* 6to4 relays */
    { AF_INET, { 192, 168 }, 16 },     /* private */
    { AF_INET, { 192, 175, 48 }, 24 }, /* AS112 */
    { AF_INET, { 198, 18 }, 15 },      /* benchmarks */
    { AF_INET, { 198, 51, 100 }, 24 }, /* documentation */
    { AF_INET, { 203, 0, 113 }, 24 },  /* documentation */
    { AF_INET, { 224 }, 4 },           /* multicast */
    { AF_INET, { 240 }, 4 },           /* reserved, broadcast */
};

/* Of IPv6 only global unicast is open at all, without these parts of it. */
static const struct network global6 = { AF_INET6, { 0x20 }, 3 };
static const struct network refused6[] = {
    { AF_INET6, { 0x20, 0x01 }, 23 },             /* protocol assignments: Teredo, benchmarks, ORCHID */
    { AF_INET6, { 0x20, 0x01, 0x0D, 0xB8 }, 32 }, /* documentation */
    { AF_INET6, { 0x26, 0x20, 0, 0x4F, 0x80 }, 48 }, /* AS112 */
    { AF_INET6, { 0x3F, 0xFF }, 20 },                /* documentation */
};

/* IPv6 networks whose addresses are IPv4 ones in disguise, and at which byte these begin. */
static const struct {
    struct network network;
    int at;
} disguises[] = {
    { { AF_INET6, { [10] = 0xFF, [11] = 0xFF }, 96 }, 12 }, /* mapped */
    { { AF_INET6, { 0, 0x64, 0xFF, 0x9B }, 96 }, 12 },      /* translated by NAT64 */
    { { AF_INET6, { 0x20, 0x02 }, 16 }, 2 },                /* 6to4 */
};

static bool contains(const struct network *n, const struct network *address)
{
    const int whole = n->prefix / 8, rest = n->prefix % 8;

    if (n->family != address->family || memcmp(n->bytes, address->bytes, (size_t)whole) != 0)
        return false;
    return rest == 0 || (n->bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

static bool contained_in(const struct network list[], size_t n, const struct network *address)
{
    for (size_t i = 0; i < n; i++)
        if (contains(&list[i], address))
            return true;
    return false;
}

/* "10.1.0.0/16", "fd00::/8" or a single address. Bits beyond the prefix must be zero: a slip, not a
 * network. */
static bool network_parse(const char *text, size_t n, struct network *ret)
{
    struct network net = { 0 };
    char address[INET6_ADDRSTRLEN];
    const char *slash = memchr(text, '/', n);
    const size_t length = slash ? (size_t)(slash - text) : n;
    int64_t prefix;
    int most;

    if (length >= sizeof address)
        return false;
    memcpy(address, text, length);
    address[length] = '\0';
    net.family = strchr(address, ':') ? AF_INET6 : AF_INET;
    most = net.family == AF_INET6 ? 128 : 32;
    if (inet_pton(net.family, address, net.bytes) != 1)
        return false;
    prefix = most;
    if (slash && (!text_i64(slash + 1, n - length - 1, &prefix) || prefix < 0 || prefix > most))
        return false;
    for (int bit = (int)prefix; bit < most; bit++)
        if (net.bytes[bit / 8] >> (7 - bit % 8) & 1)
            return false;
    net.prefix = (int)prefix;
    *ret = net;
    return true;
}

/* An entry that cannot be read allows nothing. */
static bool listed(const char *allow, const struct network *address)
{
    for (const char *p = allow; *p;) {
        const size_t n = strcspn(p, ", \t");
        struct network net;

        if (n && network_parse(p, n, &net) && contains(&net, address))
            return true;
        p += n + (p[n] != '\0');
    }
    return false;
}

/* The address itself, or the IPv4 address that it stands for. */
static struct network undisguised(const struct network *address)
{
    struct network inner = { .family = AF_INET, .prefix = 32 };

    for (size_t i = 0; i < sizeof disguises / sizeof disguises[0]; i++)
        if (contains(&disguises[i].network, address)) {
            memcpy(inner.bytes, address->bytes + disguises[i].at, 4);
            return inner;
        }
    return *address;
}

static bool address_read(const struct sockaddr *address, struct network *ret)
{
    *ret = (struct network){ .family = address->sa_family };
    if (address->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, address, sizeof in);
        memcpy(ret->bytes, &in.sin_addr, 4);
        ret->prefix = 32;
        return true;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, address, sizeof in6);
        memcpy(ret->bytes, &in6.sin6_addr, 16);
        ret->prefix = 128;
        return true;
    }
    return false;
}

bool outbound_address_allowed(const struct sockaddr *address, const char *allow)
{
    struct network net;

    if (!address_read(address, &net))
        return false;
    net = undisguised(&net);
    if (listed(allow, &net))
        return true;
    if (net.family == AF_INET)
        return !contained_in(refused4, sizeof refused4 / sizeof refused4[0], &net);
    return contains(&global6, &net) &&
           !contained_in(refused6, sizeof refused6 / sizeof refused6[0], &net);
}
