/* Python literals from model files: any bytes are read or refused; names and numbers are taken from what
 * is read. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "inference/literal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena *a = arena_create((size_t)16 << 20);
    const struct literal *l = NULL;
    struct fault f = FAULT_INIT;
    int64_t numbers[4];
    char **names = NULL;
    size_t n = 0;

    if (literal_read((struct slice){ (const char *)data, size }, a, &l, &f) == ST_OK) {
        if (literal_names(l, a, &names, &n, &f) == ST_OK)
            for (size_t i = 0; i < n; i++)
                if (strlen(names[i]) > size + 32)
                    abort();
        if (literal_ints(l, numbers, 4, &n) && n > 4)
            abort();
        literal_get(l, "imgsz");
    } else if (f.offset < 0 || (size_t)f.offset > size || !f.detail[0]) {
        abort(); /* a refusal names its place */
    }
    arena_free(a);
    return 0;
}
