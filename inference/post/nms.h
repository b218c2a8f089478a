/*
 * Greedy non-maximum suppression, class by class.
 * Source: Neubeck and Van Gool, "Efficient Non-Maximum Suppression", ICPR 2006.
 */
#ifndef INFERENCE_POST_NMS_H
#define INFERENCE_POST_NMS_H

#include "inference/predictor.h"

/* Best score first; ties keep their order; NaN ranks last. False: out of memory, nothing is changed. */
bool detections_sort(struct detection *d, size_t n);

/*
 * d[n] must be sorted. Keeps, in order and in place, each detection that no kept one of its class
 * overlaps by more than iou (0..1), at most `most`. Returns how many. O(n * kept), allocates nothing.
 */
size_t nms(struct detection *d, size_t n, float iou, size_t most);

/* Intersection over union of two boxes, 0..1; boxes without area overlap nothing. */
float detection_iou(const struct detection *a, const struct detection *b);

#endif
