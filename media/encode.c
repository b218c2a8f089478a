/*
 * Encoding by libjpeg-turbo and libpng. Both report errors by a long jump: what must be released lives
 * in a struct of the caller, so that nothing is lost or undefined after it.
 */
#include "media/encode.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <jpeglib.h>
#include <png.h>

enum { JPEG_QUALITY = 90, PNG_LEVEL = 3 };

const char *image_media_type(enum image_format f)
{
    static const char *const types[IMAGE_FORMAT__COUNT] = { "image/jpeg", "image/png" };

    return types[f];
}

/* ---- JPEG ---- */

struct jpeg_writer {
    struct jpeg_compress_struct jpeg; /* first: libjpeg hands it back to us */
    struct jpeg_error_mgr errors;
    jmp_buf failed;
    unsigned char *bytes;
    unsigned long n;
};

static void on_jpeg_error(j_common_ptr jpeg)
{
    longjmp(((struct jpeg_writer *)jpeg)->failed, 1);
}

static void ignore(j_common_ptr jpeg, int level)
{
    (void)jpeg;
    (void)level;
}

static bool write_jpeg(struct jpeg_writer *w, const struct image *im)
{
    const size_t row = (size_t)im->width * 3;

    w->jpeg.err = jpeg_std_error(&w->errors);
    w->errors.error_exit = on_jpeg_error;
    w->errors.emit_message = ignore;
    if (setjmp(w->failed))
        return false;
    jpeg_create_compress(&w->jpeg);
    jpeg_mem_dest(&w->jpeg, &w->bytes, &w->n);
    w->jpeg.image_width = (JDIMENSION)im->width;
    w->jpeg.image_height = (JDIMENSION)im->height;
    w->jpeg.input_components = 3;
    w->jpeg.in_color_space = JCS_RGB;
    jpeg_set_defaults(&w->jpeg);
    jpeg_set_quality(&w->jpeg, JPEG_QUALITY, TRUE);
    jpeg_start_compress(&w->jpeg, TRUE);
    while (w->jpeg.next_scanline < w->jpeg.image_height) {
        JSAMPROW line = im->rgb + w->jpeg.next_scanline * row;
        jpeg_write_scanlines(&w->jpeg, &line, 1);
    }
    jpeg_finish_compress(&w->jpeg);
    return true;
}

static bool encode_jpeg(const struct image *im, struct buffer *out)
{
    struct jpeg_writer w = { 0 };
    const bool ok = write_jpeg(&w, im);

    if (ok)
        buffer_bytes(out, w.bytes, w.n);
    jpeg_destroy_compress(&w.jpeg);
    free(w.bytes);
    return ok;
}

/* ---- PNG ---- */

struct png_writer {
    png_struct *png;
    png_info *info;
    struct buffer *out;
};

static void on_png_error(png_struct *png, const char *message)
{
    (void)message;
    png_longjmp(png, 1);
}

static void on_png_warning(png_struct *png, const char *message)
{
    (void)png;
    (void)message;
}

static void write_bytes(png_struct *png, png_byte *p, size_t n)
{
    buffer_bytes(png_get_io_ptr(png), p, n);
}

static void flush_nothing(png_struct *png)
{
    (void)png;
}

static bool write_png(struct png_writer *w, const struct image *im)
{
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, on_png_error, on_png_warning);
    w->info = w->png ? png_create_info_struct(w->png) : NULL;
    if (!w->info || setjmp(png_jmpbuf(w->png)))
        return false;
    png_set_write_fn(w->png, w->out, write_bytes, flush_nothing);
    png_set_compression_level(w->png, PNG_LEVEL);
    png_set_IHDR(w->png, w->info, (png_uint_32)im->width, (png_uint_32)im->height, 8, PNG_COLOR_TYPE_RGB,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    for (int y = 0; y < im->height; y++)
        png_write_row(w->png, im->rgb + (size_t)y * (size_t)im->width * 3);
    png_write_end(w->png, w->info);
    return true;
}

static bool encode_png(const struct image *im, struct buffer *out)
{
    struct png_writer w = { .out = out };
    const bool ok = write_png(&w, im);

    png_destroy_write_struct(&w.png, &w.info);
    return ok;
}

enum status image_encode(const struct image *im, enum image_format format, struct buffer *out,
                         struct fault *f)
{
    const bool ok = format == IMAGE_JPEG ? encode_jpeg(im, out) : encode_png(im, out);

    if (!ok)
        return fault_set(f, ST_TOO_LARGE, NULL, "the picture cannot be written in this format");
    return out->failed ? fault_set(f, ST_TOO_LARGE, NULL, "the picture with its drawing is too large")
                       : ST_OK;
}
