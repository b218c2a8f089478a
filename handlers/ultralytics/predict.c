/*
 * POST /api/models/{modelId}/predict: a picture in, what the model sees in it out, as JSON or drawn on
 * the picture.
 */
#include <string.h>

#include "domain/annotate.h"
#include "domain/calibration.h"
#include "domain/precision_gate.h"
#include "domain/serving.h"
#include "fcgi/context.h"
#include "fcgi/dbpool.h"
#include "fcgi/decode.h"
#include "fcgi/metrics.h"
#include "handlers/ultralytics/predict.h"
#include "handlers/ultralytics/ultralytics.h"
#include "media/image.h"

/* The model's weights and calibration, when the caller may see it and this build can run it, what
 * automatic precision is for it here, and what its plans avoid. */
static enum status find_weights(struct request *rq, struct model_use *ret, struct fault *f)
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
    else if (!row_bytes(r, 0, PQfnumber(r, "digest"), ret->weights.bytes, DIGEST_BYTES))
        st = fault_set(f, ST_INVALID, NULL, "the model has no weights");
    else if (!row_bool(r, 0, PQfnumber(r, "runnable")))
        st = fault_set(f, ST_INVALID, NULL, "the model cannot be run here: %s",
                       row_text(r, 0, PQfnumber(r, "why_not")) ? row_text(r, 0, PQfnumber(r, "why_not"))
                                                               : "");
    if (st == ST_OK) {
        ret->precision = precision_chosen(row_text(r, 0, PQfnumber(r, "precisions")));
        ret->avoided = plan_avoided(row_text(r, 0, PQfnumber(r, "avoided")));
        ret->calibrated =
            row_bytes(r, 0, PQfnumber(r, "calibration"), ret->calibration.bytes, DIGEST_BYTES);
    }
    PQclear(r);
    return st;
}

/* What the run was about, for the answer. */
struct run {
    struct request *rq;
    struct predict_request asked;
    struct model_use use;
    struct served_model *model;
    struct predict_options options;
    struct served_picture picture;
    double decode_ms;
    int64_t begun_us;
};

static const struct model_card *card_of(const struct run *r)
{
    return predictor_card(served_predictor(r->model));
}

static bool is_drawn(const struct run *r)
{
    return r->asked.in.output && strcmp(r->asked.in.output, "json") != 0;
}

static enum status answer(struct run *r, const struct prediction *p, struct response *rs,
                          struct fault *f)
{
    const struct predict_input *in = &r->asked.in;
    const enum image_format format =
        is_drawn(r) && strcmp(in->output, "png") == 0 ? IMAGE_PNG : IMAGE_JPEG;
    const struct predict_answer a = {
        .p = p,
        .card = card_of(r),
        .model = r->rq->segments[2],
        .width = r->picture.width,
        .height = r->picture.height,
        .decimals = field_given(in, FIELD(predict_input, decimals)) ? (int)in->decimals : 5,
        .normalize = in->normalize,
        .decode_ms = r->decode_ms,
        .total_ms = (double)(clock_wall_us() - r->begun_us) / 1e3,
    };

    if (!is_drawn(r)) {
        predict_write(&a, &rs->body);
        return ST_OK;
    }
    prediction_draw(p, card_of(r), &r->picture.im);
    rs->content_type = image_media_type(format);
    return image_encode(&r->picture.im, format, &rs->body, f);
}

/* What is drawn on is decoded whole. */
static enum status decode(struct run *r, struct fault *f)
{
    const struct buffer *file = &r->asked.up.bytes;
    const int64_t begun_us = clock_wall_us();
    enum status st = serving_decode(r->rq->ctx->serving, r->model, file->p, file->n, &r->options,
                                    is_drawn(r), &r->picture, f);

    r->decode_ms = (double)(clock_wall_us() - begun_us) / 1e3;
    if (st != ST_OK && st != ST_UNAVAILABLE)
        f->field = r->asked.up.has_file ? "file" : "source";
    return st == ST_UNSUPPORTED ? ST_INVALID : st; /* an unreadable picture is a 400 here */
}

/* What the gate chose, where the request leaves it to us; what the model lacks is said before it runs.
 */
static enum status choose_precision(struct run *r, struct fault *f)
{
    struct predict_options *o = &r->options;

    if (o->precision == PRECISION_AUTO)
        o->precision = served_automatic(r->model, r->use.precision);
    if (o->precision == PRECISION_INT8 && !o->exact && precision_available(PRECISION_INT8) &&
        !served_calibrated(r->model))
        return fault_set(f, ST_INVALID, "precision",
                         "int8 needs a calibration of this model: it is made when the project has %d "
                         "pictures",
                         CALIBRATION_PICTURES);
    return ST_OK;
}

/* A precision that this machine lacks is the client's choice, not a missing media type. */
static enum status predict(struct run *r, struct response *rs, struct fault *f)
{
    struct context *ctx = r->rq->ctx;
    const struct model_card *card = card_of(r);
    struct prediction p = { 0 };
    enum status st;

    if (!card->runnable)
        return fault_set(f, ST_INVALID, NULL, "the model cannot be run here: %s", card->why_not);
    if ((st = predict_options_of(r->rq, &r->asked, card, &r->options, f)) != ST_OK ||
        (st = choose_precision(r, f)) != ST_OK || (st = decode(r, f)) != ST_OK)
        return st;
    st = serving_run(ctx->serving, r->model, &r->picture, &r->options, &p, f);
    if (st == ST_UNSUPPORTED)
        st = ST_INVALID;
    if (st == ST_OK && (st = answer(r, &p, rs, f)) == ST_OK) {
        metrics_add(ctx->metrics, METRIC_PREDICTIONS, 1);
        metrics_add(ctx->metrics, METRIC_PREDICT_US, (int64_t)(p.inference_ms * 1e3));
    }
    prediction_free(&p);
    return st;
}

enum status ultralytics_predict(struct request *rq, struct response *rs, struct fault *f)
{
    struct serving *serving = rq->ctx->serving;
    struct run r = { .rq = rq, .begun_us = clock_wall_us() };
    enum status st;

    if (!serving)
        return fault_set(f, ST_UNAVAILABLE, NULL, "predictions are served by another pool");
    if ((st = find_weights(rq, &r.use, f)) != ST_OK)
        return st;
    request_db_release(rq);
    if ((st = predict_receive(rq, &r.asked, f)) == ST_OK &&
        (st = serving_get(serving, &r.use, &r.model, f)) == ST_OK)
        st = predict(&r, rs, f);
    served_picture_free(serving, &r.picture);
    serving_put(serving, r.model);
    upload_free(&r.asked.up);
    return st;
}
