/*
 * POST /api/models/{modelId}/predict: a picture in (file part, base64, data URL or URL), detections out.
 * The answer holds the seed's `predictions` (class is a name) and the later `images` (class is a number)
 * side by side.
 */
#include <inttypes.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/outbound.h"
#include "base/version.h"
#include "domain/operations.h"
#include "domain/serving.h"
#include "fcgi/context.h"
#include "fcgi/dbpool.h"
#include "fcgi/decode.h"
#include "fcgi/metrics.h"
#include "fcgi/upload.h"
#include "handlers/ultralytics/ultralytics.h"
#include "media/image.h"

static const struct key predict_keys[] = {
    { IN_BODY, "conf", FIELD(predict_input, conf), NULL },
    { IN_BODY, "iou", FIELD(predict_input, iou), NULL },
    { IN_BODY, "imgsz", FIELD(predict_input, imgsz), NULL },
    { IN_BODY, "normalize", FIELD(predict_input, normalize), NULL },
    { IN_BODY, "decimals", FIELD(predict_input, decimals), NULL },
    { IN_BODY, "source", FIELD(predict_input, source), NULL },
};

/* Base64, plain or behind "data:image/png;base64,", into out. */
static enum status from_base64(const char *s, struct buffer *out, struct fault *f)
{
    const char *comma = strncmp(s, "data:", 5) == 0 ? strchr(s, ',') : NULL;
    const char *text = comma ? comma + 1 : s;
    const size_t n = strlen(text);
    unsigned char *bytes = malloc(n / 4 * 3 + 3);
    int length = -1;

    if (bytes && n && n % 4 == 0)
        length = EVP_DecodeBlock(bytes, (const unsigned char *)text, (int)n);
    if (length < 0) {
        free(bytes);
        return fault_set(f, ST_INVALID, "source", "must be a URL or a picture in base64");
    }
    for (size_t i = n; length > 0 && i > 0 && text[i - 1] == '='; i--)
        length--;
    buffer_bytes(out, bytes, (size_t)length);
    free(bytes);
    return out->failed ? fault_set(f, ST_TOO_LARGE, "source", "the picture is too large") : ST_OK;
}

static enum status from_url(const char *url, struct buffer *out, struct fault *f)
{
    const struct outbound_request get = {
        .method = "GET",
        .url = url,
        .max_bytes = config_i64("predict.max_bytes"),
        .connect_timeout_ms = 3000,
        .total_timeout_ms = 10000,
        .redirects = 3,
    };
    int code = 0;
    enum status st = outbound_fetch(&get, config_text("outbound.allow"), &code, out, f);

    if (st != ST_OK) {
        f->field = "source";
        return st == ST_UNAVAILABLE ? fault_set(f, ST_INVALID, "source", "the address did not answer")
                                    : st;
    }
    return code == 200 ? ST_OK : fault_set(f, ST_INVALID, "source", "the address answered %d", code);
}

/* The request's picture, as bytes in up->bytes. */
static enum status receive(struct request *rq, struct predict_input *in, struct upload *up,
                           struct fault *f)
{
    const int64_t most = config_i64("predict.max_bytes");
    enum status st;

    if (upload_is_multipart(rq)) {
        st = upload_to_memory(rq, "file", most, up, f);
    } else {
        up->bytes.max = (size_t)most;
        if (!rq->content_type || strncasecmp(rq->content_type, "application/json", 16) != 0)
            return fault_set(f, ST_UNSUPPORTED, NULL,
                             "send multipart/form-data with a file, or application/json");
        st = decode_json(rq, (size_t)most * 3 / 2, f); /* base64 is a third longer */
    }
    if (st != ST_OK || (st = decode_fields(rq, predict_keys, sizeof predict_keys / sizeof *predict_keys,
                                           &predict_input_record, in, f)) != ST_OK)
        return st;
    if (up->has_file)
        return ST_OK;
    if (!field_given(in, FIELD(predict_input, source)))
        return fault_set(f, ST_INVALID, "file", "is required, or source");
    return strncmp(in->source, "http://", 7) && strncmp(in->source, "https://", 8)
               ? from_base64(in->source, &up->bytes, f)
               : from_url(in->source, &up->bytes, f);
}

/* The model's weights, when the caller may see it and this build can run it. */
static enum status find_weights(struct request *rq, struct digest *ret, struct fault *f)
{
    const struct shape none = { 0 };
    const struct asker asker = { "" };
    struct sentence s;
    PGresult *r;
    enum status st = decode_command(rq, f);

    if (st != ST_OK ||
        (st = operation_read(rq->route->op, &rq->who, &asker, &none, rq->command, NULL, rq->arena, &s,
                             f)) != ST_OK ||
        (st = db_read(rq->db, s.sql, s.params, s.n, &r, f)) != ST_OK)
        return st;
    if (PQntuples(r) == 0)
        st = fault_set(f, ST_NOT_FOUND, NULL, "not found");
    else if (!row_bytes(r, 0, PQfnumber(r, "digest"), ret->bytes, DIGEST_BYTES))
        st = fault_set(f, ST_INVALID, NULL, "the model has no weights");
    else if (!row_bool(r, 0, PQfnumber(r, "runnable")))
        st = fault_set(f, ST_INVALID, NULL, "the model cannot be run here: %s",
                       row_text(r, 0, PQfnumber(r, "why_not")) ? row_text(r, 0, PQfnumber(r, "why_not"))
                                                               : "");
    PQclear(r);
    return st;
}

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

struct answer {
    const struct prediction *p;
    const struct model_card *card;
    int width, height, decimals;
    bool normalize;
};

static void write_box(const struct answer *a, const struct detection *d, struct buffer *out)
{
    const double sx = a->normalize ? 1.0 / a->width : 1.0, sy = a->normalize ? 1.0 / a->height : 1.0;
    const double v[4] = { d->x0 * sx, d->y0 * sy, d->x1 * sx, d->y1 * sy };
    static const char *const names[4] = { "{\"x1\":", ",\"y1\":", ",\"x2\":", ",\"y2\":" };

    for (int i = 0; i < 4; i++) {
        buffer_text(out, names[i]);
        write_number(out, v[i], a->decimals);
    }
    buffer_char(out, '}');
}

static const char *label_name(const struct answer *a, int label)
{
    return label >= 0 && label < a->card->nclasses ? a->card->class_names[label] : "";
}

/* One prediction: class is the name (seed) or the number with the name beside it (later generations). */
static void write_detection(const struct answer *a, const struct detection *d, bool numbered,
                            struct buffer *out)
{
    const char *name = label_name(a, d->label);

    buffer_text(out, "{\"class\":");
    if (numbered)
        buffer_printf(out, "%d,\"name\":", d->label);
    json_write_string(out, name, strlen(name));
    buffer_text(out, ",\"confidence\":");
    write_number(out, (double)d->score, a->decimals);
    if (a->card->task != TASK_CLASSIFY) {
        buffer_text(out, ",\"box\":");
        write_box(a, d, out);
    }
    buffer_char(out, '}');
}

static void write_detections(const struct answer *a, bool numbered, struct buffer *out)
{
    buffer_char(out, '[');
    for (size_t i = 0; i < a->p->n; i++) {
        if (i)
            buffer_char(out, ',');
        write_detection(a, &a->p->items[i], numbered, out);
    }
    buffer_char(out, ']');
}

static void write_answer(const struct answer *a, const char *model, double decode_ms, double total_ms,
                         struct buffer *out)
{
    buffer_text(out, "{\"success\":true,\"predictions\":");
    write_detections(a, false, out);
    buffer_printf(
        out,
        ",\"image\":{\"width\":%d,\"height\":%d},\"images\":[{\"shape\":[%d,%d],\"speed\":{"
        "\"decode\":%.2f,\"preprocess\":%.2f,\"inference\":%.2f,\"postprocess\":%.2f},\"results\":",
        a->width, a->height, a->height, a->width, decode_ms, a->p->preprocess_ms, a->p->inference_ms,
        a->p->postprocess_ms);
    write_detections(a, true, out);
    buffer_printf(
        out, "}],\"metadata\":{\"imageCount\":1,\"functionTimeCall\":%.4f,\"model\":", total_ms / 1e3);
    json_write_string(out, model, strlen(model));
    buffer_printf(out, ",\"task\":\"%s\",\"version\":{\"fovea\":\"" FOVEA_VERSION "\"}}}",
                  model_task_name(a->card->task));
}

static enum status run(struct request *rq, const struct digest *weights, const struct predict_input *in,
                       const struct image *im, double decode_ms, int64_t begun_us, struct response *rs,
                       struct fault *f)
{
    const struct predict_options options = {
        .conf = field_given(in, FIELD(predict_input, conf)) ? (float)in->conf : 0.25f,
        .iou = field_given(in, FIELD(predict_input, iou)) ? (float)in->iou : 0.7f,
        .imgsz = (int)in->imgsz,
        .max_detections = LIMIT_DETECTIONS,
    };
    struct serving *serving = rq->ctx->serving;
    struct served_model *model;
    struct prediction p = { 0 };
    enum status st = serving_get(serving, weights, &model, f);

    if (st != ST_OK)
        return st;
    st = serving_run(serving, model, im->rgb, im->width, im->height, &options, &p, f);
    if (st == ST_OK) {
        const struct answer a = {
            &p,
            predictor_card(served_predictor(model)),
            im->width,
            im->height,
            field_given(in, FIELD(predict_input, decimals)) ? (int)in->decimals : 5,
            in->normalize,
        };

        write_answer(&a, rq->segments[2], decode_ms, (double)(clock_wall_us() - begun_us) / 1e3,
                     &rs->body);
        metrics_add(rq->ctx->metrics, METRIC_PREDICTIONS, 1);
        metrics_add(rq->ctx->metrics, METRIC_PREDICT_US, (int64_t)(p.inference_ms * 1e3));
    }
    prediction_free(&p);
    serving_put(serving, model);
    return st;
}

enum status ultralytics_predict(struct request *rq, struct response *rs, struct fault *f)
{
    const int64_t begun_us = clock_wall_us();
    struct predict_input in = { 0 };
    struct upload up = { 0 };
    struct image im = { 0 };
    struct digest weights;
    int64_t decode_us;
    enum status st;

    if (!rq->ctx->serving)
        return fault_set(f, ST_UNAVAILABLE, NULL, "predictions are served by another pool");
    if ((st = find_weights(rq, &weights, f)) != ST_OK)
        return st;
    request_db_release(rq);
    if ((st = receive(rq, &in, &up, f)) != ST_OK)
        goto out;
    decode_us = clock_wall_us();
    if ((st = image_decode(up.bytes.p, up.bytes.n, &im, f)) != ST_OK) {
        f->field = up.has_file ? "file" : "source";
        if (st == ST_UNSUPPORTED)
            st = ST_INVALID; /* an unreadable picture is a 400 here */
        goto out;
    }
    st = run(rq, &weights, &in, &im, (double)(clock_wall_us() - decode_us) / 1e3, begun_us, rs, f);
out:
    image_free(&im);
    upload_free(&up);
    return st;
}
