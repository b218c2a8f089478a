/* Pictures: no crash, no leak; what the header told is what the decoder gives. */
#include <stdlib.h>
#include "media/image.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fault f = FAULT_INIT;
    struct image_info info;
    struct image im;

    if (image_probe(data, size, &info, &f) != ST_OK)
        return 0;
    if (info.width < 1 || info.height < 1 || info.orientation < 1 || info.orientation > 8)
        abort();
    if ((int64_t)info.width * info.height > 4000000) /* large ones are only slow */
        return 0;
    if (image_decode(data, size, &im, &f) != ST_OK)
        return 0;
    if (im.width != info.width || im.height != info.height)
        abort();
    image_free(&im);
    if (image_decode_at_least(data, size, info.width / 3, info.height / 3, &im, &f) != ST_OK)
        return 0;
    if (im.width < info.width / 3 || im.height < info.height / 3 || im.width > info.width ||
        im.height > info.height)
        abort();
    image_free(&im);
    return 0;
}
