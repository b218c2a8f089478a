/*
 * From a file to a checked graph and its card; shared by model_card_read and the predictor.
 */
#ifndef INFERENCE_CARD_H
#define INFERENCE_CARD_H

#include "inference/model/model.h"
#include "inference/post/head.h"

/*
 * Reads and verifies an ONNX file, infers shapes at the model's own input size and fills the card.
 * ret_model, where not NULL, gets the model before inference (its inputs unbound); release with
 * model_free.
 */
struct opened_model {
    struct model *model; /* verified, unbound */
    struct graph
        *bound; /* inferred at height x width; a clone; NULL when the input is not one picture */
    struct model_card *card;
    struct head head;  /* HEAD_NONE unless card->runnable */
    int height, width; /* of `bound` */
    int stride;        /* input sides are multiples of it */
    bool dynamic;      /* other sizes may be bound */
};
enum status opened_model_read(const void *bytes, size_t n, struct opened_model *ret,
                              struct fault *f) MUST_USE; /* ONNX_WEIGHTS_COPIED */
enum status opened_model_read_as(const void *bytes, size_t n, enum onnx_weights weights,
                                 struct opened_model *ret, struct fault *f) MUST_USE;
void opened_model_free(struct opened_model *o);

/* A clone with inputs of 1 x 3 x height x width, inferred. */
enum status model_bind(const struct model *m, int height, int width, struct graph **ret,
                       struct fault *f) MUST_USE;

#endif
