/* See avoid.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "inference/plan/avoid.h"

static const char *const words[] = { [AVOID_OWN] = "own", [AVOID_FAST] = "fast" };

/* FNV-1a, 64 bits. Source: Fowler, Noll and Vo, draft-eastlake-fnv. */
static uint64_t hash(uint64_t h, const char *text)
{
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return (h ^ 0xff) * 0x100000001b3u; /* "ab", "c" is not "a", "bc" */
}

static uint64_t layer_of(const struct graph *g, const struct node *n)
{
    const bool made = n->noutputs > 0 && n->outputs[0] != GRAPH_NONE;

    return hash(hash(0xcbf29ce484222325u, n->type), made ? g->tensors[n->outputs[0]].name : "");
}

static int find(const struct avoided *a, uint64_t layer)
{
    int i = 0;

    while (i < a->n && a->items[i].layer != layer)
        i++;
    return i;
}

enum avoidance avoided_how(const struct avoided *a, const struct graph *g, const struct node *n)
{
    int i;

    if (!a || a->n == 0)
        return AVOID_NOTHING;
    i = find(a, layer_of(g, n));
    return i < a->n ? a->items[i].how : AVOID_NOTHING;
}

bool avoided_add(struct avoided *a, const struct graph *g, const struct node *n, enum avoidance how)
{
    const uint64_t layer = layer_of(g, n);
    const int i = find(a, layer);

    if (i == LIMIT_PLAN_AVOIDED || (i < a->n && a->items[i].how >= how))
        return false;
    a->items[i].layer = layer;
    a->items[i].how = how;
    a->n = i == a->n ? i + 1 : a->n;
    return true;
}

bool avoided_same(const struct avoided *a, const struct avoided *b)
{
    bool same = a->n == b->n;

    for (int i = 0; i < a->n && same; i++)
        same = a->items[i].layer == b->items[i].layer && a->items[i].how == b->items[i].how;
    return same;
}

const char *avoided_text(const struct avoided *a, char text[AVOIDED_TEXT])
{
    size_t at = 0;

    text[0] = '\0';
    for (int i = 0; i < a->n; i++)
        at += (size_t)snprintf(text + at, AVOIDED_TEXT - at, "%s%016" PRIx64 ":%s", i ? " " : "",
                               a->items[i].layer, words[a->items[i].how]);
    return text;
}

/* One entry; NULL: it is none. */
static const char *read_one(const char *p, struct avoided *a)
{
    uint64_t layer = 0;

    for (int i = 0; i < 16; i++, p++) {
        const char *digits = "0123456789abcdef", *digit = *p ? strchr(digits, *p) : NULL;
        if (!digit)
            return NULL;
        layer = layer << 4 | (uint64_t)(digit - digits);
    }
    if (*p++ != ':' || a->n == LIMIT_PLAN_AVOIDED)
        return NULL;
    for (enum avoidance how = AVOID_OWN; how <= AVOID_FAST; how++) {
        const size_t n = strlen(words[how]);
        if (strncmp(p, words[how], n) == 0) {
            a->items[a->n].layer = layer;
            a->items[a->n++].how = how;
            return p + n;
        }
    }
    return NULL;
}

bool avoided_read(const char *text, struct avoided *ret)
{
    struct avoided a = { .n = 0 };

    while (*text) {
        if ((a.n && *text++ != ' ') || !(text = read_one(text, &a)))
            return false;
    }
    *ret = a;
    return true;
}
