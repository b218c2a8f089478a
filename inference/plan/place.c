/*
 * Memory by lifetime: slots whose steps do not overlap share bytes.
 */
#include <stdlib.h>
#include <string.h>
#include "inference/plan/plan.h"

enum {
    ALIGNMENT = 64,
    GREEDY_MAX = 20000, /* slots; beyond it the quadratic search would cost seconds: no sharing then */
};

static void touch(struct plan *p, int slot, int step)
{
    size_t offset;
    struct slot *root = slot == GRAPH_NONE ? NULL : &p->slots[plan_root(p, slot, &offset)];

    if (!root)
        return;
    root->first = root->first < 0 || step < root->first ? step : root->first;
    root->last = step > root->last ? step : root->last;
}

static void find_lifetimes(struct plan *p)
{
    for (int i = 0; i < p->nslots; i++)
        p->slots[i].first = p->slots[i].last = -1;
    for (int i = 0; i < p->graph->ninputs; i++)
        touch(p, p->inputs[i], 0);
    for (int s = 0; s < p->nsteps; s++)
        for (int i = 0; i < p->steps[s].nin + p->steps[s].nout; i++)
            touch(p, p->steps[s].slots[i], s);
    for (int i = 0; i < p->graph->noutputs; i++)
        touch(p, p->outputs[i], p->nsteps);
    for (int i = 0; i < p->late.ninputs; i++)
        touch(p, p->late_inputs[i], p->nsteps);
}

struct piece {
    size_t bytes;
    int slot;
};

static int larger_first(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->slot < y->slot ? -1 : 1;
}

/* placed[n] are sorted by offset: the lowest gap among those alive at the same time. Returns where to
 * insert. */
static int lowest_gap(const struct plan *p, const struct piece placed[], int n, struct slot *s,
                      size_t bytes)
{
    size_t offset = 0;
    int at = 0;

    for (int i = 0; i < n; i++) {
        const struct slot *o = &p->slots[placed[i].slot];
        if (o->last < s->first || s->last < o->first)
            continue;
        if (offset + bytes <= o->offset)
            break;
        offset = offset > o->offset + placed[i].bytes ? offset : o->offset + placed[i].bytes;
    }
    s->offset = offset;
    while (at < n && p->slots[placed[at].slot].offset <= offset)
        at++;
    return at;
}

static enum status place_all(struct plan *p, const struct piece pieces[], struct piece placed[], int n,
                             struct fault *f)
{
    for (int i = 0; i < n; i++) {
        struct slot *s = &p->slots[pieces[i].slot];
        size_t end;
        if (n > GREEDY_MAX) {
            s->offset = p->memory_bytes;
        } else {
            const int at = lowest_gap(p, placed, i, s, pieces[i].bytes);
            memmove(placed + at + 1, placed + at, (size_t)(i - at) * sizeof *placed);
            placed[at] = pieces[i];
        }
        end = s->offset + pieces[i].bytes;
        p->memory_bytes = end > p->memory_bytes ? end : p->memory_bytes;
        if (p->memory_bytes > p->graph->memory_limit)
            return fault_set(f, ST_TOO_LARGE, "model",
                             "the model needs more memory than its file size allows");
    }
    return ST_OK;
}

enum status plan_place(struct plan *p, struct fault *f)
{
    struct piece *pieces = calloc((size_t)p->nslots + 1, sizeof *pieces);
    struct piece *placed = calloc((size_t)p->nslots + 1, sizeof *placed);
    enum status st = ST_OK;
    int n = 0;

    find_lifetimes(p);
    if (!pieces || !placed)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (int i = 0; st == ST_OK && i < p->nslots; i++)
        if (p->slots[i].base == GRAPH_NONE && !p->slots[i].v.data && p->slots[i].first >= 0)
            pieces[n++] =
                (struct piece){ (value_bytes(&p->slots[i].v) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT,
                                i };
    if (st == ST_OK) {
        qsort(pieces, (size_t)n, sizeof *pieces, larger_first);
        st = place_all(p, pieces, placed, n, f);
    }
    free(pieces);
    free(placed);
    return st;
}
