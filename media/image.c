/*
 * Pictures from untrusted bytes: which format, which size, within which limits, which way up. The
 * formats themselves are in a file each.
 */
#include "media/image.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/limits.h"
#include "media/image_private.h"
#include "media/sniff.h"

static const struct codec *const codecs[] = {
    &codec_jpeg, &codec_png,  &codec_webp, &codec_tiff, &codec_gif,
    &codec_bmp,  &codec_heic, &codec_heif, &codec_avif,
};

enum { NCODECS = sizeof codecs / sizeof codecs[0] };

enum status image_damaged(struct fault *f, const char *why)
{
    return fault_set(f, ST_INVALID, NULL, "the picture is damaged: %s", why);
}

static enum status find_codec(struct slice file, const struct codec **ret, struct fault *f)
{
    char type[SNIFF_TYPE_BYTES];
    enum status st;

    if ((st = sniff_type(file.p, file.n, type, f)) != ST_OK)
        return st;
    for (int i = 0; i < NCODECS; i++)
        if (strcmp(codecs[i]->type, type) == 0) {
            *ret = codecs[i];
            return ST_OK;
        }
    return fault_set(f, ST_UNSUPPORTED, NULL,
                     "not a JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF or BMP picture: this is %s", type);
}

static enum status check_size(const struct stored *im, struct fault *f)
{
    if (im->width < 1 || im->height < 1)
        return image_damaged(f, "it has no pixels");
    if (im->width > LIMIT_IMAGE_SIDE_PX || im->height > LIMIT_IMAGE_SIDE_PX)
        return fault_set(f, ST_TOO_LARGE, NULL, "the picture is %lld x %lld pixels; a side may have %d",
                         (long long)im->width, (long long)im->height, LIMIT_IMAGE_SIDE_PX);
    if (im->width * im->height > LIMIT_IMAGE_PIXELS)
        return fault_set(f, ST_TOO_LARGE, NULL,
                         "the picture is %lld x %lld pixels; %d megapixels are the limit",
                         (long long)im->width, (long long)im->height, LIMIT_IMAGE_PIXELS / 1000000);
    return ST_OK;
}

/* Format, stored size and orientation; all limits checked. */
static enum status read_header(struct slice file, const struct codec **ret_codec, struct stored *ret,
                               struct fault *f)
{
    struct stored im = { .orientation = 1 };
    const struct codec *codec = NULL;
    enum status st;

    if (file.n > LIMIT_IMAGE_BYTES)
        return fault_set(f, ST_TOO_LARGE, NULL, "the picture has more than %d bytes", LIMIT_IMAGE_BYTES);
    if ((st = find_codec(file, &codec, f)) != ST_OK || (st = codec->probe(file, &im, f)) != ST_OK ||
        (st = check_size(&im, f)) != ST_OK)
        return st;
    if (im.orientation < 1 || im.orientation > 8)
        im.orientation = 1;
    *ret_codec = codec;
    *ret = im;
    return ST_OK;
}

/* ---- turning upright ---- */

/* Orientations 5..8 exchange width and height. */
static bool lies_on_side(int orientation)
{
    return orientation >= 5;
}

/*
 * Copies the stored picture to its upright place. A stored pixel (x, y) goes to the upright pixel at
 * offset origin + x * step_x + y * step_y (in pixels). Square blocks, because one of the two walks down
 * a column.
 */
static void turn_upright(const struct stored *im, const uint8_t *from, uint8_t *to)
{
    const ptrdiff_t w = (ptrdiff_t)im->width, h = (ptrdiff_t)im->height, block = 64;
    const struct {
        ptrdiff_t origin, step_x, step_y;
    } places[9] = {
        [1] = { 0, 1, w },
        [2] = { w - 1, -1, w },               /* mirrored left to right */
        [3] = { w * h - 1, -1, -w },          /* upside down */
        [4] = { w * (h - 1), 1, -w },         /* mirrored top to bottom */
        [5] = { 0, h, 1 },                    /* mirrored along the main diagonal */
        [6] = { h - 1, h, -1 },               /* stored turned left: turn right */
        [7] = { w * h - 1, -h, -1 },          /* mirrored along the other diagonal */
        [8] = { h * (w - 1), -h, 1 },         /* stored turned right: turn left */
    }, place = places[im->orientation];

    for (ptrdiff_t y0 = 0; y0 < h; y0 += block)
        for (ptrdiff_t x0 = 0; x0 < w; x0 += block)
            for (ptrdiff_t y = y0; y < h && y < y0 + block; y++) {
                const uint8_t *source = from + (y * w + x0) * 3;
                ptrdiff_t target = place.origin + x0 * place.step_x + y * place.step_y;

                for (ptrdiff_t x = x0; x < w && x < x0 + block; x++, source += 3, target += place.step_x)
                    memcpy(to + target * 3, source, 3);
            }
}

/* ---- the questions ---- */

static struct image_info describe(const struct codec *codec, const struct stored *im)
{
    struct image_info info = {
        .width = (int)(lies_on_side(im->orientation) ? im->height : im->width),
        .height = (int)(lies_on_side(im->orientation) ? im->width : im->height),
        .orientation = im->orientation,
        .scales = codec->shrinks,
        .codec_bytes = im->codec_bytes,
    };

    memcpy(info.type, codec->type, strlen(codec->type) + 1);
    return info;
}

static int shrunk(int64_t side, int by)
{
    return (int)((side + by - 1) / by);
}

/* The largest that leaves enough. */
static int choose_shrink(const struct image_info *info, int min_width, int min_height)
{
    int by = info->scales && (min_width > 0 || min_height > 0) ? 8 : 1;

    while (by > 1 && (shrunk(info->width, by) < min_width || shrunk(info->height, by) < min_height))
        by /= 2;
    return by;
}

enum status image_probe(const void *bytes, size_t n, struct image_info *ret, struct fault *f)
{
    const struct codec *codec = NULL;
    struct stored im = { 0 };
    enum status st;

    if ((st = read_header((struct slice){ bytes, n }, &codec, &im, f)) != ST_OK)
        return st;
    assert(codec);
    *ret = describe(codec, &im);
    return ST_OK;
}

int64_t image_decode_bytes(const struct image_info *info, int min_width, int min_height)
{
    const int by = choose_shrink(info, min_width, min_height);
    const int64_t pixels = (int64_t)shrunk(info->width, by) * shrunk(info->height, by);

    return pixels * 3 * (info->orientation == 1 ? 1 : 2) + info->codec_bytes;
}

enum status image_decode_at_least(const void *bytes, size_t n, int min_width, int min_height,
                                  struct image *ret, struct fault *f)
{
    const struct slice file = { bytes, n };
    uint8_t *stored = NULL, *upright = NULL;
    const struct codec *codec = NULL;
    struct stored im = { 0 };
    struct image_info info;
    size_t size = 0;
    enum status st;

    if ((st = read_header(file, &codec, &im, f)) != ST_OK)
        return st;
    assert(codec);
    info = describe(codec, &im);
    im.shrink = choose_shrink(&info, min_width, min_height);
    im.width = shrunk(im.width, im.shrink);
    im.height = shrunk(im.height, im.shrink);
    if (!size_mul((size_t)im.width, (size_t)im.height, &size) || !size_mul(size, 3, &size) ||
        !(stored = malloc(size)) || (im.orientation != 1 && !(upright = malloc(size)))) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "not enough memory for the picture");
        goto out;
    }
    if ((st = codec->decode(file, &im, stored, f)) != ST_OK)
        goto out;
    if (upright)
        turn_upright(&im, stored, upright);
    info = describe(codec, &im);
    *ret = (struct image){ info.width, info.height, upright ? upright : stored };
    if (upright)
        upright = NULL;
    else
        stored = NULL;
out:
    free(upright);
    free(stored);
    return st;
}

enum status image_decode(const void *bytes, size_t n, struct image *ret, struct fault *f)
{
    return image_decode_at_least(bytes, n, 0, 0, ret, f);
}

void image_free(struct image *im)
{
    if (!im)
        return;
    free(im->rgb);
    *im = (struct image){ 0 };
}
