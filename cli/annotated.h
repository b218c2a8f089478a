/* Pictures with what was found drawn into them. */
#ifndef CLI_ANNOTATED_H
#define CLI_ANNOTATED_H

#include "inference/predictor.h"
#include "media/image.h"

/*
 * Draws the prediction into im and writes it as dir/NAME.jpg, NAME being that of path without folder and
 * suffix. ST_UNAVAILABLE: cannot be written.
 */
enum status annotated_save(const char *dir, const char *path, struct image *im,
                           const struct prediction *p, const struct model_card *card,
                           struct fault *f) MUST_USE;

#endif
