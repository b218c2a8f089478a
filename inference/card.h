/*
 * From a file to a checked graph, its head and its card; shared by model_card_read and the predictor.
 */
#ifndef INFERENCE_CARD_H
#define INFERENCE_CARD_H

#include "inference/model/model.h"
#include "inference/post/head.h"

struct opened_model {
    struct model *model; /* verified, unbound */
    struct graph
        *bound; /* inferred at height x width; a clone; NULL when the input is not one picture */
    struct model_card *card;
    struct head head;             /* of `bound`; without family unless card->runnable */
    struct head_facts facts;      /* what the metadata told; sizes and outputs of `bound` */
    struct preprocess preprocess; /* what the network is shown */
    int height, width;            /* of `bound` */
    int planes;                   /* of the input: 3, or 1 for grey */
    int stride;                   /* input sides are multiples of it */
    bool bytes;                   /* it is of uint8: pixels as they are */
    bool sized;                   /* it asks for the picture's size too */
    bool dynamic;                 /* other sizes may be bound */
};

/*
 * Reads and verifies a model file, infers shapes at the model's own input size, looks for the head and
 * fills the card. family: declared by the caller, or NULL. Without _as: no family, and
 * ONNX_WEIGHTS_COPIED.
 */
enum status opened_model_read_as(const void *bytes, size_t n, enum onnx_weights weights,
                                 const char *family, struct opened_model *ret, struct fault *f) MUST_USE;
enum status opened_model_read(const void *bytes, size_t n, struct opened_model *ret,
                              struct fault *f) MUST_USE;
void opened_model_free(struct opened_model *o);

/* A clone with an input of floats, 1 x planes x height x width, whatever the file's is (picture.h);
 * inferred. */
enum status model_bind(const struct model *m, int height, int width, struct graph **ret,
                       struct fault *f) MUST_USE;

/* The head of a graph bound to another size: the same family, or false. */
bool opened_model_head(const struct opened_model *o, const struct graph *g, int height, int width,
                       struct head *ret);

#endif
