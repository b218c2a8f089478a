/* The AutoML Projects API as tables: nine operations, and one extension (removing a member). */
#include "domain/operations.h"
#include "handlers/automl/automl.h"
#include "handlers/schemas.h"

/* The domain compares uuids in lower case. */
static const char *uuid_word(const char *text, struct arena *a)
{
    struct ref ref;

    return automl_ref(text, a, &ref) == ST_OK ? ref.uuid : NULL;
}

static const struct key project_path[] = { { IN_PATH, "project_id", FIELD(project_ref, project),
                                             NULL } };
static const struct key timeline_query[] = {
    { IN_PATH, "project_id", FIELD(timeline, project), NULL },
    { IN_QUERY, "types", FIELD(timeline, types), NULL },
};
static const struct key list_query[] = {
    { IN_QUERY, "search", FIELD(project_shared, search), NULL },
    { IN_QUERY, "sort_field", FIELD(project_shared, sort), NULL },
    { IN_QUERY, "sort_direction", FIELD(project_shared, direction), NULL },
};
static const struct key create_body[] = {
    { IN_BODY, "name", FIELD(project_create, name), NULL },
    { IN_BODY, "description", FIELD(project_create, description), NULL },
};
static const struct key update_body[] = {
    { IN_PATH, "project_id", FIELD(project_update, project), NULL },
    { IN_BODY, "name", FIELD(project_update, name), NULL },
    { IN_BODY, "description", FIELD(project_update, description), NULL },
};
static const struct key member_body[] = {
    { IN_PATH, "project_id", FIELD(member_set, project), NULL },
    { IN_BODY, "email", FIELD(member_set, email), NULL },
    { IN_BODY, "role", FIELD(member_set, role), NULL },
};
static const struct key member_path[] = {
    { IN_PATH, "project_id", FIELD(member_remove, project), NULL },
    { IN_PATH, "user_id", FIELD(member_remove, account), uuid_word },
};

#define PAGED "\"total\":$total,\"limit\":$limit,\"offset\":$offset"

static const struct route routes[] = {
    { "GET", "/projects", &op_project_shared, KEYS(list_query), .shape = "project", .status = 200,
      .envelope = "{\"items\":$rows," PAGED "}", .scopes = SCOPE_READ, .page = { 50, 500 },
      .summary = "List projects owned by or shared with the caller", .noun = "project" },
    { "POST", "/projects", &op_project_create, KEYS(create_body), .shape = "project_brief",
      .status = 201, .envelope = "{\"project_id\":$.id,\"project\":$row}", .scopes = SCOPE_WRITE,
      .body = BODY_JSON, .summary = "Create a project", .noun = "project_brief" },
    { "GET", "/projects/{project_id}", &op_project_get, KEYS(project_path), .shape = "project",
      .status = 200, .envelope = "{\"project\":$row}", .scopes = SCOPE_READ,
      .summary = "Get one project", .noun = "project" },
    { "PUT", "/projects/{project_id}", &op_project_update, KEYS(update_body), .shape = "project_renamed",
      .status = 200, .envelope = "{\"project\":$row}", .scopes = SCOPE_WRITE, .body = BODY_JSON,
      .summary = "Rename or describe a project", .noun = "project_renamed" },
    { "DELETE", "/projects/{project_id}", &op_project_purge, KEYS(project_path), .status = 200,
      .envelope = "{\"ok\":true}", .scopes = SCOPE_WRITE, .summary = "Delete a project for good" },
    { "GET", "/projects/{project_id}/members", &op_member_list, KEYS(project_path), .shape = "member",
      .status = 200, .envelope = "{\"items\":$rows," PAGED "}", .scopes = SCOPE_READ,
      .page = { 50, 100 }, .summary = "List members, the owner first", .noun = "member" },
    { "POST", "/projects/{project_id}/members", &op_member_set, KEYS(member_body),
      .shape = "member_brief", .status = 201, .envelope = "{\"member\":$row}", .scopes = SCOPE_WRITE,
      .body = BODY_JSON, .summary = "Add a member or change a role", .noun = "member_brief" },
    { "DELETE", "/projects/{project_id}/members/{user_id}", &op_member_remove, KEYS(member_path),
      .status = 200, .envelope = "{\"ok\":true}", .scopes = SCOPE_WRITE,
      .summary = "Remove a member (an extension)" },
    { "GET", "/projects/{project_id}/timeline", &op_timeline, KEYS(timeline_query),
      .shape = "timeline_entry", .status = 200,
      .envelope = "{\"project_id\":$:project_id,\"events\":$rows}", .handler = automl_timeline,
      .scopes = SCOPE_READ, .summary = "What happened in a project, oldest first",
      .noun = "timeline_entry" },
    { "GET", "/projects/{project_id}/export", &op_project_get, KEYS(project_path), .status = 200,
      .handler = automl_export, .media_type = "application/zip", .scopes = SCOPE_READ, .pool = POOL_SLOW,
      .summary = "The whole project as a ZIP archive with manifest.json" },
};

const struct dialect automl_dialect = {
    .name = "automl",
    .title = "AutoML Projects API on Fovea",
    .prefix = "/api",
    .routes = routes,
    .nroutes = sizeof routes / sizeof *routes,
    .ref = REF_UUID,
    .style = { .time_digits = 0 },
    .schemas = answer_schemas,
    .docs_note = "Projects with members, timeline and export. Errors are {detail}.",
    .credential = automl_credential,
    .page = automl_page,
    .ref_decode = automl_ref,
    .fault = automl_fault,
};
