/*
 * Affine in blocks, where its input is in blocks; by the kernel where this CPU has it, else by loops.
 * Row-major inputs stay so.
 */
#include "inference/kernels/affine.h"
#include "inference/kernels/cpu.h"
#include "inference/kernels/team.h"
#include "inference/ops/conv.h"
#include "inference/plan/lower.h"

/* in: x [N, C/B, H, W, B], scale, shift and perhaps slopes [C/B * B]. */
static void run(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0], *slopes = call_in(c, 3);
    const size_t images = (size_t)x->dims[0], bytes = value_bytes(x) / images;
    struct affine_map m = { .type = x->type,
                            .blocks = (size_t)x->dims[1],
                            .plane = value_span(x, 2, 4),
                            .scale = value_f32(c->in[1]),
                            .shift = value_f32(c->in[2]),
                            .slopes = slopes ? value_f32(slopes) : NULL,
                            .fused = c->node->fused };

    for (size_t i = 0; i < images; i++) {
        m.x = (const char *)x->data + i * bytes;
        m.y = (char *)y->data + i * bytes;
        affine_run(&m, team_size());
    }
}

/* The same on float32, for every block. */
static void run_loops(const struct call *c)
{
    const struct value *x = c->in[0], *slopes = call_in(c, 3);
    const size_t block = (size_t)x->dims[4], plane = value_span(x, 2, 4), blocks = (size_t)x->dims[1];
    const float *from = value_f32(x);
    float *to = value_f32(c->out[0]);

    for (size_t b = 0; b < (size_t)x->dims[0] * blocks; b++) {
        const float *scale = value_f32(c->in[1]) + b % blocks * block,
                    *shift = value_f32(c->in[2]) + b % blocks * block,
                    *slope = slopes ? value_f32(slopes) + b % blocks * block : NULL;
        for (size_t i = 0; i < plane; i++, from += block, to += block)
            for (size_t k = 0; k < block; k++) {
                const float v = from[k] * scale[k] + shift[k];
                to[k] = activation_apply(&c->node->fused, slope && v < 0 ? v * slope[k] : v);
            }
    }
}

/* Numbers of channels with zeros up to whole blocks, which makes those of the map zero. */
static int slot_of_vector(struct lowering *l, int tensor, int64_t whole)
{
    const struct value *v = lower_value(l, tensor);
    struct value y = { .type = DTYPE_F32, .rank = 1, .dims = { whole } };
    float *data = arena_array(l->graph->arena, (size_t)whole, sizeof *data);

    if (!data)
        return GRAPH_NONE;
    for (int64_t i = 0; i < v->dims[0]; i++)
        data[i] = value_f32(v)[i];
    y.data = data;
    return lower_slot(l, &y);
}

void lower_affine(struct lowering *l, const struct node *n)
{
    const int x = n->inputs[0], y = n->outputs[0];
    const bool kernel = l->block == 16 && cpu_isa() >= CPU_AVX512, narrow = lower_is_narrow(l, x);
    int slots[5];

    if (!lower_is_blocked(l, x) || !lower_can_block(l, x)) {
        lower_reference(l, n);
        return;
    }
    for (int i = 1; i < n->ninputs; i++)
        if ((slots[i] = slot_of_vector(l, n->inputs[i], lower_layout(l, x, true).dims[1])) ==
            GRAPH_NONE) {
            lower_reference(l, n);
            return;
        }
    slots[0] = kernel && narrow ? lower_narrow(l, x) : lower_blocked(l, x);
    slots[n->ninputs] = kernel && narrow ? lower_narrow_output(l, y) : lower_blocked_output(l, y);
    lower_native(l, n, kernel ? run : run_loops, n->ninputs, 1, slots);
}
