/*
 * Where a picture lies in a network's input, and the way back for boxes and points. The arithmetic is
 * that of the tools which trained the networks, rounding included: half pixels would move every box.
 */
#ifndef INFERENCE_LETTERBOX_H
#define INFERENCE_LETTERBOX_H

#include <stdint.h>
#include "inference/kernels/letterbox.h"
#include "inference/predictor.h"

enum fit {
    FIT_CENTRE,   /* scaled to fit, its aspect kept, in the middle; the rest is filled */
    FIT_TOP_LEFT, /* the same, in the upper left corner */
    FIT_STRETCH,  /* scaled to the input's sides, whatever becomes of the aspect */
    FIT_CROP,     /* scaled until the shorter side fits, the middle of the longer one taken */
};

struct letterbox {
    enum fit fit;
    int width, height;             /* of the picture */
    int input_width, input_height; /* of the network */
    int scaled_width, scaled_height;
    int left, top;         /* where the scaled picture starts in the input; negative when cropped */
    double gain_x, gain_y; /* input pixels per picture pixel; may exceed 1 */
};

/*
 * All sizes >= 1. keep: for FIT_CROP the part of the shorter side that the network sees (classifiers
 * are often shown the middle 7/8); else 1.
 */
struct letterbox letterbox_fit(enum fit fit, double keep, int width, int height, int input_width,
                               int input_height);

/*
 * Row y of the input, 0 <= y < input_height, in the columns that hold the picture: from letterbox_first
 * up to but not including letterbox_end, a row each of red, green and blue. Bilinear with half-pixel
 * centres, rounded to 8 bits, then scaled. False: the row holds no picture. sampler: see below; one
 * thread at a time.
 */
struct sampler;
struct sampler *sampler_create(const struct letterbox *l, const uint8_t *rgb); /* NULL: no memory */
void sampler_free(struct sampler *s);                                          /* accepts NULL */
bool sampler_row(struct sampler *s, int y, const struct letterbox_scale *scale,
                 float *const ret[3]); /* ret: [end - first] each */
int letterbox_first(const struct letterbox *l);
int letterbox_end(const struct letterbox *l);

/* From input pixels to picture pixels; the point is not clipped. */
struct point letterbox_undo(const struct letterbox *l, struct point p);
/* The same, clipped to the picture. */
struct point letterbox_undo_clipped(const struct letterbox *l, struct point p);

#endif
