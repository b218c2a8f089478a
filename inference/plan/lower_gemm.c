/*
 * Gemm, and MatMul of few rows with constant weights. The kernel wants each output's weights in one row:
 * constants that lie the other way are turned around once. What is not of this kind, and CPUs without
 * AVX-512, runs by the reference, or MatMul by oneDNN.
 */
#include <string.h>
#include "inference/kernels/cpu.h"
#include "inference/kernels/product.h"
#include "inference/kernels/team.h"
#include "inference/plan/lower.h"

enum { MATMUL_ROWS = 32 }; /* beyond, oneDNN's blocking of both operands pays */

/* in: a [.., k], b [n, k], and perhaps c, which broadcasts to y [.., n]. */
static void run(const struct call *c)
{
    const struct value *a = c->in[0], *b = c->in[1], *more = call_in(c, 2), *y = c->out[0];
    int64_t strides[LIMIT_TENSOR_RANK] = { 0 };
    struct product p = { .n = (size_t)b->dims[0],
                         .k = (size_t)b->dims[1],
                         .a = value_f32(a),
                         .b = value_f32(b),
                         .alpha = node_float(c->node, "alpha", 1),
                         .beta = node_float(c->node, "beta", 1),
                         .y = value_f32(y) };

    p.m = value_elements(y) / p.n;
    if (more) {
        broadcast_strides(more, y, strides);
        p.c = value_f32(more);
        p.c_row = (size_t)strides[0];
        p.c_column = (size_t)strides[1];
    }
    product_run(&p, team_size());
}

/* The slot of constant weights [k, n] as [n, k]; GRAPH_NONE when memory is short. */
static int turned_around(struct lowering *l, int tensor)
{
    const struct value *v = lower_value(l, tensor);
    const size_t rows = (size_t)v->dims[0], columns = (size_t)v->dims[1];
    struct value turned = { .type = DTYPE_F32, .rank = 2, .dims = { v->dims[1], v->dims[0] } };
    float *y = arena_array(l->graph->arena, rows * columns + 1, sizeof *y);

    if (!y)
        return GRAPH_NONE;
    for (size_t i = 0; i < rows; i++)
        for (size_t k = 0; k < columns; k++)
            y[k * rows + i] = value_f32(v)[i * columns + k];
    turned.data = y;
    return lower_slot(l, &turned);
}

static bool lower_product(struct lowering *l, const struct node *n, bool rows_of_outputs, int nin)
{
    const struct value *b = lower_value(l, n->inputs[1]);
    int slots[4];

    if (l->block != 16 || cpu_isa() < CPU_AVX512 || b->rank != 2 || value_elements(b) == 0 ||
        value_elements(lower_value(l, n->outputs[0])) == 0 || (!rows_of_outputs && !b->data))
        return false;
    slots[1] = rows_of_outputs ? lower_plain(l, n->inputs[1]) : turned_around(l, n->inputs[1]);
    if (slots[1] == GRAPH_NONE)
        return false;
    slots[0] = lower_plain(l, n->inputs[0]);
    if (nin > 2)
        slots[2] = lower_plain(l, n->inputs[2]);
    slots[nin] = lower_plain_output(l, n->outputs[0]);
    lower_native(l, n, run, nin, 1, slots);
    return true;
}

void lower_gemm(struct lowering *l, const struct node *n)
{
    const bool bias = n->ninputs > 2 && n->inputs[2] != GRAPH_NONE;

    if (node_int(n, "transA", 0) || !lower_product(l, n, node_int(n, "transB", 0) != 0, bias ? 3 : 2))
        lower_reference(l, n);
}

bool lower_matmul_weights(struct lowering *l, const struct node *n)
{
    const struct value *a = lower_value(l, n->inputs[0]), *b = lower_value(l, n->inputs[1]);

    return a->rank >= 1 && b->rank == 2 && value_span(a, 0, a->rank - 1) <= MATMUL_ROWS &&
           lower_product(l, n, false, 2);
}
