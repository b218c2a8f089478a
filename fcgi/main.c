/*
 * fovea-api: FastCGI on the socket at fd 0 (spawn-fcgi or systemd hands it over). This file alone names
 * the dialects.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/version.h"
#include "domain/serving.h"
#include "fcgi/context.h"
#include "fcgi/dbpool.h"
#include "fcgi/keycache.h"
#include "fcgi/limiter.h"
#include "fcgi/listener.h"
#include "fcgi/master.h"
#include "fcgi/metrics.h"
#include "fcgi/openapi.h"
#include "fcgi/router.h"
#include "fcgi/server.h"
#include "handlers/automl/automl.h"
#include "handlers/ultralytics/ultralytics.h"
#include "media/sign.h"
#include "media/store.h"

enum { NDIALECTS = 2, DRAIN_S = 30, TICK_S = 5, MAX_OVERRIDES = 32 };

static const struct dialect *const dialects[NDIALECTS] = { &ultralytics_dialect, &automl_dialect };

static const char usage[] =
    "Usage: fovea-api --pool api|predict|slow [--config FILE] [--set KEY=VALUE]...\n"
    "       fovea-api --nginx-map | --routes | --openapi DIALECT | --version | --help\n"
    "\n"
    "Serves FastCGI on the listening socket at descriptor 0. Normally started by spawn-fcgi or "
    "systemd.\n"
    "  HUP   start a new generation of processes, then let the old one finish\n"
    "  TERM  finish what is in flight, then stop\n";

struct options {
    const char *config, *pool, *openapi;
    const char *overrides[MAX_OVERRIDES];
    size_t noverrides;
    bool child, nginx_map, routes;
};

static int parse_options(int argc, char **argv, struct options *o)
{
    static const struct option longs[] = {
        { "pool", required_argument, NULL, 'p' },    { "config", required_argument, NULL, 'c' },
        { "set", required_argument, NULL, 's' },     { "child", no_argument, NULL, 'C' },
        { "nginx-map", no_argument, NULL, 'n' },     { "routes", no_argument, NULL, 'r' },
        { "openapi", required_argument, NULL, 'o' }, { "version", no_argument, NULL, 'v' },
        { "help", no_argument, NULL, 'h' },          { NULL, 0, NULL, 0 },
    };
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        switch (c) {
        case 'p':
            o->pool = optarg;
            break;
        case 'c':
            o->config = optarg;
            break;
        case 's':
            if (o->noverrides + 1 < MAX_OVERRIDES)
                o->overrides[o->noverrides++] = optarg;
            break;
        case 'C':
            o->child = true;
            break;
        case 'n':
            o->nginx_map = true;
            break;
        case 'r':
            o->routes = true;
            break;
        case 'o':
            o->openapi = optarg;
            break;
        case 'v':
            puts("fovea-api " FOVEA_VERSION);
            exit(0);
        case 'h':
            fputs(usage, stdout);
            exit(0);
        default:
            fputs(usage, stderr);
            return 64;
        }
    }
    return 0;
}

static const char *shared_file(const char *name)
{
    static char paths[4][512];
    static int n;
    char *p = paths[n++ % 4];

    snprintf(p, sizeof paths[0], "%s/%s", config_text("run_dir"), name);
    return p;
}

static enum status context_open(struct context *ctx, struct fault *f)
{
    static char spool[600];
    enum status st;

    ctx->dialects = dialects;
    ctx->ndialects = NDIALECTS;
    snprintf(spool, sizeof spool, "%s/body",
             config_text("spool_dir")); /* nginx: client_body_temp_path */
    ctx->spool_dir = spool;
    ctx->dsn = config_text("database.dsn");
    ctx->sql_dir = config_text("sql_dir");
    if (!(ctx->router = router_create(dialects, NDIALECTS)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if ((st = store_open(config_text("media_dir"), &ctx->store, f)) != ST_OK ||
        (st = signer_open(config_text("secrets.signing_file"), &ctx->signer, f)) != ST_OK ||
        (st = keycache_open(shared_file("keys.shm"), &ctx->keys, f)) != ST_OK ||
        (st = limiter_open(config_text("limits.file"), &ctx->limiter, f)) != ST_OK ||
        (st = metrics_open(shared_file("metrics.shm"), &ctx->metrics, f)) != ST_OK)
        return st;
    if (ctx->pool != POOL_API && !(ctx->dbpool = dbpool_create(ctx->dsn, DBPOOL_CONNECTIONS)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    if (ctx->pool == POOL_PREDICT)
        return serving_create(ctx->store, shared_file("predict.shm"), ctx->dsn, &ctx->serving, f);
    return ST_OK;
}

static int threads_of(enum pool pool)
{
    const int64_t cores = sysconf(_SC_NPROCESSORS_ONLN), wanted = config_i64("api.threads");

    if (pool == POOL_SLOW)
        return (int)config_i64("slow.threads");
    if (pool == POOL_PREDICT) /* those that run, those that wait, and one to say that there is no room */
        return (int)(config_i64("predict.queue") +
                     (config_i64("predict.threads") ? config_i64("predict.threads") : cores)) +
               1;
    if (wanted)
        return (int)wanted;
    return (int)(cores * 7 / 2 / config_i64("api.processes")) + 1;
}

/* What was loaded since the last call. */
static void count_loads(const struct context *ctx)
{
    static int64_t counted;
    int64_t loads;

    if (!ctx->serving)
        return;
    loads = serving_figures(ctx->serving).loads;
    metrics_add(ctx->metrics, METRIC_MODELS_LOADED, loads - counted);
    counted = loads;
}

/* The main thread of a child waits for the signal; the workers have all signals blocked. */
static void wait_for_stop(const struct context *ctx, struct server *server)
{
    const struct timespec pause = { .tv_sec = TICK_S };
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    while (sigtimedwait(&set, NULL, &pause) < 0) {
        server_tick(server);
        count_loads(ctx);
    }
    count_loads(ctx);
}

static int run_child(enum pool pool)
{
    static struct context ctx;
    struct fault f = FAULT_INIT;
    struct listener *listener;
    struct server *server;
    sigset_t set;

    sigfillset(&set);
    sigdelset(&set, SIGALRM);
    sigdelset(&set, SIGSEGV);
    sigdelset(&set, SIGBUS);
    sigdelset(&set, SIGFPE);
    sigdelset(&set, SIGILL);
    sigdelset(&set, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &set, NULL);
    ctx.pool = pool;
    if (context_open(&ctx, &f) != ST_OK) {
        log_event(LOG_LEVEL_ERROR, "start_failed", "detail", f.detail, NULL);
        return 78;
    }
    if (!(listener = listener_start(&ctx)))
        return 71;
    if (!(server = server_start(&ctx, 0, threads_of(pool)))) {
        listener_stop(listener);
        return 71;
    }
    master_child_ready();
    wait_for_stop(&ctx, server);
    ctx.draining = true;
    alarm(DRAIN_S); /* SIGALRM is not blocked: what hangs longer is ended */
    server_stop(server);
    listener_stop(listener);
    serving_free(ctx.serving); /* no thread may compile while the libraries are taken down */
    return 0;
}

static int run_pool(const struct options *o, char **argv, int argc)
{
    char **child;
    int pool = 0, result;

    while (pool < POOL__COUNT && (!o->pool || strcmp(o->pool, pool_names[pool]) != 0))
        pool++;
    if (pool == POOL__COUNT) {
        fputs(usage, stderr);
        return 64;
    }
    if (o->child)
        return run_child((enum pool)pool);
    if (!(child = calloc((size_t)argc + 2, sizeof *child)))
        return 71;
    memcpy(child, argv, (size_t)argc * sizeof *child);
    child[argc] = (char[]){ "--child" };
    result = master_run(pool == POOL_API ? (int)config_i64("api.processes") : 1, child);
    free(child);
    return result;
}

static int print_openapi(const char *name)
{
    for (size_t i = 0; i < NDIALECTS; i++) {
        struct buffer b = { 0 };

        if (strcmp(dialects[i]->name, name) != 0)
            continue;
        openapi_write(dialects[i], "/", &b);
        fwrite(b.p, 1, b.n, stdout);
        buffer_free(&b);
        return 0;
    }
    fprintf(stderr, "fovea-api: no dialect is called %s\n", name);
    return 64;
}

/* A connection is a descriptor, and the usual soft limit is for programs that call select(). */
static void raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

int main(int argc, char **argv)
{
    struct options o = { 0 };
    struct fault f = FAULT_INIT;
    const struct rlimit no_core = { 0, 0 };
    int code = parse_options(argc, argv, &o);

    if (code)
        return code;
    setrlimit(RLIMIT_CORE, &no_core); /* memory holds keys */
    raise_files();
    setenv("OMP_WAIT_POLICY", "PASSIVE", 0); /* for the children: libgomp reads it when it is loaded */
    if (config_load(o.config, o.overrides, &f) != ST_OK) {
        fprintf(stderr, "fovea-api: %s\n", f.detail);
        return 78;
    }
    if (o.nginx_map) {
        router_print_nginx_map(dialects, NDIALECTS, stdout);
        return 0;
    }
    if (o.routes) {
        router_print_table(dialects, NDIALECTS, stdout);
        return 0;
    }
    if (o.openapi)
        return print_openapi(o.openapi);
    log_init("fovea-api", LOG_LEVEL_INFO, config_bool("log.json"));
    return run_pool(&o, argv, argc);
}
