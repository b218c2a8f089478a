/* NPY arrays from strangers: what is accepted is written and read back the same. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "inference/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct value v = { 0 }, back = { 0 };
    struct buffer b = { 0 };
    struct fault f = FAULT_INIT;

    if (npy_read(data, size, &v, &f) != ST_OK)
        return 0;
    npy_write(&v, &b);
    if (b.failed || npy_read(b.p, b.n, &back, &f) != ST_OK || back.type != v.type ||
        !value_same_shape(&v, &back) || memcmp(v.data, back.data, value_bytes(&v)) != 0)
        __builtin_trap();
    free(v.data);
    free(back.data);
    buffer_free(&b);
    return 0;
}
