/*
 * Letterbox: a picture scaled to fit the network's input, its aspect kept, the rest filled with grey
 * 114; and the way back for boxes. Follows the scheme that YOLO training and tools use, rounding
 * included.
 */
#ifndef INFERENCE_LETTERBOX_H
#define INFERENCE_LETTERBOX_H

#include <stdint.h>
#include "inference/predictor.h"

struct letterbox {
    int width, height;             /* of the picture */
    int input_width, input_height; /* of the network */
    int scaled_width, scaled_height;
    int left, top; /* where the scaled picture starts */
    double gain;   /* input pixels per picture pixel; may exceed 1 */
};

/* All sizes >= 1. */
struct letterbox letterbox_fit(int width, int height, int input_width, int input_height);

/*
 * rgb [height, width, 3] 8-bit to planes [3, input_height, input_width], 0..1. Bilinear with half-pixel
 * centres, rounded to 8 bits as the tools do that trained the networks. False: out of memory.
 */
bool letterbox_draw(const struct letterbox *l, const uint8_t *rgb, float *planes);

/* A box in input pixels to picture pixels, clipped to the picture. */
void letterbox_undo(const struct letterbox *l, struct detection *d);

#endif
