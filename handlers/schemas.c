/* See schemas.h. The rows are printed by tools/schemas_to_c when a schema has changed. */
#include "handlers/schemas.h"

const struct noun_schema answer_schemas[] = {
#if __has_include("handlers/schemas.inc") /* not there when only linted */
#include "handlers/schemas.inc"
#endif
    { NULL, NULL, NULL },
};
