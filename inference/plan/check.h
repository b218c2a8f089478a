/*
 * A plan against the definitions, layer by layer: each node's reference is given what the plan itself
 * has made of the node's inputs, so that no difference comes from an earlier layer and the guilty one is
 * known by name. What is wrong is planned another way, own kernel -> oneDNN -> reference, until nothing
 * is. A plan takes hundreds of times as long so: once for each file, kind of processor and release.
 */
#ifndef INFERENCE_PLAN_CHECK_H
#define INFERENCE_PLAN_CHECK_H

#include "inference/plan/plan.h"

struct layer_check {
    const char *label, *by; /* "Conv node ..."; what runs it, or "view" */
    bool wrong;             /* beyond the tolerance */
    bool slow;              /* by plain loops: the operator's reference, or oneDNN's ref: and gemm: */
    double difference;      /* largest difference; of the largest value, or for heads and squashing
                               operators of each value or 1. In bytes: root mean squares. */
    double work, time;      /* shares of the plan's multiplications and of one run's milliseconds */
};

enum { PLAN_CHECK_LABEL = 128 };
struct plan_check {
    int layers, wrong;                    /* compared; of the last plan, beyond the tolerance */
    int replanned;                        /* of the wrong ones, that another way was left for */
    int plans;                            /* made until then; 1: the first was right */
    double worst;                         /* difference among the layers that are right */
    char worst_label[PLAN_CHECK_LABEL];   /* of that layer */
    double slow_work, slow_time;          /* shares of all slow layers */
    char slowest_label[PLAN_CHECK_LABEL]; /* the one of them that takes longest; or empty */
    struct avoided avoided;               /* by the last plan */
};

/* Is shown every plan before it is checked (a test may damage it), and every layer of it, in order; what
 * it is shown lasts for the call. Either may be NULL. */
struct plan_watcher {
    void (*made)(void *who, struct plan *p);
    void (*see)(void *who, const struct layer_check *l);
    void *who;
};

/* A watcher's `see`: the first wrong layer, what runs it and how far it is off. who: a text of
 * PLAN_CHECK_REASON bytes, empty at first. */
enum { PLAN_CHECK_REASON = 160 };
void plan_check_reason(void *who, const struct layer_check *l);

/*
 * bound: inferred, before any pass. inputs: one value for each of the graph's. o->avoid is where it
 * begins, or NULL. watcher may be NULL. ret->wrong > 0: something could not be put right. Late nodes run
 * by their references and are not checked.
 */
enum status graph_check(const struct graph *bound, const struct compile_options *o,
                        const struct value inputs[], const struct plan_watcher *watcher,
                        struct plan_check *ret, struct fault *f) MUST_USE;

/* One plan as it is: adds to ret, what is wrong to ret->avoided. o: that it was made with. */
enum status plan_check(const struct plan *p, const struct compile_options *o,
                       const struct value inputs[], const struct plan_watcher *watcher,
                       struct plan_check *ret, struct fault *f) MUST_USE;

#endif
