/* Schemas of the nouns that answers hold, from docs/api/schemas/<dialect>/<noun>.json, for the OpenAPI
 * documents. */
#ifndef HANDLERS_SCHEMAS_H
#define HANDLERS_SCHEMAS_H

#include "fcgi/dialect.h"

extern const struct noun_schema answer_schemas[]; /* of all dialects; ends with a row of NULLs */

#endif
