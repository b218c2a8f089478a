/*
 * Strict JSON in. json_scan is ours (RFC 8259 grammar, UTF-8, depth, counts, numbers, position); json-c
 * builds the tree only after it passed, because json-c's own parser accepts 16 of the 188 "must refuse"
 * files of JSONTestSuite.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <json-c/json.h>
#include "base/status.h"
#include "base/text.h"

/* f->reason of a refusal, besides offset and sentence. */
#define JSON_SYNTAX "json_syntax" /* not JSON: grammar or encoding */
#define JSON_CONTENT                                                                                    \
    "json_content" /* JSON that we decline: repeated keys, NUL, lone surrogates, range, limits */

/*
 * Checks one document. ST_INVALID with offset and a sentence ("expected ':' after a key"), ST_TOO_LARGE
 * for depth (LIMIT_JSON_DEPTH) or count (LIMIT_JSON_MEMBERS). What the standard leaves open is decided
 * here, once: a byte order mark, lone surrogates (escaped), invalid UTF-8, NUL (raw or escaped) in any
 * string, and repeated keys in one object are refused; integers outside int64 and numbers that overflow
 * a double are refused, as is a number of more than LIMIT_JSON_NUMBER_BYTES (ST_TOO_LARGE). Iterative:
 * depth costs no stack. Thread-safe.
 */
enum status json_scan(const char *p, size_t n, struct fault *f) MUST_USE;

/* json_scan, then the tree. Caller releases with json_object_put. *ret may be NULL for the document
 * `null`. */
enum status json_parse(const char *p, size_t n, struct json_object **ret, struct fault *f) MUST_USE;

/* Appends s as a JSON string with quotes; s must be UTF-8 (checked text of ours). */
void json_write_string(struct buffer *b, const char *s, size_t n);

#endif
