/*
 * Every model file of the fixtures (and of the folders in FOVEA_MODELS, colons between): read, bound to
 * its own size, compiled, and compared with the plain interpreter, output by output. Prints the table
 * that docs/inference.md shows; what the page promises and a file no longer does is a failure, and what
 * it does better is said.
 */
#include <dirent.h>
#include "tests/models/fixture.h"

#include "inference/compare.h"

enum { FILES_MAX = 400, TOLERANCE_PARTS = 1000 };

struct files {
    char paths[FILES_MAX][512];
    int n;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

static bool is_model(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot && (strcmp(dot, ".onnx") == 0 || strcmp(dot, ".pt") == 0);
}

static void collect(const char *folder, struct files *all)
{
    DIR *d = opendir(folder);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (is_model(e->d_name) && all->n < FILES_MAX)
            snprintf(all->paths[all->n++], sizeof all->paths[0], "%s/%s", folder, e->d_name);
    if (d)
        closedir(d);
}

static void collect_all(struct files *all)
{
    const char *more = getenv("FOVEA_MODELS");
    char folder[512];

    for (int i = 0; test_fixtures() && i < 2; i++) {
        snprintf(folder, sizeof folder, "%s/models/%s", test_fixtures(), i ? "generated" : "real");
        collect(folder, all);
    }
    while (more && *more) {
        const size_t n = strcspn(more, ":");
        snprintf(folder, sizeof folder, "%.*s", (int)n, more);
        collect(folder, all);
        more += n + (more[n] == ':');
    }
    qsort(all->paths, (size_t)all->n, sizeof all->paths[0], by_name);
}

/* One line of the table: what the file is, and how it went. */
struct result {
    char name[96], family[32], task[16], input[48], verdict[200];
    bool agrees, left_out;
};

static void compare(const struct graph *g, struct result *r)
{
    const struct compile_options options = { .threads = 1 };
    struct comparisons all = { .n = 0 };
    struct fault f = FAULT_INIT;
    struct value in = g->tensors[g->inputs[0]].v;
    double worst = 0;

    in.data = malloc(value_bytes(&in) + 1);
    value_fill(&in, 1);
    if (graph_compare(g, &options, &in, 1.0 / TOLERANCE_PARTS, &all, &f) != ST_OK) {
        snprintf(r->verdict, sizeof r->verdict, "%s", f.detail);
    } else {
        for (int i = 0; i < all.n; i++)
            worst = all.items[i].relative > worst ? all.items[i].relative : worst;
        r->agrees = comparisons_bad(&all) == NULL;
        snprintf(r->verdict, sizeof r->verdict, "%d outputs, worst %.2g%s", all.n, worst,
                 all.before_ranking ? ", before its ranking" : "");
    }
    comparisons_free(&all);
    free(in.data);
}

/* At its own size, or where it may have another and its own is large, at one that does not keep the
 * interpreter busy for seconds. */
static void compare_at_some_size(const struct opened_model *o, struct result *r)
{
    enum { LARGE = 320, SMALL = 160 };
    struct fault f = FAULT_INIT;
    struct graph *g = NULL;

    if (!o->dynamic && too_slow(o->height))
        r->left_out = true;
    else if (!o->dynamic || o->height <= LARGE)
        compare(o->bound, r);
    else if (model_bind(o->model, SMALL, SMALL, &g, &f) == ST_OK)
        compare(g, r);
    else
        snprintf(r->verdict, sizeof r->verdict, "%s", f.detail);
    graph_free(g);
}

static void judge(const char *path, struct result *r)
{
    struct opened_model o = { .model = NULL };
    struct fault f = FAULT_INIT;
    struct file file;

    *r = (struct result){ .name = "" };
    snprintf(r->name, sizeof r->name, "%s", strrchr(path, '/') + 1);
    if (!file_load(path, &file) || opened_model_read(file.bytes, file.n, &o, &f) != ST_OK) {
        snprintf(r->verdict, sizeof r->verdict, "%s", file.bytes ? f.detail : "cannot be read");
        free(file.bytes);
        return;
    }
    snprintf(r->family, sizeof r->family, "%s", o.card->family[0] ? o.card->family : "raw");
    snprintf(r->task, sizeof r->task, "%s", o.card->task_known ? model_task_name(o.card->task) : "-");
    if (!o.bound) {
        snprintf(r->verdict, sizeof r->verdict, "%s", o.card->why_not);
    } else {
        value_shape_text(&o.bound->tensors[o.bound->inputs[0]].v, r->input, sizeof r->input);
        if (!o.card->runnable)
            snprintf(r->family, sizeof r->family, "raw");
        compare_at_some_size(&o, r);
    }
    opened_model_free(&o);
    free(file.bytes);
}

/* The page's row for a file, or NULL. */
static const char *documented(const char *page, const char *name, char *row, size_t size)
{
    char start[128];
    const char *at;

    snprintf(start, sizeof start, "| %s |", name);
    if (!(at = strstr(page, start)))
        return NULL;
    snprintf(row, size, "%.*s", (int)strcspn(at, "\n"), at);
    return row;
}

static void row_of(const struct result *r, char *row, size_t size)
{
    snprintf(row, size, "| %s | %s | %s | %s | %s |", r->name, r->family, r->task, r->input,
             r->agrees ? "agrees" : "no");
}

TEST(every_model_file_runs_and_agrees_with_the_interpreter)
{
    struct files *all = calloc(1, sizeof *all);
    struct file file;
    char *page, row[400], promised[400];

    REQUIRE(file_load("docs/inference.md", &file)); /* run from the root of the tree */
    page = file.bytes;
    page[file.n] = '\0';
    collect_all(all);
    if (all->n == 0) {
        free(all);
        free(page);
        SKIP("fixtures are absent");
    }
    for (int i = 0; i < all->n; i++) {
        struct result r;
        judge(all->paths[i], &r);
        if (r.left_out) {
            printf("# %s: left out, a sanitizer makes the interpreter take minutes\n", r.name);
            continue;
        }
        row_of(&r, row, sizeof row);
        printf("# %s %s\n", row, r.verdict);
        if (!r.agrees)
            TEST_FAIL_("%s: %s", r.name, r.verdict);
        if (documented(page, r.name, promised, sizeof promised) && strcmp(promised, row) != 0) {
            if (strcmp(r.family, "raw") == 0)
                TEST_FAIL_("docs/inference.md promises %s", promised);
            else
                printf("# docs/inference.md is behind: %s\n", promised);
        }
    }
    free(all);
    free(page);
}
