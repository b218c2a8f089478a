/*
 * POST /api/models/{modelId}/predict: a picture in, what the model sees in it out, as JSON or drawn on
 * the picture.
 */
#include <string.h>

#include "domain/annotate.h"
#include "domain/serving.h"
#include "fcgi/context.h"
#include "fcgi/dbpool.h"
#include "fcgi/decode.h"
#include "fcgi/metrics.h"
#include "handlers/ultralytics/predict.h"
#include "handlers/ultralytics/ultralytics.h"
#include "media/image.h"

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

/* What the run was about, for the answer. */
struct run {
    struct request *rq;
    const struct predict_request *asked;
    struct image *im;
    double decode_ms;
    int64_t begun_us;
};

static enum status answer(const struct run *r, const struct prediction *p, const struct model_card *card,
                          struct response *rs, struct fault *f)
{
    const struct predict_input *in = &r->asked->in;
    const bool picture = in->output && strcmp(in->output, "json") != 0;
    const enum image_format format = picture && strcmp(in->output, "png") == 0 ? IMAGE_PNG : IMAGE_JPEG;
    const struct predict_answer a = {
        .p = p,
        .card = card,
        .model = r->rq->segments[2],
        .width = r->im->width,
        .height = r->im->height,
        .decimals = field_given(in, FIELD(predict_input, decimals)) ? (int)in->decimals : 5,
        .normalize = in->normalize,
        .decode_ms = r->decode_ms,
        .total_ms = (double)(clock_wall_us() - r->begun_us) / 1e3,
    };

    if (!picture) {
        predict_write(&a, &rs->body);
        return ST_OK;
    }
    prediction_draw(p, card, r->im);
    rs->content_type = image_media_type(format);
    return image_encode(r->im, format, &rs->body, f);
}

/* A precision that this machine lacks is the client's choice, not a missing media type. */
static enum status predict(const struct run *r, struct served_model *model, struct response *rs,
                           struct fault *f)
{
    struct context *ctx = r->rq->ctx;
    const struct model_card *card = predictor_card(served_predictor(model));
    struct predict_options options;
    struct prediction p = { 0 };
    enum status st = predict_options_of(r->rq, r->asked, card, &options, f);

    if (st == ST_OK && !card->runnable)
        st = fault_set(f, ST_INVALID, NULL, "the model cannot be run here: %s", card->why_not);
    if (st == ST_OK)
        st = serving_run(ctx->serving, model, r->im->rgb, r->im->width, r->im->height, &options, &p, f);
    if (st == ST_UNSUPPORTED)
        st = ST_INVALID;
    if (st == ST_OK && (st = answer(r, &p, card, rs, f)) == ST_OK) {
        metrics_add(ctx->metrics, METRIC_PREDICTIONS, 1);
        metrics_add(ctx->metrics, METRIC_PREDICT_US, (int64_t)(p.inference_ms * 1e3));
    }
    prediction_free(&p);
    return st;
}

enum status ultralytics_predict(struct request *rq, struct response *rs, struct fault *f)
{
    struct predict_request asked = { 0 };
    struct served_model *model = NULL;
    struct image im = { 0 };
    struct run r = { rq, &asked, &im, 0, clock_wall_us() };
    struct digest weights;
    int64_t decode_us;
    enum status st;

    if (!rq->ctx->serving)
        return fault_set(f, ST_UNAVAILABLE, NULL, "predictions are served by another pool");
    if ((st = find_weights(rq, &weights, f)) != ST_OK)
        return st;
    request_db_release(rq);
    if ((st = predict_receive(rq, &asked, f)) != ST_OK)
        goto out;
    decode_us = clock_wall_us();
    if ((st = image_decode(asked.up.bytes.p, asked.up.bytes.n, &im, f)) != ST_OK) {
        f->field = asked.up.has_file ? "file" : "source";
        if (st == ST_UNSUPPORTED)
            st = ST_INVALID; /* an unreadable picture is a 400 here */
        goto out;
    }
    r.decode_ms = (double)(clock_wall_us() - decode_us) / 1e3;
    if ((st = serving_get(rq->ctx->serving, &weights, &model, f)) == ST_OK)
        st = predict(&r, model, rs, f);
out:
    serving_put(rq->ctx->serving, model);
    image_free(&im);
    upload_free(&asked.up);
    return st;
}
