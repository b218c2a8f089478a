/* Unpacks with media/, puts together with inference/: see model_bundle.h. */
#include "domain/model_bundle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "media/unpack.h"

static enum status pack(const struct unpacked *u, const struct bundle_sink *sink, char *ret_name,
                        struct fault *f)
{
    struct bundle_file *files = calloc(u->nfiles + 1, sizeof *files);
    const struct bundle_file *model = NULL;
    enum status st;

    if (!files)
        return fault_set(f, ST_UNAVAILABLE, NULL, "out of memory");
    for (size_t i = 0; i < u->nfiles; i++)
        files[i] = (struct bundle_file){ u->files[i].name, u->files[i].p, u->files[i].n };
    if ((st = bundle_model(files, u->nfiles, &model, f)) == ST_OK &&
        (st = bundle_pack(files, u->nfiles, model, sink, f)) == ST_OK) {
        const char *const slash = strrchr(model->name, '/');

        snprintf(ret_name, MODEL_BUNDLE_NAME, "%s", slash ? slash + 1 : model->name);
    }
    free(files);
    return st;
}

enum status model_bundle_pack(const void *bytes, size_t n, int folder, int64_t max_bytes,
                              const struct bundle_sink *sink, char ret_name[MODEL_BUNDLE_NAME],
                              struct fault *f)
{
    struct unpacked u = { 0 };
    enum status st = unpack(bytes, n, folder, max_bytes, &u, f);

    if (st == ST_OK)
        st = pack(&u, sink, ret_name, f);
    unpacked_free(&u);
    if (st != ST_OK && st != ST_UNAVAILABLE && f)
        f->field = "file";
    return st;
}
