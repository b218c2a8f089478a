/*
 * Typed commands. One X-macro list yields the struct, its field table and the order of the SQL
 * function's parameters; rules.c checks a filled command by the table.
 *
 *   #define PROJECT_CREATE(F, C)                                        \
 *       F(C, TEXT, name, .required = true, .min = 1, .max = 100)        \
 *       F(C, TEXT, description, .nullable = true, .max = 1000)
 *   DECLARE_COMMAND(project_create, PROJECT_CREATE)    in the header
 *   DEFINE_COMMAND(project_create, PROJECT_CREATE)     in one .c file
 *
 * Absent differs from null: given.set has a bit for each field that the request named, given.null for
 * those it set to null. A list entry must carry at least one attribute.
 */
#ifndef DOMAIN_RECORD_H
#define DOMAIN_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/db.h"
#include "base/status.h"
#include "base/text.h"

enum field_kind {
    FIELD_TEXT,   /* const char *, UTF-8, no NUL inside; min and max count code points */
    FIELD_ENUM,   /* const char *, one of one_of */
    FIELD_I64,    /* int64_t, min..max */
    FIELD_F64,    /* double, fmin..fmax, never NaN */
    FIELD_BOOL,   /* bool */
    FIELD_REF,    /* struct ref: another row, in the dialect's spelling */
    FIELD_REFS,   /* struct refs: max items */
    FIELD_TEXTS,  /* struct texts: max items, each at most item_max code points */
    FIELD_JSON,   /* const char *: an object, printed again; max bytes */
    FIELD_TIME,   /* const char *: an ISO 8601 date or date-time that PostgreSQL reads as timestamptz */
    FIELD_DIGEST, /* const uint8_t[32], NULL when absent; set by handlers, never from a body */
};

/* A row named by the client. Which column tells it apart depends on the dialect. */
enum ref_kind { REF_NONE, REF_ID, REF_STAMPED, REF_UUID, REF_UNKNOWN };
struct ref {
    enum ref_kind kind; /* REF_UNKNOWN: well-formed in no dialect's sense, so it names nothing */
    int64_t id, stamp;  /* REF_ID: id; REF_STAMPED: id and creation seconds */
    const char *uuid;   /* REF_UUID */
};
struct refs {
    const struct ref *items;
    size_t n;
};
struct texts {
    const char *const *items;
    size_t n;
};

struct given {
    uint64_t set, null;
};

struct field {
    const char *name; /* also the SQL parameter's name */
    enum field_kind kind;
    size_t offset;
    bool required, nullable;
    int64_t min, max; /* max 0: no limit of its own */
    double fmin, fmax;
    bool bounded;              /* FIELD_F64: fmin and fmax hold */
    const char *const *one_of; /* NULL-terminated */
    int64_t item_max;
    bool not_blank;     /* TEXT: refused when only white space is left after trimming */
    bool one_line;      /* TEXT: no control characters */
    bool email;         /* TEXT: something@something, white space only around it */
    const char *view;   /* REF: the domain view that holds the row, such as "project" */
    const char *absent; /* ENUM, TEXT: value when absent */
};

struct record {
    const char *name;
    size_t size;
    const struct field *fields;
    size_t nfields;
};

#define CTYPE_TEXT   const char *
#define CTYPE_ENUM   const char *
#define CTYPE_I64    int64_t
#define CTYPE_F64    double
#define CTYPE_BOOL   bool
#define CTYPE_REF    struct ref
#define CTYPE_REFS   struct refs
#define CTYPE_TEXTS  struct texts
#define CTYPE_JSON   const char *
#define CTYPE_TIME   const char *
#define CTYPE_DIGEST const uint8_t *

#define COMMAND_MEMBER_(C, KIND, id, ...) CTYPE_##KIND id;
#define COMMAND_INDEX_(C, KIND, id, ...)  C##_field_##id,
#define COMMAND_FIELD_(C, KIND, id, ...)                                                                \
    { .name = #id, .kind = FIELD_##KIND, .offset = offsetof(struct C, id), __VA_ARGS__ },

#define DECLARE_COMMAND(C, LIST)                                                                        \
    struct C {                                                                                          \
        struct given given;                                                                             \
        LIST(COMMAND_MEMBER_, C)                                                                        \
    };                                                                                                  \
    enum { LIST(COMMAND_INDEX_, C) C##_nfields };                                                       \
    extern const struct record C##_record;

#define DEFINE_COMMAND(C, LIST)                                                                         \
    static const struct field C##_fields[] = { LIST(COMMAND_FIELD_, C) };                               \
    const struct record C##_record = {                                                                  \
        .name = #C, .size = sizeof(struct C), .fields = C##_fields, .nfields = C##_nfields              \
    };

/* Names one field of a command: its index. */
#define FIELD(C, id) C##_field_##id

static inline void *field_at(void *command, const struct field *fd)
{
    return (char *)command + fd->offset;
}
static inline const void *field_of(const void *command, const struct field *fd)
{
    return (const char *)command + fd->offset;
}
static inline bool field_given(const void *command, size_t index)
{
    return (((const struct given *)command)->set >> index & 1) != 0;
}
static inline void field_mark(void *command, size_t index)
{
    ((struct given *)command)->set |= (uint64_t)1 << index;
}

/* Checks every field by its row: required, ranges, lengths, enums. The fault names the field. */
enum status command_check(const struct record *r, const void *command, struct fault *f) MUST_USE;

/* Fills fields that were not given with their `absent` value. */
void command_defaults(const struct record *r, void *command);

#endif
