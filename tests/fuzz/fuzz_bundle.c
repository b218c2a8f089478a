/* A model whose weights are in files beside it: the input is both. What is packed is never larger than
 * the limit, and reading it does not crash; what needs no file comes out as it went in. */
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "base/text.h"
#include "inference/model/bundle.h"
#include "inference/model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static enum status append(void *buffer, const void *p, size_t n, struct fault *f)
{
    (void)f;
    buffer_bytes(buffer, p, n);
    return ((struct buffer *)buffer)->n > 16 << 20 ? ST_TOO_LARGE : ST_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct bundle_file files[] = { { "m.onnx", data, size }, { "w", data, size } };
    struct buffer packed = { 0 };
    struct fault f = FAULT_INIT;
    struct model *m = NULL;

    if (bundle_pack(files, 2, files, &(struct bundle_sink){ &packed, append }, &f) == ST_OK &&
        onnx_read(packed.p, packed.n, &m, &f) == ST_OK)
        model_free(m);
    buffer_free(&packed);
    return 0;
}
