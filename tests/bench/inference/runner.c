/*
 * Our side of `make bench-inference`: one process a contender, told on standard input what to measure,
 * so that a driver can interleave it with others. See docs/bench.md.
 *
 *   serve MODEL INPUT PRECISION THREADS [CALIBRATION]
 *                                  "ready LOAD_MS GFLOP", then for each line N: N runs in ms;
 *                                  for "load": one more load
 *   clients MODEL INPUT N          "ready", then for each line SECONDS: runs/s of N threads
 *   predict MODEL PICTURE THREADS  "ready", then for each line N: N times four stages in ms
 *   peak THREADS                   GFLOP/s of fused multiply-adds in registers
 *   input PICTURE SIDE FILE        float32 planes of a stretched picture
 *   picture PICTURE WIDTH HEIGHT FILE  a JPEG of this size
 *   calibrate MODEL FILE PICTURE...    a calibration for int8
 *   export MODEL FILE [plain]      the network as ONNX, for rivals that read nothing else (export.h)
 *
 * INPUT is a file of float32. What cannot be done is "no REASON" instead of "ready".
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif
#include "inference/card.h"
#include "inference/graph/passes.h"
#include "inference/plan/context.h"
#include "inference/precision.h"
#include "inference/predictor.h"
#include "inference/quantise/calibrate.h"
#include "media/encode.h"
#include "media/image.h"
#include "tests/bench/inference/export.h"

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

static _Noreturn void give_up(const char *why)
{
    printf("no %s\n", why);
    exit(0);
}

static void *read_file(const char *path, size_t *ret_n)
{
    FILE *file = fopen(path, "rb");
    char *bytes;
    long n;

    if (!file || fseek(file, 0, SEEK_END) != 0 || (n = ftell(file)) < 0)
        give_up("the file cannot be read");
    rewind(file);
    if (!(bytes = malloc((size_t)n + 1)) || fread(bytes, 1, (size_t)n, file) != (size_t)n)
        give_up("the file cannot be read");
    fclose(file);
    *ret_n = (size_t)n;
    return bytes;
}

static void write_file(const char *path, const void *bytes, size_t n)
{
    FILE *file = fopen(path, "wb");

    if (!file || fwrite(bytes, 1, n, file) != n || fclose(file) != 0)
        give_up("the file cannot be written");
}

/* The network of a file, compiled; its flops. The plan's constants are the opened model's. */
static struct plan *load_plan(const char *model, const struct compile_options *o,
                              struct opened_model *ret_opened, double *ret_flops)
{
    struct fault f = FAULT_INIT;
    struct opened_model opened;
    struct plan *plan = NULL;
    struct graph *g;
    size_t n;
    void *bytes = read_file(model, &n);

    if (opened_model_read(bytes, n, &opened, &f) != ST_OK)
        give_up(f.detail);
    free(bytes);
    if (!opened.bound || !(g = graph_clone(opened.bound)))
        give_up("it takes no picture");
    *ret_flops = g->work * 2;
    if (graph_optimise(g, &f) != ST_OK || plan_create(g, o, &plan, &f) != ST_OK)
        give_up(f.detail);
    *ret_opened = opened;
    return plan;
}

/* A plan's memory, and what is written into it before each run: the plan uses the input's memory again.
 */
struct runs {
    struct context *context;
    void *input;
};

static struct runs open_runs(const struct plan *p, const char *input)
{
    struct fault f = FAULT_INIT;
    struct runs r = { .context = NULL };
    struct value v;
    size_t n;

    r.input = read_file(input, &n);
    if (context_create(p, &r.context, &f) != ST_OK)
        give_up(f.detail);
    v = context_input(r.context, 0);
    if (n != value_bytes(&v))
        give_up("the input has another size");
    memcpy(v.data, r.input, n);
    return r;
}

static void close_runs(struct runs *r)
{
    context_free(r->context);
    free(r->input);
}

/* Of the network alone. */
static double run_ms(const struct runs *r)
{
    const struct value v = context_input(r->context, 0);
    struct fault f = FAULT_INIT;
    double start;

    memcpy(v.data, r->input, value_bytes(&v));
    start = now_ms();
    if (context_run(r->context, &f) != ST_OK)
        give_up(f.detail);
    return now_ms() - start;
}

static enum precision precision_of(const char *name)
{
    enum precision p = PRECISION_F32;

    return precision_find(name, &p) ? p : PRECISION_F32;
}

static struct calibration *read_calibration(const char *path)
{
    struct fault f = FAULT_INIT;
    struct calibration *c = NULL;
    size_t n;
    void *bytes = read_file(path, &n);

    if (calibration_read(bytes, n, &c, &f) != ST_OK)
        give_up(f.detail);
    free(bytes);
    return c;
}

static void calibrate(char **argv)
{
    struct fault f = FAULT_INIT;
    struct calibration *made = NULL;
    struct calibrator *c = NULL;
    struct buffer b = { .n = 0 };
    size_t n;
    void *model = read_file(argv[0], &n);

    if (calibrator_create(model, n, NULL, 2, &c, &f) != ST_OK)
        give_up(f.detail);
    for (char **picture = argv + 2; *picture; picture++) {
        struct image im = { .rgb = NULL };
        void *bytes = read_file(*picture, &n);
        if (image_decode(bytes, n, &im, &f) != ST_OK ||
            calibrator_add(c, im.rgb, im.width, im.height, &f) != ST_OK)
            give_up(f.detail);
        image_free(&im);
        free(bytes);
    }
    if (calibrator_finish(c, &made, &f) != ST_OK)
        give_up(f.detail);
    calibration_write(made, &b);
    write_file(argv[1], b.p, b.n);
    buffer_free(&b);
    calibration_free(made);
    calibrator_free(c);
    free(model);
}

static double load_again(char **argv, const struct compile_options *o)
{
    const double start = now_ms();
    struct opened_model opened;
    double flops, loaded;
    struct plan *p = load_plan(argv[0], o, &opened, &flops);
    struct runs r = open_runs(p, argv[1]);

    loaded = now_ms() - start;
    close_runs(&r);
    plan_free(p);
    opened_model_free(&opened);
    return loaded;
}

static void serve(char **argv)
{
    const struct compile_options o = { .precision = precision_of(argv[2]),
                                       .threads = atoi(argv[3]),
                                       .calibration = argv[4] ? read_calibration(argv[4]) : NULL };
    const double start = now_ms();
    struct opened_model opened;
    double flops, loaded;
    struct plan *p = load_plan(argv[0], &o, &opened, &flops);
    struct runs r = open_runs(p, argv[1]);
    char line[32];

    loaded = now_ms() - start;
    for (int i = 0; i < 3; i++)
        (void)run_ms(&r);
    printf("ready %.3f %.4f\n", loaded, flops * 1e-9);
    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, "load\n") == 0)
            printf("%.3f\n", load_again(argv, &o));
        for (int i = atoi(line); i > 0; i--)
            printf("%.4f%c", run_ms(&r), i > 1 ? ' ' : '\n');
        fflush(stdout);
    }
    close_runs(&r);
    plan_free(p);
    opened_model_free(&opened);
}

/* ---- several clients at once, each with its own context of one plan */

struct client {
    pthread_t thread;
    struct runs own;
    double until_ms;
    int runs;
};

static void *client_main(void *arg)
{
    struct client *c = arg;

    for (c->runs = 0; now_ms() < c->until_ms; c->runs++)
        (void)run_ms(&c->own);
    return NULL;
}

static void clients(char **argv)
{
    const struct compile_options o = { .precision = PRECISION_F32, .threads = 1 };
    const int n = atoi(argv[2]);
    struct client *all = calloc((size_t)n + 1, sizeof *all);
    struct opened_model opened;
    double flops;
    struct plan *p = load_plan(argv[0], &o, &opened, &flops);
    char line[32];

    for (int i = 0; all && i < n; i++) {
        all[i].own = open_runs(p, argv[1]);
        (void)run_ms(&all[i].own);
    }
    printf("ready\n");
    while (all && fgets(line, sizeof line, stdin)) {
        const double start = now_ms();
        int runs = 0;
        for (int i = 0; i < n; i++) {
            all[i].until_ms = start + atof(line) * 1e3;
            if (pthread_create(&all[i].thread, NULL, client_main, &all[i]) != 0)
                give_up("no thread");
        }
        for (int i = 0; i < n; i++) {
            pthread_join(all[i].thread, NULL);
            runs += all[i].runs;
        }
        printf("%.4f\n", runs * 1e3 / (now_ms() - start));
    }
    free(all);
}

/* ---- a whole prediction: decode, preprocess, network, postprocess */

static void predict(char **argv)
{
    const struct load_options load = { .compile = { .threads = atoi(argv[2]) } };
    const struct predict_options o = { .conf = 0.25f, .iou = 0.7f, .max_detections = 300 };
    struct fault f = FAULT_INIT;
    struct predictor *d = NULL;
    size_t nmodel, npicture;
    void *model = read_file(argv[0], &nmodel), *picture = read_file(argv[1], &npicture);
    char line[32];

    if (predictor_load(model, nmodel, &load, &d, &f) != ST_OK)
        give_up(f.detail);
    printf("ready\n");
    while (fgets(line, sizeof line, stdin))
        for (int i = atoi(line); i > 0; i--) {
            const double start = now_ms();
            struct prediction p = { .n = 0 };
            struct image im;
            double decoded;
            if (image_decode(picture, npicture, &im, &f) != ST_OK)
                give_up(f.detail);
            decoded = now_ms() - start;
            if (predictor_run(d, im.rgb, im.width, im.height, &o, &p, &f) != ST_OK)
                give_up(f.detail);
            printf("%.4f %.4f %.4f %.4f%c", decoded, p.preprocess_ms, p.inference_ms, p.postprocess_ms,
                   i > 1 ? ' ' : '\n');
            prediction_free(&p);
            image_free(&im);
        }
    predictor_free(d);
    free(model);
    free(picture);
}

/* ---- the processor's peak: independent multiply-adds that never leave the registers */

enum { CHAINS = 24, ROUNDS = 1 << 20 };

#ifdef __x86_64__
__attribute__((target("avx512f"))) static double chains_avx512(void)
{
    __m512 x[CHAINS];
    const __m512 a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    float sum = 0;

    for (int k = 0; k < CHAINS; k++)
        x[k] = _mm512_set1_ps((float)k);
    for (int i = 0; i < ROUNDS; i++)
#pragma GCC unroll 24
        for (int k = 0; k < CHAINS; k++)
            x[k] = _mm512_fmadd_ps(x[k], a, b);
    for (int k = 0; k < CHAINS; k++)
        sum += _mm512_reduce_add_ps(x[k]);
    return sum > 0 ? 16 : 0; /* the sum must be needed, or nothing is computed */
}

__attribute__((target("avx2,fma"))) static double chains_avx2(void)
{
    enum { AVX2_CHAINS = 12 }; /* of 16 registers */
    __m256 x[AVX2_CHAINS];
    const __m256 a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    float lanes[8], sum = 0;

    for (int k = 0; k < AVX2_CHAINS; k++)
        x[k] = _mm256_set1_ps((float)k);
    for (int i = 0; i < 2 * ROUNDS; i++)
#pragma GCC unroll 12
        for (int k = 0; k < AVX2_CHAINS; k++)
            x[k] = _mm256_fmadd_ps(x[k], a, b);
    for (int k = 0; k < AVX2_CHAINS; k++) {
        _mm256_storeu_ps(lanes, x[k]);
        sum += lanes[0];
    }
    return sum > 0 ? 8 : 0;
}

static double chains(void)
{
    return __builtin_cpu_supports("avx512f") ? chains_avx512()
           : __builtin_cpu_supports("fma")   ? chains_avx2()
                                             : 0;
}
#else
static double chains(void)
{
    return 0;
}
#endif

static void *peak_main(void *arg)
{
    double *gflops = arg;

    for (int i = 0; i < 12;
         i++) { /* the best of some: what the processor can do when it is left alone */
        const double start = now_ms(), lanes = chains();
        const double now = lanes * 2 * CHAINS * (double)ROUNDS / (now_ms() - start) * 1e-6;
        *gflops = now > *gflops ? now : *gflops;
    }
    return NULL;
}

static void peak(char **argv)
{
    enum { THREADS_MAX = 64 };
    const int n = atoi(argv[0]) < THREADS_MAX ? atoi(argv[0]) : THREADS_MAX;
    pthread_t threads[THREADS_MAX];
    double gflops[THREADS_MAX] = { 0 }, sum = 0;

    for (int i = 0; i < n; i++)
        if (pthread_create(&threads[i], NULL, peak_main, &gflops[i]) != 0)
            give_up("no thread");
    for (int i = 0; i < n; i++) {
        pthread_join(threads[i], NULL);
        sum += gflops[i];
    }
    printf("%.2f\n", sum);
}

/* ---- files for the others */

static void decode(const char *path, struct image *im)
{
    struct fault f = FAULT_INIT;
    size_t n;
    void *bytes = read_file(path, &n);

    if (image_decode(bytes, n, im, &f) != ST_OK)
        give_up(f.detail);
    free(bytes);
}

static void make_input(char **argv)
{
    const int side = atoi(argv[1]);
    const size_t plane = (size_t)side * (size_t)side;
    float *x = malloc((3 * plane + 1) * sizeof *x);
    struct image im;

    decode(argv[0], &im);
    for (size_t i = 0; x && i < 3 * plane; i++) {
        const size_t row = i % plane / (size_t)side * (size_t)im.height / (size_t)side;
        const size_t column = i % (size_t)side * (size_t)im.width / (size_t)side;
        x[i] = (float)im.rgb[(row * (size_t)im.width + column) * 3 + i / plane] / 255;
    }
    if (x)
        write_file(argv[2], x, 3 * plane * sizeof *x);
    free(x);
    image_free(&im);
}

/* Bilinear, so that the JPEG has the softness of a photograph of that size. */
static void make_picture(char **argv)
{
    struct image im, big = { .width = atoi(argv[1]), .height = atoi(argv[2]) };
    struct buffer out = { .n = 0 };
    struct fault f = FAULT_INIT;

    decode(argv[0], &im);
    if (!(big.rgb = malloc((size_t)big.width * (size_t)big.height * 3)))
        give_up("out of memory");
    for (int y = 0; y < big.height; y++)
        for (int x = 0; x < big.width; x++) {
            const double v = (double)y * (im.height - 1) / big.height;
            const double u = (double)x * (im.width - 1) / big.width, fv = v - (int)v, fu = u - (int)u;
            const uint8_t *p = im.rgb + ((size_t)v * (size_t)im.width + (size_t)u) * 3;
            const size_t row = (size_t)im.width * 3;
            for (size_t c = 0; c < 3; c++)
                big.rgb[((size_t)y * (size_t)big.width + (size_t)x) * 3 + c] =
                    (uint8_t)((1 - fv) * ((1 - fu) * p[c] + fu * p[c + 3]) +
                              fv * ((1 - fu) * p[row + c] + fu * p[row + c + 3]));
        }
    if (image_encode(&big, IMAGE_JPEG, &out, &f) != ST_OK)
        give_up(f.detail);
    write_file(argv[3], out.p, out.n);
    buffer_free(&out);
    image_free(&im);
    image_free(&big);
}

static void export(char **argv)
{
    struct fault f = FAULT_INIT;
    struct opened_model opened;
    struct buffer out = { .n = 0 };
    const char *missing;
    size_t n;
    void *bytes = read_file(argv[0], &n);

    if (opened_model_read(bytes, n, &opened, &f) != ST_OK)
        give_up(f.detail);
    if (!opened.bound)
        give_up("it takes no picture");
    if ((missing = export_onnx(opened.bound, argv[2] != NULL, &out)))
        give_up(missing);
    write_file(argv[1], out.p, out.n);
    buffer_free(&out);
    opened_model_free(&opened);
    free(bytes);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int arguments;
        void (*run)(char **argv);
    } modes[] = {
        { "serve", 4, serve },   { "clients", 3, clients },     { "predict", 3, predict },
        { "peak", 1, peak },     { "input", 3, make_input },    { "picture", 4, make_picture },
        { "export", 2, export }, { "calibrate", 3, calibrate },
    };

    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; argc > 1 && i < sizeof modes / sizeof modes[0]; i++)
        if (strcmp(argv[1], modes[i].name) == 0 && argc >= 2 + modes[i].arguments) {
            modes[i].run(argv + 2);
            return 0;
        }
    fprintf(stderr, "see the head of runner.c\n");
    return 64;
}
