/*
 * What one run brings to a plan: memory for activations, bindings, an OpenMP team. One thread at a time.
 */
#ifndef INFERENCE_PLAN_CONTEXT_H
#define INFERENCE_PLAN_CONTEXT_H

#include "inference/plan/plan.h"

struct context;

enum status context_create(const struct plan *p, struct context **ret, struct fault *f) MUST_USE;
void context_free(struct context *c); /* accepts NULL */

/* Input i and output i as dense values in the context's memory. Write the inputs before each run. The
 * graph's shape of a late output (graph/late.h) is an upper bound; its own is known after a run, and its
 * data stays until the next. */
struct value context_input(const struct context *c, int i);
struct value context_output(const struct context *c, int i);

enum status context_run(struct context *c, struct fault *f) MUST_USE;

/* Steps first to last - 1 of a run, for who stops in between; what is late is not run. */
enum status context_steps(struct context *c, int first, int last, struct fault *f) MUST_USE;
/* What stands in a slot's memory now. */
struct value context_slot(const struct context *c, int slot);

/*
 * One run that shows what each step has written as soon as it is there: later steps may use its memory.
 * output: which of the step's.
 */
enum status context_observe(struct context *c,
                            void (*see)(void *who, const struct step *s, int output,
                                        const struct value *v),
                            void *who, struct fault *f) MUST_USE;

/* Milliseconds of each step of one run, then of each late node, for reports; ms[nsteps + late.nnodes].
 */
enum status context_profile(struct context *c, double ms[], struct fault *f) MUST_USE;

#endif
