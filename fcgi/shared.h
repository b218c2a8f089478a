/*
 * Memory that all processes of all pools share: a file, mapped. It outlives every process, so what is
 * counted in it survives crashes and restarts; the kernel writes it back, so a power cut may lose the
 * last half minute.
 */
#ifndef FCGI_SHARED_H
#define FCGI_SHARED_H

#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

/*
 * Maps `path`, made and sized when absent (zero-filled). magic stands in the first 8 bytes; a file with
 * another one (an older layout) is emptied first. Lives as long as the process.
 */
enum status shared_map(const char *path, uint64_t magic, size_t size, void **ret,
                       struct fault *f) MUST_USE;

#endif
