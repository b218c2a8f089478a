/* What the ONNX reader, the verifier and shape inference say to files that are wrong, large or foreign.
 */
#include "tests/unit/test.h"

#include <sys/resource.h>
#include "inference/predictor.h"
#include "inference/model/model.h"
#include "tests/unit/inference_onnx_writer.h"

static const int64_t picture[] = { 1, 3, 8, 8 };

/* Reads, verifies and infers; the detail of the fault goes to `detail`. Takes the file over. */
static enum status load(struct buffer *file, char detail[200])
{
    struct fault f = FAULT_INIT;
    struct model *m = NULL;
    enum status st = onnx_read(file->p, file->n, &m, &f);

    if (st == ST_OK && (st = graph_verify(m->graph, &f)) == ST_OK)
        st = graph_infer(m->graph, &f);
    model_free(m);
    buffer_free(file);
    memcpy(detail, f.detail, sizeof f.detail);
    return st;
}

static enum status load_graph(struct buffer *graph, int opset, char detail[200])
{
    struct buffer m = onnx_model(graph, opset, NULL);

    return load(&m, detail);
}

static struct buffer graph_with_input(void)
{
    struct buffer g = { 0 };

    onnx_input(&g, "x", 4, picture);
    onnx_output(&g, "y");
    return g;
}

#define CHECK_MENTIONS(detail, word)                                                                    \
    do {                                                                                                \
        if (!strstr(detail, word))                                                                      \
            TEST_FAIL_("\"%s\" does not mention \"%s\"", detail, word);                                 \
    } while (0)

TEST(a_small_graph_is_read_and_its_shapes_are_inferred)
{
    struct buffer g = graph_with_input(), m;
    struct fault f = FAULT_INIT;
    struct model *model = NULL;
    char shape[64];

    onnx_node(&g, "Relu", "x", "r", NULL);
    onnx_node(&g, "Flatten", "r", "y", NULL);
    m = onnx_model(&g, 17, (const char *const[]){ "task", "detect", NULL });
    REQUIRE(onnx_read(m.p, m.n, &model, &f) == ST_OK);
    CHECK_I64(model->graph->opset, 17);
    CHECK_STR(model_note(model, "task"), "detect");
    CHECK(model_note(model, "names") == NULL);
    REQUIRE(graph_verify(model->graph, &f) == ST_OK && graph_infer(model->graph, &f) == ST_OK);
    CHECK_STR(value_shape_text(&model->graph->tensors[model->graph->outputs[0]].v, shape, sizeof shape),
              "1x192");
    model_free(model);
    buffer_free(&m);
}

TEST(nodes_in_any_order_are_sorted)
{
    struct buffer g = graph_with_input();
    char detail[200];

    onnx_node(&g, "Sigmoid", "b", "y", NULL);
    onnx_node(&g, "Tanh", "a", "b", NULL);
    onnx_node(&g, "Relu", "x", "a", NULL);
    CHECK_I64(load_graph(&g, 13, detail), ST_OK);
}

TEST(an_unknown_operator_is_named_with_node_and_opset)
{
    struct buffer g = graph_with_input();
    char detail[200];

    onnx_node(&g, "Frobnicate", "x", "y", NULL);
    CHECK_I64(load_graph(&g, 15, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "Frobnicate");
    CHECK_MENTIONS(detail, "\"y\"");
    CHECK_MENTIONS(detail, "opset 15");
}

TEST(an_operator_of_a_later_opset_is_refused)
{
    struct buffer g = graph_with_input();
    char detail[200];

    onnx_node(&g, "HardSwish", "x", "y", NULL);
    CHECK_I64(load_graph(&g, 13, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "opset 13 is too old");
}

TEST(an_internal_operator_cannot_be_named_by_a_file)
{
    struct buffer g = graph_with_input();
    char detail[200];

    onnx_node(&g, "SiLU", "x", "y", NULL);
    CHECK_I64(load_graph(&g, 17, detail), ST_UNSUPPORTED);
}

TEST(a_foreign_domain_is_named)
{
    struct buffer g = graph_with_input(), n = { 0 };
    char detail[200];

    pb_text(&n, 1, "x");
    pb_text(&n, 2, "y");
    pb_text(&n, 4, "FusedConv");
    pb_text(&n, 7, "com.example");
    pb_message(&g, 1, &n);
    CHECK_I64(load_graph(&g, 17, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "com.example");
}

TEST(unprintable_names_do_not_reach_messages)
{
    struct buffer g = graph_with_input();
    char detail[200];

    onnx_node(&g, "Evil\xff\n\"", "x", "y", NULL);
    CHECK_I64(load_graph(&g, 17, detail), ST_UNSUPPORTED);
    for (const char *p = detail; *p; p++)
        CHECK(*p >= ' ' && *p <= '~');
}

TEST(a_cycle_is_refused)
{
    struct buffer g = graph_with_input();
    char detail[200];

    onnx_node(&g, "Add", "x b", "a", NULL);
    onnx_node(&g, "Relu", "a", "b", NULL);
    onnx_node(&g, "Relu", "b", "y", NULL);
    CHECK_I64(load_graph(&g, 17, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "cycle");
}

TEST(a_tensor_made_twice_or_by_nobody_is_refused)
{
    struct buffer twice = graph_with_input(), nobody = graph_with_input(),
                  over_input = graph_with_input();
    char detail[200];

    onnx_node(&twice, "Relu", "x", "y", NULL);
    onnx_node(&twice, "Tanh", "x", "y", NULL);
    CHECK_I64(load_graph(&twice, 17, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "exists already");
    onnx_node(&nobody, "Relu", "z", "y", NULL);
    CHECK_I64(load_graph(&nobody, 17, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "nothing makes");
    onnx_node(&over_input, "Relu", "x", "x", NULL);
    CHECK_I64(load_graph(&over_input, 17, detail), ST_INVALID);
}

TEST(wrong_arity_and_attribute_types_are_refused)
{
    struct buffer none = graph_with_input(), omitted = graph_with_input(), kind = graph_with_input(),
                  a = { 0 };
    char detail[200];

    onnx_node(&none, "Conv", "x", "y", NULL);
    CHECK_I64(load_graph(&none, 17, detail), ST_INVALID);
    onnx_node(&omitted, "Add", "x -", "y", NULL);
    CHECK_I64(load_graph(&omitted, 17, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "input 2 is missing");
    onnx_float_attribute(&a, "axis", 1);
    onnx_node(&kind, "Flatten", "x", "y", &a);
    CHECK_I64(load_graph(&kind, 17, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "axis");
}

TEST(opsets_outside_the_range_are_refused)
{
    struct buffer old = graph_with_input(), new = graph_with_input(), m;
    char detail[200];

    onnx_node(&old, "Relu", "x", "y", NULL);
    CHECK_I64(load_graph(&old, 6, detail), ST_UNSUPPORTED);
    onnx_node(&new, "Relu", "x", "y", NULL);
    m = onnx_model(&new, 1000, NULL);
    CHECK_I64(load(&m, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "1000");
}

/* A constant named w with the given message fields in place of honest data. */
static enum status load_initializer(struct buffer *tensor, char detail[200])
{
    struct buffer g = graph_with_input();

    pb_message(&g, 5, tensor);
    onnx_node(&g, "Add", "x w", "y", NULL);
    return load_graph(&g, 17, detail);
}

TEST(raw_data_of_the_wrong_length_is_refused)
{
    const int64_t dims[] = { 3 };
    struct buffer shorter = onnx_tensor("w", ONNX_FLOAT, 1, dims, "12345678", 8);
    struct buffer longer = onnx_tensor("w", ONNX_FLOAT, 1, dims, "1234567890123456", 16);
    struct buffer none = { 0 };
    char detail[200];

    CHECK_I64(load_initializer(&shorter, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "12 bytes");
    CHECK_I64(load_initializer(&longer, detail), ST_INVALID);
    pb_int(&none, 1, 3);
    pb_int(&none, 2, ONNX_FLOAT);
    pb_text(&none, 8, "w");
    CHECK_I64(load_initializer(&none, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "3 elements");
}

TEST(dimensions_that_overflow_are_refused)
{
    static const int64_t cases[][4] = {
        { INT64_MAX, INT64_MAX, 1, 1 }, { 1LL << 32, 1LL << 32, 1, 1 },
        { 0, INT64_MAX, INT64_MAX, 2 }, { -1, 1, 1, 1 },
        { 1LL << 31, 2, 1, 1 },
    };
    char detail[200];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer t = onnx_tensor("w", ONNX_FLOAT, 4, cases[i], "", 0);
        const enum status st = load_initializer(&t, detail);
        CHECK(st == ST_TOO_LARGE || st == ST_INVALID);
    }
}

TEST(external_data_is_refused_in_initializers_and_attributes)
{
    struct buffer t = { 0 }, location = { 0 }, a = { 0 }, inner = { 0 }, attributes = { 0 };
    struct buffer g = graph_with_input();
    char detail[200];

    pb_text(&location, 1, "location");
    pb_text(&location, 2, "../../etc/passwd");
    pb_int(&t, 1, 1);
    pb_int(&t, 2, ONNX_FLOAT);
    pb_text(&t, 8, "w");
    pb_bytes(&t, 13, location.p, location.n);
    CHECK_I64(load_initializer(&t, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "another file");

    pb_int(&inner, 1, 1);
    pb_int(&inner, 2, ONNX_FLOAT);
    pb_int(&inner, 14, 1);
    pb_message(&a, 5, &inner);
    onnx_attribute(&attributes, &a, "value", 4);
    onnx_node(&g, "Constant", "", "c", &attributes);
    onnx_node(&g, "Add", "x c", "y", NULL);
    CHECK_I64(load_graph(&g, 17, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "another file");
    buffer_free(&location);
}

TEST(sparse_initializers_and_nested_graphs_are_refused)
{
    struct buffer sparse = graph_with_input(), nested = graph_with_input(), a = { 0 },
                  attributes = { 0 };
    char detail[200];

    pb_text(&sparse, 15, "");
    onnx_node(&sparse, "Relu", "x", "y", NULL);
    CHECK_I64(load_graph(&sparse, 17, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "sparse");
    pb_text(&a, 6, "");
    onnx_attribute(&attributes, &a, "then_branch", 5);
    onnx_node(&nested, "If", "x", "y", &attributes);
    CHECK_I64(load_graph(&nested, 17, detail), ST_UNSUPPORTED);
    CHECK_MENTIONS(detail, "nested");
}

TEST(shapes_that_do_not_fit_are_refused_by_name)
{
    const int64_t weights[] = { 4, 5, 3, 3 };
    float *zeros = calloc(4 * 5 * 9, sizeof *zeros);
    struct buffer g = graph_with_input();
    char detail[200];

    REQUIRE(zeros);
    onnx_floats(&g, "w", 4, weights, zeros);
    onnx_node(&g, "Conv", "x w", "y", NULL);
    CHECK_I64(load_graph(&g, 17, detail), ST_INVALID);
    CHECK_MENTIONS(detail, "Conv");
    free(zeros);
}

/* 1 KB files that would like gigabytes. */
TEST(huge_outputs_of_small_files_are_too_large)
{
    struct buffer filled = graph_with_input(), tiled = graph_with_input(), grown = graph_with_input();
    char detail[200];

    onnx_ints(&filled, "s", 2, (const int64_t[]){ 1 << 20, 1 << 10 });
    onnx_node(&filled, "ConstantOfShape", "s", "c", NULL);
    onnx_node(&filled, "ReduceSum", "c", "y", NULL);
    CHECK_I64(load_graph(&filled, 17, detail), ST_TOO_LARGE);
    CHECK_MENTIONS(detail, "memory limit");
    onnx_ints(&tiled, "r", 4, (const int64_t[]){ INT64_MAX, 1, INT64_MAX / 2, 1 });
    onnx_node(&tiled, "Tile", "x r", "y", NULL);
    CHECK(load_graph(&tiled, 17, detail) != ST_OK);
    onnx_floats(&grown, "s", 1, (const int64_t[]){ 4 }, (const float[]){ 1, 1, 3e4f, 3e4f });
    onnx_node(&grown, "Resize", "x - s", "y", NULL);
    CHECK_I64(load_graph(&grown, 17, detail), ST_TOO_LARGE);
}

TEST(a_run_that_would_take_hours_is_too_large)
{
    struct buffer g = { 0 };
    char from[16] = "x", to[16], words[40], detail[200];

    onnx_input(&g, "x", 4, (const int64_t[]){ 1, 1, 4096, 4096 });
    onnx_output(&g, "y");
    onnx_ints(&g, "s", 4, (const int64_t[]){ 1, 1, 1000, 1000 });
    onnx_node(&g, "ConstantOfShape", "s", "w", NULL);
    for (int i = 0; i < 10; i++) {
        struct buffer a = { 0 };
        onnx_text_attribute(&a, "auto_pad", "SAME_UPPER");
        snprintf(words, sizeof words, "%s w", from);
        snprintf(to, sizeof to, "t%d", i);
        onnx_node(&g, "Conv", words, to, &a);
        memcpy(from, to, sizeof from);
    }
    onnx_node(&g, "Relu", from, "y", NULL);
    CHECK_I64(load_graph(&g, 17, detail), ST_TOO_LARGE);
    CHECK_MENTIONS(detail, "operations");
}

TEST(doubling_a_constant_again_and_again_stays_within_the_budget)
{
    struct buffer g = graph_with_input();
    char from[16] = "c0", to[16], both[40], detail[200];

    onnx_floats(&g, "c0", 1, (const int64_t[]){ 8 }, (const float[8]){ 1 });
    for (int i = 1; i < 40; i++) {
        struct buffer a = { 0 };
        snprintf(to, sizeof to, "c%d", i);
        snprintf(both, sizeof both, "%s %s", from, from);
        onnx_int_attribute(&a, "axis", 0);
        onnx_node(&g, "Concat", both, to, &a);
        memcpy(from, to, sizeof from);
    }
    onnx_node(&g, "Identity", from, "y", NULL);
    CHECK_I64(load_graph(&g, 17, detail), ST_TOO_LARGE);
}

/* Tens of thousands of empty messages: each is two bytes in the file and hundreds in memory. */
TEST(many_empty_messages_do_not_cost_more_than_the_budget)
{
    struct buffer g = { 0 }, m;
    struct rusage before, after;
    char detail[200];

    for (int i = 0; i < 400000; i++)
        pb_bytes(&g, 5, "", 0);
    m = onnx_model(&g, 17, NULL);
    getrusage(RUSAGE_SELF, &before);
    CHECK(load(&m, detail) != ST_OK);
    getrusage(RUSAGE_SELF, &after);
    CHECK(after.ru_maxrss - before.ru_maxrss < 256 * 1024);
}

TEST(bytes_that_are_not_onnx_are_refused)
{
    static const char *const files[] = { "", "x", "hello, this is a text file", "\x08\x08",
                                         "\x3a\xff\xff\xff\xff\x0f" };
    struct fault f = FAULT_INIT;
    struct model_card *c = NULL;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        CHECK_I64(model_card_read(files[i], strlen(files[i]), &c, &f), ST_INVALID);
    CHECK(model_card_read("PK\3\4 and then nothing of a zip", 30, &c, &f) != ST_OK);
    CHECK(c == NULL);
}

TEST(every_truncation_of_a_file_is_refused_or_read_but_never_crashes)
{
    struct buffer g = graph_with_input(), a = { 0 }, m;
    const int64_t dims[] = { 2, 3, 1, 1 };

    onnx_floats(&g, "w", 4, dims, (const float[6]){ 1, 2, 3, 4, 5, 6 });
    onnx_ints_attribute(&a, "kernel_shape", 2, (const int64_t[]){ 1, 1 });
    onnx_node(&g, "Conv", "x w", "y", &a);
    m = onnx_model(&g, 17, (const char *const[]){ "names", "{0: 'a'}", NULL });
    for (size_t n = 0; n <= m.n; n++) {
        struct fault f = FAULT_INIT;
        struct model_card *c = NULL;
        char *exact = malloc(n + 1);
        memcpy(exact, m.p, n);
        if (model_card_read(exact, n, &c, &f) == ST_OK)
            CHECK(c != NULL);
        else
            CHECK(f.detail[0] != '\0');
        model_card_free(c);
        free(exact);
    }
    buffer_free(&m);
}

TEST(half_floats_and_typed_fields_are_widened)
{
    static const uint16_t halves[] = { 0x3c00, 0xc000, 0x0001, 0x7c00 };
    const int64_t dims[] = { 4 };
    struct buffer g = graph_with_input(), h = onnx_tensor("h", 10, 1, dims, halves, sizeof halves),
                  typed = { 0 }, m;
    struct fault f = FAULT_INIT;
    struct model *model = NULL;

    pb_message(&g, 5, &h);
    pb_int(&typed, 1, 2);
    pb_int(&typed, 2, 6);
    pb_int(&typed, 5, -7);
    pb_int(&typed, 5, 1 << 20);
    pb_text(&typed, 8, "i");
    pb_message(&g, 5, &typed);
    m = onnx_model(&g, 17, NULL);
    REQUIRE(onnx_read(m.p, m.n, &model, &f) == ST_OK);
    CHECK_NEAR(value_f32(&model->graph->tensors[0].v)[0], 1, 0);
    CHECK_NEAR(value_f32(&model->graph->tensors[0].v)[1], -2, 0);
    CHECK_NEAR(value_f32(&model->graph->tensors[0].v)[2], 0x1p-24, 0);
    CHECK(isinf(value_f32(&model->graph->tensors[0].v)[3]));
    CHECK_I64(value_i64(&model->graph->tensors[1].v)[0], -7);
    CHECK_I64(value_i64(&model->graph->tensors[1].v)[1], 1 << 20);
    model_free(model);
    buffer_free(&m);
}
