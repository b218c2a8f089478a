/*
 * Trust, but once: before a method of convolution is used in this process, two small layers are computed
 * by it and by plain loops. Should a compiler or a CPU betray us, the planner takes oneDNN's kernels.
 */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/floats.h"

enum { METHODS = CONV_FIRST + 1, PLANE_MAX = 13 * 11, CHANNELS = 32 };

static pthread_once_t once = PTHREAD_ONCE_INIT;
static bool works[METHODS][DTYPE__COUNT];

/* Room for the largest layer below, aligned for vectors. */
struct layer {
    _Alignas(64) float x[CHANNELS * PLANE_MAX], blocks[CHANNELS * PLANE_MAX], y[CHANNELS * PLANE_MAX];
    _Alignas(64) float narrow_blocks[CHANNELS * PLANE_MAX], narrow_y[CHANNELS * PLANE_MAX];
    float weights[CHANNELS * CHANNELS * 9], bias[CHANNELS];
};

static struct conv_shape shape_for(enum conv_method m, enum dtype type, bool exact)
{
    const int64_t stride = m == CONV_WINOGRAD ? 1 : 2;
    struct conv_shape s = { .ci = m == CONV_FIRST ? 3 : 19, .co = m == CONV_DEPTHWISE ? 19 : 24 };

    for (int i = 0; i < 2; i++) {
        s.w.in[i] = i ? 11 : 13;
        s.w.kernel[i] = 3;
        s.w.stride[i] = stride;
        s.w.dilation[i] = s.w.before[i] = s.w.after[i] = 1;
        s.w.out[i] = (s.w.in[i] - 1) / stride + 1;
    }
    s.fused = (struct fusion){ .act = ACT_RELU, .alpha = 0.5f };
    s.x_type = s.y_type = type;
    s.exact = exact;
    return s;
}

static void fill(struct layer *l, const struct conv_shape *s)
{
    const size_t plane = (size_t)(s->w.in[0] * s->w.in[1]), n = (size_t)conv_block();
    uint32_t state = 7;

    for (size_t i = 0; i < (size_t)s->ci * plane; i++) {
        state = state * 1664525 + 1013904223;
        l->x[i] = (float)(state >> 16) * (2.0f / 65536) - 1;
        l->blocks[(i / plane / n * plane + i % plane) * n + i / plane % n] = l->x[i];
    }
    for (size_t i = 0; i < CHANNELS * CHANNELS * 9; i++) {
        state = state * 1664525 + 1013904223;
        l->weights[i] = (float)(state >> 16) * (0.25f / 65536) - 0.125f;
    }
    for (size_t i = 0; i < CHANNELS; i++)
        l->bias[i] = (float)i / CHANNELS;
    if (s->x_type != DTYPE_F32)
        floats_narrow(l->blocks, l->narrow_blocks, CHANNELS * PLANE_MAX, s->x_type);
}

/* One output by the definition; depthwise: of channel o alone. */
static float define(const struct layer *l, const struct conv_shape *s, bool depthwise, int64_t o,
                    int64_t oy, int64_t ox)
{
    double sum = (double)l->bias[o];

    for (int64_t c = depthwise ? o : 0; c < (depthwise ? o + 1 : s->ci); c++)
        for (int64_t t = 0; t < 9; t++) {
            const int64_t y = oy * s->w.stride[0] + t / 3 - 1, x = ox * s->w.stride[1] + t % 3 - 1;
            if (y >= 0 && y < s->w.in[0] && x >= 0 && x < s->w.in[1])
                sum += (double)l->x[(c * s->w.in[0] + y) * s->w.in[1] + x] *
                       (double)l->weights[(depthwise ? o : o * s->ci + c) * 9 + t];
        }
    return (float)(sum < 0 ? sum / 2 : sum);
}

static bool agrees(const struct layer *l, const struct conv_shape *s, enum conv_method m)
{
    const int64_t plane = s->w.out[0] * s->w.out[1], n = conv_block();

    for (int64_t o = 0; o < s->co; o++)
        for (int64_t i = 0; i < plane; i++) {
            const float want = define(l, s, m == CONV_DEPTHWISE, o, i / s->w.out[1], i % s->w.out[1]);
            const float got = l->y[(o / n * plane + i) * n + o % n];
            if (!(fabsf(want - got) <= (s->x_type == DTYPE_F32   ? 1e-4f
                                        : s->x_type == DTYPE_F16 ? 2e-2f
                                                                 : 0.1f)))
                return false;
        }
    return true;
}

static bool try_method(struct layer *l, enum conv_method m, enum dtype type, bool exact)
{
    const struct conv_shape s = shape_for(m, type, exact);
    const bool wide = type == DTYPE_F32;
    const float *x = m == CONV_FIRST ? l->x : wide ? l->blocks : l->narrow_blocks;
    struct conv_kernel *k;
    void *scratch;
    bool ok;

    fill(l, &s);
    k = conv_kernel_create(&s, m, l->weights, l->bias);
    scratch = k ? conv_zeros(conv_kernel_scratch_bytes(k, 1)) : NULL;
    if ((ok = scratch != NULL)) {
        conv_kernel_run(k, x, NULL, wide ? l->y : l->narrow_y, scratch, 1);
        if (!wide)
            floats_widen(l->narrow_y, l->y, CHANNELS * PLANE_MAX, type);
        ok = agrees(l, &s, m);
    }
    free(scratch);
    conv_kernel_free(k);
    return ok;
}

static void try_all(void)
{
    static const enum dtype types[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    struct layer *l = conv_zeros(sizeof *l);

    for (int m = 0; l && m < METHODS; m++)
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
            works[m][types[i]] =
                conv_method_offered((enum conv_method)m, types[i], types[i]) &&
                (m != CONV_FIRST || !i) && try_method(l, (enum conv_method)m, types[i], false) &&
                (i || conv_block() == 8 || try_method(l, (enum conv_method)m, types[i], true));
    free(l);
}

bool conv_method_works(enum conv_method m, enum dtype x_type)
{
    pthread_once(&once, try_all);
    return works[m][x_type];
}
