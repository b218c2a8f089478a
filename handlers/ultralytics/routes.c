/*
 * The Ultralytics Platform API as tables. Answers are the seed's envelope with the later generations'
 * top-level twins beside it (they do not collide), so that every known client finds what it reads.
 */
#include <string.h>

#include "domain/operations.h"
#include "handlers/schemas.h"
#include "handlers/ultralytics/ultralytics.h"

/* A date without a time ends with that day. */
static const char *end_of_day(const char *text, struct arena *a)
{
    return strlen(text) == 10 ? arena_printf(a, "%sT23:59:59.999999Z", text) : text;
}

static const struct key project_path[] = { { IN_PATH, "projectId", FIELD(project_ref, project), NULL } };
static const struct key project_list_query[] = {
    { IN_QUERY, "slug", FIELD(project_list, slug), NULL },
    { IN_QUERY, "username", FIELD(project_list, owner), NULL },
    { IN_QUERY, "owner", FIELD(project_list, owner), NULL },
};
static const struct key project_body[] = {
    { IN_BODY, "name", FIELD(project_create, name), NULL },
    { IN_BODY, "description", FIELD(project_create, description), NULL },
    { IN_BODY, "slug", FIELD(project_create, slug), NULL },
    { IN_BODY, "visibility", FIELD(project_create, visibility), NULL },
    { IN_BODY, "tags", FIELD(project_create, tags), NULL },
    { IN_BODY, "license", FIELD(project_create, license), NULL },
    { IN_BODY, "metadata", FIELD(project_create, metadata), NULL },
};
static const struct key model_path[] = { { IN_PATH, "modelId", FIELD(model_ref, model), NULL } };
static const struct key model_list_query[] = {
    { IN_QUERY, "projectId", FIELD(model_list, project), NULL },
    { IN_QUERY, "task", FIELD(model_list, task), NULL },
    { IN_QUERY, "status", FIELD(model_list, status), NULL },
    { IN_QUERY, "slug", FIELD(model_list, slug), NULL },
};
static const struct key model_body[] = {
    { IN_BODY, "projectId", FIELD(model_create, project), NULL },
    { IN_BODY, "name", FIELD(model_create, name), NULL },
    { IN_BODY, "slug", FIELD(model_create, slug), NULL },
    { IN_BODY, "description", FIELD(model_create, description), NULL },
    { IN_BODY, "task", FIELD(model_create, task), NULL },
};
static const struct key upload_body[] = {
    { IN_BODY, "assetType", FIELD(upload_create, asset_type), NULL },
    { IN_BODY, "assetId", FIELD(upload_create, model), NULL },
    { IN_BODY, "filename", FIELD(upload_create, file_name), NULL },
    { IN_BODY, "contentType", FIELD(upload_create, media_type), NULL },
    { IN_BODY, "totalBytes", FIELD(upload_create, size), NULL },
};
static const struct key complete_body[] = {
    { IN_BODY, "sessionId", FIELD(upload_complete, upload), NULL },
    { IN_BODY, "checksum", FIELD(upload_complete, checksum), NULL },
};
static const struct key api_key_path[] = { { IN_PATH, "keyId", FIELD(api_key_ref, api_key), NULL } };
static const struct key api_key_query[] = { { IN_QUERY, "keyId", FIELD(api_key_ref, api_key), NULL } };
static const struct key api_key_body[] = {
    { IN_BODY, "name", FIELD(api_key_create, name), NULL },
    { IN_BODY, "scopes", FIELD(api_key_create, scopes), NULL },
};
static const struct key event_query[] = {
    { IN_QUERY, "startDate", FIELD(event_list, start), NULL },
    { IN_QUERY, "start", FIELD(event_list, start), NULL },
    { IN_QUERY, "endDate", FIELD(event_list, end), end_of_day },
    { IN_QUERY, "end", FIELD(event_list, end), end_of_day },
    { IN_QUERY, "search", FIELD(event_list, search), NULL },
    { IN_QUERY, "archived", FIELD(event_list, archived), NULL },
};
static const struct key events_body[] = {
    { IN_BODY, "eventIds", FIELD(events_mark, events), NULL },
    { IN_BODY, "archive", FIELD(events_mark, archive), NULL },
};

#define PAGED "\"meta\":{\"page\":$page,\"limit\":$limit,\"total\":$total},\"nextCursor\":$next"

enum { READ_MODELS = SCOPE_READ | SCOPE_MODELS };

const struct route ultralytics_routes[] = {
    /* projects */
    { "GET", "/projects", &op_project_list, KEYS(project_list_query), .shape = "project", .status = 200,
      .envelope = "{\"success\":true,\"data\":$rows," PAGED
                  ",\"projects\":$rows,\"total\":$total,\"region\":$region}",
      .handler = ultralytics_projects, .scopes = READ_MODELS, .page = { 20, 500 },
      .summary = "List projects", .noun = "project" },
    { "GET", "/projects/{projectId}", &op_project_get, KEYS(project_path), .shape = "project",
      .beside = "project_beside", .status = 200,
      .envelope =
          "{\"success\":true,\"data\":$row,\"project\":$row,\"models\":$.models,\"isOwner\":$.isOwner}",
      .scopes = READ_MODELS, .summary = "Get one project", .noun = "project" },
    { "POST", "/projects", &op_project_create, KEYS(project_body), .shape = "project", .status = 201,
      .envelope =
          "{\"success\":true,\"data\":$row,\"project\":$row,\"projectId\":$.id,\"_id\":$.id,\"id\":$.id,"
          "\"slug\":$.slug,\"region\":$region}",
      .scopes = SCOPE_MODELS, .body = BODY_JSON, .summary = "Create a project", .noun = "project" },
    { "DELETE", "/projects/{projectId}", &op_project_trash, KEYS(project_path), .shape = "project_gone",
      .status = 200, .envelope = "{\"success\":true,\"data\":$row,\"cascadedModels\":$.cascadedModels}",
      .scopes = SCOPE_MODELS, .summary = "Move a project and its models to the trash",
      .noun = "project_gone" },

    /* models */
    { "GET", "/models", &op_model_list, KEYS(model_list_query), .shape = "model", .status = 200,
      .envelope = "{\"success\":true,\"data\":$rows," PAGED
                  ",\"models\":$rows,\"total\":$total,\"region\":$region}",
      .scopes = READ_MODELS, .page = { 100, 500 }, .summary = "List models", .noun = "model" },
    { "GET", "/models/{modelId}", &op_model_get, KEYS(model_path), .shape = "model", .status = 200,
      .envelope = "{\"success\":true,\"data\":$row,\"model\":$row,\"isOwner\":$.isOwner}",
      .scopes = READ_MODELS, .summary = "Get one model", .noun = "model" },
    { "POST", "/models", &op_model_create, KEYS(model_body), .shape = "model", .status = 201,
      .envelope =
          "{\"success\":true,\"data\":$row,\"model\":$row,\"modelId\":$.id,\"_id\":$.id,\"id\":$.id,"
          "\"slug\":$.slug,\"region\":$region}",
      .handler = ultralytics_model_upload, .scopes = SCOPE_MODELS, .body = BODY_OWN, .pool = POOL_SLOW,
      .upload = true, .summary = "Upload a model file (.onnx or .pt), or create a model without weights",
      .noun = "model" },
    { "DELETE", "/models/{modelId}", &op_model_trash, KEYS(model_path), .shape = "model_gone",
      .status = 200, .envelope = "{\"success\":true,\"data\":$row}", .scopes = SCOPE_MODELS,
      .summary = "Move a model to the trash", .noun = "model_gone" },
    { "GET", "/models/{modelId}/files", &op_model_files, KEYS(model_path), .shape = "model_file",
      .status = 200, .envelope = "{\"success\":true,\"data\":$rows,\"files\":$rows}",
      .scopes = READ_MODELS, .page = { 100, 100 }, .summary = "Signed links to a model's files",
      .noun = "model_file" },
    { "POST", "/models/{modelId}/predict", &op_model_weights, KEYS(model_path), .status = 200,
      .handler = ultralytics_predict, .scopes = READ_MODELS | SCOPE_PREDICT, .body = BODY_OWN,
      .pool = POOL_PREDICT, .upload = true, .summary = "Run a model on a picture",
      .noun = "prediction" },

    /* uploads through a signed address */
    { "POST", "/upload/signed-url", &op_upload_create, KEYS(upload_body), .shape = "upload",
      .status = 200, .envelope = "{\"success\":true,\"data\":$row,$members}",
      .handler = ultralytics_upload_create, .scopes = SCOPE_MODELS, .body = BODY_JSON, .secret = true,
      .summary = "Open an upload session for a model: an address to PUT the file to", .noun = "upload" },
    { "POST", "/upload/complete", &op_upload_complete, KEYS(complete_body), .shape = "upload_file",
      .status = 200,
      .envelope = "{\"success\":true,\"data\":{\"file\":$row,\"modelId\":$.modelId},\"file\":$row,"
                  "\"modelId\":$.modelId}",
      .handler = ultralytics_upload_complete, .scopes = SCOPE_MODELS, .body = BODY_JSON,
      .pool = POOL_SLOW, .summary = "Attach the file that was sent to its model",
      .noun = "upload_file" },

    /* API keys */
    { "GET", "/api-keys", &op_api_key_list, .shape = "api_key", .status = 200,
      .envelope = "{\"success\":true,\"data\":$rows," PAGED ",\"keys\":$rows}", .scopes = SCOPE_ADMIN,
      .page = { 100, 500 }, .summary = "List API keys", .noun = "api_key" },
    { "POST", "/api-keys", &op_api_key_create, KEYS(api_key_body), .shape = "api_key", .status = 201,
      .envelope = "{\"success\":true,\"data\":{$members,\"key\":$:key},\"key\":$:key,\"keyId\":$.id,"
                  "\"id\":$.id}",
      .handler = ultralytics_api_key_create, .scopes = SCOPE_ADMIN, .body = BODY_JSON, .secret = true,
      .summary = "Create an API key; the answer shows it once", .noun = "api_key" },
    { "DELETE", "/api-keys/{keyId}", &op_api_key_revoke, KEYS(api_key_path), .status = 200,
      .envelope = "{\"success\":true,\"data\":{\"id\":$:id,\"revoked\":true}}",
      .handler = ultralytics_api_key_revoke, .scopes = SCOPE_ADMIN, .summary = "Revoke an API key" },
    { "DELETE", "/api-keys", &op_api_key_revoke, KEYS(api_key_query), .status = 200,
      .envelope = "{\"success\":true,\"data\":{\"id\":$:id,\"revoked\":true}}",
      .handler = ultralytics_api_key_revoke, .scopes = SCOPE_ADMIN,
      .summary = "Revoke an API key named in the query" },

    /* storage and activity */
    { "GET", "/storage", &op_storage_get, .shape = "storage", .status = 200,
      .envelope = "{\"success\":true,\"data\":$row,$members,\"region\":$region}",
      .handler = ultralytics_storage, .scopes = SCOPE_READ, .summary = "Storage used and allowed",
      .noun = "storage" },
    { "GET", "/activity", &op_event_list, KEYS(event_query), .shape = "event", .status = 200,
      .envelope = "{\"success\":true,\"data\":$rows," PAGED ",\"events\":$rows,\"total\":$total,"
                  "\"unseenCount\":$:unseen}",
      .handler = ultralytics_events, .scopes = SCOPE_READ, .page = { 20, 100 },
      .summary = "List activity events", .noun = "event" },
    { "POST", "/activity/mark-seen", &op_events_mark_seen, KEYS(events_body), .status = 200,
      .envelope = "{\"success\":true,\"data\":{\"updated\":$total}}", .scopes = SCOPE_WRITE,
      .body = BODY_JSON_OPTIONAL, .summary = "Mark events as seen; all of them without a body" },
    { "POST", "/activity/archive", &op_events_archive, KEYS(events_body), .status = 200,
      .envelope = "{\"success\":true,\"data\":{\"updated\":$total}}", .scopes = SCOPE_WRITE,
      .body = BODY_JSON_OPTIONAL, .summary = "Archive events, or restore them with archive = false" },
};

const struct dialect ultralytics_dialect = {
    .name = "ultralytics",
    .title = "Ultralytics Platform API on Fovea",
    .prefix = "/api",
    .routes = ultralytics_routes,
    .nroutes = sizeof ultralytics_routes / sizeof *ultralytics_routes,
    .ref = REF_STAMPED,
    .style = { .time_digits = 3 },
    .schemas = answer_schemas,
    .docs_note = "Projects, models, predictions, API keys, storage and activity. Errors are "
                 "{success:false, error:{code, message, details}}.",
    .credential = ultralytics_credential,
    .page = ultralytics_page,
    .ref_decode = ultralytics_ref,
    .fault = ultralytics_fault,
    .headers = ultralytics_headers,
};
