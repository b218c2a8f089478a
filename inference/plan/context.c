/*
 * Running a plan. See context.h.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "inference/plan/context.h"

/* A step with its pointers filled in: a binding for oneDNN, or a call for native code. */
struct bound_step {
    struct kernel_binding *binding;
    struct call call;
};

struct context {
    const struct plan *plan;
    struct kernel_stream *stream;
    char *memory, *scratch;
    struct bound_step *steps;
    struct value *values;    /* of native calls, all in one array */
    struct value **pointers; /* into it */
    struct evaluation late;  /* of the late part, where the plan has one */
};

static char *aligned(size_t bytes)
{
    return aligned_alloc(4096, (bytes + 4096) / 4096 * 4096);
}

static void *slot_data(const struct context *c, int slot)
{
    size_t offset;
    const int root = plan_root(c->plan, slot, &offset);
    const struct slot *s = &c->plan->slots[root];

    return (s->v.data ? (char *)s->v.data : c->memory + s->offset) + offset;
}

static struct value slot_value(const struct context *c, int slot)
{
    struct value v = c->plan->slots[slot].v;

    v.data = slot_data(c, slot);
    return v;
}

static bool bind_kernel(struct context *c, const struct step *s, struct bound_step *b)
{
    void *pointers[8] = { NULL };

    for (int i = 0; i < s->nin + s->nout && i < 8; i++)
        pointers[i] = slot_data(c, s->slots[i]);
    return (b->binding = kernel_bind(s->kernel, pointers, c->scratch)) != NULL;
}

/* `at`: the first free entry of values and pointers. */
static size_t bind_native(struct context *c, const struct step *s, struct bound_step *b, size_t at)
{
    const int n = s->nin + s->nout;

    for (int i = 0; i < n; i++) {
        const bool given = s->slots[i] != GRAPH_NONE;
        if (given)
            c->values[at + (size_t)i] = slot_value(c, s->slots[i]);
        c->pointers[at + (size_t)i] = given ? &c->values[at + (size_t)i] : NULL;
    }
    b->call = (struct call){ s->node,
                             c->plan->graph->opset,
                             s->nin,
                             s->nout,
                             (const struct value *const *)(c->pointers + at),
                             c->pointers + at + s->nin };
    return at + (size_t)n;
}

static bool bind_all(struct context *c)
{
    const struct plan *p = c->plan;
    size_t at = 0;

    for (int i = 0; i < p->nsteps; i++) {
        if (!p->steps[i].kernel) /* our own convolutions too: they take their pointers from the values */
            at = bind_native(c, &p->steps[i], &c->steps[i], at);
        else if (!bind_kernel(c, &p->steps[i], &c->steps[i]))
            return false;
    }
    return true;
}

/* Room for the late part, with its inputs where the steps leave them. */
static enum status bind_late(struct context *c, struct fault *f)
{
    const struct late_part *l = &c->plan->late;
    enum status st;

    if (l->nnodes == 0 || (st = evaluation_create(&c->late, c->plan->graph, f)) != ST_OK)
        return l->nnodes == 0 ? ST_OK : st;
    for (int i = 0; i < l->ninputs; i++)
        c->late.values[l->inputs[i]] = slot_value(c, c->plan->late_inputs[i]);
    return ST_OK;
}

enum status context_create(const struct plan *p, struct context **ret, struct fault *f)
{
    struct context *c = calloc(1, sizeof *c);
    size_t nvalues = 1;

    for (int i = 0; i < p->nsteps; i++)
        nvalues += (size_t)p->steps[i].nin + (size_t)p->steps[i].nout;
    if (c) {
        c->plan = p;
        c->stream = kernel_stream_create(p->engine);
        c->memory = aligned(p->memory_bytes);
        c->scratch = aligned(p->scratch_bytes);
        c->steps = calloc((size_t)p->nsteps + 1, sizeof *c->steps);
        c->values = calloc(nvalues, sizeof *c->values);
        c->pointers = calloc(nvalues, sizeof(struct value *));
    }
    if (!c || !c->stream || !c->memory || !c->scratch || !c->steps || !c->values || !c->pointers ||
        !bind_all(c) || bind_late(c, f) != ST_OK) {
        context_free(c);
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    }
    *ret = c;
    return ST_OK;
}

void context_free(struct context *c)
{
    if (!c)
        return;
    for (int i = 0; c->steps && i < c->plan->nsteps; i++)
        kernel_binding_free(c->steps[i].binding);
    kernel_stream_free(c->stream);
    evaluation_free(&c->late);
    free(c->memory);
    free(c->scratch);
    free(c->steps);
    free(c->values);
    free(c->pointers);
    free(c);
}

struct value context_input(const struct context *c, int i)
{
    return slot_value(c, c->plan->inputs[i]);
}

struct value context_output(const struct context *c, int i)
{
    const int slot = c->plan->outputs[i];

    return slot == GRAPH_NONE ? c->late.values[c->plan->graph->outputs[i]] : slot_value(c, slot);
}

/* Image by image. */
static void run_conv(struct context *c, const struct call *call, const struct conv_kernel *k)
{
    const struct value *x = call->in[0], *residual = call_in(call, 1), *y = call->out[0];
    const size_t images = (size_t)x->dims[0];
    const size_t in = value_bytes(x) / images, out = value_bytes(y) / images;

    for (size_t n = 0; n < images; n++)
        conv_kernel_run(k, (char *)x->data + n * in, residual ? (char *)residual->data + n * out : NULL,
                        (char *)y->data + n * out, c->scratch, c->plan->threads);
}

static enum status run_step(struct context *c, int i, struct fault *f)
{
    const struct step *s = &c->plan->steps[i];

    if (s->kernel)
        return kernel_execute(s->kernel, c->steps[i].binding, c->stream, f);
    if (s->conv)
        run_conv(c, &c->steps[i].call, s->conv);
    else
        s->run(&c->steps[i].call);
    return ST_OK;
}

enum status context_run(struct context *c, struct fault *f)
{
    enum status st = ST_OK;

    kernel_stream_begin(c->stream);
    for (int i = 0; st == ST_OK && i < c->plan->nsteps; i++)
        st = run_step(c, i, f);
    return st == ST_OK && c->plan->late.nnodes ? late_run(&c->late, &c->plan->late, f) : st;
}

enum status context_steps(struct context *c, int first, int last, struct fault *f)
{
    enum status st = ST_OK;

    kernel_stream_begin(c->stream);
    for (int i = first; st == ST_OK && i < last; i++)
        st = run_step(c, i, f);
    return st;
}

struct value context_slot(const struct context *c, int slot)
{
    return slot_value(c, slot);
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static enum status profile_late(struct context *c, double ms[], struct fault *f)
{
    const struct late_part *p = &c->plan->late;
    enum status st = ST_OK;

    evaluation_begin(&c->late);
    for (int i = 0; st == ST_OK && i < p->nnodes; i++) {
        const double start = now_ms();
        st = evaluation_run_late(&c->late, &c->late.g->nodes[p->nodes[i]], f);
        ms[i] = now_ms() - start;
    }
    return st;
}

enum status context_profile(struct context *c, double ms[], struct fault *f)
{
    enum status st = ST_OK;

    kernel_stream_begin(c->stream);
    for (int i = 0; st == ST_OK && i < c->plan->nsteps; i++) {
        const double start = now_ms();
        st = run_step(c, i, f);
        ms[i] = now_ms() - start;
    }
    return st == ST_OK && c->plan->late.nnodes ? profile_late(c, ms + c->plan->nsteps, f) : st;
}

enum status context_observe(struct context *c,
                            void (*see)(void *who, const struct step *s, int output,
                                        const struct value *v),
                            void *who, struct fault *f)
{
    enum status st = ST_OK;

    kernel_stream_begin(c->stream);
    for (int i = 0; st == ST_OK && i < c->plan->nsteps; i++) {
        const struct step *s = &c->plan->steps[i];
        if ((st = run_step(c, i, f)) != ST_OK)
            break;
        for (int k = 0; k < s->nout; k++) {
            const struct value v = s->slots[s->nin + k] == GRAPH_NONE
                                       ? (struct value){ .data = NULL }
                                       : slot_value(c, s->slots[s->nin + k]);
            if (v.data)
                see(who, s, k, &v);
        }
    }
    return st;
}
