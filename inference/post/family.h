/* The families of heads, one file each or a few that share an idea; family.c lists them in the order in
 * which they are tried. */
#ifndef INFERENCE_POST_FAMILY_H
#define INFERENCE_POST_FAMILY_H

#include "inference/post/head.h"

extern const struct family family_yolo_classify, family_yolov5_classify, family_classifier;
extern const struct family family_rows; /* finished boxes: YOLOv10, YOLO26, NMS inside */
extern const struct family family_kept_rows, family_kept_parts; /* as many boxes as a run keeps */
extern const struct family family_yolov8, family_rtdetr;        /* a score for each class */
extern const struct family family_rtdetr_parts;                 /* with its own post-processing */
extern const struct family family_yolov5, family_yolov6;        /* objectness times class */
extern const struct family family_yolox, family_fastestdet;     /* numbers relative to a cell */
extern const struct family family_nanodet, family_nanodet_plus;
extern const struct family family_yunet, family_ultraface, family_ssd, family_dbnet;

#endif
