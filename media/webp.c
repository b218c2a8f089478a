/* WebP by libwebp: lossy, lossless, with alpha (dropped). Animations are refused: a frame of one is not
 * the picture. */
#include <string.h>
#include <webp/decode.h>
#include "base/limits.h"
#include "media/image_private.h"

enum { RIFF_HEADER = 12, CHUNK_HEADER = 8 };

/* The EXIF chunk stands after the pixels. Some writers begin it with "Exif\0\0", as in JPEG; the
 * standard does not. */
static int chunk_orientation(struct slice file)
{
    const uint8_t *p = (const uint8_t *)file.p;
    size_t at = RIFF_HEADER;

    while (at <= file.n && file.n - at >= CHUNK_HEADER) {
        const size_t length = read_le32(p + at + 4), data = at + CHUNK_HEADER;

        if (length > file.n - data)
            break;
        if (memcmp(p + at, "EXIF", 4) == 0) {
            const size_t skip = length > 6 && memcmp(p + data, "Exif\0", 6) == 0 ? 6 : 0;

            return exif_orientation(p + data + skip, length - skip);
        }
        at = data + length + (length & 1);
    }
    return 1;
}

static enum status probe(struct slice file, struct stored *ret, struct fault *f)
{
    WebPBitstreamFeatures features;

    if (WebPGetFeatures((const uint8_t *)file.p, file.n, &features) != VP8_STATUS_OK)
        return image_damaged(f, "its WebP header cannot be read");
    if (features.has_animation)
        return fault_set(f, ST_UNSUPPORTED, NULL, "animated WebP is not supported");
    *ret = (struct stored){ .width = features.width,
                            .height = features.height,
                            .orientation = chunk_orientation(file),
                            .codec_bytes = (int64_t)features.width * features.height *
                                           4 }; /* lossless: a copy in ARGB */
    return ST_OK;
}

static enum status decode(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f)
{
    const size_t size = (size_t)im->width * (size_t)im->height * 3;

    if (!WebPDecodeRGBInto((const uint8_t *)file.p, file.n, rgb, size, (int)im->width * 3))
        return image_damaged(f, "its WebP data is incomplete or wrong");
    return ST_OK;
}

const struct codec codec_webp = { "image/webp", probe, decode, false };
