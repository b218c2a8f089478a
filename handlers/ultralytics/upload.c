/*
 * POST /api/models. A form with a file: the file (of an archive the model in it) is stored, read as data
 * (nothing in it is executed) and described by what it says of itself. A JSON body: a model without
 * weights.
 */
#include <stdio.h>
#include <string.h>

#include "base/config.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "domain/admin.h"
#include "domain/model_bundle.h"
#include "domain/operations.h"
#include "fcgi/dbpool.h"
#include "fcgi/decode.h"
#include "fcgi/links.h"
#include "fcgi/metrics.h"
#include "fcgi/context.h"
#include "fcgi/upload.h"
#include "handlers/ultralytics/ultralytics.h"
#include "inference/predictor.h"
#include "media/store.h"
#include "media/unpack.h"

static bool has_suffix(const char *s, const char *suffix)
{
    const size_t n = strlen(s), m = strlen(suffix);

    return n > m && strcasecmp(s + n - m, suffix) == 0;
}

static void set_text(void *cmd, int field, const char **member, const char *value)
{
    if (value && *value) {
        *member = value;
        field_mark(cmd, (size_t)field);
    }
}

static void set_number(void *cmd, int field, int64_t *member, int64_t value)
{
    if (value > 0) {
        *member = value;
        field_mark(cmd, (size_t)field);
    }
}

/* What a card says, into the fields of the same names of command C. */
#define DESCRIBE(C, cmd, card)                                                                          \
    do {                                                                                                \
        set_text(cmd, FIELD(C, architecture), &(cmd)->architecture, (card)->architecture);              \
        set_text(cmd, FIELD(C, package_version), &(cmd)->package_version, (card)->version);             \
        set_text(cmd, FIELD(C, why_not), &(cmd)->why_not, (card)->why_not);                             \
        set_number(cmd, FIELD(C, parameters), &(cmd)->parameters, (card)->parameters);                  \
        set_number(cmd, FIELD(C, input_height), &(cmd)->input_height, (card)->input_height);            \
        set_number(cmd, FIELD(C, input_width), &(cmd)->input_width, (card)->input_width);               \
        (cmd)->class_names =                                                                            \
            (struct texts){ (const char *const *)(card)->class_names, (size_t)(card)->nclasses };       \
        field_mark(cmd, FIELD(C, class_names));                                                         \
        if ((card)->flops > 0) {                                                                        \
            (cmd)->gflops = (card)->flops / 1e9;                                                        \
            field_mark(cmd, FIELD(C, gflops));                                                          \
        }                                                                                               \
        (cmd)->runnable = (card)->runnable;                                                             \
        field_mark(cmd, FIELD(C, runnable));                                                            \
    } while (0)

/* What the file says of its task is the truth; a client may only confirm it. */
static enum status describe(struct model_create *cmd, const struct model_card *card, struct fault *f)
{
    const char *task = card->task_known ? model_task_name(card->task) : NULL;

    if (task && field_given(cmd, FIELD(model_create, task)) && strcmp(cmd->task, task) != 0)
        return fault_set(f, ST_INVALID, "task", "the file is a model for '%s', not '%.20s'", task,
                         cmd->task);
    set_text(cmd, FIELD(model_create, task), &cmd->task, task);
    DESCRIBE(model_create, cmd, card);
    return ST_OK;
}

/* The media type is right and the body not too long: it is the content that is no model for us. */
static enum status of_content(enum status st)
{
    return st == ST_UNSUPPORTED || st == ST_TOO_LARGE ? ST_INVALID : st;
}

static enum status check_file(struct spool *spool, struct model_card **ret, struct fault *f)
{
    const void *bytes;
    size_t n;
    enum status st = spool_map(spool, &bytes, &n, f);

    if (st == ST_OK && (st = model_card_read(bytes, n, ret, f)) != ST_OK) {
        f->field = "file";
        st = of_content(st);
    }
    return st;
}

static enum status publish(struct request *rq, struct upload *up, struct model_create *cmd,
                           struct fault *f)
{
    struct digest *d = arena_alloc(rq->arena, sizeof *d);
    enum status st;

    if (!d)
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    if ((st = spool_publish(up->spool, d, &cmd->size, f)) != ST_OK)
        return st;
    rq->before_commit = upload_settle;
    rq->before_commit_arg = up->spool;
    cmd->digest = d->bytes;
    field_mark(cmd, FIELD(model_create, digest));
    field_mark(cmd, FIELD(model_create, size));
    set_text(cmd, FIELD(model_create, file_name), &cmd->file_name, up->filename);
    set_text(cmd, FIELD(model_create, media_type), &cmd->media_type, "application/octet-stream");
    set_text(cmd, FIELD(model_create, status), &cmd->status, "completed");
    metrics_add(rq->ctx->metrics, METRIC_UPLOAD_BYTES, cmd->size);
    return ST_OK;
}

/* A refused model leaves no file behind. Where even this fails the sweeper will see to it. */
static void discard(struct request *rq, const struct model_create *cmd)
{
    struct fault ignored = FAULT_INIT;
    struct digest d;

    memcpy(d.bytes, cmd->digest, sizeof d.bytes);
    if (blob_discard(rq->db, rq->ctx->store, &d, cmd->size, &ignored) != ST_OK)
        log_event(LOG_LEVEL_WARNING, "discard_failed", "detail", ignored.detail, NULL);
}

/* Clients save a file under its suffix and open it by that: the suffix must be true. */
static enum status check_suffix(const char *field, const char *filename, const struct model_card *card,
                                struct fault *f)
{
    const char *suffix = card->format == MODEL_PT ? ".pt" : ".onnx";

    if (has_suffix(filename, suffix))
        return ST_OK;
    return fault_set(f, ST_INVALID, field, "holds %s; its name must end in %s",
                     card->format == MODEL_PT ? "a PyTorch checkpoint" : "an ONNX model", suffix);
}

static enum status spool_sink(void *spool, const void *p, size_t n, struct fault *f)
{
    return spool_write(spool, p, n, f);
}

/* An archive becomes the one ONNX file that it holds, under that file's name. */
static enum status open_bundle(struct request *rq, struct upload *up, struct fault *f)
{
    const int64_t max_bytes = config_i64("model.max_bytes");
    struct store *const store = rq->ctx->store;
    struct spool *packed = NULL;
    char name[MODEL_BUNDLE_NAME];
    const void *bytes;
    size_t n;
    enum status st;

    if ((st = spool_map(up->spool, &bytes, &n, f)) != ST_OK ||
        (st = spool_create(store, max_bytes, &packed, f)) != ST_OK)
        return st;
    st = model_bundle_pack(bytes, n, store_tmp(store), max_bytes,
                           &(struct bundle_sink){ packed, spool_sink }, name, f);
    if (st != ST_OK) {
        spool_free(packed);
        return of_content(st);
    }
    spool_free(up->spool);
    up->spool = packed;
    snprintf(up->filename, sizeof up->filename, "%s", name);
    return ST_OK;
}

/* Suffixes alone: what is inside is looked at later. */
static bool is_model_name(const char *name)
{
    return has_suffix(name, ".pt") || has_suffix(name, ".onnx") || unpack_is_archive(name);
}

static enum status upload_file(struct request *rq, struct response *rs, struct fault *f)
{
    struct upload up = { 0 };
    struct model_card *card = NULL;
    struct model_create *cmd;
    enum status st;

    request_db_release(rq); /* receiving and reading the file take long */
    if ((st = upload_to_store(rq, "file", config_i64("model.max_bytes"), &up, f)) != ST_OK ||
        (st = decode_command(rq, f)) != ST_OK)
        goto out;
    cmd = rq->command;
    if (!up.has_file || !is_model_name(up.filename)) {
        st = fault_set(f, ST_INVALID, "file",
                       up.has_file ? "must be a .pt or .onnx file, or a .zip, .tar or .tar.gz with "
                                     "an .onnx and its data files"
                                   : "is required");
        goto out;
    }
    if (unpack_is_archive(up.filename) && (st = open_bundle(rq, &up, f)) != ST_OK)
        goto out;
    if ((st = check_file(up.spool, &card, f)) != ST_OK ||
        (st = check_suffix("file", up.filename, card, f)) != ST_OK ||
        (st = describe(cmd, card, f)) != ST_OK || (st = publish(rq, &up, cmd, f)) != ST_OK ||
        (st = request_db_lease(rq, f)) != ST_OK)
        goto out;
    if ((st = respond_operation(rq, rs, f)) != ST_OK)
        discard(rq, cmd);
out:
    model_card_free(card);
    upload_free(&up);
    return st;
}

enum status ultralytics_model_upload(struct request *rq, struct response *rs, struct fault *f)
{
    struct model_create *cmd;
    enum status st;

    if (upload_is_multipart(rq))
        return upload_file(rq, rs, f);
    if (!rq->content_type || strncasecmp(rq->content_type, "application/json", 16) != 0)
        return fault_set(f, ST_UNSUPPORTED, NULL,
                         "send multipart/form-data with a file, or application/json");
    if ((st = decode_json(rq, LIMIT_JSON_BODY_BYTES, f)) != ST_OK ||
        (st = decode_command(rq, f)) != ST_OK)
        return st;
    cmd = rq->command;
    set_text(cmd, FIELD(model_create, status), &cmd->status, "untrained");
    return respond_operation(rq, rs, f);
}

enum status ultralytics_upload_create(struct request *rq, struct response *rs, struct fault *f)
{
    struct upload_create *cmd = rq->command;

    if (!has_suffix(cmd->file_name, ".pt") && !has_suffix(cmd->file_name, ".onnx"))
        return fault_set(f, ST_INVALID, "file_name", "must end in .pt or .onnx");
    if (cmd->size > config_i64("model.max_bytes"))
        return fault_set(f, ST_TOO_LARGE, "size", "model files may have %lld bytes at most",
                         (long long)config_i64("model.max_bytes"));
    cmd->ttl_s = link_ttl_s("upload");
    field_mark(cmd, FIELD(upload_create, ttl_s));
    response_header(rs, "Cache-Control", "no-store");
    return respond_operation(rq, rs, f);
}

/* What the session holds, and under which name: ST_NOT_FOUND before a file has arrived. */
static enum status find_stored(struct request *rq, struct digest *ret, const char **ret_name,
                               struct fault *f)
{
    const struct upload_complete *cmd = rq->command;
    const struct param params[] = { p_text(actor_literal(&rq->who, rq->arena)),
                                    p_i64(rq->arena, cmd->upload.id),
                                    p_i64(rq->arena, cmd->upload.stamp) };
    PGresult *r;
    enum status st =
        db_read(rq->db, "SELECT u.digest, u.name FROM domain.upload_get($1, $2) AS u WHERE u.stamp = $3",
                params, 3, &r, f);

    if (st != ST_OK)
        return st;
    if (PQntuples(r) == 0 || !row_bytes(r, 0, 0, ret->bytes, DIGEST_BYTES))
        st = fault_set(f, ST_NOT_FOUND, "upload", "no file has arrived for this session");
    else
        *ret_name = arena_strdup(rq->arena, row_text(r, 0, 1));
    PQclear(r);
    return st;
}

static enum status read_stored(struct request *rq, const struct digest *d, struct model_card **ret,
                               struct fault *f)
{
    const void *bytes;
    size_t n;
    enum status st = store_map(rq->ctx->store, d, &bytes, &n, f);

    if (st != ST_OK)
        return st;
    if ((st = model_card_read(bytes, n, ret, f)) != ST_OK) {
        f->field = "upload";
        st = of_content(st);
    }
    store_unmap(bytes, n);
    return st;
}

enum status ultralytics_upload_complete(struct request *rq, struct response *rs, struct fault *f)
{
    struct upload_complete *cmd = rq->command;
    struct model_card *card = NULL;
    struct digest d;
    char hex[DIGEST_HEX + 1];
    const char *name = NULL;
    enum status st = find_stored(rq, &d, &name, f);

    if (st != ST_OK)
        return st;
    digest_to_hex(&d, hex);
    if (field_given(cmd, FIELD(upload_complete, checksum)) && strcasecmp(cmd->checksum, hex) != 0)
        return fault_set(f, ST_INVALID, "checksum", "is not the SHA-256 of what has arrived");
    request_db_release(rq);
    if ((st = read_stored(rq, &d, &card, f)) == ST_OK &&
        (st = check_suffix("upload", name ? name : "", card, f)) == ST_OK &&
        (st = request_db_lease(rq, f)) == ST_OK) {
        DESCRIBE(upload_complete, cmd, card);
        if (card->task_known)
            set_text(cmd, FIELD(upload_complete, task), &cmd->task, model_task_name(card->task));
        st = respond_operation(rq, rs, f);
    }
    model_card_free(card);
    return st;
}
