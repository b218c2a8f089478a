/*
 * BMP, read by us: uncompressed with 1, 4 or 8 bits (palette), 24 or 32 bits; rows from the bottom up
 * or, with a negative height, from the top down. 32 bits may come as "bit fields" when the masks are the
 * usual BGRA. Run-length coded, 16-bit and embedded pictures are ST_UNSUPPORTED. Layout: Microsoft,
 * BITMAPFILEHEADER and BITMAPINFOHEADER.
 */
#include <assert.h>
#include <stdbool.h>
#include <string.h>
#include "base/limits.h"
#include "media/image_private.h"

enum {
    FILE_HEADER = 14, /* magic, size, reserved, offset of the pixels */
    CORE_HEADER = 12, /* OS/2: 16-bit sizes, palette of three bytes */
    INFO_HEADER = 40, /* and longer ones that begin like it */
    CODING_NONE = 0,
    CODING_FIELDS = 3,
};

struct layout {
    const uint8_t *palette, *pixels;
    uint32_t ncolours, colour_bytes;
    size_t stride;
    int bits;
    bool top_down;
};

/* Size, depth and coding. ret_coding: CODING_*. */
static enum status read_header(struct slice file, struct stored *ret, struct layout *l,
                               uint32_t *ret_coding, struct fault *f)
{
    const uint8_t *p = (const uint8_t *)file.p, *info = p + FILE_HEADER;
    uint32_t size;

    if (file.n < FILE_HEADER + CORE_HEADER)
        return image_damaged(f, "its BMP header is cut off");
    size = read_le32(info);
    if (size > file.n - FILE_HEADER || (size != CORE_HEADER && size < INFO_HEADER))
        return image_damaged(f, "its BMP header has a wrong size");
    *l = (struct layout){ .colour_bytes = size == CORE_HEADER ? 3 : 4 };
    if (size == CORE_HEADER) {
        *ret = (struct stored){ .width = read_le16(info + 4), .height = read_le16(info + 6) };
        l->bits = read_le16(info + 10);
        *ret_coding = CODING_NONE;
    } else {
        const int64_t height = (int32_t)read_le32(info + 8);

        l->top_down = height < 0;
        *ret = (struct stored){ .width = (int32_t)read_le32(info + 4),
                                .height = height < 0 ? -height : height };
        l->bits = read_le16(info + 14);
        *ret_coding = read_le32(info + 16);
        l->ncolours = read_le32(info + 32);
    }
    l->palette = info + size;
    return ST_OK;
}

/* The masks follow the 40 bytes, within a longer header or right behind it. */
static bool usual_masks(struct slice file)
{
    const uint8_t *masks = (const uint8_t *)file.p + FILE_HEADER + INFO_HEADER;

    return file.n >= FILE_HEADER + INFO_HEADER + 12 && read_le32(masks) == 0xFF0000 &&
           read_le32(masks + 4) == 0xFF00 && read_le32(masks + 8) == 0xFF;
}

static enum status check_coding(struct slice file, const struct layout *l, uint32_t coding,
                                struct fault *f)
{
    const bool plain = coding == CODING_NONE &&
                       (l->bits == 1 || l->bits == 4 || l->bits == 8 || l->bits == 24 || l->bits == 32);

    if (plain || (coding == CODING_FIELDS && l->bits == 32 && usual_masks(file)))
        return ST_OK;
    return fault_set(f, ST_UNSUPPORTED, NULL, "BMP with %d bits and compression %u is not supported",
                     l->bits, coding);
}

static enum status probe(struct slice file, struct stored *ret, struct fault *f)
{
    struct layout l = { 0 };
    uint32_t coding = 0;
    enum status st;

    if ((st = read_header(file, ret, &l, &coding, f)) != ST_OK)
        return st;
    return check_coding(file, &l, coding, f);
}

/* Where palette and pixels lie, within the file. The size has been checked against the limits. */
static enum status find_pixels(struct slice file, const struct stored *im, struct layout *l,
                               struct fault *f)
{
    const uint8_t *p = (const uint8_t *)file.p;
    const size_t offset = read_le32(p + 10), before = (size_t)(l->palette - p);

    assert(l->colour_bytes); /* by read_header */
    l->stride = ((size_t)im->width * (size_t)l->bits + 31) / 32 * 4;
    if (offset < before || offset > file.n || file.n - offset < l->stride * (size_t)im->height)
        return image_damaged(f, "its pixels are cut off");
    l->pixels = p + offset;
    if (l->bits > 8)
        return ST_OK;
    if (l->ncolours == 0 || l->ncolours > 1U << l->bits)
        l->ncolours = 1U << l->bits;
    if ((offset - before) / l->colour_bytes < l->ncolours)
        return image_damaged(f, "its palette is cut off");
    return ST_OK;
}

/* One row. false: an index that the palette lacks. */
static bool read_row(const struct layout *l, const uint8_t *from, int64_t width, uint8_t *to)
{
    for (int64_t x = 0; x < width; x++, to += 3) {
        const uint8_t *bgr;

        if (l->bits > 8) {
            bgr = from + x * (l->bits / 8);
        } else {
            const int64_t bit = x * l->bits;
            const unsigned mask = (1U << l->bits) - 1,
                           index = from[bit / 8] >> (8 - l->bits - bit % 8) & mask;

            if (index >= l->ncolours)
                return false;
            bgr = l->palette + (size_t)index * l->colour_bytes;
        }
        to[0] = bgr[2];
        to[1] = bgr[1];
        to[2] = bgr[0];
    }
    return true;
}

static enum status decode(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f)
{
    struct stored again = { 0 };
    struct layout l = { 0 };
    uint32_t coding = 0;
    enum status st;

    if ((st = read_header(file, &again, &l, &coding, f)) != ST_OK ||
        (st = find_pixels(file, im, &l, f)) != ST_OK)
        return st;
    for (int64_t y = 0; y < im->height; y++) {
        const int64_t row = l.top_down ? y : im->height - 1 - y;

        if (!read_row(&l, l.pixels + (size_t)row * l.stride, im->width, rgb + y * im->width * 3))
            return image_damaged(f, "a pixel has a colour that the palette lacks");
    }
    return ST_OK;
}

const struct codec codec_bmp = { "image/bmp", probe, decode, false };
