/*
 * The answer of a prediction. It holds the seed's `predictions` (class is a name) and the later `images`
 * (class is a number with the name beside it) side by side; masks, key points and rotated boxes are
 * spelled differently in the two.
 */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/version.h"
#include "handlers/ultralytics/predict.h"
#include "inference/precision.h"

/* A number with at most `decimals` digits after the point, without trailing zeros. */
static void write_number(struct buffer *out, double v, int decimals)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%.*f", decimals, v);

    if (strchr(text, '.')) {
        while (n > 0 && text[n - 1] == '0')
            n--;
        if (n > 0 && text[n - 1] == '.')
            n--;
    }
    if (n == 2 && strncmp(text, "-0", 2) == 0)
        buffer_char(out, '0');
    else
        buffer_bytes(out, text, (size_t)n);
}

static void write_x(const struct predict_answer *a, float x, struct buffer *out)
{
    write_number(out, a->normalize ? (double)x / a->width : (double)x, a->decimals);
}

static void write_y(const struct predict_answer *a, float y, struct buffer *out)
{
    write_number(out, a->normalize ? (double)y / a->height : (double)y, a->decimals);
}

/* {"x1":..,"y1":..}: two corners, or the four of a rotated box. */
static void write_box(const struct predict_answer *a, const struct detection *d, struct buffer *out)
{
    const struct point two[2] = { { d->x0, d->y0 }, { d->x1, d->y1 } };
    const struct point *corners = d->rotated ? d->rotated->corners : two;

    for (int i = 0; i < (d->rotated ? 4 : 2); i++) {
        buffer_printf(out, "%s\"x%d\":", i ? "," : ",\"box\":{", i + 1);
        write_x(a, corners[i].x, out);
        buffer_printf(out, ",\"y%d\":", i + 1);
        write_y(a, corners[i].y, out);
    }
    buffer_char(out, '}');
}

/* ---- the seed's spelling: points one by one ---- */

static void write_pairs(const struct predict_answer *a, const struct detection *d, struct buffer *out)
{
    for (size_t i = 0; i < d->npolygon; i++) {
        buffer_text(out, i ? ",[" : ",\"segments\":[[");
        write_x(a, d->polygon[i].x, out);
        buffer_char(out, ',');
        write_y(a, d->polygon[i].y, out);
        buffer_char(out, ']');
    }
    if (d->npolygon)
        buffer_char(out, ']');
    for (size_t i = 0; i < d->nkeypoints; i++) {
        buffer_text(out, i ? ",{\"x\":" : ",\"keypoints\":[{\"x\":");
        write_x(a, d->keypoints[i].x, out);
        buffer_text(out, ",\"y\":");
        write_y(a, d->keypoints[i].y, out);
        buffer_text(out, ",\"conf\":");
        write_number(out, (double)d->keypoints[i].visibility, a->decimals);
        buffer_char(out, '}');
    }
    if (d->nkeypoints)
        buffer_char(out, ']');
}

/* ---- the later spelling: all x, then all y ---- */

static void write_column(const struct predict_answer *a, const char *key, const float *first,
                         size_t step, size_t n, char which, struct buffer *out)
{
    buffer_printf(out, "%s[", key);
    for (size_t i = 0; i < n; i++) {
        if (i)
            buffer_char(out, ',');
        if (which == 'x')
            write_x(a, first[i * step], out);
        else if (which == 'y')
            write_y(a, first[i * step], out);
        else
            write_number(out, (double)first[i * step], a->decimals);
    }
    buffer_char(out, ']');
}

static void write_columns(const struct predict_answer *a, const struct detection *d, struct buffer *out)
{
    const size_t point = sizeof(struct point) / sizeof(float),
                 key = sizeof(struct keypoint) / sizeof(float);

    if (d->npolygon) {
        write_column(a, ",\"segments\":{\"x\":", &d->polygon[0].x, point, d->npolygon, 'x', out);
        write_column(a, ",\"y\":", &d->polygon[0].y, point, d->npolygon, 'y', out);
        buffer_char(out, '}');
    }
    if (d->nkeypoints) {
        write_column(a, ",\"keypoints\":{\"x\":", &d->keypoints[0].x, key, d->nkeypoints, 'x', out);
        write_column(a, ",\"y\":", &d->keypoints[0].y, key, d->nkeypoints, 'y', out);
        write_column(a, ",\"visible\":", &d->keypoints[0].visibility, key, d->nkeypoints, 'v', out);
        buffer_char(out, '}');
    }
}

static const char *label_name(const struct predict_answer *a, int label)
{
    return label >= 0 && label < a->card->nclasses ? a->card->class_names[label] : "";
}

static void write_detection(const struct predict_answer *a, const struct detection *d, bool numbered,
                            struct buffer *out)
{
    const char *name = label_name(a, d->label);

    buffer_text(out, "{\"class\":");
    if (numbered)
        buffer_printf(out, "%d,\"name\":", d->label);
    json_write_string(out, name, strlen(name));
    buffer_text(out, ",\"confidence\":");
    write_number(out, (double)d->score, a->decimals);
    if (a->card->task != TASK_CLASSIFY)
        write_box(a, d, out);
    if (numbered)
        write_columns(a, d, out);
    else
        write_pairs(a, d, out);
    buffer_char(out, '}');
}

static void write_detections(const struct predict_answer *a, bool numbered, struct buffer *out)
{
    buffer_char(out, '[');
    for (size_t i = 0; i < a->p->n; i++) {
        if (i)
            buffer_char(out, ',');
        write_detection(a, &a->p->items[i], numbered, out);
    }
    buffer_char(out, ']');
}

void predict_write(const struct predict_answer *a, struct buffer *out)
{
    buffer_text(out, "{\"success\":true,\"predictions\":");
    write_detections(a, false, out);
    buffer_printf(
        out,
        ",\"image\":{\"width\":%d,\"height\":%d},\"images\":[{\"shape\":[%d,%d],\"speed\":{"
        "\"decode\":%.2f,\"preprocess\":%.2f,\"inference\":%.2f,\"postprocess\":%.2f},\"results\":",
        a->width, a->height, a->height, a->width, a->decode_ms, a->p->preprocess_ms, a->p->inference_ms,
        a->p->postprocess_ms);
    write_detections(a, true, out);
    buffer_printf(out, "}],\"metadata\":{\"imageCount\":1,\"functionTimeCall\":%.4f,\"model\":",
                  a->total_ms / 1e3);
    json_write_string(out, a->model, strlen(a->model));
    buffer_printf(
        out, ",\"task\":\"%s\",\"precision\":\"%s\",\"version\":{\"fovea\":\"" FOVEA_VERSION "\"}}}",
        model_task_name(a->card->task), precision_name(a->p->precision));
}
