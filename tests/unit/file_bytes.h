/* A whole file in a buffer. */
#ifndef TESTS_UNIT_FILE_BYTES_H
#define TESTS_UNIT_FILE_BYTES_H

#include <stdio.h>
#include "base/text.h"

/* Adds the file to out, which is released with buffer_free. False: it cannot be opened, or no memory. */
static inline bool read_file(const char *path, struct buffer *out)
{
    FILE *in = fopen(path, "rb");
    char piece[65536];
    size_t n;

    while (in && (n = fread(piece, 1, sizeof piece, in)) > 0)
        buffer_bytes(out, piece, n);
    if (in)
        fclose(in);
    return in && !out->failed;
}

#endif
