/* YoloDecode on blocked maps. Tasks with extras, and CPUs without AVX-512, run by the reference. */
#include <string.h>
#include "inference/kernels/cpu.h"
#include "inference/kernels/decode.h"
#include "inference/kernels/team.h"
#include "inference/plan/lower.h"

static bool is_plain_head(const struct lowering *l, const struct node *n)
{
    const struct value *first = lower_value(l, n->inputs[0]);
    bool ok = cpu_isa() >= CPU_AVX512 && n->ninputs <= 2 * DECODE_LEVELS && first->dims[0] == 1 &&
              (first->dims[1] == 64 || first->dims[1] == 4) &&
              strcmp(node_string(n, "extra", "none"), "none") == 0 &&
              strcmp(node_string(n, "boxes", "centre"), "rotated") != 0;

    for (int i = 0; ok && i < n->ninputs; i++)
        ok = lower_can_block(l, n->inputs[i]);
    return ok;
}

static void run(const struct call *c)
{
    const float *strides = node_attribute(c->node, "strides")->floats;
    struct decode d = { .nlevels = c->nin / 2,
                        .bins = c->in[0]->dims[1] == 4 ? 16 : 1,
                        .corners = strcmp(node_string(c->node, "boxes", "centre"), "corners") == 0,
                        .classes = (size_t)c->out[0]->dims[1] - 4,
                        .anchors = (size_t)c->out[0]->dims[2],
                        .rows = value_f32(c->out[0]) };

    for (int i = 0; i < d.nlevels; i++)
        d.levels[i] = (struct decode_level){ .boxes = value_f32(c->in[2 * i]),
                                             .scores = value_f32(c->in[2 * i + 1]),
                                             .plane = value_span(c->in[2 * i], 2, 4),
                                             .width = (size_t)c->in[2 * i]->dims[3],
                                             .stride = strides[i] };
    decode_run(&d, team_size());
}

void lower_yolo_decode(struct lowering *l, const struct node *n)
{
    int slots[2 * DECODE_LEVELS + 1];

    if (l->block != 16 || !is_plain_head(l, n)) {
        lower_reference(l, n);
        return;
    }
    for (int i = 0; i < n->ninputs; i++)
        slots[i] = lower_blocked(l, n->inputs[i]);
    slots[n->ninputs] = lower_plain_output(l, n->outputs[0]);
    lower_native(l, n, run, n->ninputs, 1, slots);
}
