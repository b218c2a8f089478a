/*
 * A prediction drawn on its picture: masks, boxes, key points, names with their scores. For people to
 * look at, and the same for every dialect and the command line.
 */
#ifndef DOMAIN_ANNOTATE_H
#define DOMAIN_ANNOTATE_H

#include "inference/predictor.h"
#include "media/image.h"

/* Each class has its colour (media/draw.h); the surest is drawn last, above the others. Of classifiers
 * the list of classes in the upper left corner. Sizes grow with the picture. */
void prediction_draw(const struct prediction *p, const struct model_card *card, struct image *im);

#endif
