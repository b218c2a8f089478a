/* Attention on blocked maps: the input in float32, outputs in the floats that their readers want. */
#include "inference/kernels/attention.h"
#include "inference/kernels/team.h"
#include "inference/plan/lower.h"

static struct attention shape_of(const struct node *n, const struct value *x, int64_t channels)
{
    struct attention a = { .heads = (size_t)node_int(n, "heads", 1),
                           .value = (size_t)node_int(n, "value", 1),
                           .area = (size_t)node_int(n, "area", 1),
                           .scale = node_float(n, "scale", 1) };

    a.key = ((size_t)channels / a.heads - a.value) / 2;
    a.cells = value_span(x, 2, 4) / a.area;
    return a;
}

/* in: the map; out: means, perhaps the values, room for every thread. */
static void run(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0], *values = c->out[1];
    struct attention a = shape_of(c->node, x, x->dims[1] * x->dims[4]);
    const size_t images = (size_t)x->dims[0];

    a.type = y->type;
    a.scratch = value_f32(c->out[2]);
    for (size_t i = 0; i < images; i++) {
        a.x = value_f32(x) + i * value_span(x, 1, 5);
        a.y = (char *)y->data + i * (value_bytes(y) / images);
        a.values = values ? (char *)values->data + i * (value_bytes(values) / images) : NULL;
        attention_run(&a, team_size());
    }
}

static bool wants_narrow(const struct lowering *l, int tensor)
{
    return l->narrow_type != DTYPE_F32 && l->wants_narrow[tensor];
}

void lower_attention(struct lowering *l, const struct node *n)
{
    const struct value *x = lower_value(l, n->inputs[0]);
    const struct attention a = shape_of(n, x, x->dims[1]);
    const int values = n->noutputs > 1 ? n->outputs[1] : GRAPH_NONE;
    const bool narrow = l->narrow_type == DTYPE_F16 && wants_narrow(l, n->outputs[0]) &&
                        (values == GRAPH_NONE || wants_narrow(l, values));
    struct value room = { .type = DTYPE_F32, .rank = 2, .dims = { l->plan->threads, 0 } };
    int slots[4];

    if (l->block != 16 || !lower_can_block(l, n->inputs[0]) || !attention_suits(a.key, a.value)) {
        lower_reference(l, n);
        return;
    }
    room.dims[1] = (int64_t)attention_scratch(a.key, a.cells);
    slots[0] = lower_blocked(l, n->inputs[0]);
    slots[1] = narrow ? lower_narrow_output(l, n->outputs[0]) : lower_blocked_output(l, n->outputs[0]);
    slots[2] = values == GRAPH_NONE ? GRAPH_NONE
               : narrow             ? lower_narrow_output(l, values)
                                    : lower_blocked_output(l, values);
    slots[3] = lower_slot(l, &room);
    lower_native(l, n, run, 1, 3, slots);
}
