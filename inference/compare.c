/* Plan against interpreter: see compare.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "inference/compare.h"
#include "inference/graph/passes.h"
#include "inference/plan/context.h"

enum { REPORT_BYTES = 64 << 20 };

/* Next number of a sequence, 0 to 1. */
static double next_number(uint64_t *s)
{
    *s = *s * 6364136223846793005u + 1442695040888963407u;
    return (double)(*s >> 40) / (1 << 24);
}

static bool ranks(const struct node *n)
{
    static const char *const types[] = { "TopK", "ArgMax", "ArgMin", "NonMaxSuppression", "NonZero" };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(n->type, types[i]) == 0)
            return true;
    return false;
}

/* Marks what depends on a ranking; true when anything does. */
static bool mark_ranked(const struct graph *g, bool ranked[])
{
    bool any = false;

    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        bool follows = !n->dead && ranks(n);
        for (int k = 0; !n->dead && k < n->ninputs; k++)
            follows |= n->inputs[k] != GRAPH_NONE && ranked[n->inputs[k]];
        for (int k = 0; follows && k < n->noutputs; k++)
            if (n->outputs[k] != GRAPH_NONE)
                any = ranked[n->outputs[k]] = true;
    }
    return any;
}

static void add_output(struct graph *g, int t)
{
    for (int i = 0; i < g->noutputs; i++)
        if (g->outputs[i] == t)
            return;
    g->outputs[g->noutputs++] = t;
}

/*
 * The outputs become those that no ranking touches, and the computed float32 tensors that ranked parts
 * read. ret_changed tells whether there are any. False: out of memory.
 */
static bool cut_before_ranking(struct graph *g, bool *ret_changed)
{
    bool *ranked = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *ranked);
    int *outputs = arena_array(g->arena, (size_t)g->ntensors + 1, sizeof *outputs);
    const int *were = g->outputs, nwere = g->noutputs;

    if (!ranked || !outputs)
        return false;
    *ret_changed = mark_ranked(g, ranked);
    if (!*ret_changed)
        return true;
    g->outputs = outputs;
    g->noutputs = 0;
    for (int i = 0; i < nwere; i++)
        if (!ranked[were[i]])
            add_output(g, were[i]);
    for (int i = 0; i < g->nnodes; i++) {
        const struct node *n = &g->nodes[i];
        const bool follows = !n->dead && n->outputs[0] != GRAPH_NONE && ranked[n->outputs[0]];
        for (int k = 0; follows && k < n->ninputs; k++) {
            const int t = n->inputs[k];
            if (t != GRAPH_NONE && !ranked[t] && g->tensors[t].producer != GRAPH_NONE &&
                g->tensors[t].v.type == DTYPE_F32)
                add_output(g, t);
        }
    }
    return true;
}

/* A compiled copy of g, run on the inputs. g must outlive the context. */
static enum status run_plan(const struct graph *g, const struct compile_options *o,
                            const struct value inputs[], struct plan **ret_plan,
                            struct context **ret_context, struct fault *f)
{
    struct graph *copy = graph_clone(g);
    enum status st;

    if (!copy)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = graph_optimise(copy, f)) != ST_OK) {
        graph_free(copy);
        return st;
    }
    if ((st = plan_create(copy, o, ret_plan, f)) != ST_OK ||
        (st = context_create(*ret_plan, ret_context, f)) != ST_OK)
        return st;
    for (int i = 0; i < g->ninputs; i++) {
        const struct value v = context_input(*ret_context, i);
        memcpy(v.data, inputs[i].data, value_bytes(&v));
    }
    return context_run(*ret_context, f);
}

/* Largest differences of two values of one shape, absolute and relative to 1 + |want|. */
static void measure(const struct value *want, const struct value *got, double *ret_absolute,
                    double *ret_relative)
{
    double absolute = 0, relative = 0;

    for (size_t i = 0; i < value_elements(want); i++) {
        const double a = value_get_f64(want, i), b = value_get_f64(got, i);
        const double d = a == b || (isnan(a) && isnan(b)) ? 0 : fabs(a - b);
        const double r = isfinite(d) ? d / (1 + fabs(a)) : INFINITY;
        absolute = d > absolute || isnan(d) ? d : absolute;
        relative = r > relative ? r : relative;
    }
    *ret_absolute = absolute;
    *ret_relative = relative;
}

static enum status report(const struct graph *g, const struct value want[], const struct context *got,
                          double tolerance, struct comparisons *c, struct fault *f)
{
    c->n = g->noutputs;
    c->arena = arena_create(REPORT_BYTES);
    c->items = c->arena ? arena_array(c->arena, (size_t)c->n + 1, sizeof *c->items) : NULL;
    for (int i = 0; c->items && i < c->n; i++) {
        struct comparison *item = &c->items[i];
        const struct value v = context_output(got, i);
        item->name = arena_strdup(c->arena, g->tensors[g->outputs[i]].name);
        item->shape = want[i];
        item->shape.data = NULL;
        measure(&want[i], &v, &item->absolute, &item->relative);
        item->ok = item->relative <= tolerance;
    }
    return c->items && !arena_failed(c->arena) ? ST_OK
                                               : fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
}

/* A copy of an input with each float moved by about its last digit; NULL data: out of memory. */
static struct value disturbed(const struct value *v)
{
    struct value d = *v;
    uint64_t s = 7;

    if (!(d.data = malloc(value_bytes(v) + 1)))
        return d;
    memcpy(d.data, v->data, value_bytes(v));
    for (size_t i = 0; d.type == DTYPE_F32 && i < value_elements(v); i++)
        value_f32(&d)[i] += value_f32(&d)[i] * (next_number(&s) < 0.5 ? -1e-6f : 1e-6f);
    return d;
}

/* Judges again what was not ok, by what the interpreter itself does with a disturbed input. */
static enum status excuse(const struct graph *g, const struct value inputs[], const struct value want[],
                          struct comparisons *c, struct fault *f)
{
    struct value *moved = calloc((size_t)g->ninputs + 1, sizeof *moved),
                 *other = calloc((size_t)g->noutputs + 1, sizeof *other);
    enum status st = moved && other ? ST_OK : fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    double absolute;

    for (int i = 0; st == ST_OK && i < g->ninputs; i++)
        if (!(moved[i] = disturbed(&inputs[i])).data)
            st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (st == ST_OK && (st = graph_interpret(g, moved, other, f)) == ST_OK)
        for (int i = 0; i < c->n; i++) {
            struct comparison *item = &c->items[i];
            measure(&want[i], &other[i], &absolute, &item->own);
            item->ok |= item->relative <= COMPARE_NOISE * item->own;
            free(other[i].data);
        }
    for (int i = 0; moved && i < g->ninputs; i++)
        free(moved[i].data);
    free(moved);
    free(other);
    return st;
}

enum status graph_compare(const struct graph *bound, const struct compile_options *o,
                          const struct value inputs[], double tolerance, struct comparisons *ret,
                          struct fault *f)
{
    struct graph *g = graph_clone(bound);
    struct comparisons c = { .n = 0 };
    struct value *want = NULL;
    struct context *context = NULL;
    struct plan *plan = NULL;
    enum status st;

    if (!g || !cut_before_ranking(g, &c.before_ranking) ||
        !(want = calloc((size_t)g->noutputs + 1, sizeof *want))) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        goto out;
    }
    (void)pass_dequantise(g, NULL);
    if ((st = graph_interpret(g, inputs, want, f)) != ST_OK) {
        free(want);
        want = NULL; /* it holds nothing */
        goto out;
    }
    if ((st = run_plan(g, o, inputs, &plan, &context, f)) == ST_OK &&
        (st = report(g, want, context, tolerance, &c, f)) == ST_OK && tolerance > 0 &&
        comparisons_bad(&c))
        st = excuse(g, inputs, want, &c, f);
out:
    for (int i = 0; want && i < g->noutputs; i++)
        free(want[i].data);
    free(want);
    context_free(context);
    plan_free(plan);
    graph_free(g);
    if (st == ST_OK)
        *ret = c;
    else
        comparisons_free(&c);
    return st;
}

void comparisons_free(struct comparisons *c)
{
    arena_free(c->arena);
    *c = (struct comparisons){ .n = 0 };
}

const struct comparison *comparisons_bad(const struct comparisons *c)
{
    for (int i = 0; i < c->n; i++)
        if (!c->items[i].ok)
            return &c->items[i];
    return NULL;
}

/* A plane of waves of several directions and lengths, and a little noise. White noise would drive
 * networks to where no picture does, and rounding with them. */
static void fill_plane(float *x, int64_t height, int64_t width, uint64_t *s)
{
    enum { WAVES = 4 };
    double wave[WAVES][3];

    for (int k = 0; k < WAVES; k++)
        for (int i = 0; i < 3; i++)
            wave[k][i] = 2 * M_PI * next_number(s) * (i < 2 ? 1 << k : 1);
    for (int64_t i = 0; i < height * width; i++) {
        const int64_t row = i / width, column = i % width;
        const double v = (double)row / (double)height, u = (double)column / (double)width;
        double sum = 0;
        for (int k = 0; k < WAVES; k++)
            sum += sin(wave[k][0] * v + wave[k][1] * u + wave[k][2]);
        x[i] = (float)(0.5 + sum / (2.2 * WAVES) + 0.04 * (next_number(s) - 0.5));
    }
}

void value_fill(struct value *v, uint64_t seed)
{
    const bool planes = v->type == DTYPE_F32 && v->rank >= 2 && value_elements(v) > 0;
    const int64_t height = planes ? v->dims[v->rank - 2] : 1;
    const int64_t width = planes ? v->dims[v->rank - 1] : (int64_t)value_elements(v);
    uint64_t s = seed * 2654435761u + 1;

    if (v->type == DTYPE_F32)
        for (size_t at = 0; at < value_elements(v); at += (size_t)(height * width))
            fill_plane(value_f32(v) + at, height, width, &s);
    else
        for (size_t i = 0; i < value_elements(v); i++) {
            const double x = next_number(&s);
            if (v->type == DTYPE_I64)
                value_i64(v)[i] = x < 0.5 ? 0 : 1;
            else
                value_u8(v)[i] = v->type == DTYPE_BOOL ? x < 0.5 : (uint8_t)(x * 127);
        }
}
