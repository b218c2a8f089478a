/*
 * Letterbox: see letterbox.h. Pictures are scaled bilinearly from two rows; those of classifiers
 * (FIT_CROP) with a triangle as wide as the source pixels that meet in one of the target, as imaging
 * libraries shrink pictures: both are one sum over taps. kernels/letterbox.h has the arithmetic.
 */
#include <math.h>
#include <stdlib.h>
#include "inference/letterbox.h"

static int at_least_1(double x)
{
    return x < 1 ? 1 : (int)x;
}

/* nearbyint rounds half to even, as Python's round does. */
static struct letterbox fit_inside(struct letterbox l)
{
    const double gain = fmin((double)l.input_height / l.height, (double)l.input_width / l.width);

    l.gain_x = l.gain_y = gain;
    l.scaled_width = at_least_1(nearbyint(l.width * gain));
    l.scaled_height = at_least_1(nearbyint(l.height * gain));
    if (l.fit == FIT_CENTRE) {
        l.left = (int)nearbyint((l.input_width - l.scaled_width) / 2.0 - 0.1);
        l.top = (int)nearbyint((l.input_height - l.scaled_height) / 2.0 - 0.1);
    }
    return l;
}

static struct letterbox fit_crop(struct letterbox l, double keep)
{
    const double side_x = nearbyint(l.input_width / keep), side_y = nearbyint(l.input_height / keep);
    const double gain = fmax(side_x / l.width, side_y / l.height);

    /* the longer side is cut, not rounded; a hair more, so that the shorter one comes out whole */
    l.scaled_width = at_least_1(l.width * gain + 1e-6);
    l.scaled_height = at_least_1(l.height * gain + 1e-6);
    l.gain_x = (double)l.scaled_width / l.width;
    l.gain_y = (double)l.scaled_height / l.height;
    l.left = -(int)nearbyint((l.scaled_width - l.input_width) / 2.0);
    l.top = -(int)nearbyint((l.scaled_height - l.input_height) / 2.0);
    return l;
}

struct letterbox letterbox_fit(enum fit fit, double keep, int width, int height, int input_width,
                               int input_height)
{
    struct letterbox l = { .fit = fit,
                           .width = width,
                           .height = height,
                           .input_width = input_width,
                           .input_height = input_height };

    if (fit == FIT_CROP)
        return fit_crop(l, keep);
    if (fit != FIT_STRETCH)
        return fit_inside(l);
    l.scaled_width = input_width;
    l.scaled_height = input_height;
    l.gain_x = (double)input_width / width;
    l.gain_y = (double)input_height / height;
    return l;
}

int letterbox_first(const struct letterbox *l)
{
    return l->left < 0 ? 0 : l->left;
}

int letterbox_end(const struct letterbox *l)
{
    const int end = l->left + l->scaled_width;

    return end < l->input_width ? end : l->input_width;
}

struct point letterbox_undo(const struct letterbox *l, struct point p)
{
    return (struct point){ (float)(((double)p.x - l->left) / l->gain_x),
                           (float)(((double)p.y - l->top) / l->gain_y) };
}

static float clip(float x, int size)
{
    return x > 0 ? fminf(x, (float)size) : 0;
}

struct point letterbox_undo_clipped(const struct letterbox *l, struct point p)
{
    const struct point q = letterbox_undo(l, p);

    return (struct point){ clip(q.x, l->width), clip(q.y, l->height) };
}

/* ---- sampling ---- */

/* Taps of the target positions first .. end - 1 along one side. */
struct side {
    struct letterbox_tap *taps;
    float *weights;
    int first, end;
};

struct sampler {
    const struct letterbox *l;
    const uint8_t *rgb;
    const struct letterbox_kernels *kernels;
    struct side across, down;
    /* Where every column is one of two source pixels and the CPU has vectors for it; else n is 0. The
     * arrays belong to the sampler. */
    struct letterbox_pairs pairs;
    float *row; /* the source rows of one target row, summed: [width * 3 + 1] */
};

/* Support of the filter in source pixels: 1, or more where several become one. */
static double support(const struct letterbox *l, double scale)
{
    return l->fit == FIT_CROP && scale > 1 ? scale : 1;
}

static void fill_tap(struct side *s, int i, double centre, double radius, int from)
{
    struct letterbox_tap *t = &s->taps[i - s->first];
    int low = (int)floor(centre - radius + 0.5), high = (int)floor(centre + radius + 0.5);
    float sum = 0;

    low = low < 0 ? 0 : low > from - 1 ? from - 1 : low;
    high = high <= low ? low + 1 : high > from ? from : high;
    t->low = low;
    t->n = high - low;
    for (int k = low; k < high; k++) {
        const double distance = fabs(k + 0.5 - centre) / radius;
        s->weights[t->weights + (size_t)(k - low)] = distance < 1 ? (float)(1 - distance) : 0;
        sum += s->weights[t->weights + (size_t)(k - low)];
    }
    for (int k = 0; k < t->n; k++) /* at the edges, and for the last bit elsewhere */
        s->weights[t->weights + (size_t)k] =
            sum > 0 ? s->weights[t->weights + (size_t)k] / sum : 1.0f / (float)t->n;
}

/* shift: the target position of the scaled picture's start, in the input. */
static bool side_create(struct side *s, const struct letterbox *l, int from, int to, int shift,
                        int input)
{
    const double scale = (double)from / to, radius = support(l, scale);
    const size_t most = (size_t)(2 * radius) + 3;
    int count;

    s->first = shift < 0 ? 0 : shift;
    s->end = shift + to < input ? shift + to : input;
    count = s->end > s->first ? s->end - s->first : 0;
    s->taps = calloc((size_t)count + 1, sizeof *s->taps);
    s->weights = calloc((size_t)count + 1, most * sizeof *s->weights);
    if (!s->taps || !s->weights)
        return false;
    for (int i = s->first; i < s->end; i++) {
        s->taps[i - s->first].weights = (size_t)(i - s->first) * most;
        fill_tap(s, i, (i - shift + 0.5) * scale, radius, from);
    }
    return true;
}

/*
 * A tap of one pixel, at an edge, is a pair as well, the other's weight being 0. One of three is a
 * rounding's work where a centre is that of a pixel: the outer two weigh 1e-13 at most, and the last of
 * them is left out.
 */
static void fill_pair(const struct side *across, int i, int width, int32_t *at, float *left,
                      float *right)
{
    const struct letterbox_tap *t = &across->taps[i];
    const float *w = across->weights + t->weights;
    const bool end = t->low + 1 == width;

    at[i] = 3 * (t->low - end);
    left[i] = end ? 0 : w[0];
    right[i] = end ? w[0] : t->n > 1 ? w[1] : 0;
}

/* False: no memory. Kernels read their arrays in whole vectors of up to 16. */
static bool pairs_create(struct sampler *s)
{
    const int n = s->across.end - s->across.first;
    const size_t room = (size_t)n + 16;
    int32_t *at = NULL;
    float *left = NULL, *right = NULL;

    if (!s->kernels->pairs || s->l->width < 2 || s->l->fit == FIT_CROP || n < 1)
        return true;
    s->pairs.at = at = calloc(room, sizeof *at);
    s->pairs.left = left = calloc(room, sizeof *left);
    s->pairs.right = right = calloc(room, sizeof *right);
    if (!at || !left || !right)
        return false;
    for (int i = 0; i < n; i++)
        fill_pair(&s->across, i, s->l->width, at, left, right);
    s->pairs.n = n;
    return true;
}

struct sampler *sampler_create(const struct letterbox *l, const uint8_t *rgb)
{
    struct sampler *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->l = l;
    s->rgb = rgb;
    s->kernels = letterbox_kernels(cpu_isa());
    s->row = calloc((size_t)l->width * 3 + 1, sizeof *s->row);
    if (!s->row || !side_create(&s->across, l, l->width, l->scaled_width, l->left, l->input_width) ||
        !side_create(&s->down, l, l->height, l->scaled_height, l->top, l->input_height) ||
        !pairs_create(s)) {
        sampler_free(s);
        return NULL;
    }
    return s;
}

static void side_free(struct side *s)
{
    free(s->taps);
    free(s->weights);
}

void sampler_free(struct sampler *s)
{
    if (!s)
        return;
    side_free(&s->across);
    side_free(&s->down);
    free((void *)s->pairs.at);
    free((void *)s->pairs.left);
    free((void *)s->pairs.right);
    free(s->row);
    free(s);
}

/* The source columns that one of the target needs, summed over the tap's rows. */
static void sum_rows(struct sampler *s, const struct letterbox_tap *t)
{
    const struct letterbox_tap *first = s->across.taps,
                               *last = first + (s->across.end - s->across.first - 1);
    const size_t stride = (size_t)s->l->width * 3, low = (size_t)first->low * 3;

    s->kernels->sum(s->rgb + (size_t)t->low * stride + low, stride, s->down.weights + t->weights, t->n,
                    (size_t)(last->low + last->n) * 3 - low, s->row + low);
}

bool sampler_row(struct sampler *s, int y, const struct letterbox_scale *scale, float *const ret[3])
{
    const size_t stride = (size_t)s->l->width * 3;
    const struct letterbox_tap *t;
    const uint8_t *upper;
    const float *w;

    if (y < s->down.first || y >= s->down.end || s->across.end <= s->across.first)
        return false;
    t = &s->down.taps[y - s->down.first];
    if (s->pairs.n == 0) {
        sum_rows(s, t);
        s->kernels->columns(s->across.taps, s->across.weights, s->across.end - s->across.first, s->row,
                            scale, ret);
        return true;
    }
    w = s->down.weights + t->weights;
    upper = s->rgb + (size_t)t->low * stride;
    s->kernels->pairs(&s->pairs,
                      &(struct letterbox_rows){ .upper = upper,
                                                .lower = upper + (t->n > 1 ? stride : 0),
                                                .above = w[0],
                                                .below = t->n > 1 ? w[1] : 0 },
                      scale, ret);
    return true;
}
