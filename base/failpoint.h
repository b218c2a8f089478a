/*
 * Named places where a test makes the process die or a call fail. Compiled in only with
 * -DFOVEA_FAILPOINTS (every MODE but release); otherwise failpoint() is the constant 0.
 *
 *     if (fsync(fd) != 0 || (errno = failpoint("file_fsynced")))
 *         return store_fault(...);
 *
 * FOVEA_FAIL=name:n:action[,name:n:action ...] acts at the n-th hit (from 1) of that name in this
 * process:
 *
 *     kill, abort, term   the process sends itself SIGKILL, SIGABRT, SIGTERM
 *     enospc, eio         failpoint() returns ENOSPC, EIO: the caller behaves as if the call just made
 * had failed sleepN              waits N milliseconds and goes on
 *
 * n = * means every hit. An entry that cannot be read ends the process: a test must not pass by a typing
 * error.
 *
 * FOVEA_FAIL=@/path arms processes that run already: the plan is the text of that file, looked for at
 * each hit. A new file (another inode) starts the count again. Whoever acts removes the file first, and
 * only who removed it acts, so that of all processes one acts, once: what supervision starts afterwards
 * runs free.
 */
#ifndef BASE_FAILPOINT_H
#define BASE_FAILPOINT_H

#include <stdbool.h>

#ifdef FOVEA_FAILPOINTS

/* Returns an errno to pretend, or 0. Thread-safe. */
int failpoint_hit(const char *name);
/* Whether the plan names this point: for places that have to prepare something before they hit it. */
bool failpoint_planned(const char *name);
/* Replaces what FOVEA_FAIL said and forgets all counts; NULL or "" disarms. Not while other threads run.
 */
void failpoint_arm(const char *plan);
#define failpoint(name) failpoint_hit(name)

#else

static inline int failpoint(const char *name)
{
    (void)name;
    return 0;
}

static inline bool failpoint_planned(const char *name)
{
    (void)name;
    return false;
}

#endif
#endif
