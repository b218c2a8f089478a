/*
 * The metadata that exporters write into a model file, as numbers: what it says of its task, classes,
 * input and head. Values are Python literals and are read as data.
 */
#ifndef INFERENCE_NOTES_H
#define INFERENCE_NOTES_H

#include "inference/model/model.h"

struct notes {
    struct arena *arena; /* owns what follows */
    char **names;        /* class names */
    size_t nnames;
    const char *task, *family;        /* as written, or NULL */
    int64_t height, width;            /* "imgsz"; 0: unknown */
    int64_t stride;                   /* 0: unknown */
    int64_t keypoints, keypoint_dims; /* "kpt_shape"; 0: unknown */
    bool end_to_end;                  /* "end2end", or NMS inside by "args" */
    bool from_yolo;                   /* written by a package of the YOLO family */
    bool normalized;                  /* "mean" and "std" are given, on the scale 0..1, red first */
    float mean[3], deviation[3];
};

/* ST_INVALID: class names that are not names; ST_TOO_LARGE: over a limit. Other notes that cannot be
 * read count as absent. Release with notes_free, also after a failure. */
enum status notes_read(const struct model *m, struct notes *ret, struct fault *f) MUST_USE;
void notes_free(struct notes *n);

#endif
