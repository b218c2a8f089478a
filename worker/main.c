/*
 * fovea-worker: the loop around the queue. Sleeps on the connection (LISTEN fovea_job wakes it) and on
 * signals, looks into the queue at least every worker.poll_s, and after the database was away goes on by
 * itself. TERM and INT let the step at hand finish, give the job back and end the process. systemd is
 * told READY, STOPPING and, when it asks for it, that the loop is alive.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/config.h"
#include "base/log.h"
#include "base/version.h"
#include "worker/worker.h"

enum { OVERRIDES = 64 };

static volatile sig_atomic_t stopping;

static void on_stop(int number)
{
    (void)number;
    stopping = 1;
}

void worker_alive(struct worker *w)
{
    if (w->watchdog_ms)
        sd_notify(0, "WATCHDOG=1");
}

/* ---- waiting
 * --------------------------------------------------------------------------------------------------- */

static bool take_notices(PGconn *conn)
{
    PGnotify *n;
    bool any = false;

    while (conn && (n = PQnotifies(conn))) {
        PQfreemem(n);
        any = true;
    }
    return any;
}

/* Stop signals are held back between the look at `stopping` and the wait, so that none slips through. */
static void wait_for_work(struct worker *w, int64_t ms)
{
    PGconn *const conn = db_connection(w->db);
    struct pollfd fd = { .fd = conn ? PQsocket(conn) : -1, .events = POLLIN };
    sigset_t stop_signals, before;
    struct timespec limit;
    int ready = 0;

    if (take_notices(conn)) /* came with the last answer: the socket is silent about it */
        return;
    if (w->watchdog_ms && ms > w->watchdog_ms / 2)
        ms = w->watchdog_ms / 2;
    limit = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    sigemptyset(&stop_signals);
    sigaddset(&stop_signals, SIGTERM);
    sigaddset(&stop_signals, SIGINT);
    sigprocmask(SIG_BLOCK, &stop_signals, &before);
    if (!stopping)
        ready = ppoll(&fd, 1, &limit, &before);
    sigprocmask(SIG_SETMASK, &before, NULL);
    if (ready > 0 && PQconsumeInput(conn)) /* a broken connection is found by the next statement */
        (void)take_notices(conn);
}

/* Connects when need be, and listens on each new connection. */
static enum status listen_again(struct worker *w, int *backend, struct fault *f)
{
    enum status st = db_connect(w->db, f);

    if (st != ST_OK || PQbackendPID(db_connection(w->db)) == *backend)
        return st;
    if ((st = db_command(w->db, "LISTEN fovea_job", f)) == ST_OK) {
        *backend = PQbackendPID(db_connection(w->db));
        log_event(LOG_LEVEL_INFO, "database_connected", NULL);
        sd_notify(0, "STATUS=Waiting for jobs");
    }
    return st;
}

/* ---- the loop
 * -------------------------------------------------------------------------------------------------- */

/* Connection, recurring work, one job. *ret_worked: look again at once. */
static enum status turn(struct worker *w, struct schedule *s, int *backend, bool *ret_worked,
                        struct fault *f)
{
    struct job job = { .parameters = NULL };
    enum status st;

    *ret_worked = false;
    if ((st = listen_again(w, backend, f)) != ST_OK || (st = schedule_due(s, w, f)) != ST_OK ||
        (st = queue_take(w, &job, ret_worked, f)) != ST_OK || !*ret_worked)
        return st;
    queue_run(&job);
    job_release(&job);
    return ST_OK;
}

/* False: once, and the queue could not be reached. */
static bool work(struct worker *w, bool once)
{
    struct schedule schedule = { .slot = { 0 } };
    bool away = false, worked;
    int backend = 0;

    while (!stopping) {
        struct fault f = FAULT_INIT;
        const enum status st = turn(w, &schedule, &backend, &worked, &f);

        worker_alive(w);
        if (st != ST_OK && !away) { /* said once, not every second */
            log_event(LOG_LEVEL_ERROR, "queue_unavailable", "status", status_name(st), "detail",
                      f.detail, NULL);
            sd_notify(0, "STATUS=Waiting for the database");
        }
        away = st != ST_OK;
        if (worked)
            continue;
        if (once)
            return !away;
        wait_for_work(w, away ? 1000 : w->poll_s * 1000);
    }
    return true;
}

/* ---- start
 * ------------------------------------------------------------------------------------------------------
 */

static const char help[] =
    "Usage: fovea-worker [--config FILE] [--set KEY=VALUE] [--once]\n\n"
    "Does the background work of a Fovea site: takes jobs from its database.\n\n"
    "  --config FILE     settings file (default: $FOVEA_CONF, var/fovea.conf, /etc/fovea/fovea.conf)\n"
    "  --set KEY=VALUE   override one setting; may be repeated\n"
    "  --once            end when nothing is left to do, instead of waiting\n"
    "  --help            show this help and exit\n"
    "  --version         show the version and exit\n";

struct command_line {
    const char *config;
    const char *overrides[OVERRIDES + 1];
    bool once;
};

/* An exit status, or -1: go on. */
static int read_line(int argc, char **argv, struct command_line *ret)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "set", required_argument, NULL, 's' },
        { "once", no_argument, NULL, 'o' },         { "help", no_argument, NULL, 'h' },
        { "version", no_argument, NULL, 'v' },      { NULL, 0, NULL, 0 },
    };
    size_t n = 0;
    int code;

    while ((code = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (code == 'c') {
            ret->config = optarg;
        } else if (code == 's' && n < OVERRIDES) {
            ret->overrides[n++] = optarg;
        } else if (code == 'o') {
            ret->once = true;
        } else if (code == 'h' || code == 'v') {
            fputs(code == 'h' ? help : "fovea-worker " FOVEA_VERSION "\n", stdout);
            return EX_OK;
        } else {
            return EX_USAGE;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "fovea-worker: unexpected argument \"%s\"\n", argv[optind]);
        return EX_USAGE;
    }
    return -1;
}

static enum log_level configured_level(void)
{
    static const char *const names[] = { "debug", "info", "warning", "error" };
    const char *const name = config_text("log.level");
    enum log_level level = LOG_LEVEL_DEBUG;

    while (level < LOG_LEVEL_ERROR && strcmp(names[level], name) != 0)
        level++;
    return level;
}

static void take_signals(void)
{
    const struct sigaction stop = { .sa_handler = on_stop, .sa_flags = SA_RESTART };

    sigaction(SIGTERM, &stop, NULL);
    sigaction(SIGINT, &stop, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static enum status worker_open(struct worker *w, struct fault *f)
{
    uint64_t watchdog_us = 0;
    char host[64] = "";

    if (sd_watchdog_enabled(0, &watchdog_us) > 0)
        w->watchdog_ms = (int64_t)(watchdog_us / 1000);
    gethostname(host, sizeof host - 1);
    snprintf(w->owner, sizeof w->owner, "%s:%ld", host, (long)getpid());
    w->lease_s = (int)config_i64("worker.lease_s");
    w->poll_s = (int)config_i64("worker.poll_s");
    w->stopping = &stopping;
    if (!(w->db = db_create(config_text("database.owner_dsn"))))
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    return store_open(config_text("media_dir"), &w->store, f);
}

int main(int argc, char **argv)
{
    struct command_line line = { .config = NULL };
    struct worker w = { .db = NULL };
    struct fault f = FAULT_INIT;
    int code = read_line(argc, argv, &line);

    if (code >= 0)
        return code;
    if (config_load(line.config, line.overrides, &f) != ST_OK) {
        fprintf(stderr, "fovea-worker: %s\n", f.detail);
        return EX_CONFIG;
    }
    log_init("fovea-worker", configured_level(), config_bool("log.json"));
    take_signals();
    code = EX_OK;
    if (worker_open(&w, &f) == ST_OK) {
        sd_notify(0, "READY=1\nSTATUS=Waiting for the database");
        log_event(LOG_LEVEL_INFO, "started", "version", FOVEA_VERSION, NULL);
        if (!work(&w, line.once))
            code = EX_UNAVAILABLE;
        sd_notify(0, "STOPPING=1");
        log_event(LOG_LEVEL_INFO, "stopped", NULL);
    } else {
        log_event(LOG_LEVEL_ERROR, "not_started", "detail", f.detail, NULL);
        code = EX_UNAVAILABLE;
    }
    store_close(w.store);
    db_free(w.db);
    return code;
}
