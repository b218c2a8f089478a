/* fovea model run: arrays in, arrays out. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/json.h"
#include "cli/network.h"
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
