/*
 * HEIC and AVIF: pictures in boxes (ISO/IEC 14496-12 and 23008-12). Here only the boxes are read that
 * tell the size of the primary picture; its pixels are decoded by libheif, in a process of its own
 * (apart.h): the decoders below it are large, have no limits of memory, and take the file's word for
 * much.
 *
 * Turning and cropping are properties of the item and done by libheif. EXIF in the file is not asked:
 * the standard gives the properties the last word, and writers leave the EXIF orientation as it was.
 */
#include <string.h>
#include "base/limits.h"
#include "media/apart.h"
#include "media/image_private.h"

enum { BOX_HEADER = 8, LARGE_BOX_HEADER = 16, FULL_BOX = 4 };

/* Bytes that are read from the front. What is cut off reads as zero, and marks the whole. */
struct bytes {
    const uint8_t *p;
    size_t n;
    bool cut;
};

struct box {
    char type[4];
    struct bytes body;
};

/* What the boxes told. Properties are numbered from 1, in the order of their box. */
struct found {
    uint32_t primary;
    bool has_primary;
    struct bytes properties; /* "ipco" */
    struct bytes links;      /* "ipma": which item has which */
    int boxes;
};

static uint64_t take(struct bytes *b, size_t width)
{
    uint64_t x = 0;

    if (b->n < width) {
        b->cut = true;
        b->n = 0;
        return 0;
    }
    for (size_t i = 0; i < width; i++)
        x = x << 8 | b->p[i];
    b->p += width;
    b->n -= width;
    return x;
}

/* The box at the front of b, which then begins behind it. False: no whole one is left. */
static bool next_box(struct bytes *b, struct box *ret)
{
    struct bytes rest = *b;
    uint64_t size = take(&rest, 4);
    size_t header = BOX_HEADER;

    if (rest.n < 4)
        return false;
    memcpy(ret->type, rest.p, 4);
    (void)take(&rest, 4);
    if (size == 1) {
        header = LARGE_BOX_HEADER;
        size = take(&rest, 8);
    } else if (size == 0) { /* to the end */
        size = b->n;
    }
    if (rest.cut || size < header || size > b->n)
        return false;
    ret->body = (struct bytes){ .p = b->p + header, .n = (size_t)size - header };
    b->p += size;
    b->n -= (size_t)size;
    return true;
}

static bool is(const struct box *box, const char *type)
{
    return memcmp(box->type, type, 4) == 0;
}

/* Collects from a box's children what is needed; "meta" and "iprp" are entered. */
static enum status walk(struct bytes b, struct found *found, struct fault *f)
{
    struct box box;
    enum status st = ST_OK;

    while (st == ST_OK && next_box(&b, &box)) {
        if (++found->boxes > LIMIT_HEIF_BOXES)
            return fault_set(f, ST_TOO_LARGE, NULL, "the picture is made of more than %d boxes",
                             LIMIT_HEIF_BOXES);
        if (is(&box, "meta")) {
            (void)take(&box.body, FULL_BOX);
            st = walk(box.body, found, f);
        } else if (is(&box, "iprp")) {
            st = walk(box.body, found, f);
        } else if (is(&box, "pitm") && !found->has_primary) {
            const bool wide = take(&box.body, FULL_BOX) >> 24 != 0;

            found->primary = (uint32_t)take(&box.body, wide ? 4 : 2);
            found->has_primary = !box.body.cut;
        } else if (is(&box, "ipco") && !found->properties.p) {
            found->properties = box.body;
        } else if (is(&box, "ipma") && !found->links.p) {
            found->links = box.body;
        }
    }
    return st;
}

/* Property `number` of the file. */
static bool find_property(struct bytes properties, uint32_t number, struct box *ret)
{
    while (number > 0 && next_box(&properties, ret))
        if (--number == 0)
            return true;
    return false;
}

/* A quotient of the file, rounded as libheif does; 0 where it is none. */
static int64_t take_rounded(struct bytes *b)
{
    const int64_t top = (int64_t)take(b, 4), bottom = (int64_t)take(b, 4);

    return bottom > 0 ? (top + bottom / 2) / bottom : 0;
}

/* What one property makes of the size. */
static void apply(struct box *property, struct stored *im)
{
    if (is(property, "ispe")) {
        (void)take(&property->body, FULL_BOX);
        im->width = (int64_t)take(&property->body, 4);
        im->height = (int64_t)take(&property->body, 4);
    } else if (is(property, "clap")) {
        im->width = take_rounded(&property->body);
        im->height = take_rounded(&property->body);
    } else if (is(property, "irot") && (take(&property->body, 1) & 1)) { /* by 90 or 270 degrees */
        const int64_t width = im->width;

        im->width = im->height;
        im->height = width;
    }
}

/* Walks the items that have properties to the primary one, and applies its own in their order. */
static bool size_of_primary(const struct found *found, struct stored *ret)
{
    struct bytes b = found->links;
    const uint64_t version_flags = take(&b, FULL_BOX), items = take(&b, 4);
    const size_t id_bytes = version_flags >> 24 ? 4 : 2, link_bytes = version_flags & 1 ? 2 : 1;
    const uint32_t number_mask = link_bytes == 2 ? 0x7FFF : 0x7F; /* the top bit: "essential" */

    for (uint64_t i = 0; i < items && !b.cut; i++) {
        const bool wanted = take(&b, id_bytes) == found->primary;
        const uint64_t links = take(&b, 1);

        for (uint64_t k = 0; k < links && !b.cut; k++) {
            const uint32_t number = (uint32_t)take(&b, link_bytes) & number_mask;
            struct box property;

            if (wanted && find_property(found->properties, number, &property))
                apply(&property, ret);
        }
        if (wanted)
            return !b.cut && ret->width > 0 && ret->height > 0;
    }
    return false;
}

static enum status probe(struct slice file, struct stored *ret, struct fault *f)
{
    struct found found = { 0 };
    enum status st = walk((struct bytes){ .p = (const uint8_t *)file.p, .n = file.n }, &found, f);

    if (st != ST_OK)
        return st;
    if (!found.has_primary || !size_of_primary(&found, ret))
        return image_damaged(f, "it does not tell the size of its primary picture");
    ret->orientation = 1;
    if (ret->width <= LIMIT_IMAGE_SIDE_PX && ret->height <= LIMIT_IMAGE_SIDE_PX) /* others are refused */
        ret->codec_bytes = (int64_t)file.n + apart_bytes(ret->width, ret->height) - LIMIT_APART_BYTES;
    return ST_OK;
}

static enum status decode(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f)
{
    return apart_decode(file, im->width, im->height, rgb, f);
}

const struct codec codec_heic = { "image/heic", probe, decode, false };
const struct codec codec_heif = { "image/heif", probe, decode, false };
const struct codec codec_avif = { "image/avif", probe, decode, false };
