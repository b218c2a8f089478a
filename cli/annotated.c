/*
 * Boxes, outlines, key points and names drawn into pictures, and JPEG out. See annotated.h. One colour a
 * class. The letters are ours: five columns of seven dots, the lowest bit on top.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>
#include <setjmp.h>

#include "cli/annotated.h"

enum { QUALITY = 92, COLUMNS = 5, ROWS = 7 };

struct colour {
    uint8_t rgb[3];
};

/* Steps of the golden angle around the circle of hues: neighbours differ. */
static struct colour class_colour(int label)
{
    const double hue = fmod(label * 0.61803398875, 1) * 6;
    struct colour c;

    for (int i = 0; i < 3; i++) {
        const double x = fabs(fmod(hue + 4 - 2 * i + 6, 6) - 3) - 1;
        c.rgb[i] = (uint8_t)(40 + 200 * fmin(fmax(x, 0), 1));
    }
    return c;
}

static void dot(struct image *im, int x, int y, struct colour c)
{
    if (x >= 0 && y >= 0 && x < im->width && y < im->height)
        memcpy(im->rgb + ((size_t)y * (size_t)im->width + (size_t)x) * 3, c.rgb, 3);
}

static void block(struct image *im, int x, int y, int w, int h, struct colour c)
{
    for (int j = 0; j < h; j++)
        for (int i = 0; i < w; i++)
            dot(im, x + i, y + j, c);
}

/* A line of square points; ends are within the picture, so the steps are bounded by its sides. */
static void line(struct image *im, struct point a, struct point b, int thick, struct colour c)
{
    const float dx = b.x - a.x, dy = b.y - a.y;
    const int steps = (int)fminf(fmaxf(fabsf(dx), fabsf(dy)), 1e5f) + 1;

    for (int i = 0; i <= steps; i++) {
        const float t = (float)i / (float)steps;
        block(im, (int)(a.x + dx * t) - thick / 2, (int)(a.y + dy * t) - thick / 2, thick, thick, c);
    }
}

static void outline(struct image *im, const struct point points[], size_t n, int thick, struct colour c)
{
    for (size_t i = 0; i < n; i++)
        line(im, points[i], points[(i + 1) % n], thick, c);
}

static const struct glyph {
    char letter;
    uint8_t columns[COLUMNS];
} glyphs[] = {
    { 'A', { 0x7e, 0x09, 0x09, 0x09, 0x7e } }, { 'B', { 0x7f, 0x49, 0x49, 0x49, 0x36 } },
    { 'C', { 0x3e, 0x41, 0x41, 0x41, 0x41 } }, { 'D', { 0x7f, 0x41, 0x41, 0x41, 0x3e } },
    { 'E', { 0x7f, 0x49, 0x49, 0x49, 0x41 } }, { 'F', { 0x7f, 0x09, 0x09, 0x09, 0x01 } },
    { 'G', { 0x3e, 0x41, 0x41, 0x49, 0x79 } }, { 'H', { 0x7f, 0x08, 0x08, 0x08, 0x7f } },
    { 'I', { 0x00, 0x41, 0x7f, 0x41, 0x00 } }, { 'J', { 0x20, 0x40, 0x41, 0x3f, 0x01 } },
    { 'K', { 0x7f, 0x08, 0x14, 0x22, 0x41 } }, { 'L', { 0x7f, 0x40, 0x40, 0x40, 0x40 } },
    { 'M', { 0x7f, 0x02, 0x0c, 0x02, 0x7f } }, { 'N', { 0x7f, 0x06, 0x08, 0x30, 0x7f } },
    { 'O', { 0x3e, 0x41, 0x41, 0x41, 0x3e } }, { 'P', { 0x7f, 0x09, 0x09, 0x09, 0x06 } },
    { 'Q', { 0x3e, 0x41, 0x51, 0x21, 0x5e } }, { 'R', { 0x7f, 0x09, 0x19, 0x29, 0x46 } },
    { 'S', { 0x46, 0x49, 0x49, 0x49, 0x31 } }, { 'T', { 0x01, 0x01, 0x7f, 0x01, 0x01 } },
    { 'U', { 0x3f, 0x40, 0x40, 0x40, 0x3f } }, { 'V', { 0x0f, 0x30, 0x40, 0x30, 0x0f } },
    { 'W', { 0x7f, 0x20, 0x18, 0x20, 0x7f } }, { 'X', { 0x63, 0x14, 0x08, 0x14, 0x63 } },
    { 'Y', { 0x03, 0x04, 0x78, 0x04, 0x03 } }, { 'Z', { 0x61, 0x51, 0x49, 0x45, 0x43 } },
    { '0', { 0x3e, 0x71, 0x49, 0x47, 0x3e } }, { '1', { 0x00, 0x42, 0x7f, 0x40, 0x00 } },
    { '2', { 0x62, 0x51, 0x49, 0x49, 0x46 } }, { '3', { 0x41, 0x49, 0x49, 0x49, 0x36 } },
    { '4', { 0x18, 0x14, 0x12, 0x7f, 0x10 } }, { '5', { 0x27, 0x45, 0x45, 0x45, 0x39 } },
    { '6', { 0x3e, 0x49, 0x49, 0x49, 0x30 } }, { '7', { 0x01, 0x61, 0x19, 0x05, 0x03 } },
    { '8', { 0x36, 0x49, 0x49, 0x49, 0x36 } }, { '9', { 0x06, 0x49, 0x49, 0x49, 0x3e } },
    { '.', { 0x00, 0x60, 0x60, 0x00, 0x00 } }, { '-', { 0x00, 0x08, 0x08, 0x08, 0x00 } },
    { '_', { 0x40, 0x40, 0x40, 0x40, 0x40 } }, { ':', { 0x00, 0x36, 0x36, 0x00, 0x00 } },
    { '/', { 0x40, 0x30, 0x08, 0x06, 0x01 } }, { '+', { 0x08, 0x08, 0x3e, 0x08, 0x08 } },
    { '(', { 0x00, 0x1c, 0x22, 0x41, 0x00 } }, { ')', { 0x00, 0x41, 0x22, 0x1c, 0x00 } },
    { '?', { 0x02, 0x01, 0x59, 0x09, 0x06 } }, { ' ', { 0x00, 0x00, 0x00, 0x00, 0x00 } },
};
enum { NGLYPHS = sizeof glyphs / sizeof *glyphs, UNKNOWN_GLYPH = NGLYPHS - 2 };

/* Small letters look like capitals; what has no glyph is '?'. */
static const uint8_t *glyph(char letter)
{
    if (letter >= 'a' && letter <= 'z')
        letter = (char)(letter - 'a' + 'A');
    for (int i = 0; i < NGLYPHS; i++)
        if (glyphs[i].letter == letter)
            return glyphs[i].columns;
    return glyphs[UNKNOWN_GLYPH].columns;
}

/* Black or white letters of `size` pixels a dot on a ground of this colour, above (x, y) where there is
 * room. */
static void label(struct image *im, const char *text, int x, int y, int size, struct colour ground)
{
    const int light = ground.rgb[0] * 3 + ground.rgb[1] * 6 + ground.rgb[2];
    const uint8_t ink = light > 1400 ? 0 : 255;
    const int height = (ROWS + 2) * size, width = ((int)strlen(text) * (COLUMNS + 1) + 1) * size;

    y = y >= height ? y - height : y;
    block(im, x, y, width, height, ground);
    for (; *text; text++, x += (COLUMNS + 1) * size)
        for (int i = 0; i < COLUMNS; i++)
            for (int j = 0; j < ROWS; j++)
                if (glyph(*text)[i] >> j & 1)
                    block(im, x + (i + 1) * size, y + (j + 1) * size, size, size,
                          (struct colour){ { ink, ink, ink } });
}

static struct point within(float x, float y)
{
    return (struct point){ fminf(fmaxf(x, -1e5f), 1e5f), fminf(fmaxf(y, -1e5f), 1e5f) };
}

static void draw(struct image *im, const struct detection *d, const struct model_card *card, int row)
{
    const int thick = 1 + (im->width + im->height) / 800, size = 1 + (im->width + im->height) / 1600;
    const struct colour c = class_colour(d->label);
    const bool boxed = d->x1 > d->x0 && d->y1 > d->y0;
    struct point corners[4] = { { d->x0, d->y0 }, { d->x1, d->y0 }, { d->x1, d->y1 }, { d->x0, d->y1 } };
    char name[48], text[64];

    for (int i = 0; d->rotated && i < 4; i++)
        corners[i] = within(d->rotated->corners[i].x, d->rotated->corners[i].y);
    if (boxed)
        outline(im, corners, 4, thick, c);
    outline(im, d->polygon, d->npolygon, thick, c);
    for (size_t i = 0; i < d->nkeypoints; i++)
        if (d->keypoints[i].visibility > 0.5f) {
            const struct point p = within(d->keypoints[i].x, d->keypoints[i].y);
            block(im, (int)p.x - thick, (int)p.y - thick, 2 * thick + 1, 2 * thick + 1, c);
        }
    text_printable(d->label >= 0 && d->label < card->nclasses ? card->class_names[d->label] : "?", name,
                   sizeof name);
    snprintf(text, sizeof text, "%s %.2f", name, (double)d->score);
    label(im, text, boxed ? (int)d->x0 : 0, boxed ? (int)d->y0 : row * (ROWS + 2) * size, size, c);
}

/* ---- JPEG: libjpeg reports through longjmp, which must not pass over locals that change */

struct failure {
    struct jpeg_error_mgr base;
    jmp_buf jump;
};

static void fail(j_common_ptr c)
{
    struct failure *e = (struct failure *)(void *)c->err;

    longjmp(e->jump, 1);
}

static void silent(j_common_ptr c)
{
    (void)c;
}

static bool write_jpeg(FILE *file, const struct image *im)
{
    struct jpeg_compress_struct c = { 0 };
    struct failure e;

    c.err = jpeg_std_error(&e.base);
    e.base.error_exit = fail;
    e.base.output_message = silent;
    if (setjmp(e.jump)) {
        jpeg_destroy_compress(&c);
        return false;
    }
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, file);
    c.image_width = (JDIMENSION)im->width;
    c.image_height = (JDIMENSION)im->height;
    c.input_components = 3;
    c.in_color_space = JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_set_quality(&c, QUALITY, TRUE);
    jpeg_start_compress(&c, TRUE);
    while (c.next_scanline < c.image_height) {
        JSAMPROW row = im->rgb + (size_t)c.next_scanline * (size_t)im->width * 3;
        (void)jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    return true;
}

enum status annotated_save(const char *dir, const char *path, struct image *im,
                           const struct prediction *p, const struct model_card *card, struct fault *f)
{
    const char *const slash = strrchr(path, '/'), *const name = slash ? slash + 1 : path;
    const char *const suffix = strrchr(name, '.');
    const size_t n = suffix && suffix > name ? (size_t)(suffix - name) : strlen(name);
    char to[4096];
    FILE *file;
    bool ok;

    for (size_t i = p->n; i-- > 0;) /* the best last, on top */
        draw(im, &p->items[i], card, (int)i);
    if ((size_t)snprintf(to, sizeof to, "%s/%.*s.jpg", dir, (int)n, name) >= sizeof to)
        return fault_set(f, ST_INVALID, "save", "the name is too long");
    if (!(file = fopen(to, "wb")))
        return fault_set(f, ST_UNAVAILABLE, "save", "%s: %s", to, strerror(errno));
    ok = write_jpeg(file, im);
    ok = (fclose(file) == 0) && ok;
    return ok ? ST_OK : fault_set(f, ST_UNAVAILABLE, "save", "%s cannot be written", to);
}
