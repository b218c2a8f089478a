/* See blackbox.h. The state of a note is the last thing set and the first taken back, for whoever reads
 * it after a death. Strikes are written when a box is opened and when a verdict is settled, under a lock
 * of the file. */
#include "domain/blackbox.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "inference/kernels/team.h"

enum {
    NOTES = 1024,
    STRIKES = 64,
    FORGIVEN_S = 86400,
    FREE = 0, /* states of a note */
    VALID = 1,
    HUNG = -1,                   /* causes; else a signal's number */
    WRITER = BLACKBOX_PROCESSES, /* byte of the file that a writer of strikes locks */
    CRASH_STACK_BYTES = 32 << 10,
};

struct note {
    _Atomic int state, cause;
    struct digest weights;
    int work;
    int64_t age_ms, allowed_ms;
};

struct part {
    _Atomic int cause; /* a thread of some run's team crashed: all who were noted are suspects */
    struct note notes[NOTES];
    struct recent {
        struct model_use use;
        int64_t used; /* 0: free */
    } recent[BLACKBOX_RECENT];
};

struct strike {
    struct digest weights;
    int count, cause, work; /* count 0: free */
    int64_t allowed_ms, at_s;
};

struct file {
    uint64_t magic;
    struct strike strikes[STRIKES];
    struct part parts[BLACKBOX_PROCESSES];
};

struct blackbox {
    int fd;
    struct file *file;
    struct part *mine;    /* NULL: all parts are taken */
    pthread_mutex_t lock; /* of all that follows `magic`, among the threads of this process */
    struct model_use before[BLACKBOX_RECENT];
    size_t nbefore;
};

static const uint64_t file_magic = 0x666f76626f783031;
static const int signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
enum { NSIGNALS = sizeof signals / sizeof signals[0] };

/* ---- the handler */

static _Thread_local struct note *current;
static _Thread_local _Alignas(16) char crash_stack[CRASH_STACK_BYTES];
static struct part *_Atomic handled; /* of the box that is open in this process */
static struct sigaction before[NSIGNALS];

/* Hands on: a fault happens again when the handler returns, a signal that was sent has to be sent. */
static void on_crash(int signal, siginfo_t *info, void *context)
{
    struct part *part = atomic_load(&handled);

    (void)context;
    if (current)
        atomic_store(&current->cause, signal);
    else if (part && team_member())
        atomic_store(&part->cause, signal);
    for (int i = 0; i < NSIGNALS; i++)
        if (signals[i] == signal)
            sigaction(signal, &before[i], NULL);
    if (info->si_code <= 0)
        raise(signal);
}

static void handle_signals(struct part *part)
{
    struct sigaction action = { .sa_sigaction = on_crash, .sa_flags = SA_SIGINFO | SA_ONSTACK };

    if (atomic_exchange(&handled, part))
        return;
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < NSIGNALS; i++)
        sigaction(signals[i], &action, &before[i]);
}

static void unhandle_signals(void)
{
    if (!atomic_exchange(&handled, NULL))
        return;
    for (int i = 0; i < NSIGNALS; i++)
        sigaction(signals[i], &before[i], NULL);
}

/* A stack that has overflowed holds no handler. A stack that somebody else gave the thread stays. */
static void stand_by(void)
{
    static _Thread_local bool done;
    stack_t now;

    if (done)
        return;
    done = true;
    if (sigaltstack(NULL, &now) == 0 && now.ss_flags & SS_DISABLE)
        sigaltstack(&(stack_t){ .ss_sp = crash_stack, .ss_size = sizeof crash_stack }, NULL);
}

/* ---- strikes: under the writer's lock, or the process's for reading */

static bool same(const struct digest *a, const struct digest *b)
{
    return memcmp(a->bytes, b->bytes, DIGEST_BYTES) == 0;
}

static struct strike *find_strike(struct file *file, const struct digest *weights)
{
    const int64_t now = (int64_t)time(NULL);

    for (int i = 0; i < STRIKES; i++) {
        struct strike *s = &file->strikes[i];

        if (s->count && s->at_s + FORGIVEN_S > now && same(&s->weights, weights))
            return s;
    }
    return NULL;
}

static void add_strike(struct file *file, const struct note *n, int cause)
{
    struct strike *s = find_strike(file, &n->weights), *oldest = &file->strikes[0];

    for (int i = 0; i < STRIKES && !s; i++) {
        struct strike *other = &file->strikes[i];

        if (!other->count || (oldest->count && other->at_s < oldest->at_s))
            oldest = other;
    }
    if (!s) {
        s = oldest;
        *s = (struct strike){ .weights = n->weights };
    }
    s->cause = cause;
    s->work = n->work;
    s->allowed_ms = n->allowed_ms;
    s->at_s = (int64_t)time(NULL);
    s->count++;
}

static void explain(const struct strike *s, struct verdict *ret)
{
    const char *doing = s->work == BLACKBOX_LOADING ? "when it was loaded" : "when it was run";

    ret->weights = s->weights;
    if (s->cause == HUNG)
        snprintf(ret->reason, sizeof ret->reason, "it did not end within %lld s %s, again and again",
                 (long long)(s->allowed_ms / 1000), doing);
    else
        snprintf(ret->reason, sizeof ret->reason, "it crashed (signal %d) %s, again and again", s->cause,
                 doing);
}

/* ---- opening */

static bool lock_byte(int fd, int byte, short type, bool wait)
{
    struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
    int result;

    do
        result = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &l);
    while (result != 0 && errno == EINTR);
    return result == 0;
}

/* What a dead process left: one guilty note, or where none is known, all. */
static void collect(struct file *file, struct part *p)
{
    bool known = false;

    for (int i = 0; i < NOTES; i++) {
        const struct note *n = &p->notes[i];
        const int cause = atomic_load(&n->cause);

        if (atomic_load(&n->state) == VALID && cause) {
            add_strike(file, n, cause);
            known = true;
        }
    }
    for (int i = 0; i < NOTES && !known && p->cause; i++)
        if (atomic_load(&p->notes[i].state) == VALID)
            add_strike(file, &p->notes[i], p->cause);
}

static int later_first(const void *a, const void *b)
{
    const struct recent *x = a, *y = b;

    return (x->used < y->used) - (x->used > y->used);
}

static void remember_recent(struct blackbox *b)
{
    struct recent all[BLACKBOX_PROCESSES * BLACKBOX_RECENT];
    size_t n = 0;

    for (int i = 0; i < BLACKBOX_PROCESSES; i++)
        for (int k = 0; k < BLACKBOX_RECENT; k++)
            if (b->file->parts[i].recent[k].used)
                all[n++] = b->file->parts[i].recent[k];
    qsort(all, n, sizeof all[0], later_first);
    for (size_t i = 0; i < n && b->nbefore < BLACKBOX_RECENT; i++) {
        bool known = find_strike(b->file, &all[i].use.weights) != NULL;

        for (size_t k = 0; k < b->nbefore && !known; k++)
            known = same(&b->before[k].weights, &all[i].use.weights);
        if (!known)
            b->before[b->nbefore++] = all[i].use;
    }
}

/* Under the writer's lock. A part whose lock can be had is nobody's, or a dead one's. */
static void take_part(struct blackbox *b)
{
    struct part *dead[BLACKBOX_PROCESSES];
    int ndead = 0;

    for (int i = 0; i < BLACKBOX_PROCESSES; i++)
        if (lock_byte(b->fd, i, F_WRLCK, false)) {
            dead[ndead++] = &b->file->parts[i];
            collect(b->file, &b->file->parts[i]);
        }
    remember_recent(b);
    for (int i = 0; i < ndead; i++) {
        memset(dead[i], 0, sizeof *dead[i]);
        if (i > 0)
            lock_byte(b->fd, (int)(dead[i] - b->file->parts), F_UNLCK, false);
    }
    b->mine = ndead ? dead[0] : NULL;
}

/* A file of another layout is emptied. */
static bool size_file(int fd)
{
    uint64_t found = 0;
    struct stat sb;

    if (fstat(fd, &sb) != 0)
        return false;
    if (sb.st_size == (off_t)sizeof(struct file) &&
        pread(fd, &found, sizeof found, 0) == (ssize_t)sizeof found && found == file_magic)
        return true;
    return ftruncate(fd, 0) == 0 && ftruncate(fd, (off_t)sizeof(struct file)) == 0 &&
           pwrite(fd, &file_magic, sizeof file_magic, 0) == (ssize_t)sizeof file_magic;
}

enum status blackbox_open(const char *path, struct blackbox **ret, struct fault *f)
{
    struct blackbox *b = calloc(1, sizeof *b);
    void *p = MAP_FAILED;

    if (!b)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    b->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (b->fd >= 0 && lock_byte(b->fd, WRITER, F_WRLCK, true) && size_file(b->fd))
        p = mmap(NULL, sizeof *b->file, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
    if (p == MAP_FAILED) {
        if (b->fd >= 0)
            close(b->fd);
        free(b);
        return fault_set(f, ST_UNAVAILABLE, NULL, "cannot map the shared file %.120s", path);
    }
    pthread_mutex_init(&b->lock, NULL);
    b->file = p;
    take_part(b);
    lock_byte(b->fd, WRITER, F_UNLCK, false);
    if (b->mine)
        handle_signals(b->mine);
    *ret = b;
    return ST_OK;
}

void blackbox_close(struct blackbox *b)
{
    if (!b)
        return;
    if (b->mine && atomic_load(&handled) == b->mine)
        unhandle_signals();
    munmap(b->file, sizeof *b->file);
    close(b->fd); /* and with it the lock */
    pthread_mutex_destroy(&b->lock);
    free(b);
}

/* ---- notes */

int blackbox_begin(struct blackbox *b, const struct digest *weights, enum blackbox_work work,
                   int64_t allowed_ms)
{
    int i = 0;

    if (!b || !b->mine)
        return BLACKBOX_NONE;
    stand_by();
    pthread_mutex_lock(&b->lock);
    while (i < NOTES && atomic_load(&b->mine->notes[i].state) != FREE)
        i++;
    if (i < NOTES) {
        struct note *n = &b->mine->notes[i];

        n->weights = *weights;
        n->work = (int)work;
        n->allowed_ms = allowed_ms;
        n->age_ms = 0;
        atomic_store(&n->cause, 0);
        atomic_store(&n->state, VALID);
        current = n;
    }
    pthread_mutex_unlock(&b->lock);
    return i < NOTES ? i : BLACKBOX_NONE;
}

void blackbox_end(struct blackbox *b, int note)
{
    if (note == BLACKBOX_NONE)
        return;
    pthread_mutex_lock(&b->lock); /* so that no run is blamed for the one before it in its place */
    current = NULL;
    atomic_store(&b->mine->notes[note].state, FREE);
    pthread_mutex_unlock(&b->lock);
}

size_t blackbox_overdue(struct blackbox *b, int64_t step_ms, struct digest *ret)
{
    size_t guilty = 0;

    pthread_mutex_lock(&b->lock);
    for (int i = 0; b->mine && i < NOTES; i++) {
        struct note *n = &b->mine->notes[i];

        if (atomic_load(&n->state) != VALID || (n->age_ms += step_ms) <= n->allowed_ms)
            continue;
        if (!guilty++)
            *ret = n->weights;
        atomic_store(&n->cause, HUNG);
    }
    pthread_mutex_unlock(&b->lock);
    return guilty;
}

/* ---- verdicts */

bool blackbox_condemned(struct blackbox *b, const struct digest *weights, struct verdict *ret)
{
    const struct strike *s;
    bool found = false;

    if (!b)
        return false;
    pthread_mutex_lock(&b->lock);
    if ((s = find_strike(b->file, weights)) && s->count >= BLACKBOX_STRIKES) {
        explain(s, ret);
        found = true;
    }
    pthread_mutex_unlock(&b->lock);
    return found;
}

size_t blackbox_verdicts(struct blackbox *b, struct verdict ret[], size_t n)
{
    size_t found = 0;

    pthread_mutex_lock(&b->lock);
    for (int i = 0; i < STRIKES && found < n; i++)
        if (b->file->strikes[i].count >= BLACKBOX_STRIKES)
            explain(&b->file->strikes[i], &ret[found++]);
    pthread_mutex_unlock(&b->lock);
    return found;
}

void blackbox_settle(struct blackbox *b, const struct digest *weights)
{
    pthread_mutex_lock(&b->lock);
    lock_byte(b->fd, WRITER, F_WRLCK, true);
    for (int i = 0; i < STRIKES; i++)
        if (same(&b->file->strikes[i].weights, weights))
            b->file->strikes[i].count = 0;
    lock_byte(b->fd, WRITER, F_UNLCK, false);
    pthread_mutex_unlock(&b->lock);
}

/* ---- what is in use */

/* The place of these weights, else the one to give away. */
static struct recent *place(struct blackbox *b, const struct digest *weights)
{
    struct recent *oldest = &b->mine->recent[0];

    for (int i = 0; i < BLACKBOX_RECENT; i++) {
        struct recent *r = &b->mine->recent[i];

        if (r->used && same(&r->use.weights, weights))
            return r;
        if (r->used < oldest->used)
            oldest = r;
    }
    return oldest;
}

static int64_t now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void blackbox_keep(struct blackbox *b, const struct model_use *use)
{
    if (!b || !b->mine)
        return;
    pthread_mutex_lock(&b->lock);
    *place(b, &use->weights) = (struct recent){ *use, now_us() };
    pthread_mutex_unlock(&b->lock);
}

void blackbox_drop(struct blackbox *b, const struct model_use *use)
{
    struct recent *r;

    if (!b || !b->mine)
        return;
    pthread_mutex_lock(&b->lock);
    r = place(b, &use->weights);
    if (r->used && model_use_same(&r->use, use))
        r->used = 0;
    pthread_mutex_unlock(&b->lock);
}

size_t blackbox_recent(const struct blackbox *b, struct model_use ret[], size_t n)
{
    size_t i = 0;

    for (; b && i < b->nbefore && i < n; i++)
        ret[i] = b->before[i];
    return i;
}
