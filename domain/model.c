/* Models and their files: operations. */
#include "domain/operation.h"
#include "domain/operations.h"

const char *const tasks[] = { "detect", "segment", "pose", "obb", "classify", "semantic", NULL };
const char *const model_statuses[] = {
    "pending", "untrained", "starting", "running", "completed", "failed", "cancelled", NULL,
};

const char *const precisions[] = { "auto", "f32", "f16", "bf16", "int8", NULL };
const char *const predict_outputs[] = { "json", "jpeg", "png", NULL };

const char *const asset_types[] = { "models", NULL };

DEFINE_COMMAND(model_ref, MODEL_REF)
DEFINE_COMMAND(model_list, MODEL_LIST)
DEFINE_COMMAND(model_create, MODEL_CREATE)
DEFINE_COMMAND(predict_input, PREDICT_INPUT)
DEFINE_COMMAND(upload_create, UPLOAD_CREATE)
DEFINE_COMMAND(upload_complete, UPLOAD_COMPLETE)

const struct operation op_model_get = {
    .name = "model_get",
    .kind = OP_GET,
    .call = "domain.model_get",
    .input = &model_ref_record,
    .nargs = 1,
};

static const struct filter model_filters[] = {
    { FIELD(model_list, project), "r.project_id = ?" },
    { FIELD(model_list, task), "r.task = ?" },
    { FIELD(model_list, status), "r.status = ?" },
    { FIELD(model_list, slug), "r.slug = ?" },
};
const struct operation op_model_list = {
    .name = "model_list",
    .kind = OP_LIST,
    .call = "domain.model_list",
    .total = "domain.model_total",
    .input = &model_list_record,
    .filters = model_filters,
    .nfilters = 4,
};

const struct operation op_model_create = {
    .name = "model_create",
    .kind = OP_WRITE,
    .call = "domain.model_create",
    .read = "domain.model_get",
    .input = &model_create_record,
    .nargs = model_create_nfields,
    .creates = true,
};
const struct operation op_model_trash = {
    .name = "model_trash",
    .kind = OP_WRITE,
    .call = "domain.model_trash",
    .read = "domain.model_trashed",
    .input = &model_ref_record,
    .nargs = 1,
};

static const struct sort file_sorts[] = { { "", "@.created_at" } };
const struct operation op_model_files = {
    .name = "model_files",
    .kind = OP_LIST,
    .call = "domain.model_file_list",
    .total = "domain.model_file_total",
    .input = &model_ref_record,
    .nargs = 1,
    .guard = "domain.model_get",
    .sorts = file_sorts,
    .nsorts = 1,
    .sort_field = -1,
    .direction_field = -1,
};
const struct operation op_model_weights = {
    .name = "model_weights",
    .kind = OP_GET,
    .call = "domain.model_weights",
    .input = &model_ref_record,
    .nargs = 1,
};

const struct operation op_upload_create = {
    .name = "upload_create",
    .kind = OP_WRITE,
    .call = "domain.upload_create",
    .read = "domain.upload_get",
    .input = &upload_create_record,
    .nargs = FIELD(upload_create, ttl_s) + 1,
};
const struct operation op_upload_complete = {
    .name = "upload_complete",
    .kind = OP_WRITE,
    .call = "domain.upload_complete",
    .read = "domain.upload_get",
    .input = &upload_complete_record,
    .nargs = FIELD(upload_complete, gflops) + 1,
};
