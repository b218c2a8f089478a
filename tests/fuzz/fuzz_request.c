/*
 * A request from the wire to the SQL that it means, by the real tables of every dialect and without a
 * database: path, query, route, credential, page, body, command, sentence. No input crashes; what is
 * refused is refused by a 4xx with a JSON body; what is accepted has a sentence whose parameters fit.
 *
 * Input, a line each: method and target ("GET /automl/api/projects?limit=1"), Content-Type,
 * Authorization; then the body. The mount chooses the dialect, as nginx does.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "base/json.h"
#include "base/limits.h"
#include "fcgi/auth.h"
#include "fcgi/context.h"
#include "fcgi/decode.h"
#include "fcgi/router.h"
#include "handlers/automl/automl.h"
#include "handlers/ultralytics/ultralytics.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct dialect *const dialects[] = { &ultralytics_dialect, &automl_dialect };
enum { NDIALECTS = sizeof dialects / sizeof *dialects };

/* What nginx would say of the input. */
struct wire {
    const char *method, *target, *content_type, *authorization;
    char mount[32], length[24];
    const char *body;
    size_t body_n, at;
};

static const char *wire_param(void *arg, const char *name)
{
    const struct wire *w = arg;
    const struct {
        const char *name, *value;
    } params[] = {
        { "REQUEST_METHOD", w->method },     { "REQUEST_URI", w->target },
        { "CONTENT_TYPE", w->content_type }, { "HTTP_AUTHORIZATION", w->authorization },
        { "CONTENT_LENGTH", w->length },     { "FOVEA_MOUNT", w->mount },
        { "FOVEA_HOST", "127.0.0.1:8080" },  { "FOVEA_SCHEME", "http" },
        { "FOVEA_REQUEST_ID", "fuzz" },
    };

    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        if (strcmp(params[i].name, name) == 0)
            return params[i].value;
    return NULL;
}

static size_t wire_read(void *arg, char *p, size_t n)
{
    struct wire *w = arg;

    if (n > w->body_n - w->at)
        n = w->body_n - w->at;
    memcpy(p, w->body + w->at, n);
    w->at += n;
    return n;
}

static bool wire_write(void *arg, const char *p, size_t n)
{
    (void)arg;
    (void)p;
    (void)n;
    return true;
}

static bool wire_answer(void *arg, struct slice head, struct slice body)
{
    (void)arg;
    (void)head;
    (void)body;
    return true;
}

static const char *cut(char **rest, const char *at)
{
    const char *text = *rest ? strsep(rest, at) : NULL;

    return text ? text : "";
}

static const struct dialect *choose(struct wire *w)
{
    for (size_t i = 0; i < NDIALECTS; i++) {
        const size_t n = strlen(dialects[i]->name);

        if (w->target[0] == '/' && strncmp(w->target + 1, dialects[i]->name, n) == 0 &&
            strchr("/?", w->target[n + 1])) { /* also at the end of the text */
            snprintf(w->mount, sizeof w->mount, "/%s", dialects[i]->name);
            return dialects[i];
        }
    }
    return dialects[0];
}

static enum status sentence(struct request *rq, struct fault *f)
{
    const struct operation *op = rq->route->op;
    const struct actor who = {
        .account_id = 1, .organization_id = 1, .key_id = 1, .scopes = SCOPE_ADMIN
    };
    const struct asker asker = { .base_url = request_base_url(rq) };
    const struct shape shape = { rq->dialect->name, rq->route->shape, rq->route->beside };
    struct sentence s = { 0 }, reading = { 0 };
    enum status st;

    if (!op)
        return ST_OK;
    if (op->kind == OP_WRITE)
        st = operation_write(op, &who, &asker, &shape, rq->command, rq->arena, &s, &reading, f);
    else
        st = operation_read(op, &who, &asker, &shape, rq->command, &rq->page, rq->arena, &s, f);
    assert(st != ST_OK || (s.sql && s.n <= OPERATION_PARAMS && reading.n <= OPERATION_PARAMS));
    return st;
}

static enum status understand(struct request *rq, struct fault *f)
{
    struct slice key;
    char allow[64];
    enum status st = request_parse(rq, f);

    if (st != ST_OK)
        return st;
    if ((st = router_find(rq->ctx->router, rq, allow, f)) != ST_OK) {
        assert(st == ST_NOT_FOUND || (st == ST_NO_METHOD && allow[0]));
        return st;
    }
    if ((st = rq->dialect->credential(rq, &key, f)) != ST_OK || (st = decode_body(rq, f)) != ST_OK)
        return st;
    if (rq->route->page.most) {
        if ((st = rq->dialect->page(rq, &rq->route->page, &rq->page, f)) != ST_OK)
            return st;
        assert(rq->page.limit >= 1 && rq->page.limit <= rq->route->page.most && rq->page.offset >= 0);
    }
    if (rq->route->body == BODY_OWN) /* its handler reads it, in its own way */
        return ST_OK;
    if ((st = decode_command(rq, f)) != ST_OK)
        return st;
    return sentence(rq, f);
}

static void refuse(struct request *rq, struct response *rs, enum status st, const struct fault *f)
{
    struct json_object *tree = NULL;
    struct fault ignored = FAULT_INIT;

    assert(f->detail[0]);
    rq->dialect->fault(rq, rs, st, f);
    assert(rs->status >= 400 && rs->status < 500);
    if (json_parse(rs->body.p, rs->body.n, &tree, &ignored) != ST_OK)
        abort();
    json_object_put(tree);
}

static struct context *the_context(void)
{
    static struct context ctx = { .dialects = dialects, .ndialects = NDIALECTS };
    struct fault f = FAULT_INIT;

    if (!ctx.router && (config_load("/dev/null", NULL, &f) != ST_OK ||
                        !(ctx.router = router_create(dialects, NDIALECTS))))
        abort();
    return &ctx;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = calloc(size + 1, 1), *rest = text;
    struct wire w = { 0 };
    const struct transport transport = { &w, wire_param, wire_read, wire_write, wire_answer };
    struct request rq = { .ctx = the_context(), .transport = &transport };
    struct response rs = { 0 };
    struct fault f = FAULT_INIT;
    enum status st;

    if (!text || !(rq.arena = arena_create(LIMIT_REQUEST_ARENA_BYTES)))
        abort();
    memcpy(text, data, size);
    w.method = cut(&rest, " ");
    w.target = cut(&rest, "\n");
    w.content_type = cut(&rest, "\n");
    w.authorization = cut(&rest, "\n");
    w.body = rest ? rest : "";
    w.body_n = rest ? size - (size_t)(rest - text) : 0;
    snprintf(w.length, sizeof w.length, "%zu", w.body_n);
    rq.dialect = choose(&w);
    if ((st = understand(&rq, &f)) != ST_OK)
        refuse(&rq, &rs, st, &f);
    if (rq.body)
        json_object_put(rq.body);
    buffer_free(&rs.headers);
    buffer_free(&rs.body);
    arena_free(rq.arena);
    free(text);
    return 0;
}
