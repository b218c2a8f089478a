/*
 * Pictures to bytes, for answers: JPEG and PNG. Nothing of the original file's metadata is in them.
 */
#ifndef MEDIA_ENCODE_H
#define MEDIA_ENCODE_H

#include "base/text.h"
#include "media/image.h"

enum image_format { IMAGE_JPEG, IMAGE_PNG, IMAGE_FORMAT__COUNT };

/* "image/jpeg", "image/png". */
const char *image_media_type(enum image_format f);

/*
 * Appends the picture to out. JPEG: quality 90, chroma at half resolution. PNG: lossless, packed quickly
 * rather than tightly. ST_UNAVAILABLE: out of memory; ST_TOO_LARGE: out->max, or a side that the format
 * cannot have.
 */
enum status image_encode(const struct image *im, enum image_format format, struct buffer *out,
                         struct fault *f) MUST_USE;

#endif
