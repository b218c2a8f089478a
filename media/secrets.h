/*
 * The file of signing secrets: `number hex64` lines, newest first. A number is the second of its making,
 * so that the file itself tells since when an older secret has been out of use. For sign.c alone.
 */
#ifndef MEDIA_SECRETS_H
#define MEDIA_SECRETS_H

#include <stdint.h>
#include "base/status.h"

enum { SECRET_BYTES = 32, SECRETS_MAX = 64 };

struct secrets {
    int n; /* >= 1 */
    struct {
        int64_t number;
        uint8_t bytes[SECRET_BYTES];
    } items[SECRETS_MAX]; /* newest first */
};

/* ST_NOT_FOUND: no such file. ST_INVALID: names the line, or other users may read it. */
enum status secrets_read(const char *path, struct secrets *ret, struct fault *f) MUST_USE;

/* Makes the file with one secret unless it is there; processes that race all read the same one
 * afterwards. */
enum status secrets_create(const char *path, struct fault *f) MUST_USE;

/* A new newest secret; those go whose successor is older than keep_s. Atomic; rotations wait for each
 * other. */
enum status secrets_rotate(const char *path, int64_t keep_s, struct fault *f) MUST_USE;

#endif
