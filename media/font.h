/*
 * A bitmap font of printable ASCII, five columns by eight rows, drawn for labels on pictures. What is
 * not ASCII is shown as '?'.
 */
#ifndef MEDIA_FONT_H
#define MEDIA_FONT_H

#include <stdint.h>

enum { FONT_FIRST = ' ', FONT_GLYPHS = 95, FONT_WIDTH = 5, FONT_HEIGHT = 8, FONT_STEP = 6 };

extern const uint8_t font_glyphs[FONT_GLYPHS][FONT_HEIGHT];

#endif
