/*
 * Results of a convolution become bytes: activation, residual, rounding.
 *
 * A byte needs no exact swish. x / (1 + exp(-x)) - x / 2 is even and soon straight, so parabolas over
 * |x| serve: each of 32 pieces, 10 / 32 wide and centred on its multiple, goes through the function at
 * the Chebyshev points of the piece; the last is |x| / 2, for ever. Within 5e-5 below 9.5 and 7e-4
 * beyond, at half the instructions of an exponential.
 */
#include "inference/kernels/activate.h"
#include "inference/kernels/conv_kernel.h"
#include "inference/kernels/simd_bytes.h"

#define PIECE 0.3125f
enum { PIECES = 32 };

/* [power of |x|][piece] */
static const float parabolas[3][PIECES] = {
    { 0.0000000f,  -0.0004675f, -0.0079771f, -0.0355862f, -0.0925029f, -0.1770116f, -0.2773075f,
      -0.3774352f, -0.4633430f, -0.5261903f, -0.5627819f, -0.5743120f, -0.5646193f, -0.5386575f,
      -0.5014352f, -0.4574088f, -0.4102169f, -0.3626320f, -0.3166315f, -0.2735223f, -0.2340784f,
      -0.1986710f, -0.1673806f, -0.1400882f, -0.1165471f, -0.0964363f, -0.0794004f, -0.0650766f,
      -0.0531129f, -0.0431801f, -0.0349782f, 0.0000000f },
    { 0.0000000f, 0.0046919f, 0.0357339f, 0.1058647f, 0.2098269f, 0.3302044f, 0.4472430f, 0.5461813f,
      0.6197918f, 0.6673417f, 0.6921509f, 0.6992786f, 0.6939415f, 0.6806774f, 0.6630413f, 0.6436083f,
      0.6241163f, 0.6056502f, 0.5888175f, 0.5738948f, 0.5609407f, 0.5498795f, 0.5405590f, 0.5327907f,
      0.5263753f, 0.5211186f, 0.5168402f, 0.5133787f, 0.5105928f, 0.5083609f, 0.5065805f, 0.5000000f },
    { 0.2496192f,  0.2377580f,  0.2054150f,  0.1607342f,  0.1131802f,  0.0702686f,  0.0361014f,
      0.0116489f,  -0.0041251f, -0.0131215f, -0.0173275f, -0.0184290f, -0.0176943f, -0.0159999f,
      -0.0139107f, -0.0117661f, -0.0097532f, -0.0079615f, -0.0064215f, -0.0051300f, -0.0040664f,
      -0.0032025f, -0.0025084f, -0.0019556f, -0.0015185f, -0.0011749f, -0.0009063f, -0.0006972f,
      -0.0005350f, -0.0004096f, -0.0003130f, 0.0000000f },
};

struct pieces {
    __m512 half[3][2]; /* 16 pieces each */
};

INLINE_AVX512 struct pieces load_pieces(void)
{
    struct pieces p;

    for (int power = 0; power < 3; power++)
        for (int i = 0; i < 2; i++)
            p.half[power][i] = _mm512_loadu_ps(&parabolas[power][16 * i]);
    return p;
}

/* Infinities count as 1e30, NaN as that below 0. */
INLINE_AVX512 __m512 silu_coarse(__m512 in, const struct pieces *p)
{
    const __m512 x = _mm512_min_ps(_mm512_max_ps(in, _mm512_set1_ps(-1e30f)), _mm512_set1_ps(1e30f));
    const __m512 size = _mm512_abs_ps(x);
    /* the sum's last bits are the nearest whole number of pieces */
    const __m512i piece =
        _mm512_castps_si512(_mm512_fmadd_ps(_mm512_min_ps(size, _mm512_set1_ps(PIECE * (PIECES - 1))),
                                            _mm512_set1_ps(1 / PIECE), _mm512_set1_ps(1 << 23)));
    __m512 y = _mm512_permutex2var_ps(p->half[2][0], piece, p->half[2][1]);

    y = _mm512_fmadd_ps(y, size, _mm512_permutex2var_ps(p->half[1][0], piece, p->half[1][1]));
    y = _mm512_fmadd_ps(y, size, _mm512_permutex2var_ps(p->half[0][0], piece, p->half[0][1]));
    return _mm512_fmadd_ps(x, _mm512_set1_ps(0.5f), y);
}

/* Four pixels at a time; of a last one of less than four each pixel that is missing is the last. */
INLINE_AVX512 void finish(const struct conv_shape *s, int block, const enum activation act,
                          const bool residual, const float *x, const uint8_t *added, uint8_t *y,
                          size_t n)
{
    const __m512 alpha = _mm512_set1_ps(s->fused.alpha), beta = _mm512_set1_ps(s->fused.beta);
    const struct quanta q = quanta_of_block(&s->y_bytes, block),
                        r = residual ? quanta_of_block(&s->residual_bytes, block) : q;
    const struct byte_form out = byte_form(&q), in = byte_form(&r);
    const struct pieces pieces = load_pieces();

    for (size_t i = 0; i < n; i += 4) {
        const size_t left = n - i < 4 ? n - i : 4;
        __m512i steps[4];
        UNROLL
        for (size_t k = 0; k < 4; k++) {
            const size_t pixel = (i + (k < left ? k : left - 1)) * 16;
            const __m512 sum = _mm512_load_ps(x + pixel);
            __m512 v = act == ACT_SILU ? silu_coarse(sum, &pieces) : activate(act, sum, alpha, beta);
            if (residual)
                v = _mm512_add_ps(v, load_bytes(added + pixel, &in));
            steps[k] = to_steps(v, &out);
        }
        _mm512_mask_storeu_epi8(y + i * 16, ~(__mmask64)0 >> (64 - left * 16), four_pixels(steps));
    }
}

TARGET_AVX512 void conv_finish_bytes(const struct conv_shape *s, int block, const float *x,
                                     const uint8_t *residual, uint8_t *y, size_t n)
{
#define FINISH(act)                                                                                     \
    if (residual)                                                                                       \
        finish(s, block, act, true, x, residual, y, n);                                                 \
    else                                                                                                \
        finish(s, block, act, false, x, NULL, y, n)
    ACTIVATION_CHOOSE(s->fused.act, FINISH);
#undef FINISH
}
