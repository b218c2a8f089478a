/*
 * Attention among the cells of a map: as exporters spell it, and what is nearly that and must stay as it
 * is.
 */
#include "inference/kernels/attention.h"
#include "tests/models/pass_case.h"

struct spelling {
    int64_t heads, key, value, h, w, area;
    bool scaled_first; /* queries are scaled, not products */
    bool turned;       /* weights times values, instead of values times turned weights */
    const char *order; /* of what the map is cut into: "q k v" */
    int64_t axis;      /* of the softmax */
};

static void transpose(struct buffer *g, const char *from, const char *to, int64_t a, int64_t b,
                      int64_t c, int64_t d)
{
    struct buffer at = { 0 };

    onnx_ints_attribute(&at, "perm", 4, (const int64_t[]){ a, b, c, d });
    onnx_node(g, "Transpose", from, to, &at);
}

static void reshape(struct buffer *g, const char *from, const char *to, size_t n, const int64_t dims[])
{
    char shape[32], inputs[64];

    snprintf(shape, sizeof shape, "to_%s", to);
    snprintf(inputs, sizeof inputs, "%s %s", from, shape);
    onnx_ints(g, shape, n, dims);
    onnx_node(g, "Reshape", inputs, to, NULL);
}

/* "q", "k" and "v", in any order, of t along axis 2. */
static void cut(struct buffer *g, const struct spelling *s, const char *t)
{
    struct buffer at = { 0 };
    char inputs[32];
    int64_t sizes[3];

    for (int i = 0; i < 3; i++)
        sizes[i] = s->order[2 * i] == 'v' ? s->value : s->key;
    onnx_ints(g, "sizes", 3, sizes);
    snprintf(inputs, sizeof inputs, "%s sizes", t);
    onnx_int_attribute(&at, "axis", 2);
    onnx_node(g, "Split", inputs, s->order, &at);
}

/* Products of q, k and v [.., channels, cells] to o, of v's shape. */
static void attend(struct buffer *g, const struct spelling *s)
{
    struct buffer at = { 0 };

    onnx_floats(g, "scale", 0, NULL, (const float[]){ 0.3f });
    if (s->scaled_first)
        onnx_node(g, "Mul", "q scale", "qs", NULL);
    transpose(g, s->scaled_first ? "qs" : "q", "qt", 0, 1, 3, 2);
    onnx_node(g, "MatMul", "qt k", "products", NULL);
    if (!s->scaled_first)
        onnx_node(g, "Mul", "scale products", "scaled", NULL);
    onnx_int_attribute(&at, "axis", s->axis);
    onnx_node(g, "Softmax", s->scaled_first ? "products" : "scaled", "weights", &at);
    if (s->turned) {
        transpose(g, "v", "vt", 0, 1, 3, 2);
        onnx_node(g, "MatMul", "weights vt", "ot", NULL);
        transpose(g, "ot", "o", 0, 1, 3, 2);
    } else {
        transpose(g, "weights", "wt", 0, 1, 3, 2);
        onnx_node(g, "MatMul", "v wt", "o", NULL);
    }
}

/* A convolution of the attended map, with one of the values added. */
static struct buffer map_graph(const struct spelling *s, uint64_t *state)
{
    const int64_t channels = s->heads * (2 * s->key + s->value), c = s->heads * s->value;
    struct buffer g = picture_graph(3, s->h, s->w);

    random_constant(&g, "w", 4, (const int64_t[]){ channels, 3, 1, 1 }, state, 1.5f);
    onnx_node(&g, "Conv", "x w", "map", NULL);
    random_constant(&g, "w_pe", 4, (const int64_t[]){ c, 1, 3, 3 }, state, 0.3f);
    random_constant(&g, "w_y", 4, (const int64_t[]){ 16, c, 1, 1 }, state, 0.3f);
    return g;
}

static void finish(struct buffer *g, const struct spelling *s, const char *out, const char *values)
{
    struct buffer at = { 0 };
    char inputs[64];

    onnx_ints_attribute(&at, "pads", 4, (const int64_t[]){ 1, 1, 1, 1 });
    onnx_int_attribute(&at, "group", s->heads * s->value);
    snprintf(inputs, sizeof inputs, "%s w_pe", values);
    onnx_node(g, "Conv", inputs, "pe", &at);
    snprintf(inputs, sizeof inputs, "pe %s", out);
    onnx_node(g, "Add", inputs, "sum", NULL);
    onnx_node(g, "Conv", "sum w_y", "y", NULL);
}

/* As YOLOv10, 11 and 26 have it; with areas, as our reader of checkpoints writes it. */
static struct buffer by_channels(const struct spelling *s, uint64_t *state)
{
    const int64_t each = 2 * s->key + s->value, cells = s->h * s->w / s->area;
    const int64_t map[] = { 1, s->heads * s->value, s->h, s->w };
    struct buffer g = map_graph(s, state);

    if (s->area > 1) {
        reshape(&g, "map", "cut", 4, (const int64_t[]){ s->heads, each, s->area, cells });
        transpose(&g, "cut", "stripes", 2, 0, 1, 3);
    } else {
        reshape(&g, "map", "stripes", 4, (const int64_t[]){ 1, s->heads, each, cells });
    }
    cut(&g, s, "stripes");
    attend(&g, s);
    if (s->area > 1) {
        transpose(&g, "o", "joined", 1, 2, 0, 3);
        transpose(&g, "v", "v_joined", 1, 2, 0, 3);
    }
    reshape(&g, s->area > 1 ? "joined" : "o", "out", 4, map);
    reshape(&g, s->area > 1 ? "v_joined" : "v", "values", 4, map);
    finish(&g, s, "out", "values");
    return g;
}

/* As YOLO12's own export has it: cells first, then [stripes, cells, heads, channels]. */
static struct buffer by_cells(const struct spelling *s, uint64_t *state)
{
    const int64_t each = 2 * s->key + s->value, cells = s->h * s->w / s->area;
    const char *const parts[] = { "o", "v" }, *const maps[] = { "out", "values" };
    struct buffer g = map_graph(s, state), at = { 0 };

    onnx_int_attribute(&at, "axis", 2);
    reshape(&g, "map", "flat", 3, (const int64_t[]){ 1, s->heads * each, s->h * s->w });
    reshape(&g, "flat", "flat4", 4, (const int64_t[]){ 1, 1, s->heads * each, s->h * s->w });
    transpose(&g, "flat4", "cells", 0, 1, 3, 2);
    reshape(&g, "cells", "stripes", 4, (const int64_t[]){ s->area, cells, s->heads, each });
    transpose(&g, "stripes", "turned", 0, 2, 3, 1);
    cut(&g, s, "turned");
    attend(&g, s);
    for (int i = 0; i < 2; i++) {
        char last[16], rows[16];
        snprintf(last, sizeof last, "%s_last", parts[i]);
        snprintf(rows, sizeof rows, "%s_rows", parts[i]);
        transpose(&g, parts[i], last, 0, 3, 1, 2);
        reshape(&g, last, rows, 4, (const int64_t[]){ 1, s->h, s->w, s->heads * s->value });
        transpose(&g, rows, maps[i], 0, 3, 1, 2);
    }
    buffer_free(&at);
    finish(&g, s, "out", "values");
    return g;
}

static int made(int64_t key, int64_t value)
{
    return attention_suits((size_t)key, (size_t)value) ? 1 : 0;
}

TEST(attention_of_yolo_is_one_step_however_it_is_spelt)
{
    static const struct spelling cases[] = {
        { 2, 32, 64, 5, 4, 1, true, false, "q k v", -1 },
        { 2, 16, 32, 9, 7, 1, false, false, "q k v", -1 },
        { 1, 16, 16, 1, 1, 1, false, true, "q k v", 3 },
        { 3, 32, 16, 8, 6, 1, true, true, "q k v", -1 },
        { 2, 16, 16, 8, 8, 4, true, false, "q k v", -1 },
        { 1, 32, 80, 6, 4, 4, false, false, "q k v", 3 },
        { 1, 16, 96, 3, 1, 1, true, false, "q k v", -1 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = by_channels(&cases[i], &s);
        check_pass(&g, 13, i + 1, "Attention", made(cases[i].key, cases[i].value), 1e-4);
        g = by_cells(&cases[i], &s);
        check_pass(&g, 13, i + 1, "Attention", made(cases[i].key, cases[i].value), 1e-4);
    }
}

TEST(attention_of_heads_that_fill_no_blocks_stays_as_it_is)
{
    const struct spelling s = { 2, 8, 16, 5, 4, 1, true, false, "q k v", -1 };
    uint64_t state = 3;
    struct buffer g = by_channels(&s, &state);

    check_pass(&g, 13, 3, "Attention", 0, 1e-4);
}

TEST(what_is_nearly_attention_stays_as_it_is)
{
    static const struct spelling cases[] = {
        { 2, 16, 16, 6, 4, 1, true, false, "k q v", -1 }, /* keys and queries the other way round */
        { 2, 16, 16, 6, 4, 1, true, false, "q v k", -1 },
        { 2, 16, 16, 6, 4, 1, true, false, "q k v", 2 },
        { 2, 16, 16, 6, 4, 1, false, true, "q k v", 1 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = by_channels(&cases[i], &s);
        check_pass(&g, 13, i + 1, "Attention", 0, 1e-4);
    }
}

/* The stripes of the means joined in another order than they were cut. */
TEST(attention_whose_stripes_are_joined_otherwise_stays_as_it_is)
{
    const struct spelling s = { 2, 16, 16, 4, 4, 2, true, false, "q k v", -1 };
    const int64_t map[] = { 1, 32, 4, 4 };
    uint64_t state = 5;
    struct buffer g = map_graph(&s, &state);

    reshape(&g, "map", "cut", 4, (const int64_t[]){ 2, 48, 2, 8 });
    transpose(&g, "cut", "stripes", 2, 0, 1, 3);
    cut(&g, &s, "stripes");
    attend(&g, &s);
    reshape(&g, "o", "out", 4, map);
    reshape(&g, "v", "values", 4, map);
    finish(&g, &s, "out", "values");
    check_pass(&g, 13, 5, "Attention", 0, 1e-4);
}
