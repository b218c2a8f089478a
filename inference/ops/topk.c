/*
 * TopK: the k largest (or smallest) elements along an axis and their indices, best first; equal elements
 * keep the lower index first. NaN ranks last.
 */
#include <stdlib.h>
#include "inference/ops/topk.h"

static int axis_of(const struct call *c)
{
    const int64_t named = node_int(c->node, "axis", -1);

    return (int)(named < 0 ? named + c->in[0]->rank : named);
}

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    struct value y = *x;
    struct int_list k;
    enum status st;
    int axis;

    if (x->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    if ((st = call_axis(c, node_int(c->node, "axis", -1), x->rank, &axis, f)) != ST_OK ||
        (st = call_list(c, "k", 1, &k, f)) != ST_OK)
        return st;
    if (k.n == -1) /* an attribute in opset 1 */
        k = (struct int_list){ 1, { node_int(c->node, "k", -1) } };
    if (k.n != 1 || k.v[0] < 0 || k.v[0] > x->dims[axis])
        return op_refuse(c, f, "k does not fit dimension %d", axis);
    y.dims[axis] = k.v[0];
    call_set_like(c, 0, &y);
    call_set_shape(c, 1, DTYPE_I64, y.rank, y.dims);
    return ST_OK;
}

/* a before b? `sign` is 1 for largest first, -1 for smallest. */
static bool before(float a, size_t ia, float b, size_t ib, float sign)
{
    if (a != a || b != b)
        return a == a ? true : b == b ? false : ia < ib;
    return a != b ? sign * a > sign * b : ia < ib;
}

/* Restores the heap below `at`: the worst of the kept elements is at the root. */
static void sift(const float *x, size_t inner, int64_t *heap, size_t n, size_t at, float sign)
{
    for (size_t child; (child = 2 * at + 1) < n; at = child) {
        const int64_t moved = heap[at];
        if (child + 1 < n && before(x[(size_t)heap[child] * inner], (size_t)heap[child],
                                    x[(size_t)heap[child + 1] * inner], (size_t)heap[child + 1], sign))
            child++;
        if (before(x[(size_t)heap[child] * inner], (size_t)heap[child], x[(size_t)moved * inner],
                   (size_t)moved, sign))
            return;
        heap[at] = heap[child];
        heap[child] = moved;
    }
}

void topk_select(const float *x, size_t inner, size_t n, int64_t *heap, size_t k, float sign)
{
    for (size_t i = 0; i < k; i++)
        heap[i] = (int64_t)i;
    for (size_t i = k / 2; i-- > 0;)
        sift(x, inner, heap, k, i, sign);
    for (size_t i = k; k && i < n; i++)
        if (before(x[i * inner], i, x[(size_t)heap[0] * inner], (size_t)heap[0], sign)) {
            heap[0] = (int64_t)i;
            sift(x, inner, heap, k, 0, sign);
        }
    for (size_t left = k; left > 1; left--) {
        const int64_t worst = heap[0];
        heap[0] = heap[left - 1];
        heap[left - 1] = worst;
        sift(x, inner, heap, left - 1, 0, sign);
    }
}

static void reference(const struct call *c)
{
    const struct value *x = c->in[0], *values = call_out(c, 0), *indices = call_out(c, 1);
    const int axis = axis_of(c);
    const float sign = node_int(c->node, "largest", 1) ? 1.0f : -1.0f;
    const size_t outer = value_span(x, 0, axis), inner = value_span(x, axis + 1, x->rank);
    const size_t n = (size_t)x->dims[axis], k = (size_t)(values ? values : indices)->dims[axis];
    int64_t *heap = calloc(k + 1, sizeof *heap);

    for (size_t o = 0; heap && o < outer; o++)
        for (size_t j = 0; j < inner; j++) {
            const float *from = value_f32(x) + o * n * inner + j;
            topk_select(from, inner, n, heap, k, sign);
            for (size_t i = 0; i < k; i++) {
                if (values)
                    value_f32(values)[(o * k + i) * inner + j] = from[(size_t)heap[i] * inner];
                if (indices)
                    value_i64(indices)[(o * k + i) * inner + j] = heap[i];
            }
        }
    free(heap);
}

const struct op ops_topk[] = {
    { .name = "TopK",
      .since = 1,
      .min_in = 1,
      .max_in = 2,
      .min_out = 1,
      .max_out = 2,
      .attributes = "i:axis i:k i:largest i:sorted",
      .infer = infer,
      .reference = reference },
    { 0 },
};
