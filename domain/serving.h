/*
 * Models ready to answer, by the digest of their weights: compiled once, shared by all threads, the
 * least recently used dropped beyond a memory budget. Loading happens once however many ask; those who
 * ask meanwhile wait. Running is bounded: `slots` at a time, `queue` waiting, beyond that ST_UNAVAILABLE
 * with a time to come back.
 */
#ifndef DOMAIN_SERVING_H
#define DOMAIN_SERVING_H

#include "inference/predictor.h"
#include "media/store.h"

struct serving;
struct served_model;

/* Slots and queue from the settings predict.threads and predict.queue. */
enum status serving_create(struct store *store, struct serving **ret, struct fault *f) MUST_USE;
void serving_free(struct serving *s);

/* The model with these weights; loads it when it is not there. Give it back with serving_put. */
enum status serving_get(struct serving *s, const struct digest *weights, struct served_model **ret,
                        struct fault *f) MUST_USE;
void serving_put(struct serving *s, struct served_model *m);
const struct predictor *served_predictor(const struct served_model *m);

/* Runs when a slot is free. */
enum status serving_run(struct serving *s, struct served_model *m, const uint8_t *rgb, int width,
                        int height, const struct predict_options *o, struct prediction *ret,
                        struct fault *f) MUST_USE;

#endif
