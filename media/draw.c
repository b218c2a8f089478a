/* Drawing: see draw.h. */
#include "media/draw.h"

#include <math.h>
#include <stdlib.h>
#include "base/text.h"
#include "media/font.h"

static const struct colour palette[] = {
    { 230, 60, 50 },   { 40, 110, 220 },  { 50, 170, 80 },  { 245, 160, 30 }, { 150, 80, 200 },
    { 0, 175, 190 },   { 235, 90, 160 },  { 140, 190, 40 }, { 120, 80, 50 },  { 90, 100, 120 },
    { 255, 205, 60 },  { 20, 60, 140 },   { 0, 120, 90 },   { 170, 30, 60 },  { 120, 200, 255 },
    { 190, 150, 230 }, { 255, 140, 110 }, { 70, 70, 20 },   { 30, 220, 150 }, { 200, 120, 0 },
};

struct colour draw_colour(int number)
{
    return palette[number < 0 ? 0 : (size_t)number % (sizeof palette / sizeof palette[0])];
}

struct colour draw_contrast(struct colour c)
{
    const bool bright = 299 * c.red + 587 * c.green + 114 * c.blue > 140 * 1000;

    return bright ? (struct colour){ 0, 0, 0 } : (struct colour){ 255, 255, 255 };
}

/* To a whole number within the picture's side, or just beyond; NaN counts as before it. */
static int within(float x, int size)
{
    return x > 0 ? x < (float)size ? (int)x : size : 0;
}

/* Pixels x0 .. x1 - 1 of a row. */
static void paint(struct image *im, int y, int x0, int x1, float opacity, struct colour c)
{
    uint8_t *p;

    x0 = x0 < 0 ? 0 : x0;
    x1 = x1 > im->width ? im->width : x1;
    if (y < 0 || y >= im->height || x0 >= x1)
        return;
    p = im->rgb + ((size_t)y * (size_t)im->width + (size_t)x0) * 3;
    for (int x = x0; x < x1; x++, p += 3) {
        p[0] = (uint8_t)((float)p[0] + ((float)c.red - (float)p[0]) * opacity + 0.5f);
        p[1] = (uint8_t)((float)p[1] + ((float)c.green - (float)p[1]) * opacity + 0.5f);
        p[2] = (uint8_t)((float)p[2] + ((float)c.blue - (float)p[2]) * opacity + 0.5f);
    }
}

void draw_rectangle(struct image *im, int x0, int y0, int x1, int y1, struct colour c)
{
    for (int y = y0 < 0 ? 0 : y0; y < y1 && y < im->height; y++)
        paint(im, y, x0, x1, 1, c);
}

void draw_disc(struct image *im, float x, float y, float radius, struct colour c)
{
    const int first = within(y - radius, im->height), end = within(y + radius + 1, im->height);

    if (!isfinite(x) || !isfinite(y) || !(radius > 0))
        return;
    for (int row = first; row < end; row++) {
        const float up = (float)row + 0.5f - y, half = radius * radius - up * up;
        if (half > 0)
            paint(im, row, within(x - sqrtf(half) + 0.5f, im->width),
                  within(x + sqrtf(half) + 0.5f, im->width), 1, c);
    }
}

/* ---- polygons ---- */

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;

    return x < y ? -1 : x > y;
}

static bool are_finite(const float xy[], size_t n)
{
    for (size_t i = 0; i < 2 * n; i++)
        if (!isfinite(xy[i]))
            return false;
    return true;
}

/* Rows first .. end - 1 whose middles lie between two heights. */
struct rows {
    int first, end;
};

static struct rows rows_between(const struct image *im, float y0, float y1)
{
    return (struct rows){ within(ceilf(fminf(y0, y1) - 0.5f), im->height),
                          within(ceilf(fmaxf(y0, y1) - 0.5f), im->height) };
}

static struct rows rows_of(const struct image *im, const float xy[], size_t n)
{
    float top = INFINITY, bottom = -INFINITY;

    for (size_t i = 0; i < n; i++) {
        top = fminf(top, xy[2 * i + 1]);
        bottom = fmaxf(bottom, xy[2 * i + 1]);
    }
    return rows_between(im, top, bottom);
}

/* Where the edges cross the rows' middles, row after row; those of row y end at ends[y - all.first]. */
struct crossings {
    struct rows all;
    size_t *ends;
    float *at;
};

/* Counts by row, and sums up: ends[y] is for now where row y begins. False: nothing to fill, or no
 * memory. */
static bool crossings_create(struct crossings *c, const struct image *im, const float xy[], size_t n)
{
    c->all = rows_of(im, xy, n);
    c->ends = c->all.first < c->all.end
                  ? calloc((size_t)(c->all.end - c->all.first) + 1, sizeof *c->ends)
                  : NULL;
    if (!c->ends)
        return false;
    for (size_t i = 0, k = n - 1; i < n; k = i++) {
        const struct rows r = rows_between(im, xy[2 * k + 1], xy[2 * i + 1]);
        for (int y = r.first; y < r.end; y++)
            c->ends[y - c->all.first + 1]++;
    }
    for (int y = c->all.first; y < c->all.end; y++)
        c->ends[y - c->all.first + 1] += c->ends[y - c->all.first];
    return (c->at = calloc(c->ends[c->all.end - c->all.first] + 1, sizeof *c->at)) != NULL;
}

static void crossings_find(struct crossings *c, const struct image *im, const float xy[], size_t n)
{
    for (size_t i = 0, k = n - 1; i < n; k = i++) {
        const float x = xy[2 * k], y = xy[2 * k + 1], slope = (xy[2 * i] - x) / (xy[2 * i + 1] - y);
        const struct rows r = rows_between(im, y, xy[2 * i + 1]);
        for (int row = r.first; row < r.end; row++)
            c->at[c->ends[row - c->all.first]++] = x + ((float)row + 0.5f - y) * slope;
    }
}

/* Work and memory go with the rows that each edge passes, not with edges times rows. */
void draw_polygon(struct image *im, const float xy[], size_t n, float opacity, struct colour c)
{
    struct crossings x = { 0 };
    const bool ok = n >= 3 && are_finite(xy, n) && crossings_create(&x, im, xy, n);

    if (ok)
        crossings_find(&x, im, xy, n);
    for (int y = x.all.first; ok && y < x.all.end; y++) {
        const size_t first = y > x.all.first ? x.ends[y - x.all.first - 1] : 0,
                     end = x.ends[y - x.all.first];
        qsort(x.at + first, end - first, sizeof *x.at, ascending);
        for (size_t i = first; i + 1 < end; i += 2)
            paint(im, y, within(x.at[i] + 0.5f, im->width), within(x.at[i + 1] + 0.5f, im->width),
                  opacity, c);
    }
    free(x.at);
    free(x.ends);
}

/* The rectangle around the line; ends that touch overlap by half the width, so that corners close. */
void draw_line(struct image *im, float x0, float y0, float x1, float y1, int width, struct colour c)
{
    const float dx = x1 - x0, dy = y1 - y0, length = hypotf(dx, dy), half = (float)width / 2;
    const float ux = length > 0 ? dx / length * half : half, uy = length > 0 ? dy / length * half : 0;
    const float corners[8] = { x0 - ux - uy, y0 - uy + ux, x1 + ux - uy, y1 + uy + ux,
                               x1 + ux + uy, y1 + uy - ux, x0 - ux + uy, y0 - uy - ux };

    draw_polygon(im, corners, 4, 1, c);
}

void draw_outline(struct image *im, const float xy[], size_t n, int width, struct colour c)
{
    for (size_t i = 0, k = n - 1; i < n; k = i++)
        draw_line(im, xy[2 * k], xy[2 * k + 1], xy[2 * i], xy[2 * i + 1], width, c);
}

/* ---- text ---- */

/* The glyph of the character at s, and how many bytes it has; bytes that are no UTF-8 count one by one.
 */
static const uint8_t *glyph(const char *s, size_t *ret_bytes)
{
    const size_t left = s[1] == '\0' ? 1 : s[2] == '\0' ? 2 : s[3] == '\0' ? 3 : 4;
    const size_t n = text_utf8_sequence(s, left);
    const int number = *s - FONT_FIRST;

    *ret_bytes = n ? n : 1;
    return font_glyphs[n == 1 && number >= 0 && number < FONT_GLYPHS ? number : '?' - FONT_FIRST];
}

void draw_text(struct image *im, int x, int y, int scale, const char *text, struct colour c)
{
    size_t bytes;

    for (; *text && x < im->width; text += bytes, x += FONT_STEP * scale) {
        const uint8_t *rows = glyph(text, &bytes);
        for (int row = 0; row < FONT_HEIGHT; row++)
            for (int column = 0; column < FONT_WIDTH; column++)
                if (rows[row] >> (FONT_WIDTH - 1 - column) & 1)
                    draw_rectangle(im, x + column * scale, y + row * scale, x + (column + 1) * scale,
                                   y + (row + 1) * scale, c);
    }
}

int draw_text_width(const char *text, int scale)
{
    int n = 0;
    size_t bytes;

    for (; *text; text += bytes, n++)
        glyph(text, &bytes);
    return n ? (n * FONT_STEP - 1) * scale : 0;
}

int draw_text_height(int scale)
{
    return FONT_HEIGHT * scale;
}
