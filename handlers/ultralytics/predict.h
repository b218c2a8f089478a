/* The parts of a predict request: what is asked (predict_input.c) and how it is told (predict_answer.c).
 */
#ifndef HANDLERS_ULTRALYTICS_PREDICT_H
#define HANDLERS_ULTRALYTICS_PREDICT_H

#include "domain/operations.h"
#include "fcgi/upload.h"
#include "inference/predictor.h"
#include "media/encode.h"

struct predict_request {
    struct predict_input in;
    struct texts classes; /* numbers or names, as sent */
    struct upload up;     /* bytes: the picture; release with upload_free */
};

/* Picture and options of a form or a JSON body. */
enum status predict_receive(struct request *rq, struct predict_request *ret, struct fault *f) MUST_USE;

/* The options for the predictor; class names become the model's numbers. `classes` lives in the arena.
 */
enum status predict_options_of(struct request *rq, const struct predict_request *p,
                               const struct model_card *card, struct predict_options *ret,
                               struct fault *f) MUST_USE;

struct predict_answer {
    const struct prediction *p;
    const struct model_card *card;
    const char *model;
    int width, height;
    int decimals;   /* digits after the point, at most */
    bool normalize; /* coordinates as parts of width and height */
    double decode_ms, total_ms;
};
/* The whole JSON body. */
void predict_write(const struct predict_answer *a, struct buffer *out);

#endif
