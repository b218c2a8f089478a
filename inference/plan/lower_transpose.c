/*
 * Transpose on row-major values. Dimensions that stay neighbours count as one: what is left is mostly a
 * copy of long runs (shuffled channels) or a matrix to be turned (heads, attention), which goes by
 * squares of 4. The rest runs by the reference.
 */
#include <string.h>
#include "inference/kernels/simd.h"
#include "inference/plan/lower.h"

/* The output's dimensions, and where they lie in the input, in elements. */
struct order {
    int rank;
    int64_t dims[LIMIT_TENSOR_RANK], from[LIMIT_TENSOR_RANK], to[LIMIT_TENSOR_RANK];
};

static struct order read_order(const struct call *c)
{
    const struct value *x = c->in[0], *y = c->out[0];
    const struct attribute *perm = node_attribute(c->node, "perm");
    struct order o = { 0 };
    int64_t stride = 1;

    for (int i = 0; i < y->rank; i++) {
        const int named = perm ? (int)perm->ints[i] : y->rank - 1 - i;
        const int axis = named < 0 ? named + x->rank : named;
        const int64_t from = (int64_t)value_span(x, axis + 1, x->rank), n = y->dims[i];
        if (n == 1)
            continue;
        if (o.rank > 0 && o.from[o.rank - 1] == from * n) {
            o.dims[o.rank - 1] *= n;
            o.from[o.rank - 1] = from;
        } else {
            o.dims[o.rank] = n;
            o.from[o.rank++] = from;
        }
    }
    for (int i = o.rank - 1; i >= 0; i--) {
        o.to[i] = stride;
        stride *= o.dims[i];
    }
    return o;
}

/* y [rows][columns], to apart, from x where columns lie `from` apart and rows are neighbours. */
static void turn(const float *x, float *y, size_t rows, size_t columns, size_t from, size_t to)
{
    size_t k = 0;

    for (; k + 4 <= columns; k += 4) {
        size_t i = 0;
        for (; i + 4 <= rows; i += 4) {
            const float *p = x + k * from + i;
            float *q = y + i * to + k;
            const __m128 a = _mm_loadu_ps(p), b = _mm_loadu_ps(p + from), c = _mm_loadu_ps(p + 2 * from),
                         d = _mm_loadu_ps(p + 3 * from);
            const __m128 ab = _mm_unpacklo_ps(a, b), cd = _mm_unpacklo_ps(c, d),
                         ab_high = _mm_unpackhi_ps(a, b), cd_high = _mm_unpackhi_ps(c, d);
            _mm_storeu_ps(q, _mm_movelh_ps(ab, cd));
            _mm_storeu_ps(q + to, _mm_movehl_ps(cd, ab));
            _mm_storeu_ps(q + 2 * to, _mm_movelh_ps(ab_high, cd_high));
            _mm_storeu_ps(q + 3 * to, _mm_movehl_ps(cd_high, ab_high));
        }
        for (; i < rows; i++)
            for (size_t e = k; e < k + 4; e++)
                y[i * to + e] = x[e * from + i];
    }
    for (; k < columns; k++)
        for (size_t i = 0; i < rows; i++)
            y[i * to + k] = x[k * from + i];
}

/* The matrices of the last dimension and dimension `rows`, which has neighbours of the input. */
static void turn_all(const struct call *c, struct order *o, int rows)
{
    const int last = o->rank - 1;
    const size_t n = (size_t)o->dims[rows], columns = (size_t)o->dims[last];
    const size_t from = (size_t)o->from[last], to = (size_t)o->to[rows];
    struct walk w = { .rank = last, .noffsets = 2, .dims = o->dims, .strides = { o->from, o->to } };

    o->dims[rows] = 1;
    do
        turn(value_f32(c->in[0]) + w.offset[0], value_f32(c->out[0]) + w.offset[1], n, columns, from,
             to);
    while (walk_step(&w));
}

static void copy_runs(const struct call *c, const struct order *o)
{
    const size_t size = dtype_size(c->in[0]->type);
    const size_t run = (o->rank ? (size_t)o->dims[o->rank - 1] : 1) * size;
    struct walk w = {
        .rank = o->rank ? o->rank - 1 : 0, .noffsets = 2, .dims = o->dims, .strides = { o->from, o->to }
    };

    do
        memcpy((char *)c->out[0]->data + (size_t)w.offset[1] * size,
               (const char *)c->in[0]->data + (size_t)w.offset[0] * size, run);
    while (walk_step(&w));
}

static void run(const struct call *c)
{
    struct order o;
    int rows = 0;

    if (value_elements(c->out[0]) == 0)
        return;
    o = read_order(c);
    if (o.rank == 0 || o.from[o.rank - 1] == 1) {
        copy_runs(c, &o);
        return;
    }
    while (rows < o.rank && o.from[rows] != 1)
        rows++;
    if (rows < o.rank && c->in[0]->type == DTYPE_F32)
        turn_all(c, &o, rows);
    else
        c->node->op->reference(c);
}

void lower_transpose(struct lowering *l, const struct node *n)
{
    int slots[2];

    slots[0] = lower_plain(l, n->inputs[0]);
    slots[1] = lower_plain_output(l, n->outputs[0]);
    lower_native(l, n, run, 1, 1, slots);
}
