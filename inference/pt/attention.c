/*
 * Attention among the cells of a feature map (YOLOv10 to 26) as matrix products. See modules.h.
 *
 * A map [1, heads * (2 key + value), H, W] of queries, keys and values, interleaved by head, is cut into
 * `area` stripes of equally many cells in row-major order; cells attend to those of their stripe.
 */
#include <math.h>
#include "inference/pt/modules.h"

static int transpose(struct build *b, int x, const int64_t perm[4])
{
    const struct attribute a = attribute_ints(b, "perm", perm, 4);

    return build_node(b, "Transpose", &x, 1, &a, 1);
}

struct heads {
    int64_t n, key, value, area;
    double scale;
};

/* [heads, value, area, cells] of stripes (or [area, heads, value, cells], and only one) as the map x. */
static int join(struct build *b, const struct heads *h, int y, int x)
{
    static const int64_t perm[] = { 1, 2, 0, 3 };

    return build_reshape_like(b, h->area > 1 ? transpose(b, y, perm) : y, x);
}

/* What attention makes of the map qkv, and the values themselves, both shaped like x. */
static void attend(struct build *b, const struct heads *h, int qkv, int x, int *ret_out, int *ret_values)
{
    static const int64_t stripes[] = { 2, 0, 1, 3 }, swap[] = { 0, 1, 3, 2 };
    const int64_t each = 2 * h->key + h->value, sizes[] = { h->key, h->key, h->value };
    const int64_t whole[] = { 1, h->n, each, -1 }, cut[] = { h->n, each, h->area, -1 };
    const struct attribute axis[] = { attribute_int("axis", 2) }, last = attribute_int("axis", -1);
    int y = build_reshape(b, qkv, h->area > 1 ? cut : whole, 4), weights;
    struct feature part;

    if (h->area > 1)
        y = transpose(b, y, stripes);
    part = build_node_many(b, "Split", (int[]){ y, build_constant_ints(b, sizes, 3) }, 2, axis, 1, 3);
    if (part.n != 3) {
        *ret_out = *ret_values = GRAPH_NONE;
        return;
    }
    weights = build_binary(b, "MatMul", transpose(b, part.at[0], swap), part.at[1]);
    weights = build_binary(b, "Mul", weights, build_constant_float(b, (float)h->scale));
    weights = build_node(b, "Softmax", &weights, 1, &last, 1);
    *ret_out = join(b, h, build_binary(b, "MatMul", part.at[2], transpose(b, weights, swap)), x);
    *ret_values = join(b, h, part.at[2], x);
}

/* proj(o + pe(v)) */
static int project(struct build *b, const struct pt_value *m, const struct heads *h, int x)
{
    int out = GRAPH_NONE, values = GRAPH_NONE;

    if (b->st != ST_OK)
        return GRAPH_NONE;
    attend(b, h, build_part(b, m, "qkv", x), x, &out, &values);
    return build_part(b, m, "proj", build_binary(b, "Add", out, build_part(b, m, "pe", values)));
}

int block_attention(struct build *b, const struct pt_value *m, int x)
{
    const struct heads h = { .n = build_int(b, m, "num_heads", 1, 1024),
                             .key = build_int(b, m, "key_dim", 1, 4096),
                             .value = build_int(b, m, "head_dim", 1, 4096),
                             .area = 1,
                             .scale = build_real(m, "scale", 0) };

    if (!(h.scale > 0))
        return build_fail(b, ST_UNSUPPORTED, m, "its attribute scale is missing");
    return project(b, m, &h, x);
}

int block_area_attention(struct build *b, const struct pt_value *m, int x)
{
    const int64_t dim = build_int(b, m, "head_dim", 1, 4096);
    const struct heads h = { .n = build_int(b, m, "num_heads", 1, 1024),
                             .key = dim,
                             .value = dim,
                             .area = build_int(b, m, "area", 1, 1024),
                             .scale = 1 / sqrt((double)dim) };

    return project(b, m, &h, x);
}

static int add_part(struct build *b, const struct pt_value *m, const char *name, bool add, int x)
{
    const int y = build_part(b, m, name, x);

    return add ? build_binary(b, "Add", x, y) : y;
}

/* ABlock: attn and mlp, each added to what it reads. */
int block_area(struct build *b, const struct pt_value *m, int x)
{
    return add_part(b, m, "mlp", true, add_part(b, m, "attn", true, x));
}

int block_psa_block(struct build *b, const struct pt_value *m, int x)
{
    const bool add = build_flag(m, "add");

    return add_part(b, m, "ffn", add, add_part(b, m, "attn", add, x));
}

/* The second half of cv1 goes through attention, the first around it. */
static int rejoin(struct build *b, const struct pt_value *m, int first, int second)
{
    return build_part(b, m, "cv2", build_concat(b, &(struct feature){ 2, { first, second } }, 1));
}

int block_psa(struct build *b, const struct pt_value *m, int x)
{
    const struct feature half = build_halves(b, build_part(b, m, "cv1", x));

    return rejoin(b, m, half.at[0],
                  add_part(b, m, "ffn", true, add_part(b, m, "attn", true, half.at[1])));
}

int block_c2psa(struct build *b, const struct pt_value *m, int x)
{
    const struct feature half = build_halves(b, build_part(b, m, "cv1", x));

    return rejoin(b, m, half.at[0], build_part(b, m, "m", half.at[1]));
}

/* cv2 of cv1 and what each item makes of the last one; with gamma, a weight a channel, added to x. */
int block_a2c2f(struct build *b, const struct pt_value *m, int x)
{
    const struct pt_value *items = pt_part(m, "m"), *gamma = pt_part(m, "gamma");
    const size_t n = build_children(items);
    struct feature y = { 0 };
    struct value scale;
    int out;

    feature_add(b, &y, build_part(b, m, "cv1", x));
    for (size_t i = 0; i < n && b->st == ST_OK; i++)
        feature_add(b, &y, build_run(b, build_child(items, i), y.at[y.n - 1]));
    out = build_part(b, m, "cv2", build_concat(b, &y, 1));
    if (!gamma || gamma->kind != PT_TENSOR || !weights_read(b, m, "gamma", 1, &scale))
        return out;
    scale.rank = 4;
    scale.dims[1] = scale.dims[0];
    scale.dims[0] = scale.dims[2] = scale.dims[3] = 1;
    return build_binary(b, "Add", x, build_binary(b, "Mul", out, build_constant(b, "gamma", &scale)));
}
