/* The OpenAPI document of a small dialect: what stands in the tables stands in the document, and it is
 * JSON. */
#include <string.h>

#include "base/json.h"
#include "domain/operations.h"
#include "fcgi/openapi.h"
#include "tests/unit/test.h"

static const struct key path_keys[] = { { IN_PATH, "ship", FIELD(project_ref, project), NULL } };
static const struct key query_keys[] = { { IN_QUERY, "find", FIELD(project_shared, search), NULL },
                                         { IN_QUERY, "by", FIELD(project_shared, sort), NULL } };
static const struct key body_keys[] = { { IN_BODY, "title", FIELD(project_create, name), NULL },
                                        { IN_BODY, "text", FIELD(project_create, description), NULL } };

static const struct route routes[] = {
    { .method = "GET",
      .pattern = "/ships",
      .op = &op_project_shared,
      KEYS(query_keys),
      .status = 200,
      .envelope = "{\"ok\":true,\"ships\":$rows,\"total\":$total,\"next\":$next,\"in\":{\"n\":$limit}}",
      .page = { 10, 70 },
      .summary = "List \"ships\"",
      .noun = "ship" },
    { .method = "GET",
      .pattern = "/ships/{ship}",
      .op = &op_project_get,
      KEYS(path_keys),
      .status = 200,
      .envelope = "{\"id\":$.id,$members}",
      .noun = "ship" },
    { .method = "POST",
      .pattern = "/ships",
      .op = &op_project_create,
      KEYS(body_keys),
      .status = 201,
      .envelope = "{\"ship\":$row}",
      .noun = "boat",
      .body = BODY_JSON },
    { .method = "GET",
      .pattern = "/ships/{ship}/photo",
      .op = &op_project_get,
      KEYS(path_keys),
      .status = 200,
      .media_type = "image/png" },
};
static const struct noun_schema schemas[] = {
    { "other", "ship", (const char *const[]){ "{\"title\":\"not ours\"}", NULL } },
    { "sea", "ship", (const char *const[]){ "{\"title\":", "\"Ship\"}", NULL } },
    { NULL, NULL, NULL },
};
static const struct dialect sea = {
    .name = "sea",
    .title = "Sea",
    .prefix = "/v1",
    .routes = routes,
    .nroutes = 4,
    .ref = REF_UUID,
    .schemas = schemas,
};

/* The value at a path of keys and indices, as text. */
static const char *at(struct json_object *doc, const char *const *path)
{
    for (; doc && *path; path++) {
        if (json_object_is_type(doc, json_type_array))
            doc = json_object_array_get_idx(doc, (size_t)(**path - '0'));
        else if (!json_object_object_get_ex(doc, *path, &doc))
            return "missing";
    }
    return doc ? json_object_to_json_string_ext(doc,
                                                JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE)
               : "missing";
}
#define AT(...) at(doc, (const char *const[]){ __VA_ARGS__, NULL })

static struct json_object *document(struct buffer *b)
{
    struct json_object *doc = NULL;
    struct fault f = FAULT_INIT;

    openapi_write(&sea, "https://h/sea", b);
    if (json_parse(b->p, b->n, &doc, &f) != ST_OK)
        return NULL;
    return doc;
}

TEST(the_document_has_every_route_once)
{
    struct buffer b = { 0 };
    struct json_object *doc = document(&b), *paths = NULL, *ships = NULL;

    REQUIRE(doc != NULL);
    CHECK_STR(AT("openapi"), "\"3.1.0\"");
    CHECK_STR(AT("servers", "0", "url"), "\"https://h/sea\"");
    REQUIRE(json_object_object_get_ex(doc, "paths", &paths));
    CHECK_SIZE((size_t)json_object_object_length(paths), 3);
    REQUIRE(json_object_object_get_ex(paths, "/v1/ships", &ships));
    CHECK_SIZE((size_t)json_object_object_length(ships), 2);
    CHECK_STR(AT("paths", "/v1/ships", "get", "summary"), "\"List \\\"ships\\\"\"");
    CHECK_STR(AT("paths", "/v1/ships/{ship}", "get", "operationId"), "\"get_ships_ship\"");
    json_object_put(doc);
    buffer_free(&b);
}

TEST(parameters_and_bodies_say_what_the_records_check)
{
    struct buffer b = { 0 };
    struct json_object *doc = document(&b);

    REQUIRE(doc != NULL);
    CHECK_STR(AT("paths", "/v1/ships", "get", "parameters", "0", "schema"),
              "{\"type\":\"string\",\"maxLength\":200}");
    CHECK_STR(AT("paths", "/v1/ships", "get", "parameters", "1", "schema", "enum", "0"),
              "\"created_at\"");
    CHECK_STR(AT("paths", "/v1/ships", "get", "parameters", "2", "name"), "\"limit\"");
    CHECK_STR(AT("paths", "/v1/ships", "get", "parameters", "2", "schema", "maximum"), "70");
    CHECK_STR(AT("paths", "/v1/ships/{ship}", "get", "parameters", "0", "schema", "format"), "\"uuid\"");
    CHECK_STR(AT("paths", "/v1/ships/{ship}", "get", "parameters", "0", "required"), "true");
    CHECK_STR(AT("paths", "/v1/ships", "post", "requestBody", "content", "application/json", "schema",
                 "required"),
              "[\"title\"]");
    CHECK_STR(AT("paths", "/v1/ships", "post", "requestBody", "content", "application/json", "schema",
                 "properties", "title", "maxLength"),
              "100");
    json_object_put(doc);
    buffer_free(&b);
}

#define ANSWER(path, method, status)                                                                    \
    "paths", path, method, "responses", status, "content", "application/json", "schema"

TEST(answers_are_the_envelopes_with_schemas_for_variables)
{
    struct buffer b = { 0 };
    struct json_object *doc = document(&b);

    REQUIRE(doc != NULL);
    CHECK_STR(AT("components", "schemas"), "{\"ship\":{\"title\":\"Ship\"}}");
    CHECK_STR(
        AT(ANSWER("/v1/ships", "get", "200"), "properties"),
        "{\"ok\":{\"const\":true},\"ships\":{\"type\":\"array\",\"items\":{\"$ref\":"
        "\"#/components/schemas/ship\"}},\"total\":{\"type\":\"integer\"},\"next\":{},\"in\":{\"type\":"
        "\"object\",\"properties\":{\"n\":{\"type\":\"integer\"}},\"required\":[\"n\"]}}");
    CHECK_STR(AT(ANSWER("/v1/ships", "get", "200"), "required"),
              "[\"ok\",\"ships\",\"total\",\"next\",\"in\"]");
    CHECK_STR(AT(ANSWER("/v1/ships/{ship}", "get", "200")),
              "{\"allOf\":[{\"$ref\":\"#/components/schemas/"
              "ship\"}],\"type\":\"object\",\"properties\":{\"id\":{}},"
              "\"required\":[\"id\"]}");
    CHECK_STR(AT(ANSWER("/v1/ships", "post", "201"), "properties", "ship"), "{\"type\":\"object\"}");
    CHECK_STR(AT("paths", "/v1/ships/{ship}/photo", "get", "responses", "200", "content"),
              "{\"image/png\":{}}");
    json_object_put(doc);
    buffer_free(&b);
}
