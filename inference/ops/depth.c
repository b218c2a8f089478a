/*
 * DepthToSpace and SpaceToDepth: squares of pixels to channels and back (ONNX, opsets 1 to 22).
 */
#include <string.h>
#include "inference/ops/op.h"

enum { BLOCK_MAX = 1 << 12 };

static enum status infer(const struct call *c, bool to_space, struct fault *f)
{
    const struct value *x = c->in[0];
    const int64_t b = node_int(c->node, "blocksize", 0);
    struct value y = *x;

    if (x->type != DTYPE_F32 || x->rank != 4 || b < 1 || b > BLOCK_MAX)
        return op_refuse(c, f, "the input must be float32 of rank 4, blocksize 1 or more");
    if (to_space ? x->dims[1] % (b * b) != 0 : x->dims[2] % b || x->dims[3] % b)
        return op_refuse(c, f, "blocksize %lld does not divide the input", (long long)b);
    y.dims[1] = to_space ? x->dims[1] / (b * b) : 0;
    if (!to_space && __builtin_mul_overflow(x->dims[1], b * b, &y.dims[1]))
        return op_refuse(c, f, "blocksize %lld is out of range", (long long)b);
    for (int i = 2; i < 4; i++)
        if (!to_space)
            y.dims[i] = x->dims[i] / b;
        else if (__builtin_mul_overflow(x->dims[i], b, &y.dims[i]))
            return op_refuse(c, f, "blocksize %lld is out of range", (long long)b);
    call_set_like(c, 0, &y);
    return ST_OK;
}

static enum status infer_to_space(const struct call *c, struct fault *f)
{
    return infer(c, true, f);
}

static enum status infer_to_depth(const struct call *c, struct fault *f)
{
    return infer(c, false, f);
}

/* Walks the deep tensor [N, C, H, W]; each element's place in the wide one [N, C/bb, H*b, W*b]. CRD: the
 * channel is c * b * b + row * b + column, else (row * b + column) * C/bb + c. */
static void run(const struct call *c, bool to_space)
{
    const struct value *deep = to_space ? c->in[0] : c->out[0], *wide = to_space ? c->out[0] : c->in[0];
    const int64_t b = node_int(c->node, "blocksize", 1), planes = wide->dims[1];
    const bool crd = to_space && strcmp(node_string(c->node, "mode", "DCR"), "CRD") == 0;
    struct walk w = { .rank = 4, .dims = deep->dims };
    size_t i = 0;

    if (value_elements(deep) == 0)
        return;
    do {
        const int64_t channel = w.index[1];
        const int64_t plane = crd ? channel / (b * b) : channel % planes;
        const int64_t cell = crd ? channel % (b * b) : channel / planes;
        const int64_t y = w.index[2] * b + cell / b, x = w.index[3] * b + cell % b;
        const size_t at =
            (size_t)(((w.index[0] * planes + plane) * wide->dims[2] + y) * wide->dims[3] + x);
        if (to_space)
            value_f32(wide)[at] = value_f32(deep)[i++];
        else
            value_f32(deep)[i++] = value_f32(wide)[at];
    } while (walk_step(&w));
}

static void run_to_space(const struct call *c)
{
    run(c, true);
}

static void run_to_depth(const struct call *c)
{
    run(c, false);
}

const struct op ops_depth[] = {
    { .name = "DepthToSpace",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:blocksize s:mode",
      .infer = infer_to_space,
      .reference = run_to_space },
    { .name = "SpaceToDepth",
      .since = 1,
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 1,
      .attributes = "i:blocksize",
      .infer = infer_to_depth,
      .reference = run_to_depth },
    { 0 },
};
