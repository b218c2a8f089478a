/* See team.h. */
#include "inference/kernels/team.h"

void GOMP_parallel(void (*f)(void *), void *data, unsigned threads, unsigned flags);
int omp_get_thread_num(void);
int omp_get_num_threads(void);
int omp_get_max_threads(void);
void omp_set_max_active_levels(int levels);

/* libgomp is not built for ThreadSanitizer: it has to be told that a team starts and ends together. */
#ifdef __SANITIZE_THREAD__
void __tsan_acquire(void *at);
void __tsan_release(void *at);
#define AFTER(at)  __tsan_acquire(at)
#define BEFORE(at) __tsan_release(at)
#else
#define AFTER(at)  ((void)(at))
#define BEFORE(at) ((void)(at))
#endif

struct job {
    void (*work)(const void *context, int i, int n);
    const void *context;
};

int team_size(void)
{
    return omp_get_max_threads();
}

bool team_member(void)
{
    return omp_get_thread_num() > 0;
}

static void take_part(void *data)
{
    const struct job *j = data;

    AFTER(data);
    j->work(j->context, omp_get_thread_num(), omp_get_num_threads());
    BEFORE(data);
}

void team_run(int threads, void (*work)(const void *context, int i, int n), const void *context)
{
    struct job j = { work, context };

    if (threads <= 1) {
        work(context, 0, 1);
    } else {
        BEFORE(&j);
        GOMP_parallel(take_part, &j, (unsigned)threads, 0);
        AFTER(&j);
    }
}

/* A region asks for the team that its kernel was compiled for; no level of parallel regions, no team. */
void team_serial(bool alone)
{
    omp_set_max_active_levels(alone ? 0 : 1);
}
