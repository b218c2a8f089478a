/* The weights of ONNX files: what is left in the file, what is copied, what is not touched at all. */
#include "tests/unit/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "inference/predictor.h"
#include "inference/model/model.h"
#include "tests/unit/inference_onnx_slim.h"
#include "tests/unit/inference_onnx_writer.h"

static void check_agrees(const char *what, const void *bytes, size_t n)
{
    size_t slim;
    const char *wrong = slim_disagrees(bytes, n, &slim);

    if (wrong)
        TEST_FAIL_("%s: %s", what, wrong);
}

/* One real file; its slim copy is small. */
static void check_file(const char *folder, const char *name)
{
    char path[600];
    const char *wrong;
    struct stat about;
    size_t slim;
    void *p;
    int fd;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    REQUIRE((fd = open(path, O_RDONLY | O_CLOEXEC)) >= 0 && fstat(fd, &about) == 0);
    p = mmap(NULL, (size_t)about.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    close(fd);
    REQUIRE(p != MAP_FAILED);
    if ((wrong = slim_disagrees(p, (size_t)about.st_size, &slim)))
        TEST_FAIL_("%s: %s", name, wrong);
    CHECK(slim > 0 && (slim < (size_t)about.st_size / 4 || slim < 512 << 10));
    munmap(p, (size_t)about.st_size);
}

static int check_folder(const char *folder)
{
    DIR *d = opendir(folder);
    const struct dirent *e;
    int count = 0;

    while (d && (e = readdir(d))) {
        const char *dot = strrchr(e->d_name, '.');

        if (!dot || strcmp(dot, ".onnx") != 0)
            continue;
        check_file(folder, e->d_name);
        count++;
    }
    if (d)
        closedir(d);
    return count;
}

TEST(the_demonstration_model_means_the_same_without_its_weights)
{
    CHECK(check_folder("demo") > 0);
}

TEST(every_model_of_the_fixtures_means_the_same_without_its_weights)
{
    static const char *const folders[] = { "models/real", "models/generated" };
    int count = 0;

    if (!test_fixtures())
        SKIP("fixtures are absent");
    for (size_t i = 0; i < 2; i++) {
        char path[500];

        snprintf(path, sizeof path, "%s/%s", test_fixtures(), folders[i]);
        count += check_folder(path);
    }
    CHECK(count > 0);
}

/* A graph with one constant w of n floats and its way to the output. */
static struct buffer graph_with_weights(const float *x, int64_t n)
{
    struct buffer g = { 0 };

    onnx_input(&g, "x", 1, &n);
    onnx_output(&g, "y");
    onnx_floats(&g, "w", 1, &n, x);
    onnx_node(&g, "Add", "x w", "y", NULL);
    return g;
}

TEST(weights_of_every_length_in_initializers_and_attributes_mean_the_same)
{
    static const char bytes[300] = "0123456789abcdefghij";

    for (size_t n = 0; n < sizeof bytes; n++) {
        const int64_t dims[] = { (int64_t)n };
        struct buffer g = { 0 }, a = { 0 }, attributes = { 0 }, m;
        struct buffer t = onnx_tensor("w", 2, 1, dims, bytes, n),
                      inner = onnx_tensor("c", 2, 1, dims, bytes, n);

        pb_message(&g, 5, &t);
        pb_message(&a, 5, &inner);
        onnx_attribute(&attributes, &a, "value", 4);
        onnx_node(&g, "Constant", "", "c", &attributes);
        m = onnx_model(&g, 17, NULL);
        check_agrees("a length", m.p, m.n);
        buffer_free(&m);
    }
}

TEST(every_truncation_is_refused_by_both_or_by_none)
{
    const float x[24] = { 1, 2, 3 };
    struct buffer g = graph_with_weights(x, 24), m = onnx_model(&g, 17, NULL);

    for (size_t n = 0; n <= m.n; n++) {
        uint8_t *exact = malloc(n + 1);

        REQUIRE(exact);
        memcpy(exact, m.p, n);
        check_agrees("a truncation", exact, n);
        free(exact);
    }
    buffer_free(&m);
}

/* Flips and overwrites, so that keys become long, lengths wrong, wire types foreign. */
TEST(damaged_bytes_are_refused_by_both_or_by_none)
{
    const float x[24] = { 1, 2, 3 };
    static const uint8_t with[] = { 0x00, 0x07, 0x0b, 0x0c, 0x7f, 0x80, 0xff, 0x4a, 0x2a, 0x3a };
    struct buffer g = graph_with_weights(x, 24), m = onnx_model(&g, 17, NULL);

    for (size_t at = 0; at < m.n; at++)
        for (size_t k = 0; k < sizeof with; k++) {
            const char before = m.p[at];

            m.p[at] = (char)with[k];
            check_agrees("a damaged byte", m.p, m.n);
            m.p[at] = before;
        }
    buffer_free(&m);
}

/* A tensor of 4 floats whose own raw_data is absent, and which claims to lie at some place of the file.
 */
TEST(a_file_cannot_say_itself_where_its_weights_lie)
{
    static const uint64_t places[][2] = { { 0, 16 }, { 1ULL << 40, 16 }, { UINT64_MAX, 16 } };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        const int64_t dims = 4;
        struct buffer g = { 0 }, t = { 0 }, m;
        struct fault f = FAULT_INIT;
        struct model *model = NULL;

        onnx_input(&g, "x", 1, &dims);
        onnx_output(&g, "y");
        pb_int(&t, 1, 4);
        pb_int(&t, 2, ONNX_FLOAT);
        pb_text(&t, 8, "w");
        pb_int(&t, 1000, (int64_t)places[i][0]);
        pb_int(&t, 1001, (int64_t)places[i][1]);
        pb_message(&g, 5, &t);
        onnx_node(&g, "Add", "x w", "y", NULL);
        m = onnx_model(&g, 17, NULL);
        CHECK_I64(onnx_read(m.p, m.n, &model, &f), ST_INVALID);
        CHECK(strstr(f.detail, "the file has 0") != NULL);
        buffer_free(&m);
    }
}

TEST(weights_given_twice_long_and_short_are_refused)
{
    const int64_t dims = 4;
    struct buffer g = { 0 }, t = onnx_tensor("w", ONNX_FLOAT, 1, &dims, "0123456789abcdef", 16), m;
    struct fault f = FAULT_INIT;
    struct model *model = NULL;

    pb_bytes(&t, 9, "short", 5);
    pb_message(&g, 5, &t);
    m = onnx_model(&g, 17, NULL);
    CHECK_I64(onnx_read(m.p, m.n, &model, &f), ST_INVALID);
    CHECK(strstr(f.detail, "twice") != NULL);
    buffer_free(&m);
}

/* At each of four places in the file: aligned weights are seen where they are, others copied; all equal.
 */
TEST(weights_are_viewed_where_they_are_aligned_and_copied_elsewhere)
{
    float x[8] = { 1, -2, 3, -4, 5, -6, 7, 0.5f };
    struct buffer g = graph_with_weights(x, 8), m = onnx_model(&g, 17, NULL);
    int viewed = 0;

    for (size_t shift = 0; shift < 4; shift++) {
        char *file = malloc(m.n + 4);
        struct fault f = FAULT_INIT;
        struct model *model = NULL, *copied = NULL;
        const struct value *v;
        bool inside;

        REQUIRE(file);
        memcpy(file + shift, m.p, m.n);
        REQUIRE(onnx_read_as(file + shift, m.n, ONNX_WEIGHTS_VIEWED, &model, &f) == ST_OK);
        REQUIRE(onnx_read_as(file + shift, m.n, ONNX_WEIGHTS_COPIED, &copied, &f) == ST_OK);
        v = &model->graph->tensors[0].v;
        inside = (char *)v->data >= file && (char *)v->data < file + m.n + 4;
        viewed += inside;
        CHECK((uintptr_t)v->data % sizeof(float) == 0);
        CHECK(memcmp(value_f32(v), x, sizeof x) == 0);
        CHECK(copied->graph->tensors[0].v.data != v->data);
        memset(file, 0, m.n + 4);
        CHECK(memcmp(copied->graph->tensors[0].v.data, x, sizeof x) == 0);
        model_free(model);
        model_free(copied);
        free(file);
    }
    CHECK_I64(viewed, 1);
    buffer_free(&m);
}

/*
 * 64 MiB of half floats that lie in pages without any right: the card is read all the same. A model
 * that was checked by touching them would die here.
 */
TEST(a_card_does_not_touch_the_pages_of_weights)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), raw = (size_t)64 << 20;
    const int64_t n = (int64_t)raw / 2;
    struct buffer g = { 0 }, t = { 0 }, m = { 0 }, o = { 0 };
    struct model_card *c = NULL;
    struct fault f = FAULT_INIT;
    size_t head, graph;
    char *file, *guard;

    onnx_input(&g, "x", 1, &n);
    onnx_output(&g, "y");
    onnx_node(&g, "Add", "x w", "y", NULL);
    pb_int(&t, 1, n);
    pb_int(&t, 2, 10); /* float16 */
    pb_text(&t, 8, "w");
    pb_varint(&t, 9 << 3 | 2);
    pb_varint(&t, raw);
    pb_varint(&g, 5 << 3 | 2);
    pb_varint(&g, t.n + raw);
    buffer_bytes(&g, t.p, t.n);
    graph = g.n + raw;
    pb_int(&m, 1, 8);
    pb_int(&o, 2, 17);
    pb_message(&m, 8, &o);
    pb_varint(&m, 7 << 3 | 2);
    pb_varint(&m, graph);
    buffer_bytes(&m, g.p, g.n);

    head = m.n;
    REQUIRE(head < page);
    file = mmap(NULL, page + raw, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    REQUIRE(file != MAP_FAILED);
    guard = file + page;
    memcpy(guard - head, m.p, head);
    REQUIRE(mprotect(guard, raw, PROT_NONE) == 0);
    CHECK_I64(model_card_read(guard - head, head + raw, &c, &f), ST_OK);
    CHECK_I64(c ? c->parameters : 0, n);
    model_card_free(c);
    munmap(file, page + raw);
    buffer_free(&g);
    buffer_free(&t);
    buffer_free(&m);
}

/* Resident now; ru_maxrss of this process remembers the tests before. */
static long current_kib(void)
{
    FILE *in = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!in || fscanf(in, "%*d %ld", &pages) != 1)
        pages = 0;
    if (in)
        fclose(in);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

/* By how many KiB a process grows that judges the file, whatever the verdict; LONG_MAX: it died. */
static long peak_growth(const struct buffer *m)
{
    struct rusage after;
    pid_t child;
    int status;

    malloc_trim(0);
    if ((child = fork()) == 0) {
        struct fault f = FAULT_INIT;
        struct model_card *c = NULL;

        if (model_card_read(m->p, m->n, &c, &f) == ST_OK)
            model_card_free(c);
        _exit(0);
    }
    if (child < 0 || wait4(child, &status, 0, &after) != child || status != 0)
        return LONG_MAX;
    return after.ru_maxrss - current_kib();
}

/* Fills the graph with copies of one field until the file is just under a megabyte. */
static struct buffer filled(struct buffer *g, int field, struct buffer *piece)
{
    const size_t most = (1 << 20) - 256;

    while (g->n + piece->n + 4 < most)
        pb_bytes(g, field, piece->p, piece->n);
    buffer_free(piece);
    return onnx_model(g, 17, NULL);
}

/* Nodes that are all right, as many as fit. */
static struct buffer chain(struct buffer *g)
{
    const int64_t picture[] = { 1, 3, 8, 8 };
    char from[16] = "x", to[16];

    onnx_input(g, "x", 4, picture);
    for (int i = 0; g->n < (1 << 20) - 512; i++) {
        snprintf(to, sizeof to, "%x", i);
        onnx_node(g, "Relu", from, to, NULL);
        memcpy(from, to, sizeof from);
    }
    onnx_output(g, from);
    return onnx_model(g, 17, NULL);
}

/* Constants that are evaluated when the card is read: 400 MiB of them, were there no limit. */
static struct buffer evaluated(struct buffer *g)
{
    const int64_t picture[] = { 1, 3, 8, 8 }, shape[] = { 1 << 20 };
    char to[16];

    onnx_input(g, "x", 4, picture);
    onnx_ints(g, "s", 1, shape);
    for (int i = 0; i < 100; i++) {
        snprintf(to, sizeof to, "c%d", i);
        onnx_node(g, "ConstantOfShape", "s", to, NULL);
    }
    onnx_node(g, "Relu", "x", "y", NULL);
    onnx_output(g, "y");
    return onnx_model(g, 17, NULL);
}

enum { SMALL_FILE_PEAK_KIB = 192 << 10, SMALL_FILES = 7 };

TEST(a_file_under_a_megabyte_of_the_smallest_messages_stays_small)
{
    struct buffer nodes = { 0 }, tensors = { 0 }, attributes = { 0 }, names = { 0 }, inputs = { 0 };
    struct buffer g[SMALL_FILES] = { { 0 } }, m[SMALL_FILES], a = { 0 }, one = { 0 };

    pb_text(&nodes, 2, "y");
    pb_text(&nodes, 4, "A");
    m[0] = filled(&g[0], 1, &nodes);
    pb_text(&tensors, 8, "w");
    m[1] = filled(&g[1], 5, &tensors);
    pb_text(&a, 1, "a");
    for (int i = 0; i < 60; i++)
        pb_bytes(&attributes, 5, a.p, a.n);
    pb_text(&attributes, 4, "A");
    m[2] = filled(&g[2], 1, &attributes);
    pb_text(&one, 1, "");
    for (int i = 0; i < 2000; i++)
        buffer_bytes(&names, one.p, one.n);
    pb_text(&names, 4, "A");
    m[3] = filled(&g[3], 1, &names);
    pb_text(&inputs, 1, "x");
    m[4] = filled(&g[4], 11, &inputs);
    m[5] = chain(&g[5]);
    m[6] = evaluated(&g[6]);
    for (int i = 0; i < SMALL_FILES; i++) {
        const long kib = peak_growth(&m[i]);

        if (kib > SMALL_FILE_PEAK_KIB)
            TEST_FAIL_("file %d made the process grow by %ld KiB", i, kib);
        buffer_free(&m[i]);
    }
    buffer_free(&a);
    buffer_free(&one);
}

TEST(too_many_attributes_are_refused_by_number)
{
    struct buffer g = { 0 }, node = { 0 }, m;
    struct fault f = FAULT_INIT;
    struct model *model = NULL;

    for (int i = 0; i <= LIMIT_ONNX_ATTRIBUTES; i++)
        pb_bytes(&node, 5, "", 0);
    pb_message(&g, 1, &node);
    m = onnx_model(&g, 17, NULL);
    CHECK_I64(onnx_read(m.p, m.n, &model, &f), ST_TOO_LARGE);
    CHECK(strstr(f.detail, "500000 attributes") != NULL);
    buffer_free(&m);
}
