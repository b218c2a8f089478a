/*
 * fovea model verify: a compiled network against the definitions of its operators; as a whole, or layer
 * by layer.
 */
#include <math.h>
#include "cli/network.h"
#include "inference/compare.h"
#include "inference/plan/check.h"

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

static enum status verify_outputs(struct cli *c, const struct network *n,
                                  const struct compile_options *o, struct fault *f)
{
    struct comparisons all = { .n = 0 };
    const struct comparison *bad;
    double tolerance;
    enum status st = cli_number(c, "tolerance", 0, 1e9, tolerance_of(o), &tolerance, f);

    if (st != ST_OK || (st = graph_compare(n->graph, o, n->inputs, tolerance, &all, f)) != ST_OK)
        return st;
    print_comparisons(c, &all);
    if ((bad = comparisons_bad(&all)))
        st = fault_set(f, ST_CONFLICT, NULL, "the plan differs from the reference by %.4g, more than %g",
                       bad->relative, tolerance);
    comparisons_free(&all);
    return st;
}

/* ---- layer by layer ---- */

/* Wrong ones, and those by plain loops that take a thousandth of the time or work. */
static void print_layer(void *who, const struct layer_check *l)
{
    const struct cli *c = who;
    const bool hot = l->slow && fmax(l->work, l->time) >= 0.001;

    if (c->json || !(l->wrong || hot))
        return;
    printf("%-5s %s by %s: off by %.3g, %.1f %% of the work, %.1f %% of the time\n",
           l->wrong ? "WRONG" : "slow", l->label, l->by, l->difference, 100 * l->work, 100 * l->time);
}

static void print_check(const struct cli *c, const struct plan_check *r)
{
    char text[AVOIDED_TEXT];

    if (c->json)
        printf("{\"layers\":%d,\"wrong\":%d,\"plans\":%d,\"worst\":%.9g,\"slowWork\":%.9g,"
               "\"slowTime\":%.9g,\"avoided\":\"%s\"}\n",
               r->layers, r->wrong, r->plans, r->worst, r->slow_work, r->slow_time,
               avoided_text(&r->avoided, text));
    else
        printf("layers        %d\nwrong         %d\nplans         %d\nworst         %.3g (%s)\n"
               "plain_loops   %.2f %% of the work, %.2f %% of the time\navoided       %d\n",
               r->layers, r->wrong, r->plans, r->worst, r->worst_label, 100 * r->slow_work,
               100 * r->slow_time, r->avoided.n);
}

static enum status verify_layers(struct cli *c, const struct network *n, const struct compile_options *o,
                                 struct fault *f)
{
    const struct plan_watcher w = { .see = print_layer, .who = c };
    struct plan_check r;
    enum status st = graph_check(n->graph, o, n->inputs, &w, &r, f);

    if (st != ST_OK)
        return st;
    print_check(c, &r);
    return r.wrong || r.avoided.n ? fault_set(f, ST_CONFLICT, NULL,
                                              "%d layers are wrong, %d have to be computed another way",
                                              r.wrong, r.avoided.n)
                                  : ST_OK;
}

enum status run_verify(struct cli *c, struct fault *f)
{
    const char *const picture = cli_option(c, "image");
    struct compile_options o = { .threads = 1 };
    struct network n = { .graph = NULL };
    enum status st;

    if ((st = network_options(c, &o, f)) == ST_OK && (st = network_open(c, &n, f)) == ST_OK &&
        (st = network_calibration(c, &n, &o, f)) == ST_OK &&
        (st = network_bind(&n, cli_option(c, "shape"), f)) == ST_OK &&
        (st = network_fill(&n, f)) == ST_OK &&
        (!picture || (st = network_read_picture(&n, picture, f)) == ST_OK))
        st = cli_option(c, "layers") ? verify_layers(c, &n, &o, f) : verify_outputs(c, &n, &o, f);
    network_close(&n);
    return st;
}
