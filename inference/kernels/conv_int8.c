/*
 * Direct convolution of bytes: how weights are rounded to bytes and packed. The walk over the picture is
 * that of conv_direct.c, results are finished by finish_int8.c.
 *
 * With x = s (q - z) for each input channel and s w = t v, one t for each output channel, the sum over
 * w x is t (sum of v q - sum of v z): the second term is what the integer sums start with. Padding is
 * filled with z.
 */
#include <math.h>
#include <stdlib.h>
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/cpu.h"
#include "inference/kernels/tile.h"
#include "inference/kernels/tile_int8.h"

bool bytes_suit(const struct conv_shape *s)
{
    return cpu_has_vnni() && s->ci * s->w.kernel[0] * s->w.kernel[1] <= TILE_INT8_PRODUCTS;
}

/* Weights of one output channel: for each input channel and tap. */
struct channel_weights {
    const float *w;
    size_t ci, ntaps;
    const struct quanta *x;
};

/* Weight i in steps of its input. */
static float scaled_weight(const struct channel_weights *c, size_t i)
{
    return c->w[i] * c->x->scale[i / c->ntaps];
}

/* The step of these weights as signed bytes. */
static float weight_step(const struct channel_weights *c)
{
    float most = 0;

    for (size_t i = 0; i < c->ci * c->ntaps; i++)
        most = fmaxf(most, fabsf(scaled_weight(c, i)));
    return most > 0 && isfinite(most) ? most / 127 : 1;
}

static int8_t weight_byte(float w, float step)
{
    return (int8_t)lrintf(fminf(fmaxf(w / step, -127), 127));
}

/* What rounding takes from the sum on average, where means are known. */
static float rounding_bias(const struct channel_weights *c, float step)
{
    double lost = 0;

    for (size_t i = 0; c->x->mean && i < c->ci * c->ntaps; i++) {
        const size_t channel = i / c->ntaps;
        const float w = scaled_weight(c, i);
        lost += (double)(w - step * (float)weight_byte(w, step)) *
                (double)(c->x->mean[channel] / c->x->scale[channel]);
    }
    return isfinite(lost) ? (float)lost : 0;
}

/* To place `at` of a run of groups; returns what the zeros of the input come to. */
static int32_t pack_channel(const struct channel_weights *c, float step, int8_t *run, size_t at,
                            size_t groups)
{
    int32_t sum = 0;

    for (size_t k = 0; k < c->ci; k++)
        for (size_t t = 0; t < c->ntaps; t++) {
            const int8_t v = weight_byte(scaled_weight(c, k * c->ntaps + t), step);
            run[((k / 16 * c->ntaps + t) * 4 + k % 16 / 4) * 64 * groups + at * 4 + k % 4] = v;
            sum += v * c->x->zero[k];
        }
    return sum;
}

static void pack_group(struct conv_kernel *k, const float *weights, int g, int groups, int8_t *run)
{
    const size_t first = (size_t)g * 16;
    struct channel_weights c = { .ci = (size_t)k->shape.ci,
                                 .ntaps = (size_t)(k->shape.w.kernel[0] * k->shape.w.kernel[1]),
                                 .x = &k->shape.x_bytes };

    for (size_t o = first; o < first + (size_t)groups * 16 && o < (size_t)k->shape.co; o++) {
        float step;
        c.w = weights + o * c.ci * c.ntaps;
        step = weight_step(&c);
        k->scales[o] = step;
        k->bias[o] += rounding_bias(&c, step);
        k->starts[o] = -pack_channel(&c, step, run, o - first, (size_t)groups);
    }
}

bool bytes_pack(struct conv_kernel *k, const float *weights)
{
    const size_t per_group = (size_t)(k->in_blocks * k->shape.w.kernel[0] * k->shape.w.kernel[1]) * 256;
    int8_t *packed;

    k->weight_bytes = (size_t)k->out_blocks * (per_group + 128);
    k->scales = conv_zeros((size_t)k->out_blocks * 64);
    k->starts = conv_zeros((size_t)k->out_blocks * 64);
    if (!(packed = k->weights = conv_zeros((size_t)k->out_blocks * per_group)) || !k->scales ||
        !k->starts)
        return false;
    for (int g = 0, groups; g < k->out_blocks; g += groups) {
        groups = tile_groups(k->out_blocks - g);
        pack_group(k, weights, g, groups, packed + (size_t)g * per_group);
    }
    return true;
}
