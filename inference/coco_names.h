/*
 * The 80 class names of the COCO detection challenge, in the order in which detectors number them.
 * Stripped exports of COCO detectors carry no names; a detector with exactly 80 classes and no names of
 * its own is taken for one. Source: Lin et al., "Microsoft COCO: Common Objects in Context", ECCV 2014.
 */
#ifndef INFERENCE_COCO_NAMES_H
#define INFERENCE_COCO_NAMES_H

enum { COCO_CLASSES = 80 };
extern const char *const coco_names[COCO_CLASSES];

#endif
