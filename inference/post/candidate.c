/* Candidates: see candidate.h. */
#include "inference/post/candidate.h"

#include <math.h>
#include <stdlib.h>
#include "base/limits.h"

static bool is_finite(const struct candidate *c)
{
    return isfinite(c->x0) && isfinite(c->y0) && isfinite(c->x1) && isfinite(c->y1) &&
           isfinite(c->angle) && isfinite(c->score);
}

static bool grow(struct candidates *c)
{
    const size_t cap = c->cap ? 2 * c->cap : 256;
    struct candidate *items = realloc(c->items, cap * sizeof *items);

    if (!items) {
        c->failed = true;
        return false;
    }
    c->items = items;
    c->cap = cap;
    return true;
}

void candidates_add(struct candidates *c, struct candidate one)
{
    if (!is_finite(&one) || c->failed || c->n == LIMIT_CANDIDATES || (c->n == c->cap && !grow(c)))
        return;
    one.score = one.score > 1 ? 1 : one.score;
    c->items[c->n++] = one;
}

void candidates_free(struct candidates *c)
{
    free(c->items);
    *c = (struct candidates){ 0 };
}

struct ranked {
    float score;
    uint32_t order;
};

static int better_first(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    const float sx = isnan(x->score) ? -INFINITY : x->score, sy = isnan(y->score) ? -INFINITY : y->score;

    if (sx != sy)
        return sx > sy ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

bool candidates_sort(struct candidate *items, size_t n)
{
    struct ranked *rank = calloc(n + 1, sizeof *rank);
    struct candidate *sorted = calloc(n + 1, sizeof *sorted);
    const bool ok = rank && sorted;

    for (size_t i = 0; ok && i < n; i++)
        rank[i] = (struct ranked){ items[i].score, (uint32_t)i };
    if (ok && n > 1)
        qsort(rank, n, sizeof *rank, better_first);
    for (size_t i = 0; ok && i < n; i++)
        sorted[i] = items[rank[i].order];
    for (size_t i = 0; ok && i < n; i++)
        items[i] = sorted[i];
    free(rank);
    free(sorted);
    return ok;
}

size_t candidates_filter(struct candidate *items, size_t n, const int labels[], size_t nlabels)
{
    size_t kept = 0;

    for (size_t i = 0; i < n; i++) {
        bool wanted = nlabels == 0;
        for (size_t k = 0; !wanted && k < nlabels; k++)
            wanted = labels[k] == items[i].label;
        if (wanted)
            items[kept++] = items[i];
    }
    return kept;
}

struct candidate candidate_centred(float x, float y, float width, float height)
{
    const float w = fabsf(width) / 2, h = fabsf(height) / 2;

    return (struct candidate){ .x0 = x - w, .y0 = y - h, .x1 = x + w, .y1 = y + h };
}
