/* A weights file of this machine, mapped; of an archive (domain/model_bundle.h) the model in it. */
#ifndef CLI_MODEL_FILE_H
#define CLI_MODEL_FILE_H

#include <stddef.h>
#include "base/status.h"

struct model_file {
    const void *bytes;
    size_t n;
    const char *file_name; /* without folders; part of the path given, or own_name */
    char *own_name;        /* of the model in an archive */
};

/* ST_NOT_FOUND (field "file"), ST_INVALID: not a file with content, or no such archive; ST_TOO_LARGE:
 * model.max_bytes. */
enum status model_file_open(const char *path, struct model_file *ret, struct fault *f) MUST_USE;
void model_file_close(struct model_file *m); /* accepts an empty one */

#endif
