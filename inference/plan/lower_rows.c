/*
 * ReduceMax over the last dimension, as end-to-end heads have it: the reference is too general to be
 * fast.
 */
#include "inference/plan/lower.h"

static float larger(float a, float b)
{
    return b > a ? b : a;
}

/* As the reference: NaN never wins but where it comes first. */
static void largest_of_rows(const struct call *c)
{
    const struct value *x = c->in[0];
    const size_t n = (size_t)x->dims[x->rank - 1], rows = value_span(x, 0, x->rank - 1);
    const float *from = value_f32(x);

    for (size_t r = 0; r < rows; r++, from += n) {
        float most[4] = { from[0], from[0], from[0], from[0] };
        size_t i = 0;
        for (; i + 4 <= n; i += 4)
            for (size_t k = 0; k < 4; k++)
                most[k] = larger(most[k], from[i + k]);
        for (; i < n; i++)
            most[0] = larger(most[0], from[i]);
        value_f32(c->out[0])[r] = larger(larger(most[0], most[1]), larger(most[2], most[3]));
    }
}

void lower_reduce_max(struct lowering *l, const struct node *n)
{
    const struct value *in[2], *x = lower_value(l, n->inputs[0]);
    struct value *out[1];
    const struct call call = lower_call(l, n, in, out);
    struct int_list axes;
    int from = GRAPH_NONE, to;

    if (call_list(&call, "axes", 1, &axes, NULL) == ST_OK && axes.n == 1 && x->type == DTYPE_F32 &&
        value_elements(x) > 0 && (axes.v[0] == -1 || axes.v[0] == x->rank - 1))
        from = lower_plain(l, n->inputs[0]);
    if (from == GRAPH_NONE) {
        lower_reference(l, n);
        return;
    }
    to = lower_plain_output(l, n->outputs[0]);
    lower_native(l, n, largest_of_rows, 1, 1, (const int[]){ from, to });
}
