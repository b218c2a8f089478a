/*
 * PyTorch checkpoints from any bytes. An input that begins like a ZIP archive is a whole file; any other
 * is a pickle, which is put into an archive with one storage of 64 bytes.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "inference/pt/pt.h"
#include "tests/unit/inference_pt_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_card(const void *bytes, size_t n)
{
    struct model_card *c = NULL;
    struct fault f = FAULT_INIT;

    if (pt_card_read(bytes, n, &c, &f) == ST_OK) {
        for (int i = 0; i < c->nclasses; i++)
            if (strlen(c->class_names[i]) > LIMIT_CLASS_NAME_BYTES)
                abort();
        if (c->parameters < 0 || !memchr(c->architecture, '\0', sizeof c->architecture))
            abort();
        model_card_free(c);
    } else if (c || !f.detail[0]) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char storage[64];
    const struct record records[] = {
        { .name = "a/data.pkl", .bytes = { (const char *)data, size } },
        { .name = "a/data/0", .bytes = { storage, sizeof storage } },
    };
    struct buffer b = { 0 };

    if (size >= 2 && data[0] == 'P' && data[1] == 'K') {
        read_card(data, size);
        return 0;
    }
    put_zip(&b, records, 2);
    read_card(b.p, b.n);
    buffer_free(&b);
    return 0;
}
