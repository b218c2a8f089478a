/*
 * Feature maps of an anchor-free YOLO head in blocks of 16 channels to rows of boxes and scores; what
 * the operator YoloDecode means, for boxes without extras. AVX-512 only.
 */
#ifndef INFERENCE_KERNELS_DECODE_H
#define INFERENCE_KERNELS_DECODE_H

#include <stdbool.h>
#include <stddef.h>

enum { DECODE_LEVELS = 8 };

struct decode_level {
    const float *boxes;  /* [4 * bins / 16 or 1][plane][16] */
    const float *scores; /* [classes / 16, rounded up][plane][16], logits */
    size_t plane, width; /* cells; in a row */
    float stride;        /* pixels of a cell */
};

struct decode {
    struct decode_level levels[DECODE_LEVELS];
    int nlevels;
    int bins;     /* 16, or 1: distances are the values themselves */
    bool corners; /* x0, y0, x1, y1 instead of cx, cy, w, h */
    size_t classes, anchors;
    float *rows; /* [4 + classes][anchors] */
};

void decode_run(const struct decode *d, int threads);

#endif
