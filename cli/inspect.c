/*
 * fovea model inspect: what a weights file is, what it holds, and whether this build can run it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "cli/facts.h"
#include "cli/network.h"
#include "inference/predictor.h"

/* A name of the file; UTF-8 was checked where it matters, printable ASCII elsewhere. */
static void add_names(struct facts *t, const struct model_card *card)
{
    struct buffer json = { .n = 0 }, text = { .n = 0 };

    buffer_char(&json, '[');
    buffer_printf(&text, "%d:", card->nclasses);
    for (int i = 0; i < card->nclasses; i++) {
        buffer_text(&json, i ? "," : "");
        json_write_string(&json, card->class_names[i], strlen(card->class_names[i]));
        if (i < 8)
            buffer_printf(&text, "%s %s", i ? "," : "", card->class_names[i]);
    }
    buffer_char(&json, ']');
    buffer_text(&text, card->nclasses > 8 ? ", ..." : "");
    if (card->nclasses > 0)
        facts_json(t, "names", buffer_terminate(&json), buffer_terminate(&text));
    buffer_free(&json);
    buffer_free(&text);
}

static const char *element_name(const struct value *v)
{
    return dtype_name(v->type);
}

/* "images float32 1x3x640x640" for each input or output. */
static void add_tensors(struct facts *t, const char *name, const struct graph *g, const int list[],
                        int n)
{
    struct buffer json = { .n = 0 }, text = { .n = 0 };
    char shape[96], label[64];

    for (int i = 0; i < n; i++) {
        const struct tensor *x = &g->tensors[list[i]];
        text_printable(x->name, label, sizeof label);
        value_shape_text(&x->v, shape, sizeof shape);
        buffer_printf(&json, "%s{\"name\":\"%s\",\"type\":\"%s\",\"shape\":[", i ? "," : "[", label,
                      element_name(&x->v));
        for (int k = 0; k < x->v.rank; k++)
            buffer_printf(&json, "%s%lld", k ? "," : "", (long long)x->v.dims[k]);
        buffer_text(&json, "]}");
        buffer_printf(&text, "%s%s %s %s", i ? "\n              " : "", label, element_name(&x->v),
                      shape);
    }
    buffer_text(&json, n ? "]" : "[]");
    facts_json(t, name, buffer_terminate(&json), buffer_terminate(&text));
    buffer_free(&json);
    buffer_free(&text);
}

struct tally {
    const char *type;
    int n;
};

static int most_first(const void *a, const void *b)
{
    const struct tally *p = a, *q = b;

    return p->n != q->n ? (p->n < q->n) - (p->n > q->n) : strcmp(p->type, q->type);
}

/* Operators by how often they appear among the live nodes. */
static enum status add_operators(struct facts *t, const struct graph *g, struct fault *f)
{
    struct tally *all = calloc((size_t)g->nnodes + 1, sizeof *all);
    struct buffer json = { .n = 0 }, text = { .n = 0 };
    int kinds = 0, layers = 0;

    if (!all)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (int i = 0; i < g->nnodes; i++) {
        int k = 0;
        if (g->nodes[i].dead)
            continue;
        while (k < kinds && strcmp(all[k].type, g->nodes[i].op->name) != 0)
            k++;
        kinds += k == kinds;
        all[k].type = g->nodes[i].op->name;
        all[k].n++;
        layers++;
    }
    qsort(all, (size_t)kinds, sizeof *all, most_first);
    buffer_char(&json, '{');
    for (int k = 0; k < kinds; k++) {
        buffer_printf(&json, "%s\"%s\":%d", k ? "," : "", all[k].type, all[k].n);
        buffer_printf(&text, "%s%s %d", k ? ", " : "", all[k].type, all[k].n);
    }
    buffer_char(&json, '}');
    facts_number(t, "layers", "%d", layers);
    facts_json(t, "operators", buffer_terminate(&json), buffer_terminate(&text));
    buffer_free(&json);
    buffer_free(&text);
    free(all);
    return ST_OK;
}

static void print_layers(const struct graph *g)
{
    char name[64], shape[96];

    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        size_t weights = 0;
        if (n->dead)
            continue;
        for (int k = 0; k < n->ninputs; k++)
            if (n->inputs[k] != GRAPH_NONE && g->tensors[n->inputs[k]].v.data)
                weights += value_elements(&g->tensors[n->inputs[k]].v);
        printf("%5d  %-20s %-24s %9zu  %s\n", i, n->op->name,
               n->outputs[0] == GRAPH_NONE
                   ? "-"
                   : value_shape_text(&g->tensors[n->outputs[0]].v, shape, sizeof shape),
               weights, text_printable(n->name, name, sizeof name));
    }
}

static void add_card(struct facts *t, const struct network *n)
{
    const struct model_card *card = n->opened.card;

    facts_text(t, "file", n->file.file_name);
    facts_text(t, "format", card->format == MODEL_PT ? "pt" : "onnx");
    facts_number(t, "bytes", "%zu", n->file.n);
    facts_text(t, "task", card->task_known ? model_task_name(card->task) : NULL);
    facts_text(t, "family", card->family);
    facts_text(t, "architecture", card->architecture);
    facts_text(t, "version", card->version);
    facts_json(t, "runnable", card->runnable ? "true" : "false", card->runnable ? "yes" : "no");
    facts_text(t, "why_not", card->why_not);
    add_names(t, card);
    facts_number(t, "parameters", "%lld", (long long)card->parameters);
}

enum status run_inspect(struct cli *c, struct fault *f)
{
    struct facts t = { .json = { .n = 0 } };
    struct network n;
    enum status st;

    if ((st = network_open(c, &n, f)) != ST_OK ||
        (st = network_bind(&n, cli_option(c, "shape"), f)) != ST_OK)
        goto out;
    add_card(&t, &n);
    facts_number(&t, "flops", "%.0f", n.graph->work * 2);
    facts_number(&t, "opset", "%d", n.graph->opset);
    add_tensors(&t, "inputs", n.graph, n.graph->inputs, n.graph->ninputs);
    add_tensors(&t, "outputs", n.graph, n.graph->outputs, n.graph->noutputs);
    if ((st = add_operators(&t, n.graph, f)) == ST_OK)
        st = facts_print(c, &t, f);
    if (st == ST_OK && cli_option(c, "layers") && !c->json)
        print_layers(n.graph);
out:
    facts_free(&t);
    network_close(&n);
    return st;
}
