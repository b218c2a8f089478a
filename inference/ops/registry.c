/*
 * All operators. A new family is a line here.
 */
#include <string.h>
#include "inference/ops/op.h"

static const struct op *const families[] = {
    ops_affine,       ops_along,          ops_attention, ops_binary,    ops_cast,   ops_concat,
    ops_conv,         ops_conv_transpose, ops_depth,     ops_einsum,    ops_gather, ops_gemm,
    ops_grid_sample,  ops_integer,        ops_norm,      ops_pad,       ops_pool,   ops_quantize,
    ops_reduce,       ops_resize,         ops_scatter,   ops_shape,     ops_slice,  ops_softmax,
    ops_split,        ops_suppress,       ops_topk,      ops_transpose, ops_unary,  ops_where,
    ops_yolo_anchors, ops_yolo_decode,    ops_yolo_rows,
};

const struct op *op_at(int i)
{
    for (size_t k = 0; k < sizeof families / sizeof families[0]; k++)
        for (const struct op *op = families[k]; op->name; op++)
            if (i-- == 0)
                return op;
    return NULL;
}

/* The newest row of this name that the opset has reached. */
static const struct op *find(const char *name, int opset, bool internal)
{
    const struct op *best = NULL;

    for (size_t k = 0; k < sizeof families / sizeof families[0]; k++)
        for (const struct op *op = families[k]; op->name; op++)
            if (op->internal == internal && op->since <= opset && strcmp(op->name, name) == 0 &&
                (!best || op->since > best->since))
                best = op;
    return best;
}

const struct op *op_find(const char *name, int opset)
{
    return find(name, opset, false);
}

const struct op *op_internal(const char *name)
{
    return find(name, 0, true);
}

bool op_known(const char *name)
{
    return find(name, 1 << 20, false) != NULL;
}
