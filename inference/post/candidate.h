/*
 * Candidates: what a decoder finds in a network's output before suppression, in pixels of the network's
 * input. Small, so that sorting and suppression are fast; masks and key points are read later, for
 * those that are kept.
 */
#ifndef INFERENCE_POST_CANDIDATE_H
#define INFERENCE_POST_CANDIDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct candidate {
    int label;
    float score;          /* 0..1 */
    float x0, y0, x1, y1; /* corners, x0 <= x1, y0 <= y1; of a rotated box as if it were not turned */
    float angle;          /* of a rotated box about its centre, radians */
    uint32_t row;         /* the anchor, row or cell that it comes from */
};

/* Zero-initialise, free with candidates_free. failed: out of memory; later additions are ignored. */
struct candidates {
    struct candidate *items;
    size_t n, cap;
    bool failed;
};

/* Drops a candidate with a number that is not finite; clamps the score to 1. At most
 * LIMIT_CANDIDATES are taken. */
void candidates_add(struct candidates *c, struct candidate one);
void candidates_free(struct candidates *c);

/* Best score first; ties keep their order; NaN ranks last. False: out of memory, nothing is changed. */
bool candidates_sort(struct candidate *items, size_t n);

/* Keeps, in order, those whose label is among labels[nlabels]; all when nlabels is 0. Returns how many.
 */
size_t candidates_filter(struct candidate *items, size_t n, const int labels[], size_t nlabels);

/* A box by its centre and sides; a negative side counts as positive. */
struct candidate candidate_centred(float x, float y, float width, float height);

#endif
