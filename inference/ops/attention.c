/*
 * Attention: cells of a feature map look at each other, as YOLOv10 to 26 have it. Internal: a pass makes
 * it of the nodes that spell it out (graph/attention.c).
 *
 * Input [N, heads (2 key + value), H, W]: of every head its queries, keys and values, each a run of
 * channels. The H W cells, row by row, are cut into `area` stripes of equally many. Output 0
 * [N, heads value, H, W]: for each cell and head, the mean of the values of its stripe, weighted by the
 * softmax of scale * (query . key). Output 1, of the same shape: the values themselves.
 * Source: Wang et al., "YOLOv10", NeurIPS 2024, section 3.2; areas: Tian et al., "YOLOv12", 2025.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inference/ops/op.h"
#include "inference/plan/lower.h"

static enum status infer(const struct call *c, struct fault *f)
{
    const struct value *x = c->in[0];
    const int64_t heads = node_int(c->node, "heads", 0), value = node_int(c->node, "value", 0);
    const int64_t area = node_int(c->node, "area", 1);
    int64_t keys;

    if (x->type != DTYPE_F32 || x->rank != 4 || heads < 1 || value < 1 || heads > x->dims[1] ||
        value > x->dims[1] / heads || x->dims[1] % heads)
        return op_refuse(c, f, "%lld heads do not fit the input", (long long)heads);
    keys = x->dims[1] / heads - value;
    if (keys < 2 || keys % 2 || area < 1 || x->dims[2] * x->dims[3] % area)
        return op_refuse(c, f, "%lld stripes or %lld channels of queries and keys do not fit the input",
                         (long long)area, (long long)keys);
    for (int i = 0; i < c->nout; i++)
        if (c->out[i])
            call_set_shape(c, i, DTYPE_F32, 4,
                           (int64_t[]){ x->dims[0], heads * value, x->dims[2], x->dims[3] });
    return ST_OK;
}

/* One head in one stripe: channels are `plane` apart. weights: room for `cells` numbers. */
static void attend(const float *q, size_t key, size_t value, size_t plane, size_t cells, float scale,
                   float *weights, float *y)
{
    const float *k = q + key * plane, *v = k + key * plane;

    for (size_t i = 0; i < cells; i++) {
        float most = -INFINITY, sum = 0;
        for (size_t j = 0; j < cells; j++) {
            float product = 0;
            for (size_t c = 0; c < key; c++)
                product += q[c * plane + i] * k[c * plane + j];
            weights[j] = scale * product;
            most = fmaxf(most, weights[j]);
        }
        for (size_t j = 0; j < cells; j++)
            sum += weights[j] = expf(weights[j] - most);
        for (size_t c = 0; c < value; c++) {
            float mean = 0;
            for (size_t j = 0; j < cells; j++)
                mean += weights[j] * v[c * plane + j];
            y[c * plane + i] = mean / sum;
        }
    }
}

/* Without memory the means are zeros. */
static void reference(const struct call *c)
{
    const struct value *x = c->in[0];
    const size_t heads = (size_t)node_int(c->node, "heads", 1),
                 value = (size_t)node_int(c->node, "value", 1),
                 area = (size_t)node_int(c->node, "area", 1);
    const size_t plane = value_span(x, 2, 4), each = (size_t)x->dims[1] / heads,
                 key = (each - value) / 2, cells = plane / area;
    float *weights = malloc((cells + 1) * sizeof *weights);

    if (call_out(c, 0) && !weights)
        memset(c->out[0]->data, 0, value_bytes(c->out[0]));
    for (size_t h = 0; h < (size_t)x->dims[0] * heads; h++) {
        const float *q = value_f32(x) + h * each * plane;
        for (size_t s = 0; s < area && call_out(c, 0) && weights; s++)
            attend(q + s * cells, key, value, plane, cells, node_float(c->node, "scale", 1), weights,
                   value_f32(c->out[0]) + h * value * plane + s * cells);
        if (call_out(c, 1))
            memcpy(value_f32(c->out[1]) + h * value * plane, q + 2 * key * plane,
                   value * plane * sizeof(float));
    }
    free(weights);
}

const struct op ops_attention[] = {
    { .name = "Attention",
      .min_in = 1,
      .max_in = 1,
      .min_out = 1,
      .max_out = 2,
      .attributes = "i:heads i:value i:area f:scale",
      .infer = infer,
      .reference = reference,
      .lower = lower_attention,
      .heavy = true,
      .internal = true },
    { 0 },
};
