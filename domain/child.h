/*
 * Work on a file from outside, in a process of its own: what crashes, hangs or takes all memory ends
 * that process, and a killed caller takes it along. The caller must not have run a model itself before:
 * a fork keeps only the thread that calls it.
 */
#ifndef DOMAIN_CHILD_H
#define DOMAIN_CHILD_H

#include "base/text.h"
#include "domain/admin.h"

struct child_work {
    void (*run)(void *arg, struct buffer *say); /* in the child; what it says comes to the parent */
    void *arg;
    size_t max_bytes; /* that it may say */
    int limit_s;
};

enum child_end {
    CHILD_SPOKE,   /* it came to its end; `said` is whole */
    CHILD_DIED,    /* signal: that killed it, or 0: it ended without a word */
    CHILD_LATE,    /* killed after limit_s */
    CHILD_STOPPED, /* step wanted to stop; killed */
};

struct child_outcome {
    enum child_end end;
    int signal;
    struct buffer said; /* caller frees, whatever the end */
};

/* Low priority, LIMIT_CHILD_BYTES of memory. step may be NULL. ST_UNAVAILABLE: no process can be made.
 */
enum status child_run(const struct child_work *w, const struct stepper *step, struct child_outcome *ret,
                      struct fault *f) MUST_USE;

/* Of an end without words: "the trial crashed (signal 11)". */
void child_explain(const struct child_outcome *o, const struct child_work *w, const char *noun,
                   char *ret, size_t size);

/* Text that holds names of the file: what PostgreSQL would not take as text becomes '?', in place. */
void child_clean(char *text);

#endif
