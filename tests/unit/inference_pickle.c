/* The restricted reader of pickles: builds values, runs nothing, survives anything. */
#include "tests/unit/test.h"

#include "inference/pt/pickle.h"
#include "tests/unit/inference_pt_writer.h"

static struct arena *arena;
static struct fault fault;
static struct pickle pickle;

static const char record_bytes[64];
static struct zip_record zip_records[] = { { .name = BYTES("a/data/0"),
                                             .bytes = { record_bytes, 64 } } };
static const struct zip zip = { zip_records, 1 };

/* The text is copied to memory of exactly its size, so that the sanitizer sees a read beyond it. */
static enum status load(struct slice text, const struct pt_value **ret)
{
    static char *copy;

    free(copy);
    copy = malloc(text.n ? text.n : 1);
    if (text.n)
        memcpy(copy, text.p, text.n);
    arena_free(arena);
    arena = arena_create(pickle_memory(text.n));
    fault = FAULT_INIT;
    pickle = (struct pickle){ .text = { copy, text.n },
                              .arena = arena,
                              .zip = &zip,
                              .prefix = SLICE_LITERAL("a/data/"),
                              .fault = &fault };
    *ret = NULL;
    return pickle_read(&pickle, ret);
}

#define LOAD(text, ret) load(SLICE_LITERAL(text), (ret))

TEST(scalars_of_all_protocols_are_read)
{
    static const struct {
        struct slice text;
        enum pt_kind kind;
        int64_t integer;
        double real;
    } cases[] = {
        { { "N.", 2 }, PT_NONE, 0, 0 },
        { { "\x80\x02\x88.", 4 }, PT_BOOL, 1, 0 },
        { { "I01\n.", 5 }, PT_BOOL, 1, 0 },
        { { "I-42\n.", 6 }, PT_INT, -42, 0 },
        { { "L7L\n.", 5 }, PT_INT, 7, 0 },
        { { "K\xff.", 3 }, PT_INT, 255, 0 },
        { { "M\xff\xff.", 4 }, PT_INT, 65535, 0 },
        { { "J\xfe\xff\xff\xff.", 6 }, PT_INT, -2, 0 },
        { { "\x8a\x01\xff.", 4 }, PT_INT, -1, 0 },
        { { "\x8a\x00.", 3 }, PT_INT, 0, 0 },
        { { "\x8a\x08\0\0\0\0\0\0\0\x80.", 11 }, PT_INT, INT64_MIN, 0 },
        { { "G\x3f\xf8\0\0\0\0\0\0.", 10 }, PT_FLOAT, 0, 1.5 },
        { { "F0.25\n.", 7 }, PT_FLOAT, 0, 0.25 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pt_value *v;

        if (load(cases[i].text, &v) != ST_OK || v->kind != cases[i].kind ||
            (v->kind == PT_INT && v->integer != cases[i].integer) ||
            (v->kind == PT_BOOL && v->boolean != (cases[i].integer != 0)) ||
            (v->kind == PT_FLOAT && v->real != cases[i].real))
            TEST_FAIL_("case %zu: %s", i, fault.detail);
    }
}

TEST(texts_and_containers_are_read)
{
    const struct pt_value *v, *w;

    CHECK(LOAD("\x80\x04\x95\x0d\0\0\0\0\0\0\0\x8c\x01"
               "a\x94\x8c\x02"
               "bc\x94\x86\x94h\0\x86.",
               &v) == ST_OK);
    REQUIRE(v && v->kind == PT_TUPLE && v->items.n == 2);
    CHECK(pt_is_text(v->items.at[1], "a") && v->items.at[0]->items.at[0] == v->items.at[1]);
    CHECK(LOAD("(lp0\nS'it\\'s'\naVb c\nag0\na.", &v) == ST_OK && v->items.n == 3);
    CHECK(pt_is_text(v->items.at[0], "it's") && pt_is_text(v->items.at[1], "b c") &&
          v->items.at[2] == v);
    CHECK(LOAD("}(X\1\0\0\0aK\1X\1\0\0\0bK\2X\1\0\0\0aK\3u.", &v) == ST_OK);
    REQUIRE(v && v->kind == PT_DICT);
    CHECK((w = pt_get(v, "a")) && w->integer == 3);
    CHECK(pt_get(v, "c") == NULL && pt_get(w, "a") == NULL && pt_get(NULL, "a") == NULL);
    CHECK(LOAD("(0(K\0011K\7.", &v) == ST_OK && v->integer == 7); /* POP takes a mark, too; POP_MARK */
    CHECK(LOAD("\x8f(K\1K\2\x90.", &v) == ST_OK && v->kind == PT_SET && v->items.n == 2);
    CHECK(LOAD("(K\1K\2\x91.", &v) == ST_OK && v->kind == PT_SET && v->items.n == 2);
    CHECK(LOAD("C\2\0\xff.", &v) == ST_OK && v->kind == PT_BYTES && v->text.n == 2);
    CHECK(LOAD("\x8a\x09\0\0\0\0\0\0\0\0\1.", &v) == ST_OK && v->kind == PT_BYTES && v->text.n == 9);
}

TEST(a_value_may_contain_itself)
{
    const struct pt_value *v;

    CHECK(LOAD("]q\0h\0a.", &v) == ST_OK);
    REQUIRE(v && v->kind == PT_LIST && v->items.n == 1);
    CHECK(v->items.at[0] == v);
}

TEST(known_calls_become_values)
{
    const struct pt_value *v;

    CHECK(LOAD("ccollections\nOrderedDict\n)RX\1\0\0\0aK\1s}X\1\0\0\0zK\1sb.", &v) == ST_OK);
    CHECK(v && v->kind == PT_DICT && pt_get(v, "a") && !pt_get(v, "z"));
    CHECK(LOAD("ccollections\nOrderedDict\n(](](X\1\0\0\0aK\5eetR.", &v) == ST_OK &&
          pt_get(v, "a")->integer == 5);
    CHECK(LOAD("ccollections\ndefaultdict\n(c__builtin__\nlist\ntR.", &v) == ST_OK &&
          v->kind == PT_DICT);
    CHECK(LOAD("c__builtin__\nset\n](K\1K\2e\x85R.", &v) == ST_OK && v->kind == PT_SET &&
          v->items.n == 2);
    CHECK(LOAD("ccollections\ndeque\n](K\1e\x85RK\2a.", &v) == ST_OK && v->kind == PT_LIST &&
          v->items.n == 2);
    CHECK(LOAD("cpathlib._local\nPosixPath\n(X\1\0\0\0atR.", &v) == ST_OK && pt_is_text(v, "a"));
    CHECK(LOAD("ctorch\nSize\n](K\1K\2e\x85R.", &v) == ST_OK && v->kind == PT_TUPLE && v->items.n == 2);
    CHECK(LOAD("c_codecs\nencode\n(X\4\0\0\0\xc3\xbf"
               "a\0X\6\0\0\0latin1tR.",
               &v) == ST_OK);
    CHECK(v && v->kind == PT_BYTES && v->text.n == 3 &&
          memcmp(v->text.p,
                 "\xff"
                 "a\0",
                 3) == 0);
    CHECK(LOAD("cpathlib\nPosixPath\n(X\1\0\0\0/X\1\0\0\0aX\1\0\0\0btR.", &v) == ST_OK &&
          pt_is_text(v, "/a/b"));
    CHECK(
        LOAD("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\2\0\0\0f8K\0K\1tR(K\3X\1\0\0\0<tbC\x08"
             "\0\0\0\0\0\0\xf8\x3ftR.",
             &v) == ST_OK &&
        v->kind == PT_FLOAT && v->real == 1.5);
    CHECK(LOAD("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(X\2\0\0\0f8tR(K\3X\1\0\0\0>"
               "tbC\x08\0\0\0\0\0\0\xf8\x3f"
               "tR.",
               &v) == ST_OK &&
          v->kind == PT_OBJECT);
    CHECK(LOAD("ccopy_reg\n_reconstructor\n(cmodels.yolo\nModel\nc__builtin__\nobject\nNtR}"
               "X\1\0\0\0aK\1sb.",
               &v) == ST_OK);
    CHECK(v && v->kind == PT_OBJECT && pt_attribute(v, "a")->integer == 1 && pt_class_name(v).n == 5);
    CHECK(LOAD("ctypes\nSimpleNamespace\n)R}X\5\0\0\0imgszK\x40sb.", &v) == ST_OK);
    CHECK(v && pt_member(v, "imgsz")->integer == 64);
    CHECK(LOAD("cultralytics.nn.tasks\nX\n)\x81(}X\1\0\0\0aK\1s}X\1\0\0\0bK\2stb.", &v) ==
          ST_OK); /* with slots */
    CHECK(v && pt_attribute(v, "a") && pt_attribute(v, "b"));
    CHECK(LOAD("c__builtin__\ngetattr\n(cmodels.yolo\nDetect\nX\7\0\0\0forwardtR.", &v) == ST_OK &&
          v->kind == PT_OBJECT);
}

TEST(numbers_of_numpy_are_decoded)
{
    static const struct {
        struct slice text;
        enum pt_kind kind;
        double want;
    } cases[] = {
        { BYTES("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f4'\ntRC\4\0\0\0\x3ftR."), PT_FLOAT,
          0.5 },
        { BYTES("cnumpy._core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i8'"
                "\ntRC\x08\xfe\xff\xff\xff\xff\xff\xff\xfftR."),
          PT_INT, -2 },
        { BYTES("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'i4'\ntRC\4\xfe\xff\xff\xfftR."),
          PT_INT, -2 },
        { BYTES("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'b1'\ntRC\1\1tR."), PT_BOOL, 1 },
        { BYTES("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'f8'\ntRC\4\0\0\0\0tR."), PT_OBJECT,
          0 },
        { BYTES("cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(S'O8'\ntRC\x08\0\0\0\0\0\0\0\0tR."),
          PT_OBJECT, 0 },
        { BYTES("cnumpy.core.multiarray\nscalar\n(NNtR."), PT_OBJECT, 0 },
        { BYTES("cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tC\1btR(K\1("
                "K\1tcnumpy\ndtype\n(S'u1'\n"
                "tR\x89"
                "C\1\7tb."),
          PT_OBJECT, 0 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pt_value *v;
        double got = 0;

        if (load(cases[i].text, &v) != ST_OK || v->kind != cases[i].kind) {
            TEST_FAIL_("case %zu: %s", i, fault.detail);
            continue;
        }
        got = v->kind == PT_FLOAT ? v->real
              : v->kind == PT_INT ? (double)v->integer
                                  : v->kind == PT_BOOL;
        CHECK_NEAR(got, cases[i].want, 0);
    }
}

#define CASE(text, says)                                                                                \
    {                                                                                                   \
        BYTES(text), says                                                                               \
    }

struct refusal {
    struct slice text;
    const char *says;
};

static void check_refusals(const struct refusal *cases, size_t n, enum status want)
{
    for (size_t i = 0; i < n; i++) {
        const struct pt_value *v;
        const enum status st = load(cases[i].text, &v);

        if (st != want || v || !strstr(fault.detail, cases[i].says))
            TEST_FAIL_("case %zu (%s): %s: %s", i, cases[i].says, status_name(st), fault.detail);
    }
}

/* Code execution in the ways that scanners have missed: each is refused by name, and nothing ran. */
TEST(calls_of_other_names_are_refused_by_name)
{
    static const struct refusal cases[] = {
        CASE("cposix\nsystem\n(X\2\0\0\0idtR.", "posix.system"),
        CASE("cos\nsystem\n(S'id'\ntR.", "os.system"),
        CASE("\x80\4\x8c\2nt\x8c\6system\x93\x8c\2id\x85R.", "nt.system"),
        CASE("c__builtin__\neval\n(S'1'\ntR.", "__builtin__.eval"),
        CASE("cbuiltins\nexec\n(S'1'\ntR.", "builtins.exec"),
        CASE("cbuiltins\n__import__\n(S'os'\ntR.", "builtins.__import__"),
        CASE("csubprocess\nPopen\n(S'id'\ntR.", "subprocess.Popen"),
        CASE("ctorch.storage\n_load_from_bytes\n(S'x'\ntR.", "torch.storage._load_from_bytes"),
        CASE("ctorch\nload\n(S'x'\ntR.", "torch.load"),
        CASE("ctorch\nFloatStorage\n)R.", "torch.FloatStorage"),
        CASE("crunpy\n_run_code\n)R.", "runpy._run_code"),
        CASE("coperator\nattrgetter\n(S'system'\ntR.", "operator.attrgetter"),
        CASE("cfunctools\npartial\n(cposix\nsystem\ntR.", "functools.partial"),
        CASE("cultralyticsx\nf\n)R.", "ultralyticsx.f"),
        CASE("ctorch._tensor\n_rebuild_from_type_v2\n(cposix\nsystem\nN)NtR.", "posix.system"),
        CASE("c__builtin__\ngetattr\n(cposix\nerrno\nS'system'\ntR(S'id'\ntR.",
             "result of another call"),
        CASE("N)R.", "result of another call"),
        CASE("ca b\nc\x1b[31m\n)R.", "a?b.c?[31m"),
        /* hidden behind the memo, and in a value that is thrown away */
        CASE("cposix\nsystem\nq\0000]h\0(X\2\0\0\0idtRa.", "posix.system"),
        CASE("cposix\nsystem\n(X\2\0\0\0idtR0N.", "posix.system"),
    };

    check_refusals(cases, sizeof cases / sizeof *cases, ST_INVALID);
}

/* Naming is not calling: such an instance is kept as a name, for whoever needs it to complain. */
TEST(instances_of_unknown_classes_are_kept_and_remembered)
{
    const struct pt_value *v;

    CHECK(LOAD("cevil\nThing\n)\x81}X\1\0\0\0aK\1sb.", &v) == ST_OK);
    REQUIRE(v && v->kind == PT_OBJECT);
    CHECK(v->object->class->global->rule == NULL && pt_attribute(v, "a")->integer == 1);
    CHECK(!pt_is_module(v));
    REQUIRE(pickle.unknown.n == 1);
    CHECK(pickle.unknown.at[0]->global->module.n == 4);
}

TEST(damaged_pickles_are_refused)
{
    static const struct refusal cases[] = {
        CASE("", "ends too early"),
        CASE(".", "more from its stack"),
        CASE("0.", "more from its stack"),
        CASE("\x85.", "more from its stack"),
        CASE("K\1\x86.", "more from its stack"),
        CASE("K\1(\x85.", "more from its stack"), /* not below the mark */
        CASE("K\1(R.", "more from its stack"),
        CASE("a.", "more from its stack"),
        CASE("b.", "more from its stack"),
        CASE("2.", "more from its stack"),
        CASE("q\0.", "more from its stack"),
        CASE("t.", "mark that was not set"),
        CASE("1.", "mark that was not set"),
        CASE("]K\1K\2s.", "cannot hold"),    /* SETITEM on a list */
        CASE("](K\1K\2u.", "cannot hold"),   /* SETITEMS on a list */
        CASE("K\1(K\1K\2u.", "cannot hold"), /* on a number */
        CASE("cevil\nThing\n)\x81K\1K\2s.", "cannot hold"),
        CASE("}K\1a.", "cannot hold"),
        CASE(")K\1a.", "cannot hold"), /* tuples never change */
        CASE("](K\1\x90.", "cannot hold"),
        CASE("](K\1eK\1b.", "has none"),         /* BUILD on a list */
        CASE("cposix\nsystem\n}b.", "has none"), /* on a name */
        CASE("}(K\1u.", "without a value"),
        CASE("(K\1d.", "without a value"),
        CASE("Nr\xff\xff\xff\xee.", "memo index"),
        CASE("Np4000000000\n.", "memo index"),
        CASE("Np-1\n.", "memo index"),
        CASE("h\0.", "not set"),
        CASE("Nq\1h\0.", "not set"),
        CASE("j\xff\xff\xff\xff.", "not set"),
        CASE("B\xff\xff\xff\xff.", "longer than itself"),
        CASE("X\xff\xff\xff\x7f.", "longer than itself"),
        CASE("\x8e\xff\xff\xff\xff\xff\xff\xff\xff.", "longer than itself"),
        CASE("\x96\0\0\0\0\0\0\0\x80.", "longer than itself"),
        CASE("\x8b\xff\xff\xff\xff.", "longer than itself"),
        CASE("\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", "longer than itself"),
        CASE("Iabc\n.", "malformed number"),
        CASE("I99999999999999999999\n.", "malformed number"),
        CASE("Finf\n.", "malformed number"),
        CASE("Sabc\n.", "malformed string"),
        CASE("S'a\n.", "malformed string"),
        CASE("cposix", "line without end"),
        CASE("c\n\n.", "empty or endless name"),
        CASE("NN\x93.", "no text"),
        CASE("cmodels\nX\nNR.", "no tuple"),
        CASE("ccollections\nOrderedDict\n(](K\1etR.", "no pairs"),
        CASE("c__builtin__\nset\n(K\1tR.", "what is none"),
        CASE("cpathlib\nPath\n(K\1tR.", "no text"),
        CASE("c_codecs\nencode\n(X\2\0\0\0\xe2\x82tR.", "not Latin-1"),
        CASE("ccopy_reg\n_reconstructor\n(NNNtR.", "no class"),
    };

    check_refusals(cases, sizeof cases / sizeof *cases, ST_INVALID);
}

TEST(operations_that_models_never_use_are_refused)
{
    static const struct refusal cases[] = {
        CASE("(S'id'\niposix\nsystem\n.", "no model file needs"),  /* INST */
        CASE("(cposix\nsystem\nS'id'\no.", "no model file needs"), /* OBJ */
        CASE("\x82\1.", "no model file needs"),                    /* EXT1 */
        CASE("Pname\n.", "no model file needs"),                   /* PERSID */
        CASE("\x97.", "no model file needs"),                      /* NEXT_BUFFER */
        CASE("\xff.", "no model file needs"),
        CASE("\x80\6N.", "protocol"),
        CASE("V\\u0041\n.", "escaped text"),
    };

    check_refusals(cases, sizeof cases / sizeof *cases, ST_UNSUPPORTED);
}

/* Tensors over the one record of 64 bytes. */
static enum status load_view(const struct view *view, const struct pt_value **ret)
{
    struct buffer b = { 0 };
    enum status st;

    put_tensor(&b, view);
    buffer_char(&b, '.');
    st = load((struct slice){ b.p, b.n }, ret);
    buffer_free(&b);
    return st;
}

TEST(tensors_are_views_that_lie_inside_their_storage)
{
    static const struct view good[] = {
        { "FloatStorage", "0", 16, 0, 2, { 4, 4 }, { 4, 1 } },
        { "FloatStorage", "0", 16, 0, 2, { 4, 4 }, { 1, 4 } },
        { "HalfStorage", "0", 32, 31, 1, { 1 }, { 1 } },
        { "ByteStorage", "0", 64, 0, 1, { 1000 }, { 0 } },
        { "LongStorage", "0", 8, 7, 0, { 0 }, { 0 } },
        { "DoubleStorage", "0", 8, 8, 2, { 0, 9 }, { 9, 1 } },
        { "BoolStorage", "0", 64, 0, 1, { 1 }, { INT64_MAX } },
    };

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const struct pt_value *v;

        if (load_view(&good[i], &v) != ST_OK || v->kind != PT_TENSOR ||
            v->tensor->rank != (int)good[i].rank)
            TEST_FAIL_("case %zu: %s", i, fault.detail);
    }
}

TEST(tensors_beyond_their_bytes_are_refused)
{
    static const struct {
        struct view view;
        const char *says;
    } cases[] = {
        { { "FloatStorage", "0", 17, 0, 1, { 1 }, { 1 } }, "differs from its record" },
        { { "FloatStorage", "0", 15, 0, 1, { 1 }, { 1 } }, "differs from its record" },
        { { "FloatStorage", "0", -1, 0, 1, { 1 }, { 1 } }, "impossible length" },
        { { "FloatStorage", "0", INT64_C(1) << 62, 0, 1, { 1 }, { 1 } }, "impossible length" },
        { { "FloatStorage", "1", 16, 0, 1, { 1 }, { 1 } }, "archive lacks" },
        { { "FloatStorage", "../0", 16, 0, 1, { 1 }, { 1 } }, "no number" },
        { { "FloatStorage", "", 16, 0, 1, { 1 }, { 1 } }, "no number" },
        { { "FloatStorage", "0", 16, 1, 1, { 16 }, { 1 } }, "beyond its storage" },
        { { "FloatStorage", "0", 16, -1, 1, { 1 }, { 1 } }, "beyond its storage" },
        { { "FloatStorage", "0", 16, INT64_MAX, 1, { 1 }, { 1 } }, "beyond its storage" },
        { { "FloatStorage", "0", 16, 16, 1, { 1 }, { 1 } }, "beyond its storage" },
        { { "FloatStorage", "0", 16, 0, 1, { 2 }, { INT64_MAX } }, "beyond its storage" },
        { { "FloatStorage", "0", 16, 0, 2, { 3, 3 }, { INT64_MAX / 2, INT64_MAX / 2 } },
          "beyond its storage" },
        { { "FloatStorage", "0", 16, 0, 1, { -1 }, { 1 } }, "impossible shape" },
        { { "FloatStorage", "0", 16, 0, 1, { 1 }, { -1 } }, "impossible shape" },
        { { "FloatStorage", "0", 16, 0, 1, { INT64_MAX }, { 0 } }, "impossible shape" },
        { { "FloatStorage", "0", 16, 0, 2, { INT64_C(1) << 32, INT64_C(1) << 32 }, { 0, 0 } },
          "impossible shape" },
        { { "FloatStorage", "0", 16, 0, 9, { 1, 1, 1, 1, 1, 1, 1, 1, 1 }, { 0 } }, "impossible shape" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct pt_value *v;

        if (load_view(&cases[i].view, &v) != ST_INVALID || v || !strstr(fault.detail, cases[i].says))
            TEST_FAIL_("case %zu (%s): %s", i, cases[i].says, fault.detail);
    }
}

TEST(malformed_storages_and_tensors_are_refused)
{
    static const struct refusal cases[] = {
        CASE("NQ.", "malformed storage"),
        CASE(")Q.", "malformed storage"),
        CASE("(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nS'16'\ntQ.", "malformed storage"),
        CASE("(S'file'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nK\x10tQ.", "malformed storage"),
        CASE("ctorch._utils\n_rebuild_tensor_v2\n)R.", "malformed arguments"),
        CASE("ctorch._utils\n_rebuild_tensor_v2\n(NK\0))tR.", "malformed arguments"),
        CASE("ctorch._utils\n_rebuild_parameter\n)R.", "no tensor"),
        CASE("ctorch._utils\n_rebuild_parameter\n(NtR.", "no tensor"),
        CASE("ctorch._tensor\n_rebuild_from_type_v2\n(NNNNtR.", "malformed arguments"),
    };
    const struct pt_value *v;

    check_refusals(cases, sizeof cases / sizeof *cases, ST_INVALID);
    CHECK(LOAD("(S'storage'\nctorch\nComplexFloatStorage\nS'0'\nS'cpu'\nK\x08tQ.", &v) ==
          ST_UNSUPPORTED);
}

TEST(untyped_storages_take_the_tensors_type)
{
    const struct pt_value *v;

    CHECK(LOAD("ctorch._utils\n_rebuild_tensor_v3\n((S'storage'\nctorch.storage\nUntypedStorage\nS'0'"
               "\nS'cpu'\nK\x40tQ"
               "K\0(K\x20t(K\1t\x89}ctorch\nfloat16\ntR.",
               &v) == ST_OK);
    REQUIRE(v && v->kind == PT_TENSOR);
    CHECK(v->tensor->dtype == PT_F16 && v->tensor->storage->storage->raw);
    CHECK(LOAD("ctorch._utils\n_rebuild_tensor_v3\n((S'storage'\nctorch.storage\nUntypedStorage\nS'0'"
               "\nS'cpu'\nK\x40tQ"
               "K\0(K\x21t(K\1t\x89}ctorch\nfloat16\ntR.",
               &v) == ST_INVALID);
}

TEST(depth_and_memory_are_limited)
{
    struct buffer b = { 0 };
    const struct pt_value *v;

    for (int i = 0; i <= LIMIT_PICKLE_DEPTH; i++)
        buffer_char(&b, '(');
    CHECK(load((struct slice){ b.p, b.n }, &v) == ST_TOO_LARGE);
    buffer_clear(&b);
    /* a dict that becomes twice as long 40 times */
    buffer_text(&b, "}K\1K\1sp0\n0");
    for (int i = 0; i < 40; i++)
        buffer_text(&b, "cbuiltins\ndict\n(g0\ng0\ntRp0\n0");
    buffer_text(&b, "N.");
    CHECK(load((struct slice){ b.p, b.n }, &v) == ST_TOO_LARGE);
    buffer_clear(&b);
    for (int i = 0; i < LIMIT_PICKLE_VALUES; i++)
        buffer_text(&b, "N0"); /* cheap values, many of them */
    buffer_text(&b, "N.");
    CHECK(load((struct slice){ b.p, b.n }, &v) == ST_TOO_LARGE);
    buffer_free(&b);
}

TEST(tensors_of_subclasses_are_rebuilt_by_the_function_they_name)
{
    static const struct view view = { "HalfStorage", "0", 32, 0, 1, { 32 }, { 1 } };
    struct buffer b = { 0 };
    const struct pt_value *v;

    put_global(&b, "torch._tensor", "_rebuild_from_type_v2");
    buffer_char(&b, '(');
    put_global(&b, "torch._utils", "_rebuild_parameter");
    put_global(&b, "torch.nn.parameter", "Parameter");
    buffer_char(&b, '(');
    put_tensor(&b, &view);
    PUT(&b, "\x88}t}tR.");
    CHECK(load((struct slice){ b.p, b.n }, &v) == ST_OK);
    REQUIRE(v && v->kind == PT_TENSOR);
    CHECK(v->tensor->parameter && v->tensor->dtype == PT_F16 && v->tensor->count == 32);
    buffer_free(&b);
}

/* A real pickle's every prefix ends too early, and says so. */
TEST(every_truncation_is_refused)
{
    static const struct view view = { "FloatStorage", "0", 16, 0, 2, { 4, 4 }, { 4, 1 } };
    struct buffer b = { 0 };
    const struct pt_value *v;

    buffer_text(&b, "(lp0\nI1\naF0.5\naS'x'\na");
    put_tensor(&b, &view);
    buffer_text(&b, "a(S'a'\nK\1da0N.");
    for (size_t n = 0; n < b.n; n++)
        if (load((struct slice){ b.p, n }, &v) == ST_OK || v || !fault.detail[0])
            TEST_FAIL_("accepted at %zu of %zu bytes", n, b.n);
    CHECK(load((struct slice){ b.p, b.n }, &v) == ST_OK);
    buffer_free(&b);
}

/* Whatever the limit of memory is, running into it is said, and nothing else happens. */
TEST(any_limit_of_memory_is_reported)
{
    static const struct view view = { "FloatStorage", "0", 16, 0, 2, { 4, 4 }, { 4, 1 } };
    struct buffer b = { 0 };
    const struct pt_value *v = NULL;
    enum status st = ST_TOO_LARGE;
    size_t cap, failures = 0;

    buffer_text(&b, "(lp0\nS'x'\naVy\na");
    put_tensor(&b, &view);
    PUT(&b, "acmodels.yolo\nModel\n)\x81}X\1\0\0\0aK\1sbacpathlib\nPath\n(S'a'\ntRac_codecs\nencode\n(S'"
            "a'\ntRa"
            "ccollections\nOrderedDict\n(](](K\1K\2eetRac__builtin__\nset\n](K\1K\2e\x85Racevil\nX\na.");
    for (cap = 0; st != ST_OK && cap < (size_t)1 << 20; cap += 16) {
        arena_free(arena);
        arena = arena_create(cap);
        fault = FAULT_INIT;
        pickle = (struct pickle){ .text = { b.p, b.n },
                                  .arena = arena,
                                  .zip = &zip,
                                  .prefix = SLICE_LITERAL("a/data/"),
                                  .fault = &fault };
        st = pickle_read(&pickle, &v);
        failures += st == ST_TOO_LARGE && fault.detail[0];
        if (st != ST_OK && st != ST_TOO_LARGE)
            TEST_FAIL_("%zu bytes: %s", cap, fault.detail);
    }
    CHECK(st == ST_OK);
    CHECK_SIZE(failures, cap / 16 - 1);
    buffer_free(&b);
}
