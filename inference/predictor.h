/*
 * The public face of inference/: a model file becomes a predictor; a picture becomes detections. No
 * HTTP, no SQL.
 *
 * Phases: read -> verify -> infer shapes -> passes -> plan memory -> compile -> run. A loaded model is
 * immutable and shared by threads; each run brings its own scratch.
 */
#ifndef INFERENCE_PREDICTOR_H
#define INFERENCE_PREDICTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

enum model_format { MODEL_ONNX, MODEL_PT };
enum model_task { TASK_DETECT, TASK_SEGMENT, TASK_CLASSIFY, TASK_POSE, TASK_OBB, TASK__COUNT };

/* What a model file says of itself, read as data: nothing in it is executed. */
struct model_card {
    enum model_format format;
    enum model_task task;
    bool task_known;
    int input_height, input_width; /* 0 when dynamic or unknown */
    int nclasses;
    char **class_names;    /* [nclasses]; "class0" ... when the file has none */
    int64_t parameters;    /* number of weights */
    char architecture[64]; /* "yolov8n" or the producer; may be empty */
    char version[32];      /* of the package that wrote it; may be empty */
    bool runnable;         /* this build can run it */
    char why_not[160];     /* when it can't: one sentence */
};

/*
 * Reads the card of a model file in memory and checks the file as a whole (ONNX: graph verified, shapes
 * inferred, operators known; .pt: ZIP and pickle read by the restricted unpickler). ST_INVALID or
 * ST_UNSUPPORTED say what and where: an unknown operator is named with node and opset; ST_TOO_LARGE
 * names the limit.
 */
enum status model_card_read(const void *bytes, size_t n, struct model_card **ret,
                            struct fault *f) MUST_USE;
void model_card_free(struct model_card *c);
const char *model_task_name(enum model_task t); /* "detect" ... */

struct predictor;

/* Compiles. threads: oneDNN threads for one run, >= 1. The bytes are not needed afterwards. */
enum status predictor_load(const void *bytes, size_t n, int threads, struct predictor **ret,
                           struct fault *f) MUST_USE;
void predictor_free(struct predictor *d);
const struct model_card *predictor_card(const struct predictor *d);
size_t predictor_memory_bytes(const struct predictor *d);

/* One detection in pixels of the upright picture, clipped to it. */
struct detection {
    int label;            /* class index */
    float score;          /* 0..1 */
    float x0, y0, x1, y1; /* corners, x0 <= x1, y0 <= y1; unused by classifiers */
};

struct predict_options {
    float conf;         /* keep scores above this */
    float iou;          /* NMS: drop a box that overlaps a better one of its class by more than this */
    int imgsz;          /* wanted input side; 0: the model's own. A fixed-shape model ignores it */
    int max_detections; /* 1..LIMIT_DETECTIONS */
};

struct prediction {
    struct detection *items; /* best first; free with prediction_free */
    size_t n;
    double preprocess_ms, inference_ms, postprocess_ms;
};

/*
 * rgb: upright, 8-bit, rows of width * 3 bytes. Thread-safe: threads may share one predictor.
 * Letterbox (pad 114), network, decode, NMS, boxes back to image pixels.
 */
enum status predictor_run(const struct predictor *d, const uint8_t *rgb, int width, int height,
                          const struct predict_options *o, struct prediction *ret,
                          struct fault *f) MUST_USE;
void prediction_free(struct prediction *p);

#endif
