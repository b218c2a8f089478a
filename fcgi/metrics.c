/* See metrics.h. */
#include "fcgi/metrics.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "base/version.h"
#include "fcgi/shared.h"

enum { ROUTES_MAX = 512, CLASSES = 6, BUCKETS = 10 };

/* Upper bounds in microseconds; the last bucket is +Inf. */
static const int64_t bounds_us[BUCKETS] = { 500,   1000,   2500,   5000,    10000,
                                            25000, 100000, 500000, 2500000, 10000000 };

struct counters {
    _Atomic int64_t by_class[CLASSES], buckets[BUCKETS], sum_us, count;
};

/* The file itself. */
struct metrics {
    uint64_t magic;
    _Atomic int64_t values[METRIC__COUNT];
    struct counters routes[ROUTES_MAX];
};

enum status metrics_open(const char *path, struct metrics **ret, struct fault *f)
{
    void *p;
    const enum status st = shared_map(path, 0x666f766d65743032U, sizeof **ret, &p, f);

    if (st == ST_OK)
        *ret = p;
    return st;
}

void metrics_request(struct metrics *m, size_t route_index, int status, int64_t us)
{
    struct counters *c = &m->routes[route_index < ROUTES_MAX ? route_index : ROUTES_MAX - 1];
    const int class = status / 100;

    atomic_fetch_add_explicit(&c->by_class[class >= 0 && class < CLASSES ? class : 0], 1,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&c->sum_us, us, memory_order_relaxed);
    atomic_fetch_add_explicit(&c->count, 1, memory_order_relaxed);
    for (int i = 0; i < BUCKETS; i++) {
        if (us <= bounds_us[i]) {
            atomic_fetch_add_explicit(&c->buckets[i], 1, memory_order_relaxed);
            break;
        }
    }
}

void metrics_add(struct metrics *m, enum metric which, int64_t n)
{
    atomic_fetch_add_explicit(&m->values[which], n, memory_order_relaxed);
}

static void print_route(const struct counters *c, const char *dialect, const char *method,
                        const char *prefix, const char *pattern, struct buffer *out)
{
    char label[256];
    int64_t below = 0;
    const int64_t count = atomic_load(&c->count);

    if (!count)
        return;
    snprintf(label, sizeof label, "dialect=\"%s\",route=\"%s %s%s\"", dialect, method, prefix, pattern);
    for (int i = 0; i < CLASSES; i++)
        if (atomic_load(&c->by_class[i]))
            buffer_printf(out, "fovea_http_requests_total{%s,code=\"%dxx\"} %" PRId64 "\n", label, i,
                          atomic_load(&c->by_class[i]));
    for (int i = 0; i < BUCKETS; i++) {
        below += atomic_load(&c->buckets[i]);
        buffer_printf(out, "fovea_http_request_duration_seconds_bucket{%s,le=\"%g\"} %" PRId64 "\n",
                      label, (double)bounds_us[i] / 1e6, below);
    }
    buffer_printf(out, "fovea_http_request_duration_seconds_bucket{%s,le=\"+Inf\"} %" PRId64 "\n", label,
                  count);
    buffer_printf(out, "fovea_http_request_duration_seconds_sum{%s} %.6f\n", label,
                  (double)atomic_load(&c->sum_us) / 1e6);
    buffer_printf(out, "fovea_http_request_duration_seconds_count{%s} %" PRId64 "\n", label, count);
}

static void print_value(const struct metrics *m, enum metric which, const char *name, const char *type,
                        const char *help, double scale, struct buffer *out)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n%s %.10g\n", name, help, name, type, name,
                  (double)atomic_load(&m->values[which]) * scale);
}

void metrics_print(const struct metrics *m, const struct router *r, struct buffer *out)
{
    buffer_text(
        out, "# HELP fovea_build_info Version of the running program.\n# TYPE fovea_build_info gauge\n"
             "fovea_build_info{version=\"" FOVEA_VERSION "\"} 1\n");
    print_value(m, METRIC_PREDICTIONS, "fovea_predictions_total", "counter", "Pictures answered.", 1,
                out);
    print_value(m, METRIC_PREDICT_US, "fovea_inference_seconds_total", "counter", "Time in the network.",
                1e-6, out);
    print_value(m, METRIC_MODELS_LOADED, "fovea_models_loaded_total", "counter", "Models compiled.", 1,
                out);
    print_value(m, METRIC_UPLOAD_BYTES, "fovea_upload_bytes_total", "counter", "Bytes stored.", 1, out);
    print_value(m, METRIC_CHILD_DEATHS, "fovea_child_deaths_total", "counter",
                "Worker processes that died.", 1, out);
    buffer_text(out, "# HELP fovea_http_requests_total Requests by route and class of status.\n"
                     "# TYPE fovea_http_requests_total counter\n"
                     "# HELP fovea_http_request_duration_seconds Time from a whole request to the last "
                     "byte of its answer.\n"
                     "# TYPE fovea_http_request_duration_seconds histogram\n");
    for (size_t i = 0; i < router_count(r) && i < ROUTES_MAX; i++) {
        const struct dialect *d;
        const struct route *route = router_route(r, i, &d);

        print_route(&m->routes[i], d->name, route->method, d->prefix, route->pattern, out);
    }
    print_route(&m->routes[router_count(r) < ROUTES_MAX ? router_count(r) : ROUTES_MAX - 1], "none", "-",
                "", "unmatched", out);
}
