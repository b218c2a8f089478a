/*
 * Models ready to answer, by the digests of their weights and calibration and by what they avoid:
 * compiled once, shared by all threads, the least recently used dropped beyond a memory budget unless
 * pinned. Loading happens once however many ask; those who ask meanwhile wait. Weights stay in the
 * mapped file of the store.
 *
 * What runs or loads takes one of `slots` places, first come, first served; `queue` may wait for one,
 * each for the deadline at most; beyond that ST_UNAVAILABLE with a time to come back. A run that has all
 * places to itself uses all cores, else each has one. Pictures are decoded within a memory budget of
 * their own.
 *
 * A model that crashed or hung its process twice is refused (blackbox.h, watchdog.h). A new process
 * loads what its predecessor had loaded, the last used first, beside its first requests, compiled for
 * the precision that was asked for last.
 *
 * Settings: predict.threads, .queue, .deadline_s, .memory, .picture_memory.
 */
#ifndef DOMAIN_SERVING_H
#define DOMAIN_SERVING_H

#include "domain/model_use.h"
#include "inference/predictor.h"
#include "media/image.h"
#include "media/store.h"

struct serving;
struct served_model;

/* box: path of the black box, or NULL for none; then nothing is watched. dsn: database for its verdicts,
 * or NULL. Both are needed during the call alone. Not before a fork: models are compiled by threads. */
enum status serving_create(struct store *store, const char *box, const char *dsn, struct serving **ret,
                           struct fault *f) MUST_USE;
void serving_free(struct serving *s); /* accepts NULL; nobody is in a call or holds a model */

/*
 * The model of this use; loads it when it is not there, compiled for use->precision first: for others
 * when they are asked for. A calibration that can't be read is left out, and said in the log. Give it
 * back with serving_put. ST_INVALID: refused, with the reason, or not a model.
 */
enum status serving_get(struct serving *s, const struct model_use *use, struct served_model **ret,
                        struct fault *f) MUST_USE;
void serving_put(struct serving *s, struct served_model *m); /* accepts NULL */
const struct predictor *served_predictor(const struct served_model *m);
bool served_calibrated(const struct served_model *m); /* it can be run in int8, where the CPU can */
/* What automatic comes to where the gate has chosen so: float32 when that lacks something here. */
enum precision served_automatic(const struct served_model *m, enum precision chosen);

/* Loads a model and keeps it whatever the budget says, until unpinned as often as pinned: for models
 * that are deployed. */
enum status serving_pin(struct serving *s, const struct model_use *use, struct fault *f) MUST_USE;
void serving_unpin(struct serving *s, const struct model_use *use);

struct serving_figures {
    size_t models, memory_bytes; /* at hand */
    int64_t loads;               /* since the start */
};
struct serving_figures serving_figures(struct serving *s);

struct served_picture {
    struct image im;   /* as decoded: may be smaller than the picture */
    int width, height; /* of the upright picture */
    int64_t taken;     /* of the picture budget */
};

/*
 * Decodes for a run of m with o. A JPEG may be decoded smaller when the result is still half as large
 * again as what the model wants to see; not when o->exact or `whole`. ST_UNAVAILABLE: the budget is in
 * use. Release with served_picture_free.
 */
enum status serving_decode(struct serving *s, const struct served_model *m, const void *bytes, size_t n,
                           const struct predict_options *o, bool whole, struct served_picture *ret,
                           struct fault *f) MUST_USE;
void served_picture_free(struct serving *s, struct served_picture *p); /* accepts an empty one */

/* Runs when a place is free. o->single, width and height are filled here. */
enum status serving_run(struct serving *s, struct served_model *m, const struct served_picture *p,
                        const struct predict_options *o, struct prediction *ret,
                        struct fault *f) MUST_USE;

#endif
