/*
 * The records of a ZIP archive in memory, as PyTorch writes it: records stored (or deflated, as other
 * tools pack them again), ZIP64 allowed.
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
    bool deflated;
    size_t size; /* of the bytes when they are inflated */
};

/* Sorted by name. Names and stored bytes point into the file, inflated bytes into an arena. */
struct zip {
    struct zip_record *records;
    size_t n;
};

/*
 * ST_UNSUPPORTED: no ZIP archive, another compression, encrypted records, several disks. ST_INVALID,
 * with the offset: a damaged or contradictory directory or record. ST_TOO_LARGE: LIMIT_ZIP_RECORDS. The
 * table lives in the arena. Deflated records are not readable yet: zip_inflate.
 */
enum status zip_read(const void *bytes, size_t n, struct arena *a, struct zip *ret,
                     struct fault *f) MUST_USE;

/*
 * Unpacks what is deflated. ST_TOO_LARGE: all of it is more than LIMIT_ZIP_RATIO times the file (a
 * bomb), or than LIMIT_MODEL_BYTES; this is known before anything is unpacked. *ret_arena, also set on
 * failure: the caller's, and `z` points into it; untouched when nothing was deflated.
 */
enum status zip_inflate(struct zip *z, size_t file_bytes, struct arena **ret_arena,
                        struct fault *f) MUST_USE;

/* The record of this name, or NULL. */
const struct zip_record *zip_find(const struct zip *z, struct slice name);

#endif
