/*
 * Operators that stay in the blocked layout where their input is in it: element-wise ones, Concat and
 * Split along channels, and Resize by repetition.
 */
#include <math.h>
#include <string.h>
#include "inference/kernels/team.h"
#include "inference/ops/resize.h"
#include "inference/plan/lower.h"

static const struct {
    const char *type;
    enum eltwise kind;
    float alpha; /* default of the attribute alpha */
} eltwises[] = {
    { "Relu", ELTWISE_RELU, 0 },       { "LeakyRelu", ELTWISE_RELU, 0.01f },
    { "Elu", ELTWISE_ELU, 1 },         { "SiLU", ELTWISE_SILU, 1 },
    { "Sigmoid", ELTWISE_SIGMOID, 0 }, { "HardSwish", ELTWISE_HARDSWISH, 0 },
    { "Tanh", ELTWISE_TANH, 0 },       { "Exp", ELTWISE_EXP, 0 },
};

/* The bounds of a Clip whose bounds are constants. */
static bool clip_bounds(const struct lowering *l, const struct node *n, float *low, float *high)
{
    float *const bounds[] = { low, high };

    *low = node_float(n, "min", -INFINITY);
    *high = node_float(n, "max", INFINITY);
    for (int i = 1; i < n->ninputs && i <= 2; i++) {
        const struct value *v = n->inputs[i] == GRAPH_NONE ? NULL : lower_value(l, n->inputs[i]);
        if (v && !v->data)
            return false;
        if (v)
            *bounds[i - 1] = value_f32(v)[0];
    }
    return true;
}

/* References that treat every number alike and keep all of them finite: they run on blocks as well. */
static bool is_element_wise(const struct node *n)
{
    static const char *const types[] = { "HardSigmoid", "Softplus", "Softsign", "Mish", "Gelu",
                                         "Erf",         "Selu",     "Celu",     "Neg",  "Abs" };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(n->type, types[i]) == 0)
            return true;
    return false;
}

static struct kernel *eltwise_kernel(struct lowering *l, const struct node *n, size_t count)
{
    float low, high;

    if (strcmp(n->type, "Clip") == 0)
        return clip_bounds(l, n, &low, &high)
                   ? kernel_eltwise(l->plan->engine, ELTWISE_CLIP, low, high, count)
                   : NULL;
    for (size_t i = 0; i < sizeof eltwises / sizeof eltwises[0]; i++)
        if (strcmp(n->type, eltwises[i].type) == 0)
            return kernel_eltwise(l->plan->engine, eltwises[i].kind,
                                  node_float(n, "alpha", eltwises[i].alpha), 0, count);
    return NULL;
}

void lower_eltwise(struct lowering *l, const struct node *n)
{
    const int x = n->inputs[0];
    /* Exp may overflow to infinity in channels that only fill a block: those must stay finite. */
    const bool blocked = lower_is_blocked(l, x) && strcmp(n->type, "Exp") != 0;
    struct kernel *k = NULL;
    size_t count;
    int slots[2];

    if (lower_value(l, x)->type == DTYPE_F32) {
        const struct layout y = lower_layout(l, x, blocked);
        const struct value v = { .rank = y.rank, .dims = { 0 } };
        struct value sized = v;
        memcpy(sized.dims, y.dims, sizeof sized.dims);
        count = value_elements(&sized);
        k = eltwise_kernel(l, n, count);
    }
    if (!k && (!blocked || !is_element_wise(n))) {
        lower_reference(l, n);
        return;
    }
    slots[0] = blocked ? lower_blocked(l, x) : lower_plain(l, x);
    slots[1] = blocked ? lower_blocked_output(l, n->outputs[0]) : lower_plain_output(l, n->outputs[0]);
    if (k)
        lower_kernel(l, n, k, slots);
    else
        lower_native(l, n, n->op->reference, 1, 1, slots);
}

static bool concat_keeps_blocks(const struct lowering *l, const struct node *n)
{
    const int64_t axis = node_int(n, "axis", 0);

    for (int i = 0; i < n->ninputs; i++)
        if (!lower_is_blocked(l, n->inputs[i]) ||
            (i + 1 < n->ninputs && lower_value(l, n->inputs[i])->dims[1] % l->block))
            return false;
    return (axis == 1 || axis == -3) && lower_value(l, n->outputs[0])->dims[0] == 1;
}

static void copy_part(const struct call *c)
{
    memcpy(c->out[0]->data, c->in[0]->data, value_bytes(c->in[0]));
}

/*
 * How many inputs from i on are, one after the other, the whole of one slot that no other one holds:
 * that slot can lie inside the output from the start, and its parts need no copy. 0: none.
 */
static int inputs_of_one_slot(const struct lowering *l, const struct node *n, const int form[], int i,
                              int *ret_root)
{
    const struct plan *p = l->plan;
    size_t offset, want = 0;
    int root, k = i;

    root = plan_root(p, form[n->inputs[i]], &offset);
    for (; k < n->ninputs; k++) {
        if (plan_root(p, form[n->inputs[k]], &offset) != root || offset != want)
            break;
        want += value_bytes(&p->slots[form[n->inputs[k]]].v);
    }
    *ret_root = root;
    return p->slots[root].v.data || want != value_bytes(&p->slots[root].v) ? 0 : k - i;
}

void lower_concat(struct lowering *l, const struct node *n)
{
    const bool bytes = lower_wants_bytes(l, n->outputs[0]);
    bool narrow = false;
    const int *form;
    size_t at = 0;
    int out;

    if (!concat_keeps_blocks(l, n)) {
        lower_reference(l, n);
        return;
    }
    for (int i = 0; i < n->ninputs; i++)
        narrow |= lower_is_narrow(l, n->inputs[i]);
    for (int i = 0; i < n->ninputs; i++)
        if ((bytes    ? lower_bytes(l, n->inputs[i])
             : narrow ? lower_narrow(l, n->inputs[i])
                      : lower_blocked(l, n->inputs[i])) == GRAPH_NONE)
            return;
    form = bytes ? l->bytes : narrow ? l->narrow : l->blocked;
    out = bytes    ? lower_bytes_output(l, n->outputs[0])
          : narrow ? lower_narrow_output(l, n->outputs[0])
                   : lower_blocked_output(l, n->outputs[0]);
    for (int i = 0, root; l->st == ST_OK && i < n->ninputs;) {
        const int count = inputs_of_one_slot(l, n, form, i, &root);
        if (count > 0) {
            l->plan->slots[root].base = out;
            l->plan->slots[root].base_offset = at;
            at += value_bytes(&l->plan->slots[root].v);
            i += count;
        } else {
            const int from = form[n->inputs[i++]],
                      part = lower_part(l, out, at, &l->plan->slots[from].v);
            lower_native(l, n, copy_part, 1, 1, (const int[]){ from, part });
            at += value_bytes(&l->plan->slots[from].v);
        }
    }
}

/* Along the channels of one image, at whole blocks, a part of a blocked tensor is contiguous: a view. */
static bool split_keeps_blocks(const struct lowering *l, const struct node *n)
{
    const struct value *x = lower_value(l, n->inputs[0]);
    const int64_t axis = node_int(n, "axis", 0);

    if (!lower_is_blocked(l, n->inputs[0]) || x->dims[0] != 1 || (axis != 1 && axis != -3))
        return false;
    for (int i = 0; i < n->noutputs; i++) {
        const struct value *y = n->outputs[i] == GRAPH_NONE ? NULL : lower_value(l, n->outputs[i]);
        if (!y || value_elements(y) == 0 || (i + 1 < n->noutputs && y->dims[1] % l->block))
            return false;
    }
    return true;
}

void lower_split(struct lowering *l, const struct node *n)
{
    const struct value *x = lower_value(l, n->inputs[0]);
    /* all outputs have the input's scale, or none has one */
    const bool bytes = lower_is_bytes(l, n->inputs[0]) && lower_wants_bytes(l, n->outputs[0]),
               narrow = !bytes && lower_is_narrow(l, n->inputs[0]);
    size_t channel = 0;
    int base;

    if (!split_keeps_blocks(l, n)) {
        lower_reference(l, n);
        return;
    }
    base = bytes    ? lower_bytes(l, n->inputs[0])
           : narrow ? lower_narrow(l, n->inputs[0])
                    : lower_blocked(l, n->inputs[0]);
    for (int i = 0; i < n->noutputs; i++) {
        lower_blocked_view(l, n->outputs[i], base,
                           channel * value_span(x, 2, 4) *
                               dtype_size(bytes    ? DTYPE_U8
                                          : narrow ? l->narrow_type
                                                   : DTYPE_F32));
        channel += (size_t)lower_value(l, n->outputs[i])->dims[1];
    }
}

/* One pixel of one block. Known sizes become moves of vectors. */
static void copy_pixel(char *to, const char *from, size_t size)
{
    if (size == 64)
        memcpy(to, from, 64);
    else if (size == 32)
        memcpy(to, from, 32);
    else if (size == 16)
        memcpy(to, from, 16);
    else
        memcpy(to, from, size);
}

/* [N, C/B, H, W, B] to larger H and W; the factors are those of the shapes. */
static void repeat_part(const void *context, int part, int parts)
{
    const struct call *c = context;
    const struct value *x = c->in[0], *y = c->out[0];
    const size_t planes = value_span(x, 0, 2), size = (size_t)x->dims[4] * dtype_size(x->type);
    const size_t h = (size_t)y->dims[2], w = (size_t)y->dims[3], in_w = (size_t)x->dims[3];
    const size_t down = h / (size_t)x->dims[2], across = w / in_w;
    const size_t last = planes * ((size_t)part + 1) / (size_t)parts;

    for (size_t p = planes * (size_t)part / (size_t)parts; p < last; p++)
        for (size_t i = 0; i < h; i++) {
            const char *from = (char *)x->data + (p * (size_t)x->dims[2] + i / down) * in_w * size;
            char *to = (char *)y->data + (p * h + i) * w * size;
            if (i % down) { /* the row above is the same */
                memcpy(to, to - w * size, w * size);
                continue;
            }
            for (size_t k = 0; k < w; k++)
                copy_pixel(to + k * size, from + k / across * size, size);
        }
}

static void repeat_blocks(const struct call *c)
{
    team_run(team_size(), repeat_part, c);
}

void lower_resize(struct lowering *l, const struct node *n)
{
    const struct value *in[4];
    struct value *out[1];
    const struct call call = lower_call(l, n, in, out);
    int64_t factor[2];
    int slots[2];

    if (!lower_is_blocked(l, n->inputs[0]) || !resize_is_repeat(&call, factor)) {
        if (!lower_resample(l, n))
            lower_reference(l, n);
        return;
    }
    if (lower_wants_bytes(l, n->outputs[0])) {
        slots[0] = lower_bytes(l, n->inputs[0]);
        slots[1] = lower_bytes_output(l, n->outputs[0]);
    } else if (lower_is_narrow(l, n->inputs[0])) {
        slots[0] = lower_narrow(l, n->inputs[0]);
        slots[1] = lower_narrow_output(l, n->outputs[0]);
    } else {
        slots[0] = lower_blocked(l, n->inputs[0]);
        slots[1] = lower_blocked_output(l, n->outputs[0]);
    }
    lower_native(l, n, repeat_blocks, 1, 1, slots);
}
