/* Calibrations from strangers: what is accepted keeps its promises, and is written and read back the
 * same. */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include "inference/quantise/calibration.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What calibration.h says of every one. */
static bool holds(const struct calibration *c)
{
    int channels = 0;

    for (int i = 0; i < c->n; i++) {
        const struct calibrated *item = &c->items[i];
        if (item->channels != c->channels + channels || item->nchannels < 1 ||
            !calibration_name_fits(item->name) || calibration_find(c, item->name) != item)
            return false;
        for (int k = 0; k < item->nchannels; k++)
            if (!(item->channels[k].low <= 0 && item->channels[k].high >= 0) ||
                !isfinite(item->channels[k].low) || !isfinite(item->channels[k].high) ||
                !isfinite(item->channels[k].mean))
                return false;
        channels += item->nchannels;
    }
    return channels == c->nchannels;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct calibration *c = NULL, *back = NULL;
    struct buffer first = { .n = 0 }, second = { .n = 0 };
    struct fault f = FAULT_INIT;

    if (calibration_read(data, size, &c, &f) != ST_OK)
        return 0;
    calibration_write(c, &first);
    if (!holds(c) || first.failed || calibration_read(first.p, first.n, &back, &f) != ST_OK)
        __builtin_trap();
    calibration_write(back, &second);
    if (second.failed || first.n != second.n || memcmp(first.p, second.p, first.n) != 0)
        __builtin_trap();
    calibration_free(c);
    calibration_free(back);
    buffer_free(&first);
    buffer_free(&second);
    return 0;
}
