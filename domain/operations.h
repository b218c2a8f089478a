/* Every operation of the domain and its command, noun by noun. The lists are the documentation of the
 * inputs. */
#ifndef DOMAIN_OPERATIONS_H
#define DOMAIN_OPERATIONS_H

#include "base/limits.h"
#include "domain/record.h"

struct operation;

/* clang-format off: the lists are tables */

/* --- projects
 * ---------------------------------------------------------------------------------------------- */
#define PROJECT_REF(F, C) F(C, REF, project, .required = true, .view = "project")

/* owner: for project_of alone. */
#define PROJECT_LIST(F, C)                                                                              \
    F(C, TEXT, owner, .max = 64)                                                                        \
    F(C, TEXT, slug, .max = 128)

#define PROJECT_SHARED(F, C)                                                                            \
    F(C, TEXT, search, .max = 200)                                                                      \
    F(C, ENUM, sort, .one_of = project_sorts)                                                           \
    F(C, ENUM, direction, .one_of = directions)

#define PROJECT_CREATE(F, C)                                                                            \
    F(C, TEXT, name, .required = true, .max = LIMIT_NAME_CHARS, .not_blank = true, .one_line = true)    \
    F(C, TEXT, description, .nullable = true, .max = LIMIT_DESCRIPTION_CHARS)                           \
    F(C, TEXT, slug, .nullable = true, .min = 1, .max = 128)                                            \
    F(C, ENUM, visibility, .one_of = visibilities, .absent = "private")                                 \
    F(C, TEXTS, tags, .nullable = true, .max = LIMIT_TAGS, .min = 1, .item_max = LIMIT_TAG_CHARS)       \
    F(C, TEXT, license, .nullable = true, .max = 100)                                                   \
    F(C, JSON, metadata, .nullable = true, .max = 500000)

#define PROJECT_UPDATE(F, C)                                                                            \
    F(C, REF, project, .required = true, .view = "project")                                             \
    F(C, TEXT, name, .required = true, .max = LIMIT_NAME_CHARS, .not_blank = true, .one_line = true)    \
    F(C, TEXT, description, .nullable = true, .max = LIMIT_DESCRIPTION_CHARS)

/* types: none, the two that are documented. */
#define TIMELINE(F, C)                                                                                  \
    F(C, REF, project, .required = true, .view = "project")                                             \
    F(C, TEXTS, types, .max = 4, .one_of = timeline_types)

extern const char *const timeline_types[];
extern const char *const visibilities[],
    *const project_sorts[], *const directions[], *const roles[], *const tasks[], *const scope_names[];

DECLARE_COMMAND(project_ref, PROJECT_REF)
DECLARE_COMMAND(project_list, PROJECT_LIST)
DECLARE_COMMAND(project_shared, PROJECT_SHARED)
DECLARE_COMMAND(project_create, PROJECT_CREATE)
DECLARE_COMMAND(project_update, PROJECT_UPDATE)
DECLARE_COMMAND(timeline, TIMELINE)

extern const struct operation op_project_get, op_project_list, op_project_of, op_project_shared,
    op_project_create, op_project_update, op_project_trash, op_project_purge;

/* --- members
 * ----------------------------------------------------------------------------------------------- */
#define MEMBER_SET(F, C)                                                                                \
    F(C, REF, project, .required = true, .view = "project")                                             \
    F(C, TEXT, email, .required = true, .max = 254, .not_blank = true, .one_line = true, .email = true) \
    F(C, ENUM, role, .one_of = roles, .absent = "viewer")

#define MEMBER_REMOVE(F, C)                                                                             \
    F(C, REF, project, .required = true, .view = "project")                                             \
    F(C, TEXT, account, .required = true, .max = 64)

DECLARE_COMMAND(member_set, MEMBER_SET)
DECLARE_COMMAND(member_remove, MEMBER_REMOVE)

extern const struct operation op_member_list, op_member_set, op_member_remove, op_timeline;

/* --- models
 * ------------------------------------------------------------------------------------------------ */
#define MODEL_REF(F, C) F(C, REF, model, .required = true, .view = "model")

#define MODEL_LIST(F, C)                                                                                \
    F(C, REF, project, .view = "project")                                                               \
    F(C, ENUM, task, .one_of = tasks)                                                                   \
    F(C, ENUM, status, .one_of = model_statuses)                                                        \
    F(C, TEXT, slug, .max = 128)

/* What a model file says of itself; GFLOPs stand apart, where the function's later arguments do. */
#define MODEL_CARD(F, C)                                                                                \
    F(C, TEXT, architecture, .max = 200)                                                                \
    F(C, TEXTS, class_names, .max = 25000, .item_max = 100)                                             \
    F(C, I64, parameters, .max = INT64_MAX)                                                             \
    F(C, I64, input_height, .max = 100000)                                                              \
    F(C, I64, input_width, .max = 100000)                                                               \
    F(C, TEXT, package_version, .max = 64)                                                              \
    F(C, BOOL, runnable, .max = 0)                                                                      \
    F(C, TEXT, why_not, .max = 300)

#define MODEL_CREATE(F, C)                                                                              \
    F(C, REF, project, .required = true, .view = "project")                                             \
    F(C, TEXT, name, .required = true, .max = LIMIT_NAME_CHARS, .not_blank = true, .one_line = true)    \
    F(C, TEXT, slug, .nullable = true, .min = 1, .max = 128)                                            \
    F(C, TEXT, description, .nullable = true, .max = LIMIT_DESCRIPTION_CHARS)                           \
    F(C, ENUM, task, .one_of = tasks)                                                                   \
    F(C, ENUM, status, .one_of = model_statuses)                                                        \
    MODEL_CARD(F, C)                                                                                    \
    F(C, TEXT, file_name, .max = 255)                                                                   \
    F(C, DIGEST, digest, .max = 0)                                                                      \
    F(C, I64, size, .max = INT64_MAX)                                                                   \
    F(C, TEXT, media_type, .max = 100)                                                                  \
    F(C, F64, gflops, .bounded = true, .fmin = 0, .fmax = 1e9)

extern const char *const model_statuses[];

DECLARE_COMMAND(model_ref, MODEL_REF)
DECLARE_COMMAND(model_list, MODEL_LIST)
DECLARE_COMMAND(model_create, MODEL_CREATE)

extern const struct operation op_model_get, op_model_list, op_model_create, op_model_trash,
    op_model_files, op_model_weights;

/* An upload session: opened for a model, filled through a signed address, completed. */
#define UPLOAD_CREATE(F, C)                                                                             \
    F(C, REF, model, .required = true, .view = "model")                                                 \
    F(C, TEXT, file_name, .required = true, .max = 256, .not_blank = true, .one_line = true)            \
    F(C, TEXT, media_type, .max = 50, .one_line = true)                                                 \
    F(C, I64, size, .required = true, .min = 1, .max = INT64_MAX)                                       \
    F(C, I64, ttl_s, .max = INT64_MAX)                                                                  \
    F(C, ENUM, asset_type, .required = true, .one_of = asset_types)

#define UPLOAD_COMPLETE(F, C)                                                                           \
    F(C, REF, upload, .required = true, .view = "upload")                                               \
    F(C, ENUM, task, .one_of = tasks)                                                                   \
    MODEL_CARD(F, C)                                                                                    \
    F(C, F64, gflops, .bounded = true, .fmin = 0, .fmax = 1e9)                                          \
    F(C, TEXT, checksum, .min = 64, .max = 64)

extern const char *const asset_types[];

DECLARE_COMMAND(upload_create, UPLOAD_CREATE)
DECLARE_COMMAND(upload_complete, UPLOAD_COMPLETE)

extern const struct operation op_upload_create, op_upload_complete;

/* What a prediction may ask for; not an operation of the database. */
#define PREDICT_INPUT(F, C)                                                                             \
    F(C, F64, conf, .bounded = true, .fmin = 0, .fmax = 1)                                              \
    F(C, F64, iou, .bounded = true, .fmin = 0, .fmax = 1)                                               \
    F(C, I64, imgsz, .min = 32, .max = 1280)                                                            \
    F(C, I64, max_det, .min = 1, .max = LIMIT_DETECTIONS)                                               \
    F(C, I64, top, .min = 1, .max = LIMIT_DETECTIONS)                                                   \
    F(C, BOOL, agnostic, .max = 0)                                                                      \
    F(C, ENUM, precision, .one_of = precisions)                                                         \
    F(C, BOOL, exact, .max = 0)                                                                         \
    F(C, ENUM, output, .one_of = predict_outputs)                                                       \
    F(C, BOOL, normalize, .max = 0)                                                                     \
    F(C, I64, decimals, .min = 0, .max = 10)                                                            \
    F(C, TEXT, source, .max = LIMIT_MULTIPART_TEXT_BYTES)

extern const char *const precisions[], *const predict_outputs[];

DECLARE_COMMAND(predict_input, PREDICT_INPUT)

/* --- API keys
 * ---------------------------------------------------------------------------------------------- */
#define API_KEY_REF(F, C) F(C, REF, api_key, .required = true, .view = "api_key")

#define API_KEY_CREATE(F, C)                                                                            \
    F(C, TEXT, name, .required = true, .max = LIMIT_NAME_CHARS, .not_blank = true, .one_line = true)    \
    F(C, TEXTS, scopes, .max = 16, .item_max = 32, .one_of = scope_names)                               \
    F(C, DIGEST, hash, .max = 0)                                                                        \
    F(C, TEXT, display, .max = 16)

DECLARE_COMMAND(api_key_ref, API_KEY_REF)
DECLARE_COMMAND(api_key_create, API_KEY_CREATE)

extern const struct operation op_api_key_list, op_api_key_create, op_api_key_revoke;

/* --- events and storage
 * ------------------------------------------------------------------------------------ */
#define EVENT_LIST(F, C)                                                                                \
    F(C, TIME, start, .max = 40)                                                                        \
    F(C, TIME, end, .max = 40)                                                                          \
    F(C, TEXT, search, .max = 200)                                                                      \
    F(C, BOOL, archived, .max = 0)

#define EVENTS_MARK(F, C)                                                                               \
    F(C, REFS, events, .max = 1000, .view = "event")                                                    \
    F(C, BOOL, archive, .max = 0)

DECLARE_COMMAND(event_list, EVENT_LIST)
DECLARE_COMMAND(events_mark, EVENTS_MARK)

extern const struct operation op_event_list, op_events_mark_seen, op_events_archive, op_storage_get;

/* clang-format on */

#endif
