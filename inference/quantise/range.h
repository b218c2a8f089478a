/*
 * How far the values of one channel go, over pictures: which range 255 steps should cover. Pure;
 * allocates nothing.
 *
 * What a channel finds is rare and large, and is what the network is for: ranges that give the least
 * squared error clip just that. So a range holds all that was seen, and what pictures that were not seen
 * may have beyond it: where a channel's extremes vary from picture to picture there is more to come.
 */
#ifndef INFERENCE_QUANTISE_RANGE_H
#define INFERENCE_QUANTISE_RANGE_H

#include <stddef.h>
#include <stdint.h>

/* The extremes of each picture in one direction, as distances from 0. */
struct extreme {
    double sum, squares;
    float most;
};

/* Zero-initialise. */
struct range {
    struct extreme above, below;
    int pictures;
    uint64_t n;
    double sum;
};

/* One picture: n values, each `step` floats behind the one before; NaN and infinities are left out. */
void range_add(struct range *r, const float *x, size_t n, size_t step);

/* ret_low <= 0 <= ret_high; both 0 when nothing was added. */
void range_ends(const struct range *r, float *ret_low, float *ret_high);
float range_mean(const struct range *r); /* 0 when nothing was added */

#endif
