/*
 * Feature maps of an anchor-free YOLO head in blocks of 16 channels to rows of boxes, scores and extras;
 * what the operator YoloDecode means, whose file explains the kinds. AVX-512 only.
 */
#ifndef INFERENCE_KERNELS_DECODE_H
#define INFERENCE_KERNELS_DECODE_H

#include <stddef.h>
#include <stdint.h>

enum { DECODE_LEVELS = 8 };

enum decode_boxes { DECODE_CENTRE, DECODE_CORNERS, DECODE_ROTATED };
enum decode_extra {
    DECODE_NONE,
    DECODE_RAW,
    DECODE_ANGLE,
    DECODE_PLAIN_ANGLE,
    DECODE_POINTS,
    DECODE_OFFSET_POINTS,
};

struct decode_level {
    const float *boxes;  /* [4 * bins / 16 or 1][plane][16] */
    const float *scores; /* [classes / 16, rounded up][plane][16], logits */
    const float *extras; /* [extras / 16, rounded up][plane][16] */
    size_t plane, width; /* cells; in a row */
    float stride;        /* pixels of a cell */
};

struct decode {
    struct decode_level levels[DECODE_LEVELS];
    int nlevels;
    int bins;                /* 16, or 1: distances are the values themselves */
    enum decode_boxes boxes; /* rotated: extras are one angle */
    enum decode_extra extra;
    size_t classes, extras, anchors;
    size_t dims; /* values of a point: 2 or 3 */
    float *rows; /* [4 + classes + extras][anchors] */
};

void decode_run(const struct decode *d, int threads);

/* Memory of decode_best. */
struct decode_room {
    float *best;      /* [anchors] */
    float *scores;    /* [k * classes] */
    int64_t *anchors; /* [k] */
    int64_t *picked;  /* [k] */
};

/*
 * Instead of all rows, the k best, as the operator YoloRows means it: y [k][6 + extras] are box, score,
 * class, extras; d->rows is not used. Only what is picked is decoded.
 */
void decode_best(const struct decode *d, const struct decode_room *room, size_t k, float *y,
                 int threads);

#endif
