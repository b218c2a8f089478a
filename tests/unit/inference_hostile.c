/*
 * Files that were made to do harm: to run a command, to unpack to gigabytes, to go round in circles, to
 * claim 2^63 of something or to have a million of it. Each is read in a process of its own with little
 * memory and little time, and must be refused by a sentence that names the reason.
 */
#include "tests/unit/test.h"

#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "inference/predictor.h"
#include "tests/unit/inference_onnx_writer.h"
#include "tests/unit/inference_pt_writer.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
enum { SANITIZED = 1, SECONDS = 60 };
#else
enum { SANITIZED = 0, SECONDS = 5 };
#endif
enum { MEMORY_MIB = 320 }; /* beside the file and what the process has already */

struct hostile {
    const char *name;
    void (*make)(struct buffer *file);
    const char *says; /* in the refusal */
};

/* --- checkpoints */

static void put_file(struct buffer *file, const struct buffer *pickle, const struct buffer *deflated)
{
    struct record r = { .name = "m/data.pkl", .bytes = { pickle->p, pickle->n } };

    if (deflated) {
        r.bytes = (struct slice){ deflated->p, deflated->n };
        r.method = 8;
        r.size = (uint32_t)pickle->n;
    }
    put_zip(file, &r, 1);
}

static struct buffer command(void)
{
    struct buffer b = { 0 };

    PUT(&b, "\x80\x02}");
    put_str(&b, "model");
    PUT(&b, "cposix\nsystem\n(X\x18\0\0\0touch /tmp/fovea-hostiletRs.");
    return b;
}

static void command_in_an_archive(struct buffer *file)
{
    struct buffer b = command();

    put_file(file, &b, NULL);
    buffer_free(&b);
}

static void command_deflated(struct buffer *file)
{
    struct buffer b = command(), small = { 0 };

    put_deflated(&small, b.p, b.n);
    put_file(file, &b, &small);
    buffer_free(&b);
    buffer_free(&small);
}

static void command_before_1_6(struct buffer *file)
{
    struct buffer b = command();

    put_legacy_head(file, 1001, "\x88");
    buffer_bytes(file, b.p, b.n);
    PUT(file, "\x80\x02].");
    buffer_free(&b);
}

/* 64 MiB of zeros in 64 KiB. */
static void bomb(struct buffer *file)
{
    struct buffer zeros = { .n = 64 << 20 }, small = { 0 };

    zeros.p = calloc(1, zeros.n);
    put_deflated(&small, zeros.p, zeros.n);
    put_file(file, &zeros, &small);
    free(zeros.p);
    buffer_free(&small);
}

/* The same, which says that it is small. */
static void bomb_that_lies(struct buffer *file)
{
    struct buffer zeros = { .n = 64 << 20 }, small = { 0 }, said = { .n = 1000 };

    zeros.p = calloc(1, zeros.n);
    put_deflated(&small, zeros.p, zeros.n);
    put_file(file, &said, &small);
    free(zeros.p);
    buffer_free(&small);
}

/* A network of one module of torch, whose dict is still open. */
static void put_open_network(struct buffer *b, const char *class)
{
    PUT(b, "\x80\x02}");
    put_str(b, "model");
    put_global(b, "ultralytics.nn.tasks", "DetectionModel");
    PUT(b, ")\x81}(");
    put_str(b, "_modules");
    PUT(b, "}");
    put_str(b, "model");
    put_global(b, "torch.nn.modules.container", class);
    PUT(b, ")\x81q\1}(");
    put_str(b, "_modules");
}

static void close_network(struct buffer *b, struct buffer *file)
{
    PUT(b, "ubsubs.");
    put_file(file, b, NULL);
    buffer_free(b);
}

static void module_in_itself(struct buffer *file)
{
    struct buffer b = { 0 };

    put_open_network(&b, "Sequential");
    PUT(&b, "}");
    put_str(&b, "0");
    PUT(&b, "h\1s");
    close_network(&b, file);
}

/* Each of 40 sequences holds the next one twice: 2^40 runs. */
static void modules_doubling(struct buffer *file)
{
    struct buffer b = { 0 };

    put_open_network(&b, "Sequential");
    PUT(&b, "}(");
    put_global(&b, "torch.nn.modules.linear", "Identity");
    PUT(&b, ")\x81q\2"
            "0");
    for (int i = 0; i < 30; i++) {
        put_global(&b, "torch.nn.modules.container", "Sequential");
        PUT(&b, ")\x81}(");
        put_str(&b, "_modules");
        PUT(&b, "}(");
        put_str(&b, "0");
        PUT(&b, "h\2");
        put_str(&b, "1");
        PUT(&b, "h\2uubq\2"
                "0");
    }
    put_str(&b, "0");
    PUT(&b, "h\2u");
    close_network(&b, file);
}

/* A list in a list in a list. */
static void pickle_nested(struct buffer *file)
{
    struct buffer b = { 0 };

    PUT(&b, "\x80\x02");
    for (int i = 0; i < 1000000; i++)
        PUT(&b, "(");
    PUT(&b, ".");
    put_file(file, &b, NULL);
    buffer_free(&b);
}

/* Ten million empty dicts in ten megabytes. */
static void pickle_of_many(struct buffer *file)
{
    struct buffer b = { 0 };

    PUT(&b, "\x80\x02]");
    for (int i = 0; i < 10000000; i++)
        PUT(&b, "}");
    PUT(&b, ".");
    put_file(file, &b, NULL);
    buffer_free(&b);
}

static void put_huge_tensor(struct buffer *b)
{
    put_tensor(
        b, &(struct view){ "FloatStorage", "0", INT64_MAX, 0, 2, { INT64_MAX, INT64_MAX }, { 0, 0 } });
}

static void tensor_of_2_126(struct buffer *file)
{
    struct buffer b = { 0 };

    PUT(&b, "\x80\x02}");
    put_str(&b, "model");
    put_huge_tensor(&b);
    PUT(&b, "s.");
    put_file(file, &b, NULL);
    buffer_free(&b);
}

static void storage_of_2_63_before_1_6(struct buffer *file)
{
    put_legacy_head(file, 1001, "\x88");
    PUT(file, "\x80\x02}");
    put_str(file, "model");
    put_tensor(file, &(struct view){ "FloatStorage", "0", INT64_MAX, 0, 1, { 4 }, { 1 } });
    PUT(file, "s.\x80\x02]");
    put_str(file, "0");
    PUT(file, "a.");
    put_number(file, INT64_MAX, 8);
}

/* --- ONNX */

static const int64_t one[] = { 1 }, picture[] = { 1, 3, 8, 8 };

static struct buffer graph(void)
{
    struct buffer g = { 0 };

    onnx_input(&g, "x", 4, picture);
    onnx_output(&g, "y");
    return g;
}

static void finish(struct buffer *g, struct buffer *file)
{
    *file = onnx_model(g, 13, NULL);
}

static void circle(struct buffer *file)
{
    struct buffer g = graph();

    onnx_node(&g, "Add", "x b", "a", NULL);
    onnx_node(&g, "Relu", "a", "b", NULL);
    onnx_node(&g, "Relu", "b", "y", NULL);
    finish(&g, file);
}

static void input_of_2_63(struct buffer *file)
{
    struct buffer g = { 0 };

    onnx_input(&g, "x", 4, (const int64_t[]){ 1, 3, INT64_MAX, INT64_MAX });
    onnx_output(&g, "y");
    onnx_node(&g, "Relu", "x", "y", NULL);
    finish(&g, file);
}

static void weights_of_2_63(struct buffer *file)
{
    struct buffer g = graph(),
                  t = onnx_tensor("w", ONNX_FLOAT, 2, (const int64_t[]){ INT64_MAX, 2 }, "", 0);

    pb_message(&g, 5, &t);
    onnx_node(&g, "Add", "x w", "y", NULL);
    finish(&g, file);
}

static void fill_of_2_63(struct buffer *file)
{
    struct buffer g = graph();

    onnx_ints(&g, "s", 3, (const int64_t[]){ INT64_MAX, INT64_MAX, INT64_MAX });
    onnx_node(&g, "ConstantOfShape", "s", "y", NULL);
    finish(&g, file);
}

static void range_of_2_63(struct buffer *file)
{
    static const int64_t ends[] = { 0, INT64_MAX, 1 };
    static const char *const names[] = { "from", "to", "step" };
    struct buffer g = graph();

    for (int i = 0; i < 3; i++) {
        struct buffer t = onnx_tensor(names[i], ONNX_INT64, 0, NULL, &ends[i], sizeof ends[i]);
        pb_message(&g, 5, &t);
    }
    onnx_node(&g, "Range", "from to step", "y", NULL);
    finish(&g, file);
}

static void pad_of_2_63(struct buffer *file)
{
    struct buffer g = graph();

    onnx_ints(&g, "p", 8, (const int64_t[]){ 0, 0, INT64_MAX, INT64_MAX, 0, 0, INT64_MAX, INT64_MAX });
    onnx_node(&g, "Pad", "x p", "y", NULL);
    finish(&g, file);
}

static void a_million_nodes(struct buffer *file)
{
    struct buffer g = graph();
    char from[16] = "x", to[16];

    for (int i = 0; i < 1000000; i++) {
        snprintf(to, sizeof to, "t%d", i);
        onnx_node(&g, "Relu", from, to, NULL);
        memcpy(from, to, sizeof from);
    }
    onnx_node(&g, "Relu", from, "y", NULL);
    finish(&g, file);
}

static void constants_doubling(struct buffer *file)
{
    struct buffer g = graph();
    char from[16] = "c", to[16], both[40];

    onnx_floats(&g, "c", 1, one, (const float[]){ 1 });
    for (int i = 0; i < 60; i++) {
        struct buffer a = { 0 };
        onnx_int_attribute(&a, "axis", 0);
        snprintf(to, sizeof to, "c%d", i);
        snprintf(both, sizeof both, "%s %s", from, from);
        onnx_node(&g, "Concat", both, to, &a);
        memcpy(from, to, sizeof from);
    }
    onnx_node(&g, "Identity", from, "y", NULL);
    finish(&g, file);
}

/* --- suppression inside: how much comes out is not known at load, but how much may */

static void suppression_of_all_pixels(struct buffer *file)
{
    struct buffer g = { 0 }, a = { 0 };

    onnx_input(&g, "x", 4, (const int64_t[]){ 1, 3, 2048, 2048 });
    onnx_output(&g, "y");
    onnx_ints(&g, "rows", 3, (const int64_t[]){ 1, -1, 4 });
    onnx_ints(&g, "row", 3, (const int64_t[]){ 1, 1, -1 });
    onnx_ints(&g, "most", 1, (const int64_t[]){ INT64_MAX });
    onnx_node(&g, "Reshape", "x rows", "boxes", NULL);
    onnx_ints_attribute(&a, "axes", 1, (const int64_t[]){ 2 });
    onnx_node(&g, "ReduceMax", "boxes", "best", &a);
    onnx_node(&g, "Reshape", "best row", "scores", NULL);
    onnx_floats(&g, "iou", 1, one, (const float[]){ 0.5f });
    onnx_node(&g, "NonMaxSuppression", "boxes scores most iou", "y", NULL);
    finish(&g, file);
}

/* Rows found times rows found, again and again. */
static void rows_multiplying(struct buffer *file)
{
    struct buffer g = graph();
    char from[16] = "at", to[16], turned[24], product[24], both[48];

    onnx_node(&g, "NonZero", "x", "rows", NULL);
    onnx_ints(&g, "flat", 2, (const int64_t[]){ 1, -1 });
    onnx_node(&g, "Reshape", "rows flat", "at", NULL);
    for (int i = 0; i < 12; i++) {
        snprintf(turned, sizeof turned, "u%d", i);
        snprintf(to, sizeof to, "a%d", i);
        snprintf(both, sizeof both, "%s %s", turned, from);
        onnx_node(&g, "Transpose", from, turned, NULL);
        snprintf(product, sizeof product, "p%d flat", i);
        onnx_node(&g, "Reshape", product, to, NULL);
        product[strlen(product) - strlen(" flat")] = '\0';
        onnx_node(&g, "Mul", both, product, NULL);
        memcpy(from, to, sizeof from);
    }
    onnx_node(&g, "Identity", from, "y", NULL);
    finish(&g, file);
}

/* Twice as much of what is found, forty times. */
static void found_rows_doubling(struct buffer *file)
{
    struct buffer g = graph();
    char from[16] = "at", to[16], both[40];

    onnx_node(&g, "NonZero", "x", "at", NULL);
    for (int i = 0; i < 40; i++) {
        struct buffer a = { 0 };
        snprintf(to, sizeof to, "c%d", i);
        snprintf(both, sizeof both, "%s %s", from, from);
        onnx_int_attribute(&a, "axis", 1);
        onnx_node(&g, "Concat", both, to, &a);
        memcpy(from, to, sizeof from);
    }
    onnx_node(&g, "Identity", from, "y", NULL);
    finish(&g, file);
}

static const struct hostile files[] = {
    { "a command in an archive", command_in_an_archive, "posix.system" },
    { "a command, deflated", command_deflated, "posix.system" },
    { "a command in the form before 1.6", command_before_1_6, "posix.system" },
    { "a bomb", bomb, "times its size" },
    { "a bomb that says it is small", bomb_that_lies, "not what it claims" },
    { "a module in itself", module_in_itself, "nested" },
    { "modules that double", modules_doubling, "modules" },
    { "a pickle nested a million times", pickle_nested, "nested" },
    { "ten million values", pickle_of_many, "more memory than is allowed" },
    { "a tensor of 2^126", tensor_of_2_126, "impossible length" },
    { "a storage of 2^63 in the form before 1.6", storage_of_2_63_before_1_6, "impossible length" },
    { "a circle", circle, "cycle" },
    { "an input of 2^63", input_of_2_63, "4096 pixels" },
    { "weights of 2^63", weights_of_2_63, "overflow" },
    { "a fill of 2^63", fill_of_2_63, "memory limit" },
    { "a range of 2^63", range_of_2_63, "does not end" },
    { "a pad of 2^63", pad_of_2_63, "9223372036854775807" },
    { "a million nodes", a_million_nodes, "100000 nodes" },
    { "constants that double", constants_doubling, "memory limit" },
    { "found rows that multiply", rows_multiplying, "memory limit" },
    { "found rows that double", found_rows_doubling, "memory limit" },
    { "a suppression of all pixels", suppression_of_all_pixels, "NonMaxSuppression" },
};

/* What the child and its parent share. */
struct report {
    enum status st;
    char detail[200];
    double seconds;
};

/* Of this process's processors: other work on the machine does not count. */
static double now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Address space of this process, in bytes. */
static size_t address_space(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;

    if (f) {
        if (fscanf(f, "%lu", &pages) != 1)
            pages = 0;
        fclose(f);
    }
    return pages * (size_t)sysconf(_SC_PAGESIZE);
}

/* Up to the first refusal: the card, a predictor, a run on a small picture. */
static enum status use(const struct buffer *file, struct fault *f)
{
    static const uint8_t grey[16 * 16 * 3] = { 114 };
    const struct predict_options o = { .conf = 0.25f, .iou = 0.7f, .max_detections = 300 };
    struct model_card *card = NULL;
    struct predictor *d = NULL;
    struct prediction p = { .n = 0 };
    enum status st;

    if ((st = model_card_read(file->p, file->n, &card, f)) == ST_OK &&
        (st = predictor_load(file->p, file->n, NULL, &d, f)) == ST_OK)
        st = predictor_run(d, grey, 16, 16, &o, &p, f);
    return st;
}

static void use_limited(const struct buffer *file, struct report *r)
{
    const rlim_t most = address_space() + ((rlim_t)MEMORY_MIB << 20);
    struct fault f = FAULT_INIT;
    double start;

    if (!SANITIZED && setrlimit(RLIMIT_AS, &(struct rlimit){ most, most }) != 0)
        return;
    alarm(SECONDS * 10);
    start = now();
    r->st = use(file, &f);
    memcpy(r->detail, f.detail, sizeof f.detail);
    r->seconds = now() - start;
}

static void check_refused(const struct hostile *h)
{
    struct report *r = mmap(NULL, sizeof *r, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct buffer file = { 0 };
    int status = 0;
    pid_t child;

    REQUIRE(r != MAP_FAILED);
    h->make(&file);
    if ((child = fork()) == 0) {
        use_limited(&file, r);
        _exit(0);
    }
    REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    printf("# %s, %zu bytes: %s (%.2f s)\n", h->name, file.n, r->detail, r->seconds);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        TEST_FAIL_("%s: the process ended with %d", h->name, status);
    else if (r->st == ST_OK)
        TEST_FAIL_("%s: it was accepted", h->name);
    else if (!strstr(r->detail, h->says))
        TEST_FAIL_("%s: \"%s\" does not say \"%s\"", h->name, r->detail, h->says);
    else if (r->seconds > SECONDS)
        TEST_FAIL_("%s: took %.1f s", h->name, r->seconds);
    buffer_free(&file);
    munmap(r, sizeof *r);
}

TEST(files_made_to_do_harm_are_refused_soon_and_in_little_memory)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        check_refused(&files[i]);
    CHECK(access("/tmp/fovea-hostile", F_OK) != 0);
}
