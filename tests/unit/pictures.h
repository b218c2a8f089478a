/*
 * Writes small pictures in every format, with the formats' own libraries, for the tests of
 * media/image.h. All show the same pattern: red grows to the right, green downwards, blue is constant;
 * smooth, so that JPEG keeps it, and different in every corner, so that a wrong turn shows. Lengths and
 * colours are exact where the format is.
 */
#ifndef TESTS_UNIT_PICTURES_H
#define TESTS_UNIT_PICTURES_H

#include <gif_lib.h>
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <jpeglib.h>
#include <tiffio.h>
#include <unistd.h>
#include <webp/encode.h>
#include "base/text.h"

enum { PATTERN_BLUE = 64, PATTERN_MAX = 400 };

/* The pattern at (x, y) of a w x h picture. */
static inline void pattern_at(int x, int y, int w, int h, uint8_t rgb[3])
{
    rgb[0] = (uint8_t)(x * 255 / (w > 1 ? w - 1 : 1));
    rgb[1] = (uint8_t)(y * 255 / (h > 1 ? h - 1 : 1));
    rgb[2] = PATTERN_BLUE;
}

/*
 * Where the stored pixel (x, y) of a w x h raster stands upright, in the words of the EXIF standard:
 * orientation says which visual side the 0th row and the 0th column are.
 */
static inline void upright_place(int orientation, int x, int y, int w, int h, int *ret_x, int *ret_y)
{
    static const char row0[] = " ttbblrrl", col0[] = " lrrlttbb";

    if (orientation < 5) {
        *ret_x = col0[orientation] == 'l' ? x : w - 1 - x;
        *ret_y = row0[orientation] == 't' ? y : h - 1 - y;
    } else {
        *ret_x = row0[orientation] == 'l' ? y : h - 1 - y;
        *ret_y = col0[orientation] == 't' ? x : w - 1 - x;
    }
}

/* RGB raster w x h as a camera stores it: upright it shows the pattern. Caller frees. */
static inline uint8_t *stored_pattern(int orientation, int w, int h)
{
    const int upright_w = orientation < 5 ? w : h, upright_h = orientation < 5 ? h : w;
    uint8_t *rgb = malloc((size_t)w * (size_t)h * 3);

    for (int y = 0; y < h && rgb; y++)
        for (int x = 0; x < w; x++) {
            int ux, uy;

            upright_place(orientation, x, y, w, h, &ux, &uy);
            pattern_at(ux, uy, upright_w, upright_h, rgb + (y * w + x) * 3);
        }
    return rgb;
}

/* A TIFF structure with an orientation and nothing else, after n bytes of lead. Returns its length. */
static inline size_t exif_block(int orientation, bool big_endian, uint8_t ret[26])
{
    static const uint8_t little[26] = { 'I', 'I', 42, 0, 8, 0, 0, 0, 1, 0, 0x12, 1, 3, 0, 1 };
    static const uint8_t big[26] = { 'M', 'M', 0, 42, 0, 0, 0, 8, 0, 1, 1, 0x12, 0, 3, 0, 0, 0, 1 };

    memcpy(ret, big_endian ? big : little, 26);
    ret[big_endian ? 19 : 18] = (uint8_t)orientation;
    return 26;
}

/* ---- JPEG ---- */

enum jpeg_kind { JPEG_PLAIN, JPEG_PROGRESSIVE, JPEG_GREY, JPEG_CMYK, JPEG_YCCK };

static inline void write_jpeg(struct buffer *out, enum jpeg_kind kind, int orientation, int w, int h)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr errors;
    unsigned char *bytes = NULL;
    unsigned long n = 0;
    uint8_t *rgb = stored_pattern(orientation, w, h), exif[32] = "Exif\0", line[PATTERN_MAX * 4],
            *row = line;
    const bool ink = kind == JPEG_CMYK || kind == JPEG_YCCK;

    c.err = jpeg_std_error(&errors);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &bytes, &n);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.input_components = kind == JPEG_GREY ? 1 : ink ? 4 : 3;
    c.in_color_space = kind == JPEG_GREY ? JCS_GRAYSCALE : ink ? JCS_CMYK : JCS_RGB;
    jpeg_set_defaults(&c);
    if (ink)
        jpeg_set_colorspace(&c, kind == JPEG_YCCK ? JCS_YCCK : JCS_CMYK);
    jpeg_set_quality(&c, 98, TRUE);
    c.comp_info[0].h_samp_factor = c.comp_info[0].v_samp_factor = 1;
    if (kind == JPEG_PROGRESSIVE)
        jpeg_simple_progression(&c);
    jpeg_start_compress(&c, TRUE);
    if (orientation != 1)
        jpeg_write_marker(&c, JPEG_APP0 + 1, exif,
                          (unsigned)(6 + exif_block(orientation, w & 1, exif + 6)));
    for (int y = 0; y < h; y++) {
        for (int x = 0; x < w; x++) {
            const uint8_t *from = rgb + (y * w + x) * 3;

            memcpy(line + x * c.input_components, from, (size_t)(kind == JPEG_GREY ? 1 : 3));
            if (ink)
                line[x * 4 + 3] = 128; /* half black: Adobe stores inks inverted */
        }
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    buffer_bytes(out, bytes, n);
    free(bytes);
    free(rgb);
}

/* ---- PNG ---- */

static inline void png_to_buffer(png_structp png, png_bytep p, size_t n)
{
    buffer_bytes(png_get_io_ptr(png), p, n);
}

static inline void png_flush_nothing(png_structp png)
{
    (void)png;
}

/* colour: PNG_COLOR_TYPE_*. Palette pictures hold 16 greens, with tRNS; grey ones show red; alpha is
 * uneven. */
static inline void write_png(struct buffer *out, int colour, int depth, bool interlaced, int orientation,
                             int w, int h)
{
    const int channels[] = { [0] = 1, [2] = 3, [3] = 1, [4] = 2, [6] = 4 };
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    uint8_t *rgb = stored_pattern(orientation, w, h), *rows[PATTERN_MAX], exif[26], alpha[16];
    png_color palette[16];

    png_set_write_fn(png, out, png_to_buffer, png_flush_nothing);
    png_set_IHDR(png, info, (png_uint_32)w, (png_uint_32)h, depth, colour,
                 interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (colour == PNG_COLOR_TYPE_PALETTE) {
        for (int i = 0; i < 16; i++) {
            palette[i] = (png_color){ 7, (png_byte)(i * 17), 9 };
            alpha[i] = (png_byte)(i * 16);
        }
        png_set_PLTE(png, info, palette, 16);
        png_set_tRNS(png, info, alpha, 16, NULL);
    }
    if (orientation != 1)
        png_set_eXIf_1(png, info, (png_uint_32)exif_block(orientation, w & 1, exif), exif);
    png_write_info(png, info);
    for (int y = 0; y < h; y++) {
        uint8_t *to = rows[y] = calloc((size_t)w, 8);

        for (int x = 0; x < w; x++)
            for (int c = 0; c < channels[colour]; c++) {
                const uint8_t *from = rgb + (y * w + x) * 3;
                const bool is_alpha = (colour & PNG_COLOR_MASK_ALPHA) && c == channels[colour] - 1;
                const uint8_t v = is_alpha                           ? (uint8_t)(x * 9)
                                  : colour == PNG_COLOR_TYPE_PALETTE ? from[1] / 17
                                                                     : from[c];

                if (depth == 16) {
                    *to++ = v;
                    *to++ = 0x80;
                } else if (depth == 8) {
                    *to++ = v;
                } else { /* packed from the left */
                    to[x * depth / 8] |=
                        (uint8_t)((colour ? v : v >> (8 - depth)) << (8 - depth - x * depth % 8));
                }
            }
    }
    png_write_image(png, rows);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    for (int y = 0; y < h; y++)
        free(rows[y]);
    free(rgb);
}

/* ---- WebP ---- */

static inline void riff_chunk(struct buffer *out, const char *name, const void *p, uint32_t n)
{
    buffer_bytes(out, name, 4);
    buffer_bytes(out, &n, 4);
    buffer_bytes(out, p, n);
    if (n & 1)
        buffer_char(out, 0);
}

/* Lossless, with an EXIF chunk when it needs one (then the extended form, VP8X). */
static inline void write_webp(struct buffer *out, int orientation, int w, int h)
{
    uint8_t *rgb = stored_pattern(orientation, w, h), *plain = NULL, exif[26], head[10] = { 8 };
    const size_t n = WebPEncodeLosslessRGB(rgb, w, h, w * 3, &plain);
    struct buffer body = { 0 };
    uint32_t size;

    if (orientation == 1) {
        buffer_bytes(out, plain, n);
    } else {
        head[4] = (uint8_t)(w - 1);
        head[7] = (uint8_t)(h - 1);
        buffer_text(&body, "WEBP");
        riff_chunk(&body, "VP8X", head, sizeof head);
        buffer_bytes(&body, plain + 12, n - 12);
        riff_chunk(&body, "EXIF", exif, (uint32_t)exif_block(orientation, w & 1, exif));
        size = (uint32_t)body.n;
        buffer_text(out, "RIFF");
        buffer_bytes(out, &size, 4);
        buffer_bytes(out, body.p, body.n);
    }
    buffer_free(&body);
    WebPFree(plain);
    free(rgb);
}

/* ---- TIFF ---- */

struct tiff_kind {
    const char *name;
    int coding, depth, samples; /* samples: 1 grey (red), 3 RGB, 4 RGB and unassociated alpha */
    int tile;                   /* side, or 0: strips of five rows */
    bool planes;
};

static inline void tiff_fill(const struct tiff_kind *k, const uint8_t *rgb, int x, int y, int w, int h,
                             int plane, uint8_t *to)
{
    const int first = k->planes ? plane : 0, last = k->planes ? plane + 1 : k->samples;

    for (int c = first; c < last; c++) {
        const uint8_t v = x >= w || y >= h ? 0 : c == 3 ? (uint8_t)(x * 9) : rgb[(y * w + x) * 3 + c];
        const int i = k->planes ? 0 : c;

        if (k->depth == 16)
            ((uint16_t *)(void *)to)[i] = (uint16_t)(v * 257);
        else
            to[i] = v;
    }
}

static inline void write_tiff(struct buffer *out, const struct tiff_kind *k, int orientation, int w,
                              int h)
{
    char path[] = "/tmp/fovea-tiff-XXXXXX";
    const int fd = mkstemp(path), step = (k->planes ? 1 : k->samples) * k->depth / 8;
    TIFF *tiff = TIFFOpen(path, "w");
    uint8_t *rgb = stored_pattern(orientation, w, h), piece[PATTERN_MAX * PATTERN_MAX * 8];
    const uint16_t alpha = EXTRASAMPLE_UNASSALPHA;
    ssize_t n;

    TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, w);
    TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, h);
    TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, k->depth);
    TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, k->samples);
    TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, k->samples == 1 ? PHOTOMETRIC_MINISBLACK : PHOTOMETRIC_RGB);
    TIFFSetField(tiff, TIFFTAG_COMPRESSION, k->coding);
    TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, k->planes ? PLANARCONFIG_SEPARATE : PLANARCONFIG_CONTIG);
    TIFFSetField(tiff, TIFFTAG_ORIENTATION, orientation);
    if (k->samples == 4)
        TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, 1, &alpha);
    if (k->tile) {
        TIFFSetField(tiff, TIFFTAG_TILEWIDTH, k->tile);
        TIFFSetField(tiff, TIFFTAG_TILELENGTH, k->tile);
    } else {
        TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, 5);
    }
    for (int plane = 0; plane < (k->planes ? k->samples : 1); plane++) {
        const int side = k->tile ? k->tile : w, rows = k->tile ? k->tile : 1;

        for (int y = 0; y < h; y += rows)
            for (int x = 0; x < w; x += side) {
                for (int i = 0; i < side * rows; i++)
                    tiff_fill(k, rgb, x + i % side, y + i / side, w, h, plane, piece + i * step);
                if (k->tile)
                    TIFFWriteTile(tiff, piece, (uint32_t)x, (uint32_t)y, 0, (uint16_t)plane);
                else
                    TIFFWriteScanline(tiff, piece, (uint32_t)y, (uint16_t)plane);
            }
    }
    TIFFClose(tiff);
    while ((n = read(fd, piece, sizeof piece)) > 0)
        buffer_bytes(out, piece, (size_t)n);
    close(fd);
    unlink(path);
    free(rgb);
}

/* ---- GIF ---- */

static inline int gif_to_buffer(GifFileType *gif, const GifByteType *p, int n)
{
    buffer_bytes(gif->UserData, p, (size_t)n);
    return n;
}

/* Two frames: the first shows the greens of 16 rows at (left, top) of a w x h screen, the second is
 * black. */
static inline void write_gif(struct buffer *out, bool interlaced, int left, int top, int w, int h)
{
    static const int starts[] = { 0, 4, 2, 1 }, steps[] = { 8, 8, 4, 2 };
    GifColorType colours[16];
    GifPixelType line[PATTERN_MAX];
    ColorMapObject *map;
    GifFileType *gif;
    int error;

    for (int i = 0; i < 16; i++)
        colours[i] = (GifColorType){ 7, (GifByteType)(i * 17), 9 };
    map = GifMakeMapObject(16, colours);
    gif = EGifOpen(out, gif_to_buffer, &error);
    EGifSetGifVersion(gif, true);
    EGifPutScreenDesc(gif, w, h, 4, 3, map); /* background: colour 3 */
    for (int frame = 0; frame < 2; frame++) {
        EGifPutExtension(gif, COMMENT_EXT_FUNC_CODE, 5, "hello");
        EGifPutImageDesc(gif, left, top, w - left, h - top, interlaced, NULL);
        for (int pass = 0; pass < (interlaced ? 4 : 1); pass++)
            for (int y = interlaced ? starts[pass] : 0; y < h - top; y += interlaced ? steps[pass] : 1) {
                memset(line, frame ? 0 : y & 15, sizeof line);
                EGifPutLine(gif, line, w - left);
            }
    }
    EGifCloseFile(gif, &error);
    GifFreeMapObject(map);
}

/* ---- BMP ---- */

/* bits 8 (palette: greys), 24 or 32; fields: with colour masks; height negated for top-down. */
static inline void write_bmp(struct buffer *out, int bits, bool fields, bool top_down, int w, int h)
{
    const int stride = (w * bits + 31) / 32 * 4;
    const uint32_t ncolours = bits == 8 ? 256 : 0, offset = 14 + 40 + (fields ? 12U : 0U) + ncolours * 4;
    const uint32_t head[] = { offset + (uint32_t)(stride * h),
                              0,
                              offset,
                              40,
                              (uint32_t)w,
                              (uint32_t)(top_down ? -h : h),
                              1U | (uint32_t)bits << 16,
                              fields ? 3 : 0,
                              0,
                              0,
                              0,
                              ncolours,
                              0 };
    static const uint32_t masks[] = { 0xFF0000, 0xFF00, 0xFF };
    uint8_t *rgb = stored_pattern(1, w, h);

    buffer_text(out, "BM");
    buffer_bytes(out, head, sizeof head);
    if (fields)
        buffer_bytes(out, masks, sizeof masks);
    for (uint32_t i = 0; i < ncolours; i++)
        buffer_bytes(out, (uint8_t[4]){ (uint8_t)i, (uint8_t)i, (uint8_t)i, 0 }, 4);
    for (int i = 0; i < h; i++) {
        const uint8_t *row = rgb + (top_down ? i : h - 1 - i) * w * 3;

        for (int x = 0; x < w; x++, row += 3)
            if (bits == 8)
                buffer_bytes(out, row, 1);
            else
                buffer_bytes(out, (uint8_t[4]){ row[2], row[1], row[0], 0 }, (size_t)bits / 8);
        buffer_bytes(out, "\0\0\0", (size_t)(stride - w * bits / 8));
    }
    free(rgb);
}

#endif
