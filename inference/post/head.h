/*
 * Heads: what a detector's output means, told from its shape and the file's metadata; and from numbers
 * to candidates.
 */
#ifndef INFERENCE_POST_HEAD_H
#define INFERENCE_POST_HEAD_H

#include "inference/predictor.h"
#include "inference/graph/value.h"

enum head_kind {
    HEAD_NONE,
    HEAD_ANCHORS, /* YOLOv8, v11: centre x, centre y, width, height, then a score for each class; NMS is
                     ours */
    HEAD_ROWS,    /* end to end (v10, v26): [n, 6] = x0, y0, x1, y1, score, class; no NMS */
};

struct head {
    enum head_kind kind;
    bool by_anchor;  /* HEAD_ANCHORS as [1, anchors, 4 + classes]; else [1, 4 + classes, anchors] */
    size_t nclasses; /* 0: unknown */
    size_t n;        /* anchors or rows */
};

/*
 * nclasses: of the metadata, or 0. end_to_end: the metadata says so. HEAD_NONE: *why gets a sentence of
 * at most `size` bytes.
 */
struct head head_detect(const struct value *output, size_t nclasses, bool end_to_end, char *why,
                        size_t size);

/*
 * Candidates with score > conf in pixels of the network's input, in the order of anchors; of each anchor
 * the best class (ties: the lower). Boxes that are not finite are dropped. ret: room for head->n.
 * Returns how many.
 */
size_t head_candidates(const struct head *h, const float *output, float conf, struct detection *ret);

#endif
