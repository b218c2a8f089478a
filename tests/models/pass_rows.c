/*
 * The ranking of an end-to-end head, as YOLO26 exports have it, behind a decoder of one level; and
 * rankings that differ in one thing and must stay as they are.
 */
#include "tests/models/pass_case.h"

enum { HEIGHT = 6, WIDTH = 5, CELLS = HEIGHT * WIDTH, STRIDE = 8, CLASSES = 21, ROWS = 7 };

static void node_with(struct buffer *g, const char *type, const char *inputs, const char *outputs,
                      const char *attribute, int64_t x)
{
    struct buffer at = { 0 };

    onnx_int_attribute(&at, attribute, x);
    onnx_node(g, type, inputs, outputs, &at);
}

static void map(struct buffer *g, const char *weights, const char *to, int64_t channels, uint64_t *s)
{
    struct buffer at = { 0 };
    char inputs[32];

    snprintf(inputs, sizeof inputs, "x %s", weights);
    random_constant(g, weights, 4, (const int64_t[]){ channels, 3, STRIDE, STRIDE }, s, 0.3f);
    onnx_ints_attribute(&at, "strides", 2, (const int64_t[]){ STRIDE, STRIDE });
    onnx_node(g, "Conv", inputs, to, &at);
}

/* "rows" [1, 4 + CLASSES, CELLS]: corners and scores. */
static struct buffer decoded_graph(uint64_t *s)
{
    struct buffer g = picture_graph(3, HEIGHT * STRIDE, WIDTH * STRIDE);
    float anchors[2 * CELLS];

    for (int i = 0; i < CELLS; i++) {
        anchors[i] = (float)(i % WIDTH) + 0.5f;
        anchors[CELLS + i] = (float)(i / WIDTH) + 0.5f;
    }
    map(&g, "wb", "boxes", 4, s);
    map(&g, "ws", "scores", CLASSES, s);
    onnx_ints(&g, "flat_boxes", 3, (const int64_t[]){ 1, 4, CELLS });
    onnx_ints(&g, "flat_scores", 3, (const int64_t[]){ 1, CLASSES, CELLS });
    onnx_floats(&g, "anchors", 3, (const int64_t[]){ 1, 2, CELLS }, anchors);
    onnx_floats(&g, "stride", 0, NULL, (const float[]){ STRIDE });
    onnx_ints(&g, "halves", 2, (const int64_t[]){ 2, 2 });
    onnx_node(&g, "Reshape", "boxes flat_boxes", "sides", NULL);
    onnx_node(&g, "Reshape", "scores flat_scores", "logits", NULL);
    node_with(&g, "Split", "sides halves", "before after", "axis", 1);
    onnx_node(&g, "Sub", "anchors before", "low", NULL);
    onnx_node(&g, "Add", "anchors after", "high", NULL);
    node_with(&g, "Concat", "low high", "corners", "axis", 1);
    onnx_node(&g, "Mul", "corners stride", "pixels", NULL);
    onnx_node(&g, "Sigmoid", "logits", "sure", NULL);
    node_with(&g, "Concat", "pixels sure", "rows", "axis", 1);
    return g;
}

/* What the ranking is; all that is usual: 0. */
struct ranking {
    bool by_least;   /* anchors by their least likely class */
    bool smallest;   /* the second choice takes the worst */
    bool class_less; /* classes count from -1 */
};

/* "rows" to y [1, ROWS, 6]. */
static void rank(struct buffer *g, const struct ranking *r)
{
    struct buffer at = { 0 };

    onnx_ints_attribute(&at, "perm", 3, (const int64_t[]){ 0, 2, 1 });
    onnx_node(g, "Transpose", "rows", "turned", &at);
    onnx_ints(g, "parts", 2, (const int64_t[]){ 4, CLASSES });
    onnx_ints(g, "k", 1, (const int64_t[]){ ROWS });
    onnx_ints(g, "last", 1, (const int64_t[]){ 2 });
    onnx_ints(g, "all_classes", 3, (const int64_t[]){ 1, ROWS, CLASSES });
    onnx_ints(g, "all_sides", 3, (const int64_t[]){ 1, ROWS, 4 });
    onnx_ints(g, "classes", 1, (const int64_t[]){ CLASSES });
    onnx_ints(g, "one", 1, (const int64_t[]){ 1 });
    node_with(g, "Split", "turned parts", "box score", "axis", -1);
    at = (struct buffer){ 0 };
    onnx_ints_attribute(&at, "axes", 1, (const int64_t[]){ -1 });
    onnx_int_attribute(&at, "keepdims", 0);
    onnx_node(g, r->by_least ? "ReduceMin" : "ReduceMax", "score", "best", &at);
    onnx_node(g, "TopK", "best k", "- anchor", NULL);
    onnx_node(g, "Unsqueeze", "anchor last", "column", NULL);
    onnx_node(g, "Expand", "column all_classes", "each_class", NULL);
    node_with(g, "GatherElements", "score each_class", "chosen", "axis", 1);
    node_with(g, "Flatten", "chosen", "flat", "axis", 1);
    node_with(g, "TopK", "flat k", "value index", "largest", !r->smallest);
    onnx_node(g, "Div", "index classes", "which", NULL);
    onnx_node(g, "Mod", "index classes", "class0", NULL);
    onnx_node(g, r->class_less ? "Sub" : "Mul", "class0 one", "class", NULL);
    node_with(g, "GatherElements", "anchor which", "cell", "axis", 1);
    onnx_node(g, "Unsqueeze", "cell last", "cell_column", NULL);
    onnx_node(g, "Expand", "cell_column all_sides", "each_side", NULL);
    node_with(g, "GatherElements", "box each_side", "y_box", "axis", 1);
    onnx_node(g, "Unsqueeze", "value last", "y_score", NULL);
    node_with(g, "Cast", "class", "class_float", "to", ONNX_FLOAT);
    onnx_node(g, "Unsqueeze", "class_float last", "y_class", NULL);
    node_with(g, "Concat", "y_box y_score y_class", "y", "axis", 2);
}

TEST(the_ranking_of_an_end_to_end_head_is_one_node)
{
    for (uint64_t seed = 1; seed <= 4; seed++) {
        uint64_t s = seed;
        struct buffer g = decoded_graph(&s);
        rank(&g, &(const struct ranking){ 0 });
        check_pass(&g, 13, seed, "YoloRows", 1, 1e-3);
    }
}

TEST(another_ranking_stays_as_it_is)
{
    static const struct ranking others[] = { { .by_least = true },
                                             { .smallest = true },
                                             { .class_less = true } };

    for (uint64_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        uint64_t s = i + 1;
        struct buffer g = decoded_graph(&s);
        rank(&g, &others[i]);
        check_pass(&g, 13, i + 1, "YoloRows", 0, 1e-3);
    }
}
