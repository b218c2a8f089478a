/*
 * Drawing on pictures: lines, filled polygons, discs, text. Coordinates are pixels, x to the right, y
 * down, 0, 0 the outer corner of the first pixel; what lies outside the picture is not drawn, however
 * far. Numbers that are not finite draw nothing. No anti-aliasing. Not thread-safe on one picture.
 */
#ifndef MEDIA_DRAW_H
#define MEDIA_DRAW_H

#include <stdbool.h>
#include "media/image.h"

struct colour {
    uint8_t red, green, blue;
};

/* A colour for a class: twenty that stay apart, then again. Negative counts as 0. */
struct colour draw_colour(int number);
/* Black or white, whichever is read better on it. */
struct colour draw_contrast(struct colour c);

/* width >= 1 pixel. */
void draw_line(struct image *im, float x0, float y0, float x1, float y1, int width, struct colour c);
void draw_disc(struct image *im, float x, float y, float radius, struct colour c);
void draw_rectangle(struct image *im, int x0, int y0, int x1, int y1, struct colour c); /* filled */

/* xy: n pairs. What is inside by the even-odd rule at the pixels' centres; opacity 0..1. */
void draw_polygon(struct image *im, const float xy[], size_t n, float opacity, struct colour c);
/* Its edges, the last to the first included. */
void draw_outline(struct image *im, const float xy[], size_t n, int width, struct colour c);

/* UTF-8 in letters of 5 x 8 pixels times scale >= 1; x, y: their upper left corner. */
void draw_text(struct image *im, int x, int y, int scale, const char *text, struct colour c);
int draw_text_width(const char *text, int scale);
int draw_text_height(int scale);

#endif
