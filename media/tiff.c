/*
 * TIFF by libtiff, from memory, first page. libtiff trusts what the tags say of sizes, so we check
 * before it allocates: picture size (image.c), number of samples, and a ceiling for any single
 * allocation. Codings are a list of those in use: rare ones are old code with a bad record.
 *
 * libtiff's RGBA interface knows strips and tiles, planes, palettes, CMYK, YCbCr and depths up to 16
 * bits, but for inks of 16 bits, which are read here. It is asked for one band (the height of a strip or
 * tile) at a time, so that it needs no second picture.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>
#include "base/arena.h"
#include "base/limits.h"
#include "media/image_private.h"

/* What libtiff reads from, and what it complained about first. */
struct reader {
    TIFF *tiff;
    struct slice file;
    uint64_t at;
    char why[120];
};

static int on_error(TIFF *tiff, void *arg, const char *module, const char *format, va_list ap)
    __attribute__((format(printf, 4, 0)));
static int on_warning(TIFF *tiff, void *arg, const char *module, const char *format, va_list ap)
    __attribute__((format(printf, 4, 0)));

static int on_error(TIFF *tiff, void *arg, const char *module, const char *format, va_list ap)
{
    struct reader *r = arg;

    (void)tiff;
    (void)module;
    if (!r->why[0])
        vsnprintf(r->why, sizeof r->why, format, ap);
    return 1;
}

/* libjpeg inside libtiff only warns of missing data; other warnings are about tags that nobody needs. */
static int on_warning(TIFF *tiff, void *arg, const char *module, const char *format, va_list ap)
{
    return module && strcmp(module, "JPEGLib") == 0 ? on_error(tiff, arg, module, format, ap) : 1;
}

static tmsize_t on_read(thandle_t arg, void *to, tmsize_t n)
{
    struct reader *r = arg;
    const uint64_t left = r->at < r->file.n ? r->file.n - r->at : 0;
    const size_t take = (uint64_t)n < left ? (size_t)n : (size_t)left;

    if (n <= 0)
        return 0;
    memcpy(to, r->file.p + (take ? r->at : 0), take);
    r->at += take;
    return (tmsize_t)take;
}

static tmsize_t on_write(thandle_t arg, void *from, tmsize_t n)
{
    (void)arg;
    (void)from;
    (void)n;
    return -1;
}

static toff_t on_seek(thandle_t arg, toff_t offset, int whence)
{
    struct reader *r = arg;

    if (whence == SEEK_CUR)
        offset += r->at;
    else if (whence == SEEK_END)
        offset += r->file.n;
    return r->at = offset;
}

static int on_close(thandle_t arg)
{
    (void)arg;
    return 0;
}

static toff_t on_size(thandle_t arg)
{
    return ((struct reader *)arg)->file.n;
}

/* Without a map libtiff 4.5 misjudges uncompressed tiles whose size is no multiple of 1024. It only
 * reads from it. */
static int on_map(thandle_t arg, void **base, toff_t *size)
{
    const struct reader *r = arg;

    *base = (void *)(uintptr_t)r->file.p;
    *size = r->file.n;
    return 1;
}

static void on_unmap(thandle_t arg, void *base, toff_t size)
{
    (void)arg;
    (void)base;
    (void)size;
}

static enum status reader_open(struct reader *r, struct slice file, struct fault *f)
{
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();

    *r = (struct reader){ .file = file };
    if (!options)
        return fault_set(f, ST_UNAVAILABLE, NULL, "not enough memory for the picture");
    TIFFOpenOptionsSetMaxSingleMemAlloc(options, LIMIT_IMAGE_CODEC_BYTES);
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, r);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, r);
    r->tiff = TIFFClientOpenExt("picture", "r", r, on_read, on_write, on_seek, on_close, on_size, on_map,
                                on_unmap, options);
    TIFFOpenOptionsFree(options);
    return r->tiff ? ST_OK : image_damaged(f, r->why);
}

static void reader_close(struct reader *r)
{
    if (r->tiff)
        TIFFClose(r->tiff);
}

static enum status check_tags(TIFF *tiff, struct fault *f)
{
    static const uint16_t codings[] = {
        COMPRESSION_NONE,    COMPRESSION_CCITTRLE, COMPRESSION_CCITTFAX3, COMPRESSION_CCITTFAX4,
        COMPRESSION_LZW,     COMPRESSION_JPEG,     COMPRESSION_PACKBITS,  COMPRESSION_ADOBE_DEFLATE,
        COMPRESSION_DEFLATE, COMPRESSION_ZSTD,     COMPRESSION_WEBP,
    };
    uint16_t coding = 0, samples = 0;
    size_t i = 0;

    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &coding);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    while (i < sizeof codings / sizeof codings[0] && codings[i] != coding)
        i++;
    if (i == sizeof codings / sizeof codings[0])
        return fault_set(f, ST_UNSUPPORTED, NULL, "TIFF compression %u is not supported", coding);
    if (samples > LIMIT_TIFF_SAMPLES)
        return fault_set(f, ST_TOO_LARGE, NULL, "the TIFF has %u samples per pixel; %d are the limit",
                         samples, LIMIT_TIFF_SAMPLES);
    return ST_OK;
}

static uint32_t band_height(TIFF *tiff, uint32_t height)
{
    uint32_t rows = 0;

    if (TIFFIsTiled(tiff))
        TIFFGetField(tiff, TIFFTAG_TILELENGTH, &rows);
    else
        TIFFGetFieldDefaulted(tiff, TIFFTAG_ROWSPERSTRIP, &rows);
    return rows == 0 || rows > height ? height : rows;
}

/* A band as libtiff hands it over, and its samples before that. */
static int64_t band_bytes(TIFF *tiff, uint32_t width, uint32_t height)
{
    uint16_t samples = 1, bits = 8;

    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    if (width > LIMIT_IMAGE_SIDE_PX || height > LIMIT_IMAGE_SIDE_PX)
        return 0; /* refused by image.c */
    return (int64_t)width * band_height(tiff, height) * (4 + samples * ((bits + 7) / 8));
}

static enum status probe(struct slice file, struct stored *ret, struct fault *f)
{
    uint32_t width = 0, height = 0;
    uint16_t orientation = 1;
    struct reader r;
    enum status st;

    if ((st = reader_open(&r, file, f)) != ST_OK)
        return st;
    if ((st = check_tags(r.tiff, f)) == ST_OK) {
        TIFFGetField(r.tiff, TIFFTAG_IMAGEWIDTH, &width);
        TIFFGetField(r.tiff, TIFFTAG_IMAGELENGTH, &height);
        TIFFGetFieldDefaulted(r.tiff, TIFFTAG_ORIENTATION, &orientation);
        *ret = (struct stored){ .width = width,
                                .height = height,
                                .orientation = orientation,
                                .codec_bytes = band_bytes(r.tiff, width, height) };
    }
    reader_close(&r);
    return st;
}

/* Alpha is dropped, not applied: libtiff multiplies colours by an alpha that the tags declare
 * "unassociated". */
static void forget_alpha(TIFF *tiff)
{
    uint16_t unknown[LIMIT_TIFF_SAMPLES] = { 0 }, n = 0, *kinds = NULL;

    if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &n, &kinds) && n > 0 && n < LIMIT_TIFF_SAMPLES)
        TIFFSetField(tiff, TIFFTAG_EXTRASAMPLES, n,
                     unknown); /* all EXTRASAMPLE_UNSPECIFIED; in memory only */
}

static enum status read_bands(struct reader *r, TIFFRGBAImage *rgba, uint8_t *rgb, struct fault *f)
{
    const uint32_t step = band_height(r->tiff, rgba->height);
    uint32_t *band = NULL;
    enum status st = ST_OK;
    size_t pixels = 0;

    if (!size_mul(rgba->width, step, &pixels) || !(band = calloc(pixels, sizeof *band)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "not enough memory for the picture");
    for (uint32_t y = 0; y < rgba->height && st == ST_OK; y += step) {
        const uint32_t rows = rgba->height - y < step ? rgba->height - y : step;
        const size_t n = (size_t)rows * rgba->width;

        rgba->row_offset = (int)y;
        if (!TIFFRGBAImageGet(rgba, band, rgba->width, rows) || r->why[0])
            st = image_damaged(f, r->why[0] ? r->why : "its TIFF data cannot be read");
        for (size_t i = 0; i < n; i++) {
            *rgb++ = (uint8_t)TIFFGetR(band[i]);
            *rgb++ = (uint8_t)TIFFGetG(band[i]);
            *rgb++ = (uint8_t)TIFFGetB(band[i]);
        }
    }
    free(band);
    return st;
}

/* ---- inks of 16 bits: the one kind in use that the RGBA interface lacks ---- */

static bool has_deep_inks(TIFF *tiff)
{
    uint16_t photometric = 0, bits = 0, samples = 0, planes = PLANARCONFIG_CONTIG, inks = INKSET_CMYK;

    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &planes);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_INKSET, &inks);
    return photometric == PHOTOMETRIC_SEPARATED && bits == 16 && samples >= 4 &&
           planes == PLANARCONFIG_CONTIG && inks == INKSET_CMYK;
}

static void inks_to_rgb(const uint16_t *inks, size_t samples, size_t width, uint8_t *rgb)
{
    for (size_t x = 0; x < width; x++, inks += samples, rgb += 3)
        for (int c = 0; c < 3; c++) {
            const uint32_t light = (65535U - inks[c]) * (65535U - inks[3]) / 65535U;

            rgb[c] = (uint8_t)((light + 128) / 257);
        }
}

/* A strip is a tile as wide as the picture. */
static enum status read_deep_inks(struct reader *r, const struct stored *im, uint8_t *rgb,
                                  struct fault *f)
{
    const bool tiled = TIFFIsTiled(r->tiff);
    const tmsize_t size = tiled ? TIFFTileSize(r->tiff) : TIFFStripSize(r->tiff);
    const uint32_t width = (uint32_t)im->width, height = (uint32_t)im->height;
    const uint32_t step = band_height(r->tiff, height);
    uint32_t wide = width;
    uint16_t samples = 4, *piece = NULL;
    enum status st = ST_OK;

    TIFFGetFieldDefaulted(r->tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
    if (tiled)
        TIFFGetField(r->tiff, TIFFTAG_TILEWIDTH, &wide);
    if (wide == 0 || size <= 0 || size > LIMIT_IMAGE_CODEC_BYTES)
        return image_damaged(f, "its pieces have no usable size");
    if (!(piece = malloc((size_t)size)))
        return fault_set(f, ST_UNAVAILABLE, NULL, "not enough memory for the picture");
    for (uint32_t y = 0; y < height && st == ST_OK; y += step)
        for (uint32_t x = 0; x < width && st == ST_OK; x += wide) {
            const uint32_t rows = height - y < step ? height - y : step;
            const uint32_t columns = width - x < wide ? width - x : wide;
            const tmsize_t got =
                tiled ? TIFFReadEncodedTile(r->tiff, TIFFComputeTile(r->tiff, x, y, 0, 0), piece, size)
                      : TIFFReadEncodedStrip(r->tiff, TIFFComputeStrip(r->tiff, y, 0), piece, size);

            if (got < (tmsize_t)((size_t)rows * wide * samples * 2) || r->why[0])
                st = image_damaged(f, r->why[0] ? r->why : "its TIFF data cannot be read");
            for (uint32_t row = 0; row < rows && st == ST_OK; row++)
                inks_to_rgb(piece + (size_t)row * wide * samples, samples, columns,
                            rgb + ((size_t)(y + row) * width + x) * 3);
        }
    free(piece);
    return st;
}

static enum status decode(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f)
{
    char why[1024] = "";
    TIFFRGBAImage rgba;
    struct reader r;
    enum status st;

    if ((st = reader_open(&r, file, f)) != ST_OK)
        return st;
    forget_alpha(r.tiff);
    r.why[0] = '\0';
    if (has_deep_inks(r.tiff)) {
        st = read_deep_inks(&r, im, rgb, f);
        goto out;
    }
    if (!TIFFRGBAImageOK(r.tiff, why) || !TIFFRGBAImageBegin(&rgba, r.tiff, 1, why)) {
        st = fault_set(f, ST_UNSUPPORTED, NULL, "this kind of TIFF is not supported: %.100s", why);
        goto out;
    }
    if (rgba.width != (uint32_t)im->width || rgba.height != (uint32_t)im->height) {
        st = image_damaged(f, "its size changed between two looks");
    } else {
        rgba.orientation = rgba.req_orientation = ORIENTATION_TOPLEFT; /* as stored: image.c turns */
        st = read_bands(&r, &rgba, rgb, f);
    }
    TIFFRGBAImageEnd(&rgba);
out:
    reader_close(&r);
    return st;
}

const struct codec codec_tiff = { "image/tiff", probe, decode, false };
