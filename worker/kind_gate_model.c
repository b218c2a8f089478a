/*
 * The accuracy gate as jobs: gate_model tries one model's weights, {"file": id} with the processor that
 * asked, if one did; gate_models looks for what no verdict holds for on this processor: a new release, a
 * new machine, a dataset that has grown. Weights that arrive are queued by the database itself.
 */
#include <inttypes.h>
#include <string.h>

#include "base/json.h"
#include "domain/precision_gate.h"
#include "worker/kinds.h"

enum { AT_MOST = 1000 };

static bool step(void *arg)
{
    return job_step(arg, 0);
}

/* A trial on another kind of processor would prove nothing: left to a worker there, for some attempts.
 */
static enum status read_parameters(const struct job *job, int64_t *ret_file, struct fault *f)
{
    struct json_object *body = NULL, *file = NULL, *cpu = NULL;
    char here[PRECISION_CPU];
    enum status st = json_parse(job->parameters, strlen(job->parameters), &body, f);

    if (st != ST_OK)
        return st;
    if (!json_object_object_get_ex(body, "file", &file) || !json_object_is_type(file, json_type_int))
        st = fault_set(f, ST_INVALID, "file", "is required");
    else if (json_object_object_get_ex(body, "cpu", &cpu) &&
             strcmp(json_object_get_string(cpu), precision_cpu(here)) != 0)
        st = fault_set(f, ST_UNAVAILABLE, NULL, "this processor is %s", here);
    else
        *ret_file = json_object_get_int64(file);
    json_object_put(body);
    return st;
}

enum status gate_model_run(struct job *job, struct buffer *result, struct fault *f)
{
    const struct stepper stepper = { step, job };
    int64_t file = 0;
    int tried = 0;
    enum status st = read_parameters(job, &file, f);

    if (st == ST_OK)
        st = precision_gate(job->worker->db, job->worker->store, file, &stepper, &tried, f);
    if (st == ST_NOT_FOUND)
        st = ST_OK; /* removed meanwhile, or nothing that this build runs */
    if (st == ST_OK)
        buffer_printf(result, "{\"verdicts\":%d}", tried);
    return st;
}

enum status gate_models_run(struct job *job, struct buffer *result, struct fault *f)
{
    int64_t queued = 0;
    const enum status st = precision_queue(job->worker->db, AT_MOST, &queued, f);

    if (st == ST_OK)
        buffer_printf(result, "{\"queued\":%" PRId64 "}", queued);
    return st;
}
