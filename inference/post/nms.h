/*
 * Non-maximum suppression: of several boxes around one thing the best one stays. Candidates are sorted,
 * best first; both functions keep, in order and in place, at most `most`, and tell how many. Pure.
 *   iou       0..1
 *   agnostic  across classes; else boxes of different labels leave each other alone
 */
#ifndef INFERENCE_POST_NMS_H
#define INFERENCE_POST_NMS_H

#include "inference/post/candidate.h"

/*
 * Greedy: drops what a kept one overlaps by more than iou. O(n * kept), allocates nothing.
 * Source: Neubeck and Van Gool, "Efficient Non-Maximum Suppression", ICPR 2006.
 */
size_t nms(struct candidate *items, size_t n, float iou, bool agnostic, size_t most);

/*
 * For rotated boxes: drops what any better one, kept or not, overlaps by iou or more, by
 * rotated_overlap. O(n * n), cheap where boxes are far apart; looks at the best
 * LIMIT_ROTATED_CANDIDATES only. Reorders what it does not keep. False: out of memory.
 */
bool nms_rotated(struct candidate *items, size_t n, float iou, bool agnostic, size_t most, size_t *ret);

/* Intersection over union of the unturned boxes, 0..1; boxes without area overlap nothing. */
float candidate_iou(const struct candidate *a, const struct candidate *b);

/*
 * Probabilistic IoU, 0..1: one minus the Hellinger distance of the Gaussians that share the boxes'
 * centres and second moments. 1 for equal boxes, never quite 0.
 * Source: Llerena et al., "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union for Object
 * Detection", 2021.
 */
float rotated_overlap(const struct candidate *a, const struct candidate *b);

#endif
