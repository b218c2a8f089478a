/*
 * GIF by giflib, first frame. Read record by record: giflib's DGifSlurp would unpack every frame of an
 * animation. The picture is the logical screen, grown where the frame sticks out of it (as browsers do);
 * what the frame leaves free shows the background colour, or black.
 */
#include <gif_lib.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "media/image_private.h"

struct reader {
    GifFileType *gif;
    struct slice rest;
};

static int on_read(GifFileType *gif, GifByteType *to, int n)
{
    struct reader *r = gif->UserData;
    const size_t take = n < 0 ? 0 : (size_t)n < r->rest.n ? (size_t)n : r->rest.n;

    memcpy(to, r->rest.p, take);
    r->rest.p += take;
    r->rest.n -= take;
    return (int)take;
}

static enum status gif_fault(int error, struct fault *f)
{
    const char *why = GifErrorString(error);

    return image_damaged(f, why ? why : "its GIF data cannot be read");
}

static enum status skip_extension(GifFileType *gif, struct fault *f)
{
    GifByteType *data = NULL;
    int code;

    if (DGifGetExtension(gif, &code, &data) != GIF_OK)
        return gif_fault(gif->Error, f);
    while (data)
        if (DGifGetExtensionNext(gif, &data) != GIF_OK)
            return gif_fault(gif->Error, f);
    return ST_OK;
}

/* Opens the file and reads up to the pixels of the first frame. Call reader_close in any case. */
static enum status reader_open(struct reader *r, struct slice file, struct fault *f)
{
    GifRecordType record = UNDEFINED_RECORD_TYPE;
    enum status st = ST_OK;
    int error = 0;

    *r = (struct reader){ .rest = file };
    if (!(r->gif = DGifOpen(r, on_read, &error)))
        return gif_fault(error, f);
    while (st == ST_OK && record != IMAGE_DESC_RECORD_TYPE) {
        if (DGifGetRecordType(r->gif, &record) != GIF_OK)
            return gif_fault(r->gif->Error, f);
        if (record == TERMINATE_RECORD_TYPE)
            return image_damaged(f, "it has no frame");
        if (record == EXTENSION_RECORD_TYPE)
            st = skip_extension(r->gif, f);
    }
    if (st == ST_OK && DGifGetImageDesc(r->gif) != GIF_OK)
        return gif_fault(r->gif->Error, f);
    return st;
}

static void reader_close(struct reader *r)
{
    int error;

    if (r->gif)
        DGifCloseFile(r->gif, &error);
}

static struct stored canvas(const GifFileType *gif)
{
    const GifImageDesc *frame = &gif->Image;
    const int64_t right = (int64_t)frame->Left + frame->Width,
                  bottom = (int64_t)frame->Top + frame->Height;

    return (struct stored){ .width = gif->SWidth > right ? gif->SWidth : right,
                            .height = gif->SHeight > bottom ? gif->SHeight : bottom };
}

static enum status probe(struct slice file, struct stored *ret, struct fault *f)
{
    struct reader r;
    enum status st;

    if ((st = reader_open(&r, file, f)) == ST_OK)
        *ret = canvas(r.gif);
    reader_close(&r);
    return st;
}

/* Colour of an index; one that the map lacks (seen in the wild as the transparent one) is black. */
static GifColorType colour_at(const ColorMapObject *map, int index)
{
    return map && index < map->ColorCount ? map->Colors[index] : (GifColorType){ 0, 0, 0 };
}

static void put_colour(uint8_t *to, GifColorType c)
{
    to[0] = c.Red;
    to[1] = c.Green;
    to[2] = c.Blue;
}

static enum status read_row(GifFileType *gif, int y, GifPixelType *line, const struct stored *im,
                            uint8_t *rgb, struct fault *f)
{
    const GifImageDesc *frame = &gif->Image;
    const ColorMapObject *map = frame->ColorMap ? frame->ColorMap : gif->SColorMap;
    uint8_t *to = rgb + ((size_t)(frame->Top + y) * (size_t)im->width + (size_t)frame->Left) * 3;

    if (DGifGetLine(gif, line, frame->Width) != GIF_OK)
        return gif_fault(gif->Error, f);
    for (int x = 0; x < frame->Width; x++, to += 3)
        put_colour(to, colour_at(map, line[x]));
    return ST_OK;
}

static enum status read_frame(GifFileType *gif, GifPixelType *line, const struct stored *im,
                              uint8_t *rgb, struct fault *f)
{
    static const int starts[] = { 0, 4, 2, 1 }, steps[] = { 8, 8, 4, 2 };
    const int passes = gif->Image.Interlace ? 4 : 1;
    enum status st = ST_OK;

    for (int pass = 0; pass < passes; pass++) {
        const int start = passes == 1 ? 0 : starts[pass], step = passes == 1 ? 1 : steps[pass];

        for (int y = start; y < gif->Image.Height && st == ST_OK; y += step)
            st = read_row(gif, y, line, im, rgb, f);
    }
    return st;
}

static enum status decode(struct slice file, const struct stored *im, uint8_t *rgb, struct fault *f)
{
    GifPixelType *line = NULL;
    struct reader r;
    struct stored again;
    enum status st;

    if ((st = reader_open(&r, file, f)) != ST_OK)
        goto out;
    again = canvas(r.gif);
    if (again.width != im->width || again.height != im->height || r.gif->Image.Width < 1 ||
        r.gif->Image.Height < 1) {
        st = image_damaged(f, "its first frame is empty");
        goto out;
    }
    if (!(line = malloc((size_t)r.gif->Image.Width))) {
        st = fault_set(f, ST_UNAVAILABLE, NULL, "not enough memory for the picture");
        goto out;
    }
    for (int64_t i = 0; i < im->width * im->height; i++)
        put_colour(rgb + i * 3, colour_at(r.gif->SColorMap, r.gif->SBackGroundColor));
    st = read_frame(r.gif, line, im, rgb, f);
out:
    free(line);
    reader_close(&r);
    return st;
}

const struct codec codec_gif = { "image/gif", probe, decode, false };
