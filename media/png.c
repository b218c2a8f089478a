/*
 * PNG by libpng. The header is read by us, so that a bomb is refused before libpng has seen a byte;
 * libpng then gets the same limits. Errors jump, as in jpeg.c: what must be released lives in struct
 * reader.
 */
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "media/image_private.h"

enum {
    SIGNATURE = 8,
    CHUNK_EXTRA = 12 /* length, type and CRC around a chunk's data */,
    IHDR_BYTES = 13
};

static enum status probe(struct slice file, struct stored *ret, struct fault *f)
{
    const uint8_t *p = (const uint8_t *)file.p;
    size_t at = SIGNATURE;

    if (file.n < SIGNATURE + CHUNK_EXTRA + IHDR_BYTES || read_be32(p + at) != IHDR_BYTES ||
        memcmp(p + at + 4, "IHDR", 4) != 0)
        return image_damaged(f, "it does not begin with a header");
    *ret = (struct stored){ .width = read_be32(p + at + 8), .height = read_be32(p + at + 12) };
    /* Orientation: an eXIf chunk before or after the pixels; the walk skips their bytes. */
    while (file.n - at >= CHUNK_EXTRA) {
        const uint32_t length = read_be32(p + at);

        if (length > file.n - at - CHUNK_EXTRA)
            break;
        if (memcmp(p + at + 4, "eXIf", 4) == 0) {
            ret->orientation = exif_orientation(p + at + 8, length);
            break;
        }
        at += CHUNK_EXTRA + length;
    }
    return ST_OK;
}

struct reader {
    png_structp png;
    png_infop info;
    png_bytep *rows;
    struct slice rest;
    char why[120];
};

static void on_error(png_structp png, png_const_charp why)
{
    struct reader *r = png_get_error_ptr(png);

    snprintf(r->why, sizeof r->why, "%s", why);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp why)
{
    (void)png;
    (void)why;
}

static void on_read(png_structp png, png_bytep to, size_t n)
{
    struct reader *r = png_get_io_ptr(png);

    if (n > r->rest.n)
        png_error(png, "it ends too early");
    memcpy(to, r->rest.p, n);
    r->rest.p += n;
    r->rest.n -= n;
}

/* Whatever is stored comes out as 8-bit RGB. */
static void ask_for_rgb(struct reader *r)
{
    png_set_expand(r->png); /* palette to RGB, 1, 2, 4 bits to 8, tRNS to alpha */
    png_set_scale_16(r->png);
    png_set_gray_to_rgb(r->png);
    png_set_strip_alpha(r->png);
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
}

/* Errors of libpng jump back to here. */
static enum status read_all(struct reader *r, const struct stored *im, struct fault *f)
{
    if (setjmp(png_jmpbuf(r->png)) != 0)
        return image_damaged(f, r->why);
    png_set_user_limits(r->png, LIMIT_IMAGE_SIDE_PX, LIMIT_IMAGE_SIDE_PX);
    png_set_chunk_malloc_max(r->png, LIMIT_IMAGE_CHUNK_BYTES);
    png_set_chunk_cache_max(r->png, 64);
    png_set_read_fn(r->png, r, on_read);
    png_read_info(r->png, r->info);
    ask_for_rgb(r);
    if (png_get_image_width(r->png, r->info) != (png_uint_32)im->width ||
        png_get_image_height(r->png, r->info) != (png_uint_32)im->height ||
        png_get_rowbytes(r->png, r->info) != (size_t)im->width * 3)
        png_error(r->png, "its size changed between two looks");
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return ST_OK;
}

static enum status decode(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f)
{
    struct reader r = { .rest = file };
    enum status st;

    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    r.rows = malloc((size_t)im->height * sizeof *r.rows);
    if (!r.png || !r.info || !r.rows) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "not enough memory for the picture");
        goto out;
    }
    for (int64_t y = 0; y < im->height; y++)
        r.rows[y] = rgb + (size_t)y * (size_t)im->width * 3;
    st = read_all(&r, im, f);
out:
    png_destroy_read_struct(&r.png, &r.info, NULL);
    free(r.rows);
    return st;
}

const struct codec codec_png = { "image/png", probe, decode, false };
