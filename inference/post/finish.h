/*
 * From a network's outputs to a prediction: decode, filter, sort, suppress, and the details of what is
 * kept, all in picture pixels.
 */
#ifndef INFERENCE_POST_FINISH_H
#define INFERENCE_POST_FINISH_H

#include "inference/post/head.h"

/*
 * out[HEAD_OUTPUTS]: the head's outputs, dense float32. p->arena is there; items and n are filled.
 * ST_UNAVAILABLE: out of memory; ST_TOO_LARGE: more results than LIMIT_PREDICTION_BYTES hold.
 */
enum status prediction_finish(const struct head *h, const struct value out[], const struct letterbox *l,
                              const struct predict_options *o, struct prediction *p,
                              struct fault *f) MUST_USE;

/* Copies the outputs of a model without a known head. */
enum status prediction_copy(const struct value out[], const char *const names[], size_t n,
                            struct prediction *p, struct fault *f) MUST_USE;

/* Width and height along the angle, 0 <= angle < pi / 2, and the corners; candidate in input pixels. */
struct rotated_box rotated_of(const struct candidate *c, const struct letterbox *l);

#endif
