/*
 * MatMul (NumPy's rules, batches broadcast) and Gemm (alpha * A' * B' + beta * C). float32.
 */
#include <string.h>
#include "inference/ops/gemm.h"
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

bool matmul_read(const struct value *a, const struct value *b, struct matmul *ret)
{
    struct matmul m = { .a = *a, .b = *b };
    struct value batch_a, batch_b;

    if (a->rank < 1 || b->rank < 1)
        return false;
    if (a->rank == 1) {
        m.a.rank = 2;
        m.a.dims[1] = a->dims[0];
        m.a.dims[0] = 1;
    }
    if (b->rank == 1) {
        m.b.rank = 2;
        m.b.dims[1] = 1;
    }
    m.m = m.a.dims[m.a.rank - 2];
    m.k = m.a.dims[m.a.rank - 1];
    m.n = m.b.dims[m.b.rank - 1];
    batch_a = m.a;
    batch_b = m.b;
    batch_a.rank -= 2;
    batch_b.rank -= 2;
    if (m.k != m.b.dims[m.b.rank - 2] || !shape_broadcast(&batch_a, &batch_b, &m.batch))
        return false;
    *ret = m;
    return true;
}

static enum status infer_matmul(const struct call *c, struct fault *f)
{
    const struct value *a = c->in[0], *b = c->in[1];
    struct matmul m;
    char ta[64], tb[64];
    int rank;

    if (a->type != DTYPE_F32 || b->type != DTYPE_F32)
        return op_unsupported(c, f, "only float32 is supported");
    if (!matmul_read(a, b, &m))
        return op_refuse(c, f, "shapes %s and %s do not multiply", value_shape_text(a, ta, sizeof ta),
                         value_shape_text(b, tb, sizeof tb));
    rank = m.batch.rank;
    if (a->rank > 1)
        m.batch.dims[rank++] = m.m;
    if (b->rank > 1)
        m.batch.dims[rank++] = m.n;
    call_set_shape(c, 0, DTYPE_F32, rank, m.batch.dims);
    return ST_OK;
}

/* y [m, n] = a [m, k] * b [k, n], row-major. */
static void multiply(const float *a, const float *b, float *y, int64_t m, int64_t n, int64_t k)
{
    for (int64_t i = 0; i < m; i++) {
        memset(y + i * n, 0, (size_t)n * sizeof *y);
        for (int64_t l = 0; l < k; l++)
            for (int64_t j = 0; j < n; j++)
                y[i * n + j] += a[i * k + l] * b[l * n + j];
    }
}

static void run_matmul(const struct call *c)
{
    struct matmul m = { 0 };
    const bool fits = matmul_read(c->in[0], c->in[1], &m);
    int64_t sa[LIMIT_TENSOR_RANK], sb[LIMIT_TENSOR_RANK];
    struct walk w = { .noffsets = 2, .strides = { sa, sb } };
    struct value ba = m.a, bb = m.b;
    float *y = value_f32(c->out[0]);

    if (!fits || value_elements(c->out[0]) == 0)
        return;
    ba.rank -= 2;
    bb.rank -= 2;
    w.rank = m.batch.rank;
    w.dims = m.batch.dims;
    broadcast_strides(&ba, &m.batch, sa);
    broadcast_strides(&bb, &m.batch, sb);
    do {
        multiply(value_f32(c->in[0]) + w.offset[0] * m.m * m.k,
                 value_f32(c->in[1]) + w.offset[1] * m.k * m.n, y, m.m, m.n, m.k);
        y += m.m * m.n;
    } while (walk_step(&w));
}

static enum status infer_gemm(const struct call *c, struct fault *f)
{
    const struct value *a = c->in[0], *b = c->in[1], *bias = call_in(c, 2);
    const int ta = node_int(c->node, "transA", 0) != 0, tb = node_int(c->node, "transB", 0) != 0;
    struct value y = { .type = DTYPE_F32, .rank = 2 }, joined = { 0 };

    if (a->type != DTYPE_F32 || b->type != DTYPE_F32 || (bias && bias->type != DTYPE_F32))
        return op_unsupported(c, f, "only float32 is supported");
    if (a->rank != 2 || b->rank != 2 || a->dims[!ta] != b->dims[tb])
        return op_refuse(c, f, "the matrices do not multiply");
    y.dims[0] = a->dims[ta];
    y.dims[1] = b->dims[!tb];
    if (bias && (!shape_broadcast(bias, &y, &joined) || !value_same_shape(&joined, &y)))
        return op_refuse(c, f, "the bias does not broadcast to the product");
    call_set_like(c, 0, &y);
    return ST_OK;
}

/* Eight sums at once: one alone would wait for itself, and classifiers end in such a product. */
static float dot(const float *a, const float *b, int64_t n)
{
    float lanes[8] = { 0 }, sum = 0;
    int64_t i = 0;

    for (; i + 8 <= n; i += 8)
        for (int k = 0; k < 8; k++)
            lanes[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        sum += a[i] * b[i];
    for (int k = 0; k < 8; k++)
        sum += lanes[k];
    return sum;
}

static void run_gemm(const struct call *c)
{
    const struct value *a = c->in[0], *b = c->in[1], *bias = call_in(c, 2), *y = c->out[0];
    const int ta = node_int(c->node, "transA", 0) != 0, tb = node_int(c->node, "transB", 0) != 0;
    const float alpha = node_float(c->node, "alpha", 1), beta = node_float(c->node, "beta", 1);
    const int64_t k = a->dims[!ta], ca = a->dims[1], cb = b->dims[1];
    int64_t strides[LIMIT_TENSOR_RANK] = { 0 };

    if (bias)
        broadcast_strides(bias, y, strides);
    for (int64_t i = 0; i < y->dims[0]; i++)
        for (int64_t j = 0; j < y->dims[1]; j++) {
            float sum = 0;
            if (!ta && tb)
                sum = dot(value_f32(a) + i * ca, value_f32(b) + j * cb, k);
            for (int64_t l = 0; (ta || !tb) && l < k; l++)
                sum += value_f32(a)[ta ? l * ca + i : i * ca + l] *
                       value_f32(b)[tb ? j * cb + l : l * cb + j];
            value_f32(y)[i * y->dims[1] + j] =
                alpha * sum + (bias ? beta * value_f32(bias)[i * strides[0] + j * strides[1]] : 0);
        }
}

const struct op ops_gemm[] = {
    { .name = "MatMul",
      .since = 1,
      .min_in = 2,
      .max_in = 2,
      .min_out = 1,
      .max_out = 1,
      .infer = infer_matmul,
      .reference = run_matmul,
      .lower = lower_matmul,
      .heavy = true },
    { .name = "Gemm",
      .since = 7,
      .min_in = 2,
      .max_in = 3,
      .min_out = 1,
      .max_out = 1,
      .attributes = "f:alpha f:beta i:transA i:transB",
      .infer = infer_gemm,
      .reference = run_gemm,
      .lower = lower_gemm,
      .heavy = true },
    { 0 },
};
