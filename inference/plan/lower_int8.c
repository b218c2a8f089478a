/*
 * Which tensors of a plan are bytes, with which scales, and the copies from and to that form.
 *
 * A convolution multiplies bytes when its input has a known range and its output goes to further
 * convolutions: the last ones, whose results are decoded, and the first, which reads the picture,
 * compute in floats. A tensor is bytes when such a convolution reads it, straight or through what moves
 * channels about (Concat, Split, Resize by repetition, MaxPool): these hand on the scales of their
 * inputs, so that moving stays moving.
 *
 * The large maps of the first layers stay floats too: their few channels carry everything, and all that
 * follows inherits what rounding adds.
 */
#include <string.h>
#include "inference/kernels/cpu.h"
#include "inference/kernels/team.h"
#include "inference/kernels/tile_int8.h"
#include "inference/plan/lower.h"

/* Moves whole channels about. */
static bool is_mover(const struct node *n)
{
    const bool joins = strcmp(n->type, "Concat") == 0 || strcmp(n->type, "Split") == 0;
    const int64_t axis = joins ? node_int(n, "axis", 0) : 1;

    return (joins || strcmp(n->type, "Resize") == 0 || strcmp(n->type, "MaxPool") == 0) &&
           (axis == 1 || axis == -3);
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
    bool *ends;   /* somebody but convolutions and movers reads it, or nobody */
    bool *wanted; /* as bytes */
    bool no_memory;
};

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
                    if (n->outputs[o] != GRAPH_NONE)
                        c->wanted[n->outputs[o]] = true;
            }
        }
    }
}

/* The arrays of a struct quanta, while they are filled. */
struct arrays {
    float *scale, *mean;
    uint8_t *zero;
};

/* For so many channels, in whole blocks; those that only fill the last have scale 1. */
static bool arrays_create(struct choice *c, int64_t channels, struct arrays *ret)
{
    const size_t whole = ((size_t)channels + 15) / 16 * 16;
    struct arena *a = c->l->graph->arena;

    ret->scale = arena_array(a, whole, sizeof *ret->scale);
    ret->mean = arena_array(a, whole, sizeof *ret->mean);
    ret->zero = arena_array(a, whole, sizeof *ret->zero);
    if (!ret->scale || !ret->mean || !ret->zero) {
        c->no_memory = true;
        return false;
    }
    for (size_t i = 0; i < whole; i++)
        ret->scale[i] = 1;
    return true;
}

static void set_quanta(struct choice *c, int tensor, const struct arrays *a)
{
    c->l->quanta[tensor] = (struct quanta){ .scale = a->scale, .zero = a->zero, .mean = a->mean };
}

/* n channels of `from`, from channel `first` on, to channel `at`. */
static void copy_channels(const struct arrays *to, size_t at, const struct quanta *from, size_t first,
                          size_t n)
{
    memcpy(to->scale + at, from->scale + first, n * sizeof *to->scale);
    memcpy(to->mean + at, from->mean + first, n * sizeof *to->mean);
    memcpy(to->zero + at, from->zero + first, n * sizeof *to->zero);
}

static void quanta_from_calibration(struct choice *c, int t)
{
    const struct tensor *tensor = &c->l->graph->tensors[t];
    const struct calibrated *known = calibration_find(c->calibration, tensor->name);
    struct arrays a;

    if (!known || tensor->v.rank != 4 || known->nchannels != tensor->v.dims[1] ||
        !arrays_create(c, known->nchannels, &a))
        return;
    for (int i = 0; i < known->nchannels; i++) {
        const struct channel_range *r = &known->channels[i];
        const struct quantum one = quantum_of_range(r->low, r->high);
        a.scale[i] = one.scale;
        a.zero[i] = one.zero;
        a.mean[i] = r->mean;
    }
    set_quanta(c, t, &a);
}

static void quanta_of_concat(struct choice *c, const struct node *n)
{
    const int y = n->outputs[0];
    struct arrays a;
    size_t at = 0;

    for (int i = 0; i < n->ninputs; i++)
        if (!quanta_used(&c->l->quanta[n->inputs[i]]))
            return;
    if (!arrays_create(c, lower_value(c->l, y)->dims[1], &a))
        return;
    for (int i = 0; i < n->ninputs; i++) {
        const size_t channels = (size_t)lower_value(c->l, n->inputs[i])->dims[1];
        copy_channels(&a, at, &c->l->quanta[n->inputs[i]], 0, channels);
        at += channels;
    }
    set_quanta(c, y, &a);
}

/* Split; the others have one output of as many channels. */
static void quanta_of_parts(struct choice *c, const struct node *n)
{
    const struct quanta *x = &c->l->quanta[n->inputs[0]];
    size_t first = 0;

    for (int i = 0; quanta_used(x) && i < n->noutputs; i++) {
        const int y = n->outputs[i];
        const int64_t channels = y == GRAPH_NONE ? 0 : lower_value(c->l, y)->dims[1];
        struct arrays a;
        if (y == GRAPH_NONE || !arrays_create(c, channels, &a))
            return;
        copy_channels(&a, 0, x, first, (size_t)channels);
        set_quanta(c, y, &a);
        first += (size_t)channels;
    }
}

/* Forward: what moves channels takes over what its inputs have. */
static void find_quanta(struct choice *c)
{
    const struct graph *g = c->l->graph;

    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        if (n->dead || !is_wanted(c, n))
            continue;
        if (!is_mover(n)) {
            for (int o = 0; o < n->noutputs; o++)
                if (n->outputs[o] != GRAPH_NONE && c->wanted[n->outputs[o]])
                    quanta_from_calibration(c, n->outputs[o]);
        } else if (strcmp(n->type, "Concat") == 0) {
            quanta_of_concat(c, n);
        } else {
            quanta_of_parts(c, n);
        }
    }
}

bool lower_choose_bytes(struct lowering *l, const struct calibration *calibration)
{
    const size_t n = (size_t)l->graph->ntensors + 1;
    struct arena *a = l->graph->arena;
    struct choice c = { .l = l,
                        .calibration = calibration,
                        .ends = arena_array(a, n, sizeof *c.ends),
                        .wanted = arena_array(a, n, sizeof *c.wanted) };

    if (!c.ends || !c.wanted)
        return false;
    find_ends(&c);
    find_wanted(&c);
    find_quanta(&c);
    return !c.no_memory;
}

bool lower_is_bytes(const struct lowering *l, int tensor)
{
    return l->bytes[tensor] != GRAPH_NONE;
}

bool lower_wants_bytes(const struct lowering *l, int tensor)
{
    return quanta_used(&l->quanta[tensor]);
}

/* Of each plane of 16 channels some pixels to each thread; in[1] scales, in[2] zeros. */
static void copy_planes(const struct call *c, int part, int parts, bool narrow)
{
    const struct value *x = c->in[0];
    const struct quanta all = { .scale = value_f32(c->in[1]), .zero = value_u8(c->in[2]) };
    const size_t plane = value_span(x, 2, 4), planes = value_span(x, 0, 2);
    const size_t first = plane * (size_t)part / (size_t)parts,
                 last = plane * ((size_t)part + 1) / (size_t)parts;

    for (size_t p = 0; p < planes; p++) {
        const struct quanta q = quanta_of_block(&all, (int)(p % (size_t)x->dims[1]));
        const size_t at = (p * plane + first) * 16;
        if (narrow)
            bytes_narrow(&q, value_f32(x) + at, value_u8(c->out[0]) + at, last - first);
        else
            bytes_widen(&q, value_u8(x) + at, value_f32(c->out[0]) + at, last - first);
    }
}

static void narrow_part(const void *context, int part, int parts)
{
    copy_planes(context, part, parts, true);
}

static void narrow(const struct call *c)
{
    team_run(team_size(), narrow_part, c);
}

static void widen_part(const void *context, int part, int parts)
{
    copy_planes(context, part, parts, false);
}

static void widen(const struct call *c)
{
    team_run(team_size(), widen_part, c);
}

/* A step between both forms. */
static void add_copy(struct lowering *l, int tensor, void (*run)(const struct call *c), int from, int to)
{
    const struct quanta *q = &l->quanta[tensor];
    const int64_t channels = (lower_value(l, tensor)->dims[1] + 15) / 16 * 16;
    const struct value
        scales = { .type = DTYPE_F32, .rank = 1, .dims = { channels }, .data = (float *)q->scale },
        zeros = { .type = DTYPE_U8, .rank = 1, .dims = { channels }, .data = (uint8_t *)q->zero };

    lower_native(l, NULL, run, 3, 1,
                 (const int[]){ from, lower_slot(l, &scales), lower_slot(l, &zeros), to });
}

void lower_from_bytes(struct lowering *l, int tensor, int to)
{
    add_copy(l, tensor, widen, l->bytes[tensor], to);
}

int lower_bytes(struct lowering *l, int tensor)
{
    int from;

    if (l->st != ST_OK || l->bytes[tensor] != GRAPH_NONE)
        return l->bytes[tensor];
    from = lower_blocked(l, tensor);
    lower_bytes_output(l, tensor);
    add_copy(l, tensor, narrow, from, l->bytes[tensor]);
    return l->bytes[tensor];
}
