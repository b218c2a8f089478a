/*
 * The scanner and json-c behind it: no input crashes; what is accepted becomes a tree, and the tree's
 * own text is accepted again and prints the same.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *printed(struct json_object *tree)
{
    return strdup(json_object_to_json_string_ext(tree, JSON_C_TO_STRING_PLAIN));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct json_object *tree = NULL, *again = NULL;
    struct fault f = FAULT_INIT;
    char *first, *second;

    if (json_parse((const char *)data, size, &tree, &f) != ST_OK) {
        assert(f.detail[0] && f.offset >= 0 && (uint64_t)f.offset <= size);
        return 0;
    }
    first = printed(tree);
    if (json_parse(first, strlen(first), &again, &f) != ST_OK)
        abort();
    second = printed(again);
    assert(strcmp(first, second) == 0);
    free(first);
    free(second);
    json_object_put(tree);
    json_object_put(again);
    return 0;
}
