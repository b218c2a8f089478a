/*
 * JPEG by libjpeg-turbo. Its way to report an error is a long jump; everything that must be released
 * lives in struct reader, so that nothing is lost or undefined after the jump.
 *
 * libjpeg fills what is missing with grey and only warns. A warning that means missing or wrong pixels
 * is an error here; one about harmless extra bytes, common in the wild, is not.
 */
#include <stdio.h>
#include <setjmp.h>
#include <stdbool.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include "base/limits.h"
#include "media/image_private.h"

struct reader {
    struct jpeg_decompress_struct jpeg; /* first: libjpeg hands it back to us */
    struct jpeg_error_mgr errors;
    struct jpeg_progress_mgr progress;
    jmp_buf failed;
    struct slice file;
    struct stored found;           /* by read_header */
    const struct stored *expected; /* by read_picture */
    uint8_t *rgb;
    char why[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr jpeg)
{
    struct reader *r = (struct reader *)jpeg;

    jpeg->err->format_message(jpeg, r->why);
    longjmp(r->failed, 1);
}

static void on_message(j_common_ptr jpeg, int level)
{
    if (level >= 0)
        return;
    switch (jpeg->err->msg_code) {
    case JWRN_EXTRANEOUS_DATA:
    case JWRN_TOO_MUCH_DATA:
    case JWRN_ADOBE_XFORM:
    case JWRN_JFIF_MAJOR:
        return;
    default:
        on_error(jpeg);
    }
}

/* A small file can ask for thousands of passes over a large picture. */
static void on_progress(j_common_ptr jpeg)
{
    struct reader *r = (struct reader *)jpeg;

    if (!jpeg->is_decompressor || r->jpeg.input_scan_number <= LIMIT_JPEG_SCANS)
        return;
    snprintf(r->why, sizeof r->why, "more than %d scans", LIMIT_JPEG_SCANS);
    longjmp(r->failed, 1);
}

static void silent(j_common_ptr jpeg)
{
    (void)jpeg;
}

static void reader_init(struct reader *r, struct slice file)
{
    memset(r, 0, sizeof *r);
    r->file = file;
    r->jpeg.err = jpeg_std_error(&r->errors);
    r->errors.error_exit = on_error;
    r->errors.emit_message = on_message;
    r->errors.output_message = silent;
}

/* Runs `body`, from which errors jump back to here. Whatever happened, the reader is released. */
static enum status reader_run(struct reader *r, void (*body)(struct reader *r), struct fault *f)
{
    enum status st;

    if (setjmp(r->failed) == 0) {
        body(r);
        st = ST_OK;
    } else {
        st = image_damaged(f, r->why);
    }
    jpeg_destroy_decompress(&r->jpeg);
    return st;
}

static int marker_orientation(const struct reader *r)
{
    for (const struct jpeg_marker_struct *m = r->jpeg.marker_list; m; m = m->next)
        if (m->data_length > 6 && memcmp(m->data, "Exif\0", 6) == 0)
            return exif_orientation(m->data + 6, m->data_length - 6);
    return 1;
}

/* Several scans are put together in memory: a block of 64 coefficients of two bytes each. */
static int64_t coefficient_bytes(struct reader *r)
{
    int64_t samples = 0;

    if (!jpeg_has_multiple_scans(&r->jpeg))
        return 0;
    for (int i = 0; i < r->jpeg.num_components; i++)
        samples += (int64_t)r->jpeg.image_width * r->jpeg.image_height *
                   r->jpeg.comp_info[i].h_samp_factor * r->jpeg.comp_info[i].v_samp_factor /
                   ((int64_t)r->jpeg.max_h_samp_factor * r->jpeg.max_v_samp_factor);
    return samples * 2;
}

static void read_header(struct reader *r)
{
    jpeg_create_decompress(&r->jpeg);
    r->progress.progress_monitor = on_progress;
    r->jpeg.progress = &r->progress;
    r->jpeg.mem->max_memory_to_use = LIMIT_IMAGE_CODEC_BYTES;
    jpeg_mem_src(&r->jpeg, (const unsigned char *)r->file.p, r->file.n);
    jpeg_save_markers(&r->jpeg, JPEG_APP0 + 1, 0xFFFF);
    jpeg_read_header(&r->jpeg, TRUE);
    r->found = (struct stored){ .width = r->jpeg.image_width,
                                .height = r->jpeg.image_height,
                                .orientation = marker_orientation(r),
                                .codec_bytes = coefficient_bytes(r) };
}

static enum status probe(struct slice file, struct stored *ret, struct fault *f)
{
    struct reader r;
    enum status st;

    reader_init(&r, file);
    if ((st = reader_run(&r, read_header, f)) == ST_OK)
        *ret = r.found;
    return st;
}

/* Four bytes of ink become three of light, in place: the target never overtakes the source. The inks are
 * stored inverted, as Adobe writes them and the rest of the field reads them. */
static void ink_to_rgb(const uint8_t *cmyk, size_t width, uint8_t *rgb)
{
    for (size_t x = 0; x < width; x++, cmyk += 4, rgb += 3)
        for (int c = 0; c < 3; c++)
            rgb[c] = (uint8_t)((cmyk[c] * cmyk[3] + 127) / 255);
}

static void read_rows(struct reader *r)
{
    const size_t width = r->jpeg.output_width;
    const bool ink = r->jpeg.out_color_space == JCS_CMYK;
    JSAMPARRAY row = NULL;

    if (ink) /* released with the reader */
        row = r->jpeg.mem->alloc_sarray((j_common_ptr)&r->jpeg, JPOOL_IMAGE, (JDIMENSION)(width * 4), 1);
    while (r->jpeg.output_scanline < r->jpeg.output_height) {
        uint8_t *to = r->rgb + (size_t)r->jpeg.output_scanline * width * 3;

        jpeg_read_scanlines(&r->jpeg, ink ? row : &to, 1);
        if (ink)
            ink_to_rgb(row[0], width, to);
    }
    jpeg_finish_decompress(&r->jpeg);
}

static void read_picture(struct reader *r)
{
    read_header(r);
    r->jpeg.out_color_space =
        r->jpeg.jpeg_color_space == JCS_CMYK || r->jpeg.jpeg_color_space == JCS_YCCK ? JCS_CMYK
                                                                                     : JCS_RGB;
    r->jpeg.scale_num = 1;
    r->jpeg.scale_denom = (unsigned)(r->expected->shrink ? r->expected->shrink : 1);
    jpeg_start_decompress(&r->jpeg);
    if (r->jpeg.output_width != (JDIMENSION)r->expected->width ||
        r->jpeg.output_height != (JDIMENSION)r->expected->height) {
        snprintf(r->why, sizeof r->why, "its size changed between two looks");
        longjmp(r->failed, 1);
    }
    read_rows(r);
}

static enum status decode(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f)
{
    struct reader r;

    reader_init(&r, file);
    r.expected = im;
    r.rgb = rgb;
    return reader_run(&r, read_picture, f);
}

const struct codec codec_jpeg = { "image/jpeg", probe, decode, true };
