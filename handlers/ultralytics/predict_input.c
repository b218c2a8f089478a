/* What a predict request asks for: the picture (file part, base64, data URL or URL) and the options. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/outbound.h"
#include "fcgi/decode.h"
#include "handlers/ultralytics/predict.h"
#include "inference/precision.h"

enum { CLASSES_MAX = 1000 };

static const struct key predict_keys[] = {
    { IN_BODY, "conf", FIELD(predict_input, conf), NULL },
    { IN_BODY, "iou", FIELD(predict_input, iou), NULL },
    { IN_BODY, "imgsz", FIELD(predict_input, imgsz), NULL },
    { IN_BODY, "max_det", FIELD(predict_input, max_det), NULL },
    { IN_BODY, "agnostic", FIELD(predict_input, agnostic), NULL },
    { IN_BODY, "top", FIELD(predict_input, top), NULL },
    { IN_BODY, "precision", FIELD(predict_input, precision), NULL },
    { IN_BODY, "exact", FIELD(predict_input, exact), NULL },
    { IN_BODY, "output", FIELD(predict_input, output), NULL },
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

/* ---- classes: numbers or names, as a list of JSON or as "0, 2" or "[0, 2]" in a form ---- */

static enum status too_many_classes(struct fault *f)
{
    return fault_set(f, ST_INVALID, "classes", "must have at most %d entries", CLASSES_MAX);
}

static enum status classes_from_json(struct request *rq, struct json_object *v, struct texts *ret,
                                     struct fault *f)
{
    const size_t n = json_object_is_type(v, json_type_array) ? json_object_array_length(v) : 0;
    const char **items;

    if (!json_object_is_type(v, json_type_array))
        return fault_set(f, ST_INVALID, "classes", "must be a list of class numbers or names");
    if (n > CLASSES_MAX)
        return too_many_classes(f);
    if (!(items = arena_array(rq->arena, n + 1, sizeof *items)))
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    for (size_t i = 0; i < n; i++) {
        struct json_object *item = json_object_array_get_idx(v, i);
        if (!json_object_is_type(item, json_type_int) && !json_object_is_type(item, json_type_string))
            return fault_set(f, ST_INVALID, "classes", "entry %zu must be a number or a name", i);
        items[i] = json_object_get_string(item); /* the digits of a number */
    }
    *ret = (struct texts){ items, n };
    return ST_OK;
}

static enum status classes_from_form(struct request *rq, const char *text, struct texts *ret,
                                     struct fault *f)
{
    char *copy = arena_strdup(rq->arena, text), *rest = copy;
    const char **items = arena_array(rq->arena, CLASSES_MAX, sizeof *items), *item;
    size_t n = 0;

    if (!copy || !items)
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    while ((item = strsep(&rest, ","))) {
        char *end;
        item += strspn(item, " [\t");
        end = (char *)(uintptr_t)item + strlen(item);
        while (end > item && strchr(" ]\t", end[-1]))
            *--end = '\0';
        if (!*item)
            continue;
        if (n == CLASSES_MAX)
            return too_many_classes(f);
        items[n++] = item;
    }
    *ret = (struct texts){ items, n };
    return ST_OK;
}

static enum status read_classes(struct request *rq, struct texts *ret, struct fault *f)
{
    struct json_object *v;

    if (rq->body)
        return json_object_object_get_ex(rq->body, "classes", &v) && v ? classes_from_json(rq, v, ret, f)
                                                                       : ST_OK;
    for (size_t i = 0; i < rq->nform; i++)
        if (strcmp(rq->form[i].name, "classes") == 0)
            return classes_from_form(rq, rq->form[i].value, ret, f);
    return ST_OK;
}

/* ---- the request ---- */

/* The bytes of the form's file, or the parsed JSON. */
static enum status read_body(struct request *rq, struct upload *up, struct fault *f)
{
    const int64_t most = config_i64("predict.max_bytes");

    if (upload_is_multipart(rq))
        return upload_to_memory(rq, "file", most, up, f);
    up->bytes.max = (size_t)most;
    if (!rq->content_type || strncasecmp(rq->content_type, "application/json", 16) != 0)
        return fault_set(f, ST_UNSUPPORTED, NULL,
                         "send multipart/form-data with a file, or application/json");
    return decode_json(rq, (size_t)most * 3 / 2, f); /* base64 is a third longer */
}

enum status predict_receive(struct request *rq, struct predict_request *ret, struct fault *f)
{
    struct predict_input *in = &ret->in;
    enum status st = read_body(rq, &ret->up, f);

    if (st != ST_OK ||
        (st = decode_fields(rq, predict_keys, sizeof predict_keys / sizeof *predict_keys,
                            &predict_input_record, in, f)) != ST_OK ||
        (st = read_classes(rq, &ret->classes, f)) != ST_OK)
        return st;
    if (ret->up.has_file)
        return ST_OK;
    if (!field_given(in, FIELD(predict_input, source)))
        return fault_set(f, ST_INVALID, "file", "is required, or source");
    return strncmp(in->source, "http://", 7) != 0 && strncmp(in->source, "https://", 8) != 0
               ? from_base64(in->source, &ret->up.bytes, f)
               : from_url(in->source, &ret->up.bytes, f);
}

/* ---- options ---- */

/* One of the names that the command allows. */
static enum precision precision_of(const char *name)
{
    enum precision p = PRECISION_AUTO;

    return name && precision_find(name, &p) ? p : PRECISION_AUTO;
}

/* A name first: classes may be called "3". */
static bool find_class(const struct model_card *card, const char *text, int *ret)
{
    int64_t number;

    for (int i = 0; i < card->nclasses; i++)
        if (strcmp(card->class_names[i], text) == 0) {
            *ret = i;
            return true;
        }
    if (!text_i64(text, strlen(text), &number) || number < 0 || number >= card->nclasses)
        return false;
    *ret = (int)number;
    return true;
}

static enum status find_classes(struct request *rq, const struct texts *classes,
                                const struct model_card *card, struct predict_options *ret,
                                struct fault *f)
{
    int *numbers = arena_array(rq->arena, classes->n + 1, sizeof *numbers);

    if (!numbers)
        return fault_set(f, ST_TOO_LARGE, NULL, "the request needs too much memory");
    for (size_t i = 0; i < classes->n; i++)
        if (!find_class(card, classes->items[i], &numbers[i]))
            return fault_set(f, ST_INVALID, "classes", "the model has no class '%.48s'",
                             classes->items[i]);
    ret->classes = numbers;
    ret->nclasses = classes->n;
    return ST_OK;
}

enum status predict_options_of(struct request *rq, const struct predict_request *p,
                               const struct model_card *card, struct predict_options *ret,
                               struct fault *f)
{
    const struct predict_input *in = &p->in;
    const bool all = !field_given(in, FIELD(predict_input, max_det));

    *ret = (struct predict_options){
        .conf = field_given(in, FIELD(predict_input, conf)) ? (float)in->conf : 0.25f,
        .iou = field_given(in, FIELD(predict_input, iou)) ? (float)in->iou : 0.7f,
        .imgsz = (int)in->imgsz,
        .max_detections = all ? LIMIT_DETECTIONS : (int)in->max_det,
        .top = (int)in->top,
        .agnostic = in->agnostic,
        .precision = precision_of(in->precision),
        .exact = in->exact,
    };
    return find_classes(rq, &p->classes, card, ret, f);
}
