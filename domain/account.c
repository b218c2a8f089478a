/* What belongs to an account: API keys, events, storage. Operations. */
#include "domain/operation.h"
#include "domain/operations.h"

const char *const scope_names[] = { "training", "models",  "datasets", "read",
                                    "write",    "predict", "admin",    NULL };

DEFINE_COMMAND(api_key_ref, API_KEY_REF)
DEFINE_COMMAND(api_key_create, API_KEY_CREATE)
DEFINE_COMMAND(event_list, EVENT_LIST)
DEFINE_COMMAND(events_mark, EVENTS_MARK)

const struct operation op_api_key_list = {
    .name = "api_key_list",
    .kind = OP_LIST,
    .call = "domain.api_key_list",
    .total = "domain.api_key_total",
};
const struct operation op_api_key_create = {
    .name = "api_key_create",
    .kind = OP_WRITE,
    .call = "domain.api_key_create",
    .read = "domain.api_key_get",
    .input = &api_key_create_record,
    .nargs = api_key_create_nfields,
};
const struct operation op_api_key_revoke = {
    .name = "api_key_revoke",
    .kind = OP_WRITE,
    .call = "domain.api_key_revoke",
    .input = &api_key_ref_record,
    .nargs = 1,
};

static const struct filter event_filters[] = {
    { FIELD(event_list, start), "r.created_at >= ?::timestamptz" },
    { FIELD(event_list, end), "r.created_at <= ?::timestamptz" },
    { FIELD(event_list, search), "(strpos(lower(r.message), lower(?)) > 0 OR "
                                 "strpos(lower(coalesce(r.resource_name, '')), lower(?)) > 0)" },
    { FIELD(event_list, archived), "r.archived = ?::boolean" },
};
const struct operation op_event_list = {
    .name = "event_list",
    .kind = OP_LIST,
    .call = "domain.event_list",
    .total = "domain.event_total",
    .input = &event_list_record,
    .filters = event_filters,
    .nfilters = 4,
};
const struct operation op_events_mark_seen = {
    .name = "events_mark_seen",
    .kind = OP_WRITE,
    .call = "domain.events_mark_seen",
    .input = &events_mark_record,
    .nargs = 1,
};
const struct operation op_events_archive = {
    .name = "events_archive",
    .kind = OP_WRITE,
    .call = "domain.events_archive",
    .input = &events_mark_record,
    .nargs = 2,
};
const struct operation op_storage_get = {
    .name = "storage_get",
    .kind = OP_GET,
    .call = "domain.storage_get",
};
