/*
 * Operators that run row-major: arithmetic of two values, Softmax, MatMul, and those that only rename a
 * shape. Add and Mul of two blocked tensors of one shape stay blocked.
 */
#include <string.h>
#include "inference/ops/gemm.h"
#include "inference/ops/softmax.h"
#include "inference/plan/lower.h"

static bool binary_of(const struct node *n, enum binary *ret)
{
    static const char *const types[] = { "Add", "Sub", "Mul", "Div" };

    for (int i = 0; i < 4; i++)
        if (strcmp(n->type, types[i]) == 0) {
            *ret = (enum binary)i;
            return true;
        }
    return false;
}

/* Both operands and the result are one blocked shape; Div could make NaN in the channels that fill a
 * block. */
static bool lower_binary_blocked(struct lowering *l, const struct node *n, enum binary kind)
{
    const int a = n->inputs[0], b = n->inputs[1];
    const struct layout y = lower_layout(l, a, true);
    struct kernel *k;
    int slots[3];

    if (kind == BINARY_DIV || !lower_can_block(l, a) || !lower_can_block(l, b) ||
        !value_same_shape(lower_value(l, a), lower_value(l, b)) || !lower_is_blocked(l, a) ||
        !lower_is_blocked(l, b) || !(k = kernel_binary(l->plan->engine, kind, &y, &y)))
        return false;
    slots[0] = lower_blocked(l, a);
    slots[1] = lower_blocked(l, b);
    slots[2] = lower_blocked_output(l, n->outputs[0]);
    lower_kernel(l, n, k, slots);
    return true;
}

/* Dims of 1 in front, so that both operands have one rank. */
static struct layout aligned(const struct value *v, int rank)
{
    struct layout y = { .rank = rank };

    for (int i = 0; i < rank; i++)
        y.dims[i] = i < rank - v->rank ? 1 : v->dims[i - (rank - v->rank)];
    return y;
}

void lower_binary(struct lowering *l, const struct node *n)
{
    const struct value *y = lower_value(l, n->outputs[0]);
    int a = n->inputs[0], b = n->inputs[1];
    struct kernel *k = NULL;
    enum binary kind;

    if (y->type != DTYPE_F32 || y->rank < 1 || value_elements(y) == 0 || !binary_of(n, &kind)) {
        lower_reference(l, n);
        return;
    }
    if (lower_binary_blocked(l, n, kind) || lower_binary_channels(l, n, kind))
        return;
    /* oneDNN broadcasts the second operand only. */
    if (!value_same_shape(lower_value(l, a), y) && (kind == BINARY_ADD || kind == BINARY_MUL)) {
        a = n->inputs[1];
        b = n->inputs[0];
    }
    if (value_same_shape(lower_value(l, a), y) && y->rank <= 5) {
        const struct layout la = aligned(lower_value(l, a), y->rank),
                            lb = aligned(lower_value(l, b), y->rank);
        k = kernel_binary(l->plan->engine, kind, &la, &lb);
    }
    if (k && !kernel_is_slow(k)) {
        int slots[3];
        slots[0] = lower_plain(l, a);
        slots[1] = lower_plain(l, b);
        slots[2] = lower_plain_output(l, n->outputs[0]);
        lower_kernel(l, n, k, slots);
        return;
    }
    kernel_free(k);
    lower_reference(l, n);
}

void lower_softmax(struct lowering *l, const struct node *n)
{
    const struct softmax_shape s = softmax_shape(n, l->graph->opset, lower_value(l, n->inputs[0]));
    struct kernel *k = kernel_softmax(l->plan->engine, s.outer, s.n, s.inner);
    int slots[2];

    if (!k || kernel_is_slow(k)) {
        kernel_free(k);
        lower_reference(l, n);
        return;
    }
    slots[0] = lower_plain(l, n->inputs[0]);
    slots[1] = lower_plain_output(l, n->outputs[0]);
    lower_kernel(l, n, k, slots);
}

void lower_matmul(struct lowering *l, const struct node *n)
{
    const struct value *va = lower_value(l, n->inputs[0]), *vb = lower_value(l, n->inputs[1]);
    const struct value *vy = lower_value(l, n->outputs[0]);
    struct kernel *k = NULL;
    int slots[3];

    if (lower_matmul_weights(l, n))
        return;
    if (va->rank >= 2 && vb->rank >= 2 && vy->rank <= 5 && value_elements(va) && value_elements(vb)) {
        const struct layout a = aligned(va, vy->rank), b = aligned(vb, vy->rank),
                            y = aligned(vy, vy->rank);
        k = kernel_matmul(l->plan->engine, &a, &b, &y);
    }
    if (!k || kernel_is_slow(k)) {
        kernel_free(k);
        lower_reference(l, n);
        return;
    }
    slots[0] = lower_plain(l, n->inputs[0]);
    slots[1] = lower_plain(l, n->inputs[1]);
    slots[2] = lower_plain_output(l, n->outputs[0]);
    lower_kernel(l, n, k, slots);
}

void lower_view_of_input(struct lowering *l, const struct node *n)
{
    const int base = lower_plain(l, n->inputs[0]);

    lower_plain_view(l, n->outputs[0], base, 0);
}
