/*
 * Layers that a plan must not compute as the planner would: what a check (check.h) has found wrong on
 * this processor. A layer is known by its operator and the name of what it makes, so that a list holds
 * for every size and thread count of one file; who shares both is avoided too. A plain struct: copied by
 * assignment, needs no release.
 */
#ifndef INFERENCE_PLAN_AVOID_H
#define INFERENCE_PLAN_AVOID_H

#include "inference/graph/graph.h"

enum avoidance {
    AVOID_NOTHING,
    AVOID_OWN, /* no kernel of ours: oneDNN's */
    AVOID_FAST /* the operator's reference */
};

struct avoided {
    int n;
    struct {
        uint64_t layer;
        enum avoidance how;
    } items[LIMIT_PLAN_AVOIDED];
};

/* a: NULL avoids nothing. */
enum avoidance avoided_how(const struct avoided *a, const struct graph *g, const struct node *n);

/* The layer is avoided so from now on. False: so it was already, or the list is full. */
bool avoided_add(struct avoided *a, const struct graph *g, const struct node *n, enum avoidance how);

/* The same layers in the same order, avoided alike. */
bool avoided_same(const struct avoided *a, const struct avoided *b);

/*
 * As text, to be kept: "9ae1c3d2708f5b64:own 03...:fast", 16 hexadecimal digits a layer; empty for an
 * empty list. avoided_read takes what avoided_text wrote and nothing else; false: it is not that.
 */
enum { AVOIDED_TEXT = LIMIT_PLAN_AVOIDED * 22 + 1 };
const char *avoided_text(const struct avoided *a, char text[AVOIDED_TEXT]);
bool avoided_read(const char *text, struct avoided *ret);

#endif
