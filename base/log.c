/*
 * Structured log lines on stderr: see log.h.
 *
 * A line is built in a fixed array on the stack, so that logging works when memory is gone, and no line
 * is longer than PIPE_BUF, so that lines of several processes on one pipe never mix. A pair that does
 * not fit any more is left out whole and the line says so: JSON stays JSON.
 */
#include "base/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "base/limits.h"
#include "base/text.h"

static const struct {
    const char *name, *priority; /* of syslog, as the journal reads it at the start of a line */
} levels[] = {
    [LOG_LEVEL_DEBUG] = { "debug", "<7>" },
    [LOG_LEVEL_INFO] = { "info", "<6>" },
    [LOG_LEVEL_WARNING] = { "warning", "<4>" },
    [LOG_LEVEL_ERROR] = { "error", "<3>" },
};

/* Written once by log_init, before threads; read-only afterwards. */
static struct {
    char program[32];
    enum log_level least;
    bool json, journal;
} settings = { .program = "fovea", .least = LOG_LEVEL_INFO };

static _Thread_local struct {
    char id[64], dialect[24], route[128];
} request;

/* ---- one line
 * ------------------------------------------------------------------------------------------------- */

/* Room is kept for the mark of a cut line, the closing brace and the newline. */
enum { LINE_TAIL_BYTES = 32 };

struct line {
    char text[LIMIT_LOG_LINE_BYTES];
    size_t n;
    bool full; /* something did not fit since the last check */
};

static void line_bytes(struct line *l, const char *p, size_t n)
{
    if (l->full || n > sizeof l->text - LINE_TAIL_BYTES - l->n) {
        l->full = true;
        return;
    }
    memcpy(l->text + l->n, p, n);
    l->n += n;
}

static void line_text(struct line *l, const char *s)
{
    line_bytes(l, s, strlen(s));
}

/* s in quotes, without newlines at its end (libpq's messages have one); what is not text in UTF-8
 * becomes U+FFFD, what is longer than a value may be is cut. */
static void line_quoted(struct line *l, const char *s)
{
    size_t n = strnlen(s, LIMIT_LOG_VALUE_BYTES + 4); /* room to see the character at the cut whole */
    size_t i = 0;

    while (n && s[n - 1] == '\n')
        n--;
    line_text(l, "\"");
    while (i < n) {
        const size_t step = text_utf8_sequence(s + i, n - i);
        char escape[8];

        if (i + (step ? step : 1) > LIMIT_LOG_VALUE_BYTES) {
            line_text(l, "...");
            break;
        }
        if (step == 0) {
            line_text(l, "\xEF\xBF\xBD");
        } else if (s[i] == '"' || s[i] == '\\') {
            line_bytes(l, (char[]){ '\\', s[i] }, 2);
        } else if (s[i] == '\n' || s[i] == '\t') {
            line_bytes(l, s[i] == '\n' ? "\\n" : "\\t", 2);
        } else if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)(unsigned char)s[i]);
            line_text(l, escape);
        } else {
            line_bytes(l, s + i, step);
        }
        i += step ? step : 1;
    }
    line_text(l, "\"");
}

static bool is_plain(const char *s)
{
    return *s &&
           s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./:%+,{}@")] ==
               '\0' &&
           strlen(s) <= LIMIT_LOG_VALUE_BYTES;
}

/* All of the pair, or nothing. */
static bool line_pair(struct line *l, const char *key, const char *value)
{
    const size_t before = l->n;

    if (settings.json) {
        line_text(l, ",\""); /* line_begin wrote the time */
        line_text(l, key);
        line_text(l, "\":");
        line_quoted(l, value);
    } else {
        line_text(l, " ");
        line_text(l, key);
        line_text(l, "=");
        if (is_plain(value))
            line_text(l, value);
        else
            line_quoted(l, value);
    }
    if (!l->full)
        return true;
    l->n = before;
    l->full = false;
    return false;
}

static void print_time(char ret[32])
{
    const int64_t now_us = clock_wall_us();
    const time_t seconds = (time_t)(now_us / 1000000);
    struct tm utc;
    size_t n;

    gmtime_r(&seconds, &utc);
    n = strftime(ret, 32, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(ret + n, 32 - n, ".%03dZ", (int)(now_us / 1000 % 1000));
}

static void line_begin(struct line *l, enum log_level level, const char *event)
{
    char now[32], pid[16];

    print_time(now);
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    if (settings.journal)
        line_text(l, levels[level].priority);
    if (settings.json) {
        /* The journal takes the priority off the line, so what is stored is JSON. */
        line_text(l, "{\"time\":\"");
        line_text(l, now);
        line_text(l, "\"");
        (void)line_pair(l, "level", levels[level].name);
        (void)line_pair(l, "program", settings.program);
        (void)line_pair(l, "pid", pid);
        (void)line_pair(l, "event", event);
        return;
    }
    if (!settings.journal) { /* which knows the time, the program and the process itself */
        line_text(l, now);
        line_text(l, " ");
        line_text(l, levels[level].name);
        line_text(l, " ");
        line_text(l, settings.program);
        line_text(l, "[");
        line_text(l, pid);
        line_text(l, "] ");
    }
    line_text(l, event);
}

static void line_end(struct line *l, bool cut)
{
    if (cut)
        l->n += (size_t)snprintf(l->text + l->n, LINE_TAIL_BYTES,
                                 settings.json ? ",\"cut\":true" : " cut=true");
    if (settings.json)
        l->text[l->n++] = '}';
    l->text[l->n++] = '\n';
}

/* ---- public
 * --------------------------------------------------------------------------------------------------- */

/* systemd names the stream it connected to stderr in JOURNAL_STREAM; somebody may have redirected it
 * since. */
static bool stderr_is_journal(void)
{
    const char *const named = getenv("JOURNAL_STREAM");
    char mine[64];
    struct stat st;

    if (!named || fstat(STDERR_FILENO, &st) != 0)
        return false;
    snprintf(mine, sizeof mine, "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
    return strcmp(named, mine) == 0;
}

void log_init(const char *program, enum log_level least, int json)
{
    snprintf(settings.program, sizeof settings.program, "%s", program);
    settings.least = least;
    settings.json = json != 0;
    settings.journal = stderr_is_journal();
}

void log_set_request(const char *request_id, const char *dialect, const char *route)
{
    snprintf(request.id, sizeof request.id, "%s", request_id);
    snprintf(request.dialect, sizeof request.dialect, "%s", dialect);
    snprintf(request.route, sizeof request.route, "%s", route);
}

void log_event(enum log_level level, const char *event, ...)
{
    struct line l = { .n = 0 };
    bool cut = false;
    const char *key;
    va_list ap;

    if (level < settings.least)
        return;
    line_begin(&l, level, event);
    if (request.id[0])
        cut |= !line_pair(&l, "request_id", request.id);
    if (request.dialect[0])
        cut |= !line_pair(&l, "dialect", request.dialect);
    if (request.route[0])
        cut |= !line_pair(&l, "route", request.route);
    va_start(ap, event);
    while ((key = va_arg(ap, const char *))) {
        const char *const value = va_arg(ap, const char *);

        cut |= !line_pair(&l, key, value ? value : "");
    }
    va_end(ap);
    line_end(&l, cut);
    /* Nobody is left to tell when the log itself cannot be written. */
    if (write(STDERR_FILENO, l.text, l.n) < 0)
        return;
}
