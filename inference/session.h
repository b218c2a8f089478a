/*
 * A compiled graph and the contexts that run it. Thread-safe: each run takes an idle context or makes
 * one, and gives it back; so there are as many contexts as there were runs at once.
 */
#ifndef INFERENCE_SESSION_H
#define INFERENCE_SESSION_H

#include "inference/plan/context.h"

struct session;

/* Optimises and compiles an inferred graph, which it takes over (also on failure). Options as for
 * plan_create. */
enum status session_create(struct graph *g, const struct compile_options *o, struct session **ret,
                           struct fault *f) MUST_USE;
void session_free(struct session *s); /* accepts NULL; no run may be under way */

enum status session_take(struct session *s, struct context **ret, struct fault *f) MUST_USE;
void session_give(struct session *s, struct context *c); /* accepts NULL */

/* Packed weights, and the contexts made so far. */
size_t session_memory_bytes(struct session *s);

#endif
