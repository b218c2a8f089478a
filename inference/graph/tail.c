/*
 * The tail of an exported YOLO: some thirty nodes that turn feature maps into rows of boxes and scores,
 * spelt differently by every exporter and version. They are not recognised by their spelling but by what
 * they do: where a Concat's output has the shape of such rows and stands on pairs of maps of the right
 * sizes, YoloDecode is tried in its place on random maps, and stays when the results agree.
 *
 * Left out: tails with masks, key points or angles.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inference/graph/passes.h"
#include "inference/ops/op.h"

enum { LEVELS_MAX = 8, NODES_MAX = 400 };

struct level {
    int boxes, scores; /* tensors [1, 4 bins, H, W], [1, classes, H, W] */
};

struct tail {
    int rows;       /* tensor [1, 4 + classes, A] */
    int64_t height; /* of the picture */
    int nmaps, nlevels;
    int maps[2 * LEVELS_MAX];
    struct level levels[LEVELS_MAX];
};

static bool is(const struct node *n, const char *type)
{
    return !n->dead && strcmp(n->type, type) == 0;
}

/* A map is what a convolution writes, but for the one that sums up bins: [1, 1, 4, A]. */
static bool is_map(const struct graph *g, int t, int64_t anchors)
{
    const struct value *v = &g->tensors[t].v;
    const int producer = g->tensors[t].producer;

    return producer != GRAPH_NONE && is(&g->nodes[producer], "Conv") && v->rank == 4 &&
           v->dims[0] == 1 && !(v->dims[1] == 1 && v->dims[3] == anchors);
}

/* The maps that the rows depend on; false when they depend on something else, or on too much. */
static bool find_maps(const struct graph *g, struct tail *t)
{
    const int64_t anchors = g->tensors[t->rows].v.dims[2];
    int stack[NODES_MAX], n = 0, seen = 0;
    bool *visited = calloc((size_t)g->ntensors + 1, sizeof *visited), ok = visited != NULL;

    stack[n++] = t->rows;
    while (ok && n > 0) {
        const int at = stack[--n], producer = g->tensors[at].producer;
        if (g->tensors[at].v.data || visited[at])
            continue;
        visited[at] = true;
        if (is_map(g, at, anchors)) {
            if ((ok = t->nmaps < 2 * LEVELS_MAX))
                t->maps[t->nmaps++] = at;
            continue;
        }
        ok = producer != GRAPH_NONE && ++seen < NODES_MAX;
        for (int i = 0; ok && i < g->nodes[producer].ninputs; i++)
            if (g->nodes[producer].inputs[i] != GRAPH_NONE && (ok = n < NODES_MAX))
                stack[n++] = g->nodes[producer].inputs[i];
    }
    free(visited);
    return ok;
}

static int64_t plane(const struct graph *g, int t)
{
    return g->tensors[t].v.dims[2] * g->tensors[t].v.dims[3];
}

/* Adds the next level: the largest maps left, of which there must be two. */
static bool take_level(const struct graph *g, struct tail *t)
{
    const int64_t classes = g->tensors[t->rows].v.dims[1] - 4;
    struct level l = { GRAPH_NONE, GRAPH_NONE };
    int64_t largest = 0;

    for (int i = 0; i < t->nmaps; i++)
        largest = plane(g, t->maps[i]) > largest ? plane(g, t->maps[i]) : largest;
    for (int i = 0; i < t->nmaps;) {
        const int map = t->maps[i];
        int *place;
        if (plane(g, map) < largest) {
            i++;
            continue;
        }
        /* 64 classes and 16 bins look alike: the first in the file are the boxes */
        place = g->tensors[map].v.dims[1] != classes || (l.scores != GRAPH_NONE && map < l.scores)
                    ? &l.boxes
                    : &l.scores;
        if (*place != GRAPH_NONE)
            return false;
        *place = map;
        t->maps[i] = t->maps[--t->nmaps];
    }
    t->levels[t->nlevels++] = l;
    return l.boxes != GRAPH_NONE && l.scores != GRAPH_NONE &&
           g->tensors[l.boxes].v.dims[1] == g->tensors[t->levels[0].boxes].v.dims[1];
}

static bool find_levels(const struct graph *g, struct tail *t)
{
    int64_t anchors = 0;

    while (t->nmaps > 0)
        if (t->nlevels == LEVELS_MAX || !take_level(g, t))
            return false;
    for (int i = 0; i < t->nlevels; i++)
        anchors += plane(g, t->levels[i].boxes);
    return t->nlevels > 0 && anchors == g->tensors[t->rows].v.dims[2] &&
           g->tensors[t->levels[0].boxes].v.dims[1] % 4 == 0;
}

/* The node becomes the decoder. False: out of memory. */
static bool rewrite(struct graph *g, const struct tail *t, struct node *n, const char *boxes)
{
    struct attribute *a = arena_array(g->arena, 2, sizeof *a);
    float *strides = arena_array(g->arena, LEVELS_MAX, sizeof *strides);
    int *inputs = arena_array(g->arena, 2 * LEVELS_MAX, sizeof *inputs);

    if (!a || !strides || !inputs)
        return false;
    for (int i = 0; i < t->nlevels; i++) {
        inputs[2 * i] = t->levels[i].boxes;
        inputs[2 * i + 1] = t->levels[i].scores;
        strides[i] = (float)t->height / (float)g->tensors[t->levels[i].boxes].v.dims[2];
    }
    a[0] = (struct attribute){
        .name = "strides", .kind = ATTRIBUTE_FLOATS, .n = (size_t)t->nlevels, .floats = strides
    };
    a[1] = (struct attribute){ .name = "boxes", .kind = ATTRIBUTE_STRING, .s = boxes };
    n->type = "YoloDecode";
    n->op = op_internal(n->type);
    n->inputs = inputs;
    n->ninputs = 2 * t->nlevels;
    n->attributes = a;
    n->nattributes = 2;
    return true;
}

/* A copy of the graph from the maps to the rows. */
static struct graph *cut(const struct graph *g, const struct tail *t)
{
    struct graph *c = graph_clone(g);
    int *inputs = c ? arena_array(c->arena, 2 * LEVELS_MAX, sizeof *inputs) : NULL;
    bool *needed = c ? calloc((size_t)c->ntensors + 1, sizeof *needed) : NULL;

    if (!inputs || !needed) {
        free(needed);
        graph_free(c);
        return NULL;
    }
    c->inputs = inputs;
    c->ninputs = 0;
    for (int i = 0; i < t->nlevels; i++) {
        inputs[c->ninputs++] = t->levels[i].boxes;
        inputs[c->ninputs++] = t->levels[i].scores;
    }
    for (int i = 0; i < c->ninputs; i++)
        c->tensors[inputs[i]].producer = GRAPH_NONE;
    c->outputs[0] = t->rows;
    c->noutputs = 1;
    needed[t->rows] = true;
    for (int i = c->nnodes - 1; i >= 0; i--) { /* nodes stand in an order that respects dependencies */
        struct node *n = &c->nodes[i];
        bool live = false;
        for (int k = 0; k < n->noutputs; k++)
            live |= n->outputs[k] != GRAPH_NONE && needed[n->outputs[k]] &&
                    c->tensors[n->outputs[k]].producer == i;
        n->dead |= !live;
        for (int k = 0; live && k < n->ninputs; k++)
            if (n->inputs[k] != GRAPH_NONE)
                needed[n->inputs[k]] = true;
    }
    free(needed);
    return c;
}

/* Numbers between -5 and 5 for every map. */
static bool fill(const struct graph *c, struct value maps[])
{
    uint32_t state = 1;
    bool ok = true;

    for (int i = 0; i < c->ninputs; i++) {
        maps[i] = c->tensors[c->inputs[i]].v;
        maps[i].data = malloc(value_bytes(&maps[i]) + 1);
        ok = ok && maps[i].data;
        for (size_t k = 0; maps[i].data && k < value_elements(&maps[i]); k++) {
            state = state * 1664525 + 1013904223;
            value_f32(&maps[i])[k] = (float)(state >> 8) * (10.0f / (1 << 24)) - 5;
        }
    }
    return ok;
}

/* Pixels of up to 640 and more, subtracted from each other, leave 1e-4 of rounding. */
static bool same(const struct value *a, const struct value *b)
{
    for (size_t i = 0; i < value_elements(a); i++) {
        const float x = value_f32(a)[i], y = value_f32(b)[i];
        if (!(fabsf(x - y) <= 2e-3f + 1e-4f * fabsf(x)))
            return false;
    }
    return true;
}

/* The kind of boxes with which the decoder gives what the nodes give, or NULL. */
static const char *try_decoder(const struct graph *g, const struct tail *t)
{
    static const char *const kinds[] = { "centre", "corners" };
    struct value maps[2 * LEVELS_MAX] = { { 0 } }, want = { 0 }, got = { 0 };
    struct graph *c = cut(g, t);
    struct fault f = FAULT_INIT;
    const char *found = NULL;

    if (c && fill(c, maps) && graph_interpret(c, maps, &want, &f) == ST_OK) {
        struct node *last = &c->nodes[c->tensors[t->rows].producer];
        for (int i = 0; i < c->nnodes; i++)
            c->nodes[i].dead |= &c->nodes[i] != last;
        for (size_t i = 0; i < 2 && !found; i++) {
            if (!rewrite(c, t, last, kinds[i]) || graph_interpret(c, maps, &got, &f) != ST_OK)
                break;
            found = same(&want, &got) ? kinds[i] : NULL;
            free(got.data);
        }
    }
    for (int i = 0; i < 2 * LEVELS_MAX; i++)
        free(maps[i].data);
    free(want.data);
    graph_free(c);
    return found;
}

bool pass_tail(struct graph *g, const struct readers *r)
{
    const struct value *picture = &g->tensors[g->inputs[0]].v;
    bool changed = false;

    (void)r;
    if (g->ninputs != 1 || picture->rank != 4)
        return false;
    for (int i = 0; i < g->nnodes; i++) {
        struct node *n = &g->nodes[i];
        struct tail t = { .rows = n->noutputs == 1 ? n->outputs[0] : GRAPH_NONE,
                          .height = picture->dims[2] };
        const struct value *rows = t.rows == GRAPH_NONE ? NULL : &g->tensors[t.rows].v;
        const char *boxes;
        if (!is(n, "Concat") || !rows || rows->type != DTYPE_F32 || rows->rank != 3 ||
            rows->dims[0] != 1 || rows->dims[1] < 5 || !find_maps(g, &t) || !find_levels(g, &t) ||
            !(boxes = try_decoder(g, &t)))
            continue;
        if (!rewrite(g, &t, n, boxes))
            return changed;
        changed = true;
    }
    return changed;
}
