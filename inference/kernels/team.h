/*
 * Work shared by the threads of oneDNN's own pool (libgomp), so that one run has one team. GOMP_parallel
 * is what `#pragma omp parallel` compiles to; called by name, no compiler needs its OpenMP switch, and
 * clang does not bring a second runtime.
 */
#ifndef INFERENCE_KERNELS_TEAM_H
#define INFERENCE_KERNELS_TEAM_H

#include <stdbool.h>

/* Calls work(context, i, n) for i = 0..n-1, n at most `threads`, and returns when all are done. */
void team_run(int threads, void (*work)(const void *context, int i, int n), const void *context);

/* Threads of the run under way on the calling thread: what kernel_stream_begin has set. */
int team_size(void);

/* Whether the calling thread is one of a team, but not the one that has called for it. For signal
 * handlers too. */
bool team_member(void);

/*
 * From now on the calling thread works alone, whatever team a kernel was compiled for, or with teams
 * again. Results do not change: shares are cut by the team that comes, a team of one does them all.
 */
void team_serial(bool alone);

#endif
