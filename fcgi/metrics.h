/* Counters in shared memory over all processes and pools, printed as Prometheus text (format 0.0.4). */
#ifndef FCGI_METRICS_H
#define FCGI_METRICS_H

#include "fcgi/router.h"

struct metrics;

enum status metrics_open(const char *path, struct metrics **ret, struct fault *f) MUST_USE;
/* route_index: router_index; router_count() for what met no route. */
void metrics_request(struct metrics *m, size_t route_index, int status, int64_t us);
/* Named gauges and counters of a fixed list. */
enum metric {
    METRIC_PREDICTIONS,
    METRIC_PREDICT_US,
    METRIC_MODELS_LOADED,
    METRIC_UPLOAD_BYTES,
    METRIC_CHILD_DEATHS,
    METRIC__COUNT
};
void metrics_add(struct metrics *m, enum metric which, int64_t n);
void metrics_print(const struct metrics *m, const struct router *r, struct buffer *out);

#endif
