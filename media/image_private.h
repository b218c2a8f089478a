/* What image.c asks of each format, and what the formats share. One file per format. */
#ifndef MEDIA_IMAGE_PRIVATE_H
#define MEDIA_IMAGE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "base/text.h"

/* A picture as it is stored, before it is turned upright. */
struct stored {
    int64_t width, height; /* as the header says: image.c checks them against the limits */
    int orientation;       /* EXIF 1..8; anything else counts as 1 */
    int64_t codec_bytes;   /* what the decoder will take besides its result, about */
    int shrink;            /* for decode: width and height are those of the file over 1, 2, 4 or 8,
                              rounded up; 0 counts as 1 */
};

struct codec {
    const char *type;
    /* Reads the header. ret comes zeroed. */
    enum status (*probe)(struct slice file, struct stored *ret, struct fault *f);
    /* Writes im->height rows of im->width RGB pixels, as stored. The size is the one that probe told,
     * checked. */
    enum status (*decode)(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f);
    bool shrinks; /* decode knows what im->shrink means */
};

extern const struct codec codec_jpeg, codec_png, codec_webp, codec_tiff, codec_gif, codec_bmp;
extern const struct codec codec_heic, codec_heif, codec_avif;

/* The orientation in a TIFF structure of EXIF (after "Exif\0\0"), 1 when there is none. */
int exif_orientation(const uint8_t *tiff, size_t n);

/* "the picture is damaged: ...": ST_INVALID. */
enum status image_damaged(struct fault *f, const char *why);

static inline uint32_t read_be32(const void *at)
{
    const uint8_t *p = at;

    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline uint32_t read_le32(const void *at)
{
    const uint8_t *p = at;

    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static inline uint16_t read_le16(const void *at)
{
    const uint8_t *p = at;

    return (uint16_t)(p[1] << 8 | p[0]);
}

#endif
