/*
 * Pictures from untrusted bytes: JPEG, PNG, WebP, TIFF, GIF (first frame), BMP. The type is told by
 * libmagic from the bytes, never by a name or a header of the client. EXIF orientation is honoured:
 * width and height are those of the upright picture.
 */
#ifndef MEDIA_IMAGE_H
#define MEDIA_IMAGE_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

/* 8-bit RGB, rows of width * 3 bytes without padding, upright. */
struct image {
    int width, height;
    uint8_t *rgb;
};

struct image_info {
    char type[32];     /* "image/jpeg" ... */
    int width, height; /* upright */
    int orientation;   /* EXIF 1..8; 1 when absent */
};

/*
 * Type and size from the header alone, without decoding the pixels.
 * ST_UNSUPPORTED: not a picture of the list (says what it is). ST_TOO_LARGE: LIMIT_IMAGE_SIDE_PX,
 * LIMIT_IMAGE_PIXELS. ST_INVALID: damaged header.
 */
enum status image_probe(const void *bytes, size_t n, struct image_info *ret, struct fault *f) MUST_USE;

/*
 * Decodes to upright RGB: grey is spread, alpha is dropped, CMYK converted, 16 bits scaled down. A
 * truncated or damaged picture is ST_INVALID: no grey rest. Caller releases with image_free. Limits are
 * checked before pixels are allocated.
 */
enum status image_decode(const void *bytes, size_t n, struct image *ret, struct fault *f) MUST_USE;
void image_free(struct image *im); /* accepts an empty one */

#endif
