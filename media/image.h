/*
 * Pictures from untrusted bytes: JPEG, PNG, WebP, TIFF, GIF (first frame), BMP, and the primary picture
 * of HEIC and AVIF, which a program of its own decodes (apart.h). The type is told by libmagic from the
 * bytes, never by a name or a header of the client. EXIF orientation is honoured: width and height are
 * those of the upright picture. Colour profiles are ignored: numbers are taken as sRGB, as the tools
 * that trained the networks take them.
 */
#ifndef MEDIA_IMAGE_H
#define MEDIA_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

/* 8-bit RGB, rows of width * 3 bytes without padding, upright. */
struct image {
    int width, height;
    uint8_t *rgb;
};

struct image_info {
    char type[32];       /* "image/jpeg" ... */
    int width, height;   /* upright */
    int orientation;     /* EXIF 1..8; 1 when absent */
    bool scales;         /* the decoder can give less than the whole (JPEG) */
    int64_t codec_bytes; /* what the decoder takes besides the pixels that it gives, about */
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

/*
 * As image_decode, but a JPEG may come out at an eighth, a quarter or half of its width and height, as
 * long as the upright result has at least min_width x min_height pixels: an eighth takes some 60 % of
 * the time (reading the code dominates) and a 64th of the memory. Both 0: the whole.
 */
enum status image_decode_at_least(const void *bytes, size_t n, int min_width, int min_height,
                                  struct image *ret, struct fault *f) MUST_USE;
/* Memory that such a call takes at its peak, about. */
int64_t image_decode_bytes(const struct image_info *info, int min_width, int min_height);

void image_free(struct image *im); /* accepts an empty one */

#endif
