/*
 * What a process was doing when it died, for the one that follows: a file, mapped, in which every run of
 * a model is noted before it begins. A thread that crashes says so in its note by a signal handler; a
 * thread that hangs is found by watching. Who opens the file next reads what dead processes left: the
 * guilty note gives its model a strike. Two strikes within a day are a verdict, so that a model that
 * was merely loaded when something else broke is not condemned at the first time. Where a thread of a
 * run's team crashes, all runs are suspects. Other threads, and whoever kills the process from outside
 * (SIGKILL), accuse nobody.
 *
 * Thread-safe. Up to BLACKBOX_PROCESSES processes share a file (generations overlap in a reload); who
 * is dead is told by the kernel, which drops a dead process's lock on its part of the file.
 */
#ifndef DOMAIN_BLACKBOX_H
#define DOMAIN_BLACKBOX_H

#include <stdbool.h>
#include <stddef.h>
#include "base/status.h"
#include "domain/model_use.h"
#include "media/store.h"

enum { BLACKBOX_PROCESSES = 4, BLACKBOX_RECENT = 16, BLACKBOX_STRIKES = 2, BLACKBOX_REASON_BYTES = 120 };

enum blackbox_work { BLACKBOX_LOADING, BLACKBOX_RUNNING };

struct blackbox;

/* Makes the file when it is not there, collects what the dead left, and installs the handlers of
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT, which hand on to what was there before. */
enum status blackbox_open(const char *path, struct blackbox **ret, struct fault *f) MUST_USE;
void blackbox_close(struct blackbox *b); /* accepts NULL; all notes have ended */

/* A note of the calling thread, which begins one at a time; NONE when there is no room or no box. */
enum { BLACKBOX_NONE = -1 };
int blackbox_begin(struct blackbox *b, const struct digest *weights, enum blackbox_work work,
                   int64_t allowed_ms);
void blackbox_end(struct blackbox *b, int note);

/* To be called every step_ms: a note that is over its time by the steps counted is guilty. The number of
 * guilty notes; ret: the weights of the first. Time in which nobody calls does not count, so that a
 * process that was stopped finds nobody guilty. */
size_t blackbox_overdue(struct blackbox *b, int64_t step_ms, struct digest *ret);

struct verdict {
    struct digest weights;
    char reason[BLACKBOX_REASON_BYTES];
};
/* False: nothing is held against these weights that nobody has recorded yet. */
bool blackbox_condemned(struct blackbox *b, const struct digest *weights, struct verdict *ret);
/* Up to n of all such. */
size_t blackbox_verdicts(struct blackbox *b, struct verdict ret[], size_t n);
/* The verdict is recorded elsewhere: strikes are forgotten. */
void blackbox_settle(struct blackbox *b, const struct digest *weights);

/* These weights are in use, and how: the last word holds; or not any more, in this way. */
void blackbox_keep(struct blackbox *b, const struct model_use *use);
void blackbox_drop(struct blackbox *b, const struct model_use *use);
/* What other processes kept when this one opened the box, the last used first, without a strike. */
size_t blackbox_recent(const struct blackbox *b, struct model_use ret[], size_t n);

#endif
