/* Preprocessing: see preprocess.h. */
#include <stdlib.h>
#include "inference/preprocess.h"

#define UNIT                                                                                            \
    {                                                                                                   \
        1 / 255.0f, 1 / 255.0f, 1 / 255.0f                                                              \
    }
#define PLAIN                                                                                           \
    {                                                                                                   \
        1, 1, 1                                                                                         \
    }

/* Mean and deviation of ImageNet's pictures, on the scale 0..255; red, green, blue. */
#define IMAGENET_MEAN                                                                                   \
    {                                                                                                   \
        123.675f, 116.28f, 103.53f                                                                      \
    }
#define IMAGENET_SCALE                                                                                  \
    {                                                                                                   \
        1 / 58.395f, 1 / 57.12f, 1 / 57.375f                                                            \
    }

const struct preprocess preprocess_yolo = { FIT_CENTRE, 1, false, 114, { 0 }, UNIT };
const struct preprocess preprocess_stretched = { FIT_STRETCH, 1, false, 0, { 0 }, UNIT };
const struct preprocess preprocess_yolo_crop = { FIT_CROP, 1, false, 0, { 0 }, UNIT };
const struct preprocess preprocess_imagenet = {
    FIT_CROP, 0.875, false, 0, IMAGENET_MEAN, IMAGENET_SCALE
};
const struct preprocess preprocess_imagenet_whole = { FIT_CROP,      1, false, 0, IMAGENET_MEAN,
                                                      IMAGENET_SCALE };
const struct preprocess preprocess_imagenet_fit = { FIT_TOP_LEFT,  1, false, 0, IMAGENET_MEAN,
                                                    IMAGENET_SCALE };
const struct preprocess preprocess_yolox = { FIT_TOP_LEFT, 1, true, 114, { 0 }, PLAIN };
const struct preprocess preprocess_nanodet = {
    FIT_CENTRE, 1, true, 0, { 103.53f, 116.28f, 123.675f }, { 1 / 57.375f, 1 / 57.12f, 1 / 58.395f }
};
const struct preprocess preprocess_fastestdet = { FIT_STRETCH, 1, true, 0, { 0 }, UNIT };
const struct preprocess preprocess_yunet = { FIT_TOP_LEFT, 1, true, 0, { 0 }, PLAIN };
const struct preprocess preprocess_ultraface = {
    FIT_STRETCH, 1, false, 0, { 127, 127, 127 }, { 1 / 128.0f, 1 / 128.0f, 1 / 128.0f }
};

static void fill(float *p, size_t n, float value)
{
    for (size_t i = 0; i < n; i++)
        p[i] = value;
}

/* Plane c of a picture in colours. */
static void paint_colour(const struct preprocess *p, int c, const float *rgb, int n, float *plane)
{
    const float *from = rgb + (p->bgr ? 2 - c : c), mean = p->mean[c], scale = p->scale[c];

    for (int x = 0; x < n; x++)
        plane[x] = (from[x * 3] - mean) * scale;
}

static void paint_luma(const struct preprocess *p, const float *rgb, int n, float *plane)
{
    for (int x = 0; x < n; x++) {
        const float luma = 0.299f * rgb[x * 3] + 0.587f * rgb[x * 3 + 1] + 0.114f * rgb[x * 3 + 2];
        plane[x] = ((float)(int)(luma + 0.5f) - p->mean[0]) * p->scale[0];
    }
}

/* A row of each plane, the next one `plane` numbers further: border, picture, border. row: NULL where
 * there is no picture. */
static void draw_row(const struct preprocess *p, const struct letterbox *l, const float *row, int planes,
                     float *to, size_t plane)
{
    const int first = row ? letterbox_first(l) : l->input_width, end = row ? letterbox_end(l) : first;

    for (int c = 0; c < planes; c++, to += plane) {
        const float border = (p->fill - p->mean[c]) * p->scale[c];
        fill(to, (size_t)first, border);
        fill(to + end, (size_t)(l->input_width - end), border);
        if (row && planes == 3)
            paint_colour(p, c, row, end - first, to + first);
        else if (row)
            paint_luma(p, row, end - first, to + first);
    }
}

bool preprocess_draw(const struct preprocess *p, const struct letterbox *l, const uint8_t *rgb,
                     int planes, float *ret)
{
    const size_t plane = (size_t)l->input_width * (size_t)l->input_height;
    struct sampler *s = sampler_create(l, rgb);
    float *row = calloc((size_t)l->input_width, 3 * sizeof *row);
    const bool ok = s && row;

    for (int y = 0; ok && y < l->input_height; y++)
        draw_row(p, l, sampler_row(s, y, row) ? row : NULL, planes,
                 ret + (size_t)y * (size_t)l->input_width, plane);
    free(row);
    sampler_free(s);
    return ok;
}
