/* See check.h. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "inference/graph/infer.h"
#include "inference/graph/passes.h"
#include "inference/kernels/floats.h"
#include "inference/plan/check.h"
#include "inference/plan/context.h"

enum { PLANS_MAX = 4 };

struct checking {
    const struct plan *plan;
    const struct compile_options *options;
    const struct plan_watcher *watcher;
    struct context *context;
    struct evaluation reference; /* what the plan made of each tensor, as long as it is read */
    double *ms;                  /* [plan->nsteps] of one run */
    double all_ms, all_work;
    double slowest_ms;
    struct plan_check *ret;
};

/* ---- how far apart ---- */

/* Rounding to 16 bits, twice; short sums in them; Winograd's transforms; bytes. */
static double tolerance_of(const struct compile_options *o)
{
    if (o->exact)
        return 1e-4;
    switch (o->precision) {
    case PRECISION_INT8:
        return 0.15;
    case PRECISION_BF16:
        return 0.08;
    case PRECISION_F16:
        return 0.04;
    default:
        return 4e-4;
    }
}

/* Its values have a scale of their own: probabilities, or pixels beside them. */
static bool has_own_scale(const struct node *n)
{
    static const char *const types[] = { "Sigmoid",    "Softmax",     "HardSigmoid", "Tanh",
                                         "YoloDecode", "YoloAnchors", "YoloRows" };

    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(n->type, types[i]) == 0)
            return true;
    return n->fused.act == ACT_SIGMOID;
}

/* Of one number; equal ones, NaN and infinity too, are at no distance. */
static double distance(double want, double got)
{
    if (want == got || (isnan(want) && isnan(got)))
        return 0;
    return isfinite(want) && isfinite(got) ? fabs(want - got) : INFINITY;
}

static double measure(const struct value *want, const struct value *got, bool own_scale, bool mean)
{
    double most = 0, largest = 0, differences = 0, squares = 0;

    const bool floats = want->type == DTYPE_F32;
    const size_t n = value_elements(want);

    for (size_t i = 0; i < n; i++) {
        const double w = floats ? (double)value_f32(want)[i] : value_get_f64(want, i),
                     g = floats ? (double)value_f32(got)[i] : value_get_f64(got, i), d = distance(w, g);
        const double size = isfinite(w) ? fabs(w) : 0, one = own_scale ? d / fmax(1, size) : d;
        most = fmax(most, one);
        largest = fmax(largest, size);
        differences += d * d;
        squares += size * size;
    }
    if (most == 0 || own_scale)
        return most;
    return mean ? sqrt(differences / fmax(squares, 1e-30)) : most / fmax(largest, 1e-30);
}

/* ---- what the plan has made ---- */

/* Blocks of channels as float32, whatever they are made of; NULL: out of memory. */
static float *widened(const struct value *x, const struct quanta *q)
{
    const size_t n = value_elements(x), pixels = value_span(x, 2, 4), planes = value_span(x, 0, 2);
    float *y = aligned_alloc(64, (n * sizeof *y + 127) / 64 * 64);

    if (!y)
        return NULL;
    if (x->type == DTYPE_F32)
        memcpy(y, x->data, n * sizeof *y);
    else if (x->type != DTYPE_U8)
        floats_widen(x->data, y, n, x->type);
    for (size_t p = 0; x->type == DTYPE_U8 && p < planes; p++) {
        const struct quanta block = quanta_of_block(q, (int)(p % (size_t)x->dims[1]));
        bytes_widen(&block, value_u8(x) + p * pixels * 16, y + p * pixels * 16, pixels);
    }
    return y;
}

/* Copies tensor t, as the plan has it now, into y of its shape. False: out of memory. */
static bool read_tensor(const struct checking *c, int t, struct value *y)
{
    const struct trace *trace = &c->plan->traces[t];
    const struct value x = context_slot(c->context, trace->slot);
    const size_t plane = value_span(y, 2, y->rank), channels = y->rank > 1 ? (size_t)y->dims[1] : 1;
    size_t block, whole;
    float *from;

    if (x.rank != 5 || y->rank != 4) {
        memcpy(y->data, x.data, value_bytes(y));
        return true;
    }
    if (!(from = widened(&x, &trace->q)))
        return false;
    block = (size_t)x.dims[4];
    whole = (size_t)x.dims[1] * block;
    for (size_t n = 0; n < (size_t)y->dims[0]; n++)
        for (size_t k = 0; k < channels; k++)
            for (size_t i = 0; i < plane; i++)
                value_f32(y)[(n * channels + k) * plane + i] =
                    from[((n * whole / block + k / block) * plane + i) * block + k % block];
    free(from);
    return true;
}

/* ---- layers ---- */

static bool by_plain_loops(const struct step *s)
{
    return s->kernel ? kernel_is_slow(s->kernel) || strncmp(step_name(s), "gemm", 4) == 0
                     : s->run && s->run == s->node->op->reference;
}

/* The steps of node n that end before `end`: who runs it, and for how long. Returns whether a kernel of
 * our own does. */
static bool find_steps(const struct checking *c, const struct node *n, int from, int end,
                       struct layer_check *l)
{
    const struct step *main = NULL;
    double ms = 0;

    for (int i = from; i < end; i++) {
        const struct step *s = &c->plan->steps[i];
        ms += c->ms[i];
        if (s->node != n)
            continue;
        l->slow |= by_plain_loops(s);
        main = !main || s->kernel || s->conv ? s : main;
    }
    l->by = !main ? "view" : main->run && main->run == n->op->reference ? "reference" : step_name(main);
    l->time = c->all_ms > 0 ? ms / c->all_ms : 0;
    return main && main->conv;
}

static double work_of(const struct checking *c, const struct node *n)
{
    const struct graph *g = c->plan->graph;
    const struct value *in[3] = { NULL };
    struct value *out[1] = { NULL };

    for (int i = 0; i < n->ninputs && i < 3; i++)
        in[i] = n->inputs[i] == GRAPH_NONE ? NULL : &g->tensors[n->inputs[i]].v;
    if (n->noutputs && n->outputs[0] != GRAPH_NONE)
        out[0] = &g->tensors[n->outputs[0]].v;
    return call_work(&(struct call){ n, g->opset, n->ninputs < 3 ? n->ninputs : 3, 1, in, out });
}

static void note(struct checking *c, const struct node *n, bool own, const struct layer_check *l)
{
    struct plan_check *r = c->ret;

    r->layers++;
    if (l->wrong) {
        r->wrong++;
        r->replanned +=
            avoided_add(&r->avoided, c->plan->graph, n, own ? AVOID_OWN : AVOID_FAST) ? 1 : 0;
    } else if (l->difference >= r->worst) {
        r->worst = l->difference;
        snprintf(r->worst_label, sizeof r->worst_label, "%s", l->label);
    }
    if (l->slow) {
        r->slow_work += l->work;
        r->slow_time += l->time;
        if (l->time >= c->slowest_ms) {
            c->slowest_ms = l->time;
            snprintf(r->slowest_label, sizeof r->slowest_label, "%s", l->label);
        }
    }
    if (c->watcher && c->watcher->see)
        c->watcher->see(c->watcher->who, l);
}

/* Its reference on what the plan gave it; then what the plan made takes the reference's place. */
static enum status check_node(struct checking *c, const struct node *n, int from, int end,
                              struct fault *f)
{
    const bool bytes = c->options->precision == PRECISION_INT8 && !c->options->exact;
    char label[PLAN_CHECK_LABEL];
    struct layer_check l = { .label = node_label(c->plan->graph, n, label, sizeof label) };
    const bool own = find_steps(c, n, from, end, &l);
    enum status st = context_steps(c->context, from, end, f);

    if (st == ST_OK)
        st = evaluation_run(&c->reference, n, f);
    for (int i = 0; st == ST_OK && i < n->noutputs; i++) {
        const int t = n->outputs[i];
        struct value *want = t == GRAPH_NONE ? NULL : &c->reference.values[t], got;
        if (!want || !want->data || c->plan->traces[t].slot == GRAPH_NONE)
            continue;
        got = *want;
        if (!(got.data = malloc(value_bytes(&got) + 1)) || !read_tensor(c, t, &got)) {
            st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        } else {
            l.difference = fmax(l.difference, measure(want, &got, has_own_scale(n), bytes));
            memcpy(want->data, got.data, value_bytes(&got));
        }
        free(got.data);
    }
    l.work = c->all_work > 0 ? work_of(c, n) / c->all_work : 0;
    l.wrong = !(l.difference <= tolerance_of(c->options));
    if (st == ST_OK)
        note(c, n, own, &l);
    return st;
}

/* The second run counts: the first one touches the memory. */
static enum status time_steps(struct checking *c, struct fault *f)
{
    enum status st = context_profile(c->context, c->ms, f);

    if (st == ST_OK)
        st = context_profile(c->context, c->ms, f);
    for (int i = 0; st == ST_OK && i < c->plan->nsteps; i++)
        c->all_ms += c->ms[i];
    for (int i = 0; i < c->plan->graph->nnodes; i++)
        c->all_work += c->plan->ends[i] >= 0 ? work_of(c, &c->plan->graph->nodes[i]) : 0;
    return st;
}

static void give_inputs(struct checking *c, const struct value inputs[])
{
    const struct graph *g = c->plan->graph;

    for (int i = 0; i < g->ninputs; i++) {
        const struct value v = context_input(c->context, i);
        memcpy(v.data, inputs[i].data, value_bytes(&v));
        c->reference.values[g->inputs[i]].data = inputs[i].data;
    }
}

enum status plan_check(const struct plan *p, const struct compile_options *o,
                       const struct value inputs[], const struct plan_watcher *watcher,
                       struct plan_check *ret, struct fault *f)
{
    struct checking c = { .plan = p, .options = o, .watcher = watcher, .ret = ret };
    enum status st;
    int done = 0;

    if (!(c.ms = calloc((size_t)p->nsteps + 1, sizeof *c.ms)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = context_create(p, &c.context, f)) != ST_OK ||
        (st = evaluation_create(&c.reference, p->graph, f)) != ST_OK)
        goto out;
    give_inputs(&c, inputs);
    if ((st = time_steps(&c, f)) != ST_OK)
        goto out;
    give_inputs(&c, inputs); /* their memory may be another's by now */
    for (int i = 0; st == ST_OK && i < p->graph->nnodes; i++)
        if (p->ends[i] >= 0) {
            st = check_node(&c, &p->graph->nodes[i], done, p->ends[i], f);
            done = p->ends[i];
        }
out:
    context_free(c.context);
    evaluation_free(&c.reference);
    free(c.ms);
    return st;
}

void plan_check_reason(void *who, const struct layer_check *l)
{
    char *reason = who;

    if (l->wrong && !reason[0])
        snprintf(reason, PLAN_CHECK_REASON, "%.90s by %.30s is off by %.2g", l->label, l->by,
                 l->difference);
}

static enum status make_plan(const struct graph *bound, const struct compile_options *o,
                             struct plan **ret, struct fault *f)
{
    struct graph *g = graph_clone(bound);
    enum status st;

    if (!g)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = graph_optimise(g, f)) == ST_OK)
        return plan_create(g, o, ret, f);
    graph_free(g);
    return st;
}

enum status graph_check(const struct graph *bound, const struct compile_options *o,
                        const struct value inputs[], const struct plan_watcher *watcher,
                        struct plan_check *ret, struct fault *f)
{
    struct avoided avoid = o->avoid ? *o->avoid : (struct avoided){ .n = 0 };
    struct compile_options how = *o;
    struct plan_check r = { .layers = 0 };
    enum status st = ST_OK;

    how.avoid = &avoid;
    do {
        struct plan *p = NULL;

        avoid = r.plans ? r.avoided : avoid;
        r = (struct plan_check){ .plans = r.plans + 1, .avoided = avoid };
        if ((st = make_plan(bound, &how, &p, f)) == ST_OK) {
            if (watcher && watcher->made)
                watcher->made(watcher->who, p);
            st = plan_check(p, &how, inputs, watcher, &r, f);
        }
        plan_free(p);
    } while (st == ST_OK && r.replanned && r.plans < PLANS_MAX);
    if (st == ST_OK)
        *ret = r;
    return st;
}
