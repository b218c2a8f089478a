/*
 * The input of a network that sees one picture: how it wants it, and what makes that from what the
 * predictor gives, planes of floats [1, planes, height, width].
 */
#ifndef INFERENCE_PICTURE_H
#define INFERENCE_PICTURE_H

#include "inference/graph/graph.h"

struct picture_layout {
    int planes;            /* 3, or 1 for grey */
    int64_t height, width; /* -1: any */
    bool last;             /* [1, height, width, planes], as TensorFlow's exporters write it */
    bool bytes;            /* uint8, 0 to 255 */
    bool sized;            /* a second input asks for the picture's width and height, for its boxes */
};

/* False, with a reason in why: the graph's input is not one picture (and, as in RT-DETR's own exports,
 * its size). */
bool picture_layout_read(const struct graph *g, struct picture_layout *ret, char *why, size_t size);

/*
 * Gives the picture's input this size, which is also the answer to the question for it: boxes then come
 * in pixels of the input. A layout that is not planes of floats gets nodes in front that
 * make it from them, and the graph a new input; a Transpose back to planes that reads the old one is
 * passed by. g: verified, not inferred. ST_UNAVAILABLE: out of memory.
 */
enum status picture_bind(struct graph *g, const struct picture_layout *l, int height, int width,
                         struct fault *f) MUST_USE;

#endif
