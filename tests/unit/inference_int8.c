/* Convolution of bytes against plain loops over integers: exact where results are floats, to the
 * neighbouring byte where they are bytes. */
#include "tests/unit/test.h"

#include "inference/kernels/bytes.h"
#include "inference/kernels/conv.h"
#include "inference/kernels/cpu.h"
#include "inference/ops/conv.h"
#include "tests/unit/inference_random.h"

/* Byte of channel c at pixel i of [blocks][plane][16]. */
static uint8_t byte_at(const uint8_t *x, size_t c, size_t plane, size_t i)
{
    return x[(c / 16 * plane + i) * 16 + c % 16];
}

enum { CHANNELS = 160 };

/* What a struct quanta points to. */
struct arrays {
    float scale[CHANNELS];
    uint8_t zero[CHANNELS];
};

/* Scales up to `most`, and zeros, of any size. */
static void random_quanta(uint64_t *r, float most, struct arrays *a)
{
    for (size_t i = 0; i < CHANNELS; i++) {
        a->scale[i] = most * (float)random_int(r, 10, 100) / 100;
        a->zero[i] = (uint8_t)random_int(r, 0, 255);
    }
}

static struct quanta quanta_in(const struct arrays *a)
{
    return (struct quanta){ .scale = a->scale, .zero = a->zero };
}

struct layer {
    struct conv_shape s;
    struct arrays *arrays; /* of x, y and residual */
    size_t in, out;        /* pixels */
    float *weights, *bias;
    uint8_t *x, *residual;
};

static struct layer random_layer(uint64_t *r)
{
    static const enum activation acts[] = { ACT_NONE,    ACT_RELU, ACT_SILU,
                                            ACT_SIGMOID, ACT_CLIP, ACT_HARDSWISH };
    struct layer l = { .s = { .ci = random_int(r, 1, 70), .co = random_int(r, 1, 150) } };
    struct window *w = &l.s.w;
    size_t nweights;

    for (int i = 0; i < 2; i++) {
        w->kernel[i] = random_int(r, 0, 2) ? random_int(r, 1, 5) : 1;
        w->stride[i] = random_int(r, 1, 3);
        w->dilation[i] = random_int(r, 1, 2);
        w->before[i] = random_int(r, 0, (int)w->kernel[i] / 2);
        w->after[i] = random_int(r, 0, (int)w->kernel[i] / 2);
        w->in[i] = random_int(r, 1, 24) + (w->kernel[i] - 1) * w->dilation[i];
        w->out[i] = (w->in[i] + w->before[i] + w->after[i] - (w->kernel[i] - 1) * w->dilation[i] - 1) /
                        w->stride[i] +
                    1;
    }
    l.s.fused = (struct fusion){
        .act = acts[random_int(r, 0, 5)], .alpha = -0.25f, .beta = 0.5f, .residual = random_int(r, 0, 1)
    };
    l.arrays = calloc(3, sizeof *l.arrays);
    random_quanta(r, 0.02f, &l.arrays[0]);
    random_quanta(r, 0.01f, &l.arrays[1]);
    random_quanta(r, 0.01f, &l.arrays[2]);
    l.s.x_bytes = quanta_in(&l.arrays[0]);
    l.in = (size_t)(w->in[0] * w->in[1]);
    l.out = (size_t)(w->out[0] * w->out[1]);
    nweights = (size_t)(l.s.ci * l.s.co * w->kernel[0] * w->kernel[1]);
    l.weights = malloc(nweights * sizeof *l.weights);
    l.bias = malloc((size_t)l.s.co * sizeof *l.bias);
    for (size_t i = 0; i < nweights; i++)
        l.weights[i] = random_float(r) / (float)l.s.ci;
    for (size_t i = 0; i < (size_t)l.s.co; i++)
        l.bias[i] = random_float(r);
    l.x = random_bytes(r, (size_t)(l.s.ci + 15) / 16 * 16 * l.in);
    l.residual = random_bytes(r, (size_t)(l.s.co + 15) / 16 * 16 * l.out);
    return l;
}

static void layer_free(struct layer *l)
{
    free(l->arrays);
    free(l->weights);
    free(l->bias);
    free(l->x);
    free(l->residual);
}

/* The definition: weights, times the scale of what they meet, rounded to 127 steps of the largest of
 * their channel, an exact sum, one rounding. */
static float define(const struct layer *l, size_t o, size_t pixel)
{
    const struct window *w = &l->s.w;
    const size_t taps = (size_t)(w->kernel[0] * w->kernel[1]), each = (size_t)l->s.ci * taps;
    const int64_t oy = (int64_t)pixel / w->out[1], ox = (int64_t)pixel % w->out[1];
    const float *const weights = l->weights + o * each;
    float step = 0;
    int64_t sum = 0;

    for (size_t i = 0; i < each; i++)
        step = fmaxf(step, fabsf(weights[i] * l->s.x_bytes.scale[i / taps]));
    step = step > 0 ? step / 127 : 1;
    for (size_t i = 0; i < each; i++) {
        const int64_t tap = (int64_t)(i % taps);
        const int64_t y = oy * w->stride[0] + tap / w->kernel[1] * w->dilation[0] - w->before[0];
        const int64_t x = ox * w->stride[1] + tap % w->kernel[1] * w->dilation[1] - w->before[1];
        if (y >= 0 && y < w->in[0] && x >= 0 && x < w->in[1])
            sum += lrintf(weights[i] * l->s.x_bytes.scale[i / taps] / step) *
                   (byte_at(l->x, i / taps, l->in, (size_t)(y * w->in[1] + x)) -
                    l->s.x_bytes.zero[i / taps]);
    }
    return fmaf((float)sum, step, l->bias[o]);
}

static void *run_layer(const struct layer *l, const void *residual, void *y, int threads)
{
    struct conv_kernel *k = conv_kernel_create(&l->s, CONV_DIRECT, l->weights, l->bias);
    void *scratch = aligned_alloc(64, conv_kernel_scratch_bytes(k, threads) + 64);

    conv_kernel_run(k, l->x, residual, y, scratch, threads);
    conv_kernel_free(k);
    free(scratch);
    return y;
}

TEST(sums_of_bytes_are_exact)
{
    uint64_t r = 41;

    if (!cpu_has_vnni())
        SKIP("needs AVX-512 VNNI");
    for (int i = 0; i < 40; i++) {
        struct layer l = random_layer(&r);
        const size_t floats = (size_t)(l.s.co + 15) / 16 * 16 * l.out;
        float *y = aligned_alloc(64, floats * sizeof *y + 64);
        size_t wrong = 0;
        l.s.fused = (struct fusion){ .act = ACT_NONE };
        REQUIRE(conv_kernel_suits(&l.s, CONV_DIRECT));
        run_layer(&l, NULL, y, random_int(&r, 1, 3));
        for (size_t o = 0; o < (size_t)l.s.co; o++)
            for (size_t p = 0; p < l.out; p++)
                wrong += y[(o / 16 * l.out + p) * 16 + o % 16] != define(&l, o, p);
        CHECK_SIZE(wrong, 0);
        layer_free(&l);
        free(y);
    }
}

TEST(results_in_bytes_are_those_of_the_definition)
{
    uint64_t r = 43;
    size_t results = 0, beside = 0;

    if (!cpu_has_vnni())
        SKIP("needs AVX-512 VNNI");
    for (int i = 0; i < 40; i++) {
        struct layer l = random_layer(&r);
        uint8_t *y = random_bytes(&r, (size_t)(l.s.co + 15) / 16 * 16 * l.out);
        int most = 0;
        l.s.y_bytes = quanta_in(&l.arrays[1]);
        l.s.residual_bytes = quanta_in(&l.arrays[2]);
        run_layer(&l, l.s.fused.residual ? l.residual : NULL, y, random_int(&r, 1, 3));
        for (size_t o = 0; o < (size_t)l.s.co; o++)
            for (size_t p = 0; p < l.out; p++) {
                const float v = activation_apply(&l.s.fused, define(&l, o, p)),
                            added =
                                l.s.fused.residual
                                    ? (float)(byte_at(l.residual, o, l.out, p) - l.arrays[2].zero[o]) *
                                          l.arrays[2].scale[o]
                                    : 0;
                const long want = lrintf((v + added) / l.arrays[1].scale[o]) + l.arrays[1].zero[o];
                const int d = abs((int)(want < 0     ? 0
                                        : want > 255 ? 255
                                                     : want) -
                                  byte_at(y, o, l.out, p));
                most = d > most ? d : most;
                beside += d != 0;
                results++;
            }
        CHECK(most <= 1);
        layer_free(&l);
        free(y);
    }
    CHECK(beside * 50 < results);
}

TEST(zero_is_a_byte_and_ranges_hold_it)
{
    const struct quantum both = quantum_of_range(-1, 3), above = quantum_of_range(2, 4),
                         below = quantum_of_range(-4, -2), none = quantum_of_range(0, 0);

    CHECK(both.zero == 64 && fabsf(both.scale - 4.0f / 255) < 1e-7f);
    CHECK(above.zero == 0 && fabsf(above.scale - 4.0f / 255) < 1e-7f);
    CHECK(below.zero == 255);
    CHECK(none.scale > 0 && none.zero == 0);
}

TEST(floats_become_bytes_and_come_back)
{
    static const float inputs[16] = { -1e9f, -1, -0.51f, -0.5f, -0.49f, 0,    0.1f, 0.25f,
                                      1,     2,  2.99f,  3,     3.01f,  1e9f, NAN,  INFINITY };
    struct arrays a;
    const struct quanta q = quanta_in(&a);
    float *x = aligned_alloc(64, 64), *back = aligned_alloc(64, 64);
    uint8_t *y = aligned_alloc(64, 64);

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    for (size_t i = 0; i < 16; i++) { /* each channel its own range */
        const struct quantum one = quantum_of_range(-1 - (float)i, 3);
        a.scale[i] = one.scale;
        a.zero[i] = one.zero;
    }
    memcpy(x, inputs, sizeof inputs);
    bytes_narrow(&q, x, y, 1);
    bytes_widen(&q, y, back, 1);
    for (int i = 0; i < 14; i++) {
        const float low = (float)-a.zero[i] * a.scale[i], high = (float)(255 - a.zero[i]) * a.scale[i];
        CHECK(fabsf(back[i] - fminf(fmaxf(inputs[i], low), high)) <= a.scale[i] * 0.501f);
    }
    CHECK(back[5] == 0.0f);
    CHECK(y[14] == 0 && y[15] == 255);
    free(x);
    free(back);
    free(y);
}

static const struct window one_pixel = {
    .kernel = { 1, 1 }, .stride = { 1, 1 }, .dilation = { 1, 1 }, .in = { 1, 1 }, .out = { 1, 1 }
};

/* A convolution of one weight: what its activation makes of the bias, in bytes. */
static uint8_t finish_one(float bias, enum activation act, float scale)
{
    static const uint8_t zero[16] = { 100 };
    static const float ones[16] = { 1 };
    const float scales[16] = { scale }, weight = 0;
    _Alignas(64) uint8_t x[64] = { 0 };
    _Alignas(64) uint8_t y[64] = { 0 };
    _Alignas(64) static char scratch[1 << 16];
    const struct conv_shape s = { .ci = 1,
                                  .co = 1,
                                  .w = one_pixel,
                                  .fused = { .act = act },
                                  .x_bytes = { .scale = ones, .zero = zero },
                                  .y_bytes = { .scale = scales, .zero = zero } };
    struct conv_kernel *k = conv_kernel_create(&s, CONV_DIRECT, &weight, &bias);

    if (conv_kernel_scratch_bytes(k, 1) <= sizeof scratch)
        conv_kernel_run(k, x, NULL, y, scratch, 1);
    conv_kernel_free(k);
    return y[0];
}

TEST(swish_in_bytes_is_right_for_numbers_of_any_size)
{
    size_t wrong = 0;

    if (!cpu_has_vnni())
        SKIP("needs AVX-512 VNNI");
    for (int i = -2000; i < 1500; i++) { /* each within half a step and a thousandth */
        const float x = (float)i / 100, want = x / (1 + expf(-x)) / 0.1f + 100;
        wrong += !(fabsf((float)finish_one(x, ACT_SILU, 0.1f) - fminf(want, 255)) <= 0.51f);
    }
    CHECK_SIZE(wrong, 0);
    CHECK(finish_one(1e30f, ACT_SILU, 0.1f) == 255 && finish_one(INFINITY, ACT_SILU, 1e-6f) == 255);
    CHECK(finish_one(-1e30f, ACT_SILU, 1e-6f) == 100 && finish_one(-INFINITY, ACT_SILU, 0.1f) == 100);
    CHECK(finish_one(-1e4f, ACT_SILU, 1e-6f) == 100 && finish_one(-90, ACT_SILU, 1e-6f) == 100);
    CHECK(finish_one(3e38f, ACT_NONE, 1e-6f) == 255 && finish_one(-3e38f, ACT_NONE, 1e-6f) == 0);
}

TEST(what_rounding_weights_takes_on_average_goes_to_the_bias)
{
    static const float scale[16] = { 1, 1 }, mean[16] = { 10, 20 };
    static const uint8_t zero[16] = { 0 };
    const float weights[] = { 127, 3.4f }; /* in steps of 1: 127 and 3 */
    _Alignas(64) uint8_t x[64] = { 10, 20 };
    _Alignas(64) float y[64];
    _Alignas(64) static char scratch[1 << 16];
    const struct conv_shape s = {
        .ci = 2, .co = 1, .w = one_pixel, .x_bytes = { .scale = scale, .zero = zero, .mean = mean }
    };
    struct conv_kernel *k;

    if (!cpu_has_vnni())
        SKIP("needs AVX-512 VNNI");
    k = conv_kernel_create(&s, CONV_DIRECT, weights, NULL);
    REQUIRE(conv_kernel_scratch_bytes(k, 1) <= sizeof scratch);
    conv_kernel_run(k, x, NULL, y, scratch, 1);
    CHECK(fabsf(y[0] - (1270 + 68)) < 1e-3f);
    conv_kernel_free(k);
}
