/*
 * fovea model bench: how long one run takes, and which steps take it. A round warms up once; medians.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "cli/facts.h"
#include "cli/network.h"
#include "inference/graph/passes.h"
#include "inference/plan/context.h"
#include "inference/precision.h"

enum { RUNS_MAX = 100000 };

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static int ascending(const void *a, const void *b)
{
    const double p = *(const double *)a, q = *(const double *)b;

    return (p > q) - (p < q);
}

static double median(double x[], size_t n)
{
    qsort(x, n, sizeof *x, ascending);
    return n % 2 ? x[n / 2] : (x[n / 2 - 1] + x[n / 2]) / 2;
}

struct bench {
    struct plan *plan;
    struct context *context;
    size_t runs;
    double load_ms; /* from the bound graph to a context */
    double *ms;     /* [runs] */
};

static enum status bench_open(const struct network *n, const struct compile_options *o, struct bench *b,
                              struct fault *f)
{
    const double start = now_ms();
    struct graph *copy = graph_clone(n->graph);
    enum status st;

    if (!copy || !(b->ms = calloc(b->runs + 1, sizeof *b->ms))) {
        graph_free(copy);
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    if ((st = graph_optimise(copy, f)) != ST_OK) {
        graph_free(copy);
        return st;
    }
    if ((st = plan_create(copy, o, &b->plan, f)) != ST_OK ||
        (st = context_create(b->plan, &b->context, f)) != ST_OK)
        return st;
    b->load_ms = now_ms() - start;
    for (int i = 0; i < n->graph->ninputs; i++) {
        const struct value v = context_input(b->context, i);
        memcpy(v.data, n->inputs[i].data, value_bytes(&v));
    }
    return context_run(b->context, f);
}

static enum status bench_time(struct bench *b, struct fault *f)
{
    enum status st = ST_OK;

    for (size_t i = 0; st == ST_OK && i < b->runs; i++) {
        const double start = now_ms();
        st = context_run(b->context, f);
        b->ms[i] = now_ms() - start;
    }
    return st;
}

/* Behind the steps come the late nodes. */
static void print_step(const struct bench *b, int i, double ms, double total)
{
    const struct plan *p = b->plan;
    const struct step *s = i < p->nsteps ? &p->steps[i] : NULL;
    const struct node *n = s ? s->node : &p->graph->nodes[p->late.nodes[i - p->nsteps]];
    char name[64];

    printf("%4d  %8.3f ms %5.1f %%  %-18s %-28s %s\n", i, ms, total > 0 ? 100 * ms / total : 0,
           n ? n->type : "-", s ? step_name(s) : "late",
           n ? text_printable(n->name, name, sizeof name) : "reorder");
}

/* Medians of each step over as many runs again. */
static enum status bench_profile(struct bench *b, struct fault *f)
{
    const size_t nsteps = (size_t)b->plan->nsteps + (size_t)b->plan->late.nnodes;
    double *all = calloc(nsteps * b->runs + 1, sizeof *all), *steps = calloc(nsteps + 1, sizeof *steps),
           *line = calloc(b->runs + 1, sizeof *line), total = 0;
    enum status st = all && steps && line ? ST_OK : fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");

    for (size_t r = 0; st == ST_OK && r < b->runs; r++)
        st = context_profile(b->context, all + r * nsteps, f);
    for (size_t i = 0; st == ST_OK && i < nsteps; i++) {
        for (size_t r = 0; r < b->runs; r++)
            line[r] = all[r * nsteps + i];
        steps[i] = median(line, b->runs);
        total += steps[i];
    }
    for (size_t i = 0; st == ST_OK && i < nsteps; i++)
        print_step(b, (int)i, steps[i], total);
    free(all);
    free(steps);
    free(line);
    return st;
}

static enum status report(const struct cli *c, const struct bench *b, const struct network *n,
                          const struct compile_options *o, struct fault *f)
{
    struct facts t = { .json = { .n = 0 } };
    const double middle = median(b->ms, b->runs);

    facts_text(&t, "file", n->file.file_name);
    facts_text(&t, "precision", precision_name(o->precision));
    facts_number(&t, "threads", "%d", o->threads);
    facts_number(&t, "runs", "%zu", b->runs);
    facts_number(&t, "median_ms", "%.3f", middle);
    facts_number(&t, "fastest_ms", "%.3f", b->ms[0]);
    facts_number(&t, "slowest_ms", "%.3f", b->ms[b->runs - 1]);
    facts_number(&t, "gflops", "%.1f", middle > 0 ? n->graph->work * 2e-6 / middle : 0.0);
    facts_number(&t, "compile_ms", "%.1f", b->load_ms);
    facts_number(&t, "steps", "%d", b->plan->nsteps);
    facts_number(&t, "memory_bytes", "%zu",
                 b->plan->memory_bytes + b->plan->scratch_bytes + b->plan->weight_bytes);
    return facts_print(c, &t, f);
}

enum status run_bench(struct cli *c, struct fault *f)
{
    struct compile_options o = { .threads = 1 };
    struct network n = { .graph = NULL };
    struct bench b = { .plan = NULL };
    int64_t runs = 0;
    enum status st;

    if ((st = network_options(c, &o, f)) != ST_OK ||
        (st = cli_integer(c, "runs", 1, RUNS_MAX, 20, &runs, f)) != ST_OK ||
        (st = network_open(c, &n, f)) != ST_OK || (st = network_calibration(c, &n, &o, f)) != ST_OK ||
        (st = network_bind(&n, cli_option(c, "shape"), f)) != ST_OK ||
        (st = network_fill(&n, f)) != ST_OK)
        goto out;
    b.runs = (size_t)runs;
    if ((st = bench_open(&n, &o, &b, f)) == ST_OK && (st = bench_time(&b, f)) == ST_OK)
        st = report(c, &b, &n, &o, f);
    if (st == ST_OK && cli_option(c, "profile") && !c->json)
        st = bench_profile(&b, f);
out:
    context_free(b.context);
    plan_free(b.plan);
    free(b.ms);
    network_close(&n);
    return st;
}
