/*
 * Pictures that are part of the program: what models are tried on when their project has none. People,
 * an animal, things on a table, handwriting; sources and licences: domain/pictures/README.md.
 */
#ifndef DOMAIN_PICTURES_H
#define DOMAIN_PICTURES_H

#include <stddef.h>

struct bundled_picture {
    const char *name;
    const unsigned char *bytes, *end; /* a JPEG file */
};

enum { BUNDLED_PICTURES = 5 };
extern const struct bundled_picture bundled_pictures[BUNDLED_PICTURES];

#endif
