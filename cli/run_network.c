/*
 * fovea model run: arrays in, arrays out. fovea model verify: the compiled plan against the plain
 * interpreter.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/json.h"
#include "cli/network.h"
#include "inference/compare.h"
#include "inference/graph/passes.h"
#include "inference/npy.h"
#include "inference/plan/context.h"

static enum status write_output(const char *dir, int i, const struct value *v, struct fault *f)
{
    struct buffer b = { .n = 0 };
    char path[4096];
    enum status st;

    if ((size_t)snprintf(path, sizeof path, "%s/out%d.npy", dir, i) >= sizeof path)
        return fault_set(f, ST_INVALID, "output-dir", "the name is too long");
    npy_write(v, &b);
    st = b.failed ? fault_set(f, ST_UNAVAILABLE, NULL, "out of memory") : file_write(path, b.p, b.n, f);
    buffer_free(&b);
    return st;
}

/* Writes output i and says what it is. */
static enum status put_output(const struct cli *c, const struct graph *g, int i, const struct value *v,
                              struct fault *f)
{
    const char *const dir = cli_option(c, "output-dir");
    char name[64], shape[96];
    enum status st = write_output(dir, i, v, f);

    text_printable(g->tensors[g->outputs[i]].name, name, sizeof name);
    value_shape_text(v, shape, sizeof shape);
    if (st != ST_OK)
        return st;
    if (c->json)
        printf("%s{\"file\":\"out%d.npy\",\"name\":\"%s\",\"type\":\"%s\",\"shape\":\"%s\"}%s",
               i ? "," : "[", i, name, dtype_name(v->type), shape, i + 1 == g->noutputs ? "]\n" : "");
    else
        printf("out%d.npy  %s  %s  %s\n", i, name, dtype_name(v->type), shape);
    return ST_OK;
}

static enum status run_reference(const struct cli *c, const struct network *n, struct fault *f)
{
    const struct graph *g = n->graph;
    struct value *out = calloc((size_t)g->noutputs + 1, sizeof *out);
    enum status st;

    if (!out)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = graph_interpret(g, n->inputs, out, f)) == ST_OK) {
        for (int i = 0; i < g->noutputs; i++) {
            if (st == ST_OK)
                st = put_output(c, g, i, &out[i], f);
            free(out[i].data);
        }
    }
    free(out);
    return st;
}

static enum status run_planned(const struct cli *c, const struct network *n,
                               const struct compile_options *o, struct fault *f)
{
    struct graph *copy = graph_clone(n->graph);
    struct context *context = NULL;
    struct plan *plan = NULL;
    enum status st;

    if (!copy)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = graph_optimise(copy, f)) != ST_OK)
        graph_free(copy);
    else
        st = plan_create(copy, o, &plan, f);
    if (st != ST_OK || (st = context_create(plan, &context, f)) != ST_OK)
        goto out;
    for (int i = 0; i < n->graph->ninputs; i++) {
        const struct value v = context_input(context, i);
        memcpy(v.data, n->inputs[i].data, value_bytes(&v));
    }
    st = context_run(context, f);
    for (int i = 0; st == ST_OK && i < n->graph->noutputs; i++) {
        const struct value v = context_output(context, i);
        st = put_output(c, n->graph, i, &v, f);
    }
out:
    context_free(context);
    plan_free(plan);
    return st;
}

enum status run_run(struct cli *c, struct fault *f)
{
    const char *const dir = cli_option(c, "output-dir");
    struct compile_options o;
    struct network n = { .graph = NULL };
    enum status st;

    if ((st = network_options(c, &o, f)) != ST_OK || (st = network_open(c, &n, f)) != ST_OK ||
        (st = network_calibration(c, &n, &o, f)) != ST_OK ||
        (st = network_read_inputs(&n, cli_option(c, "input"), f)) != ST_OK)
        goto out;
    if (mkdir(dir, 0777) != 0 && errno != EEXIST)
        st = fault_set(f, ST_UNAVAILABLE, "output-dir", "%s: %s", dir, strerror(errno));
    else if (cli_option(c, "reference"))
        st = run_reference(c, &n, f);
    else
        st = run_planned(c, &n, &o, f);
out:
    network_close(&n);
    return st;
}

/* What float32 in another order, or fewer bits, may make of outputs: |difference| / (1 + |value|). */
static double tolerance_of(const struct compile_options *o)
{
    return o->precision == PRECISION_INT8   ? 0.2
           : o->precision == PRECISION_BF16 ? 0.4
           : o->precision == PRECISION_F16  ? 0.1
           : o->exact                       ? 2e-4
                                            : 1e-3;
}

static void print_comparisons(const struct cli *c, const struct comparisons *all)
{
    char name[64], shape[96];

    for (int i = 0; i < all->n; i++) {
        const struct comparison *r = &all->items[i];
        text_printable(r->name, name, sizeof name);
        value_shape_text(&r->shape, shape, sizeof shape);
        if (c->json)
            printf("%s{\"name\":\"%s\",\"shape\":\"%s\",\"absolute\":%.9g,\"relative\":%.9g,"
                   "\"own\":%.9g,\"ok\":%s}",
                   i ? "," : "[", name, shape, fmin(r->absolute, 1e38), fmin(r->relative, 1e38),
                   fmin(r->own, 1e38), r->ok ? "true" : "false");
        else
            printf("%-4s %-24s %-20s absolute %-11.4g relative %.4g%s\n", r->ok ? "ok" : "BAD", name,
                   shape, r->absolute, r->relative,
                   r->own > 0 && r->ok ? " (no less stable than the network)" : "");
    }
    if (c->json)
        printf("]\n");
    else if (all->before_ranking)
        printf("(compared before the ranking that turns near ties into another order)\n");
}

enum status run_verify(struct cli *c, struct fault *f)
{
    const char *const picture = cli_option(c, "image");
    struct compile_options o = { .threads = 1 };
    struct comparisons all = { .n = 0 };
    const struct comparison *bad;
    struct network n = { .graph = NULL };
    double tolerance;
    enum status st;

    if ((st = network_options(c, &o, f)) != ST_OK ||
        (st = cli_number(c, "tolerance", 0, 1e9, tolerance_of(&o), &tolerance, f)) != ST_OK ||
        (st = network_open(c, &n, f)) != ST_OK || (st = network_calibration(c, &n, &o, f)) != ST_OK ||
        (st = network_bind(&n, cli_option(c, "shape"), f)) != ST_OK ||
        (st = network_fill(&n, f)) != ST_OK ||
        (picture && (st = network_read_picture(&n, picture, f)) != ST_OK))
        goto out;
    if ((st = graph_compare(n.graph, &o, n.inputs, tolerance, &all, f)) != ST_OK)
        goto out;
    print_comparisons(c, &all);
    if ((bad = comparisons_bad(&all)))
        st = fault_set(f, ST_CONFLICT, NULL, "the plan differs from the reference by %.4g, more than %g",
                       bad->relative, tolerance);
out:
    comparisons_free(&all);
    network_close(&n);
    return st;
}
