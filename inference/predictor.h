/*
 * The public face of inference/: a model file becomes a predictor; a picture becomes a prediction of any
 * task. No HTTP, no SQL.
 *
 * Phases: read -> verify -> infer shapes -> passes -> plan memory -> compile -> run. A loaded model is
 * immutable and shared by threads; each run brings its own scratch.
 */
#ifndef INFERENCE_PREDICTOR_H
#define INFERENCE_PREDICTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/status.h"
#include "inference/graph/value.h"
#include "inference/plan/check.h"

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
    double flops;          /* of one run at its own size: twice its multiplications; 0: unknown */
    char architecture[64]; /* "yolov8n" or the producer; may be empty */
    char family[24];       /* how its outputs are read: "yolov8", "yunet" ...; "raw": as tensors only */
    char version[32];      /* of the package that wrote it; may be empty */
    bool runnable;         /* this build can run it and read its outputs as those of a task */
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

struct load_options {
    struct compile_options compile; /* precision and exact: of runs that do not ask for their own */
    const char *family; /* of post/family.h, where the file does not tell; NULL: recognised */
    bool bytes_stay;    /* until predictor_free: weights are read where they lie, not copied */
};

/*
 * Compiles for the model's own input size. o: NULL counts as all zero. Unless bytes_stay, the bytes are
 * not needed afterwards. A model whose outputs no family knows is loaded too and gives raw tensors.
 */
enum status predictor_load(const void *bytes, size_t n, const struct load_options *o,
                           struct predictor **ret, struct fault *f) MUST_USE;
void predictor_free(struct predictor *d);
const struct model_card *predictor_card(const struct predictor *d);
size_t predictor_memory_bytes(const struct predictor *d);

/* In pixels of the upright picture, x to the right, y down; 0, 0 is the outer corner of the first
 * pixel. An array of points is an array of coordinates: x, y, x, y ... */
struct point {
    float x, y;
};

_Static_assert(sizeof(struct point) == 2 * sizeof(float), "no padding between points");

struct keypoint {
    float x, y;
    float visibility; /* 0..1; 1 from models that do not say */
};

/* A box turned about its centre. */
struct rotated_box {
    float x, y, width, height; /* centre and sides, pixels */
    float angle;               /* of the width's side, radians clockwise as seen, 0 <= angle < pi / 2 */
    struct point corners[4];   /* clockwise as seen; not clipped */
};

/* One finding; its parts belong to the prediction. All within the picture. */
struct detection {
    int label;             /* class index */
    float score;           /* 0..1 */
    float x0, y0, x1, y1;  /* corners, x0 <= x1, y0 <= y1; around a rotated box; 0 from classifiers */
    struct point *polygon; /* [npolygon], outer contour of the mask, clockwise as seen; or NULL */
    size_t npolygon;
    struct keypoint *keypoints; /* [nkeypoints], or NULL */
    size_t nkeypoints;
    struct rotated_box *rotated; /* or NULL */
};

struct predict_options {
    float conf;         /* keep scores above this; not for classifiers */
    float iou;          /* NMS: drop a box that overlaps a better one of its class by more than this */
    int imgsz;          /* wanted input side; 0: the model's own. A fixed-shape model ignores it */
    int max_detections; /* 1..LIMIT_DETECTIONS */
    int top;            /* classifiers: so many classes, 1..LIMIT_DETECTIONS; 0: five */
    const int *classes; /* [nclasses]: no others; nclasses 0: all */
    size_t nclasses;
    bool agnostic;            /* NMS across classes */
    enum precision precision; /* PRECISION_AUTO: that of the load */
    bool exact;               /* direct float32 kernels for this run, whatever the precision */
    bool single;              /* one thread, however many the model was loaded for */
    int width, height;        /* of the picture, when rgb is a smaller copy of it; 0: those of rgb */
};

struct output_tensor {
    const char *name;
    struct value value; /* dense, row-major */
};

/* Zero-initialise; all that it points to lives in its arena until prediction_free. */
struct prediction {
    struct detection *items; /* [n], best first; of a classifier its likeliest classes */
    size_t n;
    struct output_tensor *tensors; /* [ntensors]: of a model of family "raw" */
    size_t ntensors;
    double preprocess_ms, inference_ms, postprocess_ms;
    enum precision precision; /* that answered: never PRECISION_AUTO */
    struct arena *arena;
};

/*
 * rgb: upright, 8-bit, rows of width * 3 bytes. Thread-safe: threads may share one predictor.
 * Preprocessing as the family wants it, network, decoding, NMS, all back to picture pixels. Another
 * size, precision or exactness than before is compiled first and kept, a few of them.
 */
enum status predictor_run(const struct predictor *d, const uint8_t *rgb, int width, int height,
                          const struct predict_options *o, struct prediction *ret,
                          struct fault *f) MUST_USE;
void prediction_free(struct prediction *p); /* accepts an empty one */

/*
 * The plan of this precision for the model's own size, layer by layer (plan/check.h), on something like
 * a picture: seconds. PRECISION_AUTO: that of the load. ST_UNSUPPORTED: as plan_create.
 */
enum status predictor_check(const struct predictor *d, enum precision p,
                            const struct plan_watcher *watcher, struct plan_check *ret,
                            struct fault *f) MUST_USE;

/*
 * The size that such a run would scale the picture to, cropping and border aside: a copy that is not
 * smaller will do in its place.
 */
void predictor_scaled_size(const struct predictor *d, const struct predict_options *o, int width,
                           int height, int *ret_width, int *ret_height);

#endif
