/* Letterbox: see letterbox.h. */
#include <math.h>
#include <stdlib.h>
#include "inference/letterbox.h"

enum { FILL = 114 };

static int at_least_1(double x)
{
    return x < 1 ? 1 : (int)x;
}

struct letterbox letterbox_fit(int width, int height, int input_width, int input_height)
{
    struct letterbox l = {
        .width = width, .height = height, .input_width = input_width, .input_height = input_height
    };

    l.gain = fmin((double)input_height / height, (double)input_width / width);
    /* nearbyint rounds half to even, as Python's round does */
    l.scaled_width = at_least_1(nearbyint(width * l.gain));
    l.scaled_height = at_least_1(nearbyint(height * l.gain));
    l.left = (int)nearbyint((input_width - l.scaled_width) / 2.0 - 0.1);
    l.top = (int)nearbyint((input_height - l.scaled_height) / 2.0 - 0.1);
    return l;
}

/* Two neighbours of a target position and the weight of the second. */
struct tap {
    int low, high;
    float weight;
};

static void fill_taps(struct tap *taps, int from, int to)
{
    const double scale = (double)from / to;

    for (int i = 0; i < to; i++) {
        const double x = (i + 0.5) * scale - 0.5;
        const double low = floor(x);
        taps[i].low = low < 0 ? 0 : low > from - 1 ? from - 1 : (int)low;
        taps[i].high = low + 1 < 0 ? 0 : low + 1 > from - 1 ? from - 1 : (int)low + 1;
        taps[i].weight = (float)(x - low);
    }
}

static void draw_row(const struct letterbox *l, const uint8_t *low, const uint8_t *high, float down,
                     const struct tap *across, float *const plane[3])
{
    for (int x = 0; x < l->scaled_width; x++) {
        const struct tap t = across[x];
        for (int c = 0; c < 3; c++) {
            const float a = (float)low[t.low * 3 + c], b = (float)low[t.high * 3 + c];
            const float d = (float)high[t.low * 3 + c], e = (float)high[t.high * 3 + c];
            const float upper = a + (b - a) * t.weight, lower = d + (e - d) * t.weight;
            plane[c][x] = (float)(int)(upper + (lower - upper) * down + 0.5f) * (1 / 255.0f);
        }
    }
}

bool letterbox_draw(const struct letterbox *l, const uint8_t *rgb, float *planes)
{
    const size_t plane = (size_t)l->input_width * (size_t)l->input_height, row = (size_t)l->width * 3;
    struct tap *across = calloc((size_t)l->scaled_width + (size_t)l->scaled_height, sizeof *across),
               *down;

    if (!across)
        return false;
    down = across + l->scaled_width;
    fill_taps(across, l->width, l->scaled_width);
    fill_taps(down, l->height, l->scaled_height);
    for (size_t i = 0; i < 3 * plane; i++)
        planes[i] = FILL / 255.0f;
    for (int y = 0; y < l->scaled_height; y++) {
        const size_t at = (size_t)(l->top + y) * (size_t)l->input_width + (size_t)l->left;
        float *const rows[3] = { planes + at, planes + plane + at, planes + 2 * plane + at };
        draw_row(l, rgb + (size_t)down[y].low * row, rgb + (size_t)down[y].high * row, down[y].weight,
                 across, rows);
    }
    free(across);
    return true;
}

static float back(float x, int pad, double gain, int size)
{
    const double y = ((double)x - pad) / gain;

    return (float)(y < 0 ? 0 : y > size ? size : y);
}

void letterbox_undo(const struct letterbox *l, struct detection *d)
{
    d->x0 = back(d->x0, l->left, l->gain, l->width);
    d->x1 = back(d->x1, l->left, l->gain, l->width);
    d->y0 = back(d->y0, l->top, l->gain, l->height);
    d->y1 = back(d->y1, l->top, l->gain, l->height);
}
