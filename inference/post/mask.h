/*
 * Masks: a detection's coefficients times the prototypes, enlarged to the network's input, cut to the
 * box, and its largest region as a polygon.
 */
#ifndef INFERENCE_POST_MASK_H
#define INFERENCE_POST_MASK_H

#include "inference/post/head.h"
#include "inference/post/region.h"

/* Zero-initialise; scratch memory that grows to what the largest mask needs. Free with mask_free. */
struct mask_maker {
    float *logits; /* of the prototypes' cells that the box touches */
    float *row;
    int *stack;
    struct bitmap bitmap;                 /* of the box, in input pixels */
    size_t cells, columns, pixels, depth; /* room */
};
void mask_free(struct mask_maker *m);

/*
 * The polygon of one candidate of a head with masks, in input pixels, in the arena. *ret_n 0: the mask
 * is empty. The mask is what is above 0 of the bilinearly enlarged logits (half-pixel centres), from
 * the first whole pixel column and row of the box to the last. Contours follow pixel edges and are
 * simplified within one pixel; where a mask has several parts the largest is taken, holes are
 * filled. False: out of memory.
 */
bool mask_polygon(struct mask_maker *m, const struct head *h, const struct value out[],
                  const struct candidate *c, struct arena *a, struct point **ret, size_t *ret_n);

#endif
