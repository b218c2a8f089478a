/*
 * Archives from outside: ZIP, tar, tar.gz. All their files are unpacked, one behind the other, into one
 * nameless file and mapped: nothing of an archive ever gets a path on the disk, and memory does not grow
 * with it. libarchive does the formats.
 */
#ifndef MEDIA_UNPACK_H
#define MEDIA_UNPACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

struct unpacked_file {
    const char *name; /* relative, '/' between segments, none of them empty, "." or ".." */
    const uint8_t *p;
    size_t n;
};

struct unpacked {
    struct unpacked_file *files; /* [nfiles], sorted by name */
    size_t nfiles;
    void *map;
    size_t map_bytes;
};

/* By the name's end: .zip, .tar, .tar.gz, .tgz. */
bool unpack_is_archive(const char *file_name);

/* A new file on this folder's disk that no folder lists: gone with its descriptor. -1 with errno. */
int unpack_nameless(int folder);

/*
 * folder: an open folder on whose disk the nameless file is made. ST_INVALID: no such archive, damaged,
 * encrypted, a name that leaves it or comes twice, a link or a device; ST_TOO_LARGE: LIMIT_UNPACK_FILES,
 * max_bytes, or LIMIT_UNPACK_RATIO times the archive (a bomb), found while unpacking; ST_UNAVAILABLE:
 * the disk. Release with unpacked_free.
 */
enum status unpack(const void *bytes, size_t n, int folder, int64_t max_bytes, struct unpacked *ret,
                   struct fault *f) MUST_USE;
void unpacked_free(struct unpacked *u); /* accepts an empty one */

#endif
