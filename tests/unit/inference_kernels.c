/* Our own kernels against plain loops: random shapes with channels and edges that do not fill their
 * blocks. */
#include "tests/unit/test.h"

#include "inference/kernels/conv.h"
#include "inference/kernels/cpu.h"
#include "inference/kernels/decode.h"
#include "inference/kernels/floats.h"
#include "inference/ops/conv.h"
#include "tests/unit/inference_random.h"

/* [c][plane] to [blocks][plane][B] and back; channels beyond the real ones become 0. B: this CPU's
 * block. */
static float *to_blocks(const float *x, size_t c, size_t plane)
{
    const size_t b = (size_t)conv_block(), floats = (c + b - 1) / b * b * plane;
    float *y = aligned_alloc(64, floats * sizeof *y + 64);

    memset(y, 0, floats * sizeof *y);
    for (size_t i = 0; i < c * plane; i++)
        y[(i / plane / b * plane + i % plane) * b + i / plane % b] = x[i];
    return y;
}

/* The same numbers in a narrower type, and back; frees x. */
static void *narrowed(float *x, size_t floats, enum dtype type)
{
    void *y;

    if (type == DTYPE_F32)
        return x;
    y = aligned_alloc(64, floats * sizeof *x + 64);
    floats_narrow(x, y, floats, type);
    free(x);
    return y;
}

static float *widened(void *x, size_t floats, enum dtype type)
{
    float *y;

    if (type == DTYPE_F32)
        return x;
    y = aligned_alloc(64, floats * sizeof *y + 64);
    floats_widen(x, y, floats, type);
    free(x);
    return y;
}

static float from_blocks(const float *y, size_t c, size_t plane, size_t at)
{
    const size_t b = (size_t)conv_block();

    return y[(c / b * plane + at) * b + c % b];
}

/* Depthwise: channel o alone, whose weights are row o. */
static double sum_at(const struct conv_shape *s, bool depthwise, const float *x, const float *w,
                     int64_t o, int64_t oy, int64_t ox)
{
    const struct window *n = &s->w;
    double sum = 0;

    for (int64_t c = depthwise ? o : 0; c < (depthwise ? o + 1 : s->ci); c++)
        for (int64_t ky = 0; ky < n->kernel[0]; ky++)
            for (int64_t kx = 0; kx < n->kernel[1]; kx++) {
                const int64_t y = oy * n->stride[0] + ky * n->dilation[0] - n->before[0];
                const int64_t z = ox * n->stride[1] + kx * n->dilation[1] - n->before[1];
                if (y >= 0 && y < n->in[0] && z >= 0 && z < n->in[1])
                    sum +=
                        (double)x[(c * n->in[0] + y) * n->in[1] + z] *
                        (double)
                            w[((depthwise ? o : o * s->ci + c) * n->kernel[0] + ky) * n->kernel[1] + kx];
            }
    return sum;
}

/* Of values up to about 3. */
static double tolerance(const struct conv_shape *s)
{
    if (s->x_type == DTYPE_BF16 || s->y_type == DTYPE_BF16)
        return 8e-2;
    return s->x_type == DTYPE_F16 || s->y_type == DTYPE_F16 ? 1e-2 : 1e-4;
}

static void compare(const struct conv_shape *s, const float *x, const float *w, const float *bias,
                    const float *residual, const float *y, const char *what)
{
    const size_t plane = (size_t)(s->w.out[0] * s->w.out[1]);
    double most = 0;

    for (int64_t o = 0; o < s->co; o++)
        for (int64_t i = 0; i < (int64_t)plane; i++) {
            const float sum = (float)(sum_at(s, strncmp(what, "depthwise", 9) == 0, x, w, o,
                                             i / s->w.out[1], i % s->w.out[1]) +
                                      (double)(bias ? bias[o] : 0));
            const float want = activation_apply(&s->fused, sum) +
                               (residual ? residual[(size_t)o * plane + (size_t)i] : 0);
            const double d = fabs((double)want - (double)from_blocks(y, (size_t)o, plane, (size_t)i));
            most = d > most || isnan(d) ? d : most;
        }
    if (!(most <= tolerance(s)))
        TEST_FAIL_("%s: %lld to %lld channels, %lldx%lld, kernel %lldx%lld, stride %lld: off by %g",
                   what, (long long)s->ci, (long long)s->co, (long long)s->w.in[0],
                   (long long)s->w.in[1], (long long)s->w.kernel[0], (long long)s->w.kernel[1],
                   (long long)s->w.stride[1], most);
}

static void check_conv(const struct conv_shape *s, enum conv_method m, int threads, uint64_t *r)
{
    const size_t in = (size_t)(s->w.in[0] * s->w.in[1]), out = (size_t)(s->w.out[0] * s->w.out[1]);
    const size_t taps = (size_t)(s->w.kernel[0] * s->w.kernel[1]);
    float *x = random_floats(r, (size_t)s->ci * in), *bias = random_floats(r, (size_t)s->co);
    float *w = random_floats(r, (size_t)(s->co * s->ci) * taps),
          *residual = random_floats(r, (size_t)s->co * out);
    const size_t x_floats = (size_t)(s->ci + 15) / 16 * 16 * in,
                 y_floats = (size_t)(s->co + 15) / 16 * 16 * out;
    void *bx = narrowed(to_blocks(x, (size_t)s->ci, in), x_floats, s->x_type);
    void *br = narrowed(to_blocks(residual, (size_t)s->co, out), y_floats, s->y_type);
    void *y = narrowed(to_blocks(residual, (size_t)s->co, out), y_floats, s->y_type);
    const float *b = random_int(r, 0, 3) ? bias : NULL;
    struct conv_kernel *k;
    void *scratch;

    for (size_t i = 0; i < (size_t)(s->co * s->ci) * taps; i++)
        w[i] /= m == CONV_DEPTHWISE ? 1 : (float)s->ci;
    REQUIRE(conv_kernel_suits(s, m));
    REQUIRE((k = conv_kernel_create(s, m, w, b)) != NULL);
    scratch = aligned_alloc(64, conv_kernel_scratch_bytes(k, threads) + 64);
    conv_kernel_run(k, m == CONV_FIRST ? x : bx, s->fused.residual ? br : NULL, y, scratch, threads);
    y = widened(y, y_floats, s->y_type);
    compare(s, x, w, b, s->fused.residual ? residual : NULL, y, conv_kernel_name(k));
    conv_kernel_free(k);
    free(scratch);
    free(x);
    free(bias);
    free(w);
    free(residual);
    free(bx);
    free(br);
    free(y);
}

static struct conv_shape random_shape(uint64_t *r, bool winograd)
{
    static const enum activation acts[] = { ACT_NONE,    ACT_RELU, ACT_SILU,
                                            ACT_SIGMOID, ACT_CLIP, ACT_HARDSWISH };
    struct conv_shape s = { .ci = random_int(r, winograd ? 16 : 1, 70),
                            .co = random_int(r, winograd ? 16 : 1, 150) };
    struct window *w = &s.w;

    for (int i = 0; i < 2; i++) {
        const int kernel = winograd ? 3 : random_int(r, 0, 1) ? 1 : random_int(r, 1, 5);
        w->kernel[i] = kernel;
        w->stride[i] = winograd ? 1 : random_int(r, 1, 3);
        w->dilation[i] = winograd ? 1 : random_int(r, 1, 2);
        w->before[i] = random_int(r, 0, kernel / 2);
        w->after[i] = random_int(r, 0, kernel / 2);
        w->in[i] = random_int(r, 1, 24) + (kernel - 1) * w->dilation[i];
        w->out[i] =
            (w->in[i] + w->before[i] + w->after[i] - (kernel - 1) * w->dilation[i] - 1) / w->stride[i] +
            1;
    }
    s.fused = (struct fusion){
        .act = acts[random_int(r, 0, 5)], .alpha = -0.25f, .beta = 0.5f, .residual = random_int(r, 0, 1)
    };
    return s;
}

TEST(direct_convolutions_of_random_shapes_match_plain_loops)
{
    uint64_t r = 17;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    for (int i = 0; i < 60; i++) {
        const struct conv_shape s = random_shape(&r, false);
        check_conv(&s, CONV_DIRECT, random_int(&r, 1, 3), &r);
    }
}

/* Many channels on a small map: their weights are used in stages. */
TEST(direct_convolutions_of_more_weights_than_a_cache_holds_match_plain_loops)
{
    static const enum dtype types[] = { DTYPE_F32, DTYPE_F16, DTYPE_BF16 };
    uint64_t r = 53;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    for (int i = 0; i < 12; i++) {
        const int kernel = i / 3 % 2 ? 3 : 1, side = random_int(&r, 5, 9);
        struct conv_shape s = { .ci = random_int(&r, 100, 300),
                                .co = random_int(&r, 60, 200),
                                .fused = { .act = ACT_SILU, .residual = i % 2 },
                                .x_type = types[i % 3],
                                .y_type = types[i % 3] };
        for (int d = 0; d < 2; d++) {
            s.w.kernel[d] = kernel;
            s.w.dilation[d] = 1;
            s.w.stride[d] = kernel == 3 ? 2 : 1;
            s.w.before[d] = s.w.after[d] = kernel / 2;
            s.w.in[d] = side;
            s.w.out[d] = (side - 1) / s.w.stride[d] + 1;
        }
        if (floats_available(s.x_type))
            check_conv(&s, CONV_DIRECT, random_int(&r, 1, 3), &r);
    }
}

TEST(depthwise_convolutions_of_random_shapes_match_plain_loops)
{
    uint64_t r = 37;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    for (int i = 0; i < 60; i++) {
        struct conv_shape s = random_shape(&r, false);
        s.co = s.ci;
        check_conv(&s, CONV_DEPTHWISE, random_int(&r, 1, 3), &r);
    }
}

TEST(first_convolutions_of_random_shapes_match_plain_loops)
{
    uint64_t r = 19;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    for (int i = 0; i < 60; i++) {
        struct conv_shape s = random_shape(&r, false);
        s.ci = random_int(&r, 1, 8);
        s.w.stride[1] = random_int(&r, 1, 2);
        s.w.out[1] =
            (s.w.in[1] + s.w.before[1] + s.w.after[1] - (s.w.kernel[1] - 1) * s.w.dilation[1] - 1) /
                s.w.stride[1] +
            1;
        check_conv(&s, CONV_FIRST, random_int(&r, 1, 3), &r);
    }
}

TEST(winograd_convolutions_of_random_shapes_match_plain_loops)
{
    uint64_t r = 23;

    if (cpu_isa() < CPU_AVX2)
        SKIP("needs AVX2");
    for (int i = 0; i < 40; i++) {
        const struct conv_shape s = random_shape(&r, true);
        check_conv(&s, CONV_WINOGRAD, random_int(&r, 1, 3), &r);
    }
}

/* Direct and by Winograd, each with float32 on either side now and then; depthwise. */
static void check_narrow(enum dtype type, uint64_t seed)
{
    uint64_t r = seed;

    for (int i = 0; i < 90; i++) {
        const enum conv_method m = i % 3 == 0   ? CONV_DIRECT
                                   : i % 3 == 1 ? CONV_WINOGRAD
                                                : CONV_DEPTHWISE;
        struct conv_shape s = random_shape(&r, m == CONV_WINOGRAD);
        s.co = m == CONV_DEPTHWISE ? s.ci : s.co;
        s.x_type = random_int(&r, 0, 3) > 0 ? type : DTYPE_F32;
        s.y_type = random_int(&r, 0, 3) > 0 ? type : DTYPE_F32;
        check_conv(&s, m, random_int(&r, 1, 3), &r);
    }
}

TEST(convolutions_in_float16_match_plain_loops_to_its_precision)
{
    if (!floats_available(DTYPE_F16))
        SKIP("needs AVX-512 FP16");
    check_narrow(DTYPE_F16, 29);
}

TEST(convolutions_in_bfloat16_match_plain_loops_to_its_precision)
{
    if (!floats_available(DTYPE_BF16))
        SKIP("needs AVX-512 BF16");
    check_narrow(DTYPE_BF16, 41);
}

/* Ties, carries into the exponent, infinities, subnormals, NaNs of which only low bits are set. */
static const struct {
    uint32_t x;
    uint16_t y;
} roundings[] = {
    { 0x3f800000, 0x3f80 }, { 0x3f808000, 0x3f80 }, { 0x3f808001, 0x3f81 }, { 0x3f818000, 0x3f82 },
    { 0x3f817fff, 0x3f81 }, { 0x3fffffff, 0x4000 }, { 0x7f7fffff, 0x7f80 }, { 0xff7f7fff, 0xff7f },
    { 0x7f800000, 0x7f80 }, { 0xff800000, 0xff80 }, { 0x00000000, 0x0000 }, { 0x80000000, 0x8000 },
    { 0x00000001, 0x0000 }, { 0x807fffff, 0x8000 }, { 0x00800000, 0x0080 }, { 0x7f800001, 0x7fc0 },
    { 0xffc12345, 0xffc1 }, { 0x7fc00000, 0x7fc0 },
};

TEST(one_number_becomes_the_nearest_bfloat16)
{
    for (size_t i = 0; i < sizeof roundings / sizeof roundings[0]; i++) {
        float x;
        memcpy(&x, &roundings[i].x, sizeof x);
        CHECK_I64(floats_bfloat_of(x), roundings[i].y);
    }
}

TEST(many_numbers_become_the_bfloat16_that_each_becomes)
{
    enum { N = 1 << 16 };
    _Alignas(64) static float x[N], wide[N];
    _Alignas(64) static uint16_t y[N];
    uint64_t r = 43;
    size_t wrong = 0;

    if (!floats_available(DTYPE_BF16))
        SKIP("needs AVX-512 BF16");
    for (size_t i = 0; i < N; i++) { /* every exponent and sign, with any fraction */
        const uint32_t bits = (uint32_t)i << 16 | (uint32_t)random_int(&r, 0, 0xffff);
        memcpy(&x[i], &bits, sizeof bits);
    }
    floats_narrow(x, y, N, DTYPE_BF16);
    floats_widen(y, wide, N, DTYPE_BF16);
    for (size_t i = 0; i < N; i++) {
        uint32_t bits;
        memcpy(&bits, &wide[i], sizeof bits);
        wrong += y[i] != floats_bfloat_of(x[i]) || bits != (uint32_t)y[i] << 16;
    }
    CHECK_SIZE(wrong, 0);
}

static void check_pool(enum dtype type, float tolerance)
{
    const struct window w = { .in = { 5, 4 },
                              .out = { 3, 4 },
                              .kernel = { 3, 3 },
                              .stride = { 2, 1 },
                              .dilation = { 1, 1 },
                              .before = { 1, 1 },
                              .spatial = 2 };
    uint64_t r = 31;
    float *x = random_floats(&r, 16 * 20), *blocks;
    void *h = narrowed(to_blocks(x, 16, 20), 16 * 20, type),
         *y = aligned_alloc(64, 16 * 12 * sizeof *blocks);

    floats_max_pool(&w, h, y, 1, type);
    blocks = widened(y, 16 * 12, type);
    for (int c = 0; c < 16; c++)
        for (int i = 0; i < 12; i++) {
            float most = -2;
            for (int dy = -1; dy <= 1; dy++)
                for (int dx = -1; dx <= 1; dx++) {
                    const int row = i / 4 * 2 + dy, column = i % 4 + dx;
                    if (row >= 0 && row < 5 && column >= 0 && column < 4)
                        most = fmaxf(most, x[c * 20 + row * 4 + column]);
                }
            CHECK(fabsf(blocks[i * 16 + c] - most) <= tolerance);
        }
    free(x);
    free(h);
    free(blocks);
}

TEST(pools_take_the_largest_inside)
{
    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    check_pool(DTYPE_F32, 0);
    check_pool(DTYPE_F16, 5e-4f);
    if (floats_available(DTYPE_BF16))
        check_pool(DTYPE_BF16, 4e-3f);
}

TEST(silu_of_large_and_small_numbers_is_right)
{
    static const float inputs[16] = { 0,  -0.0f, 1e-30f, -1e-30f, 1,   -1,   5,     -5,
                                      20, -20,   88,     -88,     120, -120, 1e30f, -1e4f };
    const struct conv_shape s = { .ci = 1,
                                  .co = 1,
                                  .fused = { .act = ACT_SILU },
                                  .w = { .in = { 1, 16 },
                                         .out = { 1, 16 },
                                         .kernel = { 1, 1 },
                                         .stride = { 1, 1 },
                                         .dilation = { 1, 1 },
                                         .spatial = 2 } };
    const float one = 1;
    struct conv_kernel *k;
    float *x, *y;

    if (!conv_kernel_suits(&s, CONV_DIRECT))
        SKIP("needs AVX-512");
    x = to_blocks(inputs, 1, 16);
    y = to_blocks(inputs, 1, 16);
    REQUIRE((k = conv_kernel_create(&s, CONV_DIRECT, &one, NULL)) != NULL);
    conv_kernel_run(k, x, NULL, y, NULL, 1);
    for (size_t i = 0; i < 16; i++) {
        const double v = (double)inputs[i], want = v / (1 + exp(-v));
        CHECK(fabs((double)from_blocks(y, 0, 16, i) - want) <= 4e-7 * fabs(v));
    }
    conv_kernel_free(k);
    free(x);
    free(y);
}

struct decode_case {
    int bins, classes, extras, dims;
    enum decode_boxes boxes;
    enum decode_extra extra;
};

/* Two levels of odd sizes through the operator's reference and through the kernel. */
static void check_decode(uint64_t *r, const struct decode_case *k)
{
    static const char *const boxes[] = { "centre", "corners", "rotated" };
    static const char *const extras[] = { "none",        "raw",    "angle",
                                          "plain-angle", "points", "offset-points" };
    static const float strides[] = { 8, 16 };
    const int64_t height[] = { 5, 3 }, width[] = { 7, 4 };
    const struct attribute attributes[] = {
        { .name = "strides", .kind = ATTRIBUTE_FLOATS, .n = 2, .floats = strides },
        { .name = "boxes", .kind = ATTRIBUTE_STRING, .s = boxes[k->boxes] },
        { .name = "extra", .kind = ATTRIBUTE_STRING, .s = extras[k->extra] },
        { .name = "dims", .kind = ATTRIBUTE_INT, .i = k->dims },
    };
    const struct node node = { .nattributes = 4,
                               .attributes = (struct attribute *)(uintptr_t)attributes };
    const int per_level = k->extra == DECODE_NONE ? 2 : 3;
    const size_t anchors = 35 + 12, rows = 4 + (size_t)k->classes + (size_t)k->extras;
    float *want = calloc(rows * anchors, sizeof *want), *got = calloc(rows * anchors, sizeof *got);
    struct value maps[6],
        y = { .rank = 3, .dims = { 1, (int64_t)rows, (int64_t)anchors }, .data = want };
    struct decode d = { .nlevels = 2,
                        .bins = k->bins,
                        .boxes = k->boxes,
                        .extra = k->extra,
                        .classes = (size_t)k->classes,
                        .extras = (size_t)k->extras,
                        .dims = (size_t)k->dims,
                        .anchors = anchors,
                        .rows = got };
    const struct value *in[] = { &maps[0], &maps[1], &maps[2], &maps[3], &maps[4], &maps[5] };
    struct value *out[] = { &y };
    const struct call call = { .node = &node, .nin = 2 * per_level, .nout = 1, .in = in, .out = out };
    float *blocks[6];

    for (int i = 0; i < 2 * per_level; i++) {
        const int level = i / per_level;
        const int64_t channels[] = { 4 * k->bins, k->classes, k->extras };
        const size_t plane = (size_t)(height[level] * width[level]), c = (size_t)channels[i % per_level];
        maps[i] = (struct value){ .rank = 4, .dims = { 1, (int64_t)c, height[level], width[level] } };
        maps[i].data = random_floats(r, c * plane);
        for (size_t n = 0; n < c * plane; n++)
            value_f32(&maps[i])[n] *= 8;
        blocks[i] = to_blocks(maps[i].data, c, plane);
    }
    for (int i = 0; i < 2; i++)
        d.levels[i] = (struct decode_level){ .boxes = blocks[per_level * i],
                                             .scores = blocks[per_level * i + 1],
                                             .extras = per_level > 2 ? blocks[per_level * i + 2] : NULL,
                                             .plane = (size_t)(height[i] * width[i]),
                                             .width = (size_t)width[i],
                                             .stride = strides[i] };
    op_internal("YoloDecode")->reference(&call);
    decode_run(&d, 1 + k->bins % 3);
    for (size_t i = 0; i < rows * anchors; i++)
        if (!(fabsf(want[i] - got[i]) <= (i < 4 * anchors ? 2e-4f : 1e-6f * (1 + fabsf(want[i])))))
            TEST_FAIL_("%s boxes, %s, %d bins: value %zu is %g, not %g", boxes[k->boxes],
                       extras[k->extra], k->bins, i, (double)got[i], (double)want[i]);
    for (int i = 0; i < 2 * per_level; i++) {
        free(maps[i].data);
        free(blocks[i]);
    }
    free(want);
    free(got);
}

TEST(decoded_rows_match_the_operators_reference)
{
    static const struct decode_case cases[] = {
        { 16, 80, 0, 2, DECODE_CENTRE, DECODE_NONE },
        { 16, 3, 0, 2, DECODE_CORNERS, DECODE_NONE },
        { 1, 17, 0, 2, DECODE_CORNERS, DECODE_NONE },
        { 1, 1, 0, 2, DECODE_CENTRE, DECODE_NONE },
        { 16, 5, 32, 2, DECODE_CENTRE, DECODE_RAW },
        { 16, 15, 1, 2, DECODE_ROTATED, DECODE_ANGLE },
        { 1, 15, 1, 2, DECODE_ROTATED, DECODE_PLAIN_ANGLE },
        { 16, 1, 51, 3, DECODE_CENTRE, DECODE_POINTS },
        { 16, 2, 10, 2, DECODE_CENTRE, DECODE_POINTS },
        { 1, 1, 51, 3, DECODE_CORNERS, DECODE_OFFSET_POINTS },
    };
    uint64_t r = 5;

    if (cpu_isa() < CPU_AVX512)
        SKIP("needs AVX-512");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_decode(&r, &cases[i]);
}
