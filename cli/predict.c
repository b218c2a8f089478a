/*
 * fovea predict: pictures through a model, with neither server nor database. Lines for people, or with
 * --json one array with an object for each picture, in the shapes of Ultralytics' results: corners in
 * pixels, polygons and key points as lists of x and y, a rotated box as four corners.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/json.h"
#include "cli/annotated.h"
#include "cli/network.h"
#include "inference/predictor.h"
#include "media/image.h"

enum { CLASSES_MAX = 1000 };

struct job {
    const struct cli *cli;
    struct predictor *predictor;
    struct predict_options options;
    int classes[CLASSES_MAX];
    struct buffer json;
};

static enum status read_classes(struct job *j, const char *text, struct fault *f)
{
    while (text && *text) {
        const size_t n = strcspn(text, ",");
        int64_t class;
        if (!text_i64(text, n, &class) || class < 0 || class > LIMIT_MODEL_CLASSES ||
            j->options.nclasses == CLASSES_MAX)
            return fault_set(f, ST_INVALID, "classes", "must be class numbers with commas between them");
        j->classes[j->options.nclasses++] = (int)class;
        text += n + (text[n] == ',');
    }
    j->options.classes = j->classes;
    return ST_OK;
}

static enum status read_options(struct job *j, struct compile_options *compile, struct fault *f)
{
    const struct cli *c = j->cli;
    double conf, iou;
    int64_t imgsz, most;
    enum status st;

    if ((st = network_options(c, compile, f)) != ST_OK ||
        (st = cli_number(c, "conf", 0, 1, 0.25, &conf, f)) != ST_OK ||
        (st = cli_number(c, "iou", 0, 1, 0.7, &iou, f)) != ST_OK ||
        (st = cli_integer(c, "imgsz", 1, LIMIT_MODEL_INPUT_PX, 0, &imgsz, f)) != ST_OK ||
        (st = cli_integer(c, "max-det", 1, LIMIT_DETECTIONS, LIMIT_DETECTIONS, &most, f)) != ST_OK)
        return st;
    j->options = (struct predict_options){ .conf = (float)conf,
                                           .iou = (float)iou,
                                           .imgsz = (int)imgsz,
                                           .max_detections = (int)most,
                                           .agnostic = cli_option(c, "agnostic") != NULL };
    return read_classes(j, cli_option(c, "classes"), f);
}

static const char *class_name(const struct job *j, int label)
{
    const struct model_card *card = predictor_card(j->predictor);

    return label >= 0 && label < card->nclasses ? card->class_names[label] : "?";
}

/* ---- for programs */

static void put_text(struct buffer *b, const char *s)
{
    json_write_string(b, s, strlen(s));
}

/* "name":{"x":[..],"y":[..]} of n points, `stride` floats apart. */
static void put_points(struct buffer *b, const char *name, const float *xy, size_t n, size_t stride)
{
    buffer_printf(b, ",\"%s\":{", name);
    for (size_t axis = 0; axis < 2; axis++) {
        buffer_text(b, axis ? "],\"y\":[" : "\"x\":[");
        for (size_t i = 0; i < n; i++)
            buffer_printf(b, "%s%.5g", i ? "," : "", (double)xy[i * stride + axis]);
    }
    buffer_char(b, ']');
}

static void put_box(struct buffer *b, const struct detection *d)
{
    if (d->rotated) {
        buffer_text(b, ",\"box\":{");
        for (int i = 0; i < 4; i++)
            buffer_printf(b, "%s\"x%d\":%.5f,\"y%d\":%.5f", i ? "," : "", i + 1,
                          (double)d->rotated->corners[i].x, i + 1, (double)d->rotated->corners[i].y);
        buffer_char(b, '}');
    } else if (d->x1 > d->x0 || d->y1 > d->y0) {
        buffer_printf(b, ",\"box\":{\"x1\":%.5f,\"y1\":%.5f,\"x2\":%.5f,\"y2\":%.5f}", (double)d->x0,
                      (double)d->y0, (double)d->x1, (double)d->y1);
    }
}

static void put_detection(const struct job *j, struct buffer *b, const struct detection *d)
{
    buffer_text(b, "{\"name\":");
    put_text(b, class_name(j, d->label));
    buffer_printf(b, ",\"class\":%d,\"confidence\":%.5f", d->label, (double)d->score);
    put_box(b, d);
    if (d->polygon) {
        put_points(b, "segments", &d->polygon[0].x, d->npolygon, sizeof *d->polygon / sizeof(float));
        buffer_char(b, '}');
    }
    if (d->keypoints) {
        put_points(b, "keypoints", &d->keypoints[0].x, d->nkeypoints,
                   sizeof *d->keypoints / sizeof(float));
        buffer_text(b, ",\"visible\":[");
        for (size_t i = 0; i < d->nkeypoints; i++)
            buffer_printf(b, "%s%.5g", i ? "," : "", (double)d->keypoints[i].visibility);
        buffer_text(b, "]}");
    }
    buffer_char(b, '}');
}

static void put_json(struct job *j, const char *path, const struct image *im, const struct prediction *p)
{
    struct buffer *b = &j->json;
    char shape[96], name[64];

    buffer_text(b, b->n ? ",\n{\"file\":" : "[{\"file\":");
    put_text(b, path);
    buffer_printf(b,
                  ",\"shape\":[%d,%d],\"speed\":{\"preprocess\":%.3f,\"inference\":%.3f,"
                  "\"postprocess\":%.3f},\"results\":[",
                  im->height, im->width, p->preprocess_ms, p->inference_ms, p->postprocess_ms);
    for (size_t i = 0; i < p->n; i++) {
        buffer_text(b, i ? "," : "");
        put_detection(j, b, &p->items[i]);
    }
    buffer_char(b, ']');
    for (size_t i = 0; i < p->ntensors; i++)
        buffer_printf(b, "%s{\"name\":\"%s\",\"type\":\"%s\",\"shape\":\"%s\"}%s",
                      i ? "," : ",\"tensors\":[", text_printable(p->tensors[i].name, name, sizeof name),
                      dtype_name(p->tensors[i].value.type),
                      value_shape_text(&p->tensors[i].value, shape, sizeof shape),
                      i + 1 == p->ntensors ? "]" : "");
    buffer_char(b, '}');
}

/* ---- for people */

static void print_detection(const struct job *j, const struct detection *d)
{
    printf("  %-16s %.3f", class_name(j, d->label), (double)d->score);
    if (d->rotated)
        printf("  centre %.1f %.1f  size %.1f x %.1f  angle %.3f", (double)d->rotated->x,
               (double)d->rotated->y, (double)d->rotated->width, (double)d->rotated->height,
               (double)d->rotated->angle);
    else if (d->x1 > d->x0 || d->y1 > d->y0)
        printf("  box %.1f %.1f %.1f %.1f", (double)d->x0, (double)d->y0, (double)d->x1, (double)d->y1);
    if (d->polygon)
        printf("  polygon of %zu points", d->npolygon);
    if (d->keypoints)
        printf("  %zu key points", d->nkeypoints);
    putchar('\n');
}

static void print_people(const struct job *j, const char *path, const struct image *im,
                         const struct prediction *p)
{
    char shape[96], name[64];

    printf("%s: %dx%d, %zu found, %.1f ms preprocess, %.1f ms inference, %.1f ms postprocess\n", path,
           im->width, im->height, p->n, p->preprocess_ms, p->inference_ms, p->postprocess_ms);
    for (size_t i = 0; i < p->n; i++)
        print_detection(j, &p->items[i]);
    for (size_t i = 0; i < p->ntensors; i++)
        printf("  %s %s %s\n", text_printable(p->tensors[i].name, name, sizeof name),
               dtype_name(p->tensors[i].value.type),
               value_shape_text(&p->tensors[i].value, shape, sizeof shape));
}

/* ---- running */

static enum status predict_one(struct job *j, const char *path, struct fault *f)
{
    const char *const save = cli_option(j->cli, "save");
    struct prediction p = { .n = 0 };
    struct image im = { .rgb = NULL };
    void *bytes = NULL;
    size_t n;
    enum status st;

    if ((st = file_read(path, LIMIT_IMAGE_BYTES, &bytes, &n, f)) != ST_OK ||
        (st = image_decode(bytes, n, &im, f)) != ST_OK ||
        (st = predictor_run(j->predictor, im.rgb, im.width, im.height, &j->options, &p, f)) != ST_OK)
        goto out;
    if (j->cli->json)
        put_json(j, path, &im, &p);
    else
        print_people(j, path, &im, &p);
    if (save)
        st = annotated_save(save, path, &im, &p, predictor_card(j->predictor), f);
out:
    prediction_free(&p);
    image_free(&im);
    free(bytes);
    return st;
}

/* A picture that fails is said so and the others go on; the first failure is the command's. */
static enum status predict_all(struct job *j, struct fault *f)
{
    enum status st = ST_OK;

    for (int i = 0; i < j->cli->narguments; i++) {
        struct fault g = FAULT_INIT;
        const enum status one = predict_one(j, j->cli->arguments[i], &g);
        if (one == ST_OK)
            continue;
        if (st == ST_OK) {
            st = one;
            *f = g;
        }
        if (j->cli->narguments > 1)
            cli_say("%s: %s", j->cli->arguments[i], g.detail);
    }
    return st;
}

static enum status run_predict(struct cli *c, struct fault *f)
{
    struct load_options load = { .family = cli_option(c, "family") };
    struct model_file file = { .bytes = NULL };
    struct calibration *calibration = NULL;
    const char *const save = cli_option(c, "save");
    struct job *j = arena_alloc(c->arena, sizeof *j);
    enum status st;

    if (!j)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    j->cli = c;
    if ((st = read_options(j, &load.compile, f)) != ST_OK ||
        (st = model_file_open(cli_option(c, "model"), &file, f)) != ST_OK ||
        (st = calibration_option(c, &file, &calibration, f)) != ST_OK)
        goto out;
    load.compile.calibration = calibration;
    if ((st = predictor_load(file.bytes, file.n, &load, &j->predictor, f)) != ST_OK)
        goto out;
    j->options.precision = load.compile.precision;
    j->options.exact = load.compile.exact;
    if (save && mkdir(save, 0777) != 0 && errno != EEXIST) {
        st = fault_set(f, ST_UNAVAILABLE, "save", "%s: %s", save, strerror(errno));
        goto out;
    }
    st = predict_all(j, f);
    if (c->json && !j->json.failed)
        printf("%s%s\n", j->json.n ? "" : "[", j->json.n ? buffer_terminate(&j->json) : "");
    if (c->json)
        printf("]\n");
out:
    buffer_free(&j->json);
    predictor_free(j->predictor);
    calibration_free(calibration);
    model_file_close(&file);
    return st;
}

/* clang-format off */
const struct command predict_commands[] = {
    {
        .words = "predict",
        .argument = "IMAGE...",
        .help = "find what a model knows in pictures",
        .many = true,
        .options = { { "model", "FILE", "weights (.onnx, .pt)", true },
                     { "conf", "X", "keep scores above this (default 0.25)", false },
                     { "iou", "X", "suppress boxes that overlap a better one by more (default 0.7)", false },
                     { "imgsz", "PX", "input side, where the model leaves it open", false },
                     { "max-det", "N", "at most so many in a picture (default 300)", false },
                     { "classes", "LIST", "only these class numbers, with commas between", false },
                     { "agnostic", NULL, "suppress across classes", false },
                     { "family", "NAME", "how outputs are read, where the file does not tell", false },
                     { "save", "DIR", "write annotated pictures there", false },
                     OPTION_PRECISION, OPTION_CALIBRATION, OPTION_THREADS, OPTION_EXACT },
        .run = run_predict,
    },
    { .words = NULL },
};
/* clang-format on */
