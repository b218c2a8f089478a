/*
 * What a network wants to be shown: how the picture is fitted into its input, in which order of colours
 * and on which scale. Each family of heads points to one of these.
 */
#ifndef INFERENCE_PREPROCESS_H
#define INFERENCE_PREPROCESS_H

#include "inference/letterbox.h"

/* A plane's value is (v - mean) * scale for v in 0..255. mean and scale are in the network's order. */
struct preprocess {
    enum fit fit;
    double keep; /* see letterbox_fit */
    bool bgr;    /* blue, green, red */
    float fill;  /* 0..255, where there is no picture */
    float mean[3], scale[3];
};

extern const struct preprocess preprocess_yolo;      /* RGB 0..1, grey border of 114 on all sides */
extern const struct preprocess preprocess_stretched; /* RGB 0..1, stretched */
extern const struct preprocess
    preprocess_yolo_crop; /* classifiers of the YOLO packages: RGB 0..1, crop */
extern const struct preprocess preprocess_imagenet;       /* ImageNet's mean and deviation, middle 7/8 */
extern const struct preprocess preprocess_imagenet_whole; /* the same, shorter side whole (YOLOv5) */
extern const struct preprocess preprocess_imagenet_fit;   /* the same, black border (text detectors) */
extern const struct preprocess preprocess_yolox;          /* BGR 0..255, top left */
extern const struct preprocess preprocess_nanodet;        /* BGR less mean, by deviation; black border */
extern const struct preprocess preprocess_fastestdet;     /* BGR 0..1, stretched */
extern const struct preprocess preprocess_yunet;          /* BGR 0..255, top left, black border */
extern const struct preprocess preprocess_ultraface;      /* RGB (v - 127) / 128, stretched */

/*
 * rgb [height, width, 3] as l says, to [planes, input_height, input_width]. planes: 3, or 1 for the
 * luma (0.299 R + 0.587 G + 0.114 B) with the first mean and scale. False: out of memory.
 */
bool preprocess_draw(const struct preprocess *p, const struct letterbox *l, const uint8_t *rgb,
                     int planes, float *ret) MUST_USE;

#endif
