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

/* What takes a pixel to the network's planes, red first; of one plane that is done later. */
static struct letterbox_scale scale_of(const struct preprocess *p, int planes)
{
    struct letterbox_scale s = { .scale = { 1, 1, 1 } };

    for (int c = 0; c < 3 && planes == 3; c++) {
        s.mean[c] = p->mean[p->bgr ? 2 - c : c];
        s.scale[c] = p->scale[p->bgr ? 2 - c : c];
    }
    return s;
}

static void paint_luma(const struct preprocess *p, float *const rgb[3], int n, float *plane)
{
    for (int x = 0; x < n; x++) {
        const float luma = 0.299f * rgb[0][x] + 0.587f * rgb[1][x] + 0.114f * rgb[2][x];
        plane[x] = ((float)(int)(luma + 0.5f) - p->mean[0]) * p->scale[0];
    }
}

/* One drawing: the sampler, three rows for the colours of a luma, and where it goes. */
struct drawing {
    const struct preprocess *p;
    const struct letterbox *l;
    struct sampler *sampler;
    struct letterbox_scale scale;
    float *colours;
    int planes;
    float *to;
};

/* Row y of each plane: border, picture, border. */
static void draw_row(const struct drawing *d, int y)
{
    const size_t width = (size_t)d->l->input_width, plane = width * (size_t)d->l->input_height;
    float *const row = d->to + (size_t)y * width;
    float *const from = d->planes == 3 ? row + letterbox_first(d->l) : d->colours;
    const size_t apart = d->planes == 3 ? plane : width;
    float *const rgb[3] = { from + (d->p->bgr ? 2 : 0) * apart, from + apart,
                            from + (d->p->bgr ? 0 : 2) * apart };
    const bool picture = sampler_row(d->sampler, y, &d->scale, rgb);
    const int first = picture ? letterbox_first(d->l) : d->l->input_width,
              end = picture ? letterbox_end(d->l) : first;

    for (int c = 0; c < d->planes; c++) {
        const float border = (d->p->fill - d->p->mean[c]) * d->p->scale[c];
        fill(row + (size_t)c * plane, (size_t)first, border);
        fill(row + (size_t)c * plane + end, (size_t)(d->l->input_width - end), border);
    }
    if (picture && d->planes == 1)
        paint_luma(d->p, rgb, end - first, row + first);
}

bool preprocess_draw(const struct preprocess *p, const struct letterbox *l, const uint8_t *rgb,
                     int planes, float *ret)
{
    const struct drawing d = { .p = p,
                               .l = l,
                               .sampler = sampler_create(l, rgb),
                               .scale = scale_of(p, planes),
                               .colours = calloc((size_t)l->input_width, 3 * sizeof *d.colours),
                               .planes = planes,
                               .to = ret };
    const bool ok = d.sampler && d.colours;

    for (int y = 0; ok && y < l->input_height; y++)
        draw_row(&d, y);
    free(d.colours);
    sampler_free(d.sampler);
    return ok;
}
