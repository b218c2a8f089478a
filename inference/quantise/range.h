/*
 * How values are distributed, and which range of them 255 steps serve best. Counts over a range that
 * doubles when a value is beyond it; NaN and infinities are left out. Pure; allocates nothing.
 */
#ifndef INFERENCE_QUANTISE_RANGE_H
#define INFERENCE_QUANTISE_RANGE_H

#include <stddef.h>
#include <stdint.h>

enum { HISTOGRAM_BINS = 4096 };

/* Zero-initialise. */
struct histogram {
    float reach; /* bins cover -reach to reach evenly; 0: nothing counted yet */
    float least, most;
    uint64_t bins[HISTOGRAM_BINS];
};

/* n values, `lanes` of every `step`: those beyond fill a block and mean nothing. */
void histogram_add(struct histogram *h, const float *x, size_t n, size_t lanes, size_t step);

/*
 * low <= 0 <= high such that rounding to (high - low) / 255, and clipping what is outside, has about the
 * least mean squared error.
 */
void histogram_range(const struct histogram *h, float *ret_low, float *ret_high);

#endif
