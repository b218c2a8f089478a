/* See trial.h. The child writes its struct trial into a pipe; the parent waits, and tells that it lives.
 */
#include "domain/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/text.h"
#include "domain/pictures.h"
#include "media/image.h"

enum { VIEWS = 4, STEP_MS = 200, NICE = 10, MOST = LIMIT_TRIAL_PICTURES + BUNDLED_PICTURES * VIEWS };

/* ---- in the child ---- */

struct runner {
    const struct trial_subject *subject;
    enum precision candidate;
    struct predictor *predictor;
    struct trial *trial;
    double f32_ms[MOST], candidate_ms[MOST];
    int64_t until_ms;
};

static enum status run_in(struct runner *r, enum precision p, const struct image *im,
                          struct prediction *ret, struct fault *f)
{
    const struct predict_options o = {
        .conf = AGREEMENT_CONF, .iou = 0.7f, .max_detections = LIMIT_DETECTIONS, .precision = p
    };

    return predictor_run(r->predictor, im->rgb, im->width, im->height, &o, ret, f);
}

/* One picture through both. A failure of the candidate alone is its verdict; what it lacks, such as a
 * calibration, is none. */
static enum status compare(struct runner *r, const struct image *im, struct fault *f)
{
    struct prediction reference = { 0 }, candidate = { 0 };
    const int at = r->trial->seen.pictures;
    enum status st = run_in(r, PRECISION_F32, im, &reference, f);

    if (st == ST_OK && (st = run_in(r, r->candidate, im, &candidate, f)) != ST_OK)
        r->trial->verdict = st == ST_UNSUPPORTED ? AGREEMENT_UNPROVEN : AGREEMENT_FAILED;
    if (st == ST_OK) {
        agreement_add(&r->trial->seen, &reference, &candidate);
        r->f32_ms[at] = reference.inference_ms;
        r->candidate_ms[at] = candidate.inference_ms;
    }
    prediction_free(&reference);
    prediction_free(&candidate);
    return st;
}

/* Enough is seen, and time is short. */
static bool hurry(const struct runner *r)
{
    return r->trial->seen.pictures >= AGREEMENT_PICTURES && clock_monotonic_ms() > r->until_ms;
}

/* What can't be read is no evidence. */
static enum status compare_stored(struct runner *r, const struct digest *d, struct fault *f)
{
    struct fault ignored = FAULT_INIT;
    struct image im = { 0 };
    const void *bytes;
    size_t n;
    enum status st = ST_OK;

    if (store_map(r->subject->store, d, &bytes, &n, &ignored) != ST_OK)
        return ST_OK;
    if (image_decode(bytes, n, &im, &ignored) == ST_OK)
        st = compare(r, &im, f);
    image_free(&im);
    store_unmap(bytes, n);
    return st;
}

/* View 0: the whole; 1: mirrored; 2: the upper left three quarters; 3: the lower right ones, mirrored.
 */
static bool make_view(const struct image *im, int view, struct image *ret)
{
    const int width = view < 2 ? im->width : im->width * 3 / 4,
              height = view < 2 ? im->height : im->height * 3 / 4,
              left = view == 3 ? im->width - width : 0, top = view == 3 ? im->height - height : 0;
    const bool mirrored = view % 2 == 1;

    *ret = (struct image){ width, height, malloc((size_t)width * (size_t)height * 3) };
    for (int y = 0; ret->rgb && y < height; y++)
        for (int x = 0; x < width; x++)
            memcpy(ret->rgb + 3 * ((size_t)y * (size_t)width + (size_t)x),
                   im->rgb + 3 * ((size_t)(top + y) * (size_t)im->width +
                                  (size_t)(left + (mirrored ? width - 1 - x : x))),
                   3);
    return ret->rgb != NULL;
}

static enum status compare_bundled(struct runner *r, const struct bundled_picture *p, struct fault *f)
{
    struct image im = { 0 };
    enum status st = image_decode(p->bytes, (size_t)(p->end - p->bytes), &im, f);

    for (int view = 0; view < VIEWS && st == ST_OK && !hurry(r); view++) {
        struct image seen;

        if (!make_view(&im, view, &seen))
            st = fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
        else
            st = compare(r, &seen, f);
        image_free(&seen);
    }
    image_free(&im);
    return st;
}

static enum status compare_all(struct runner *r, struct fault *f)
{
    const struct trial_subject *s = r->subject;
    enum status st = ST_OK;

    for (size_t i = 0; i < s->npictures && i < LIMIT_TRIAL_PICTURES && st == ST_OK && !hurry(r); i++)
        st = compare_stored(r, &s->pictures[i], f);
    r->trial->bundled = r->trial->seen.pictures < AGREEMENT_PICTURES;
    for (size_t i = 0; r->trial->bundled && i < BUNDLED_PICTURES && st == ST_OK; i++)
        st = compare_bundled(r, &bundled_pictures[i], f);
    return st;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *x, int n)
{
    qsort(x, (size_t)n, sizeof *x, ascending);
    return n ? x[n / 2] : 0;
}

static void explain(struct trial *t)
{
    const struct agreement *a = &t->seen;

    if (t->verdict == AGREEMENT_UNPROVEN)
        snprintf(t->reason, sizeof t->reason, "found only %d things in %d pictures", a->findings,
                 a->pictures);
    else if (t->verdict == AGREEMENT_FAILED)
        snprintf(t->reason, sizeof t->reason, "%d of %d findings differ", a->findings - a->agreeing,
                 a->findings);
}

static enum status try(struct runner *r, struct fault *f)
{
    const struct load_options how = { .compile = { .threads = 1, .precision = PRECISION_F32 },
                                      .bytes_stay = true };
    struct trial *t = r->trial;
    const struct model_card *card;
    const void *bytes;
    size_t n;
    enum status st;

    if ((st = store_map(r->subject->store, &r->subject->weights, &bytes, &n, f)) != ST_OK ||
        (st = predictor_load(bytes, n, &how, &r->predictor, f)) != ST_OK)
        return st;
    card = predictor_card(r->predictor);
    if (!card->runnable)
        return fault_set(f, ST_INVALID, NULL, "the model cannot be run here: %s", card->why_not);
    t->seen.task = card->task;
    if ((st = compare_all(r, f)) != ST_OK)
        return st;
    t->f32_ms = median(r->f32_ms, t->seen.pictures);
    t->candidate_ms = median(r->candidate_ms, t->seen.pictures);
    t->verdict = agreement_verdict(&t->seen);
    explain(t);
    return ST_OK;
}

/* Ends the process: what it holds goes with it. */
static void child(const struct trial_subject *s, enum precision candidate, pid_t parent, int fd)
{
    struct trial t = { .verdict = AGREEMENT_UNPROVEN };
    struct runner *r = calloc(1, sizeof *r);
    struct fault f = FAULT_INIT;

    signal(SIGTERM, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)setpriority(PRIO_PROCESS, 0, NICE);
    if (!r || getppid() != parent)
        _exit(1);
    (void)failpoint("trial_run");
    *r = (struct runner){ .subject = s,
                          .candidate = candidate,
                          .trial = &t,
                          .until_ms = clock_monotonic_ms() + LIMIT_TRIAL_S * 500 };
    if (try(r, &f) != ST_OK)
        snprintf(t.reason, sizeof t.reason, "%.*s", (int)sizeof t.reason - 1, f.detail);
    _exit(write(fd, &t, sizeof t) == (ssize_t)sizeof t ? 0 : 1); /* fits a pipe's buffer at once */
}

/* ---- in the parent ---- */

/* True: the child has spoken or gone; false: *ret_stop (asked to stop) or time is over. */
static bool await(int fd, const struct stepper *step, bool *ret_stop)
{
    const int64_t until_ms = clock_monotonic_ms() + LIMIT_TRIAL_S * 1000;

    while (clock_monotonic_ms() < until_ms) {
        struct pollfd p = { .fd = fd, .events = POLLIN };

        if (poll(&p, 1, STEP_MS) > 0)
            return true;
        if (step && !step->step(step->arg)) {
            *ret_stop = true;
            return false;
        }
    }
    return false;
}

/* How the child ended, where it has said nothing. */
static void explain_end(struct trial *t, bool spoke, int wait_status)
{
    *t = (struct trial){ .verdict = spoke ? AGREEMENT_FAILED : AGREEMENT_UNPROVEN, .bundled = true };
    if (!spoke)
        snprintf(t->reason, sizeof t->reason, "the trial took longer than %d s", LIMIT_TRIAL_S);
    else if (WIFSIGNALED(wait_status))
        snprintf(t->reason, sizeof t->reason, "the trial crashed (signal %d)", WTERMSIG(wait_status));
    else
        snprintf(t->reason, sizeof t->reason, "the trial ended without a word");
}

enum status trial_run(const struct trial_subject *s, enum precision candidate,
                      const struct stepper *step, struct trial *ret, bool *ret_ended, struct fault *f)
{
    const pid_t self = getpid();
    struct trial t;
    bool stop = false, spoke;
    int ends[2], wait_status = 0;
    pid_t pid;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fault_set(f, ST_UNAVAILABLE, NULL, "no pipe can be made");
    if ((pid = fork()) == 0)
        child(s, candidate, self, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return fault_set(f, ST_UNAVAILABLE, NULL, "no process can be made");
    }
    spoke = await(ends[0], step, &stop);
    if (!spoke)
        kill(pid, SIGKILL);
    while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR)
        ;
    if (!spoke || read(ends[0], &t, sizeof t) != (ssize_t)sizeof t)
        explain_end(&t, spoke, wait_status);
    close(ends[0]);
    *ret_ended = !stop;
    if (!stop)
        *ret = t;
    return ST_OK;
}
