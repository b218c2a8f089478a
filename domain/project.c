/* Projects, their members and their timeline: operations. The rules stand in sql/domain/. */
#include "domain/operation.h"
#include "domain/operations.h"

const char *const visibilities[] = { "private", "public", NULL };
const char *const directions[] = { "asc", "desc", NULL };
const char *const timeline_types[] = { "dataset", "experiment", "model", "member", NULL };
const char *const roles[] = { "owner", "editor", "viewer", NULL };
const char *const project_sorts[] = { "created_at",       "name", "dataset_count", "model_count",
                                      "experiment_count", NULL };

DEFINE_COMMAND(project_ref, PROJECT_REF)
DEFINE_COMMAND(project_list, PROJECT_LIST)
DEFINE_COMMAND(project_shared, PROJECT_SHARED)
DEFINE_COMMAND(project_create, PROJECT_CREATE)
DEFINE_COMMAND(project_update, PROJECT_UPDATE)
DEFINE_COMMAND(timeline, TIMELINE)
DEFINE_COMMAND(member_set, MEMBER_SET)
DEFINE_COMMAND(member_remove, MEMBER_REMOVE)

const struct operation op_project_get = {
    .name = "project_get",
    .kind = OP_GET,
    .call = "domain.project_get",
    .input = &project_ref_record,
    .nargs = 1,
};

static const struct filter project_list_filters[] = {
    { FIELD(project_list, slug), "r.slug = ?" },
};
const struct operation op_project_list = {
    .name = "project_list",
    .kind = OP_LIST,
    .call = "domain.project_list",
    .total = "domain.project_total",
    .input = &project_list_record,
    .filters = project_list_filters,
    .nfilters = 1,
};
const struct operation op_project_of = {
    .name = "project_of",
    .kind = OP_LIST,
    .call = "domain.project_of",
    .total = "domain.project_of_total",
    .input = &project_list_record,
    .nargs = 1, /* the owner */
    .filters = project_list_filters,
    .nfilters = 1,
};

static const struct filter project_shared_filters[] = {
    { FIELD(project_shared, search), "(strpos(lower(r.name), lower(?)) > 0 OR "
                                     "strpos(lower(coalesce(r.description, '')), lower(?)) > 0)" },
};
static const struct sort project_shared_sorts[] = {
    { "created_at", "@.created_at" },
    { "name", "lower(@.name)" },
    { "dataset_count", "@.dataset_count" },
    { "model_count", "@.model_count" },
    { "experiment_count", "@.experiment_count" },
};
const struct operation op_project_shared = {
    .name = "project_shared",
    .kind = OP_LIST,
    .call = "domain.project_shared",
    .total = "domain.project_shared_total",
    .input = &project_shared_record,
    .filters = project_shared_filters,
    .nfilters = 1,
    .sorts = project_shared_sorts,
    .nsorts = 5,
    .sort_field = FIELD(project_shared, sort),
    .direction_field = FIELD(project_shared, direction),
};

const struct operation op_project_create = {
    .name = "project_create",
    .kind = OP_WRITE,
    .call = "domain.project_create",
    .read = "domain.project_get",
    .input = &project_create_record,
    .nargs = project_create_nfields,
    .creates = true,
};
const struct operation op_project_update = {
    .name = "project_update",
    .kind = OP_WRITE,
    .call = "domain.project_update",
    .read = "domain.project_get",
    .input = &project_update_record,
    .nargs = project_update_nfields,
    .sends_given = true,
};
const struct operation op_project_trash = {
    .name = "project_trash",
    .kind = OP_WRITE,
    .call = "domain.project_trash",
    .read = "domain.project_trashed",
    .input = &project_ref_record,
    .nargs = 1,
};
const struct operation op_project_purge = {
    .name = "project_purge",
    .kind = OP_WRITE,
    .call = "domain.project_purge",
    .input = &project_ref_record,
    .nargs = 1,
};

static const struct sort member_sorts[] = { { "", "(@.role <> 'owner'), @.created_at" } };
const struct operation op_member_list = {
    .name = "member_list",
    .kind = OP_LIST,
    .call = "domain.member_list",
    .total = "domain.member_total",
    .input = &project_ref_record,
    .nargs = 1,
    .guard = "domain.project_joined",
    .sorts = member_sorts,
    .nsorts = 1,
    .sort_field = -1,
    .direction_field = -1,
    .ascending = true,
};
const struct operation op_member_set = {
    .name = "member_set",
    .kind = OP_WRITE,
    .call = "domain.member_set",
    .read = "domain.member_get",
    .input = &member_set_record,
    .nargs = member_set_nfields,
};
const struct operation op_member_remove = {
    .name = "member_remove",
    .kind = OP_WRITE,
    .call = "domain.member_remove",
    .input = &member_remove_record,
    .nargs = member_remove_nfields,
};

static const struct sort timeline_sorts[] = { { "", "@.created_at" } };
const struct operation op_timeline = {
    .name = "timeline",
    .kind = OP_LIST,
    .call = "domain.timeline",
    .total = "domain.timeline_total",
    .input = &timeline_record,
    .nargs = timeline_nfields,
    .guard = "domain.project_joined",
    .sorts = timeline_sorts,
    .nsorts = 1,
    .sort_field = -1,
    .direction_field = -1,
    .ascending = true,
};
