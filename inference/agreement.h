/*
 * Whether two ways of computing one network see the same: findings of float32 against those of a
 * cheaper precision, picture by picture, for every task. Pure: no model, no file, no clock.
 *
 * Findings with a score above AGREEMENT_SCORE count, on either side. Each is paired with the most alike
 * one of the other side and the same class; the pair agrees when likeness and scores are close enough.
 * Likeness, 0..1, is the least of what the task has:
 *   boxes              intersection over union
 *   rotated boxes      the same of the turned rectangles
 *   masks              the same of the polygons
 *   key points         mean of exp(-d^2 / 2 (side * 0.05)^2) over the visible ones, side the root of the
 *                      box's area: the similarity that pose benchmarks use
 * A classifier has one finding a picture, its likeliest class; likeness is 1 if the class is the same.
 *
 * Both predictions must have been made with conf AGREEMENT_CONF, below AGREEMENT_SCORE: else a score
 * that moves a little across the threshold would look like a finding that is gone.
 */
#ifndef INFERENCE_AGREEMENT_H
#define INFERENCE_AGREEMENT_H

#include "inference/predictor.h"

#define AGREEMENT_SCORE      0.25f
#define AGREEMENT_CONF       0.20f
#define AGREEMENT_LIKENESS   0.9
#define AGREEMENT_DIFFERENCE 0.03 /* of scores */
#define AGREEMENT_SHARE      0.99 /* of all findings that must agree */
enum {
    AGREEMENT_PICTURES = 16, /* fewer prove nothing */
    AGREEMENT_FINDINGS = 8,
};

/* Zero-initialise but for task; worst_* are of pairs, agreeing or not. */
struct agreement {
    enum model_task task;
    int pictures;
    int findings, agreeing;
    double worst_likeness;   /* 0..1; 1 while there is no pair */
    double worst_difference; /* of scores */
};

void agreement_add(struct agreement *a, const struct prediction *reference,
                   const struct prediction *candidate);

enum agreement_verdict {
    AGREEMENT_UNPROVEN, /* too little was seen */
    AGREEMENT_FAILED,
    AGREEMENT_PASSED,
};
enum agreement_verdict agreement_verdict(const struct agreement *a);
const char *agreement_verdict_name(enum agreement_verdict v); /* "unproven" ... */

/* 0..1, as above, of two findings of one picture. */
double agreement_likeness(const struct detection *a, const struct detection *b);

#endif
