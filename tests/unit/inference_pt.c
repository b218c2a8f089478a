/* Whole checkpoints: the archive, what stands in the card, and files that lie. */
#include "tests/unit/test.h"

#include "inference/pt/pt.h"
#include "tests/unit/inference_pt_writer.h"

static struct fault fault;

/* A module of a class with one weight of 16 floats, shared by all that have it, and a child. */
static void put_module(struct buffer *b, const char *module, const char *class, bool weight)
{
    static const struct view view = { "FloatStorage", "0", 16, 0, 2, { 4, 4 }, { 4, 1 } };

    put_global(b, module, class);
    buffer_text(b, ")\x81}(");
    put_str(b, "_parameters");
    put_global(b, "collections", "OrderedDict");
    buffer_text(b, ")R");
    if (weight) {
        put_str(b, "weight");
        put_global(b, "torch._utils", "_rebuild_parameter");
        buffer_char(b, '(');
        put_tensor(b, &view);
        PUT(b, "\x88}tRs");
        put_str(b, "bias");
        buffer_text(b, "Ns");
    }
    put_str(b, "_modules"); /* left open: the caller puts its dict, further attributes, and "ub" */
}

/* {"model": DetectionModel(names, args, yaml, model: Conv2d), "ema": None, "version": "8.3.1"} and a
 * little more. */
static void put_checkpoint(struct buffer *b, const char *class)
{
    PUT(b, "\x80\x02}(");
    put_str(b, "ema");
    buffer_char(b, 'N');
    put_str(b, "version");
    put_str(b, "8.3.1");
    put_str(b, "train_args");
    buffer_char(b, '}');
    put_str(b, "imgsz");
    put_int(b, 320);
    buffer_char(b, 's');
    put_str(b, "model");
    put_module(b, "ultralytics.nn.tasks", class, false);
    buffer_char(b, '}');
    put_str(b, "0");
    put_module(b, "torch.nn.modules.conv", "Conv2d", true);
    buffer_text(b, "}ubs");
    put_str(b, "names");
    buffer_text(b, "}(");
    put_int(b, 2);
    put_str(b, "cat");
    put_int(b, 0);
    put_str(b, "dog");
    buffer_char(b, 'u');
    put_str(b, "yaml");
    buffer_text(b, "}(");
    put_str(b, "yaml_file");
    put_str(b, "cfg/yolo11-seg.yaml");
    put_str(b, "scale");
    put_str(b, "n");
    buffer_text(b, "uub");
    buffer_text(b, "u.");
}

static const char weights[64];

static enum status read_bytes(const struct buffer *b, size_t n, struct model_card **ret)
{
    char *copy = malloc(n ? n : 1); /* exact: the sanitizer sees a read beyond it */
    enum status st;

    if (n)
        memcpy(copy, b->p, n);
    fault = FAULT_INIT;
    *ret = NULL;
    st = pt_card_read(copy, n, ret, &fault);
    free(copy);
    return st;
}

static enum status read_zip(const struct record *records, size_t n, struct model_card **ret)
{
    struct buffer b = { 0 };
    enum status st;

    put_zip(&b, records, n);
    st = read_bytes(&b, b.n, ret);
    buffer_free(&b);
    return st;
}

/* A file of this pickle and the one storage. */
static enum status read_pickle(const struct buffer *pickle, struct model_card **ret)
{
    const struct record records[] = {
        { .name = "best/data.pkl", .bytes = { pickle->p, pickle->n } },
        { .name = "best/data/0", .bytes = { weights, sizeof weights } },
        { .name = "best/version", .bytes = BYTES("3\n") },
    };

    return read_zip(records, 3, ret);
}

TEST(a_card_tells_what_the_checkpoint_says)
{
    struct buffer b = { 0 };
    struct model_card *c;

    put_checkpoint(&b, "SegmentationModel");
    if (read_pickle(&b, &c) != ST_OK)
        TEST_FAIL_("%s", fault.detail);
    buffer_free(&b);
    REQUIRE(c != NULL);
    CHECK(c->format == MODEL_PT && c->task_known && c->task == TASK_SEGMENT && !c->runnable &&
          c->why_not[0]);
    CHECK_I64(c->input_height, 320);
    CHECK_I64(c->input_width, 320);
    CHECK_I64(c->parameters, 16);
    CHECK_STR(c->architecture, "yolo11n-seg");
    CHECK_STR(c->version, "8.3.1");
    REQUIRE(c->nclasses == 3);
    CHECK_STR(c->class_names[0], "dog");
    CHECK_STR(c->class_names[1], "class1");
    CHECK_STR(c->class_names[2], "cat");
    model_card_free(c);
}

/* A model of an unusual class, settings in a namespace, and no names. */
TEST(a_card_takes_what_there_is)
{
    static const struct {
        struct slice attributes; /* of the model, behind its modules */
        bool known;
        enum model_task task;
        int height, width, nclasses;
        const char *architecture;
    } cases[] = {
        { BYTES("X\2\0\0\0ncK\3X\4\0\0\0taskX\4\0\0\0poseX\4\0\0\0argsctypes\nSimpleNamespace\n)R}"
                "X\5\0\0\0imgsz](M\x40\1"
                "M\x80\2esb"),
          true, TASK_POSE, 320, 640, 3, "" },
        { BYTES("X\4\0\0\0taskX\5\0\0\0otherX\4\0\0\0yaml}(X\2\0\0\0ncK\1X\x09\0\0\0yaml_"
                "fileX\x0d\0\0\0d\\yolov8x.yml"
                "X\5\0\0\0scaleX\1\0\0\0xu"),
          false, TASK_DETECT, 0, 0, 1, "yolov8x" },
        { BYTES("X\4\0\0\0args}X\5\0\0\0imgszJ\0\0\0\x80sX\x09\0\0\0yaml_fileX\4\0\0\0yoloX\4\0\0\0yaml}"
                "X\5\0\0\0scale"
                "X\1\0\0\0ls"),
          false, TASK_DETECT, 0, 0, 0, "yolol" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = { 0 };
        struct model_card *c;

        put_module(&b, "models.own", "Network", false);
        buffer_char(&b, '}');
        buffer_bytes(&b, cases[i].attributes.p, cases[i].attributes.n);
        buffer_text(&b, "ub.");
        if (read_pickle(&b, &c) != ST_OK)
            TEST_FAIL_("case %zu: %s", i, fault.detail);
        buffer_free(&b);
        REQUIRE(c != NULL);
        CHECK(c->task_known == cases[i].known && c->task == cases[i].task);
        CHECK_I64(c->input_height, cases[i].height);
        CHECK_I64(c->input_width, cases[i].width);
        CHECK_I64(c->nclasses, cases[i].nclasses);
        CHECK_STR(c->architecture, cases[i].architecture);
        model_card_free(c);
    }
}

TEST(impossible_class_names_are_refused)
{
    static const struct {
        struct slice attributes;
        enum status want;
    } cases[] = {
        { BYTES("X\5\0\0\0namesK\1"), ST_INVALID },
        { BYTES("X\5\0\0\0names}NX\1\0\0\0as"), ST_INVALID },
        { BYTES("X\5\0\0\0names](K\1e"), ST_INVALID },
        { BYTES("X\5\0\0\0names](X\2\0\0\0a\ne"), ST_INVALID },
        { BYTES("X\5\0\0\0names](X\1\0\0\0\xff"
                "e"),
          ST_INVALID },
        { BYTES("X\5\0\0\0names}J\xff\xff\xff\x7fX\1\0\0\0as"), ST_TOO_LARGE },
        { BYTES("X\2\0\0\0ncJ\xff\xff\xff\x7f"), ST_TOO_LARGE },
        { BYTES("X\2\0\0\0ncJ\xff\xff\xff\xff"), ST_TOO_LARGE },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = { 0 };
        struct model_card *c;

        put_module(&b, "models.yolo", "Model", false);
        buffer_char(&b, '}');
        buffer_bytes(&b, cases[i].attributes.p, cases[i].attributes.n);
        buffer_text(&b, "ub.");
        if (read_pickle(&b, &c) != cases[i].want || c)
            TEST_FAIL_("case %zu: %s", i, fault.detail);
        buffer_free(&b);
    }
}

TEST(every_truncation_is_refused)
{
    struct buffer b = { 0 }, file = { 0 };
    struct model_card *c;

    put_checkpoint(&b, "DetectionModel");
    put_zip(&file,
            (struct record[]){ { .name = "a/data.pkl", .bytes = { b.p, b.n } },
                               { .name = "a/data/0", .bytes = { weights, sizeof weights } } },
            2);
    for (size_t n = 0; n < file.n; n++)
        if (read_bytes(&file, n, &c) == ST_OK || c || !fault.detail[0])
            TEST_FAIL_("accepted at %zu of %zu bytes", n, file.n);
    CHECK(read_bytes(&file, file.n, &c) == ST_OK);
    model_card_free(c);
    buffer_free(&b);
    buffer_free(&file);
}

/* No byte of a small file, set to anything at all, does worse than a refusal. */
TEST(a_changed_byte_never_does_harm)
{
    static const unsigned char values[] = { 0x00, 0x01, 0x7f, 0x80, 0xff, '(', '.', 'R', 'h', 0x81 };
    struct buffer b = { 0 }, file = { 0 };
    struct model_card *c;
    size_t accepted = 0;

    put_checkpoint(&b, "DetectionModel");
    put_zip(&file,
            (struct record[]){ { .name = "a/data.pkl", .bytes = { b.p, b.n } },
                               { .name = "a/data/0", .bytes = { weights, sizeof weights } } },
            2);
    for (size_t i = 0; i < file.n; i++)
        for (size_t k = 0; k < sizeof values; k++) {
            const char kept = file.p[i];

            file.p[i] = (char)values[k];
            accepted += read_bytes(&file, file.n, &c) == ST_OK;
            model_card_free(c);
            file.p[i] = kept;
        }
    CHECK(accepted > 0); /* the weights themselves may be anything */
    buffer_free(&b);
    buffer_free(&file);
}

TEST(other_kinds_of_files_are_told_apart)
{
    static const struct {
        struct slice bytes;
        const char *says;
    } cases[] = {
        { BYTES(""), "no ZIP archive" },
        { BYTES("\x89PNG\r\n"), "no ZIP archive" },
        { BYTES("\x80\x02}q\0."), "bare pickle" },
        { BYTES("PK\3\4 and so on"), "end record is missing" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_card *c = NULL;

        fault = FAULT_INIT;
        if (pt_card_read(cases[i].bytes.p, cases[i].bytes.n, &c, &fault) != ST_UNSUPPORTED || c ||
            !strstr(fault.detail, cases[i].says))
            TEST_FAIL_("%s: %s", cases[i].says, fault.detail);
    }
}

/* The bytes as raw deflate. */
TEST(a_checkpoint_packed_again_with_compression_is_read)
{
    struct buffer pickle = { 0 }, small = { 0 }, storage = { 0 };
    struct model_card *c;

    put_checkpoint(&pickle, "SegmentationModel");
    put_deflated(&small, pickle.p, pickle.n);
    put_deflated(&storage, weights, sizeof weights);
    if (read_zip((struct record[]){ { .name = "a/data.pkl",
                                      .bytes = { small.p, small.n },
                                      .method = 8,
                                      .size = (uint32_t)pickle.n },
                                    { .name = "a/data/0",
                                      .bytes = { storage.p, storage.n },
                                      .method = 8,
                                      .size = sizeof weights } },
                 2, &c) != ST_OK)
        TEST_FAIL_("%s", fault.detail);
    else
        CHECK(c->task == TASK_SEGMENT && c->parameters == 16 && strcmp(c->class_names[0], "dog") == 0);
    model_card_free(c);
    buffer_free(&pickle);
    buffer_free(&small);
    buffer_free(&storage);
}

/* A megabyte of zeros deflates to a thousandth. */
TEST(an_archive_that_unpacks_to_too_much_is_refused_before_it_is_unpacked)
{
    static char zeros[1 << 20];
    struct buffer bomb = { 0 };
    struct model_card *c;

    put_deflated(&bomb, zeros, sizeof zeros);
    CHECK_I64(read_zip(&(struct record){ .name = "a/data.pkl",
                                         .bytes = { bomb.p, bomb.n },
                                         .method = 8,
                                         .size = sizeof zeros },
                       1, &c),
              ST_TOO_LARGE);
    CHECK(c == NULL && strstr(fault.detail, "times its size"));
    buffer_free(&bomb);
}

/* The form before PyTorch 1.6. */

/* The list of one storage, its count and so many of its bytes. */
static void put_legacy_storage(struct buffer *b, const char *key, uint64_t count, size_t bytes)
{
    PUT(b, "\x80\x02]");
    put_str(b, key);
    PUT(b, "a.");
    put_number(b, count, 8);
    buffer_bytes(b, weights, bytes);
}

TEST(a_checkpoint_of_the_form_before_1_6_is_read)
{
    struct buffer b = { 0 };
    struct model_card *c;

    put_legacy_head(&b, 1001, "\x88");
    put_checkpoint(&b, "SegmentationModel");
    put_legacy_storage(&b, "0", 16, sizeof weights);
    if (read_bytes(&b, b.n, &c) != ST_OK)
        TEST_FAIL_("%s", fault.detail);
    else
        CHECK(c->task == TASK_SEGMENT && c->parameters == 16 && strcmp(c->class_names[0], "dog") == 0);
    model_card_free(c);
    for (size_t n = 14; n < b.n; n++) {
        CHECK(read_bytes(&b, n, &c) != ST_OK && !c);
        model_card_free(c);
    }
    buffer_free(&b);
}

TEST(files_of_the_form_before_1_6_that_lie_are_refused)
{
    static const struct {
        int64_t version;
        const char *little, *key;
        uint64_t count;
        size_t bytes;
        const char *says;
    } cases[] = {
        { 1002, "\x88", "0", 16, 64, "unknown version" }, { 1001, "\x89", "0", 16, 64, "big-endian" },
        { 1001, "\x88", "1", 16, 64, "nothing uses" },    { 1001, "\x88", "0", 15, 64, "differs" },
        { 1001, "\x88", "0", UINT64_MAX, 64, "differs" }, { 1001, "\x88", "0", 16, 63, "ends within" },
        { 1001, "\x88", "0", 16, 65, "goes on" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer b = { 0 };
        struct model_card *c;

        put_legacy_head(&b, cases[i].version, cases[i].little);
        put_checkpoint(&b, "DetectionModel");
        put_legacy_storage(&b, cases[i].key, cases[i].count, cases[i].bytes < 64 ? cases[i].bytes : 64);
        if (cases[i].bytes > 64)
            buffer_char(&b, 'x');
        if (read_bytes(&b, b.n, &c) == ST_OK || c || !strstr(fault.detail, cases[i].says))
            TEST_FAIL_("%s: %s", cases[i].says, fault.detail);
        buffer_free(&b);
    }
}

#define PICKLE(name_)                                                                                   \
    {                                                                                                   \
        .name = name_, .bytes = BYTES("}.")                                                             \
    }

TEST(archives_that_are_no_checkpoints_are_refused)
{
    static const struct {
        struct record records[3];
        size_t n;
        enum status want;
        const char *says;
    } cases[] = {
        { { PICKLE("a/model.pkl") }, 1, ST_UNSUPPORTED, "no data.pkl" },
        { { PICKLE("data.pkl") }, 1, ST_UNSUPPORTED, "no data.pkl" },
        { { PICKLE("a/b/data.pkl") }, 1, ST_UNSUPPORTED, "no data.pkl" },
        { { PICKLE("a/data.pkl"), PICKLE("b/data.pkl") }, 2, ST_INVALID, "two checkpoints" },
        { { PICKLE("a/data.pkl"), PICKLE("a/constants.pkl") }, 2, ST_UNSUPPORTED, "TorchScript" },
        { { PICKLE("a/data.pkl"), PICKLE("a/code/__torch__.py") }, 2, ST_UNSUPPORTED, "TorchScript" },
        { { PICKLE("a/data.pkl"), { .name = "a/byteorder", .bytes = BYTES("big") } },
          2,
          ST_UNSUPPORTED,
          "big-endian" },
        { { PICKLE("a/data.pkl"), { .name = "a/byteorder", .bytes = BYTES("little") } },
          2,
          ST_UNSUPPORTED,
          "holds no model" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_card *c;

        if (read_zip(cases[i].records, cases[i].n, &c) != cases[i].want || c ||
            !strstr(fault.detail, cases[i].says))
            TEST_FAIL_("%s: %s", cases[i].says, fault.detail);
    }
}

TEST(archives_that_lie_are_refused)
{
    static const struct {
        struct record records[3];
        size_t n;
        enum status want;
        const char *says;
    } cases[] = {
        { { PICKLE("a/data.pkl"), PICKLE("a/data.pkl") }, 2, ST_INVALID, "same name" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .local_name = "b/data.pkl" } },
          1,
          ST_INVALID,
          "differs from the directory" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .size = 0x7fffffff } },
          1,
          ST_INVALID,
          "longer than the file" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .size = 60 }, PICKLE("a/datb.pkl") },
          2,
          ST_INVALID,
          "longer than the file" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .size = 20 }, PICKLE("a/datb.pkl") },
          2,
          ST_INVALID,
          "overlap" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .local_offset = 7 } },
          1,
          ST_INVALID,
          "does not begin" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .local_offset = 0xfffffff0 } },
          1,
          ST_INVALID,
          "out of bounds" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .size = 0xffffffff } },
          1,
          ST_INVALID,
          "contradict" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .method = 12 } },
          1,
          ST_UNSUPPORTED,
          "compressed by method 12" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .method = 8 } },
          1,
          ST_INVALID,
          "not what it claims" },
        { { { .name = "a/data.pkl", .bytes = BYTES("\x03\0"), .method = 8, .size = 1 } },
          1,
          ST_INVALID,
          "not what it claims" },
        { { { .name = "a/data.pkl", .bytes = BYTES("\x03\0"), .method = 8, .size = 1 << 20 } },
          1,
          ST_TOO_LARGE,
          "unpacks to more than" },
        { { { .name = "a/data.pkl", .bytes = BYTES("}."), .flags = 1 } },
          1,
          ST_UNSUPPORTED,
          "encrypted" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct model_card *c;

        if (read_zip(cases[i].records, cases[i].n, &c) != cases[i].want || c ||
            !strstr(fault.detail, cases[i].says))
            TEST_FAIL_("%s: %s", cases[i].says, fault.detail);
    }
}

TEST(end_records_that_lie_are_refused)
{
    static const struct {
        int64_t records, size, offset; /* added to the truth */
    } lies[] = { { 1, 0, 0 }, { -1, 0, 0 }, { 0, 1, 0 }, { 0, -1, 0 },
                 { 0, 0, 1 }, { 0, 0, -1 }, { 0, 4, -4 } };
    static const struct record record = { .name = "a/data.pkl", .bytes = BYTES("}.") };

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct buffer b = { 0 };
        struct model_card *c;
        size_t start;

        put_local(&b, &record);
        start = b.n;
        put_central(&b, &record, 0);
        put_end(&b, (size_t)(1 + lies[i].records), (size_t)((int64_t)(b.n - start) + lies[i].size),
                (size_t)((int64_t)start + lies[i].offset));
        if (read_bytes(&b, b.n, &c) != ST_INVALID || c)
            TEST_FAIL_("lie %zu: %s", i, fault.detail);
        buffer_free(&b);
    }
}

/* Sizes and places in 64 bits, as files beyond 4 GB have them. */
TEST(zip64_archives_are_read)
{
    struct record record = { .name = "a/data.pkl", .bytes = BYTES("}.") };
    struct buffer b = { 0 };
    struct model_card *c;
    size_t start, end;

    put_local(&b, &record);
    start = b.n;
    record.size = 0xFFFFFFFF;
    record.local_offset = 0xFFFFFFFF;
    put_central(&b, &record, 0);
    b.p[start + 30] = 28; /* length of the extra field: 4 and three numbers */
    put_number(&b, 1, 2);
    put_number(&b, 24, 2);
    put_number(&b, 2, 8);
    put_number(&b, 2, 8);
    put_number(&b, 0, 8);
    end = b.n;
    PUT(&b, "PK\6\6");
    put_number(&b, 44, 8);
    put_number(&b, 0, 12);
    put_number(&b, 1, 8);
    put_number(&b, 1, 8);
    put_number(&b, end - start, 8);
    put_number(&b, start, 8);
    PUT(&b, "PK\6\7");
    put_number(&b, 0, 4);
    put_number(&b, end, 8);
    put_number(&b, 1, 4);
    put_end(&b, 1, 0xFFFFFFFF, 0xFFFFFFFF);
    CHECK(read_bytes(&b, b.n, &c) == ST_UNSUPPORTED && strstr(fault.detail, "holds no model"));
    b.p[end + 32] = 2; /* two records, in one of the two places */
    CHECK(read_bytes(&b, b.n, &c) == ST_INVALID);
    buffer_free(&b);
}

TEST(checkpoints_without_a_network_that_we_know_are_refused)
{
    static const struct {
        struct slice pickle;
        const char *says;
    } cases[] = {
        { BYTES("N."), "holds no model" },
        { BYTES("}X\5\0\0\0modelNs."), "holds no model" },
        { BYTES("}X\5\0\0\0modelcacme.nets\nUNet\n)\x81}X\x08\0\0\0_modules}sbs."), "acme.nets.UNet" },
        { BYTES("}X\5\0\0\0modelcultralytics.x\nY\n)\x81s."), "ultralytics.x.Y" },
    };
    static const struct view view = { "FloatStorage", "0", 16, 0, 1, { 16 }, { 1 } };
    struct buffer b = { 0 };
    struct model_card *c;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        buffer_clear(&b);
        buffer_bytes(&b, cases[i].pickle.p, cases[i].pickle.n);
        if (read_pickle(&b, &c) != ST_UNSUPPORTED || c || !strstr(fault.detail, cases[i].says))
            TEST_FAIL_("%s: %s", cases[i].says, fault.detail);
    }
    buffer_clear(&b);
    buffer_char(&b, '}');
    put_str(&b, "model.0.conv.weight");
    put_tensor(&b, &view);
    buffer_text(&b, "s.");
    CHECK(read_pickle(&b, &c) == ST_UNSUPPORTED && strstr(fault.detail, "state_dict"));
    buffer_free(&b);
}

TEST(a_file_that_wants_to_run_something_is_named)
{
    struct buffer b = { 0 };
    struct model_card *c;

    put_checkpoint(&b, "DetectionModel");
    b.n -= 2; /* "u." */
    put_str(&b, "epoch");
    PUT(&b, "cposix\nsystem\n(X\x02\0\0\0idtRu.");
    CHECK(read_pickle(&b, &c) == ST_INVALID && c == NULL);
    CHECK(strstr(fault.detail, "posix.system") != NULL);
    buffer_free(&b);
}

/* 2^60 paths lead through 60 modules that each hold the next one twice; a module may also hold itself.
 */
TEST(shared_and_circular_modules_are_counted_once)
{
    struct buffer b = { 0 };
    struct model_card *c;

    put_module(&b, "torch.nn.modules.conv", "Conv2d", true);
    PUT(&b, "}ubq\0000");
    for (int i = 0; i < 60; i++) {
        put_module(&b, "ultralytics.nn.tasks", "DetectionModel", false);
        PUT(&b, "}q\1(");
        put_str(&b, "a");
        PUT(&b, "h\0");
        put_str(&b, "b");
        PUT(&b, "h\0uubq\0000");
    }
    PUT(&b, "h\1"); /* the modules of the last one get it itself, too */
    put_str(&b, "self");
    PUT(&b, "h\0s0h\0.");
    if (read_pickle(&b, &c) != ST_OK)
        TEST_FAIL_("%s", fault.detail);
    buffer_free(&b);
    REQUIRE(c != NULL);
    CHECK_I64(c->parameters, 16);
    model_card_free(c);
}

TEST(modules_nested_too_deeply_are_refused)
{
    struct buffer b = { 0 };
    struct model_card *c;

    put_module(&b, "torch.nn.modules.conv", "Conv2d", true);
    PUT(&b, "}ubq\0000");
    for (int i = 0; i < LIMIT_PICKLE_DEPTH; i++) {
        put_module(&b, "ultralytics.nn.tasks", "DetectionModel", false);
        buffer_char(&b, '}');
        put_str(&b, "a");
        PUT(&b, "h\0subq\0000");
    }
    PUT(&b, "h\0.");
    CHECK(read_pickle(&b, &c) == ST_TOO_LARGE && strstr(fault.detail, "nested"));
    buffer_free(&b);
}
