/*
 * What some bytes are, by libmagic: never by the name or header of a client.
 *
 * Each thread has its own libmagic handle, made at its first call and closed when the thread ends.
 * Making one takes about 10 ms in a process and holds about 7 MB, so threads that sniff should live
 * long.
 */
#ifndef MEDIA_SNIFF_H
#define MEDIA_SNIFF_H

#include <stddef.h>
#include "base/status.h"

enum { SNIFF_TYPE_BYTES = 80 };

/*
 * The media type of the first LIMIT_SNIFF_BYTES: "image/png", "text/plain", "application/octet-stream"
 * when nothing is known, "application/x-empty" for no bytes. ST_UNAVAILABLE: libmagic's database cannot
 * be loaded.
 */
enum status sniff_type(const void *bytes, size_t n, char ret[SNIFF_TYPE_BYTES],
                       struct fault *f) MUST_USE;

#endif
