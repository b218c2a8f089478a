/*
 * Decoding in a process of its own, for formats whose decoders are not to be trusted with ours: the
 * program fovea-picture (media/picture_main.c), beside the running one. It may use so much memory and
 * time, can open nothing and call nobody, and dies alone.
 *
 * A start costs some milliseconds. Thread-safe.
 */
#ifndef MEDIA_APART_H
#define MEDIA_APART_H

#include "base/limits.h"
#include "base/status.h"
#include "base/text.h"

/* How the program ends. */
enum {
    APART_DONE = 0,
    APART_DAMAGED = 65, /* not decoded, or not to the size that was told */
    APART_UNKNOWN = 69, /* a feature or a codec that libheif has not */
    APART_UNCAGED = 71, /* it could not limit itself, and did not begin */
};

/*
 * The file's picture as height rows of width RGB pixels into rgb. ST_INVALID: damaged, or too much work
 * for its limits; ST_UNSUPPORTED: uses what the decoder does not know; ST_UNAVAILABLE: the program
 * cannot be started.
 */
enum status apart_decode(struct slice file, int64_t width, int64_t height, uint8_t *rgb,
                         struct fault *f) MUST_USE;

/* Memory that a picture of this size takes beside its pixels, at most: the program's limit. */
static inline int64_t apart_bytes(int64_t width, int64_t height)
{
    return LIMIT_APART_BYTES + width * height * LIMIT_APART_PIXEL_BYTES;
}

#endif
