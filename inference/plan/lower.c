/*
 * The tools of lowering: slots, forms, steps. See lower.h. The operators' own functions are in
 * lower_conv.c, lower_blocks.c and lower_plain.c.
 */
#include <string.h>
#include "inference/kernels/floats.h"
#include "inference/kernels/team.h"
#include "inference/plan/lower.h"

static int fail(struct lowering *l)
{
    if (l->st == ST_OK)
        l->st = fault_set(l->fault, ST_TOO_LARGE, "model",
                          "the model needs more memory than its file size allows");
    return GRAPH_NONE;
}

static void *grow(struct lowering *l, void *array, int n, int *cap, size_t size)
{
    void *p;

    if (n < *cap)
        return array;
    if (!(p = arena_array(l->graph->arena, (size_t)(*cap ? *cap * 2 : 64), size)))
        return NULL;
    if (n)
        memcpy(p, array, (size_t)n * size);
    *cap = *cap ? *cap * 2 : 64;
    return p;
}

static int add_slot(struct lowering *l, const struct value *v)
{
    struct plan *p = l->plan;
    struct slot *slots =
        l->st == ST_OK ? grow(l, p->slots, p->nslots, &p->slots_cap, sizeof *slots) : NULL;

    if (!slots)
        return fail(l);
    p->slots = slots;
    slots[p->nslots] = (struct slot){ .v = *v, .base = GRAPH_NONE };
    return p->nslots++;
}

const struct value *lower_value(const struct lowering *l, int tensor)
{
    return &l->graph->tensors[tensor].v;
}

bool lower_is_blocked(const struct lowering *l, int tensor)
{
    return l->blocked[tensor] != GRAPH_NONE || l->narrow[tensor] != GRAPH_NONE ||
           l->bytes[tensor] != GRAPH_NONE;
}

enum dtype lower_float_type(const struct lowering *l, int tensor)
{
    return l->wants_narrow[tensor] ? l->narrow_type : DTYPE_F32;
}

bool lower_is_narrow(const struct lowering *l, int tensor)
{
    return l->narrow[tensor] != GRAPH_NONE;
}

bool lower_can_block(const struct lowering *l, int tensor)
{
    const struct value *v = lower_value(l, tensor);

    return v->type == DTYPE_F32 && v->rank == 4 && value_elements(v) > 0;
}

static int64_t whole_blocks(int64_t channels, int block)
{
    return (channels + block - 1) / block * block;
}

struct layout lower_layout(const struct lowering *l, int tensor, bool blocked)
{
    const struct value *v = lower_value(l, tensor);
    struct layout y = { .rank = v->rank };

    memcpy(y.dims, v->dims, sizeof y.dims);
    if (blocked) {
        y.block = l->block;
        y.dims[1] = whole_blocks(v->dims[1], l->block);
    }
    return y;
}

/* The dense value that a blocked tensor is. */
static struct value blocked_value(const struct lowering *l, int tensor, enum dtype type)
{
    const struct value *v = lower_value(l, tensor);

    return (struct value){ .type = type,
                           .rank = 5,
                           .dims = { v->dims[0], whole_blocks(v->dims[1], l->block) / l->block,
                                     v->dims[2], v->dims[3], l->block } };
}

int lower_plain_output(struct lowering *l, int tensor)
{
    struct value v = *lower_value(l, tensor);

    v.data = NULL;
    return l->plain[tensor] = add_slot(l, &v);
}

int lower_blocked_output(struct lowering *l, int tensor)
{
    const struct value v = blocked_value(l, tensor, DTYPE_F32);

    return l->blocked[tensor] = add_slot(l, &v);
}

int lower_narrow_output(struct lowering *l, int tensor)
{
    const struct value v = blocked_value(l, tensor, l->narrow_type);

    return l->narrow[tensor] = add_slot(l, &v);
}

int lower_bytes_output(struct lowering *l, int tensor)
{
    const struct value v = blocked_value(l, tensor, DTYPE_U8);

    return l->bytes[tensor] = add_slot(l, &v);
}

static int add_view(struct lowering *l, const struct value *v, int base, size_t offset)
{
    const int slot = base == GRAPH_NONE ? fail(l) : add_slot(l, v);

    if (slot != GRAPH_NONE) {
        const struct slot *b = &l->plan->slots[base];
        l->plan->slots[slot].base = base;
        l->plan->slots[slot].base_offset = offset;
        l->plan->slots[slot].v.data = b->v.data ? (char *)b->v.data + offset : NULL;
    }
    return slot;
}

void lower_plain_view(struct lowering *l, int tensor, int base, size_t offset)
{
    struct value v = *lower_value(l, tensor);

    v.data = NULL;
    l->plain[tensor] = add_view(l, &v, base, offset);
}

void lower_blocked_view(struct lowering *l, int tensor, int base, size_t offset)
{
    const enum dtype type = base == GRAPH_NONE ? DTYPE_F32 : l->plan->slots[base].v.type;
    const struct value v = blocked_value(l, tensor, type);

    (type == DTYPE_F32  ? l->blocked
     : type == DTYPE_U8 ? l->bytes
                        : l->narrow)[tensor] = add_view(l, &v, base, offset);
}

int lower_part(struct lowering *l, int base, size_t offset, const struct value *like)
{
    struct value v = *like;

    v.data = NULL;
    return add_view(l, &v, base, offset);
}

int lower_slot(struct lowering *l, const struct value *v)
{
    return add_slot(l, v);
}

static void add_step(struct lowering *l, struct step s, const int slots[])
{
    struct plan *p = l->plan;
    const size_t n = (size_t)s.nin + (size_t)s.nout;
    struct step *steps = NULL;

    for (size_t i = (size_t)s.nin; i < n; i++)
        if (slots[i] == GRAPH_NONE && (s.kernel || s.conv))
            fail(l);
    if ((s.kernel || s.conv) && ++p->nkernels > LIMIT_MODEL_KERNELS && l->st == ST_OK)
        l->st = fault_set(l->fault, ST_TOO_LARGE, "model", "the model needs more than %d kernels",
                          LIMIT_MODEL_KERNELS);
    if (l->st == ST_OK && (s.slots = arena_array(l->graph->arena, n + 1, sizeof *s.slots)))
        steps = grow(l, p->steps, p->nsteps, &p->steps_cap, sizeof *steps);
    if (!steps) {
        kernel_free(s.kernel);
        conv_kernel_free(s.conv);
        fail(l);
        return;
    }
    memcpy(s.slots, slots, n * sizeof *slots);
    p->steps = steps;
    steps[p->nsteps++] = s;
}

void lower_kernel(struct lowering *l, const struct node *n, struct kernel *k, const int slots[])
{
    const struct step s = { .kernel = k, .node = n, .nin = kernel_arguments(k) - 1, .nout = 1 };

    add_step(l, s, slots);
}

void lower_own_conv(struct lowering *l, const struct node *n, struct conv_kernel *k, const int slots[])
{
    const struct step s = { .conv = k, .node = n, .nin = n->fused.residual ? 2 : 1, .nout = 1 };

    add_step(l, s, slots);
}

void lower_native(struct lowering *l, const struct node *n, void (*run)(const struct call *c), int nin,
                  int nout, const int slots[])
{
    const struct step s = { .run = run, .node = n, .nin = nin, .nout = nout };

    add_step(l, s, slots);
}

/* Copies one form into the other; by hand where oneDNN can't. */
static void reorder_native(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0];
    const bool to_blocks = y->rank == 5;
    const struct value *b = to_blocks ? y : x, *p = to_blocks ? x : y;
    const size_t plane = (size_t)(b->dims[2] * b->dims[3]), block = (size_t)b->dims[4];
    const size_t channels = (size_t)p->dims[1], whole = (size_t)b->dims[1] * block;

    for (size_t n = 0; n < (size_t)b->dims[0]; n++)
        for (size_t k = 0; k < whole; k++)
            for (size_t i = 0; i < plane; i++) {
                float *in_block =
                    value_f32(b) + ((n * whole / block + k / block) * plane + i) * block + k % block;
                float *in_plane = value_f32(p) + (n * channels + k) * plane + i;
                if (to_blocks)
                    *in_block = k < channels ? *in_plane : 0;
                else if (k < channels)
                    *in_plane = *in_block;
            }
}

/* Whole pixels of 16 channels, some to each thread. */
static void narrow_part(const void *context, int part, int parts)
{
    const struct call *c = context;
    const struct value *y = c->out[0];
    const size_t pixels = value_elements(y) / 16, first = pixels * (size_t)part / (size_t)parts * 16,
                 last = pixels * ((size_t)part + 1) / (size_t)parts * 16;

    floats_narrow(value_f32(c->in[0]) + first, (char *)y->data + first * dtype_size(y->type),
                  last - first, y->type);
}

static void narrow(const struct call *c)
{
    team_run(team_size(), narrow_part, c);
}

static void widen_part(const void *context, int part, int parts)
{
    const struct call *c = context;
    const struct value *x = c->in[0];
    const size_t pixels = value_elements(x) / 16, first = pixels * (size_t)part / (size_t)parts * 16,
                 last = pixels * ((size_t)part + 1) / (size_t)parts * 16;

    floats_widen((const char *)x->data + first * dtype_size(x->type), value_f32(c->out[0]) + first,
                 last - first, x->type);
}

static void widen(const struct call *c)
{
    team_run(team_size(), widen_part, c);
}

static void reorder(struct lowering *l, int tensor, int from, int to, bool to_blocks)
{
    struct layout x = lower_layout(l, tensor, !to_blocks), y = lower_layout(l, tensor, to_blocks);
    struct kernel *k = kernel_reorder(l->plan->engine, &x, &y);
    const int slots[] = { from, to };

    if (k && !kernel_is_slow(k)) {
        lower_kernel(l, NULL, k, slots);
        return;
    }
    kernel_free(k);
    lower_native(l, NULL, reorder_native, 1, 1, slots);
}

/* Planes of one pixel lie alike in blocks and row-major, where no block is left open between images. */
static bool lies_alike(const struct lowering *l, int tensor, bool to_blocks)
{
    const struct value *v = lower_value(l, tensor);
    const int slot = to_blocks ? l->plain[tensor] : l->blocked[tensor];
    const bool whole = v->dims[1] % l->block == 0;
    size_t offset;

    if (l->st != ST_OK || !lower_can_block(l, tensor) || v->dims[2] != 1 || v->dims[3] != 1 || v->data ||
        (!whole && (to_blocks || v->dims[0] != 1)))
        return false;
    plan_root(l->plan, slot, &offset);
    return offset % 64 == 0;
}

int lower_plain(struct lowering *l, int tensor)
{
    const struct value *v = lower_value(l, tensor);

    if (l->st != ST_OK || l->plain[tensor] != GRAPH_NONE)
        return l->plain[tensor];
    if (v->data)
        return l->plain[tensor] = add_slot(l, v);
    if (!lower_is_blocked(l, tensor))
        return fail(l);
    lower_blocked(l, tensor);
    if (lies_alike(l, tensor, false)) {
        lower_plain_view(l, tensor, l->blocked[tensor], 0);
        return l->plain[tensor];
    }
    lower_plain_output(l, tensor);
    reorder(l, tensor, l->blocked[tensor], l->plain[tensor], false);
    return l->plain[tensor];
}

int lower_blocked(struct lowering *l, int tensor)
{
    int from;

    if (l->st != ST_OK || l->blocked[tensor] != GRAPH_NONE)
        return l->blocked[tensor];
    if (l->narrow[tensor] != GRAPH_NONE) {
        lower_blocked_output(l, tensor);
        lower_native(l, NULL, widen, 1, 1, (const int[]){ l->narrow[tensor], l->blocked[tensor] });
        return l->blocked[tensor];
    }
    if (l->bytes[tensor] != GRAPH_NONE) {
        lower_from_bytes(l, tensor, lower_blocked_output(l, tensor));
        return l->blocked[tensor];
    }
    from = lower_plain(l, tensor);
    if (lies_alike(l, tensor, true)) {
        lower_blocked_view(l, tensor, from, 0);
        return l->blocked[tensor];
    }
    lower_blocked_output(l, tensor);
    reorder(l, tensor, from, l->blocked[tensor], true);
    return l->blocked[tensor];
}

int lower_narrow(struct lowering *l, int tensor)
{
    int from;

    if (l->st != ST_OK || l->narrow[tensor] != GRAPH_NONE)
        return l->narrow[tensor];
    from = lower_blocked(l, tensor);
    lower_narrow_output(l, tensor);
    lower_native(l, NULL, narrow, 1, 1, (const int[]){ from, l->narrow[tensor] });
    return l->narrow[tensor];
}

void lower_reference(struct lowering *l, const struct node *n)
{
    int *slots =
        arena_array(l->graph->arena, (size_t)n->ninputs + (size_t)n->noutputs + 1, sizeof *slots);

    if (!slots) {
        fail(l);
        return;
    }
    for (int i = 0; i < n->ninputs; i++)
        slots[i] = n->inputs[i] == GRAPH_NONE ? GRAPH_NONE : lower_plain(l, n->inputs[i]);
    for (int i = 0; i < n->noutputs; i++)
        slots[n->ninputs + i] =
            n->outputs[i] == GRAPH_NONE ? GRAPH_NONE : lower_plain_output(l, n->outputs[i]);
    lower_native(l, n, n->op->reference, n->ninputs, n->noutputs, slots);
}

struct call lower_call(const struct lowering *l, const struct node *n, const struct value *in[],
                       struct value *out[])
{
    for (int i = 0; i < n->ninputs; i++)
        in[i] = n->inputs[i] == GRAPH_NONE ? NULL : &l->graph->tensors[n->inputs[i]].v;
    for (int i = 0; i < n->noutputs; i++)
        out[i] = n->outputs[i] == GRAPH_NONE ? NULL : &l->graph->tensors[n->outputs[i]].v;
    return (struct call){ n, l->graph->opset, n->ninputs, n->noutputs, in, out };
}
