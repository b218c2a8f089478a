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

struct layer {
    struct conv_shape s;
    size_t in, out; /* pixels */
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
    l.s.x_bytes = (struct quantum){ .scale = 0.02f, .zero = random_int(r, 0, 255) };
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
    free(l->weights);
    free(l->bias);
    free(l->x);
    free(l->residual);
}

/* The definition: weights rounded to 127 steps of the largest of their channel, an exact sum, one
 * rounding. */
static float define(const struct layer *l, size_t o, size_t pixel)
{
    const struct window *w = &l->s.w;
    const size_t taps = (size_t)(w->kernel[0] * w->kernel[1]), each = (size_t)l->s.ci * taps;
    const int64_t oy = (int64_t)pixel / w->out[1], ox = (int64_t)pixel % w->out[1];
    const float *const weights = l->weights + o * each;
    float step = 0;
    int64_t sum = 0;

    for (size_t i = 0; i < each; i++)
        step = fmaxf(step, fabsf(weights[i]));
    step = step > 0 ? step / 127 : 1;
    for (size_t i = 0; i < each; i++) {
        const int64_t tap = (int64_t)(i % taps);
        const int64_t y = oy * w->stride[0] + tap / w->kernel[1] * w->dilation[0] - w->before[0];
        const int64_t x = ox * w->stride[1] + tap % w->kernel[1] * w->dilation[1] - w->before[1];
        if (y >= 0 && y < w->in[0] && x >= 0 && x < w->in[1])
            sum += lrintf(weights[i] / step) *
                   (byte_at(l->x, i / taps, l->in, (size_t)(y * w->in[1] + x)) - l->s.x_bytes.zero);
    }
    return fmaf((float)sum, step * l->s.x_bytes.scale, l->bias[o]);
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
        l.s.residual_bytes = (struct quantum){ .scale = 0.01f, .zero = 100 };
        l.s.y_bytes = quantum_of_range(-0.3f - random_float(&r) / 4, 2);
        run_layer(&l, l.s.fused.residual ? l.residual : NULL, y, random_int(&r, 1, 3));
        for (size_t o = 0; o < (size_t)l.s.co; o++)
            for (size_t p = 0; p < l.out; p++) {
                const float v = activation_apply(&l.s.fused, define(&l, o, p)),
                            added = l.s.fused.residual
                                        ? (float)(byte_at(l.residual, o, l.out, p) - 100) * 0.01f
                                        : 0;
                const long want = lrintf((v + added) / l.s.y_bytes.scale) + l.s.y_bytes.zero;
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
    const struct quantum q = quantum_of_range(-1, 3);
    float *x = aligned_alloc(64, 64), *back = aligned_alloc(64, 64);
    uint8_t *y = aligned_alloc(64, 64);

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    memcpy(x, inputs, sizeof inputs);
    bytes_narrow(&q, x, y, 16);
    bytes_widen(&q, y, back, 16);
    for (int i = 0; i < 14; i++)
        CHECK(fabsf(back[i] - fminf(fmaxf(inputs[i], -64 * q.scale), 191 * q.scale)) <=
              q.scale * 0.501f);
    CHECK(back[5] == 0.0f);
    CHECK(y[14] == 0 && y[15] == 255);
    free(x);
    free(back);
    free(y);
}
