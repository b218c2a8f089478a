/*
 * The records of a ZIP archive in memory, as PyTorch writes it: every record stored (not compressed),
 * ZIP64 allowed.
 *
 * Stricter than ZIP on purpose, so that no two readers can see two different archives: the end record
 * closes the file, names are unique and equal in the central directory and in front of the bytes,
 * records lie before the directory and never overlap. Check sums are not compared: PyTorch lets writers
 * leave them out. Source: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.4.
 */
#ifndef INFERENCE_PT_ZIP_H
#define INFERENCE_PT_ZIP_H

#include <stddef.h>
#include "base/arena.h"
#include "base/status.h"
#include "base/text.h"

struct zip_record {
    struct slice name;
    struct slice bytes;
};

/* Sorted by name. Names and bytes point into the file. */
struct zip {
    struct zip_record *records;
    size_t n;
};

/*
 * ST_UNSUPPORTED: no ZIP archive, compressed or encrypted records, several disks. ST_INVALID, with the
 * offset: a damaged or contradictory directory. ST_TOO_LARGE: LIMIT_ZIP_RECORDS. The table lives in the
 * arena.
 */
enum status zip_read(const void *bytes, size_t n, struct arena *a, struct zip *ret,
                     struct fault *f) MUST_USE;

/* The record of this name, or NULL. */
const struct zip_record *zip_find(const struct zip *z, struct slice name);

#endif
