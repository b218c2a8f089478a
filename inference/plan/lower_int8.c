/*
 * Which tensors of a plan are bytes, with which scale, and the copies from and to that form.
 *
 * A convolution multiplies bytes when its input has a known range and its output goes to further
 * convolutions: the last ones, whose results are decoded, and the first, which reads the picture,
 * compute in floats. A tensor is bytes when such a convolution reads it, straight or through what moves
 * values about (Concat, Split, Resize by repetition, MaxPool); all that is moved into one tensor has one
 * scale, so that moving stays moving.
 *
 * The large maps of the first layers stay floats too: their few channels differ most in range, and all
 * that follows inherits what rounding adds.
 */
#include <string.h>
#include "inference/kernels/cpu.h"
#include "inference/kernels/team.h"
#include "inference/kernels/tile_int8.h"
#include "inference/plan/lower.h"

static bool is_mover(const struct node *n)
{
    static const char *const types[] = { "Concat", "Split", "Resize", "MaxPool" };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(n->type, types[i]) == 0)
            return true;
    return false;
}

static bool is_conv(const struct node *n)
{
    return strcmp(n->type, "Conv") == 0;
}

/* Inputs of a mover that are values, not sizes. */
static int moved_inputs(const struct node *n)
{
    return strcmp(n->type, "Concat") == 0 ? n->ninputs : 1;
}

/* What is known while forms are chosen; arrays for each tensor. */
struct choice {
    struct lowering *l;
    const struct calibration *calibration;
    bool *ends;    /* somebody but convolutions and movers reads it, or nobody */
    bool *wanted;  /* as bytes */
    int *group;    /* a member of its set of one scale; itself: the root */
    bool *unknown; /* of roots: a member's range is not known */
    float *low, *high;
};

static int root_of(const struct choice *c, int t)
{
    while (c->group[t] != t)
        t = c->group[t] = c->group[c->group[t]];
    return t;
}

static void join(const struct choice *c, int a, int b)
{
    c->group[root_of(c, a)] = root_of(c, b);
}

static void find_ends(const struct choice *c)
{
    const struct graph *g = c->l->graph;

    for (int t = 0; t < g->ntensors; t++)
        c->ends[t] = true;
    for (int i = 0; i < g->nnodes; i++)
        for (int k = 0; !g->nodes[i].dead && k < g->nodes[i].ninputs; k++)
            if (g->nodes[i].inputs[k] != GRAPH_NONE)
                c->ends[g->nodes[i].inputs[k]] = false;
    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        for (int k = 0; !n->dead && !is_conv(n) && !is_mover(n) && k < n->ninputs; k++)
            if (n->inputs[k] != GRAPH_NONE)
                c->ends[n->inputs[k]] = true;
    }
    for (int i = 0; i < g->noutputs; i++)
        c->ends[g->outputs[i]] = true;
}

/* Pixels of the picture for one of a map; with fewer the map is a large one. */
enum { FIRST_LAYERS = 64 };

static bool is_large(const struct choice *c, int tensor)
{
    const struct graph *g = c->l->graph;
    const struct value *picture = lower_value(c->l, g->inputs[0]);

    return picture->rank != 4 ||
           value_span(lower_value(c->l, tensor), 2, 4) > value_span(picture, 2, 4) / FIRST_LAYERS;
}

static bool suits(const struct choice *c, const struct node *n)
{
    const struct value *weights = lower_value(c->l, n->inputs[1]);

    return is_conv(n) && node_int(n, "group", 1) == 1 && weights->data && weights->rank == 4 &&
           (n->ninputs < 3 || n->inputs[2] == GRAPH_NONE || lower_value(c->l, n->inputs[2])->data) &&
           lower_can_block(c->l, n->inputs[0]) && lower_can_block(c->l, n->outputs[0]) &&
           weights->dims[1] >= c->l->block && value_span(weights, 1, 4) <= TILE_INT8_PRODUCTS &&
           !c->ends[n->outputs[0]] && !is_large(c, n->inputs[0]);
}

static bool is_wanted(const struct choice *c, const struct node *n)
{
    for (int i = 0; i < n->noutputs; i++)
        if (n->outputs[i] != GRAPH_NONE && c->wanted[n->outputs[i]])
            return true;
    return false;
}

/* From the last node to the first, so that readers come before what they read. */
static void find_wanted(const struct choice *c)
{
    const struct graph *g = c->l->graph;

    for (int i = g->nnodes - 1; i >= 0; i--) {
        const struct node *n = &g->nodes[i];
        if (n->dead)
            continue;
        if (is_conv(n)) {
            c->l->byte_convs[i] = suits(c, n);
            c->wanted[n->inputs[0]] |= c->l->byte_convs[i];
            if (n->fused.residual && c->wanted[n->outputs[0]])
                c->wanted[n->inputs[3]] = true;
        } else if (is_mover(n) && is_wanted(c, n)) {
            for (int k = 0; k < moved_inputs(n); k++) {
                c->wanted[n->inputs[k]] = true;
                for (int o = 0; o < n->noutputs; o++)
                    if (n->outputs[o] != GRAPH_NONE) {
                        c->wanted[n->outputs[o]] = true;
                        join(c, n->inputs[k], n->outputs[o]);
                    }
            }
        }
    }
}

static void find_ranges(const struct choice *c)
{
    const struct graph *g = c->l->graph;

    for (int t = 0; t < g->ntensors; t++) {
        const int producer = g->tensors[t].producer, root = root_of(c, t);
        const struct calibrated *known = calibration_find(c->calibration, g->tensors[t].name);
        const bool moved = producer != GRAPH_NONE && is_mover(&g->nodes[producer]);
        if (!c->wanted[t])
            continue;
        if (known) {
            c->low[root] = known->low < c->low[root] ? known->low : c->low[root];
            c->high[root] = known->high > c->high[root] ? known->high : c->high[root];
        } else if (!moved) {
            c->unknown[root] = true;
        }
    }
    for (int t = 0; t < g->ntensors; t++) {
        const int root = root_of(c, t);
        if (c->wanted[t] && !c->unknown[root] && c->high[root] > c->low[root])
            c->l->quanta[t] = quantum_of_range(c->low[root], c->high[root]);
    }
}

bool lower_choose_bytes(struct lowering *l, const struct calibration *calibration)
{
    const size_t n = (size_t)l->graph->ntensors + 1;
    struct arena *a = l->graph->arena;
    const struct choice c = { .l = l,
                              .calibration = calibration,
                              .ends = arena_array(a, n, sizeof *c.ends),
                              .wanted = arena_array(a, n, sizeof *c.wanted),
                              .group = arena_array(a, n, sizeof *c.group),
                              .unknown = arena_array(a, n, sizeof *c.unknown),
                              .low = arena_array(a, n, sizeof *c.low),
                              .high = arena_array(a, n, sizeof *c.high) };

    if (!c.ends || !c.wanted || !c.group || !c.unknown || !c.low || !c.high)
        return false;
    for (int t = 0; t < l->graph->ntensors; t++)
        c.group[t] = t;
    find_ends(&c);
    find_wanted(&c);
    find_ranges(&c);
    return true;
}

bool lower_is_bytes(const struct lowering *l, int tensor)
{
    return l->bytes[tensor] != GRAPH_NONE;
}

bool lower_wants_bytes(const struct lowering *l, int tensor)
{
    return quantum_used(&l->quanta[tensor]);
}

/* A quantum as a step's input: scale, zero. */
static int quantum_slot(struct lowering *l, const struct quantum *q)
{
    struct value v = { .type = DTYPE_F32, .rank = 1, .dims = { 2 } };
    float *numbers = v.data = arena_array(l->graph->arena, 2, sizeof(float));

    if (numbers) {
        numbers[0] = q->scale;
        numbers[1] = (float)q->zero;
    }
    return lower_slot(l, &v);
}

static struct quantum quantum_read(const struct value *v)
{
    return (struct quantum){ .scale = value_f32(v)[0], .zero = (int)value_f32(v)[1] };
}

/* Whole pixels of 16 channels, some to each thread. */
static void narrow_part(const void *context, int part, int parts)
{
    const struct call *c = context;
    const size_t pixels = value_elements(c->in[0]) / 16,
                 first = pixels * (size_t)part / (size_t)parts * 16,
                 last = pixels * ((size_t)part + 1) / (size_t)parts * 16;
    const struct quantum q = quantum_read(c->in[1]);

    bytes_narrow(&q, value_f32(c->in[0]) + first, value_u8(c->out[0]) + first, last - first);
}

static void narrow(const struct call *c)
{
    team_run(team_size(), narrow_part, c);
}

static void widen_part(const void *context, int part, int parts)
{
    const struct call *c = context;
    const size_t pixels = value_elements(c->in[0]) / 16,
                 first = pixels * (size_t)part / (size_t)parts * 16,
                 last = pixels * ((size_t)part + 1) / (size_t)parts * 16;
    const struct quantum q = quantum_read(c->in[1]);

    bytes_widen(&q, value_u8(c->in[0]) + first, value_f32(c->out[0]) + first, last - first);
}

static void widen(const struct call *c)
{
    team_run(team_size(), widen_part, c);
}

void lower_from_bytes(struct lowering *l, int tensor, int to)
{
    lower_native(l, NULL, widen, 2, 1,
                 (const int[]){ l->bytes[tensor], quantum_slot(l, &l->quanta[tensor]), to });
}

int lower_bytes(struct lowering *l, int tensor)
{
    int from;

    if (l->st != ST_OK || l->bytes[tensor] != GRAPH_NONE)
        return l->bytes[tensor];
    from = lower_blocked(l, tensor);
    lower_bytes_output(l, tensor);
    lower_native(l, NULL, narrow, 2, 1,
                 (const int[]){ from, quantum_slot(l, &l->quanta[tensor]), l->bytes[tensor] });
    return l->bytes[tensor];
}
