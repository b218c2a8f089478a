/* The one thing that we ask of EXIF: which way up. Read by libexif, from a copy of bounded size. */
#include <libexif/exif-data.h>
#include <stdlib.h>
#include <string.h>
#include "base/limits.h"
#include "media/image_private.h"

int exif_orientation(const uint8_t *tiff, size_t n)
{
    static const uint8_t mark[6] = "Exif\0";
    ExifData *data = NULL;
    uint8_t *copy = NULL;
    ExifEntry *entry;
    int orientation = 1;

    if (n < 8 || n > LIMIT_EXIF_BYTES)
        return 1;
    if (!(copy = malloc(sizeof mark + n)) || !(data = exif_data_new()))
        goto out;
    memcpy(copy, mark, sizeof mark);
    memcpy(copy + sizeof mark, tiff, n);
    /* As found: no tags added or corrected to please the specification. */
    exif_data_unset_option(data, EXIF_DATA_OPTION_FOLLOW_SPECIFICATION);
    exif_data_set_option(data, EXIF_DATA_OPTION_DONT_CHANGE_MAKER_NOTE);
    exif_data_load_data(data, copy, (unsigned)(sizeof mark + n));
    entry = exif_content_get_entry(data->ifd[EXIF_IFD_0], EXIF_TAG_ORIENTATION);
    if (entry && entry->format == EXIF_FORMAT_SHORT && entry->components >= 1 && entry->size >= 2)
        orientation = exif_get_short(entry->data, exif_data_get_byte_order(data));
    if (orientation < 1 || orientation > 8)
        orientation = 1;
out:
    if (data)
        exif_data_unref(data);
    free(copy);
    return orientation;
}
